//! A node's way through a round: pools and snapshot at its opening, records and rows after the list, decisions at its
//! end.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use wugan_protocol::{
    engine::{Command, Offer, Severity},
    envelope::Signed,
    file::FileKey,
    hexes::{Digest, sha256},
    ledger::{Round, row_files},
    month::Month,
    party::MemberNumber,
    reason::Reason,
    statement::{Kept, Receipt, SourceEpoch, Statement},
};
use wugan_transport::rounds::Made;

use super::{Commands, NodeEngine, enrolling::sources_of, fact, facts_under, retention::Deletion};
use crate::work::{Done, Expired, Job, RoundTask};

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
    /// Not before this time are channels that failed read again.
    prepare_from: u64,
    /// Whether something failed in the reading under way.
    failed: bool,
    making_rows: Option<Digest>,
    delivering: BTreeSet<Digest>,
    /// Rounds whose decisions are written down, and said to be.
    delivered: BTreeSet<Digest>,
    /// Decisions that came before the log showed their announcement, by round.
    held: BTreeMap<Digest, Offer>,
    /// What the log said of each round: its month, and the digest of this owner's decisions.
    months: BTreeMap<Digest, Month>,
    decisions: BTreeMap<Digest, Digest>,
}

impl Preparation {
    pub(super) fn restore(facts: &BTreeMap<String, Vec<u8>>) -> Preparation {
        let rounds = |prefix| facts_under(facts, prefix).filter_map(|(name, _)| name.parse().ok()).collect();
        let opened = facts_under(facts, OPENED).filter_map(|(name, value)| {
            let seconds = u64::from_le_bytes(value.as_slice().try_into().ok()?);
            Some((name.parse().ok()?, seconds))
        });
        let opened = opened.collect();
        let delivered = rounds(DELIVERED);
        Preparation {
            delivered,
            prepared: rounds(PREPARED),
            snapshots: rounds(SNAPSHOT),
            opened,
            ..Preparation::default()
        }
    }

    /// A round that was opened before a time and is not the open one. It is forgotten here at once: decisions that
    /// still come find no one to give them to.
    pub(super) fn take_expired(&mut self, before: u64, open: Option<Digest>) -> Option<(Deletion, Expired)> {
        let busy = |round: &Digest| self.preparing == Some(*round) || self.delivering.contains(round);
        let over = |(round, opened): (&Digest, &u64)| {
            (*opened < before && Some(*round) != open && !busy(round)).then_some(*round)
        };
        let round = self.opened.iter().find_map(over)?;
        self.opened.remove(&round);
        for rounds in [&mut self.prepared, &mut self.snapshots, &mut self.delivered] {
            rounds.remove(&round);
        }
        let facts = [OPENED, PREPARED, SNAPSHOT, ROSTER, DELIVERED].map(|prefix| format!("{prefix}/{round}")).to_vec();
        Some((Deletion { round, of: Kept::Files, facts }, Expired::Files(round)))
    }

    /// Whether what was made of a round is kept.
    pub(super) fn keeps(&self, round: Digest) -> bool {
        self.opened.contains_key(&round)
    }

    /// Whether the decisions of a round are here.
    pub(super) fn has_decisions(&self, round: Digest) -> bool {
        self.delivered.contains(&round)
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
        // One reading at a time: each writes the quarantine anew.
        let waits = self.preparation.preparing.is_some() || now < self.preparation.prepare_from;
        if self.preparation.prepared.contains(&hash) || waits {
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
        self.preparation.failed = false;
        let mut commands = Vec::new();
        if let Entry::Vacant(opened) = self.preparation.opened.entry(hash) {
            opened.insert(now);
            commands.push(fact(format!("{OPENED}/{hash}"), now.to_le_bytes().to_vec()));
        }
        commands.push(Command::Local(Job::Prepare { task, channels, roster: self.owner }));
        commands
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
        let time = self.coordinator_time(now);
        if time < round.manifest().enrolment_until && !self.enrolling.complete(&listed) {
            return Vec::new();
        }
        let job = Job::MakeRows { task: self.task(round), sources, matters: round.matters(self.me()).to_vec() };
        self.preparation.making_rows = Some(hash);
        vec![Command::Local(job)]
    }

    pub(super) fn offered(&mut self, offer: Offer) -> Commands {
        let (ticket, file) = (offer.ticket, FileKey::Decisions { owner: self.me() });
        let refuse = |reason| vec![Command::Refuse { ticket, reason }];
        if offer.from != self.member.federation().coordinator() || !self.owner {
            return refuse(Reason::NotAllowed);
        }
        match self.member.announced_file(&offer) {
            Err(reason) => refuse(reason),
            Ok((_, announcement)) if announcement.file != file => refuse(Reason::NotAllowed),
            Ok((round, _)) => {
                let old = self.preparation.held.insert(round, offer);
                let too_many = self.preparation.held.len() > HELD_MAX;
                let first = too_many.then(|| self.preparation.held.pop_first()).flatten().map(|(_, offer)| offer);
                old.into_iter().chain(first).flat_map(|old| refuse_offer(&old, Reason::BeforeItsTime)).collect()
            }
        }
    }

    /// Remembers what the log says about decisions: they may come long after their round.
    pub(super) fn note(&mut self, signed: &Signed) {
        let body = signed.body();
        match (&body.statement, body.head.round) {
            (Statement::RoundManifest(manifest), _) => {
                let hash = body.canonical().map(|bytes| sha256(&bytes));
                self.preparation.months.extend(hash.ok().map(|hash| (hash, manifest.month)));
            }
            (Statement::Announcement(announcement), Some(round))
                if announcement.file == (FileKey::Decisions { owner: self.me() }) =>
            {
                self.preparation.decisions.entry(round).or_insert(announcement.digest);
            }
            _ => {}
        }
    }

    /// Accepts the decisions that the log announces.
    pub(super) fn take_decisions(&mut self) -> Commands {
        let announced = |round: &Digest| self.preparation.decisions.contains_key(round);
        let ready: Vec<Digest> = self.preparation.held.keys().copied().filter(announced).collect();
        ready.into_iter().flat_map(|round| self.take_decisions_of(round)).collect()
    }

    fn take_decisions_of(&mut self, round: Digest) -> Commands {
        let Some(offer) = self.preparation.held.remove(&round) else { return Vec::new() };
        if !self.preparation.opened.contains_key(&round) {
            return refuse_offer(&offer, Reason::Deleted);
        }
        let month = self.preparation.months.get(&round).copied();
        let federation = self.member.ledger().federation_of(round);
        let right = self.preparation.decisions.get(&round) == Some(&offer.digest);
        let (Some(month), Some(federation), true) = (month, federation, right) else {
            return refuse_offer(&offer, Reason::DigestDiffers);
        };
        let mut commands =
            vec![Command::Keep { ticket: offer.ticket, round, file: FileKey::Decisions { owner: self.me() } }];
        if !self.preparation.delivered.contains(&round) && self.preparation.delivering.insert(round) {
            let mut id = [0; 16];
            id.copy_from_slice(&round.0[..16]);
            let policy = federation.policy().clone();
            let task = RoundTask { policy, hash: round, id, month, source: None };
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
                self.preparation.preparing = None;
                let open =
                    self.member.round().is_some_and(|open| open.hash() == round && open.pools_closed().is_none());
                if self.preparation.failed && open {
                    self.preparation.prepare_from = now + FAILED_RETRY_SECONDS;
                    return Vec::new();
                }
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
            Done::Delivered { round, text, canaries } => {
                self.preparation.delivering.remove(&round);
                self.preparation.delivered.insert(round);
                let done = fact(format!("{DELIVERED}/{round}"), Vec::new());
                let mut commands = vec![Command::Tell(Severity::Info, text), done];
                // The receipt comes last: once it is logged, everybody knows whether this owner had canaries.
                let canaries =
                    canaries.map(|outcome| self.member.state_in(Some(round), Statement::Canaries(outcome), now));
                commands.extend(canaries.into_iter().flatten());
                let receipt = Statement::Receipt(Receipt::Decisions {});
                commands.extend(self.member.state_in(Some(round), receipt, now));
                commands
            }
            Done::NotDelivered { round, reason } => {
                self.preparation.delivering.remove(&round);
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
        self.preparation.failed = true;
        let mut commands = vec![Command::Tell(Severity::Warn, text)];
        let said = |open: &Round| open.failures().get(&(self.me(), channel)) == Some(&reason);
        if self.member.round().is_some_and(|open| open.hash() == round && !said(open)) {
            commands.extend(self.member.state(Statement::Failure { channel, reason }, true, now));
        }
        commands
    }

    fn task(&self, round: &Round) -> RoundTask {
        let source = sources_of(round).get(&self.me()).copied();
        RoundTask {
            policy: round.policy().clone(),
            hash: round.hash(),
            id: round.id(),
            month: round.manifest().month,
            source,
        }
    }

    /// The sources that have a channel on the list.
    fn listed_sources(&self, round: &Round, list: &BTreeSet<u16>) -> BTreeMap<MemberNumber, SourceEpoch> {
        let policy = round.policy();
        let listed: BTreeSet<MemberNumber> =
            policy.channels.iter().filter(|channel| list.contains(&channel.number)).map(|c| c.source).collect();
        sources_of(round).into_iter().filter(|(source, _)| listed.contains(source)).collect()
    }
}

fn refuse_offer(offer: &Offer, reason: Reason) -> Commands {
    vec![Command::Refuse { ticket: offer.ticket, reason }]
}

/// Facts: the value counts the people whose keys were evaluated, which is the curve arithmetic of a round at a source.
const PREPARED: &str = "prepared";
const OPENED: &str = "opened";
const DELIVERED: &str = "delivered";
/// Somebody may be mending the table.
const FAILED_RETRY_SECONDS: u64 = 60;
/// Rounds whose decisions may wait for the log.
const HELD_MAX: usize = 4;
const ROSTER: &str = "roster";
const SNAPSHOT: &str = "snapshot";
