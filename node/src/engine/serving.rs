//! The source's side of enrolment: batches are checked, charged to the owner's budget, evaluated, stated, answered.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use wugan_protocol::{
    codec,
    engine::{Command, Severity},
    hexes::{Digest, sha256},
    ledger::{Ledger, Round},
    member::RestoreError,
    message::Message,
    oprf::{BatchContext, Element},
    party::MemberNumber,
    reason::Reason,
    statement::{Evaluation, Kept, SourceEpoch, Statement},
};

use super::{Commands, NodeEngine, fact, facts_under, retention::Deletion};
use crate::{
    enrolment::answer_digest,
    work::{Answered, Expired, Job},
};

/// What this source has served.
pub(super) struct Serving {
    /// Epochs whose keys this node holds.
    epochs: Vec<u32>,
    /// Elements charged, by (epoch, owner, batch): persisted before the batch is answered.
    charged: BTreeMap<(u32, MemberNumber, u64), u64>,
    /// Batches whose evaluation was stated and whose answer is kept: the round that was the last then, and when.
    stated: BTreeMap<(MemberNumber, u64), (Digest, u64)>,
    /// Batches that a thread evaluates now.
    busy: BTreeSet<(MemberNumber, u64)>,
    /// Batches whose refusal was stated in this run: a repetition grows nobody's log.
    refused: BTreeSet<(MemberNumber, u64)>,
}

impl Serving {
    /// A charge that cannot be read would give its allowance back, so nothing is restored then.
    pub(super) fn restore(facts: &BTreeMap<String, Vec<u8>>, epochs: Vec<u32>) -> Result<Serving, RestoreError> {
        let charged = facts_under(facts, CHARGED).map(|(_, value)| codec::decode::<Charge>(value));
        let stated = facts_under(facts, STATED).map(|(_, value)| codec::decode(value));
        let (busy, refused) = (BTreeSet::new(), BTreeSet::new());
        let charged = charged.collect::<Result<_, _>>().map_err(|_| RestoreError::Facts)?;
        let stated = stated.collect::<Result<_, _>>().map_err(|_| RestoreError::Facts)?;
        Ok(Serving { epochs, charged, stated, busy, refused })
    }

    /// A round but the open one whose answers were all given before a time. An answer that the log does not show yet
    /// waits: by its entry, and by its absence here, this source knows that it is not to be given again.
    pub(super) fn take_expired(
        &mut self,
        before: u64,
        open: Option<Digest>,
        me: MemberNumber,
        ledger: &Ledger,
    ) -> Option<(Deletion, Expired)> {
        let logged = |(owner, batch)| ledger.batch(owner, batch).is_some_and(|batch| batch.answers.contains_key(&me));
        let kept = |key: &(MemberNumber, u64), time: u64| time >= before || self.busy.contains(key) || !logged(*key);
        let rounds: BTreeSet<Digest> = self.stated.values().map(|(round, _)| *round).collect();
        let mut over = rounds.into_iter().filter(|round| Some(*round) != open);
        let round = over.find(|round| !self.stated.iter().any(|(key, (of, time))| of == round && kept(key, *time)))?;
        let of_round = self.stated.iter().filter(|(_, (of, _))| *of == round);
        let answers: Vec<(MemberNumber, u64)> = of_round.map(|(answer, _)| *answer).collect();
        self.stated.retain(|_, (of, _)| *of != round);
        let facts = answers.iter().map(|(owner, batch)| stated_name(*owner, *batch)).collect();
        Some((Deletion { round, of: Kept::Answers, facts }, Expired::Answers(answers)))
    }

    /// Elements charged to an owner in an epoch, other batches than this one.
    fn spent(&self, epoch: u32, owner: MemberNumber, but: u64) -> u64 {
        let of_owner = self.charged.range((epoch, owner, 0)..=(epoch, owner, u64::MAX));
        of_owner.filter(|((_, _, batch), _)| *batch != but).map(|(_, count)| count).sum()
    }
}

/// (epoch, owner, batch) and the elements charged.
type Charge = ((u32, MemberNumber, u64), u64);

impl NodeEngine {
    pub(super) fn serve(&mut self, owner: MemberNumber, number: u64, blinded: Vec<Element>, now: u64) -> Commands {
        let Some(batch) = self.member.ledger().batch(owner, number) else {
            return vec![Command::Tell(Severity::Warn, "a batch came that the log does not show".into())];
        };
        let (entry, federation, count) = (batch.entry, batch.federation.0, batch.statement.count);
        if batch.statement.elements != sha256(blinded.as_flattened()) || blinded.len() as u64 != count {
            return self.not_evaluated(owner, number, Reason::BatchDiffers, now);
        }
        let mine = batch.statement.sources.iter().find(|source| source.source == self.member.party().member);
        let Some(source) = mine.filter(|source| self.serving.epochs.contains(&source.epoch)).copied() else {
            return self.not_evaluated(owner, number, Reason::UnknownEpoch, now);
        };
        if self.serving.spent(source.epoch, owner, number) + count > self.member.federation().allowance(owner) {
            return self.not_evaluated(owner, number, Reason::OverBudget, now);
        }
        let answered = batch.answers.contains_key(&self.member.party().member);
        if answered && !self.serving.stated.contains_key(&(owner, number)) {
            return self.not_evaluated(owner, number, Reason::Deleted, now);
        }
        if self.member.ledger().round().is_none() {
            return self.not_evaluated(owner, number, Reason::BeforeItsTime, now);
        }
        if !self.serving.busy.insert((owner, number)) {
            return Vec::new();
        }
        let mut commands = self.charge(source, owner, number, count);
        let context = BatchContext { federation, source: source.source, owner, epoch: source.epoch, batch: number };
        commands.push(Command::Local(Job::Evaluate { context, entry, blinded }));
        commands
    }

    pub(super) fn evaluated(&mut self, answer: Answered, now: u64) -> Commands {
        let Answered { context, entry, evaluated, proof } = answer;
        let key = (context.owner, context.batch);
        self.serving.busy.remove(&key);
        let mut commands = Vec::new();
        let round = self.member.ledger().round().map(Round::hash);
        if let (Some(round), Entry::Vacant(stated)) = (round, self.serving.stated.entry(key)) {
            stated.insert((round, now));
            let statement = Statement::Evaluation(Evaluation {
                owner: context.owner,
                batch: context.batch,
                entry,
                epoch: context.epoch,
                count: evaluated.len() as u64,
                answer: answer_digest(&evaluated, &proof),
            });
            let value = codec::encode(&(key, (round, now))).unwrap_or_default();
            commands.push(fact(stated_name(key.0, key.1), value));
            commands.extend(self.member.state(statement, false, now));
        }
        let (owner, batch, source) = (context.owner, context.batch, context.source);
        let message = Message::Answer { owner, batch, source, evaluated, proof };
        commands.push(Command::Send(vec![self.member.federation().coordinator()], message));
        commands
    }

    pub(super) fn not_evaluated(&mut self, owner: MemberNumber, batch: u64, reason: Reason, now: u64) -> Commands {
        self.serving.busy.remove(&(owner, batch));
        let Some(entry) = self.member.ledger().batch(owner, batch).map(|batch| batch.entry) else { return Vec::new() };
        if !self.serving.refused.insert((owner, batch)) {
            return Vec::new();
        }
        let who = self.member.federation().policy().member_id(owner).to_owned();
        let text = format!("enrolment batch {batch} of {who} refused: {reason}");
        let mut commands = vec![Command::Tell(Severity::Warn, text)];
        commands.extend(self.member.state(Statement::Refusal { entry, reason }, false, now));
        commands
    }

    fn charge(&mut self, source: SourceEpoch, owner: MemberNumber, batch: u64, count: u64) -> Commands {
        let charge: Charge = ((source.epoch, owner, batch), count);
        if self.serving.charged.insert(charge.0, count).is_some() {
            return Vec::new();
        }
        let value = codec::encode(&charge).unwrap_or_default();
        vec![fact(format!("{CHARGED}/{}/{owner}/{batch}", source.epoch), value)]
    }
}

fn stated_name(owner: MemberNumber, batch: u64) -> String {
    format!("{STATED}/{owner}/{batch}")
}

const CHARGED: &str = "charged";
const STATED: &str = "evaluation";
