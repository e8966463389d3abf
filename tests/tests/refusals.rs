//! What a coordinator, and a matcher with it, must not say (protocol, section 4): real processes of all other members
//! refuse it in the log, and go on when the right thing is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_protocol::{
    file::FileKey,
    hexes::Hex,
    ledger::RoundTimes,
    message::Message,
    party::Role,
    policy::Class,
    reason::Reason,
    statement::{Receipt, RoundManifest, Statement},
};
use wugan_tests::{checks::agrees, cluster::Cluster, rogue::Rogue};

#[tokio::test]
async fn what_a_coordinator_must_not_say_is_refused_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = CATALOGUE.replace("days_between_rounds = 0", "days_between_rounds = 25");
    let mut cluster = city(folder.path(), &catalogue);
    for party in cluster.parties() {
        if ![Role::Coordinator, Role::Matcher].contains(&party.role) {
            cluster.start_one(party).unwrap();
        }
    }
    let mut stage = Stage { rogue: Rogue::start(&cluster).unwrap(), everybody: cluster.parties().len() - 2 };
    let everybody = stage.everybody;
    stage.rogue.until("all follow", |rogue| rogue.followers().len() == everybody).await.unwrap();

    stage.other_policies().await;
    stage.a_void_round().await;
    stage.pools().await;
    stage.rows().await;
    stage.months().await;
}

/// The rogue, and how many parties listen to it.
struct Stage {
    rogue: Rogue,
    everybody: usize,
}

impl Stage {
    /// Says something that everybody is to refuse for this reason.
    async fn refused(&mut self, role: Role, statement: Statement, time: u64, reason: Reason) {
        let line = self.rogue.state(role, statement, time).unwrap();
        let everybody = self.everybody;
        let what = format!("everybody refuses with {reason:?}");
        self.rogue.until(&what, |rogue| rogue.refusals(&line).len() == everybody).await.unwrap();
        let reasons: BTreeSet<Reason> = self.rogue.refusals(&line).into_values().collect();
        assert_eq!(reasons, BTreeSet::from([reason]));
    }

    /// Says something that is right.
    fn said(&mut self, role: Role, statement: Statement, time: u64) -> Vec<u8> {
        let line = self.rogue.state(role, statement, time).unwrap();
        assert_eq!(self.rogue.lines().last(), Some(&line));
        line
    }

    /// The right manifest of a month, with pools that may be closed after some seconds.
    fn manifest(&self, month: &str, close_after_s: u64) -> RoundManifest {
        let times = RoundTimes {
            pools_close_from: now() + close_after_s,
            enrolment_until: now() + HOUR_S,
            rows_until: now() + 2 * HOUR_S,
        };
        self.rogue.ledger().round_manifest(month.parse().unwrap(), times).unwrap()
    }

    /// Another policy, matters, channels or classes than the authority's.
    async fn other_policies(&mut self) {
        let changes: [fn(&mut RoundManifest); 8] = [
            |manifest| manifest.policy = Hex([7; 32]),
            |manifest| manifest.channels.truncate(3),
            |manifest| manifest.channels.retain(|channel| channel.number != 4),
            |manifest| manifest.channels.swap(0, 1),
            |manifest| manifest.channels[0].class = Class::WeakNegative,
            |manifest| manifest.channels[5].source = 2,
            |manifest| manifest.matters.truncate(1),
            |manifest| manifest.aggregator = 0,
        ];
        for change in changes {
            let mut manifest = self.manifest(MONTH, 0);
            change(&mut manifest);
            self.refused(Role::Coordinator, Statement::RoundManifest(manifest), now(), Reason::OtherPolicy).await;
        }
        assert!(self.rogue.ledger().round().is_none(), "none of them opened a round");
    }

    /// A close before the manifest's time; then the round is abandoned, and its manifest said once more.
    async fn a_void_round(&mut self) {
        let manifest = Statement::RoundManifest(self.manifest(MONTH, HOUR_S));
        let line = self.said(Role::Coordinator, manifest, now());
        self.refused(Role::Coordinator, Statement::PoolsClosed {}, now(), Reason::CloseTooEarly).await;
        let second = Statement::RoundManifest(self.manifest(MONTH, 0));
        self.refused(Role::Coordinator, second, now(), Reason::Repeated).await;
        self.said(Role::Coordinator, Statement::RoundAbandoned { reason: Reason::Superseded }, now());
        let held = self.rogue.lines().len();
        // A round id is the hash of a body with its place in the coordinator's sequence: the same id is the same entry.
        let (everybody, before) = (self.everybody, self.rogue.lost().len());
        self.rogue.show(&line).unwrap();
        let gone = |rogue: &Rogue| rogue.lost()[before..].iter().map(|(party, _)| party).collect::<BTreeSet<_>>().len();
        self.rogue.until("everybody hangs up", |rogue| gone(rogue) == everybody).await.unwrap();
        self.rogue.until("all follow again", |rogue| rogue.followers().len() == everybody).await.unwrap();
        assert!(!self.rogue.lines()[held..].contains(&line), "the log does not have it twice");
        let lost = &self.rogue.lost()[before..];
        assert!(lost.iter().all(|(_, why)| why.contains(&Reason::OutOfSequence.to_string())), "{lost:?}");
    }

    /// The month anew: too many missing, the coordinator's own department missing, lists that are not the receipts.
    async fn pools(&mut self) {
        let manifest = Statement::RoundManifest(self.manifest(MONTH, 0));
        self.said(Role::Coordinator, manifest, now());
        self.refused(Role::Coordinator, Statement::PoolsClosed {}, now(), Reason::TooManyMissing).await;
        let policy = self.rogue.ledger().federation().policy().clone();
        let files: Vec<FileKey> = policy.channels.iter().flat_map(|channel| pools(channel.number, &policy)).collect();
        let announced = |rogue: &Rogue| {
            let round = rogue.ledger().round().unwrap();
            files.iter().all(|file| round.announcement(*file).is_some())
        };
        self.rogue.until("every pool is announced", announced).await.unwrap();
        let (bureau, others): (Vec<_>, Vec<_>) =
            policy.channels.iter().partition(|channel| channel.source == policy.coordinator);
        for channel in others {
            self.said(Role::Matcher, Statement::Receipt(Receipt::Pools { channel: channel.number }), now());
        }
        self.refused(Role::Coordinator, Statement::PoolsClosed {}, now(), Reason::TooManyMissing).await;
        let all: Vec<u16> = policy.channels.iter().map(|channel| channel.number).collect();
        self.refused(Role::Matcher, Statement::List { channels: all.clone() }, now(), Reason::BeforeItsTime).await;
        for channel in bureau {
            self.said(Role::Matcher, Statement::Receipt(Receipt::Pools { channel: channel.number }), now());
        }
        self.said(Role::Coordinator, Statement::PoolsClosed {}, now());
        for channels in [all[1..].to_vec(), [&all[..], &[99]].concat(), Vec::new()] {
            self.refused(Role::Matcher, Statement::List { channels }, now(), Reason::ListDiffers).await;
        }
        self.said(Role::Matcher, Statement::List { channels: all }, now());
    }

    /// Rows closed while owners that have announced are waited for; then the round's end.
    async fn rows(&mut self) {
        // By the coordinator's clock the time of enrolment is over: owners go on without it.
        let until = self.rogue.ledger().round().unwrap().manifest().rows_until;
        self.rogue.send(Role::Node, &Message::Online { time: until, nodes: Vec::new() }).unwrap();
        let owners: Vec<u16> = self.rogue.ledger().federation().policy().owners().collect();
        let announced =
            |rogue: &Rogue| owners.iter().any(|owner| rogue.ledger().round().unwrap().has_announced(*owner));
        self.rogue.until("an owner announces", announced).await.unwrap();
        self.refused(Role::Coordinator, Statement::RowsClosed {}, now(), Reason::CloseTooEarly).await;
        self.refused(Role::Coordinator, Statement::RoundClosed {}, now(), Reason::BeforeItsTime).await;
        let abandoned = Statement::RoundAbandoned { reason: Reason::Superseded };
        self.refused(Role::Coordinator, abandoned, now(), Reason::TooLate).await;
        self.said(Role::Coordinator, Statement::RowsClosed {}, until);
        self.said(Role::Coordinator, Statement::RoundClosed {}, until);
        let cosigned = |rogue: &Rogue| rogue.ledger().closed().is_some_and(|closed| closed.cosigned.len() > 20);
        self.rogue.until("the round's end is cosigned", cosigned).await.unwrap();
    }

    /// A month twice, backwards, too soon by the coordinator's clock, and too soon by everybody's own.
    async fn months(&mut self) {
        let opened = self.rogue.ledger().counted().unwrap().opened;
        for (month, time, reason) in [
            (MONTH, now(), Reason::MonthNotLater),
            ("2026-05", now(), Reason::MonthNotLater),
            ("2026-07", now(), Reason::TooSoon),
            ("2026-07", opened + 25 * DAY_S - 1, Reason::TooSoon),
        ] {
            let manifest = RoundManifest { pools_close_from: time + 1, ..self.manifest(month, 0) };
            let manifest = RoundManifest { rows_until: time + DAY_S, ..manifest };
            self.refused(Role::Coordinator, Statement::RoundManifest(manifest), time, reason).await;
        }
        let time = opened + 26 * DAY_S;
        let manifest =
            RoundManifest { pools_close_from: time, rows_until: time + DAY_S, ..self.manifest("2026-07", 0) };
        self.refused(Role::Coordinator, Statement::RoundManifest(manifest), time, Reason::TooSoon).await;
        assert!(self.rogue.ledger().open_round().is_some(), "the log alone does not show that the clock is wrong");
    }
}

#[test]
fn who_slept_three_months_and_an_abandoned_round_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = city(folder.path(), CATALOGUE);
    let sleeper = "forestry".to_owned();
    let asleep = cluster.party(&sleeper, Role::Node).unwrap();
    for party in cluster.parties() {
        cluster.start_one(party).unwrap();
    }
    cluster.await_all().unwrap();
    cluster.terminate(asleep).unwrap();
    let mut abandoned = false;
    for month in [MONTH, "2026-07", "2026-08"] {
        let round = cluster.round_without(std::slice::from_ref(&sleeper), month.parse().unwrap(), |cluster, log| {
            if !abandoned && log.contains("\"kind\":\"pool\"") {
                abandoned = cluster.abandon()?;
            }
            Ok(())
        });
        round.unwrap();
        agrees(folder.path(), month, &[&sleeper]).unwrap();
    }
    assert!(abandoned && cluster.log().contains("\"type\":\"round_abandoned\""));
    cluster.start_one(asleep).unwrap();
    cluster.await_all().unwrap();
    cluster.round("2026-09".parse().unwrap(), |_, _| Ok(())).unwrap();
    agrees(folder.path(), "2026-09", &[]).unwrap();
}

/// A small city whose members do not run yet.
fn city(dir: &Path, catalogue: &str) -> Cluster {
    generate(&CityPlan { seed: 17, ..CityPlan::for_people(60) }, catalogue, dir).unwrap();
    install_roster(dir, MONTH, true).unwrap();
    let rosters = vec!["roster.csv".to_owned(); 4];
    Cluster::set_up(dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap()
}

fn pools(channel: u16, policy: &wugan_protocol::policy::Policy) -> Vec<FileKey> {
    (0..policy.group_count).map(|group| FileKey::Pool { channel, group }).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const MONTH: &str = "2026-06";
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
