//! The source's side of enrolment: batches are checked, charged to the owner's budget, evaluated, stated, answered.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    codec,
    engine::{Command, Severity},
    hexes::sha256,
    member::RestoreError,
    message::Message,
    oprf::{BatchContext, Element},
    party::MemberNumber,
    reason::Reason,
    statement::{Evaluation, SourceEpoch, Statement},
};

use super::{Commands, NodeEngine, fact, facts_under};
use crate::{
    enrolment::answer_digest,
    work::{Answered, Job},
};

/// What this source has served.
pub(super) struct Serving {
    /// Epochs whose keys this node holds.
    epochs: Vec<u32>,
    /// Elements charged, by (epoch, owner, batch): persisted before the batch is answered.
    charged: BTreeMap<(u32, MemberNumber, u64), u64>,
    /// Batches whose evaluation was stated.
    stated: BTreeSet<(MemberNumber, u64)>,
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
        let (entry, count) = (batch.entry, batch.statement.count);
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
        if !self.serving.busy.insert((owner, number)) {
            return Vec::new();
        }
        let mut commands = self.charge(source, owner, number, count);
        let federation = self.member.federation().hash().0;
        let context = BatchContext { federation, source: source.source, owner, epoch: source.epoch, batch: number };
        commands.push(Command::Local(Job::Evaluate { context, entry, blinded }));
        commands
    }

    pub(super) fn evaluated(&mut self, answer: Answered, now: u64) -> Commands {
        let Answered { context, entry, evaluated, proof } = answer;
        let key = (context.owner, context.batch);
        self.serving.busy.remove(&key);
        let mut commands = Vec::new();
        if self.serving.stated.insert(key) {
            let statement = Statement::Evaluation(Evaluation {
                owner: context.owner,
                batch: context.batch,
                entry,
                epoch: context.epoch,
                count: evaluated.len() as u64,
                answer: answer_digest(&evaluated, &proof),
            });
            let value = codec::encode(&key).unwrap_or_default();
            commands.push(fact(format!("{STATED}/{}/{}", key.0, key.1), value));
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

const CHARGED: &str = "charged";
const STATED: &str = "evaluation";
