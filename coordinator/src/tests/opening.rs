use wugan_protocol::reason::Reason;
use wugan_protocol::text::Language;

use crate::{
    admin::{Done, Refusal, Request, Response},
    round::node,
    status::Phase,
    testing::{self, CATALOGUE, Rig, START},
};

fn refused(response: Response) -> Refusal {
    match response {
        Response::Refused { refusal } => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn opens_with_the_times_of_the_request() {
    let mut rig = Rig::new();
    let opened = rig.open("2026-11");
    let Response::Done { done: Done::Opened { pools_close_from, enrolment_until, rows_until, .. } } = &opened else {
        panic!("{opened:?}")
    };
    assert_eq!([*pools_close_from, *enrolment_until, *rows_until], [START + 100, START + 200, START + 300]);
    let manifest = rig.ledger.open_round().unwrap().manifest();
    assert_eq!(manifest.month.to_string(), "2026-11");
    assert_eq!(manifest.rows_until, START + 300);
    assert_eq!(rig.engine.status(rig.now).phase, Phase::Pools);
    assert!(opened.text(Language::English).contains("2026-11-01 00:01"), "{}", opened.text(Language::English));
}

#[test]
fn refuses_a_second_round_and_nothing_is_logged() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    let entries = rig.log.len();
    let refusal = rig.open("2026-12");
    assert!(refusal.text(Language::Chinese).contains("2026-11"));
    assert_eq!(refused(refusal), Refusal::RoundOpen { month: "2026-11".parse().unwrap() });
    assert_eq!(rig.log.len(), entries);
}

#[test]
fn refuses_a_month_that_is_not_later_or_comes_too_soon() {
    let mut rig = Rig::of(&CATALOGUE.replace("days_between_rounds = 0", "days_between_rounds = 25"));
    rig.until_deciding(&[]);
    assert!(rig.ledger.round().unwrap().ended(), "nobody is present, so all is decided");
    assert_eq!(refused(rig.open("2026-11")), Refusal::MonthNotLater { counted: "2026-11".parse().unwrap() });
    assert_eq!(refused(rig.open("2026-10")), Refusal::MonthNotLater { counted: "2026-11".parse().unwrap() });
    let from = START + 25 * 86_400;
    assert_eq!(refused(rig.open("2026-12")), Refusal::TooSoon { from, days: 25 });
    rig.now = from - 1;
    assert_eq!(refused(rig.open("2026-12")), Refusal::TooSoon { from, days: 25 });
    rig.now = from;
    assert!(matches!(rig.open("2026-12"), Response::Done { .. }));
}

#[test]
fn names_the_sources_without_a_key() {
    let federation = testing::federation(testing::policy(CATALOGUE));
    let tax = federation.policy().member_number("tax").unwrap();
    let others = (0..federation.policy().matcher_number()).filter(|source| *source != tax);
    let setup = others.map(|source| testing::key_epoch(&federation, source)).collect();
    let mut rig = Rig::with(federation.clone(), setup);
    assert_eq!(refused(rig.open("2026-11")), Refusal::KeysMissing { departments: vec!["tax".into()] });
    let commands = rig.feed(wugan_protocol::engine::Input::Message(
        node(tax),
        wugan_protocol::message::Message::Submit { line: testing::key_epoch(&federation, tax) },
    ));
    assert!(!commands.is_empty());
    assert!(matches!(rig.open("2026-11"), Response::Done { .. }));
}

#[test]
fn refuses_times_that_cannot_be() {
    let mut rig = Rig::new();
    let month = "2026-11".parse().unwrap();
    let entries = rig.log.len();
    for (close_after_s, enrolment_s, rows_s) in [(0, 100, 99), (0, 0, 93 * 86_400), (u64::MAX, 0, 0)] {
        let refusal = rig.ask(Request::Open { month, close_after_s, enrolment_s, rows_s });
        assert!(matches!(refused(refusal), Refusal::Times { .. }));
    }
    assert_eq!(rig.log.len(), entries);
}

#[test]
fn a_void_round_leaves_its_month_open() {
    let mut rig = Rig::new();
    assert_eq!(refused(rig.ask(Request::Abandon {})), Refusal::NoRound {});
    rig.open("2026-11");
    rig.pools_without(&["tax"]);
    let month = "2026-11".parse().unwrap();
    assert_eq!(rig.ask(Request::Abandon {}), Response::Done { done: Done::Abandoned { month } });
    assert_eq!(rig.engine.status(rig.now).phase, Phase::Abandoned);
    rig.now += 1;
    assert!(matches!(rig.open("2026-11"), Response::Done { .. }));
    rig.now += 100;
    rig.pools_without(&[]);
    rig.list();
    assert_eq!(refused(rig.ask(Request::Abandon {})), Refusal::ListLogged {});
}

#[test]
fn requests_are_read_strictly() {
    let open = br#"{"cmd":"open","month":"2026-11","close_after_s":1,"enrolment_s":2,"rows_s":3}"#;
    let month = "2026-11".parse().unwrap();
    assert_eq!(Request::read(open).unwrap(), Request::Open { month, close_after_s: 1, enrolment_s: 2, rows_s: 3 });
    assert_eq!(Request::read(br#"{"cmd":"status"}"#).unwrap(), Request::Status {});
    assert_eq!(Request::read(br#"{"cmd":"close"}"#).unwrap(), Request::Close {});
    assert_eq!(Request::read(br#"{"cmd":"abandon"}"#).unwrap(), Request::Abandon {});
    for bad in ["", "{}", r#"{"cmd":"stop"}"#, r#"{"cmd":"open","month":"11"}"#, r#"{"cmd":"close","month":"2026-11"}"#]
    {
        assert_eq!(refused(Request::read(bad.as_bytes()).unwrap_err()), Refusal::Unreadable {}, "{bad}");
    }
    let rule = Response::Refused { refusal: Refusal::Rule { reason: Reason::RoundReused } };
    assert_eq!(rule.line(), r#"{"answer":"refused","refusal":{"why":"rule","reason":"round_reused"}}"#);
}
