//! Members with valid identities that lie, in whole simulated federations: what they send is refused, they are asked again,
//! and then go missing; everybody else's decisions are the model's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::ptr_arg, reason = "what changes a file may change its length")]

use std::{fs, path::Path};

use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_protocol::{file::FileKey, message::Message, party::Role, reason::Reason};
use wugan_tests::{
    audit::{Audited, Refusal},
    checks::agrees_without,
    sim::{Faults, Liar, Lie, Sim, Which},
};

#[test]
fn a_source_whose_pool_is_not_in_order_loses_that_channel() {
    let city = City::new(31);
    let liars = [
        node("public_security", Lie::Bytes(channel::<1>, swap_first_two::<12>)),
        node("tax", Lie::Bytes(channel::<31>, repeat_first::<12>)),
        node("power_supply", Lie::Count(channel::<47>)),
    ];
    let (audited, sim) = city.run(liars.to_vec());
    let file = |channel| format!("pool-{channel}-0");
    for (channel, reason) in [(1, "not_sorted"), (31, "not_sorted"), (47, "count_differs")] {
        assert_eq!(refusals(&audited, MATCHER, &file(channel)), [reason, reason], "refused, and once again");
    }
    assert!(sim.blamed().is_empty(), "{:?}", sim.blamed());
    let missing = [
        ("public_security", "id_card_service"),
        ("tax", "income_tax_filing"),
        ("power_supply", "household_electricity"),
    ];
    city.agrees_without(&missing, &[]);
}

#[test]
fn an_owner_whose_records_or_rows_are_wrong_is_absent() {
    let city = City::new(33);
    let records: Which = |file| matches!(file, FileKey::Records { .. });
    let rows: Which = |file| matches!(file, FileKey::Rows { .. });
    let liars: [(&str, Lie, &str, &str); 6] = [
        ("civil_affairs", Lie::Bytes(records, swap_first_two::<16>), "records", "not_sorted"),
        ("health", Lie::Bytes(records, handle_out_of_range), "records", "bad_handles"),
        ("transport", Lie::Bytes(records, handle_repeated), "records", "bad_handles"),
        ("agriculture", Lie::Bytes(rows, row_served_twice), "rows", "bad_rows"),
        ("veterans", Lie::Bytes(rows, row_out_of_range), "rows", "bad_rows"),
        ("housing", Lie::Count(rows), "rows", "count_differs"),
    ];
    // Of bytes that were not announced the log knows nothing: their receiver says so to the sender, and keeps nothing.
    let unannounced = [
        node("disabled_federation", Lie::Afterwards(records, cut_short)),
        node("culture_tourism", Lie::Afterwards(channel::<40>, |bytes| bytes[50] ^= 1)),
    ];
    let absent: Vec<&str> = liars.iter().map(|(id, ..)| *id).chain(["disabled_federation"]).collect();
    let nodes = liars.iter().map(|(id, lie, ..)| node(id, lie.clone())).chain(unannounced).collect();
    let (audited, _) = city.run(nodes);
    for (id, _, kind, reason) in &liars {
        let by = if *kind == "records" { MATCHER } else { "data_resources/aggregator" };
        let prefix = format!("{kind}-{}-", member(id));
        assert_eq!(refusals(&audited, by, &prefix), [*reason, reason], "{id} is refused, and once again");
    }
    assert_eq!(audited.refusals.len(), 2 * liars.len(), "{:?}", audited.refusals);
    for owner in &absent {
        let bits = format!("bits-{}", member(owner));
        assert!(!audited.files.keys().any(|(_, file)| *file == bits), "{owner} has signal bits");
    }
    city.agrees_without(&[("culture_tourism", "scenic_area_entry")], &absent);
}

#[test]
fn a_server_that_lies_leaves_one_owner_undecided_and_whoever_speaks_out_of_turn_is_cut_off() {
    let city = City::new(34);
    let water: Which = |file| matches!(file, FileKey::Bitmap { owner: 18, .. });
    let transport: Which = |file| matches!(file, FileKey::Bits { owner: 5 });
    assert_eq!((member("water"), member("transport")), (18, 5));
    let element = [0xff; 32];
    let messages = vec![
        Message::Online { time: 0, nodes: vec![1, 2, 3] },
        Message::Entries { first: 0, lines: vec![b"{}".to_vec()] },
        Message::Submit { line: b"{}".to_vec() },
        Message::Submit { line: Vec::new() },
        Message::Follow { entries: 1 << 40 },
        Message::Batch { owner: 3, batch: 0, sources: vec![0], blinded: vec![element; 256] },
        Message::Answer { owner: 4, batch: 0, source: 0, evaluated: vec![element; 256], proof: [[0; 32]; 2] },
    ];
    let count = messages.len();
    let liars = vec![
        liar("cyberspace_administration", Role::Matcher, Lie::Bytes(water, one_handle_more)),
        liar("data_resources", Role::Aggregator, Lie::Bytes(transport, every_bit)),
        node("education", Lie::Messages(messages)),
        node("data_resources", Lie::Messages(vec![Message::Online { time: 0, nodes: Vec::new() }])),
    ];
    let (audited, sim) = city.run(liars);
    assert_eq!(refusals(&audited, "data_resources/aggregator", "bitmap-18-"), ["count_differs", "count_differs"]);
    assert_eq!(refusals(&audited, "human_resources/coordinator", "bits-5"), ["bad_bits"]);
    assert_eq!(audited.refusals.len(), 3, "{:?}", audited.refusals);
    let (education, others): (Vec<_>, Vec<_>) = sim.blamed().iter().partition(|(who, _)| who == "education/node");
    assert_eq!(education.len(), count, "{education:?}");
    assert_eq!(others, [&("data_resources/node".to_owned(), Reason::NotAllowed)]);
    city.agrees_without(&[], &["water", "transport"]);
}

#[test]
fn a_source_that_answers_with_another_key_enrols_nobody() {
    let city = City::new(35);
    let (audited, _) = city.run(vec![node("forestry", Lie::Answers)]);
    let refused: Vec<&Refusal> = audited.refusals.iter().filter(|refusal| refusal.reason == "bad_proof").collect();
    assert_eq!(refused.len(), 10, "each owner finds it: {:?}", audited.refusals);
    // Without that source's keys nobody has a row, so everybody is deferred, by the owner itself.
    let mut decided = 0;
    for department in fs::read_dir(city.dir().join("departments")).unwrap() {
        let table = department.unwrap().path().join("decisions/2026-06.csv");
        let Ok(table) = fs::read_to_string(table) else { continue };
        assert!(table.lines().skip(1).all(|line| line.ends_with(",deferred,")), "a decision without a proof");
        decided += table.lines().count() - 1;
    }
    assert!(decided > 60, "{decided} rows");
}

/// The seed city, small.
struct City {
    folder: tempfile::TempDir,
    seed: u64,
}

impl City {
    fn new(seed: u64) -> City {
        let folder = tempfile::tempdir().unwrap();
        generate(&CityPlan { seed, ..CityPlan::for_people(60) }, CATALOGUE, folder.path()).unwrap();
        install_roster(folder.path(), MONTH, true).unwrap();
        City { folder, seed }
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a round in which the staff waits long for the liars, in vain.
    fn run(&self, liars: Vec<Liar>) -> (Audited, Sim) {
        let awaited_in_vain: Vec<String> = liars.iter().map(|liar| liar.id.clone()).collect();
        let mut sim = Sim::start_with(self.dir(), &[], &["roster.csv".to_owned()], liars, self.seed).unwrap();
        sim.round(MONTH.parse().unwrap(), &awaited_in_vain, Faults::default()).unwrap();
        (sim.audit().unwrap(), sim)
    }

    /// The decisions are the model's for a city in which these channels cannot be read; these owners have none.
    fn agrees_without(&self, missing: &[(&str, &str)], absent: &[&str]) {
        for (department, channel) in missing {
            let table = self.dir().join(format!("departments/{department}/channels/{channel}.csv"));
            fs::remove_file(table).unwrap();
        }
        agrees_without(self.dir(), MONTH, &[], absent).unwrap();
    }
}

fn node(id: &str, lie: Lie) -> Liar {
    liar(id, Role::Node, lie)
}

fn liar(id: &str, role: Role, lie: Lie) -> Liar {
    Liar { id: id.to_owned(), role, lie }
}

/// Why a party refused files whose names begin so.
fn refusals<'a>(audited: &'a Audited, by: &str, prefix: &str) -> Vec<&'a str> {
    let named = |refusal: &&Refusal| refusal.file.as_deref().is_some_and(|file| file.starts_with(prefix));
    audited.refusals.iter().filter(|refusal| refusal.by == by).filter(named).map(|r| r.reason.as_str()).collect()
}

/// A department's member number.
fn member(id: &str) -> u16 {
    let policy = wugan_protocol::policy::Policy::read(CATALOGUE.as_bytes()).unwrap();
    policy.member_number(id).unwrap()
}

fn channel<const NUMBER: u16>(file: FileKey) -> bool {
    matches!(file, FileKey::Pool { channel, .. } if channel == NUMBER)
}

/// Items of `N` bytes follow a header of 40.
fn swap_first_two<const N: usize>(bytes: &mut Vec<u8>) {
    if let [first, second, ..] = bytes[40..].as_chunks_mut::<N>().0 {
        std::mem::swap(first, second);
    }
}

fn repeat_first<const N: usize>(bytes: &mut Vec<u8>) {
    bytes.copy_within(40..40 + N, 40 + N);
}

fn cut_short(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 1);
}

fn handle_out_of_range(bytes: &mut Vec<u8>) {
    if let [record, ..] = bytes[40..].as_chunks_mut::<16>().0 {
        record[12..].copy_from_slice(&u32::MAX.to_le_bytes());
    }
}

/// The same handle in every channel of a class.
fn handle_repeated(bytes: &mut Vec<u8>) {
    if let [record, ..] = bytes[40..].as_chunks_mut::<16>().0 {
        record[12..].fill(0);
    }
}

/// The last record of a class is there once more. Row lists are words, behind the header.
fn row_served_twice(bytes: &mut Vec<u8>) {
    if one_more(bytes) > 1 {
        let last = bytes[bytes.len() - 4..].to_vec();
        bytes.extend(last);
        // Not a further row of the same record.
        *bytes.last_mut().unwrap() &= 0x7f;
    }
}

fn row_out_of_range(bytes: &mut Vec<u8>) {
    // A class without records has a header only, and stays as it is told to be.
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
}

fn one_handle_more(bytes: &mut Vec<u8>) {
    if one_more(bytes) % 8 == 1 {
        bytes.push(0);
    }
}

/// Every bit of the last row, the spare ones too.
fn every_bit(bytes: &mut Vec<u8>) {
    *bytes.last_mut().unwrap() = 0xff;
}

/// Adds one to the count in a header, and gives the sum.
fn one_more(bytes: &mut [u8]) -> u64 {
    let count = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) + 1;
    bytes[32..40].copy_from_slice(&count.to_le_bytes());
    count
}

const MONTH: &str = "2026-06";
const MATCHER: &str = "cyberspace_administration/matcher";
