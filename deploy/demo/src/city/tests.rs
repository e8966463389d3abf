#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::ToSpan;
use jiff::civil::Date;

use super::*;

#[test]
fn same_plan_same_bytes() {
    let plan = CityPlan { rounds: 2, ..CityPlan::for_people(300) };
    let (one, two) = (Made::new(&plan, CATALOGUE), Made::new(&plan, CATALOGUE));
    assert_eq!(one.files(), two.files());
    assert_eq!(one.report, two.report);
    let other = Made::new(&CityPlan { seed: 2, ..plan }, CATALOGUE);
    let (one, other) = (one.files(), other.files());
    assert!(one.keys().eq(other.keys()));
    let different = one.iter().filter(|(name, bytes)| other[*name] != **bytes).count();
    assert!(different > 60, "{different}");
}

#[test]
fn the_bytes_of_a_small_city_stay_the_same() {
    let files = Made::new(&CityPlan::for_people(50), CATALOGUE).files();
    // FNV-1a over all names and contents: a change of the generator shows here, on whatever platform.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in files.into_iter().flat_map(|(name, bytes)| [name.into_bytes(), bytes]).flatten() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    assert_eq!(hash, 3_486_576_340_942_885_619);
}

#[test]
fn cities_of_every_size() {
    for people in [1, 10, 300] {
        let plan = CityPlan { rounds: 3, ..CityPlan::for_people(people) };
        let city = Made::new(&plan, CATALOGUE);
        assert_eq!(city.report.records, people * 24);
        assert_eq!(city.channels().iter().map(|(_, rows)| rows.len() as u64).sum::<u64>(), people * 24);
        assert_eq!(city.report.rosters.len(), 3);
        for sizes in &city.report.rosters {
            assert_eq!(sizes.rows.len(), 10);
            for (owner, &rows) in &sizes.rows {
                assert_eq!(city.roster(owner, &format!("roster.{}.csv", sizes.month)).len() as u64, rows);
            }
        }
        let matters: BTreeSet<String> = city.month_rows("2026-06").into_iter().map(|row| row[1].clone()).collect();
        assert!(matters.len() >= 24 - usize::from(people == 1), "{people}: {matters:?}");
    }
}

#[test]
fn channels_in_proportion() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    for (channel, (id, rows)) in catalogue.channels.iter().zip(city.channels()) {
        let wanted = channel.records as f64 * 48_000.0 / 33_788_200.0;
        assert!((rows.len() as f64 - wanted).abs() <= 1.0, "{id}: {} of {wanted}", rows.len());
    }
}

#[test]
fn numbers_are_valid_and_nobodys() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let channels = city.channels();
    for (id, rows) in &channels {
        let bad = rows.iter().filter(|row| normalise(&row[0]).is_none() || row[1].parse::<Date>().is_err()).count();
        assert!(bad * 100 <= rows.len() * 3 || bad < 5, "{id}: {bad} of {}", rows.len());
    }
    let rows =
        channels.iter().flat_map(|(_, rows)| rows).chain(&city.month_rows("2026-06")).cloned().collect::<Vec<_>>();
    assert!(
        rows.iter().filter_map(|row| normalise(&row[0])).all(|n| n.starts_with("341699") || n.starts_with("342199"))
    );
    let bad = rows.iter().filter(|row| normalise(&row[0]).is_none()).count();
    assert!((rows.len() / 300..rows.len() / 80).contains(&bad), "{bad} of {}", rows.len());
}

#[test]
fn every_kind_of_dirt() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let channels = city.channels();
    let rows: Vec<&Vec<String>> = channels.iter().flat_map(|(_, rows)| rows).collect();
    let some = |what: &str, is: &dyn Fn(&str) -> bool| {
        let share = rows.iter().filter(|row| is(&row[0])).count() as f64 / rows.len() as f64;
        assert!(share > 0.000_2 && share < 0.03, "{what}: {share}");
    };
    some("old form", &|p| p.len() == 15 && p.bytes().all(|b| b.is_ascii_digit()));
    some("lower-case x", &|p| p.ends_with('x'));
    some("full-width digits", &|p| p.starts_with('\u{ff13}'));
    some("blanks", &|p| p.contains([' ', '\u{3000}']));
    some("apostrophe", &|p| p.starts_with('\''));
    some("wrong check character", &|p| {
        p.len() == 18 && p.bytes().all(|b| b.is_ascii_digit() || b == b'X') && normalise(p).is_none()
    });
    some("short mask", &|p| p == "110***");
    some("long mask", &|p| p.contains("********"));
    some("floating point", &|p| p.starts_with("3.4") && p.ends_with("E+17"));
    some("empty", &str::is_empty);
    let undated = rows.iter().filter(|row| row[1].parse::<Date>().is_err()).count();
    assert!((rows.len() / 1_000..rows.len() / 250).contains(&undated), "{undated}");
    let twice = channels.iter().flat_map(|(_, rows)| rows.windows(2)).filter(|pair| pair[0] == pair[1]).count();
    assert!((rows.len() / 400..rows.len() / 100).contains(&twice), "{twice}");
}

#[test]
fn every_form_of_file() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let files = city.files();
    for kind in ["channels/", "roster."] {
        let files: Vec<&Vec<u8>> =
            files.iter().filter(|(name, _)| name.contains(kind)).map(|(_, bytes)| bytes).collect();
        let some =
            |is: &dyn Fn(&[u8]) -> bool| (1..files.len()).contains(&files.iter().filter(|bytes| is(bytes)).count());
        assert!(some(&|bytes| bytes.starts_with("\u{feff}".as_bytes())));
        assert!(some(&|bytes| bytes.ends_with(b"\r\n")));
        assert!(some(&|bytes| bytes.ends_with(b"\"\n") || bytes.ends_with(b"\"\r\n")));
    }
}

#[test]
fn rosters_have_strange_rows_and_addresses() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    let (mut foreign, mut unknown, mut twice, mut all) = (0, 0, 0, 0);
    for owner in catalogue.owners() {
        let rows = city.roster(&owner.id, "roster.2026-06.csv");
        for row in &rows {
            match catalogue.matters.iter().find(|m| m.id == row[1]) {
                Some(matter) => foreign += usize::from(matter.department != owner.id),
                None => unknown += 1,
            }
            assert!(row[2].starts_with('V') && row[3].starts_with(&row[2]) && row[3].contains("-G"), "{row:?}");
        }
        let people: Vec<_> = rows.iter().filter_map(|row| Some((normalise(&row[0])?, &row[1]))).collect();
        twice += people.len() - people.iter().collect::<BTreeSet<_>>().len();
        all += rows.len();
    }
    for (what, count, share) in [("foreign", foreign, 0.002), ("unknown", unknown, 0.002), ("twice", twice, 0.005)] {
        let wanted = all as f64 * share;
        assert!(count as f64 > wanted / 4.0 && (count as f64) < wanted * 3.0, "{what}: {count} of {all}");
    }
}

#[test]
fn a_month_brings_one_percent() {
    let city = Made::new(&CityPlan { rounds: 3, records: 0, ..CityPlan::for_people(10_000) }, CATALOGUE);
    let people =
        |month: &str| city.month_rows(month).iter().filter_map(|row| normalise(&row[0])).collect::<BTreeSet<_>>();
    for months in city.report.rosters.windows(2) {
        let (before, after) = (people(&months[0].month), people(&months[1].month));
        let (joined, left) = (after.difference(&before).count(), before.difference(&after).count());
        assert!((before.len() / 130..before.len() / 70).contains(&joined), "{joined} of {}", before.len());
        assert!(left > 5 && left < before.len() / 80, "{left}");
    }
    let owners = city
        .month_rows("2026-06")
        .iter()
        .filter_map(|row| Some((normalise(&row[0])?, row[4].clone())))
        .collect::<BTreeSet<_>>();
    let several = owners.len() - people("2026-06").len();
    assert!(several > 2_000, "{several}");
}

#[test]
fn decisions_come_out_as_in_a_city() {
    for rounds in [1, 4] {
        let city = Made::new(&CityPlan { rounds, ..CityPlan::for_people(3_000) }, CATALOGUE);
        for sizes in &city.report.rosters {
            let [certified, unmatched, suspected] = city.decide(&sizes.month);

            assert!((0.85..0.91).contains(&certified), "{rounds}, {}: certified {certified}", sizes.month);
            assert!((0.03..0.15).contains(&unmatched), "{rounds}, {}: unmatched {unmatched}", sizes.month);
            assert!((0.002..0.012).contains(&suspected), "{rounds}, {}: suspected {suspected}", sizes.month);
        }
    }
}

#[test]
fn dates_at_the_edges_and_beyond() {
    let city = Made::new(&CityPlan::for_people(2_000), CATALOGUE);
    let channels: HashMap<String, Vec<Vec<String>>> = city.channels().into_iter().collect();
    let end: Date = "2026-06-30".parse().unwrap();
    let on = |day: Date| channels["outpatient_settlement"].iter().filter(|row| row[1] == day.to_string()).count();
    // On an ordinary day 8,246 records over 140 days: about 59.
    for edge in [-90, -89, 0, 1] {
        assert!(on(end + edge.days()) > 70, "{edge}: {}", on(end + edge.days()));
    }
    assert!(on(end + 10.days()) > 20 && on(end - 110.days()) > 20);
}

#[test]
fn the_dead_are_seen_no_more() {
    let city = Made::new(&CityPlan::for_people(3_000), CATALOGUE);
    let channels: HashMap<String, Vec<Vec<String>>> = city.channels().into_iter().collect();
    let death: HashMap<String, &String> =
        channels["cremation"].iter().filter_map(|row| Some((normalise(&row[0])?, &row[1]))).collect();
    let roster: BTreeSet<String> = city.month_rows("2026-06").iter().filter_map(|row| normalise(&row[0])).collect();
    let dead = roster.iter().filter(|person| death.contains_key(*person)).count();
    assert!((5..30).contains(&dead), "{dead}");
    // A record of a living person by mistake is the exception.
    let after = channels["outpatient_settlement"]
        .iter()
        .filter(|row| normalise(&row[0]).and_then(|p| death.get(&p).copied()).is_some_and(|d| *d < row[1]));
    assert!(after.count() < 25);
}

#[test]
fn any_catalogue_will_do() {
    let plan = CityPlan { rounds: 2, ..CityPlan::for_people(200) };
    let city = Made::new(&plan, TINY);
    let names: Vec<String> = city.files().into_keys().collect();
    assert_eq!(
        names,
        [
            "catalogue.toml",
            "departments/library/channels/arrears.csv",
            "departments/library/channels/loan.csv",
            "departments/town_hall/roster.2026-06.csv",
            "departments/town_hall/roster.2026-07.csv"
        ]
    );
    assert_eq!(city.report.rosters[0].rows.keys().collect::<Vec<_>>(), ["town_hall"]);
    assert_eq!(city.report.records, 4_800);
    assert!((98..=102).contains(&city.report.recipients), "{}", city.report.recipients);
    let none = Made::new(&plan, "");
    assert_eq!((none.report.people, none.report.records), (0, 0));
}

#[test]
fn rosters_are_installed_month_by_month() {
    let city = Made::new(&CityPlan { rounds: 2, ..CityPlan::for_people(20) }, TINY);
    let folder = city.dir.path().join("departments/town_hall");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let (june, july) = (read("roster.2026-06.csv"), read("roster.2026-07.csv"));
    install_roster(city.dir.path(), "2026-06", false).unwrap();
    assert_eq!(
        (read("roster.csv"), read("roster.2026-06.csv"), read("roster.2026-07.csv")),
        (june.clone(), june.clone(), july.clone())
    );
    for _ in 0..2 {
        install_roster(city.dir.path(), "2026-07", true).unwrap();
        assert_eq!((read("roster.csv"), read("roster.2026-06.csv")), (july.clone(), june.clone()));
        assert!(!folder.join("roster.2026-07.csv").exists());
    }
    assert!(matches!(install_roster(city.dir.path(), "2026-08", false), Err(CityError::At { .. })));
}

#[test]
fn refuses_plans_that_make_no_city() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |plan: &CityPlan| generate(plan, TINY, dir.path()).unwrap_err();
    assert!(matches!(refused(&CityPlan::for_people(0)), CityError::People));
    assert!(matches!(refused(&CityPlan::for_people(5_000_001)), CityError::People));
    assert!(matches!(refused(&CityPlan { rounds: 0, ..CityPlan::default() }), CityError::Rounds));
    assert!(matches!(refused(&CityPlan { first_month: (2026, 0), ..CityPlan::default() }), CityError::Month));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    generate(&CityPlan::for_people(1), TINY, dir.path()).unwrap();
    assert!(matches!(refused(&CityPlan::for_people(1)), CityError::Exists(_)));
}

const TINY: &str = r#"
[[department]]
id = "town_hall"
roster_owner = true
[[department]]
id = "library"
[[channel]]
id = "loan"
department = "library"
polarity = "positive"
strength = "strong"
window_days = 30
records = 900
[[channel]]
id = "arrears"
department = "library"
polarity = "negative"
strength = "strong"
window_days = 0
records = 100
[[matter]]
id = "heating_aid"
department = "town_hall"
kind = "certify"
recipients = 683350
"#;

/// A city in a folder of its own.
struct Made {
    dir: tempfile::TempDir,
    catalogue: Catalogue,
    report: CityReport,
}

impl Made {
    fn new(plan: &CityPlan, catalogue: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let report = generate(plan, catalogue, dir.path()).unwrap();
        Self { dir, catalogue: Catalogue::parse(catalogue).unwrap(), report }
    }

    /// All files by their path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, fs::read(path).unwrap());
                }
            }
        }
        files
    }

    /// Each channel's rows, in the catalogue's order.
    fn channels(&self) -> Vec<(String, Vec<Vec<String>>)> {
        let path = |c: &catalogue::Channel| {
            department_dir(self.dir.path(), &c.department).join(format!("channels/{}.csv", c.id))
        };
        self.catalogue.channels.iter().map(|c| (c.id.clone(), rows(&path(c), &["person", "seen_on"]))).collect()
    }

    fn roster(&self, owner: &str, name: &str) -> Vec<Vec<String>> {
        rows(&department_dir(self.dir.path(), owner).join(name), &["person", "matter", "village", "grid"])
    }

    /// All owners' rows of one month, each with its owner at the end.
    fn month_rows(&self, month: &str) -> Vec<Vec<String>> {
        let of = |owner: &catalogue::Department| {
            let rows = self.roster(&owner.id, &roster_file(month));
            rows.into_iter().map(|row| [row, vec![owner.id.clone()]].concat()).collect::<Vec<_>>()
        };
        self.catalogue.owners().flat_map(of).collect()
    }

    /// The shares of recipients certified, unmatched and suspected by the seed city's rules, over all channels.
    fn decide(&self, month: &str) -> [f64; 3] {
        let end = format!("{month}-01").parse::<Date>().unwrap().last_of_month();
        // Strong negative, weak negative, strong positive, weak positive: in how many channels.
        let mut counts: HashMap<String, [u32; 4]> = HashMap::new();
        for (channel, (_, rows)) in self.catalogue.channels.iter().zip(self.channels()) {
            let class = 2 * usize::from(channel.polarity == Polarity::Positive)
                + usize::from(channel.strength == catalogue::Strength::Weak);
            let counts_on = |day: Date| {
                day <= end && (channel.window_days == 0 || day > end - i64::from(channel.window_days).days())
            };
            let people =
                rows.iter().filter(|row| row[1].parse().is_ok_and(counts_on)).filter_map(|row| normalise(&row[0]));
            for person in people.collect::<BTreeSet<_>>() {
                counts.entry(person).or_default()[class] += 1;
            }
        }
        let people: BTreeSet<String> = self.month_rows(month).iter().filter_map(|row| normalise(&row[0])).collect();
        let mut decided = [0.0; 3];
        for person in &people {
            let [strong_negative, weak_negative, strong, weak] = counts.get(person).copied().unwrap_or_default();
            let suspected = strong_negative > 0 || (weak_negative > 0 && strong == 0);
            decided[if suspected { 2 } else { usize::from(strong == 0 && weak < 2) }] += 1.0 / people.len() as f64;
        }
        decided
    }
}

fn rows(path: &Path, header: &[&str]) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    assert_eq!(reader.headers().unwrap(), header);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The 18 characters that a cell stands for; none if it is unusable. Written apart from the generator's own arithmetic: the remainder of the
/// whole number, the check character being worth 1, is 1 (ISO 7064).
fn normalise(cell: &str) -> Option<String> {
    let half_width = |c: char| {
        if ('\u{ff01}'..='\u{ff5e}').contains(&c) { char::from_u32(c as u32 - 0xfee0).unwrap() } else { c }
    };
    let plain: String =
        cell.chars().filter(|c| !c.is_whitespace() && *c != '\'').map(half_width).collect::<String>().to_uppercase();
    let remainder = |text: &str| {
        text.chars().try_fold(0, |sum, c| Some((sum * 2 + if c == 'X' { 10 } else { c.to_digit(10)? }) % 11))
    };
    if plain.len() == 15 {
        let long = format!("{}19{}", &plain[..6], &plain[6..]);
        let mut checks = "0123456789X".chars();
        return checks.find_map(|check| normalise(&format!("{long}{check}")));
    }
    let dated =
        plain.len() == 18 && plain[6..14].parse::<u32>().is_ok() && plain[..17].bytes().all(|b| b.is_ascii_digit());
    (dated && remainder(&plain)? == 1).then_some(plain)
}
