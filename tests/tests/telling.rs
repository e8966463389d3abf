//! What an auditor is told of a log besides findings: each round on a page and in a picture; and, when it looks again,
//! only what is new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use wugan_audit::{
    finding::{Finding, Rule},
    folder::CHECKPOINT,
    monitor::{Look, look},
    report::{html, unread},
    story::{Outcome, Story, Teller},
    verify::{Report, verify, verify_and_watch},
};
use wugan_protocol::{party::MemberNumber, reason::Reason, text::Language};
use wugan_tests::attack::{forger::Forger, genuine::Genuine};

#[test]
fn rounds_are_told_in_words_and_pictures_in_both_languages() {
    let genuine = Genuine::make();
    let (report, stories) = told(&genuine);
    let outcomes: Vec<Outcome> = stories.iter().map(|story| story.outcome).collect();
    assert_eq!(outcomes, [Outcome::Closed, Outcome::Abandoned, Outcome::Closed]);
    let [first, void, last] = &stories[..] else { panic!("three rounds") };
    assert_eq!((first.month, last.month), (report.months[0], report.months[1]));
    assert_eq!(void.month, last.month, "the month was opened anew");
    assert!(first.missing().is_empty() && !first.deletions.is_empty() && last.deletions.is_empty());
    let missing: Vec<&str> = last.missing().iter().map(|department| department.id.as_str()).collect();
    assert_eq!(missing, ["health"]);
    for story in [first, last] {
        assert!(story.cosigned.len() >= usize::from(story.quorum));
        assert!(story.times.opened <= story.times.ended.unwrap() && story.times.listed.is_some());
        let owners = story.owners.iter().filter(|owner| owner.complete);
        assert!(owners.clone().count() > 0 && owners.clone().all(|owner| owner.delivered && !owner.matters.is_empty()));
    }
    let [english, chinese] = [Language::English, Language::Chinese].map(|language| last.page(language));
    assert!(
        english.contains(&format!("round of {}: closed", last.month)) && english.contains("missing: "),
        "{english}"
    );
    assert!(chinese.contains("已结束") && chinese.contains("缺席"), "{chinese}");

    let pages = stories.iter().map(|story| story.page(Language::English));
    let cosigned: Vec<bool> = pages.map(|page| page.contains("Cosigned at its end by")).collect();
    assert_eq!(cosigned, [true, false, true], "nobody cosigns the end of a void round");

    let page = html(&report, &stories);
    assert!(page.contains("class=\"good\"") && page.contains("in order") && page.contains("无异常"));
    assert!(page.contains("channel missing") && page.matches("<details").count() == 3);
    for outside in ["<script", "http", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page must not load {outside}");
    }
}

#[test]
fn whoever_looks_again_is_told_what_is_new_and_whether_the_log_goes_on() {
    let genuine = Genuine::make();
    let (forger, lines) = (Forger { genuine: &genuine }, genuine.lines());
    let first_close = genuine.places("round_closed")[0];
    let looked = |lines: &[Vec<u8>], seen: Option<&[u8]>| {
        let now = time_of(lines.last().unwrap());
        look(&forger.published(lines), &genuine.authority, &[], seen, now).unwrap()
    };
    let rules = |look: &Look| look.report.findings.iter().map(|finding| finding.rule).collect::<Vec<_>>();

    let before = looked(&lines[..first_close], None);
    assert_eq!(rules(&before), []);
    let whole = looked(&lines, before.seen.as_deref());
    assert_eq!(rules(&whole), []);
    assert_eq!(whole.seen.as_ref(), forger.published(&lines).files.get(CHECKPOINT));
    let back = looked(&lines[..first_close], whole.seen.as_deref());
    assert_eq!((rules(&back), back.seen), (vec![Rule::RolledBack], None), "rolled back, and not seen");

    // An entry against the rules is told once: the log itself is in order.
    let members: BTreeSet<MemberNumber> = (0..=genuine.federation.policy().matcher_number()).collect();
    let place = *genuine.places("evaluation").last().unwrap();
    let mut more = genuine.entries[place].body.clone();
    more["count"] = (more["count"].as_u64().unwrap() + 256).into();
    let lied = forger.history(Some((place, more)), &members);
    let found = looked(&lied, None);
    assert!(rules(&found).contains(&Rule::EntryWithoutEffect), "{:?}", rules(&found));
    assert!(found.seen.is_some(), "{:?}", rules(&found));
    let again = looked(&lied, found.seen.as_deref());
    assert_eq!(rules(&again), []);
    assert_eq!(rules(&looked(&lied, before.seen.as_deref()))[0], Rule::RolledBack, "another history");
    assert!(look(&genuine.files, &genuine.authority, &[], Some(b"no checkpoint"), 0).is_err());
}

#[test]
fn a_log_of_which_nothing_can_be_told_gets_a_red_page() {
    let genuine = Genuine::make();
    let report = verify(&genuine.files, &[7; 32]);
    assert_eq!(report.federation, None);
    let page = html(&report, &[]);
    assert!(page.contains("class=\"bad\"") && !page.contains("class=\"good\""), "{page}");
    assert!(page.contains("whose log this is cannot be told") && page.contains("首个条目"), "{page}");
    assert!(unread(&Reason::Unreadable).contains("class=\"bad\""));
}

#[test]
fn a_round_that_is_overdue_is_told_by_whoever_looks_again() {
    let genuine = Genuine::make();
    let (forger, lines) = (Forger { genuine: &genuine }, genuine.lines());
    let overdue = |lines: &[Vec<u8>], now: u64| {
        let report = look(&forger.published(lines), &genuine.authority, &[], None, now).unwrap().report;
        report.findings.iter().any(|finding| finding.rule == Rule::Overdue)
    };
    let opened = genuine.places("round_manifest");
    let last = genuine.entries[*opened.last().unwrap()].body["time"].as_u64().unwrap();
    assert!(!overdue(&lines, last + 40 * DAY) && overdue(&lines, last + 40 * DAY + 1), "no round for 40 days");
    let first = &genuine.entries[opened[0]].body;
    let due = first["rows_until"].as_u64().unwrap();
    let open = &lines[..genuine.places("round_closed")[0]];
    assert!(!overdue(open, due + DAY) && overdue(open, due + DAY + 1), "a round that does not end");
    assert!(verify(&genuine.files, &genuine.authority).findings.is_empty(), "archives are verified too");
}

#[test]
fn nothing_is_kept_back_of_a_log_that_is_not_the_one_seen_last() {
    let genuine = Genuine::make();
    let forger = Forger { genuine: &genuine };
    let seen = genuine.files.files[CHECKPOINT].clone();
    // Another history: an early entry has another count, which its signer may not state.
    let place = genuine.places("evaluation")[0];
    let mut more = genuine.entries[place].body.clone();
    more["count"] = (more["count"].as_u64().unwrap() + 256).into();
    let members: BTreeSet<MemberNumber> = (0..=genuine.federation.policy().matcher_number()).collect();
    let lied = forger.history(Some((place, more)), &members);
    let now = time_of(lied.last().unwrap());
    let found = look(&forger.published(&lied), &genuine.authority, &[], Some(&seen), now).unwrap().report.findings;
    assert!(found.iter().any(|finding| finding.rule == Rule::RolledBack));
    let early = |finding: &Finding| finding.rule == Rule::EntryWithoutEffect && finding.entry == Some(place as u64);
    assert!(found.iter().any(early), "{found:?}");
    // An entry that was cut off is a file that is missing, not a log that was rolled back.
    let mut cut = genuine.files.clone();
    cut.files.retain(|path, _| !path.starts_with("tile/entries"));
    let found = look(&cut, &genuine.authority, &[], Some(&seen), now).unwrap().report.findings;
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::FileMissing]);
}

/// The coordinator's clock went back after somebody had looked: the entries before are told of with that entry.
#[test]
fn what_a_new_entry_shows_of_older_ones_is_new() {
    let genuine = Genuine::make();
    let (forger, place) = (Forger { genuine: &genuine }, genuine.last_close());
    let members: BTreeSet<MemberNumber> = (0..=genuine.federation.policy().matcher_number()).collect();
    let mut early = genuine.entries[place].body.clone();
    early["time"] = (early["time"].as_u64().unwrap() - 10 * DAY).into();
    let lines = forger.history(Some((place, early)), &members);
    let looked = |lines: &[Vec<u8>], seen: Option<&[u8]>| {
        let now = time_of(lines.last().unwrap()) + DAY;
        let look = look(&forger.published(lines), &genuine.authority, &[], seen, now).unwrap();
        let of_clocks = look.report.findings.iter().filter(|found| found.rule == Rule::Clock);
        (of_clocks.filter(|found| found.entry < Some(place as u64)).count(), look.seen)
    };
    let (before, seen) = looked(&lines[..place], None);
    let (told, seen) = looked(&lines, seen.as_deref());
    assert!(before == 0 && told > 0, "{before} before, {told} with the new entry");
    assert_eq!(looked(&lines, seen.as_deref()).0, 0, "told once");
}

fn time_of(line: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(line).unwrap()["body"]["time"].as_u64().unwrap()
}

const DAY: u64 = 86_400;

fn told(genuine: &Genuine) -> (Report, Vec<Story>) {
    let mut teller = Teller::default();
    let (report, _) =
        verify_and_watch(&genuine.files, &genuine.authority, &mut |logged, ledger| teller.take(logged, ledger));
    (report, teller.stories())
}
