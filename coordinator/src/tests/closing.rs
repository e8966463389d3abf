use wugan_protocol::{
    engine::{Command, Severity},
    party::Party,
    reason::Reason,
    statement::{Receipt, Statement},
    text::Language,
};

use crate::{
    admin::{Channels, Done, Refusal, Request, Response},
    round::node,
    status::{Awaited, Phase, Why},
    testing::{Rig, START},
};

fn refused(response: Response) -> Refusal {
    match response {
        Response::Refused { refusal } => refusal,
        other => panic!("{other:?}"),
    }
}

fn phase(rig: &Rig) -> Phase {
    rig.engine.status(rig.now).phase
}

#[test]
fn pools_close_by_themselves_when_complete_and_in_time() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    rig.pools_without(&["tax"]);
    rig.now = START + 100;
    rig.tick();
    assert_eq!(phase(&rig), Phase::Pools, "tax is waited for");
    let manifest = rig.ledger.open_round().unwrap().manifest().clone();
    let tax = rig.member("tax");
    rig.now = START + 99;
    manifest.channels.iter().filter(|channel| channel.source == tax).for_each(|channel| {
        rig.pool(channel);
    });
    assert_eq!(phase(&rig), Phase::Pools, "it is not time");
    rig.now = START + 100;
    rig.tick();
    assert_eq!(phase(&rig), Phase::List);
    assert_eq!(refused(rig.ask(Request::Close {})), Refusal::AwaitsList {});
}

#[test]
fn pools_are_closed_by_hand_with_reasons() {
    let mut rig = Rig::new();
    assert_eq!(refused(rig.ask(Request::Close {})), Refusal::NoRound {});
    rig.open("2026-11");
    assert_eq!(refused(rig.ask(Request::Close {})), Refusal::CloseTooEarly { from: START + 100 });
    rig.now = START + 100;
    let gone = ["tax", "transport", "agriculture", "data_resources"];
    rig.pools_without(&gone);
    let response = rig.ask(Request::Close {});
    let text = response.text(Language::English);
    let Refusal::TooManyMissing { missing_max: 3, needed, missing } = refused(response) else { panic!() };
    assert_eq!(needed, ["data_resources"]);
    assert_eq!(missing.len(), 4);
    assert!(
        missing.iter().all(|missing| gone.contains(&missing.department.as_str()) && text.contains(&missing.department))
    );
    assert_eq!(phase(&rig), Phase::Pools);

    let aggregator = rig.member("data_resources");
    for channel in rig.ledger.open_round().unwrap().manifest().channels.clone() {
        if channel.source == aggregator {
            rig.pool(&channel);
        }
    }
    let Response::Done { done: Done::PoolsClosed { missing } } = rig.ask(Request::Close {}) else { panic!() };
    let departments: Vec<&str> = missing.iter().map(|missing: &Channels| missing.department.as_str()).collect();
    assert_eq!(departments, ["transport", "agriculture", "tax"]);
    assert_eq!(phase(&rig), Phase::List);
}

#[test]
fn a_failed_channel_is_shown_and_not_waited_for_in_silence() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    let tax = node(rig.member("tax"));
    rig.connect(tax);
    let channel = rig.policy().channels_of(tax.member).next().unwrap().clone();
    let failure = Statement::Failure { channel: Some(channel.number), reason: Reason::Unreadable };
    let commands = rig.say(tax, failure);
    let told = |text: &str| text.contains(&channel.id) && text.contains("tax/node");
    assert!(commands.iter().any(|c| matches!(c, Command::Tell(Severity::Warn, text) if told(text))));
    let round = rig.engine.status(rig.now).round.unwrap();
    let status = round.departments.iter().find(|department| department.id == "tax").unwrap();
    assert_eq!((status.failed[0].reason, status.received, status.connected), (Reason::Unreadable, 0, true));
    assert!(!status.waiting_for.contains(&channel.id));
    let why = Why::Failed { reason: Reason::Unreadable };
    assert!(round.waits_for.iter().any(|wait| wait.who == "tax" && wait.why == why));
    assert!(round.waits_for.iter().any(|wait| wait.who == "water" && wait.why == Why::NotConnected {}));
}

#[test]
fn rows_close_when_every_owner_is_complete() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    rig.now = START + 100;
    rig.pools_without(&[]);
    rig.list();
    let owners: Vec<u16> = rig.policy().owners().collect();
    for owner in &owners {
        assert_eq!(phase(&rig), Phase::Rows);
        rig.rows(*owner);
    }
    assert_eq!(phase(&rig), Phase::Deciding);
    assert_eq!(rig.ledger.open_round().unwrap().present_owners(), owners);
    let ids: Vec<String> = owners.iter().map(|owner| rig.policy().member_id(*owner).to_owned()).collect();
    let until = rig.ledger.open_round().unwrap().manifest().rows_until;
    assert_eq!(refused(rig.ask(Request::Close {})), Refusal::OwnersUndecided { owners: ids.clone(), until });
    rig.now = until;
    let Response::Done { done: Done::RoundClosed { undecided } } = rig.ask(Request::Close {}) else { panic!() };
    assert_eq!((undecided, phase(&rig)), (ids, Phase::Closed));
}

#[test]
fn rows_are_closed_by_hand_but_not_while_files_are_on_the_way() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    rig.now = START + 100;
    rig.pools_without(&[]);
    rig.list();
    let water = rig.member("water");
    rig.rows_announced(water);
    let (matcher, aggregator): (Party, Party) = rig.servers();
    rig.say(matcher, Statement::Receipt(Receipt::Records { owner: water }));
    let owners = vec!["water".to_owned()];
    let refusal = rig.ask(Request::Close {});
    assert_eq!(refused(refusal), Refusal::OwnersIncomplete { owners, until: START + 300 });
    let waits = rig.engine.status(rig.now).round.unwrap().waits_for;
    let of_water: Vec<_> =
        waits.iter().filter(|wait| wait.what == Awaited::RowsReceipt { owner: "water".into() }).collect();
    assert_eq!(of_water[0].who, "water", "water itself is not connected, so it is the one to call");
    rig.say(aggregator, Statement::Receipt(Receipt::Rows { owner: water }));
    let Response::Done { done: Done::RowsClosed { absent } } = rig.ask(Request::Close {}) else { panic!() };
    assert_eq!(absent.len(), 9);
    assert!(!absent.contains(&"water".to_owned()));
    assert_eq!(rig.ledger.open_round().unwrap().present_owners(), [water]);
}

#[test]
fn rows_close_at_the_latest_time_counted_from_a_late_list() {
    let mut rig = Rig::new();
    rig.open("2026-11");
    rig.now = START + 100;
    rig.pools_without(&[]);
    rig.list();
    rig.now = START + 299;
    rig.tick();
    assert_eq!(phase(&rig), Phase::Rows);
    rig.now = START + 300;
    rig.tick();
    assert_eq!(phase(&rig), Phase::Closed, "nobody came, so there is nothing to decide");

    rig.now = START + 1_000;
    rig.open("2026-12");
    rig.now = START + 5_000;
    rig.pools_without(&[]);
    rig.list();
    rig.tick();
    assert_eq!(phase(&rig), Phase::Rows, "the owners cannot have sent anything before the list");
    rig.now = START + 5_100;
    rig.tick();
    assert_eq!(phase(&rig), Phase::Closed);
}

#[test]
fn status_reads_in_both_languages() {
    let mut rig = Rig::new();
    let idle = rig.engine.status(rig.now).text(Language::Chinese);
    assert!(idle.contains("尚无轮次"), "{idle}");
    rig.until_deciding(&[]);
    let response = rig.ask(Request::Status {});
    let english = response.text(Language::English);
    assert!(english.contains("2026-11: closed since 2026-11-01 00:05"), "{english}");
    assert!(response.text(Language::Chinese).contains("2026-11：已结束"));
    let again: Response = serde_json::from_str(&response.line()).unwrap();
    assert_eq!(again, response);
}
