//! The policy against its specification: the seed catalogue, every refusal, and outcomes against brute force.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod model;

use std::collections::BTreeSet;

use common::CATALOGUE;
use model::{Model, Sketch, counts_up_to};
use proptest::prelude::*;
use wugan_protocol::policy::{Class, Counts, DEFERRED, Decision, Items, MatterRound, Outcome, Policy, PolicyError};
use wugan_protocol::text::{Language, Say};

const SEED: &[u8] = include_bytes!("../../deploy/demo/catalogue.toml");

#[test]
fn the_seed_catalogue_has_the_reports_totals() {
    let policy = Policy::read(SEED).unwrap();
    let of = |class: Class| policy.channels.iter().filter(|channel| channel.class == class).count();
    assert_eq!(policy.departments.len(), 24);
    assert_eq!(policy.owners().count(), 10);
    assert_eq!((policy.channels.len(), policy.matters.len()), (48, 24));
    assert_eq!(of(Class::StrongPositive) + of(Class::WeakPositive), 43);
    assert_eq!(of(Class::StrongNegative) + of(Class::WeakNegative), 5);
    assert_eq!(of(Class::StrongPositive) + of(Class::StrongNegative), 39);
    assert_eq!(of(Class::WeakPositive) + of(Class::WeakNegative), 9);
    assert_eq!((policy.group_count, policy.missing_max, policy.matcher_number()), (2, 3, 24));
    assert_eq!(policy.member_id(24), "cyberspace_administration");
    assert_eq!(policy.member_number("cyberspace_administration"), Some(24));
    assert_eq!(policy.member_id(policy.coordinator), "human_resources");
    assert_eq!(policy.member_id(policy.aggregator), "data_resources");
    let all = policy.channels.iter().map(|channel| channel.number).collect();
    for matter in &policy.matters {
        let round = policy.matter_round(matter, &all);
        assert_eq!(round.caps(), [1, 2, 1, 1], "the largest bound of each class");
        assert_eq!(round.row_bytes(), 1);
        assert_eq!(round.present().len(), matter.channels.len(), "nothing is missing");
        assert!((0..=4).all(|rule| round.decision(Outcome::Rule(rule)) != Decision::Deferred));
    }
}

#[test]
fn the_hash_is_over_the_exact_bytes() {
    let policy = Policy::read(CATALOGUE.as_bytes()).unwrap();
    assert_eq!(policy.hash, wugan_protocol::hexes::sha256(CATALOGUE.as_bytes()));
    assert_ne!(policy.hash, Policy::read(format!("{CATALOGUE}\n").as_bytes()).unwrap().hash);
}

#[test]
fn numbers_order_channels_and_matters_whatever_the_file_says() {
    let swapped = CATALOGUE.replace("number = 3\n", "number = 99\n");
    let policy = Policy::read(swapped.as_bytes()).unwrap();
    assert_eq!(policy.channels.last().unwrap().id, "id_card");
    assert_eq!(policy.channel(99).unwrap().id, "id_card");
    let all = policy.channels.iter().map(|channel| channel.number).collect();
    let present = policy.matter_round(&policy.matters[0], &all).present().to_vec();
    assert_eq!(present, [1, 2, 4, 5, 6, 7, 8, 99]);
}

fn refused(from: &str, to: &str) -> PolicyError {
    assert!(CATALOGUE.contains(from), "{from}");
    Policy::read(CATALOGUE.replacen(from, to, 1).as_bytes()).unwrap_err()
}

fn unknown(at: &str, name: &str) -> PolicyError {
    PolicyError::Unknown { at: at.into(), name: name.into() }
}

#[test]
fn unknown_names_are_refused_wherever_they_stand() {
    let bureau = "coordinator = \"bureau\"";
    assert_eq!(refused(bureau, "coordinator = \"nobody\""), unknown("federation", "nobody"));
    assert_eq!(refused("aggregator = \"data\"", "aggregator = \"x\""), unknown("federation", "x"));
    assert_eq!(refused("[\"housing\"]", "[\"housing\", \"x\"]"), unknown("pool_groups", "x"));
    assert_eq!(refused("[\"tenancy_review\"]", "[\"tenancy_reviews\"]"), unknown("exposed", "tenancy_reviews"));
    let police = "id = \"id_card\"\ndepartment = \"police\"";
    assert_eq!(refused(police, "id = \"id_card\"\ndepartment = \"x\""), unknown("channel id_card", "x"));
    let pension = "id = \"pension\"\ndepartment = \"bureau\"";
    assert_eq!(refused(pension, "id = \"pension\"\ndepartment = \"x\""), unknown("matter pension", "x"));
    let of_police = refused(pension, "id = \"pension\"\ndepartment = \"police\"");
    assert_eq!(of_police, unknown("matter pension", "roster owner police"));
    assert_eq!(refused("ruleset = \"standard\"", "ruleset = \"x\""), unknown("matter pension", "x"));
    for choice in ["{ only = [\"x\"] }", "{ except = [\"x\"] }"] {
        assert_eq!(refused("channels = \"all\"", &format!("channels = {choice}")), unknown("matter pension", "x"));
    }
}

#[test]
fn nothing_is_named_twice() {
    let twice = |from, to, what: &str| assert_eq!(refused(from, to), PolicyError::Twice(what.into()));
    twice("id = \"clinic\"", "id = \"police\"", "department police");
    twice("id = \"vaccination\"", "id = \"id_card\"", "channel id_card");
    twice("number = 4", "number = 3", "channel 3");
    twice("id = \"rent_subsidy\"", "id = \"pension\"", "matter pension");
    twice("positive_weak\"", "no_trace\"", "rule no_trace of standard");
    let number = "[[matter]]\nnumber = 2";
    twice(number, "[[matter]]\nnumber = 1", "matter 1");
    let another = "[[ruleset]]\nid = \"standard\"\nrules = []\n\n[[ruleset]]";
    twice("[[ruleset]]", another, "ruleset standard");
}

#[test]
fn ids_are_safe_in_file_names() {
    let refused = |from: &str, to: &str| match refused(from, to) {
        PolicyError::UnsafeId(name) => name,
        other => panic!("{other}"),
    };
    assert_eq!(refused("id = \"id_card\"", "id = \"../id_card\""), "channel \"../id_card\"");
    assert_eq!(refused("id = \"pension\"", "id = \"\""), "matter \"\"");
    assert_eq!(refused("id = \"police\"", "id = \".police\""), "department \".police\"");
    assert_eq!(refused("{ id = \"matcher\"", "{ id = \"a\\nb\""), "matcher \"a\\nb\"");
    assert_eq!(refused("id = \"id_card\"", &format!("id = \"{}\"", "a".repeat(65))).len(), 75);
    let odd = CATALOGUE.replacen("\"vaccination\"", &format!("\"疫苗 {}\"", "a".repeat(57)), 1);
    assert!(Policy::read(odd.as_bytes()).is_ok());
}

#[test]
fn malformed_catalogues_say_where() {
    let text = |from: &str, to: &str| refused(from, to).to_string();
    let missing = text("missing_max = 1", "missing_maximum = 1");
    assert!(missing.contains(", column 1: unknown field `missing_maximum`"), "{missing}");
    let problem = Policy::read(b"[policy]\nname = \"\xff\"").unwrap_err();
    assert!(problem.to_string().starts_with("line 2, column 9: not UTF-8"), "{problem}");
    assert!(problem.said(Language::Chinese).starts_with("第 2 行第 9 列：不是 UTF-8"));
    let field = Policy::read(CATALOGUE.replacen("missing_max", "missing_most", 1).as_bytes()).unwrap_err();
    let chinese = field.said(Language::Chinese);
    assert!(chinese.contains("没有这个字段：`missing_most`，应为以下之一：`name`"), "{chinese}");
}

#[test]
fn rulesets_end_with_a_rule_for_every_row_and_never_defer() {
    let last = "{ id = \"no_trace\", decide = \"unmatched\" },";
    let none = PolicyError::NoLastRule("standard".into());
    assert_eq!(refused(last, ""), none);
    for bound in ["at_least = { weak_positive = 1 }", "at_most = { weak_negative = 0 }"] {
        assert_eq!(refused(last, &format!("{{ id = \"last\", {bound}, decide = \"unmatched\" }},")), none);
    }
    assert_eq!(refused("[[ruleset]]", "[[ruleset]]\nid = \"empty\"\nrules = []\n\n[[ruleset]]"), {
        PolicyError::NoLastRule("empty".into())
    });
    let defers = PolicyError::RuleDefers("positive_weak".into());
    assert_eq!(refused("{ weak_positive = 1 }, decide = \"certified\"", "{}, decide = \"deferred\""), defers);
}

#[test]
fn everything_is_bounded() {
    let too_many = |what, limit| PolicyError::TooMany { what, limit };
    let bound = too_many(Items::Bound, 15);
    assert_eq!(refused("at_least = { weak_positive = 1 }", "at_least = { weak_positive = 16 }"), bound);
    assert_eq!(refused("at_least = { weak_positive = 1 }", "at_most = { weak_positive = 4294967295 }"), bound);
    let fifteen = CATALOGUE.replace("at_least = { weak_positive = 1 }", "at_most = { weak_positive = 15 }");
    assert!(Policy::read(fifteen.as_bytes()).is_ok());

    let retention = |days, decisions| PolicyError::Retention { days, decisions };
    assert_eq!(refused("retention_days = 40", "retention_days = 0"), retention(0, 400));
    assert_eq!(refused("retention_days = 40", "retention_days = 401"), retention(401, 400));
    assert_eq!(refused("decision_retention_days = 400", "decision_retention_days = 39"), retention(40, 39));

    let days = || too_many(Items::Days, 36_525);
    assert_eq!(refused("days_between_rounds = 25", "days_between_rounds = 36526"), days());
    assert_eq!(refused("decision_retention_days = 400", "decision_retention_days = 9223372036854775807"), days());
    assert_eq!(refused("window_days = 90", "window_days = 4294967295"), days());

    let rules: String = (0..128).map(|i| format!("{{ id = \"r{i}\", decide = \"certified\" }},")).collect();
    assert_eq!(refused("rules = [", &format!("rules = [{rules}")), too_many(Items::Rules, 128));
    let groups = (0..255).map(|_| "[],").collect::<String>();
    assert_eq!(refused("pool_groups = [", &format!("pool_groups = [{groups}")), too_many(Items::Groups, 255));

    let department =
        |i| format!("\n[[department]]\nid = \"d{i}\"\nname_zh = \"\"\nname_en = \"\"\nroster_owner = false\n");
    let more = |item: &dyn Fn(usize) -> String, n| {
        let text = CATALOGUE.to_owned() + &(1..=n).map(item).collect::<String>();
        Policy::read(text.as_bytes()).map(|_| ())
    };
    assert_eq!(more(&department, 1_018), Ok(()));
    assert_eq!(more(&department, 1_019), Err(too_many(Items::Departments, 1_023)));
    let channel = |i| {
        format!(
            "\n[[channel]]\nnumber = {}\nid = \"c{i}\"\ndepartment = \"police\"\nname_zh = \"\"\nname_en = \"\"\n\
             polarity = \"positive\"\nstrength = \"strong\"\nwindow_days = 1\nrecords = 1\n",
            100 + i
        )
    };
    assert_eq!(more(&channel, 248), Ok(()));
    assert_eq!(more(&channel, 249), Err(too_many(Items::Channels, 256)));
    let matter = |i| {
        format!(
            "\n[[matter]]\nnumber = {}\nid = \"m{i}\"\ndepartment = \"bureau\"\nname_zh = \"\"\nname_en = \"\"\n\
             kind = \"outreach\"\nrecipients = 1\ncycle_months = 1\nchannels = \"all\"\nruleset = \"standard\"\n",
            100 + i
        )
    };
    assert_eq!(more(&matter, 254), Ok(()));
    assert_eq!(more(&matter, 255), Err(too_many(Items::Matters, 256)));
}

#[test]
fn a_policy_may_ask_for_size_classes_of_pools() {
    let read = |step: &str| {
        let text = CATALOGUE.replace("missing_max = 1", &format!("missing_max = 1\npool_size_step = {step}"));
        Policy::read(text.as_bytes()).map(|policy| policy.pool_size_step.map(u64::from))
    };
    assert_eq!(Policy::read(CATALOGUE.as_bytes()).unwrap().pool_size_step, None);
    assert_eq!((read("1"), read("1048576")), (Ok(Some(1)), Ok(Some(1_048_576))));
    for step in ["0", "-1", "1.5"] {
        assert!(matches!(read(step), Err(PolicyError::Malformed(_))), "{step}");
    }
    let limit = Err(PolicyError::TooMany { what: Items::Tags, limit: 1_048_576 });
    assert_eq!(read("1048577"), limit);
    assert_eq!(read("9223372036854775807"), limit);
}

#[test]
fn servers_are_independent() {
    let refused = |from, to| matches!(refused(from, to), PolicyError::NotIndependent(_));
    assert!(refused("matcher = { id = \"matcher\"", "matcher = { id = \"clinic\""));
    assert!(refused("aggregator = \"data\"", "aggregator = \"bureau\""));
    assert!(refused("aggregator = \"data\"", "aggregator = \"housing\""));
}

#[test]
fn every_roster_owner_is_in_exactly_one_pool_group() {
    let groups = |to: &str, id: &str| {
        assert_eq!(refused("[[\"bureau\"], [\"housing\"]]", to), PolicyError::Groups(id.into()), "{to}");
    };
    groups("[[\"bureau\"]]", "housing");
    groups("[]", "bureau");
    groups("[[\"bureau\"], [\"housing\", \"bureau\"]]", "bureau");
    groups("[[\"bureau\", \"bureau\"], [\"housing\"]]", "bureau");
    groups("[[\"bureau\"], [\"housing\", \"police\"]]", "police");
    let one = CATALOGUE.replace("pool_groups = [[\"bureau\"], [\"housing\"]]\n", "");
    let policy = Policy::read(one.as_bytes()).unwrap();
    assert_eq!((policy.group_count, policy.groups[0], policy.groups[2]), (1, Some(0), None));
}

#[test]
fn a_class_hides_its_departments_at_every_matter() {
    let small = |matter: &str, class| PolicyError::ClassTooSmall { matter: matter.into(), class };
    let only = |ids: &str| refused("channels = \"all\"", &format!("channels = {{ only = [{ids}] }}"));
    let strong = "\"service_hall\", \"id_card\", \"vaccination\"";
    assert!(matches!(
        Policy::read(CATALOGUE.replacen("channels = \"all\"", &format!("channels = {{ only = [{strong}] }}"), 1).as_bytes()),
        Ok(policy) if policy.matters[0].channels.len() == 3
    ));
    // Two, and three of which one is the owner's own.
    assert_eq!(only("\"id_card\", \"vaccination\""), small("pension", Class::StrongPositive));
    assert_eq!(only("\"id_card\", \"vaccination\", \"counter_visit\""), small("pension", Class::StrongPositive));
    assert_eq!(only(&format!("{strong}, \"cremation\"")), small("pension", Class::StrongNegative));
    // Three, all in one department.
    let one_department = CATALOGUE
        .replace(
            "id = \"death_certificate\"\ndepartment = \"clinic\"",
            "id = \"death_certificate\"\ndepartment = \"police\"",
        )
        .replace("id = \"cremation\"\ndepartment = \"data\"", "id = \"cremation\"\ndepartment = \"police\"");
    assert_eq!(Policy::read(one_department.as_bytes()).unwrap_err(), small("pension", Class::StrongNegative));
    // Not exposed any more.
    assert_eq!(refused("exposed = [\"tenancy_review\"]", ""), small("pension", Class::WeakPositive));
    // A class in which only some are exposed.
    let some = "exposed = [\"tenancy_review\", \"deregistration\", \"cremation\"]";
    assert!(Policy::read(CATALOGUE.replace("exposed = [\"tenancy_review\"]", some).as_bytes()).is_ok());
}

#[test]
fn two_matters_of_an_owner_differ_in_nothing_or_in_enough() {
    let other = |channels: &str| {
        let matter = format!(
            "\n[[matter]]\nnumber = 3\nid = \"bonus\"\ndepartment = \"bureau\"\nname_zh = \"\"\nname_en = \"\"\n\
             kind = \"certify\"\nrecipients = 1\ncycle_months = 1\nchannels = {channels}\nruleset = \"standard\"\n"
        );
        Policy::read((CATALOGUE.to_owned() + &matter).as_bytes()).map(|policy| policy.matters.len())
    };
    let alike = |matter: &str, other: &str, class| {
        Err(PolicyError::MattersTooAlike { matter: matter.into(), other: other.into(), class })
    };
    assert_eq!(other("\"all\""), Ok(3));
    assert_eq!(other("{ except = [\"counter_visit\"] }"), Ok(3), "the owner's own is not counted");
    assert_eq!(other("{ except = [\"tenancy_review\"] }"), Ok(3), "exposed");
    let class = Class::StrongNegative;
    assert_eq!(other("{ except = [\"deregistration\", \"death_certificate\", \"cremation\"] }"), Ok(3));
    let strong = "\n[[channel]]\nnumber = 20\nid = \"permit\"\ndepartment = \"data\"\nname_zh = \"\"\nname_en = \"\"\n\
                  polarity = \"negative\"\nstrength = \"strong\"\nwindow_days = 1\nrecords = 1\n";
    let more = CATALOGUE.to_owned() + strong;
    let text = more.replacen("channels = \"all\"", "channels = { except = [\"permit\"] }", 1);
    assert!(Policy::read(text.as_bytes()).is_ok(), "matters of different owners may differ");
    let both = text
        .replace("id = \"rent_subsidy\"\ndepartment = \"housing\"", "id = \"rent_subsidy\"\ndepartment = \"bureau\"");
    assert_eq!(Policy::read(both.as_bytes()).map(|_| ()), alike("rent_subsidy", "pension", class));
}

#[test]
fn what_is_not_a_catalogue_is_malformed() {
    for text in ["", "[policy]\n", "policy = 3", "[[channel", "\u{feff}\u{0}"] {
        assert!(matches!(Policy::read(text.as_bytes()), Err(PolicyError::Malformed(_))), "{text}");
    }
    assert!(matches!(Policy::read(&[0xff]), Err(PolicyError::Malformed(_))));
    for (from, to) in [
        ("missing_max = 1", "missing_max = -1"),
        ("missing_max = 1", "missing_most = 1"),
        ("window_days = 90", "window_days = 90.5"),
        ("strength = \"strong\"", "strength = \"medium\""),
        ("polarity = \"positive\"", ""),
        ("decide = \"unmatched\"", "decide = \"suspend\""),
        ("at_least = { weak_positive = 1 }", "at_least = { positive = 1 }"),
        ("kind = \"certify\"", "kind = \"pay\""),
        ("channels = \"all\"", "channels = \"some\""),
        ("channels = \"all\"", "channels = { some = [\"id_card\"] }"),
        ("channels = \"all\"", "channels = { only = [\"id_card\"], except = [] }"),
        ("number = 8", "number = 65536"),
    ] {
        assert!(matches!(refused(from, to), PolicyError::Malformed(_)), "{to}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let text = refused("exposed = [\"tenancy_review\"]", "").to_string();
    assert!(text.contains("pension") && text.contains("weak_positive") && text.contains("exposed"), "{text}");
}

/// A matter with caps 2, 3, 1, 1 over channels that suffice.
fn wide() -> MatterRound {
    let rules = "{ id = \"a\", at_least = { strong_positive = 2, weak_positive = 3 }, decide = \"certified\" },
        { id = \"b\", at_most = { strong_negative = 0 }, at_least = { weak_negative = 1 }, decide = \"suspected\" },
        { id = \"c\", at_least = { strong_positive = 1 }, decide = \"certified\" },
        { id = \"d\", at_least = { strong_negative = 1 }, decide = \"suspected\" },
        { id = \"e\", at_least = { weak_positive = 2 }, decide = \"certified\" },
        { id = \"f\", decide = \"unmatched\" },";
    let sketch = Sketch {
        owners: vec![true, false, false, false],
        channels: (0..4).flat_map(|class| (1..4).map(move |department| (department, class, false))).collect(),
        matters: vec![(0, vec![true; 12])],
        rules: vec![],
    };
    let policy = Policy::read(sketch.catalogue_with(rules).as_bytes()).unwrap();
    policy.matter_round(&policy.matters[0], &(1..=12).collect())
}

#[test]
fn signal_bits_are_unary_in_file_order_least_significant_first() {
    let round = wide();
    assert_eq!((round.caps(), round.row_bytes()), ([2, 3, 1, 1], 1));
    let vectors: [(Counts, u8); 6] = [
        ([0, 0, 0, 0], 0b0000_0000),
        ([1, 0, 0, 0], 0b0000_0001),
        ([2, 3, 0, 0], 0b0001_1111),
        ([0, 2, 0, 0], 0b0000_1100),
        ([0, 0, 1, 0], 0b0010_0000),
        ([0, 0, 0, 1], 0b0100_0000),
    ];
    for (counts, bits) in vectors {
        let mut row = [0xff];
        round.encode(counts, &mut row);
        assert_eq!(row, [bits], "{counts:?}");
        assert_eq!(round.lowest(counts), counts);
        assert_eq!(round.decode(&row), Some(counts));
    }
    let lowest: BTreeSet<Counts> = vectors.into_iter().map(|(counts, _)| counts).collect();
    let read: BTreeSet<Counts> = (0..=255).filter_map(|bits| round.decode(&[bits])).collect();
    assert_eq!(read, lowest, "one vector for each rule, every other byte is refused");
    assert_eq!((round.decode(&[]), round.decode(&[0, 0])), (None, None));
}

#[test]
fn a_row_of_more_than_eight_bits_goes_on_in_the_next_byte() {
    let rules = "{ id = \"a\", at_least = { strong_positive = 3, weak_positive = 3, strong_negative = 3 }, decide = \"certified\" },
        { id = \"b\", decide = \"unmatched\" },";
    let sketch = Sketch {
        owners: vec![true, false, false, false],
        channels: (0..3).flat_map(|class| (1..4).map(move |department| (department, class, false))).collect(),
        matters: vec![(0, vec![true; 9])],
        rules: vec![],
    };
    let policy = Policy::read(sketch.catalogue_with(rules).as_bytes()).unwrap();
    let round = policy.matter_round(&policy.matters[0], &(1..=9).collect());
    let mut row = [0xaa; 2];
    round.encode([3, 3, 3, 0], &mut row);
    assert_eq!((round.row_bytes(), row), (2, [0xff, 0x01]));
    assert_eq!(round.decode(&row), Some([3, 3, 3, 0]));
    assert_eq!(round.decode(&[0xff, 0x03]), None, "a spare bit");
    assert_eq!(round.decode(&[0xff, 0x00]), None, "not a lowest vector");
}

#[test]
fn a_decision_byte_names_the_rule_or_says_deferred() {
    assert_eq!((Outcome::Rule(7).byte(), Outcome::Deferred.byte(), DEFERRED), (7, 255, 255));
}

#[test]
fn a_class_that_no_longer_hides_is_missing_unless_exposed() {
    let policy = Policy::read(CATALOGUE.as_bytes()).unwrap();
    let pension = policy.matter_round(&policy.matters[0], &[1, 2, 3, 4, 5, 7, 8].into());
    assert_eq!(pension.available(), [4, 1, 0, 0], "two negatives remain: all are missing; one exposed is enough");
    assert_eq!(pension.outcome([1, 0, 0, 0]), Outcome::Deferred, "a death might be known");
    let rent = policy.matter_round(&policy.matters[1], &[1, 2, 3, 5, 6, 7].into());
    assert_eq!(rent.available(), [3, 0, 3, 0]);
    assert_eq!(rent.outcome([1, 0, 0, 0]), Outcome::Rule(1), "a missing positive changes no decision");
    assert_eq!(rent.outcome([0, 0, 0, 0]), Outcome::Deferred);
    assert_eq!(rent.outcome([0, 0, 1, 0]), Outcome::Rule(0), "suspected stands");
    let own = policy.matter_round(&policy.matters[0], &[1, 2, 3, 5, 6, 7].into());
    assert_eq!(own.available(), [0, 0, 3, 0], "the owner's own goes with its class");
}

/// Compares every vector of a matter's round with the model; counts go one beyond the caps.
fn compare(round: &MatterRound, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(round.present(), &model.present[..]);
    prop_assert_eq!(round.caps(), model.caps());
    prop_assert_eq!(round.available(), model.available);
    let (mut lowest, mut decisions) = (BTreeSet::new(), BTreeSet::new());
    for counts in counts_up_to(model.available) {
        let (rule, decision) = model.outcome(counts);
        decisions.insert(decision);
        let outcome = round.outcome(counts);
        prop_assert_eq!(outcome.byte(), rule, "{:?}", counts);
        prop_assert_eq!(round.decision(outcome), decision);
        let expected = model.lowest(counts);
        prop_assert_eq!(round.lowest(counts), expected, "{:?}", counts);
        lowest.insert(expected);
    }
    let can: BTreeSet<Decision> = Decision::ALL.into_iter().filter(|decision| round.can_decide(*decision)).collect();
    prop_assert_eq!(can, decisions);
    compare_bits(round, &lowest)
}

/// Exactly the lowest vectors have bits, and come back from them.
fn compare_bits(round: &MatterRound, lowest: &BTreeSet<Counts>) -> Result<(), TestCaseError> {
    for counts in lowest {
        let mut row = vec![0xff; round.row_bytes()];
        round.encode(*counts, &mut row);
        prop_assert_eq!(&row, &model::bits(*counts, round.caps()));
        prop_assert_eq!(round.decode(&row), Some(*counts));
    }
    if round.row_bytes() <= 2 {
        let patterns = 0..1_u32 << (8 * round.row_bytes());
        let read = patterns.filter(|bits| round.decode(&bits.to_le_bytes()[..round.row_bytes()]).is_some());
        prop_assert_eq!(read.count(), lowest.len());
    }
    Ok(())
}

/// Compares every matter in a round in which the channels of `absent` (a bit each) are missing.
fn compare_all(policy: &Policy, absent: u32) -> Result<(), TestCaseError> {
    let numbers = policy.channels.iter().map(|channel| channel.number);
    let list: BTreeSet<u16> = numbers.filter(|number| absent >> (number % 32) & 1 == 0).collect();
    for matter in &policy.matters {
        compare(&policy.matter_round(matter, &list), &Model::new(policy, matter, &list))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn random_policies_agree_with_brute_force(sketch in model::sketches(), absent in any::<u32>()) {
        let expected = sketch.refusal();
        let policy = Policy::read(sketch.catalogue().as_bytes());
        prop_assert_eq!(policy.as_ref().err(), expected.as_ref());
        let Ok(policy) = policy else { return Ok(()) };
        compare_all(&policy, absent)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn random_policies_of_many_channels_and_large_bounds_agree_with_brute_force(
        sketch in model::deep_sketches(), absent in any::<u32>(), away in any::<u32>()
    ) {
        let policy = Policy::read(sketch.catalogue().as_bytes()).unwrap();
        compare_all(&policy, absent & away)?;
    }
}

#[test]
fn the_largest_policy_is_decided_at_once() {
    // Every bound that there may be, of all classes, 32 channels in each, and nobody's answer changes the decision: the
    // most that there is to look at.
    let rule =
        |i: u32| (std::array::from_fn(|c| (i + 4 * c as u32) % 16), [Some(15), Some(15), Some(15), Some(i % 16)], 0);
    let mut rules: Vec<_> = (0..126).map(rule).collect();
    rules.push(([0; 4], [None; 4], 0));
    let sketch = Sketch {
        owners: vec![true, false, false, false, false],
        channels: (0..128).map(|i| (1 + i % 4, usize::from(i / 32), false)).collect(),
        matters: vec![(0, vec![true; 128])],
        rules,
    };
    let policy = Policy::read(sketch.catalogue().as_bytes()).unwrap();
    let (list, matter) = ((1..=128).filter(|n| n % 2 == 1).collect(), &policy.matters[0]);
    let round = policy.matter_round(matter, &list);
    assert_eq!((round.caps(), round.available()), ([16; 4], [16; 4]));
    let model = Model::new(&policy, matter, &list);
    for i in 0..60 {
        let counts: Counts = [i % 17, i * 5 % 17, i * 7 % 17, i * 11 % 17];
        assert_eq!(round.outcome(counts).byte(), model.outcome(counts).0, "{counts:?}");
        assert_eq!(round.outcome(round.lowest(counts)), round.outcome(counts), "{counts:?}");
        assert!(round.lowest(counts).iter().sum::<u32>() <= counts.iter().sum());
    }
}

#[test]
fn the_seed_catalogue_agrees_with_brute_force_for_every_three_departments_offline() {
    let policy = Policy::read(SEED).unwrap();
    let may_miss: Vec<u16> = (0..24).filter(|d| *d != policy.coordinator && *d != policy.aggregator).collect();
    let mut offline: Vec<Vec<u16>> = vec![vec![]];
    for (i, a) in may_miss.iter().enumerate() {
        offline.push(vec![*a]);
        for (j, b) in may_miss.iter().enumerate().skip(i + 1) {
            offline.push(vec![*a, *b]);
            offline.extend(may_miss.iter().skip(j + 1).map(|c| vec![*a, *b, *c]));
        }
    }
    assert_eq!(offline.len(), 1 + 22 + 231 + 1_540);
    let matters = ["resident_pension", "orphan_support", "disability_living_subsidy"];
    for away in offline {
        let here = policy.channels.iter().filter(|channel| !away.contains(&channel.source));
        let list: BTreeSet<u16> = here.map(|channel| channel.number).collect();
        assert!(policy.enough_for_a_list(&list));
        assert!(policy.missing_departments(&list).iter().all(|department| away.contains(department)));
        for matter in policy.matters.iter().filter(|matter| matters.contains(&matter.id.as_str())) {
            let mut model = Model::new(&policy, matter, &list);
            let round = policy.matter_round(matter, &list);
            assert_eq!((round.present(), round.available()), (&model.present[..], model.available));
            // Beyond the caps, counts up to one more; the model itself knows no caps.
            let caps = model.caps();
            model.available = std::array::from_fn(|c| model.available[c].min(caps[c] + 1));
            for counts in counts_up_to(model.available) {
                assert_eq!(round.outcome(counts).byte(), model.outcome(counts).0, "{away:?} {} {counts:?}", matter.id);
                assert_eq!(round.lowest(counts), model.lowest(counts), "{away:?} {} {counts:?}", matter.id);
            }
        }
    }
}

#[test]
fn a_list_needs_the_servers_own_departments_and_few_missing() {
    let policy = Policy::read(SEED).unwrap();
    let without = |away: &[u16]| -> BTreeSet<u16> {
        policy.channels.iter().filter(|c| !away.contains(&c.source)).map(|c| c.number).collect()
    };
    assert!(!policy.enough_for_a_list(&without(&[policy.coordinator])));
    assert!(!policy.enough_for_a_list(&without(&[policy.aggregator])));
    let others: Vec<u16> = (0..24)
        .filter(|d| policy.channels_of(*d).next().is_some())
        .filter(|d| *d != policy.coordinator && *d != policy.aggregator)
        .collect();
    assert!(policy.enough_for_a_list(&without(&others[..3])));
    assert!(!policy.enough_for_a_list(&without(&others[..4])));
    // One channel of a department is enough to miss it.
    let own = policy.channels_of(policy.coordinator).next().unwrap().number;
    assert!(!policy.enough_for_a_list(&policy.channels.iter().map(|c| c.number).filter(|n| *n != own).collect()));
}

#[test]
fn the_random_policies_are_not_idle() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut read, mut deferred, mut lowered, mut dropped) = (0, 0, 0, 0);
    for _ in 0..600 {
        let sketch = model::sketches().new_tree(&mut runner).unwrap().current();
        let Ok(policy) = Policy::read(sketch.catalogue().as_bytes()) else { continue };
        read += 1;
        let list: BTreeSet<u16> = (2..=sketch.channels.len() as u16).collect();
        for matter in &policy.matters {
            let model = Model::new(&policy, matter, &list);
            let vectors: Vec<Counts> = counts_up_to(model.available).collect();
            deferred += usize::from(vectors.iter().any(|counts| model.outcome(*counts).0 == DEFERRED));
            lowered += usize::from(vectors.iter().any(|counts| model.lowest(*counts) != *counts));
            dropped += usize::from(matter.channels.len() > model.present.len() + 1);
        }
    }
    assert!(read > 150 && deferred > 40 && lowered > 200 && dropped > 40, "{read} {deferred} {lowered} {dropped}");
}
