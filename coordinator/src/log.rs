//! The log as its writer sees it: the ledger, and what else follows from the entries. Restoring folds the same entries,
//! so nothing here is persisted besides them.

use std::collections::{BTreeMap, BTreeSet};

use crate::log_folder::COSIGNED;
use wugan_protocol::{
    engine::{Command, Fact, Stop},
    envelope::{Body, Head, Signers},
    file::FileKey,
    hexes::Digest,
    ledger::{Admitted, Ledger, Logged, Round, SECONDS_PER_DAY},
    limits::{ENTRIES_BYTES_PER_MESSAGE_MAX, ENTRIES_PER_MESSAGE_MAX},
    log::checkpoint::VerifiedCheckpoint,
    manifest::{Federation, Versions},
    member::RestoreError,
    message::Message,
    party::{MemberNumber, Party, Role},
    reason::Reason,
    statement::{Announcement, Kept, Receipt, Statement},
};

/// The log and what follows from it.
pub(crate) struct Log {
    ledger: Ledger,
    signers: Signers,
    /// Entries of this input, which are not durable yet.
    fresh: Vec<Vec<u8>>,
    /// Hash of the entry that announced each owner's bits in the last round.
    bits: BTreeMap<MemberNumber, Digest>,
    /// Entries that this coordinator refused.
    refused: BTreeSet<Digest>,
    /// Announcements of decisions, by round and owner, for which no receipt is logged.
    decisions: BTreeMap<(Digest, MemberNumber), Vec<u8>>,
    /// What is kept of each round, and when the round was opened.
    kept: BTreeMap<(Digest, Kept), u64>,
    listed: Option<u64>,
    ended: Option<u64>,
    /// The note of the last round's tree, when a cosignature came in that is not durable yet.
    cosigned: Option<Vec<u8>>,
}

impl Log {
    /// Restores it from its entries.
    pub(crate) fn restore(
        versions: impl Into<Versions>,
        signers: Signers,
        lines: &[Vec<u8>],
    ) -> Result<Log, RestoreError> {
        let ledger = Ledger::new(versions);
        let (fresh, bits, refused) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let (decisions, kept, cosigned) = (BTreeMap::new(), BTreeMap::new(), None);
        let (listed, ended) = (None, None);
        let mut log = Log { ledger, signers, fresh, bits, refused, decisions, kept, listed, ended, cosigned };
        for line in lines {
            let index = log.ledger.entries();
            let admitted = log.ledger.admit(line).map_err(|reason| RestoreError::Log { index, reason })?;
            let logged = log.ledger.apply(admitted);
            log.note(&logged);
        }
        Ok(log)
    }

    /// What the entries say.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The federation.
    pub(crate) fn federation(&self) -> &Federation {
        self.ledger.federation()
    }

    /// Appends an entry that was admitted, whether or not it has an effect.
    pub(crate) fn append(&mut self, admitted: Admitted) -> Logged {
        let logged = self.ledger.apply(admitted);
        self.fresh.push(logged.signed.bytes().to_vec());
        self.note(&logged);
        logged
    }

    /// Signs and appends an entry of the coordinator's own, unless it would have no effect.
    ///
    /// # Errors
    /// The reason for which it would have none; nothing is appended then.
    pub(crate) fn state(&mut self, statement: Statement, in_round: bool, now: u64) -> Result<(), Reason> {
        self.state_in(self.ledger.round().filter(|_| in_round).map(Round::hash), statement, now)
    }

    /// [`Log::state`], in a round that may have ended long ago.
    pub(crate) fn state_in(&mut self, round: Option<Digest>, statement: Statement, now: u64) -> Result<(), Reason> {
        let party = self.federation().coordinator();
        let head = Head { round, ..self.ledger.head(party, self.ledger.place(party), false, now) };
        let signed = Body { head, statement }.sign(self.signers.identity.as_ref()).map_err(|_| Reason::Malformed)?;
        let logged = self.ledger.apply_effective(self.ledger.admit(signed.bytes())?)?;
        self.fresh.push(signed.bytes().to_vec());
        self.note(&logged);
        Ok(())
    }

    /// Whether entries wait for [`Log::flush`].
    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// What makes this input's entries durable and then known to those who hold all entries before.
    pub(crate) fn flush<J>(&mut self, followers: &[Party]) -> Vec<Command<J>> {
        let lines = std::mem::take(&mut self.fresh);
        let first = self.ledger.entries() - lines.len() as u64;
        let entries = (first..).zip(&lines).map(|(index, line)| Fact::Log(index, line.clone()));
        let cosigned = self.cosigned.take().map(|note| Fact::Set(COSIGNED.to_owned(), note));
        let mut commands = vec![Command::Commit(entries.chain(cosigned).collect())];
        if !followers.is_empty() {
            commands
                .extend(messages(first, lines).into_iter().map(|message| Command::Send(followers.to_vec(), message)));
            commands.push(self.checkpoint(followers.to_vec()));
        }
        commands
    }

    /// Sends the signed tree of all entries, which are durable and were sent before.
    pub(crate) fn checkpoint<J>(&self, to: Vec<Party>) -> Command<J> {
        let origin = self.federation().origin();
        match VerifiedCheckpoint::sign(self.ledger.tree().tree(), &origin, self.signers.log.as_ref()) {
            Ok(signed) => Command::Send(to, Message::Checkpoint { note: signed.note().to_string().into_bytes() }),
            Err(error) => Command::Stop(Stop::Unsigned(error)),
        }
    }

    /// The entry that announced an owner's bits in the last round.
    pub(crate) fn bits_entry(&self, owner: MemberNumber) -> Option<Digest> {
        self.bits.get(&owner).copied()
    }

    /// Whether this coordinator refused an owner's bits in the last round.
    pub(crate) fn bits_refused(&self, owner: MemberNumber) -> bool {
        self.bits.get(&owner).is_some_and(|entry| self.refused.contains(entry))
    }

    /// Announcements of decisions, by round and owner, whose receipt is not logged.
    pub(crate) fn undelivered(&self) -> &BTreeMap<(Digest, MemberNumber), Vec<u8>> {
        &self.decisions
    }

    /// Whether something of a round is kept still.
    pub(crate) fn keeps(&self, round: Digest, of: Kept) -> bool {
        self.kept.contains_key(&(round, of))
    }

    /// What has been kept for its retention time, of rounds other than the open one.
    pub(crate) fn expired(&self, now: u64) -> Vec<(Digest, Kept)> {
        let (policy, open) = (self.federation().policy(), self.ledger.open_round().map(Round::hash));
        let over = self.kept.iter().filter(|((round, of), opened)| {
            Some(*round) != open && now >= opened.saturating_add(policy.days_kept(*of).saturating_mul(SECONDS_PER_DAY))
        });
        over.map(|(kept, _)| *kept).collect()
    }

    /// When the last round's list was signed, by the matcher's clock.
    pub(crate) fn listed(&self) -> Option<u64> {
        self.listed
    }

    /// When the last round was closed or abandoned.
    pub(crate) fn ended(&self) -> Option<u64> {
        self.ended
    }

    /// The signed tree of the last round's end with the cosignatures that came in.
    fn cosigned_note(&self) -> Option<Vec<u8>> {
        let (origin, closed) = (self.federation().origin(), self.ledger.closed()?);
        let mut signed = VerifiedCheckpoint::sign(closed.tree, &origin, self.signers.log.as_ref()).ok()?;
        closed.cosigned.values().for_each(|line| signed.add_cosignature(line.clone()));
        Some(signed.note().to_string().into_bytes())
    }

    fn note(&mut self, logged: &Logged) {
        let body = logged.signed.body();
        if let (Statement::Receipt(Receipt::Decisions {}), Some(party)) = (&body.statement, logged.party) {
            // Also for a round before the last one, where the ledger gives it no effect.
            let round = body.head.round.filter(|_| party.role == Role::Node);
            round.map(|round| self.decisions.remove(&(round, party.member)));
        }
        if logged.verdict.is_err() {
            return;
        }
        match &body.statement {
            Statement::RoundManifest(_) => {
                self.bits.clear();
                (self.listed, self.ended) = (None, None);
                let rounds = self.ledger.round().map(Round::hash).into_iter();
                let kept = rounds.flat_map(|round| [(round, Kept::Bits), (round, Kept::Decisions)]);
                self.kept.extend(kept.map(|kept| (kept, body.head.time)));
            }
            Statement::Announcement(Announcement { file, .. }) => self.note_file(*file, logged),
            Statement::List { .. } => self.listed = Some(body.head.time),
            Statement::Cosignature(_) => self.cosigned = self.cosigned_note(),
            Statement::RoundClosed {} => {
                self.ended = Some(body.head.time);
                // The note of the round before makes room, before anybody has cosigned this one.
                self.cosigned = self.cosigned_note();
            }
            Statement::RoundAbandoned { .. } => {
                self.ended = Some(body.head.time);
                // It had neither bits nor decisions.
                let round = body.head.round;
                self.kept.retain(|(kept, _), _| Some(*kept) != round);
            }
            Statement::Deletion { of } => self.note_deletion(*of, logged),
            Statement::Refusal { entry, .. } if body.head.role == Role::Coordinator => {
                self.refused.insert(*entry);
            }
            _ => {}
        }
    }

    fn note_deletion(&mut self, of: Kept, logged: &Logged) {
        let (Some(round), Some(party)) = (logged.signed.body().head.round, logged.party) else { return };
        match of {
            Kept::Bits | Kept::Decisions => drop(self.kept.remove(&(round, of))),
            // An owner without its row map has no use for decisions any more.
            Kept::Files if party.role == Role::Node => drop(self.decisions.remove(&(round, party.member))),
            Kept::Files | Kept::Batches | Kept::Answers => {}
        }
        if of == Kept::Decisions {
            self.decisions.retain(|(other, _), _| *other != round);
        }
    }

    fn note_file(&mut self, file: FileKey, logged: &Logged) {
        match (file, self.ledger.round().map(Round::hash)) {
            (FileKey::Bits { owner }, _) => {
                self.bits.insert(owner, logged.signed.hash());
            }
            (FileKey::Decisions { owner }, Some(round)) => {
                self.decisions.insert((round, owner), logged.signed.bytes().to_vec());
            }
            _ => {}
        }
    }
}

/// Consecutive entries in messages of bounded size.
fn messages(mut first: u64, lines: Vec<Vec<u8>>) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for line in lines {
        let full = part.len() == ENTRIES_PER_MESSAGE_MAX || bytes + line.len() > ENTRIES_BYTES_PER_MESSAGE_MAX;
        if full && !part.is_empty() {
            let lines: Vec<Vec<u8>> = std::mem::take(&mut part);
            let next = first + lines.len() as u64;
            messages.push(Message::Entries { first, lines });
            (first, bytes) = (next, 0);
        }
        bytes += line.len();
        part.push(line);
    }
    messages.push(Message::Entries { first, lines: part });
    messages
}
