//! What is decided.

use super::city::{CHANNELS, City, catalogue, id};

fn standard() -> City {
    City::new(&catalogue(CHANNELS, "\"wn\"", &[]))
}

/// Without the channels of department `d`, except for those of `kept`.
fn without_d(kept: &[&str]) -> Vec<&'static str> {
    let stays = |c: &&&str| !c.starts_with("d/") || kept.iter().any(|k| c.starts_with(k));
    CHANNELS.iter().filter(stays).copied().collect()
}

#[test]
fn the_first_rule_that_holds_decides() {
    for (found, decided) in [
        (&[][..], "unmatched no_trace"),
        (&["a/wp1"], "unmatched no_trace"),
        (&["a/wp1", "b/wp2"], "certified positive_weak"),
        (&["a/wp1", "b/wp2", "c/wp3", "d/wp4"], "certified positive_weak"),
        (&["a/sp1"], "certified positive_strong"),
        (&["owner/own"], "certified positive_strong"),
        (&["a/sp1", "a/wp1", "b/wp2"], "certified positive_strong"),
        (&["d/wn"], "suspected negative_weak"),
        (&["d/wn", "a/wp1", "b/wp2"], "suspected negative_weak"),
        (&["d/wn", "a/sp1"], "certified positive_strong"),
        (&["d/wn", "a/sn1"], "suspected negative_strong"),
        (&["a/sp1", "b/sp2", "a/wp1", "b/wp2", "c/sn3"], "suspected negative_strong"),
    ] {
        assert_eq!(standard().decide("all", found, &[]), decided, "{found:?}");
    }
}

#[test]
fn a_person_counts_once_in_a_channel() {
    let city = standard();
    let rows = [format!("{},2026-11-15", id(1)), format!("{},2026-11-16", id(1))];
    city.channel("a", "wp1", &rows);
    assert_eq!(city.decide("all", &[], &[]), "unmatched no_trace");
}

#[test]
fn records_of_others_do_not_count() {
    let city = standard();
    city.channel("a", "sp1", &[format!("{},2026-11-15", id(2))]);
    assert_eq!(city.decide("all", &[], &[]), "unmatched no_trace");
}

#[test]
fn records_outside_the_window_do_not_count() {
    for (seen_on, decided) in [
        ("2026-10-31", "unmatched no_trace"),
        ("2026-11-01", "certified positive_strong"),
        ("2026-11-30", "certified positive_strong"),
        ("2026-12-01", "unmatched no_trace"),
    ] {
        let city = standard();
        city.channel("a", "sp1", &[format!("{},{seen_on}", id(1))]);
        assert_eq!(city.decide("all", &[], &[]), decided, "{seen_on}");
    }
}

#[test]
fn only_channels_that_apply_count() {
    let matters = [
        ("without", "{ except = [\"sp1\", \"wp1\"] }"),
        ("with", "{ only = [\"sp1\", \"sp2\", \"sp3\", \"wp1\", \"wp2\", \"wp3\"] }"),
    ];
    let city = || City::new(&catalogue(CHANNELS, "\"wn\"", &matters));
    assert_eq!(city().decide("without", &["a/sp1"], &[]), "unmatched no_trace");
    assert_eq!(city().decide("without", &["a/wp1", "b/wp2"], &[]), "unmatched no_trace");
    assert_eq!(city().decide("without", &["b/sp2"], &[]), "certified positive_strong");
    assert_eq!(city().decide("with", &["a/sp1"], &[]), "certified positive_strong");
    assert_eq!(city().decide("with", &["d/sp4"], &[]), "unmatched no_trace");
    assert_eq!(city().decide("with", &["a/sn1", "d/wn"], &[]), "unmatched no_trace");
    assert_eq!(city().decide("all", &["a/sp1"], &[]), "certified positive_strong");
}

#[test]
fn a_channel_that_does_not_apply_is_not_missed() {
    let matters = [("with", "{ only = [\"sp1\", \"sp2\", \"sp3\"] }")];
    let city = City::new(&catalogue(CHANNELS, "\"wn\"", &matters));
    assert_eq!(city.decide("with", &[], &["d"]), "unmatched no_trace");
    assert_eq!(city.decide("all", &[], &["d"]), "deferred");
}

/// Here `d` has weak positive channels only, so that nothing else is missing with it.
#[test]
fn a_missing_weak_channel_defers_who_needs_just_one_more() {
    let city = || City::new(&catalogue(&without_d(&["d/wp4"]), "", &[]));
    assert_eq!(city().decide("all", &[], &["d"]), "unmatched no_trace");
    assert_eq!(city().decide("all", &["d/wp4"], &["d"]), "unmatched no_trace");
    assert_eq!(city().decide("all", &["a/wp1"], &["d"]), "deferred");
    assert_eq!(city().decide("all", &["a/wp1", "b/wp2"], &["d"]), "certified positive_weak");
    assert_eq!(city().decide("all", &["a/sp1"], &["d"]), "certified positive_strong");
    assert_eq!(city().decide("all", &["a/sn1"], &["d"]), "suspected negative_strong");
}

#[test]
fn two_missing_weak_channels_defer_who_has_none() {
    let channels = [&without_d(&["d/wp4"])[..], &["d/wp5 weak positive"]].concat();
    let city = City::new(&catalogue(&channels, "", &[]));
    assert_eq!(city.decide("all", &[], &["d"]), "deferred");
}

/// The rule that would fire may be another one, but not the decision: it stands, with the rule of what was found.
#[test]
fn a_missing_channel_that_changes_only_the_rule_defers_nobody() {
    let city = || City::new(&catalogue(&without_d(&["d/sp4"]), "", &[]));
    let two_weak = ["a/wp1", "b/wp2"];
    assert_eq!(city().decide("all", &two_weak, &[]), "certified positive_weak");
    assert_eq!(city().decide("all", &two_weak, &["d"]), "certified positive_weak");
    assert_eq!(city().decide("all", &["d/sp4", "a/wp1", "b/wp2"], &["d"]), "certified positive_weak");
    assert_eq!(city().decide("all", &["a/wp1"], &["d"]), "deferred");
}

#[test]
fn while_a_strong_negative_is_missing_certified_must_wait_and_suspected_by_another_stands() {
    let city = || City::new(&catalogue(&without_d(&["d/sn4"]), "", &[]));
    assert_eq!(city().decide("all", &["a/sp1"], &["d"]), "deferred");
    assert_eq!(city().decide("all", &[], &["d"]), "deferred");
    assert_eq!(city().decide("all", &["a/sn1"], &["d"]), "suspected negative_strong");
    assert_eq!(city().decide("all", &["a/sn1", "a/sp1"], &["d"]), "suspected negative_strong");
}

#[test]
fn suspected_by_another_strong_negative_waits_where_too_little_of_its_class_remains() {
    let channels = [without_d(&["d/wn"]), vec!["owner/sn5 strong negative"]].concat();
    let city = || City::new(&catalogue(&channels, "\"wn\"", &[]));
    assert_eq!(city().decide("all", &["b/sn2"], &[]), "suspected negative_strong");
    // Of sn1, sn2, sn3 two remain without the owner's own: the whole class is missing, sn2 and sn5 included.
    assert_eq!(city().decide("all", &["b/sn2"], &["a"]), "deferred");
    assert_eq!(city().decide("all", &["owner/sn5"], &["a"]), "deferred");
}

/// Suspected by the weak negative is the same decision whatever the strong negatives would say.
#[test]
fn suspected_stands_if_every_answer_of_a_missing_class_is_suspected_too() {
    let channels = [
        "b/sp1 strong positive",
        "c/sp2 strong positive",
        "d/sp3 strong positive",
        "a/sn1 strong negative",
        "b/sn2 strong negative",
        "c/sn3 strong negative",
        "d/wn weak negative",
    ];
    let city = || City::new(&catalogue(&channels, "\"wn\"", &[]));
    assert_eq!(city().decide("all", &["d/wn"], &["a"]), "suspected negative_weak");
    assert_eq!(city().decide("all", &["d/wn", "b/sn2"], &["a"]), "suspected negative_weak");
    assert_eq!(city().decide("all", &["d/wn", "b/sn2"], &[]), "suspected negative_strong");
    assert_eq!(city().decide("all", &["d/wn", "b/sp1"], &["a"]), "deferred");
}

#[test]
fn a_class_needs_three_other_channels_of_two_departments() {
    let three_of_two = ["a/sp1 strong positive", "a/sp2 strong positive", "b/sp3 strong positive"];
    let three_of_one = ["a/sp1 strong positive", "a/sp2 strong positive", "a/sp3 strong positive"];
    let two = ["a/sp1 strong positive", "b/sp2 strong positive"];
    let own = ["a/sp1 strong positive", "b/sp2 strong positive", "owner/sp3 strong positive"];
    for (channels, decided) in [
        (&three_of_two[..], "certified positive_strong"),
        (&three_of_one, "deferred"),
        (&two, "deferred"),
        (&own, "deferred"),
    ] {
        let city = City::new(&catalogue(channels, "", &[]));
        assert_eq!(city.decide("all", &["a/sp1"], &[]), decided, "{channels:?}");
    }
}

#[test]
fn what_does_not_apply_does_not_remain() {
    let matter = [("m", "{ except = [\"sp3\", \"sp4\", \"own\"] }")];
    let city = City::new(&catalogue(
        &["a/sp1 strong positive", "b/sp2 strong positive", "c/sp3 strong positive", "d/sp4 strong positive"],
        "",
        &[],
    ));
    assert_eq!(city.decide("all", &["a/sp1"], &[]), "certified positive_strong");
    let city = City::new(&catalogue(CHANNELS, "\"wn\"", &matter));
    assert_eq!(city.decide("m", &["a/sp1"], &[]), "deferred");
}

#[test]
fn an_exposed_class_counts_although_it_is_alone() {
    let city = |exposed| City::new(&catalogue(CHANNELS, exposed, &[]));
    assert_eq!(city("\"wn\"").decide("all", &["d/wn"], &[]), "suspected negative_weak");
    assert_eq!(city("").decide("all", &["d/wn"], &[]), "deferred");
    assert_eq!(city("").decide("all", &["a/sp1"], &[]), "certified positive_strong");
}

#[test]
fn a_class_is_exposed_only_if_all_its_channels_there_are() {
    let channels = [CHANNELS, &["c/wn2 weak negative"]].concat();
    let matter = [("m", "{ except = [\"wn2\"] }")];
    let city = |exposed| City::new(&catalogue(&channels, exposed, &matter));
    assert_eq!(city("\"wn\"").decide("all", &["d/wn"], &[]), "deferred");
    assert_eq!(city("\"wn\"").decide("m", &["d/wn"], &[]), "suspected negative_weak");
    assert_eq!(city("\"wn\", \"wn2\"").decide("all", &["d/wn"], &[]), "suspected negative_weak");
}

#[test]
fn a_missing_exposed_channel_is_missing_like_others() {
    let channels = without_d(&["d/wn"]);
    let city = || City::new(&catalogue(&channels, "\"wn\"", &[]));
    assert_eq!(city().decide("all", &[], &["d"]), "deferred");
    assert_eq!(city().decide("all", &["a/wp1", "b/wp2"], &["d"]), "deferred");
    assert_eq!(city().decide("all", &["a/sp1"], &["d"]), "certified positive_strong");
    assert_eq!(city().decide("all", &["a/sn1"], &["d"]), "suspected negative_strong");
}

/// An `at_most` can make a missing channel *save* somebody from a suspicion.
#[test]
fn a_missing_strong_positive_defers_a_weak_suspicion() {
    let channels = [&without_d(&["d/sp4"])[..], &["c/wn weak negative"]].concat();
    let city = || City::new(&catalogue(&channels, "\"wn\"", &[]));
    assert_eq!(city().decide("all", &["c/wn"], &[]), "suspected negative_weak");
    assert_eq!(city().decide("all", &["c/wn"], &["d"]), "deferred");
    assert_eq!(city().decide("all", &["c/wn", "a/sp1"], &["d"]), "certified positive_strong");
}

#[test]
fn an_absent_channel_file_is_a_missing_channel() {
    let city = standard();
    std::fs::remove_file(city.file("a", "channels/wp1.csv")).unwrap();
    assert_eq!(city.decide("all", &["b/wp2"], &[]), "deferred");
    assert_eq!(city.decide("all", &["c/wp3"], &[]), "certified positive_weak");
}

#[test]
fn a_channel_with_another_header_is_missing() {
    for content in ["", "person\n", "seen_on,person\n", "person;seen_on\n"] {
        let city = standard();
        city.write("a", "channels/wp1.csv", content);
        assert_eq!(city.decide("all", &["b/wp2"], &[]), "deferred", "{content:?}");
    }
}

#[test]
fn a_channel_fails_with_more_than_a_tenth_and_a_hundred_bad_rows() {
    for (bad, good, decided) in [
        (99, 1, "certified positive_strong"),
        (100, 900, "certified positive_strong"),
        (100, 899, "deferred"),
        (101, 900, "deferred"),
        (200, 1_801, "certified positive_strong"),
    ] {
        let city = standard();
        let mut rows = vec!["342199,2026-11-15".to_owned(); bad];
        rows.extend(vec![format!("{},2026-11-15", id(1)); good]);
        city.channel("a", "sp1", &rows);
        assert_eq!(city.decide("all", &[], &[]), decided, "{bad} bad, {good} good");
    }
}

#[test]
fn a_bad_row_does_not_count_and_the_others_do() {
    let city = standard();
    city.channel("a", "wp1", &[format!("{},2026-11-31", id(1))]);
    city.channel("b", "wp2", &[format!("{}x,2026-11-15", id(1)), format!("{},2026-11-15", id(1))]);
    assert_eq!(city.decide("all", &[], &[]), "unmatched no_trace");
    assert_eq!(city.decide("all", &["c/wp3"], &[]), "certified positive_weak");
}
