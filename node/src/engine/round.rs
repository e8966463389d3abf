//! A node's way through a round: pools and snapshot at its opening, records and rows after the list, decisions at its
//! end.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use wugan_protocol::{
    engine::{Command, Fact, Offer, Severity},
    file::FileKey,
    hexes::Digest,
    ledger::{Round, SECONDS_PER_DAY, row_files},
    party::MemberNumber,
    reason::Reason,
    statement::{Receipt, SourceEpoch, Statement},
};
use wugan_transport::rounds::Made;

use super::{Commands, NodeEngine, enrolling::sources_of, fact, facts_under};
use crate::work::{Done, Job, RoundTask};

/// What was made for rounds, and what is being made.
#[derive(Default)]
pub(super) struct Preparation {
    /// Rounds whose channels and roster were read to the end.
    prepared: BTreeSet<Digest>,
    /// Rounds whose roster snapshot is sealed.
    snapshots: BTreeSet<Digest>,
    /// When this node first acted on each round, by its own clock: the retention time counts from there.
    opened: BTreeMap<Digest, u64>,
    preparing: Option<Digest>,
    forgetting: Option<Digest>,
    making_rows: Option<Digest>,
    delivering: Option<Digest>,
    /// Decisions that came before the log showed their announcement.
    held: Option<Offer>,
}

impl Preparation {
    pub(super) fn restore(facts: &BTreeMap<String, Vec<u8>>) -> Preparation {
        let rounds = |prefix| facts_under(facts, prefix).filter_map(|(name, _)| name.parse().ok()).collect();
        let opened = facts_under(facts, OPENED).filter_map(|(name, value)| {
            let seconds = u64::from_le_bytes(value.as_slice().try_into().ok()?);
            Some((name.parse().ok()?, seconds))
        });
        let opened = opened.collect();
        Preparation { prepared: rounds(PREPARED), snapshots: rounds(SNAPSHOT), opened, ..Preparation::default() }
    }

    pub(super) fn has_snapshot(&self, round: Digest) -> bool {
        self.snapshots.contains(&round)
    }
}

impl NodeEngine {
    /// Reads channels and roster, once for each round.
    pub(super) fn prepare(&mut self, now: u64) -> Commands {
        let Some(round) = self.member.round() else { return Vec::new() };
        let hash = round.hash();
        if self.preparation.prepared.contains(&hash) || self.preparation.preparing == Some(hash) {
            return Vec::new();
        }
        let announced = |channel: &u16| {
            let files = round.pool_files(*channel);
            files.into_iter().all(|file| self.member.announced(hash, file).is_some())
        };
        let own = self.member.federation().policy().channels_of(self.me()).map(|channel| channel.number);
        let channels =
            if round.pools_closed().is_some() { Vec::new() } else { own.filter(|c| !announced(c)).collect() };
        let task = self.task(round);
        self.preparation.preparing = Some(hash);
        let mut commands = Vec::new();
        if let Entry::Vacant(opened) = self.preparation.opened.entry(hash) {
            opened.insert(now);
            commands.push(fact(format!("{OPENED}/{hash}"), now.to_le_bytes().to_vec()));
        }
        commands.push(Command::Local(Job::Prepare { task, channels, roster: self.owner }));
        commands
    }

    /// Deletes rounds that have ended and whose retention time is over.
    pub(super) fn forget(&mut self, now: u64) -> Commands {
        let kept_s = self.member.federation().policy().retention_days * SECONDS_PER_DAY;
        let current = self.member.ledger().open_round().map(Round::hash);
        let over = |(hash, opened): (&Digest, &u64)| (Some(*hash) != current && now > opened + kept_s).then_some(*hash);
        let old = self.preparation.opened.iter().find_map(over);
        let Some(round) = old.filter(|_| self.preparation.forgetting.is_none()) else { return Vec::new() };
        self.preparation.forgetting = Some(round);
        vec![Command::Local(Job::Forget { round })]
    }

    fn forgotten(&mut self, round: Digest) -> Commands {
        self.preparation.forgetting = None;
        self.preparation.opened.remove(&round);
        let names = [OPENED, PREPARED, SNAPSHOT, ROSTER].map(|prefix| Fact::Unset(format!("{prefix}/{round}")));
        vec![
            Command::Commit(names.to_vec()),
            Command::Tell(Severity::Info, format!("round {round} deleted: its retention time is over")),
        ]
    }

    /// Makes records and rows once the list is logged and everybody is enrolled, or the time for it is over.
    pub(super) fn make_rows(&mut self, now: u64) -> Commands {
        let Some((round, list)) = self.member.round().and_then(|round| Some((round, round.list()?))) else {
            return Vec::new();
        };
        let hash = round.hash();
        let made = row_files(self.me()).into_iter().all(|file| self.member.announced(hash, file).is_some());
        let started = self.preparation.making_rows == Some(hash);
        if made || started || round.rows_closed().is_some() || !self.enrolling.is_planned(hash) {
            return Vec::new();
        }
        let sources = self.listed_sources(round, list);
        let listed: BTreeSet<MemberNumber> = sources.keys().copied().collect();
        if now < round.manifest().enrolment_until && !self.enrolling.complete(&listed) {
            return Vec::new();
        }
        let job = Job::MakeRows { task: self.task(round), sources, matters: round.matters(self.me()).to_vec() };
        self.preparation.making_rows = Some(hash);
        vec![Command::Local(job)]
    }

    pub(super) fn offered(&mut self, offer: Offer) -> Commands {
        let from_coordinator = offer.from == self.member.federation().coordinator();
        if !from_coordinator || !self.owner {
            return vec![Command::Refuse { ticket: offer.ticket, reason: Reason::NotAllowed }];
        }
        let old = self.preparation.held.replace(offer);
        old.map(|old| Command::Refuse { ticket: old.ticket, reason: Reason::Repeated }).into_iter().collect()
    }

    /// Accepts the decisions that the log announces.
    pub(super) fn take_decisions(&mut self) -> Commands {
        let file = FileKey::Decisions { owner: self.me() };
        let Some(round) = self.member.ledger().round() else { return Vec::new() };
        let Some(announcement) = round.announcement(file) else { return Vec::new() };
        let Some(offer) = self.preparation.held.take() else { return Vec::new() };
        if offer.digest != announcement.digest {
            return vec![Command::Refuse { ticket: offer.ticket, reason: Reason::DigestDiffers }];
        }
        let (hash, task) = (round.hash(), self.task(round));
        let mut commands = vec![Command::Keep { ticket: offer.ticket, round: hash, file }];
        let done = round.has_receipt(self.me(), &Receipt::Decisions {});
        if !done && self.preparation.delivering != Some(hash) {
            self.preparation.delivering = Some(hash);
            commands.push(Command::Local(Job::Deliver { task }));
        }
        commands
    }

    pub(super) fn round_done(&mut self, done: Done, now: u64) -> Commands {
        match done {
            Done::Snapshot { round, people } => {
                self.preparation.snapshots.insert(round);
                let text = format!("roster read: {people} people");
                vec![fact(format!("{SNAPSHOT}/{round}"), Vec::new()), Command::Tell(Severity::Info, text)]
            }
            Done::Pools { round, made } => self.announce(round, &made, now),
            Done::SourceFailed { round, channel, reason, text } => {
                self.source_failed(round, channel, reason, text, now)
            }
            Done::Prepared { round, evaluated } => {
                self.preparation.prepared.insert(round);
                let text = format!("pools made; {evaluated} people were new to this department's records");
                let value = evaluated.to_le_bytes().to_vec();
                vec![fact(format!("{PREPARED}/{round}"), value), Command::Tell(Severity::Info, text)]
            }
            Done::Rows { round, made, evaluated } => {
                let mut commands = vec![fact(format!("{ROSTER}/{round}"), evaluated.to_le_bytes().to_vec())];
                commands.extend(self.announce(round, &made, now));
                commands
            }
            Done::Delivered { text } => {
                let mut commands = vec![Command::Tell(Severity::Info, text)];
                commands.extend(self.member.state(Statement::Receipt(Receipt::Decisions {}), true, now));
                commands
            }
            Done::Forgotten { round } => self.forgotten(round),
            Done::NotDelivered { reason } => {
                self.preparation.delivering = None;
                vec![Command::Tell(Severity::Warn, format!("the decisions that came cannot be used: {reason}"))]
            }
            _ => Vec::new(),
        }
    }

    /// Announces files of the open round; files of a round that ended meanwhile are of no use.
    fn announce(&mut self, round: Digest, made: &[Made], now: u64) -> Commands {
        if self.member.round().map(Round::hash) != Some(round) {
            return Vec::new();
        }
        made.iter().flat_map(|made| self.member.announce(made.file, made.count, made.digest, now)).collect()
    }

    fn source_failed(
        &mut self,
        round: Digest,
        channel: Option<u16>,
        reason: Reason,
        text: String,
        now: u64,
    ) -> Commands {
        let mut commands = vec![Command::Tell(Severity::Warn, text)];
        if self.member.round().map(Round::hash) == Some(round) {
            commands.extend(self.member.state(Statement::Failure { channel, reason }, true, now));
        }
        commands
    }

    fn task(&self, round: &Round) -> RoundTask {
        let source = sources_of(round).get(&self.me()).copied();
        RoundTask { hash: round.hash(), id: round.id(), month: round.manifest().month, source }
    }

    /// The sources that have a channel on the list.
    fn listed_sources(&self, round: &Round, list: &BTreeSet<u16>) -> BTreeMap<MemberNumber, SourceEpoch> {
        let policy = self.member.federation().policy();
        let listed: BTreeSet<MemberNumber> =
            policy.channels.iter().filter(|channel| list.contains(&channel.number)).map(|c| c.source).collect();
        sources_of(round).into_iter().filter(|(source, _)| listed.contains(source)).collect()
    }
}

/// Facts: the value counts the people whose keys were evaluated, which is the curve arithmetic of a round at a source.
const PREPARED: &str = "prepared";
const OPENED: &str = "opened";
const ROSTER: &str = "roster";
const SNAPSHOT: &str = "snapshot";
