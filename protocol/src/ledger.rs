//! What follows from the log: a fold over its entries, the same for every member, the coordinator and an auditor.
//!
//! An entry is first *admitted* (canonical, signed by a member in its own sequence) and then *applied*. What an
//! admitted entry states may still be against the rules or too late: then it stands in the log without effect.

mod disclosure;
mod round;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

pub use disclosure::{APPROVALS, Disclosed, PastRound, Requested};
pub use round::{Round, row_files};

use crate::{
    envelope::{Head, Signed, Unverified},
    hexes::{Digest, Hex, sha256},
    limits::{BATCH_PEOPLE_MAX, CLOCKS_APART_SECONDS_MAX, COUNT_STEP},
    log::{
        cosignature::verify_tree,
        merkle::{Growing, Tree},
        note::SignatureLine,
    },
    manifest::{Federation, Versions},
    month::Month,
    oprf,
    party::{MemberNumber, Party, Role},
    policy::Channel,
    reason::Reason,
    statement::{
        Cosignature, EnrolmentBatch, Evaluation, Kept, KeyEpoch, RoundChannel, RoundManifest, SourceEpoch, Statement,
    },
};

/// The state that the log's entries lead to.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Every version of the manifest that is known, and the one in force.
    versions: Versions,
    federation: Federation,
    entries: u64,
    tree: Growing,
    /// Each party's place, by role and id (numbers may change from version to version), and the version that it named last.
    heads: BTreeMap<(Role, String), (Place, u32)>,
    keys: BTreeMap<SourceEpoch, Hex<32>>,
    batches: BTreeMap<(MemberNumber, u64), Batch>,
    charged: BTreeMap<(MemberNumber, SourceEpoch), u64>,
    counted: Option<Counted>,
    /// Every round that was opened.
    rounds: BTreeMap<Digest, Opened>,
    /// Who deleted what of which round, by the round's numbers.
    deletions: BTreeSet<(Party, Digest, Kept)>,
    /// Rounds that counted and were closed.
    past: BTreeMap<Digest, PastRound>,
    /// Requests for disclosure, by the hash of their entries.
    requests: BTreeMap<Digest, Requested>,
    round: Option<Round>,
    closed: Option<Closed>,
    /// The trees right after rounds were closed, by size.
    ends: BTreeMap<u64, Tree>,
}

/// An entry that was admitted at the ledger's present end.
#[derive(Clone, Debug)]
pub struct Admitted {
    party: Option<Party>,
    signed: Signed,
}

/// An entry of the log and what became of it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its index, from 0.
    pub index: u64,
    /// Who signed it; `None` for the authority.
    pub party: Option<Party>,
    /// The entry.
    pub signed: Signed,
    /// Whether it had an effect, or why not.
    pub verdict: Result<(), Reason>,
}

/// A batch as logged.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Hash of the owner's signed entry.
    pub entry: Digest,
    /// The version of the federation manifest that it names, to which proofs are bound.
    pub federation: Digest,
    /// What the owner signed.
    pub statement: EnrolmentBatch,
    /// Digest of each answer that was logged.
    pub answers: BTreeMap<MemberNumber, Digest>,
}

/// The log's tree right after a round was closed, and who cosigned it.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The tree.
    pub tree: Tree,
    /// Who cosigned it, with the line for the signed note, which was verified.
    pub cosigned: BTreeMap<Party, SignatureLine>,
    /// How many members outside the coordinator's bureau must.
    pub quorum: u16,
    /// The version of the federation manifest under which it was closed: its members cosign, by its numbers.
    pub version: Digest,
}

/// When a round was opened, and under which version of the manifest.
#[derive(Clone, Copy, Debug)]
struct Opened {
    time: u64,
    version: Digest,
}

/// The last counted round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its month.
    pub month: Month,
    /// When it was opened, by the coordinator's clock, seconds since 1970 UTC.
    pub opened: u64,
}

/// A party's place in its own sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of its next entry.
    pub seq: u64,
    /// Hash of the entry before.
    pub prev: Option<Digest>,
}

impl Ledger {
    /// The state before the first entry.
    pub fn new(versions: impl Into<Versions>) -> Ledger {
        let versions = versions.into();
        Ledger {
            federation: versions.first().clone(),
            versions,
            entries: 0,
            tree: Growing::default(),
            heads: BTreeMap::new(),
            keys: BTreeMap::new(),
            batches: BTreeMap::new(),
            charged: BTreeMap::new(),
            counted: None,
            rounds: BTreeMap::new(),
            deletions: BTreeSet::new(),
            past: BTreeMap::new(),
            requests: BTreeMap::new(),
            round: None,
            closed: None,
            ends: BTreeMap::new(),
        }
    }

    /// Checks that a line may be the log's next entry: the federation manifest itself as the first, afterwards
    /// documents that members signed, each in its own sequence, and between rounds the manifest's next version.
    ///
    /// # Errors
    /// The reason for which nobody may append it.
    pub fn admit(&self, line: &[u8]) -> Result<Admitted, Reason> {
        if self.entries == 0 {
            let manifest = self.federation.signed();
            let same = manifest.bytes() == line;
            return same.then(|| Admitted { party: None, signed: manifest.clone() }).ok_or(Reason::OtherFederation);
        }
        let unverified = Unverified::read(line).map_err(|_| Reason::Malformed)?;
        let (id, role) = unverified.claimed();
        if role == Role::Authority {
            return self.admit_version(unverified);
        }
        let party = self.federation.party(id, role).ok_or(Reason::NotMember)?;
        let key = self.federation.key(party).ok_or(Reason::NotMember)?;
        let signed = unverified.verify(&key).map_err(|_| Reason::BadSignature)?;
        let head = &signed.body().head;
        // What was under way when a version came names the one before, under which the signer had the same key.
        let (version, then) = self.signer(head).ok_or(Reason::OtherFederation)?;
        let back = self.heads.get(&(role, head.sender.clone())).is_some_and(|(_, last)| version.version() < *last);
        if version.key(then) != Some(key) || back {
            return Err(Reason::OtherFederation);
        }
        if self.place(party) != (Place { seq: head.seq, prev: head.prev }) {
            return Err(Reason::OutOfSequence);
        }
        let speaker = signed.body().statement.speaker();
        if speaker.is_some_and(|role| role != party.role) {
            return Err(Reason::NotAllowed);
        }
        Ok(Admitted { party: Some(party), signed })
    }

    /// Appends an admitted entry only if it has an effect.
    ///
    /// # Errors
    /// Why it would have none; the ledger is as before then.
    pub fn apply_effective(&mut self, entry: Admitted) -> Result<Logged, Reason> {
        // Whatever refuses an entry changes nothing, so the entry can be tried on the ledger itself.
        if let Some(party) = entry.party {
            self.state(party, &entry.signed)?;
        }
        Ok(self.place_at_end(entry, Ok(())))
    }

    /// Appends an admitted entry.
    pub fn apply(&mut self, entry: Admitted) -> Logged {
        let verdict = entry.party.map_or(Ok(()), |party| self.state(party, &entry.signed));
        self.place_at_end(entry, verdict)
    }

    fn place_at_end(&mut self, entry: Admitted, verdict: Result<(), Reason>) -> Logged {
        let Admitted { party, signed } = entry;
        let index = self.entries;
        let head = &signed.body().head;
        if party.is_some() {
            let place = Place { seq: head.seq + 1, prev: Some(signed.hash()) };
            let named = self.signer(head).map_or(0, |(version, _)| version.version());
            self.heads.insert((head.role, head.sender.clone()), (place, named));
        } else if let Some(next) = self.next_version().filter(|_| index > 0) {
            self.federation = next.clone();
        }
        self.entries += 1;
        self.tree.push(signed.bytes());
        if verdict.is_ok() && matches!(signed.body().statement, Statement::RoundClosed {}) {
            let tree = self.tree.tree();
            let (quorum, version) = (self.federation.manifest().quorum, self.federation.hash());
            self.closed = Some(Closed { tree, cosigned: BTreeMap::new(), quorum, version });
            self.ends.insert(tree.size, tree);
        }
        Logged { index, party, signed, verdict }
    }

    /// Where a party's next entry stands in its sequence.
    pub fn place(&self, party: Party) -> Place {
        let id = self.federation.policy().member_id(party.member).to_owned();
        self.heads.get(&(party.role, id)).map(|(place, _)| *place).unwrap_or_default()
    }

    /// The head of a party's entry at `place`; `in_round` binds it to the open round.
    pub fn head(&self, party: Party, place: Place, in_round: bool, now: u64) -> Head {
        Head {
            federation: Some(self.federation.hash()),
            round: self.round.as_ref().filter(|_| in_round).map(Round::hash),
            sender: self.federation.policy().member_id(party.member).to_owned(),
            role: party.role,
            seq: place.seq,
            prev: place.prev,
            time: now,
        }
    }

    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The tree of all entries, which grows with them.
    pub fn tree(&self) -> &Growing {
        &self.tree
    }

    /// The tree at the end of the last round that was closed.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The federation, by the version of its manifest that is in force.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// The round that is open, or the last one.
    pub fn round(&self) -> Option<&Round> {
        self.round.as_ref()
    }

    /// The round, if it is neither closed nor abandoned.
    pub fn open_round(&self) -> Option<&Round> {
        self.round.as_ref().filter(|round| !round.ended())
    }

    /// Whether an entry has no effect only because a close came before it into the log: that proves nothing against its
    /// signer, who could not know. The coordinator orders the log, so that its own entries are never late.
    pub fn is_late(&self, logged: &Logged) -> bool {
        if logged.party.is_none_or(|party| party.role == Role::Coordinator) {
            return false;
        }
        let body = logged.signed.body();
        // What was under way when another version came was right under the one before.
        if logged.verdict.is_err() && body.head.federation != Some(self.federation.hash()) {
            return true;
        }
        match (logged.verdict, &body.statement, body.head.round) {
            (Err(Reason::TooLate | Reason::Deleted), _, _) => true,
            (Err(Reason::OtherRound), Statement::Cosignature(Cosignature { size, signature }), None) => {
                let (end, key) = (self.ends.get(size), self.cosigner_key(&body.head));
                end.zip(key).is_some_and(|(tree, key)| {
                    verify_tree(*tree, &self.federation.origin(), &key, body.head.time, &signature.0).is_ok()
                })
            }
            (Err(Reason::OtherRound), _, Some(round)) => self.has_round(round),
            _ => false,
        }
    }

    /// Whether a round was ever opened.
    pub fn has_round(&self, round: Digest) -> bool {
        self.rounds.contains_key(&round)
    }

    /// The last counted round.
    pub fn counted(&self) -> Option<Counted> {
        self.counted
    }

    /// The key that a source announced for an epoch.
    pub fn key(&self, epoch: SourceEpoch) -> Option<Hex<32>> {
        self.keys.get(&epoch).copied()
    }

    /// A source's latest epoch.
    pub fn epoch(&self, source: MemberNumber) -> Option<SourceEpoch> {
        let all = SourceEpoch { source, epoch: 0 }..=SourceEpoch { source, epoch: u32::MAX };
        self.keys.range(all).next_back().map(|(epoch, _)| *epoch)
    }

    /// A batch by owner and number.
    pub fn batch(&self, owner: MemberNumber, batch: u64) -> Option<&Batch> {
        self.batches.get(&(owner, batch))
    }

    /// The number of an owner's next batch.
    pub fn next_batch(&self, owner: MemberNumber) -> u64 {
        let last = self.batches.range((owner, 0)..=(owner, u64::MAX)).next_back();
        last.map_or(0, |((_, number), _)| number + 1)
    }

    /// The round manifest that agrees with the policy and the announced keys.
    ///
    /// # Errors
    /// The source whose key is not announced.
    pub fn round_manifest(&self, month: Month, times: RoundTimes) -> Result<RoundManifest, MemberNumber> {
        let policy = self.federation.policy();
        let channels: Result<Vec<_>, _> = policy.channels.iter().map(|channel| self.round_channel(channel)).collect();
        Ok(RoundManifest {
            month,
            policy: policy.hash,
            matters: policy.matters.iter().map(|matter| matter.id.clone()).collect(),
            channels: channels?,
            matcher: policy.matcher_number(),
            aggregator: policy.aggregator,
            pools_close_from: times.pools_close_from,
            enrolment_until: times.enrolment_until,
            rows_until: times.rows_until,
        })
    }

    fn round_channel(&self, channel: &Channel) -> Result<RoundChannel, MemberNumber> {
        let epoch = self.epoch(channel.source).ok_or(channel.source)?;
        let key = self.key(epoch).ok_or(channel.source)?;
        Ok(RoundChannel {
            number: channel.number,
            class: channel.class,
            source: channel.source,
            epoch: epoch.epoch,
            key: sha256(&key.0),
        })
    }

    fn state(&mut self, party: Party, signed: &Signed) -> Result<(), Reason> {
        let body = signed.body();
        if body.head.round.is_some() && stands_outside_rounds(&body.statement) {
            return Err(Reason::OtherRound);
        }
        match &body.statement {
            Statement::KeyEpoch(epoch) => self.state_epoch(party, &body.head, epoch),
            Statement::EnrolmentBatch(batch) => self.state_batch(party, signed, batch),
            Statement::Evaluation(evaluation) => self.state_evaluation(party, evaluation),
            Statement::RoundManifest(manifest) => self.state_round(manifest, signed),
            Statement::Cosignature(cosignature) => self.state_cosignature(&body.head, cosignature),
            Statement::Refusal { entry, reason } => {
                self.state_refusal(party, *entry, *reason);
                Ok(())
            }
            Statement::Deletion { of } => self.state_deletion(party, &body.head, *of),
            Statement::DisclosureRequest(request) => {
                self.state_request(party, body.head.round, request, (signed.hash(), body.head.time))
            }
            Statement::Approval { request } => self.state_approval(party, body.head.round, *request),
            Statement::Disclosure { request, answer } => {
                self.state_disclosure(body.head.round, *request, *answer, signed.hash())
            }
            statement => {
                let round = self.round.as_mut().filter(|round| !round.ended() || round.delivers(statement));
                let round = round.filter(|round| body.head.round == Some(round.hash())).ok_or(Reason::OtherRound)?;
                round.state(party, statement, body.head.time)?;
                match statement {
                    Statement::List { .. } => {
                        self.counted = Some(Counted { month: round.manifest().month, opened: round.opened() });
                    }
                    Statement::RoundClosed {} => {
                        let past = PastRound::of(round);
                        self.past.insert(round.hash(), past);
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    fn state_epoch(&mut self, party: Party, head: &Head, statement: &KeyEpoch) -> Result<(), Reason> {
        let source = SourceEpoch { source: party.member, epoch: statement.epoch };
        let next = self.epoch(party.member).map_or(1, |epoch| epoch.epoch + 1);
        if statement.epoch != next {
            return Err(Reason::OutOfSequence);
        }
        if self.keys.values().any(|key| *key == statement.key) {
            return Err(Reason::KeyReused);
        }
        let key = oprf::PublicKey::from_bytes(&statement.key.0).map_err(|_| Reason::BadElement)?;
        let federation = head.federation.ok_or(Reason::OtherFederation)?.0;
        let context = oprf::KeyContext { federation, source: source.source, epoch: source.epoch };
        let proof = oprf::Proof::from_bytes(&statement.proof.0).map_err(|_| Reason::KeyProof)?;
        oprf::verify_key(&key, &context, &proof).map_err(|_| Reason::KeyProof)?;
        self.keys.insert(source, statement.key);
        Ok(())
    }

    fn state_batch(&mut self, party: Party, signed: &Signed, batch: &EnrolmentBatch) -> Result<(), Reason> {
        let federation = signed.body().head.federation.ok_or(Reason::OtherFederation)?;
        if batch.batch != self.next_batch(party.member) {
            return Err(Reason::OutOfSequence);
        }
        let full = batch.count > 0 && batch.count <= BATCH_PEOPLE_MAX as u64 && batch.count.is_multiple_of(COUNT_STEP);
        if !full {
            return Err(Reason::CountDiffers);
        }
        if !batch.sources.iter().all(|source| self.keys.contains_key(source)) {
            return Err(Reason::UnknownEpoch);
        }
        if self.federation.owner_limits(party.member).is_none() {
            return Err(Reason::NotAllowed);
        }
        let ascending = batch.sources.is_sorted_by(|one, next| one < next);
        if batch.sources.is_empty() || !ascending || batch.sources.iter().any(|source| source.source == party.member) {
            return Err(Reason::Malformed);
        }
        let record = Batch { entry: signed.hash(), federation, statement: batch.clone(), answers: BTreeMap::new() };
        self.batches.insert((party.member, batch.batch), record);
        Ok(())
    }

    fn state_evaluation(&mut self, party: Party, evaluation: &Evaluation) -> Result<(), Reason> {
        let source = SourceEpoch { source: party.member, epoch: evaluation.epoch };
        let allowance = self.federation.allowance(evaluation.owner);
        let batch = self.batches.get_mut(&(evaluation.owner, evaluation.batch)).ok_or(Reason::BeforeItsTime)?;
        if batch.entry != evaluation.entry || batch.statement.count != evaluation.count {
            return Err(Reason::BatchDiffers);
        }
        if !batch.statement.sources.contains(&source) {
            return Err(Reason::UnknownEpoch);
        }
        if batch.answers.contains_key(&party.member) {
            return Err(Reason::Repeated);
        }
        let charged = self.charged.get(&(evaluation.owner, source)).copied().unwrap_or(0) + evaluation.count;
        if charged > allowance {
            return Err(Reason::OverBudget);
        }
        self.charged.insert((evaluation.owner, source), charged);
        batch.answers.insert(party.member, evaluation.answer);
        Ok(())
    }

    fn state_cosignature(&mut self, head: &Head, cosignature: &Cosignature) -> Result<(), Reason> {
        let (key, party) = (self.cosigner_key(head), self.cosigner(&head.sender, head.role));
        let closed = self.closed.as_mut().ok_or(Reason::BeforeItsTime)?;
        let (key, party) = key.zip(party).ok_or(Reason::NotAllowed)?;
        if closed.tree.size != cosignature.size {
            return Err(Reason::OtherRound);
        }
        if closed.cosigned.contains_key(&party) {
            return Err(Reason::Repeated);
        }
        let (time, signature) = (head.time, cosignature.signature.0);
        let verified = verify_tree(closed.tree, &self.federation.origin(), &key, time, &signature);
        verified.map_err(|_| Reason::BadSignature)?;
        closed.cosigned.insert(party, key.cosignature_line(time, &signature));
        Ok(())
    }

    fn state_round(&mut self, manifest: &RoundManifest, signed: &Signed) -> Result<(), Reason> {
        if self.open_round().is_some() {
            return Err(Reason::Repeated);
        }
        let version = self.federation.hash();
        if signed.body().head.federation != Some(version) {
            return Err(Reason::OtherFederation);
        }
        let hash = sha256(&signed.body().canonical().map_err(|_| Reason::Malformed)?);
        let opened = signed.body().head.time;
        self.check_round(manifest, opened)?;
        if self.rounds.contains_key(&hash) {
            return Err(Reason::RoundReused);
        }
        self.rounds.insert(hash, Opened { time: opened, version });
        self.round = Some(Round::new(self.federation.policy().clone(), signed.hash(), hash, manifest.clone(), opened));
        Ok(())
    }

    fn state_deletion(&mut self, party: Party, head: &Head, of: Kept) -> Result<(), Reason> {
        let round = head.round.ok_or(Reason::OtherRound)?;
        let opened = self.rounds.get(&round).ok_or(Reason::OtherRound)?;
        let then = self.federation_of(round).and_then(|version| version.party(&head.sender, head.role));
        let party = then.filter(|_| of.is_kept_by(party.role)).ok_or(Reason::NotAllowed)?;
        let kept_for = self.federation.policy().days_kept(of).saturating_mul(SECONDS_PER_DAY);
        let early = head.time.saturating_add(CLOCKS_APART_SECONDS_MAX) < opened.time.saturating_add(kept_for);
        if early || self.open_round().map(Round::hash) == Some(round) {
            return Err(Reason::BeforeItsTime);
        }
        let new = self.deletions.insert((party, round, of));
        new.then_some(()).ok_or(Reason::Repeated)
    }

    fn check_round(&self, manifest: &RoundManifest, opened: u64) -> Result<(), Reason> {
        let times = RoundTimes {
            pools_close_from: manifest.pools_close_from,
            enrolment_until: manifest.enrolment_until,
            rows_until: manifest.rows_until,
        };
        let expected = self.round_manifest(manifest.month, times).map_err(|_| Reason::UnknownEpoch)?;
        if *manifest != expected {
            return Err(Reason::OtherPolicy);
        }
        if times.pools_close_from < opened || times.rows_until < times.enrolment_until {
            return Err(Reason::ClockDiffers);
        }
        let Some(counted) = self.counted else { return Ok(()) };
        if manifest.month <= counted.month {
            return Err(Reason::MonthNotLater);
        }
        let seconds = self.federation.policy().days_between_rounds * SECONDS_PER_DAY;
        if opened < counted.opened + seconds {
            return Err(Reason::TooSoon);
        }
        Ok(())
    }
}

impl Admitted {
    /// The entry.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// Who signed it; `None` for the authority.
    pub fn party(&self) -> Option<Party> {
        self.party
    }
}

/// The times that a round manifest sets, seconds since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub struct RoundTimes {
    /// Earliest time at which pools may be closed.
    pub pools_close_from: u64,
    /// People not enrolled by then are deferred.
    pub enrolment_until: u64,
    /// The latest time for records and rows.
    pub rows_until: u64,
}

/// Seconds in a day.
pub const SECONDS_PER_DAY: u64 = 86_400;

/// Whether a statement belongs to no round, so that its entry names none.
fn stands_outside_rounds(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::KeyEpoch(_)
            | Statement::EnrolmentBatch(_)
            | Statement::Evaluation(_)
            | Statement::RoundManifest(_)
            | Statement::Cosignature(_)
    )
}

/// Whether a role of a member may state about this owner.
pub(crate) fn is_node_of(party: Party, member: MemberNumber) -> bool {
    party == Party { member, role: Role::Node }
}
