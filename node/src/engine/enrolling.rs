//! The roster owner's side of enrolment: which batches there are, who has answered, whom to ask next.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    at_rest::{self, SETTLED, Settled},
    codec,
    engine::{Command, Severity},
    hexes::Digest,
    ledger::{Ledger, Round},
    message::Message,
    oprf::{BatchContext, Element, PublicKey},
    party::MemberNumber,
    reason::Reason,
    statement::{EnrolmentBatch, Kept, SourceEpoch, Statement},
};

use super::{Commands, NodeEngine, fact, facts_under, retention::Deletion};
use crate::{
    enrolment::{Pending, answer_digest},
    work::{Expired, Job},
};

/// Batches and their answers.
#[derive(Default)]
pub(super) struct Enrolling {
    /// Every batch of this owner.
    batches: BTreeMap<u64, EnrolmentBatch>,
    /// Sources that have answered a batch, refused it, or answered with a bad proof, and when.
    settled: BTreeMap<(u64, MemberNumber), u64>,
    /// Sources that are connected to the coordinator.
    online: BTreeSet<MemberNumber>,
    /// Answers that a thread verifies now.
    accepting: BTreeSet<(u64, MemberNumber)>,
    /// Batches that a thread reads now.
    loading: BTreeSet<u64>,
    /// Batches that each source was sent and has not answered.
    asked: BTreeMap<MemberNumber, BTreeSet<u64>>,
    /// Rounds for which batches were planned, with the first of these and the one after them; and the one being planned.
    planned: BTreeMap<Digest, (u64, u64)>,
    planning: Option<Digest>,
}

impl Enrolling {
    pub(super) fn restore(facts: &BTreeMap<String, Vec<u8>>) -> Enrolling {
        let batches = facts_under(facts, BATCH).filter_map(|(_, value)| codec::decode::<EnrolmentBatch>(value).ok());
        let settled = facts_under(facts, SETTLED).filter_map(|(_, value)| codec::decode(value).ok());
        let planned = facts_under(facts, PLANNED)
            .filter_map(|(name, value)| Some((name.parse().ok()?, codec::decode(value).ok()?)));
        Enrolling {
            batches: batches.map(|batch| (batch.batch, batch)).collect(),
            settled: settled.collect(),
            planned: planned.collect(),
            ..Enrolling::default()
        }
    }

    pub(super) fn online(&mut self, nodes: BTreeSet<MemberNumber>) {
        self.online = nodes;
        self.asked.retain(|source, _| self.online.contains(source));
    }

    /// Whether a refusal is of a batch of this owner; the source that refused is not asked again.
    pub(super) fn refused(
        &mut self,
        entry: Digest,
        by: MemberNumber,
        me: MemberNumber,
        ledger: &Ledger,
        now: u64,
    ) -> Option<Command<Job>> {
        let of_entry = |number: &&u64| ledger.batch(me, **number).is_some_and(|batch| batch.entry == entry);
        let number = self.batches.keys().find(of_entry).copied()?;
        Some(self.settle(number, by, now))
    }

    /// Whether every batch was answered by every one of these sources, or refused: then its people wait in vain.
    pub(super) fn complete(&self, sources: &BTreeSet<MemberNumber>) -> bool {
        self.batches.values().all(|batch| {
            let addressed = batch.sources.iter().filter(|source| sources.contains(&source.source));
            addressed.map(|source| (batch.batch, source.source)).all(|key| self.settled.contains_key(&key))
        })
    }

    pub(super) fn is_planned(&self, round: Digest) -> bool {
        self.planned.contains_key(&round)
    }

    /// The fact of a plan without batches: it goes with the round's files.
    pub(super) fn take_empty_plan(&mut self, round: Digest) -> Option<String> {
        self.planned.get(&round).filter(|(first, after)| first == after)?;
        self.planned.remove(&round);
        Some(format!("{PLANNED}/{round}"))
    }

    /// A round but the open one whose batches were all settled before a time.
    pub(super) fn take_expired(&mut self, before: u64, open: Option<Digest>) -> Option<(Deletion, Expired)> {
        let over = |(round, (first, after)): (&Digest, &(u64, u64))| {
            let settled = self.batches.range(first..after).all(|(_, batch)| self.unsettled(batch).is_empty());
            let late = self.settled.range((*first, 0)..(*after, 0)).any(|(_, time)| *time >= before);
            (first < after && settled && !late && Some(*round) != open).then_some(*round)
        };
        let round = self.planned.iter().find_map(over)?;
        let (first, after) = self.planned.remove(&round)?;
        let batches: Vec<EnrolmentBatch> = (first..after).filter_map(|number| self.batches.remove(&number)).collect();
        let mut facts = vec![format!("{PLANNED}/{round}")];
        facts.extend(batches.iter().map(|batch| format!("{BATCH}/{}", batch.batch)));
        let of_round = self.settled.range((first, 0)..(after, 0)).map(|(key, _)| key);
        facts.extend(of_round.map(|(batch, source)| at_rest::settled(*batch, *source)));
        self.settled.retain(|(batch, _), _| !(first..after).contains(batch));
        Some((Deletion { round, of: Kept::Batches, facts }, Expired::Batches(batches)))
    }

    /// The source need not be awaited for this batch any more.
    fn settle(&mut self, batch: u64, source: MemberNumber, now: u64) -> Command<Job> {
        self.accepting.remove(&(batch, source));
        self.asked.entry(source).or_default().remove(&batch);
        self.settled.insert((batch, source), now);
        let settled: Settled = ((batch, source), now);
        fact(at_rest::settled(batch, source), codec::encode(&settled).unwrap_or_default())
    }

    fn unsettled(&self, batch: &EnrolmentBatch) -> Vec<SourceEpoch> {
        let open = |source: &&SourceEpoch| !self.settled.contains_key(&(batch.batch, source.source));
        batch.sources.iter().filter(open).copied().collect()
    }

    /// Sources to ask now: connected, not settled, and not busy with others. One source that is silent holds up nobody
    /// but itself.
    fn askable(&self, batch: &EnrolmentBatch) -> BTreeSet<MemberNumber> {
        let sources = self.unsettled(batch).into_iter().map(|source| source.source);
        let askable = |source: &MemberNumber| {
            let key = (batch.batch, *source);
            let free = self
                .asked
                .get(source)
                .is_none_or(|asked| asked.len() < BATCHES_PER_SOURCE_MAX && !asked.contains(&batch.batch));
            self.online.contains(source) && !self.accepting.contains(&key) && free
        };
        sources.filter(askable).collect()
    }

    fn pending(&self) -> Vec<Pending> {
        let open = self.batches.values().map(|batch| Pending { batch: batch.batch, sources: self.unsettled(batch) });
        open.filter(|pending| !pending.sources.is_empty()).collect()
    }
}

impl NodeEngine {
    /// Plans batches for a new round, and keeps a few of the open ones under way.
    pub(super) fn enrol(&mut self) -> Commands {
        let mut commands: Commands = self.plan().into_iter().collect();
        if !self.member.connected() {
            return commands;
        }
        let mut next = Vec::new();
        for (number, batch) in &self.enrolling.batches {
            if self.enrolling.loading.len() + next.len() >= BATCHES_LOADING_MAX {
                break;
            }
            let logged = self.member.ledger().batch(self.me(), *number).is_some();
            if logged && !self.enrolling.loading.contains(number) && !self.enrolling.askable(batch).is_empty() {
                next.push(*number);
            }
        }
        for number in next {
            self.enrolling.loading.insert(number);
            commands.push(Command::Local(Job::Load { batch: number }));
        }
        commands
    }

    fn plan(&mut self) -> Option<Command<Job>> {
        let round = self.member.round()?;
        let hash = round.hash();
        // One plan at a time: the next one's batches are numbered after this one's.
        let known = self.enrolling.is_planned(hash) || self.enrolling.planning.is_some();
        if known || !self.preparation.has_snapshot(hash) {
            return None;
        }
        let sources = sources_of(round).into_values().filter(|source| source.source != self.me()).collect();
        let first = self.enrolling.batches.keys().next_back().map_or(0, |last| last + 1);
        let first = first.max(self.member.ledger().next_batch(self.me()));
        self.enrolling.planning = Some(hash);
        Some(Command::Local(Job::Plan { round: hash, sources, pending: self.enrolling.pending(), first }))
    }

    pub(super) fn planned(&mut self, round: Digest, batches: Vec<EnrolmentBatch>, now: u64) -> Commands {
        self.enrolling.planning = None;
        let numbers = batches.first().map_or((0, 0), |first| (first.batch, first.batch + batches.len() as u64));
        self.enrolling.planned.insert(round, numbers);
        let mut commands = vec![fact(format!("{PLANNED}/{round}"), codec::encode(&numbers).unwrap_or_default())];
        for batch in batches {
            let value = codec::encode(&batch).unwrap_or_default();
            commands.push(fact(format!("{BATCH}/{}", batch.batch), value));
            commands.extend(self.member.state(Statement::EnrolmentBatch(batch.clone()), false, now));
            self.enrolling.batches.insert(batch.batch, batch);
        }
        commands
    }

    pub(super) fn loaded(&mut self, number: u64, blinded: Vec<Element>) -> Commands {
        self.enrolling.loading.remove(&number);
        let Some(batch) = self.enrolling.batches.get(&number) else { return Vec::new() };
        let sources: Vec<MemberNumber> = self.enrolling.askable(batch).into_iter().collect();
        if sources.is_empty() {
            return Vec::new();
        }
        for source in &sources {
            self.enrolling.asked.entry(*source).or_default().insert(number);
        }
        let message = Message::Batch { owner: self.me(), batch: number, sources, blinded };
        vec![Command::Send(vec![self.member.federation().coordinator()], message)]
    }

    pub(super) fn answered(
        &mut self,
        number: u64,
        source: MemberNumber,
        evaluated: Vec<Element>,
        proof: [[u8; 32]; 2],
    ) -> Commands {
        let Some(batch) = self.enrolling.batches.get(&number) else { return Vec::new() };
        let open = self.enrolling.unsettled(batch);
        let Some(epoch) = open.iter().find(|open| open.source == source).copied() else { return Vec::new() };
        let ledger = self.member.ledger();
        let logged = ledger.batch(self.me(), number);
        let federation = logged.map_or(self.member.federation().hash(), |batch| batch.federation).0;
        let logged = logged.and_then(|batch| batch.answers.get(&source));
        let key = ledger.key(epoch).and_then(|key| PublicKey::from_bytes(&key.0).ok());
        let (Some(key), true) = (key, logged == Some(&answer_digest(&evaluated, &proof))) else {
            let who = self.member.federation().policy().member_id(source);
            let text = format!("the answer of {who} to enrolment batch {number} is not the one it logged; dropped");
            return vec![Command::Tell(Severity::Warn, text)];
        };
        let context = BatchContext { federation, source, owner: self.me(), epoch: epoch.epoch, batch: number };
        if !self.enrolling.accepting.insert((number, source)) {
            return Vec::new();
        }
        vec![Command::Local(Job::Accept { context, key: Box::new(key), evaluated, proof })]
    }

    pub(super) fn enrolled(&mut self, batch: u64, source: MemberNumber, now: u64) -> Commands {
        vec![self.enrolling.settle(batch, source, now)]
    }

    pub(super) fn answer_refused(&mut self, batch: u64, source: MemberNumber, now: u64) -> Commands {
        let settled = self.enrolling.settle(batch, source, now);
        let who = self.member.federation().policy().member_id(source);
        let text = format!("the proof of {who} for enrolment batch {batch} does not verify: nothing of it is used");
        let mut commands = vec![Command::Tell(Severity::Warn, text), settled];
        let entry = self.member.ledger().batch(self.me(), batch).map(|batch| batch.entry);
        if let Some(entry) = entry {
            let refusal = Statement::Refusal { entry, reason: Reason::BadProof };
            commands.extend(self.member.state(refusal, false, now));
        }
        commands
    }
}

/// The sources of a round, each in the epoch that its manifest names.
pub(super) fn sources_of(round: &Round) -> BTreeMap<MemberNumber, SourceEpoch> {
    let channels = round.manifest().channels.iter();
    channels.map(|channel| (channel.source, SourceEpoch { source: channel.source, epoch: channel.epoch })).collect()
}

const BATCH: &str = "batch";
const PLANNED: &str = "planned";
/// Batches sent to a source and not answered by it, 300 KB each: one that it works on and one that waits.
const BATCHES_PER_SOURCE_MAX: usize = 2;
/// Batches read from disk at once.
const BATCHES_LOADING_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use wugan_protocol::hexes::sha256;

    fn batch(number: u64) -> EnrolmentBatch {
        let sources = [1, 2].map(|source| SourceEpoch { source, epoch: 1 }).to_vec();
        EnrolmentBatch { batch: number, sources, count: 256, elements: sha256(&[]) }
    }

    #[test]
    fn a_silent_source_holds_up_only_itself() {
        let mut enrolling = Enrolling { online: [1, 2].into(), ..Enrolling::default() };
        for number in 0..4 {
            let sources = enrolling.askable(&batch(number));
            let both = number < BATCHES_PER_SOURCE_MAX as u64;
            assert_eq!(sources, if both { [1, 2].into() } else { BTreeSet::from([1]) }, "batch {number}");
            for source in sources {
                enrolling.asked.entry(source).or_default().insert(number);
            }
            enrolling.settle(number, 1, 0);
        }
        enrolling.settle(0, 2, 0);
        assert_eq!(enrolling.askable(&batch(2)), [2].into());
        enrolling.online([1].into());
        enrolling.online([1, 2].into());
        assert_eq!(enrolling.askable(&batch(1)), [2].into(), "asked again after it was away");
    }
}
