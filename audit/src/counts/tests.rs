//! Each count as large and as small as it may be, and one step beyond.
#![allow(clippy::unwrap_used, clippy::panic)]

use wugan_protocol::{
    limits::{POOL_SIZE_STEP_MAX, about},
    party::{Party, Role},
    policy::Decision,
    testing::{ROWS_MAX, World},
};

use super::*;

/// Every channel is on the list; the owner with one matter, of which `strong_positive` has four channels, has announced
/// records of these.
fn world(records: [u64; 4]) -> (World, Party) {
    let mut world = World::new();
    world.open_round("2026-11");
    world.list(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let owner = world.node("civil");
    for (channel, count) in (1..).zip(records) {
        world.announce(owner, FileKey::Records { owner: owner.member, channel }, count, &[]);
    }
    (world, owner)
}

fn fits(world: &World, file: FileKey, count: u64) -> bool {
    let counts = Counts { round: world.ledger.round().unwrap(), federation: &world.federation };
    counts.announced(&Announcement { file, count, digest: wugan_protocol::hexes::Hex([0; 32]) })
}

/// Exactly these counts, all multiples of 256, fit.
fn only(world: &World, file: FileKey, counts: RangeInclusive<u64>) {
    for count in (0..8_192).step_by(256) {
        assert_eq!(fits(world, file, count), counts.contains(&count), "{} {count}", file.name());
    }
}

#[test]
fn records_and_rows_are_no_more_than_the_manifest_allows() {
    let (world, owner) = world([0; 4]);
    let owner = owner.member;
    assert_eq!(ROWS_MAX, 100);
    only(&world, FileKey::Records { owner, channel: 1 }, 0..=256);
    // Each row is in the list once for each channel of the class: four, three and three.
    only(&world, FileKey::Rows { owner, class: Class::StrongPositive }, 0..=512);
    only(&world, FileKey::Rows { owner, class: Class::WeakPositive }, 0..=512);
    only(&world, FileKey::Rows { owner, class: Class::WeakNegative }, 0..=0);
    let bureau = world.node("bureau").member;
    only(&world, FileKey::Records { owner: bureau, channel: 1 }, 0..=256);
    only(&world, FileKey::Rows { owner: bureau, class: Class::StrongPositive }, 0..=1_024);
    assert!(!fits(&world, FileKey::Pool { channel: 1, group: 0 }, round_up_count(FILE_ITEMS_MAX) + 256));
}

#[test]
fn a_bitmap_has_a_handle_for_each_record() {
    let (world, owner) = world([100, 100, 90, 0]);
    let owner = owner.member;
    // Three times 1 to 256 records.
    only(&world, FileKey::Bitmap { owner, class: Class::StrongPositive }, 256..=768);
    only(&world, FileKey::Bitmap { owner, class: Class::WeakPositive }, 0..=0);
}

#[test]
fn bits_are_as_many_as_the_row_lists_have_rows() {
    let (mut world, party) = world([100; 4]);
    let owner = party.member;
    let bits = FileKey::Bits { owner };
    let lists = [(Class::StrongPositive, 400), (Class::WeakPositive, 300), (Class::StrongNegative, 300)];
    for (class, words) in lists {
        world.announce(party, FileKey::Rows { owner, class }, words, &[]);
    }
    only(&world, bits, 256..=256);
    let (mut other, party) = self::world([100; 4]);
    for (class, words) in [(Class::StrongPositive, 400), (Class::WeakPositive, 0), (Class::StrongNegative, 300)] {
        other.announce(party, FileKey::Rows { owner, class }, words, &[]);
    }
    assert!(!(0..=1_024).step_by(256).any(|count| fits(&other, bits, count)), "the lists differ");
    let (mut fewer, party) = self::world([1_000; 4]);
    for (class, words) in [(Class::StrongPositive, 100), (Class::WeakPositive, 100), (Class::StrongNegative, 100)] {
        fewer.announce(party, FileKey::Rows { owner, class }, words, &[]);
    }
    assert!(!fits(&fewer, bits, 256), "a record without a row");
}

#[test]
fn decisions_are_as_many_as_bits_and_totals_sum_up_to_them() {
    let (mut world, party) = world([100; 4]);
    let owner = party.member;
    for (class, words) in [(Class::StrongPositive, 400), (Class::WeakPositive, 300), (Class::StrongNegative, 300)] {
        world.announce(party, FileKey::Rows { owner, class }, words, &[]);
    }
    let (matcher, aggregator) = (world.federation.matcher(), world.federation.aggregator());
    for channel in 5..=10 {
        world.announce(party, FileKey::Records { owner, channel }, 100, &[]);
    }
    world.announce(party, FileKey::Rows { owner, class: Class::WeakNegative }, 0, &[]);
    world.state(matcher, Statement::Receipt(wugan_protocol::statement::Receipt::Records { owner }));
    world.state(aggregator, Statement::Receipt(wugan_protocol::statement::Receipt::Rows { owner }));
    for class in Class::ALL {
        let count = if class == Class::WeakNegative { 0 } else { 300 };
        world.announce(matcher, FileKey::Bitmap { owner, class }, count, &[]);
    }
    world.announce(aggregator, FileKey::Bits { owner }, 100, &[]);
    only(&world, FileKey::Decisions { owner }, 256..=256);
    let coordinator = Party { member: world.policy().coordinator, role: Role::Coordinator };
    world.announce(coordinator, FileKey::Decisions { owner }, 100, &[]);
    let told = |counts: [u64; 4]| {
        let counts =
            Decision::ALL.into_iter().zip(counts).map(|(decision, n)| DecisionCount { decision, about: about(n) });
        let matters = vec![MatterTotals { matter: 3, counts: counts.collect() }];
        let totals = Totals { owner, digest: wugan_protocol::hexes::Hex([0; 32]), matters };
        Counts { round: world.ledger.round().unwrap(), federation: &world.federation }.totals(&totals).is_ok()
    };
    assert!(told([90, 7, 3, 0]) && told([1, 0, 0, 0]) && told([102, 0, 0, 0]));
    assert!(!told([103, 0, 0, 0]) && !told([60, 60, 0, 0]), "more rows than the manifest allows");
    assert!(!told([90, 0, 0, 10]), "nothing is missing, so nobody is deferred");
}

#[test]
fn pools_of_size_classes_are_multiples_of_the_step() {
    let world = World::new();
    let with_step = |step: u64| {
        let text =
            wugan_protocol::testing::CATALOGUE.replacen("[policy]", &format!("[policy]\npool_size_step = {step}"), 1);
        Policy::read(text.as_bytes()).unwrap()
    };
    for (step, good, bad) in [(1_000, &[0, 1_024, 2_048][..], &[256, 512, 1_280][..]), (256, &[0, 256, 512], &[])] {
        let policy = with_step(step);
        assert!(good.iter().all(|count| is_multiple(&policy, *count)), "{step}");
        assert!(!bad.iter().any(|count| is_multiple(&policy, *count)), "{step}");
    }
    assert!([0, 256, 512].iter().all(|count| is_multiple(&world.policy(), *count)), "without size classes");
    assert!(is_multiple(&with_step(POOL_SIZE_STEP_MAX as u64), 1 << 20));
}
