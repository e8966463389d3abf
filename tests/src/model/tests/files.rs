//! What is read, and what is compared.

use crate::model::{
    Decision, DifferenceKind, Model, ModelError, QuarantineDifferenceKind, Quarantined, Reason, compare,
    compare_quarantine, compare_with_roster, expected_quarantine,
};

use super::city::{CHANNELS, City, MONTH, catalogue, id};

fn standard() -> City {
    City::new(&catalogue(CHANNELS, "\"wn\"", &[("more", "\"all\"")]))
}

fn row(sequence: u32, matter: &str) -> String {
    format!("{},{matter},v,g", id(sequence))
}

fn decided(city: &City, lines: &[String]) -> Vec<DifferenceKind> {
    let content = format!("person,matter,decision,rule\n{}", lines.concat());
    city.write("owner", "decisions/2026-11.csv", content);
    differences(city, &[])
}

fn differences(city: &City, offline: &[&str]) -> Vec<DifferenceKind> {
    let comparison = compare(city.path(), MONTH, offline).unwrap();
    comparison.differences.into_iter().map(|d| d.kind).collect()
}

#[test]
fn one_line_is_expected_for_each_person_and_matter() {
    let city = standard();
    let old_form = format!("{}{}", &id(1)[..6], &id(1)[8..17]);
    city.roster(
        "owner",
        &[
            row(2, "all"),
            row(1, "all"),
            row(1, "more"),
            format!("{old_form},all,w,h"),
            row(3, "others"),
            row(3, "unknown"),
            row(3, "all").replace(",g", ""),
        ],
    );
    city.roster("other", &[row(1, "others")]);
    let expected = Model::load(city.path()).unwrap().expected(city.path(), MONTH, &[]).unwrap();
    let key = |sequence, matter: &str| (id(sequence), matter.to_owned());
    let owner = &expected["owner"];
    assert_eq!(owner.keys().cloned().collect::<Vec<_>>(), [key(1, "all"), key(1, "more"), key(2, "all")]);
    assert_eq!(owner[&key(1, "all")].roster_line, 3);
    assert_eq!(expected["other"].keys().cloned().collect::<Vec<_>>(), [key(1, "others")]);
    assert_eq!(expected.len(), 2);
}

#[test]
fn an_offline_owner_has_no_decisions_and_the_others_miss_its_channels() {
    let channels = ["owner/wp5 weak positive", "a/wp1 weak positive", "b/wp2 weak positive", "c/wp3 weak positive"];
    let city = City::new(&catalogue(&channels, "", &[]));
    city.channel("a", "wp1", &[format!("{},2026-11-15", id(1))]);
    city.roster("owner", &[row(1, "all")]);
    city.roster("other", &[row(1, "others")]);
    let model = Model::load(city.path()).unwrap();
    let expected = model.expected(city.path(), MONTH, &["owner"]).unwrap();
    assert_eq!(expected.keys().collect::<Vec<_>>(), ["other"]);
    assert_eq!(expected["other"][&(id(1), "others".to_owned())].decision, Decision::Deferred);
}

#[test]
fn files_may_have_bom_crlf_quotes_and_any_form_of_number() {
    let city = standard();
    let old_form = format!("{}{}", &id(1)[..6], &id(1)[8..17]);
    city.write("a", "channels/wp1.csv", format!("\u{FEFF}person,seen_on\r\n\"'{}\",\"2026-11-15\"\r\n", id(1)));
    city.write("b", "channels/wp2.csv", format!("\"person\",\"seen_on\"\n\n\" {old_form}\n\",2026-11-15"));
    assert_eq!(city.decide("all", &[], &[]), "certified positive_weak");
}

#[test]
fn earlier_months_have_rosters_and_windows_of_their_own() {
    let city = standard();
    city.channel("a", "sp1", &[format!("{},2026-10-15", id(1))]);
    city.write("owner", "roster.2026-10.csv", format!("person,matter,village,grid\n{}\n", row(1, "all")));
    let roster = |department: &str| {
        let of_month = city.file(department, "roster.2026-10.csv");
        if of_month.exists() { of_month } else { city.file(department, "roster.csv") }
    };
    let model = Model::load(city.path()).unwrap();
    let expected = model.expected_with_roster(city.path(), "2026-10", &[], roster).unwrap();
    assert_eq!(expected["owner"][&(id(1), "all".to_owned())].decision, Decision::Certified);
    city.write(
        "owner",
        "decisions/2026-10.csv",
        format!("person,matter,decision,rule\n{},all,certified,positive_strong\n", id(1)),
    );
    let comparison = compare_with_roster(city.path(), "2026-10", &[], roster).unwrap();
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.expected, [(Decision::Certified, 1)].into());
}

#[test]
fn right_decisions_have_no_difference_in_any_order() {
    let city = standard();
    city.roster("owner", &[row(1, "all"), row(2, "all")]);
    city.channel("a", "sp1", &[format!("{},2026-11-15", id(1))]);
    let first = format!("{},all,certified,positive_strong\n", id(1));
    let second = format!("{},all,unmatched,no_trace\n", id(2));
    assert_eq!(decided(&city, &[first.clone(), second.clone()]), []);
    assert_eq!(decided(&city, &[second, first]), []);
}

#[test]
fn every_difference_is_found() {
    let city = standard();
    city.roster("owner", &[row(1, "all"), row(2, "all")]);
    let line = |sequence, rest: &str| format!("{},{rest}\n", id(sequence));
    let right = [line(1, "all,unmatched,no_trace"), line(2, "all,unmatched,no_trace")];
    let differ = |lines: &[String]| {
        let mut kinds = decided(&city, lines);
        assert_eq!(kinds.len(), 1, "{kinds:?}");
        kinds.remove(0)
    };
    let missing = differ(&right[..1]);
    assert_eq!(missing, DifferenceKind::Missing { roster_line: 3 });
    let extra = differ(&[&right[..], &[line(3, "all,unmatched,no_trace")]].concat());
    assert_eq!(extra, DifferenceKind::Extra { line: 4 });
    let other_matter = differ(&[&right[..], &[line(1, "more,unmatched,no_trace")]].concat());
    assert_eq!(other_matter, DifferenceKind::Extra { line: 4 });
    let duplicate = differ(&[&right[..], &right[..1]].concat());
    assert_eq!(duplicate, DifferenceKind::Duplicate { line: 4 });
    let short = differ(&[&right[..], &["a,b\n".to_owned()]].concat());
    assert_eq!(short, DifferenceKind::BadLine { line: 4 });
    let other = differ(&[right[0].clone(), line(2, "all,certified,no_trace")]);
    assert!(matches!(other, DifferenceKind::Decision { line: 3, found: Some(Decision::Certified), .. }));
    let none = differ(&[right[0].clone(), line(2, "all,Unmatched,no_trace")]);
    assert!(matches!(none, DifferenceKind::Decision { line: 3, found: None, .. }));
    let rule = differ(&[right[0].clone(), line(2, "all,unmatched,")]);
    assert!(matches!(rule, DifferenceKind::Rule { line: 3, .. }));
}

#[test]
fn a_decisions_file_must_be_there_with_its_header_and_only_for_owners() {
    let city = standard();
    assert_eq!(differences(&city, &[]), []);
    city.roster("owner", &[row(1, "all")]);
    assert_eq!(differences(&city, &[]), [DifferenceKind::Unreadable]);
    assert_eq!(differences(&city, &["owner"]), []);
    let line = format!("{},all,unmatched,no_trace\n", id(1));
    city.write("owner", "decisions/2026-11.csv", format!("person,matter,decision\n{line}"));
    assert_eq!(differences(&city, &[]), [DifferenceKind::Unreadable]);
    city.write("owner", "decisions/2026-11.csv", format!("person,matter,decision,rule\n{line}"));
    assert_eq!(differences(&city, &[]), []);
    assert_eq!(differences(&city, &["owner"]), [DifferenceKind::NotAnOwner]);
    city.write("a", "decisions/2026-11.csv", "person,matter,decision,rule\n");
    assert_eq!(differences(&city, &[]), [DifferenceKind::NotAnOwner]);
}

#[test]
fn differences_show_no_person() {
    let city = standard();
    city.roster("owner", &[row(1, "all"), row(2, "all")]);
    city.write(
        "owner",
        "decisions/2026-11.csv",
        format!("person,matter,decision,rule\n{0},all,{0},{0}\n{0},{0},{0},{0}\n", id(1)),
    );
    let comparison = compare(city.path(), MONTH, &[]).unwrap();
    assert_eq!(comparison.differences.len(), 3);
    let shown: String = comparison.differences.iter().map(|d| format!("{d} {d:?}")).collect();
    assert!(!shown.contains(&id(1)[6..14]), "{shown}");
}

fn city_with_bad_rows() -> City {
    let city = standard();
    let good = format!("{},2026-11-15\n", id(1));
    let mut content = format!("\u{FEFF}person,seen_on\r\n{good}\r\n\"a\nb\",2026-11-15\r\n{good}").into_bytes();
    content.extend_from_slice(b"\xFF,2026-11-15\n,2026-11-15\n1,2,3\n");
    content.extend_from_slice(format!("{},yesterday\n", id(1)).as_bytes());
    city.write("a", "channels/sp1.csv", content);
    city.roster("owner", &[row(1, "all"), row(1, "others"), row(1, "x"), "3416**,all,v,g".to_owned()]);
    city
}

fn quarantined(file: &str, line: u64, reason: Reason) -> Quarantined {
    Quarantined { file: file.to_owned(), line, reason }
}

#[test]
fn bad_rows_are_quarantined_with_their_physical_line() {
    let all = expected_quarantine(city_with_bad_rows().path()).unwrap();
    let file = "channels/sp1.csv";
    assert_eq!(
        all["a"],
        [
            quarantined(file, 4, Reason::Letters),
            quarantined(file, 7, Reason::NotUtf8),
            quarantined(file, 8, Reason::Empty),
            quarantined(file, 9, Reason::Columns),
            quarantined(file, 10, Reason::Date),
        ]
    );
    assert_eq!(
        all["owner"],
        [
            quarantined("roster.csv", 3, Reason::OtherDepartment),
            quarantined("roster.csv", 4, Reason::UnknownMatter),
            quarantined("roster.csv", 5, Reason::Masked),
        ]
    );
    assert!(all["b"].is_empty());
}

#[test]
fn quarantine_files_are_compared() {
    let city = city_with_bad_rows();
    let differences = || -> Vec<_> {
        let all = compare_quarantine(city.path(), &["owner"]).unwrap();
        all.into_iter().map(|d| d.kind).collect()
    };
    assert_eq!(differences(), [QuarantineDifferenceKind::Unreadable]);
    let line = |line, reason| format!("channels/sp1.csv,{line},{reason},?\n");
    let right = [line(10, "date"), line(4, "letters"), line(7, "not_utf8"), line(8, "empty"), line(9, "columns")];
    let write = |lines: &[String]| {
        city.write("a", "quarantine.csv", format!("file,line,reason,value\n{}", lines.concat()));
    };
    write(&right);
    assert_eq!(differences(), []);
    write(&[&right[..], &right[..1], &["x\n".to_owned()]].concat());
    assert_eq!(differences(), [QuarantineDifferenceKind::BadLine(8), QuarantineDifferenceKind::Extra(7)]);
    write(&[&right[1..], &[line(10, "length")]].concat());
    let missing = quarantined("channels/sp1.csv", 10, Reason::Date);
    assert_eq!(differences(), [QuarantineDifferenceKind::Extra(6), QuarantineDifferenceKind::Missing(missing)]);
}

#[test]
fn what_cannot_be_computed_is_an_error() {
    let city = standard();
    let model = Model::load(city.path()).unwrap();
    let expected = |month, offline| model.expected(city.path(), month, offline);
    assert!(matches!(expected("2026-13", &[]), Err(ModelError::Month)));
    assert!(matches!(expected(MONTH, &["x"]), Err(ModelError::UnknownDepartment(_))));
    std::fs::remove_file(city.file("other", "roster.csv")).unwrap();
    assert!(matches!(expected(MONTH, &[]), Err(ModelError::File { .. })));
    assert!(expected(MONTH, &["other"]).is_ok());
}

#[test]
fn a_catalogue_that_says_something_else_is_refused() {
    let right = catalogue(CHANNELS, "\"wn\"", &[]);
    for (from, to) in [
        ("exposed = [\"wn\"]", "exposed = [\"x\"]"),
        ("id = \"sp1\"", "id = \"sp2\""),
        ("department = \"a\"", "department = \"x\""),
        ("ruleset = \"standard\"", "ruleset = \"x\""),
        ("channels = \"all\"", "channels = { only = [\"x\"] }"),
        ("at_least = { strong_negative", "at_least = { strong_negatives"),
        ("at_least", "atleast"),
        ("decide = \"unmatched\"", "decide = \"deferred\""),
        ("\"no_trace\", ", "\"no_trace\", at_most = { weak_negative = 9 }, "),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right);
        assert!(crate::model::catalogue::Catalogue::parse(&wrong).is_err(), "{to}");
    }
}
