//! What order and patterns tell: nothing where they must not, and how much where section 6 of the protocol says that they do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use wugan_demo::city::{CATALOGUE, CityPlan, generate};
use wugan_keys::StorageKey;
use wugan_node::{
    cache::Cache,
    rowmap::{RowMap, RowOf},
    rows::RowMaker,
    snapshot::{Snapshot, roster_row},
    sorter::Sorter,
    vault::Vault,
};
use wugan_protocol::{
    chance::RoundSeed,
    file::{FileKey, Header},
    hexes::Hex,
    oprf::MatchingKey,
    party::MemberNumber,
    person::PersonId,
    policy::{Class, MatterRound, Policy},
    run::{FURTHER_ROW, Records, handle},
    statement::SourceEpoch,
};
use wugan_tests::sim::Chance;
use wugan_transport::rounds::Rounds;

#[test]
fn nobody_predicts_anything_from_handles_and_row_numbers() {
    let owner = Owner::make();
    let mut looked_at = 0;
    for class in Class::ALL {
        let records = owner.records(class);
        // A class of one channel that is about everybody has nothing to hide but the order of people.
        let attributes: [Attribute<Record>; 4] = [
            ("channel", |record| record.channel),
            ("person", |record| record.person),
            ("village", |record| record.village),
            ("canary", |record| record.canary),
        ];
        for (name, attribute) in attributes {
            looked_at += hides(&format!("{name} from handles of {}", class.name()), &records, attribute);
        }
    }
    for (matter, rows) in owner.rows() {
        let attributes: [Attribute<Row>; 4] = [
            ("roster position", |row| row.position),
            ("person", |row| row.person),
            ("village", |row| row.village),
            ("canary", |row| row.canary),
        ];
        for (name, attribute) in attributes {
            looked_at += hides(&format!("{name} from rows of matter {matter}"), &rows, attribute);
        }
    }
    assert!(looked_at >= 12, "{looked_at} orders looked at");
}

/// Something that must not show, by name.
type Attribute<T> = (&'static str, fn(&T) -> u32);

/// An order tells nothing of an attribute, but would if it were another one: the items as they came, shuffled in blocks
/// only, or put stably into buckets. Whether there was enough to look at.
fn hides<T: Clone + Ord>(what: &str, items: &[T], attribute: fn(&T) -> u32) -> usize {
    let values = |items: &[T]| items.iter().map(attribute).collect::<Vec<u32>>();
    let found = prediction(&values(items));
    if items.len() < ITEMS_MIN || values(items).iter().collect::<BTreeSet<_>>().len() < 2 {
        return 0;
    }
    assert!(found < THRESHOLD, "{what}: predicted with a score of {found:.1}");
    let mut plain = items.to_vec();
    plain.sort_by_key(attribute);
    let plain = values(&plain);
    for (control, values) in [("plain", plain.clone()), ("blocks", blocks(&plain)), ("buckets", buckets(&plain))] {
        let score = prediction(&values);
        assert!(score > THRESHOLD, "{what}: the control `{control}` goes unnoticed with a score of {score:.1}");
    }
    println!("{what}: {} items, score {found:.1}", items.len());
    1
}

/// The largest of four scores, each about standard normal if the values are in a uniformly random order: correlation of
/// value and place, values by part of the order (chi-square), ascents against descents, equal neighbours.
fn prediction(values: &[u32]) -> f64 {
    let n = values.len() as f64;
    let distinct: BTreeSet<u32> = values.iter().copied().collect();
    let rank: HashMap<u32, usize> = distinct.iter().copied().zip(0..).collect();
    let kinds = distinct.len().min(KINDS_MAX);
    let kind: Vec<usize> = values.iter().map(|value| rank[value] * kinds / distinct.len()).collect();
    let pairs = || values.iter().zip(&values[1.min(values.len())..]);
    let slope = pairs().map(|(a, b)| f64::from(u8::from(a < b)) - f64::from(u8::from(a > b))).sum::<f64>();
    let ascents = slope / ((n + 1.0) / 3.0).sqrt();
    [correlation(values), chi_square(&kind, kinds), ascents, neighbours(&kind, kinds)]
        .map(f64::abs)
        .into_iter()
        .fold(0.0, f64::max)
}

/// Pearson's r of value and place, times the root of n - 1.
fn correlation(values: &[u32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let (mut both, mut squares, mut places) = (0.0, 0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let (x, y) = (place as f64 - (n - 1.0) / 2.0, f64::from(*value) - mean);
        both += x * y;
        squares += y * y;
        places += x * x;
    }
    both / (squares * places).sqrt().max(f64::MIN_POSITIVE) * (n - 1.0).sqrt()
}

/// Whether kinds are as frequent in each part of the order: the chi-square statistic, standardised.
fn chi_square(kind: &[usize], kinds: usize) -> f64 {
    let n = kind.len();
    let mut table = vec![vec![0_u32; kinds]; PARTS];
    kind.iter().enumerate().for_each(|(place, kind)| table[place * PARTS / n][*kind] += 1);
    let sum = |cells: &mut dyn Iterator<Item = u32>| f64::from(cells.sum::<u32>());
    let totals: Vec<f64> = (0..kinds).map(|kind| sum(&mut table.iter().map(|part| part[kind]))).collect();
    let mut statistic = 0.0;
    for part in &table {
        let size = sum(&mut part.iter().copied());
        for (found, total) in part.iter().zip(&totals) {
            let expected = size * total / n as f64;
            statistic += (f64::from(*found) - expected).powi(2) / expected;
        }
    }
    let freedom = (PARTS - 1) as f64 * (kinds - 1) as f64;
    (statistic - freedom) / (2.0 * freedom).sqrt()
}

/// How many neighbours are of one kind, standardised.
fn neighbours(kind: &[usize], kinds: usize) -> f64 {
    let n = kind.len() as f64;
    let equal = kind.windows(2).filter(|pair| pair[0] == pair[1]).count() as f64;
    let sizes = (0..kinds).map(|k| kind.iter().filter(|kind| **kind == k).count() as f64);
    let chance = sizes.map(|size| size * (size - 1.0)).sum::<f64>() / (n * (n - 1.0));
    (equal - (n - 1.0) * chance) / ((n - 1.0) * chance * (1.0 - chance)).sqrt().max(1.0)
}

/// As a shuffle that holds only so much at a time would leave it.
fn blocks(values: &[u32]) -> Vec<u32> {
    let mut chance = Chance::new(1);
    let mut values = values.to_vec();
    for block in values.chunks_mut(BLOCK) {
        (1..block.len()).for_each(|place| block.swap(place, chance.below(place as u64 + 1) as usize));
    }
    values
}

/// As a stable sort by a random byte would leave it.
fn buckets(values: &[u32]) -> Vec<u32> {
    let mut chance = Chance::new(2);
    let mut drawn: Vec<(u64, u32)> = values.iter().map(|value| (chance.below(BUCKETS), *value)).collect();
    drawn.sort_by_key(|(bucket, _)| *bucket);
    drawn.into_iter().map(|(_, value)| value).collect()
}

/// A record, as its owner knows it: the matcher knows the channel, nobody else person and village.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    channel: u32,
    person: u32,
    village: u32,
    canary: u32,
}

/// A row, as its owner knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    position: u32,
    person: u32,
    village: u32,
    canary: u32,
}

/// The largest roster owner of the seed city, at reduced size, and its files of one round.
struct Owner {
    folder: tempfile::TempDir,
    policy: Policy,
    number: MemberNumber,
    matters: Vec<MatterRound>,
    map: Vec<RowOf>,
    /// Place on the roster and number of the village, by person and place of the matter.
    roster: BTreeMap<(PersonId, u16), (u32, u32)>,
}

impl Owner {
    fn make() -> Owner {
        let folder = tempfile::tempdir().unwrap();
        let plan = CityPlan { seed: 8, records: 48, ..CityPlan::for_people(PEOPLE) };
        generate(&plan, CATALOGUE, folder.path()).unwrap();
        let policy = Policy::read(CATALOGUE.as_bytes()).unwrap();
        let number = policy.member_number("human_resources").unwrap();
        let list: BTreeSet<u16> = policy.channels.iter().map(|channel| channel.number).collect();
        let matters = policy.matter_rounds(number, &list);
        let mut roster = roster(&policy, number, &folder.path().join("departments/human_resources/roster.2026-06.csv"));
        add_canaries(&mut roster, matters.len() as u16);
        let sources: BTreeMap<MemberNumber, SourceEpoch> =
            (0..policy.matcher_number()).map(|source| (source, SourceEpoch { source, epoch: 1 })).collect();
        let storage = StorageKey::generate();
        let (sealed, spill) =
            (Vault::new(folder.path(), "sealed", &storage), Vault::new(folder.path(), "spill", &storage));
        let snapshot = Snapshot::of(&sealed, ROUND);
        let mut rows = Sorter::new(&spill, 1 << 20);
        roster.keys().for_each(|(person, matter)| rows.push(roster_row(*person, *matter)).unwrap());
        snapshot.save(rows.sorted().unwrap()).unwrap();
        let cache = Cache::new(Vault::new(folder.path(), "cache", &storage));
        sources.values().for_each(|source| cache.add(*source, &keys(*source, &snapshot)).unwrap());
        let maker = RowMaker {
            rounds: &Rounds::new(folder.path().join("rounds")),
            spill: &spill,
            cache: &cache,
            policy: &policy,
            round: ROUND,
            id: [3; 16],
            seed: &RoundSeed::new([7; 32]),
            owner: number,
            matters: &matters,
            sources: &sources,
        };
        let map = RowMap::of(&sealed, ROUND);
        let counts = maker.number(&snapshot, &map).unwrap();
        maker.make(&map, &counts).unwrap();
        let map = map.rows().unwrap().map(Result::unwrap).collect();
        Owner { folder, policy, number, matters, map, roster }
    }

    fn read(&self, file: FileKey) -> std::io::BufReader<std::fs::File> {
        Rounds::new(self.folder.path().join("rounds")).open(ROUND, file).unwrap()
    }

    /// The records of a class in the order of their handles.
    fn records(&self, class: Class) -> Vec<Record> {
        let of_row: BTreeMap<u32, (PersonId, u16)> =
            self.map.iter().map(|row| (row.row, (row.person, row.matter))).collect();
        let mut bytes = Vec::new();
        let mut file = self.read(FileKey::Rows { owner: self.number, class });
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        let words =
            bytes[Header::bytes(self.matters.len())..].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let firsts = words.filter(|word| word & FURTHER_ROW == 0).map(|row| of_row[&row]);
        let order = self.order();
        let record = |(person, matter)| {
            let (village, canary) = (self.roster[&(person, matter)].1, is_canary(person));
            Record { channel: 0, person: order[&person], village, canary }
        };
        let mut records: Vec<Record> = firsts.map(record).collect();
        for channel in self.policy.channels.iter().filter(|channel| channel.class == class) {
            let file = FileKey::Records { owner: self.number, channel: channel.number };
            if !self.matters.iter().any(|matter| matter.present().contains(&channel.number)) {
                continue;
            }
            let mut of_channel = Records::open(self.read(file)).unwrap();
            while let Some(record) = of_channel.next().unwrap() {
                records[handle(&record) as usize].channel = u32::from(channel.number);
            }
        }
        assert!(records.iter().all(|record| record.channel > 0), "every handle has its channel");
        records
    }

    /// The rows of each matter in the order of their numbers.
    fn rows(&self) -> BTreeMap<u16, Vec<Row>> {
        let order = self.order();
        let mut rows = self.map.clone();
        rows.sort_by_key(|row| row.row);
        let mut of_matters: BTreeMap<u16, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let (position, village) = self.roster[&(row.person, row.matter)];
            let row_of = Row { position, person: order[&row.person], village, canary: is_canary(row.person) };
            of_matters.entry(row.matter).or_default().push(row_of);
        }
        of_matters
    }

    /// Each person's place in the order of ID numbers.
    fn order(&self) -> HashMap<PersonId, u32> {
        let people: BTreeSet<PersonId> = self.roster.keys().map(|(person, _)| *person).collect();
        people.into_iter().zip(0..).collect()
    }
}

/// Matching keys that nobody computed: only their order matters, which is that of random numbers.
fn keys(source: SourceEpoch, snapshot: &Snapshot<'_>) -> Vec<(PersonId, MatchingKey)> {
    let mut chance = Chance::new(u64::from(source.source));
    let mut key = || {
        let mut bytes = [0; 32];
        bytes.as_chunks_mut().0.iter_mut().for_each(|word| *word = chance.below(u64::MAX).to_le_bytes());
        MatchingKey::from_bytes(bytes)
    };
    snapshot.people().unwrap().map(|person| (person.unwrap(), key())).collect()
}

/// Place on the roster and number of the village of each person and matter of an owner.
fn roster(policy: &Policy, owner: MemberNumber, path: &Path) -> BTreeMap<(PersonId, u16), (u32, u32)> {
    let matters: HashMap<&str, u16> = policy.matters_of(owner).map(|matter| matter.id.as_str()).zip(0..).collect();
    let mut roster = BTreeMap::new();
    for (position, row) in (0..).zip(csv::Reader::from_path(path).unwrap().records()) {
        let row = row.unwrap();
        let (Ok((person, _)), Some(matter)) = (PersonId::parse(&row[0]), matters.get(&row[1])) else { continue };
        let village = row[2].trim_start_matches('V').parse().unwrap();
        roster.entry((person, *matter)).or_insert((position, village));
    }
    roster
}

/// Persons as the authority invents them, at the end of the roster, at every matter.
fn add_canaries(roster: &mut BTreeMap<(PersonId, u16), (u32, u32)>, matters: u16) {
    let first = roster.len() as u32;
    for number in 0..CANARIES {
        let region = [11, 34, 65][number as usize % 3] * 10_000 + 9_999;
        let person = PersonId::from_u64((region * 100_000_000 + 19_500_101) * 1_000 + u64::from(number)).unwrap();
        roster.extend((0..matters).map(|matter| ((person, matter), (first + number, number % 7))));
    }
}

fn is_canary(person: PersonId) -> u32 {
    u32::from(person.to_u64() / 100_000_000_000 % 10_000 == 9_999)
}

#[test]
fn few_people_have_a_rare_pattern_of_rosters() {
    let folder = tempfile::tempdir().unwrap();
    let plan = CityPlan { seed: 9, records: 48, rounds: 2, ..CityPlan::for_people(CITY_PEOPLE) };
    generate(&plan, CATALOGUE, folder.path()).unwrap();
    let policy = Policy::read(CATALOGUE.as_bytes()).unwrap();
    let people = rosters(&policy, folder.path(), &plan.months().unwrap());
    let everybody: BTreeSet<MemberNumber> = policy.owners().collect();
    let of_group = |group| policy.owners().filter(|o| policy.groups[usize::from(*o)] == Some(group)).collect();
    let groups: Vec<BTreeSet<MemberNumber>> = (0..policy.group_count).map(of_group).collect();
    let found = [vec![everybody], groups].map(|groups| Rare::count(&policy, &people, &groups));
    for (name, rare) in ["one group for all", "the groups of the catalogue"].iter().zip(&found) {
        println!("{name}: of {} people, a pattern of rosters shared by at most {RARE} has {rare:?}", people.len());
    }
    let share = |count: usize| count as f64 / people.len() as f64;
    let [one, two] = &found;
    assert!(share(one.rosters) < 0.001 && share(two.rosters) < 0.000_05, "more than section 6 says");
    assert!(share(two.channels) < 0.000_1, "channels tell more of rosters than rosters do");
    assert!(share(two.months) < 0.000_05, "from month to month too");
    assert!(one.rosters > 5 * two.rosters, "groups are of use");
    assert!(one.rosters > 0, "the count finds something");
}

/// People whose pattern is shared by few, in some group.
#[derive(Debug, Default)]
struct Rare {
    /// Which owners' rosters they are on in the first month.
    rosters: usize,
    /// The same as seen in the records of two channels or more, where matters differ in their channels.
    channels: usize,
    /// Rare in both months, so that their tags of one month can be linked with those of the other.
    months: usize,
    /// A rare pair of patterns, joining and leaving among them: who could be told by somebody who links the months.
    changes: usize,
    /// Whose pattern of the second month nobody had in the first: they came, went or changed.
    new: usize,
}

/// The matters (a bit each) of people in the first and in the second month, and how many people have them.
type Sets = HashMap<[u32; 2], usize>;

impl Rare {
    fn count(policy: &Policy, people: &HashMap<PersonId, [u32; 2]>, groups: &[BTreeSet<MemberNumber>]) -> Rare {
        let mut sets = Sets::new();
        people.values().for_each(|matters| *sets.entry(*matters).or_default() += 1);
        let patterns: Vec<Group> = groups.iter().map(|owners| Group::new(policy, owners, &sets)).collect();
        let mut rare = Rare::default();
        for (matters, count) in &sets {
            let some = |has: fn(&Group, &[u32; 2]) -> bool| patterns.iter().any(|group| has(group, matters));
            let counted = |has: bool| if has { *count } else { 0 };
            rare.rosters += counted(some(|group, matters| group.rare(matters[0], 0)));
            rare.channels += counted(some(Group::rare_in_two_channels));
            rare.months += counted(some(|group, matters| group.rare(matters[0], 0) && group.rare(matters[1], 1)));
            rare.changes += counted(some(Group::rare_change));
            rare.new += counted(some(Group::new_pattern));
        }
        rare
    }
}

/// What the matcher sees of one pool group.
struct Group {
    /// For all channels together (first) and for each channel, the owners (a bit each) who have records of a matter's
    /// people there.
    owners_of: Vec<[u32; 32]>,
    /// How many people have each pattern in each month, for all channels and for each.
    shared: Vec<[HashMap<u32, usize>; 2]>,
    pairs: HashMap<[u32; 2], usize>,
}

impl Group {
    fn new(policy: &Policy, owners: &BTreeSet<MemberNumber>, sets: &Sets) -> Group {
        let matters: Vec<(usize, u32)> = policy
            .matters
            .iter()
            .enumerate()
            .filter(|(_, m)| owners.contains(&m.owner))
            .map(|(place, matter)| (place, 1 << matter.owner))
            .collect();
        let table = |applies: &dyn Fn(usize) -> bool| {
            let mut table = [0; 32];
            matters.iter().filter(|(place, _)| applies(*place)).for_each(|(place, owner)| table[*place] = *owner);
            table
        };
        let of_channel = |channel: usize| table(&|matter: usize| policy.matters[matter].channels.contains(&channel));
        let owners_of: Vec<_> =
            [table(&|_| true)].into_iter().chain((0..policy.channels.len()).map(of_channel)).collect();
        let mut group = Group { shared: vec![Default::default(); owners_of.len()], owners_of, pairs: HashMap::new() };
        for (matters, count) in sets {
            for channel in 0..group.owners_of.len() {
                for (month, of_month) in matters.iter().enumerate() {
                    let pattern = group.pattern(*of_month, channel);
                    *group.shared[channel][month].entry(pattern).or_default() += count;
                }
            }
            *group.pairs.entry(matters.map(|matters| group.pattern(matters, 0))).or_default() += count;
        }
        group
    }

    /// The owners who have a record of somebody with these matters; channel 0 stands for all.
    fn pattern(&self, matters: u32, channel: usize) -> u32 {
        let owners = &self.owners_of[channel];
        (0..32).filter(|matter| matters >> matter & 1 == 1).fold(0, |all, matter| all | owners[matter])
    }

    fn few(&self, pattern: u32, channel: usize, month: usize) -> bool {
        pattern != 0 && self.shared[channel][month].get(&pattern).is_some_and(|people| *people <= RARE)
    }

    fn rare(&self, matters: u32, month: usize) -> bool {
        self.few(self.pattern(matters, 0), 0, month)
    }

    fn rare_in_two_channels(&self, matters: &[u32; 2]) -> bool {
        let channels = 1..self.owners_of.len();
        channels.filter(|channel| self.few(self.pattern(matters[0], *channel), *channel, 0)).take(2).count() == 2
    }

    fn rare_change(&self, matters: &[u32; 2]) -> bool {
        let pair = matters.map(|matters| self.pattern(matters, 0));
        pair != [0, 0] && self.pairs.get(&pair).is_some_and(|people| *people <= RARE)
    }

    fn new_pattern(&self, matters: &[u32; 2]) -> bool {
        let pattern = self.pattern(matters[1], 0);
        pattern != 0 && !self.shared[0][0].contains_key(&pattern)
    }
}

/// The matters of each person in two months, a bit for each by its place in the policy.
fn rosters(policy: &Policy, dir: &Path, months: &[String]) -> HashMap<PersonId, [u32; 2]> {
    let place: HashMap<&str, usize> = policy.matters.iter().map(|matter| matter.id.as_str()).zip(0..).collect();
    let mut people: HashMap<PersonId, [u32; 2]> = HashMap::new();
    for owner in policy.owners() {
        for (month, name) in months.iter().enumerate() {
            let path = dir.join(format!("departments/{}/roster.{name}.csv", policy.member_id(owner)));
            let mut table = csv::Reader::from_path(path).unwrap();
            let mut row = csv::StringRecord::new();
            while table.read_record(&mut row).unwrap() {
                let own = place.get(&row[1]).filter(|place| policy.matters[**place].owner == owner);
                let (Ok((person, _)), Some(matter)) = (PersonId::parse(&row[0]), own) else { continue };
                people.entry(person).or_default()[month] |= 1 << matter;
            }
        }
    }
    people
}

const ROUND: wugan_protocol::hexes::Digest = Hex([5; 32]);
const PEOPLE: u64 = 8_000;
const CANARIES: u32 = 600;
/// The seed city's.
const CITY_PEOPLE: u64 = 1_366_700;
/// A pattern that so many share tells little; the same as in section 6.
const RARE: usize = 10;
/// Scores beyond it have a probability below 10^-11 each in a random order. The test's orders are fixed by a seed.
const THRESHOLD: f64 = 7.0;
/// Fewer are not looked at: some controls would go unnoticed.
const ITEMS_MIN: usize = 2_000;
const KINDS_MAX: usize = 32;
const PARTS: usize = 32;
const BLOCK: usize = 64;
const BUCKETS: u64 = 16;
