//! What node, matcher and aggregator have in common: each follows the log, and states entries of its own, which it
//! persists before it sends them and sends again until the log shows them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    engine::{Command, Fact, Input, Offer, Severity, Stop},
    envelope::{Body, Head, Signed, Signers, Unverified},
    file::FileKey,
    hexes::{Digest, Hex, sha256},
    ledger::{Counted, Ledger, Logged, Place, Round, SECONDS_PER_DAY},
    limits::CLOCKS_APART_SECONDS_MAX,
    log::{
        checkpoint::{CheckpointError, VerifiedCheckpoint},
        cosignature::sign_tree,
    },
    manifest::{Federation, Versions},
    message::Message,
    party::{Party, Role},
    reason::Reason,
    statement::{Announcement, Cosignature, Kept, Receipt, Statement},
};

/// A member's view of the log, and its outbox.
pub struct Member {
    party: Party,
    signers: Signers,
    ledger: Ledger,
    /// Entries under the checkpoint that was persisted last.
    checkpoint_size: u64,
    /// Entries that no checkpoint covers yet: they count for nothing until one does.
    pending: Vec<Vec<u8>>,
    /// Their length together, at least.
    pending_bytes: usize,
    /// Own entries that the log does not show yet, by sequence number.
    outbox: BTreeMap<u64, Vec<u8>>,
    /// Statements that only a former identity key has signed, with their rounds.
    restated: Vec<(Option<Digest>, Statement)>,
    /// Where the next own entry stands.
    place: Place,
    /// Entries that this member refused: it does not act on a round that one of them opened.
    refused: BTreeSet<Digest>,
    /// Announcements of its own, by round and file.
    announced: BTreeMap<(Digest, FileKey), Vec<u8>>,
    connected: bool,
}

/// What entries under one checkpoint lead to.
struct Taken<J> {
    logged: Vec<Logged>,
    facts: Vec<Fact>,
    commands: Vec<Command<J>>,
}

impl<J> Default for Taken<J> {
    fn default() -> Self {
        Taken { logged: Vec::new(), facts: Vec::new(), commands: Vec::new() }
    }
}

crate::texts! {
    /// Persisted state that does not fit the federation or itself.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum RestoreError {
        /// The copy of the log is not a log of this federation.
        Log { index: u64, reason: Reason }
            "entry {index} of the stored log is not acceptable: {reason}; if the federation manifest was changed or the \
             state folder copied from another member, put the right one back"
            "本机保存的日志第 {index} 条不合规则：{reason}；如更换过联合体清单，或状态文件夹是从其他成员复制的，请放回原来的";
        /// Own entries that are not in sequence.
        Own "the stored entries of this member are not in sequence; the state folder is damaged or mixed with another"
            "本机保存的本成员条目前后不衔接：状态文件夹已损坏，或与其他文件夹混用";
        /// A durable fact that cannot be read.
        Facts "a stored fact of this member cannot be read; the state database is damaged: put a copy back"
            "本成员的状态数据无法读取，状态数据库已损坏；请用备份恢复";
        /// The log is not the one whose tree was seen signed.
        Checkpoint
            "the stored log does not grow into the tree that was seen last; the state database is damaged: put a copy \
             back"
            "本机保存的日志与最后一次验证的日志树不符，状态数据库已损坏；请用备份恢复";
        /// The log has entries of this member that are not among the stored ones.
        SetBack
            "the log holds an entry of this member that its own state does not: the state folder was restored from an \
             older copy, or the identity key is in use elsewhere; put the latest state back"
            "日志中有本成员的条目，而本机状态中没有：状态文件夹被旧备份覆盖，或身份密钥在别处使用；请恢复最新的状态文件夹";
    }
}

impl Member {
    /// Restores a member from its copy of the log and its own entries, in order; `checkpoint` is the note that it
    /// stored as [`CHECKPOINT`], `versions` are those that its operator has confirmed.
    ///
    /// # Errors
    /// State that is not this member's.
    pub fn restore(
        versions: impl Into<Versions>,
        party: Party,
        signers: Signers,
        log: &[Vec<u8>],
        own: &[Vec<u8>],
        checkpoint: Option<&Vec<u8>>,
    ) -> Result<Member, RestoreError> {
        let ledger = Ledger::new(versions);
        let mut seen =
            checkpoint.map(|note| open(ledger.federation(), note)).transpose().map_err(|_| RestoreError::Checkpoint)?;
        let size = seen.as_ref().map_or(0, |checkpoint| checkpoint.tree().size);
        let mut member = Member::new(party, signers, ledger, size);
        let mut by_former_key = false;
        for line in log {
            let index = member.ledger.entries();
            let admitted = member.ledger.admit(line).map_err(|reason| RestoreError::Log { index, reason })?;
            if admitted.party() == Some(party) {
                by_former_key = !member.is_listed();
            }
            member.ledger.apply(admitted);
            seen = seen.filter(|checkpoint| checkpoint.tree() != member.ledger.tree().tree());
        }
        if seen.is_some() {
            return Err(RestoreError::Checkpoint);
        }
        member.restore_outbox(own, by_former_key)?;
        Ok(member)
    }

    fn new(party: Party, signers: Signers, ledger: Ledger, checkpoint_size: u64) -> Member {
        Member {
            party,
            signers,
            ledger,
            checkpoint_size,
            pending: Vec::new(),
            pending_bytes: 0,
            outbox: BTreeMap::new(),
            restated: Vec::new(),
            place: Place::default(),
            refused: BTreeSet::new(),
            announced: BTreeMap::new(),
            connected: false,
        }
    }

    /// Takes own entries back. State that was lost with a former identity key is no reason to stop: with that key nobody
    /// can sign a second history any more.
    fn restore_outbox(&mut self, own: &[Vec<u8>], by_former_key: bool) -> Result<(), RestoreError> {
        // Each own entry holds the hash of the one before: if one place agrees, all before it do.
        let shown = self.ledger.place(self.party);
        let mut agrees = shown == self.place;
        for line in own {
            self.restore_own(line, agrees)?;
            agrees |= shown == self.place;
        }
        if !agrees && by_former_key {
            self.outbox.clear();
            (self.place, agrees) = (shown, true);
        }
        if agrees { Ok(()) } else { Err(RestoreError::SetBack) }
    }

    /// Takes an own entry back. What a former identity key signed and the log does not show (`beyond`) nobody may append
    /// once the new key is listed: it is stated again.
    fn restore_own(&mut self, line: &[u8], beyond: bool) -> Result<(), RestoreError> {
        let mine = self.signers.identity.public_key();
        let keys = [mine].into_iter().chain(self.ledger.keys_of(self.party));
        let read = Unverified::read(line).and_then(|read| read.verify_by(keys));
        let (key, signed) = read.map_err(|_| RestoreError::Own)?;
        let lost = beyond && key != mine && self.is_listed();
        let Body { head, statement } = signed.body();
        if lost {
            self.restated.extend(outlasts(statement).then(|| (head.round, statement.clone())));
            return Ok(());
        }
        if (Place { seq: head.seq, prev: head.prev }) != self.place {
            return Err(RestoreError::Own);
        }
        self.remember(&signed);
        Ok(())
    }

    /// Who this is.
    pub fn party(&self) -> Party {
        self.party
    }

    /// What the log says.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The federation.
    pub fn federation(&self) -> &Federation {
        self.ledger.federation()
    }

    /// The open round, unless this member refused it.
    pub fn round(&self) -> Option<&Round> {
        self.ledger.open_round().filter(|round| !self.refused.contains(&round.entry()))
    }

    /// Whether the version in force lists this member with its present keys. One that is not listed yet only follows
    /// the log, until the version that lists it comes.
    pub fn is_listed(&self) -> bool {
        let listed = (self.federation().key(self.party), self.federation().tree_key(self.party));
        listed == (Some(self.signers.identity.public_key()), Some(self.signers.log.public_key()))
    }

    /// Whether the coordinator is connected.
    pub fn connected(&self) -> bool {
        self.connected
    }

    /// Own announcement of a file of a round, once it was made.
    pub fn announced(&self, round: Digest, file: FileKey) -> Option<&Vec<u8>> {
        self.announced.get(&(round, file))
    }

    /// The round and file of its own announcement with this entry hash.
    pub fn own_announcement(&self, entry: Digest) -> Option<(Digest, FileKey)> {
        self.announced.iter().find(|(_, line)| sha256(line) == entry).map(|(key, _)| *key)
    }

    /// Hash of its latest entry.
    pub fn last(&self) -> Option<Digest> {
        self.place.prev
    }

    /// Whether this party made such a statement and the log does not show it yet.
    pub fn is_under_way(&self, statement: &Statement) -> bool {
        let read = |line: &Vec<u8>| Unverified::read(line)?.verify(&self.signers.identity.public_key());
        self.outbox.values().any(|line| read(line).is_ok_and(|signed| signed.body().statement == *statement))
            || self.restated.iter().any(|(_, restated)| restated == statement)
    }

    /// The coordinator is connected: ask for the log's continuation, submit what it lacks.
    pub fn up<J>(&mut self) -> Vec<Command<J>> {
        self.connected = true;
        let coordinator = vec![self.federation().coordinator()];
        self.pending.clear();
        self.pending_bytes = 0;
        let follow = Message::Follow { entries: self.ledger.entries() };
        // What a former key signed is refused where the new one is in force already: that shows once the log is followed.
        let submit = self.outbox.values().filter(|_| self.is_listed());
        let submit = submit.map(|line| Message::Submit { line: line.clone() });
        [follow].into_iter().chain(submit).map(|message| Command::Send(coordinator.clone(), message)).collect()
    }

    /// The coordinator is gone.
    pub fn down(&mut self) {
        self.connected = false;
    }

    /// All that a member does which is not listed yet: it follows the log.
    pub fn follow<L, J>(&mut self, input: Input<L>, now: u64) -> Vec<Command<J>> {
        let coordinator = self.federation().coordinator();
        match input {
            Input::Up(party) if party == coordinator => self.up(),
            Input::Down(party) if party == coordinator => {
                self.down();
                Vec::new()
            }
            Input::Message(from, Message::Entries { first, lines }) if from == coordinator => {
                self.entries(first, lines)
            }
            Input::Message(from, Message::Checkpoint { note }) if from == coordinator => self.checkpoint(note, now).1,
            Input::File(offer) => vec![Command::Refuse { ticket: offer.ticket, reason: Reason::NotMember }],
            _ => Vec::new(),
        }
    }

    /// Takes entries of the log, which wait for the checkpoint that covers them.
    pub fn entries<J>(&mut self, first: u64, lines: Vec<Vec<u8>>) -> Vec<Command<J>> {
        let held = self.ledger.entries() + self.pending.len() as u64;
        let bytes = self.pending_bytes + lines.iter().map(Vec::len).sum::<usize>();
        if first > held || bytes > PENDING_BYTES_MAX {
            return vec![self.blame(Reason::OutOfSequence)];
        }
        self.pending.extend(lines.into_iter().skip((held - first) as usize));
        self.pending_bytes = bytes;
        Vec::new()
    }

    /// Takes a checkpoint. The entries before it are persisted with it and returned, with what to do first, if they
    /// grow the tree seen last into the one that it signs: so they are in the log that everybody is shown, or the
    /// coordinator has signed the proof that they are not.
    pub fn checkpoint<J>(&mut self, note: Vec<u8>, now: u64) -> (Vec<Logged>, Vec<Command<J>>) {
        let lines = match self.covered(&note) {
            Ok(lines) => lines,
            Err(Reason::TreeDiffers) => return (Vec::new(), self.contradicted(note)),
            Err(reason) => return (Vec::new(), vec![self.blame(reason)]),
        };
        let (end, mut taken) = (self.ledger.entries() + lines.len() as u64, Taken::default());
        for line in lines {
            if let Some(last) = self.take(line, now, &mut taken) {
                taken.commands.push(last);
                break;
            }
        }
        let Taken { logged, mut facts, mut commands } = taken;
        let restarts = matches!(commands.last(), Some(Command::Restart));
        let held = self.ledger.entries() + u64::from(restarts);
        if held == end && held > self.checkpoint_size {
            facts.push(Fact::Set(CHECKPOINT.to_owned(), note));
            self.checkpoint_size = held;
        }
        if self.is_listed() && !restarts && !matches!(commands.last(), Some(Command::Stop(_))) {
            let lost = std::mem::take(&mut self.restated);
            commands.extend(lost.into_iter().flat_map(|(round, statement)| self.state_in(round, statement, now)));
            commands.extend(self.cosign(now));
        }
        (logged, in_one_commit(facts, commands))
    }

    /// Takes an entry that a checkpoint covers; what to do if none may follow.
    fn take<J>(&mut self, line: Vec<u8>, now: u64, taken: &mut Taken<J>) -> Option<Command<J>> {
        let admitted = match self.ledger.admit(&line) {
            Ok(admitted) => admitted,
            Err(Reason::Unconfirmed) => {
                return Some(Command::Stop(Stop::Unconfirmed { version: self.federation().version() + 1 }));
            }
            Err(reason) => return Some(self.blame(reason)),
        };
        taken.facts.push(Fact::Log(self.ledger.entries(), line));
        if self.ledger.entries() > 0 && admitted.party().is_none() {
            // Everything here rests on the version that was in force at start.
            return Some(Command::Restart);
        }
        let counted = self.ledger.counted();
        let entry = self.ledger.apply(admitted);
        if !self.own_entry(&entry) {
            taken.logged.clear();
            taken.commands.clear();
            return Some(Command::Stop(RestoreError::SetBack.into()));
        }
        taken.commands.extend(self.judge(&entry, counted, now));
        taken.logged.push(entry);
        None
    }

    /// The coordinator has signed a tree that is not of the entries that it shows: the note is kept as evidence.
    fn contradicted<J>(&self, note: Vec<u8>) -> Vec<Command<J>> {
        let text = "the coordinator has signed a tree of the log that contradicts the entries shown here: the signed note is \
                    kept in the state folder as evidence; tell the auditor, who finds it with `wugan-audit compare`";
        let tell = Command::Tell(Severity::Warn, text.to_owned());
        vec![Command::Commit(vec![Fact::Set(CONTRADICTION.to_owned(), note)]), tell, self.blame(Reason::TreeDiffers)]
    }

    /// The pending entries that a checkpoint covers.
    fn covered(&mut self, note: &[u8]) -> Result<Vec<Vec<u8>>, Reason> {
        let signed = open(self.federation(), note).map_err(|_| Reason::BadSignature)?.tree();
        let count = signed.size.checked_sub(self.ledger.entries()).ok_or(Reason::OutOfSequence)? as usize;
        let lines = self.pending.get(..count).ok_or(Reason::OutOfSequence)?;
        let mut tree = self.ledger.tree().clone();
        lines.iter().for_each(|line| tree.push(line));
        if tree.tree() != signed {
            return Err(Reason::TreeDiffers);
        }
        let lines: Vec<_> = self.pending.drain(..count).collect();
        self.pending_bytes = self.pending.iter().map(Vec::len).sum();
        Ok(lines)
    }

    /// Cosigns the tree at the end of the last round, once all that this member stated is in the log.
    fn cosign<J>(&mut self, now: u64) -> Vec<Command<J>> {
        let id = self.federation().policy().member_id(self.party.member);
        let mine = self.ledger.cosigner(id, self.party.role);
        let due = self.ledger.closed().filter(|closed| mine.is_some_and(|mine| !closed.cosigned.contains_key(&mine)));
        let Some(tree) = due.map(|closed| closed.tree).filter(|_| self.outbox.is_empty()) else { return Vec::new() };
        let signature = Hex(sign_tree(tree, &self.federation().origin(), self.signers.log.as_ref(), now));
        self.state(Statement::Cosignature(Cosignature { size: tree.size, signature }), false, now)
    }

    /// States an entry: signed, persisted, submitted.
    pub fn state<J>(&mut self, statement: Statement, in_round: bool, now: u64) -> Vec<Command<J>> {
        let round = self.ledger.round().filter(|_| in_round).map(Round::hash);
        self.state_in(round, statement, now)
    }

    /// States an entry of a round that may have ended.
    pub fn state_in<J>(&mut self, round: Option<Digest>, statement: Statement, now: u64) -> Vec<Command<J>> {
        let head = Head { round, ..self.ledger.head(self.party, self.place, false, now) };
        match (Body { head, statement }).sign(self.signers.identity.as_ref()) {
            Ok(signed) => {
                let line = signed.bytes().to_vec();
                let own = Fact::Own(self.place.seq, line.clone());
                self.remember(&signed);
                let submit = Command::Send(vec![self.federation().coordinator()], Message::Submit { line });
                vec![Command::Commit(vec![own]), submit]
            }
            Err(error) => vec![Command::Stop(Stop::Unwritten(error))],
        }
    }

    /// States that what was kept of a round is deleted.
    pub fn deleted<J>(&mut self, round: Digest, of: Kept, facts: Vec<Fact>, now: u64) -> Vec<Command<J>> {
        self.state_with(round, Statement::Deletion { of }, facts, now)
    }

    /// States an entry of a round that may have ended. The facts that go with it, and the entry, are durable together:
    /// neither is forgotten nor stated twice.
    pub fn state_with<J>(
        &mut self,
        round: Digest,
        statement: Statement,
        mut facts: Vec<Fact>,
        now: u64,
    ) -> Vec<Command<J>> {
        let mut commands = self.state_in(Some(round), statement, now);
        if let Some(Command::Commit(entry)) = commands.first_mut() {
            entry.append(&mut facts);
        }
        commands
    }

    /// States the announcement of a file that was made.
    pub fn announce<J>(&mut self, file: FileKey, count: u64, digest: Digest, now: u64) -> Vec<Command<J>> {
        self.state(Statement::Announcement(Announcement { file, count, digest }), true, now)
    }

    /// Checks that a file that arrived is one that its sender announced, with exactly these bytes. The log may show
    /// the announcement later than the file arrives; the announcement that came along says what to wait for.
    ///
    /// # Errors
    /// Why the file is refused.
    pub fn announced_file(&self, offer: &Offer) -> Result<(Digest, Announcement), Reason> {
        announced_file(&self.ledger, offer)
    }

    fn remember(&mut self, signed: &Signed) {
        let body = signed.body();
        let seq = body.head.seq;
        if let Statement::Refusal { entry, .. } = &body.statement {
            self.refused.insert(*entry);
        }
        if let (Statement::Announcement(announcement), Some(round)) = (&body.statement, body.head.round) {
            self.announced.insert((round, announcement.file), signed.bytes().to_vec());
        }
        if seq >= self.ledger.place(self.party).seq {
            self.outbox.insert(seq, signed.bytes().to_vec());
        }
        self.place = Place { seq: seq + 1, prev: Some(signed.hash()) };
    }

    /// An entry of its own in the log leaves the outbox. False for one that this member never made: its state was set
    /// back to an older copy, and going on would sign two histories. With a former key nobody can any more.
    fn own_entry(&mut self, logged: &Logged) -> bool {
        if logged.party != Some(self.party) {
            return true;
        }
        if !self.is_listed() {
            let seq = logged.signed.body().head.seq;
            if self.outbox.remove(&seq).is_none() {
                self.place = Place { seq: seq + 1, prev: Some(logged.signed.hash()) };
            }
            return true;
        }
        let mine = self.outbox.remove(&logged.signed.body().head.seq);
        mine.as_deref() == Some(logged.signed.bytes())
    }

    /// Refuses, in the log, what the servers must not state. `counted` is the last counted round before the entry.
    fn judge<J>(&mut self, logged: &Logged, counted: Option<Counted>, now: u64) -> Vec<Command<J>> {
        let server = logged.party.filter(|party| party.role != Role::Node && *party != self.party);
        let server = server.filter(|_| self.is_listed());
        let reason = logged.verdict.err().or_else(|| self.too_soon(logged, counted?, now));
        let reason = reason.or_else(|| ahead_of_time(logged, now));
        let (Some(party), Some(reason)) = (server, reason) else { return Vec::new() };
        if self.ledger.is_late(logged) {
            return Vec::new();
        }
        let who = self.federation().party_name(party);
        let text = format!("refused {} of {who}: {reason}", logged.signed.body().statement.type_name());
        let mut commands = vec![Command::Tell(Severity::Warn, text)];
        let entry = logged.signed.hash();
        commands.extend(self.state(Statement::Refusal { entry, reason }, false, now));
        // Whoever refuses a close has no part in what follows from it.
        let step = &logged.signed.body().statement;
        let closes = matches!(step, Statement::PoolsClosed {} | Statement::List { .. } | Statement::RowsClosed {});
        if let Some(entry) = self.round().map(Round::entry).filter(|_| closes && logged.verdict.is_ok()) {
            commands.extend(self.state(Statement::Refusal { entry, reason }, false, now));
        }
        commands
    }

    /// A round sooner after the last counted one than the policy allows, by this member's own clock.
    fn too_soon(&self, logged: &Logged, counted: Counted, now: u64) -> Option<Reason> {
        let seconds = self.federation().policy().days_between_rounds * SECONDS_PER_DAY;
        let round = matches!(logged.signed.body().statement, Statement::RoundManifest(_));
        let soon = now.saturating_add(CLOCKS_APART_SECONDS_MAX) < counted.opened.saturating_add(seconds);
        (round && soon).then_some(Reason::TooSoon)
    }

    fn blame<J>(&self, reason: Reason) -> Command<J> {
        Command::Disconnect(self.federation().coordinator(), reason)
    }
}

/// Whether a statement means as much when its round has ended, and needs no other key than the one that signs it.
fn outlasts(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::EnrolmentBatch(_)
            | Statement::Evaluation(_)
            | Statement::Receipt(Receipt::Decisions {})
            | Statement::Canaries(_)
            | Statement::Refusal { .. }
            | Statement::Deletion { .. }
            | Statement::DisclosureRequest(_)
            | Statement::Approval { .. }
            | Statement::Disclosure { .. }
    )
}

/// A step of a round, or a deletion, whose time has not come by this member's own clock.
fn ahead_of_time(logged: &Logged, now: u64) -> Option<Reason> {
    let body = logged.signed.body();
    let timed = matches!(
        body.statement,
        Statement::RoundManifest(_)
            | Statement::PoolsClosed {}
            | Statement::List { .. }
            | Statement::RowsClosed {}
            | Statement::RoundClosed {}
            | Statement::Deletion { .. }
    );
    (timed && is_ahead(body.head.time, now)).then_some(Reason::ClockDiffers)
}

/// Whether a time has not come yet, by a clock that may be somewhat behind.
pub fn is_ahead(time: u64, now: u64) -> bool {
    time > now.saturating_add(CLOCKS_APART_SECONDS_MAX)
}

fn open(federation: &Federation, note: &[u8]) -> Result<VerifiedCheckpoint, CheckpointError> {
    let log = federation.log_key().map_err(|_| CheckpointError::Key)?;
    VerifiedCheckpoint::open(note, &log)
}

/// Checks that a file that arrived is one that its sender announced for this federation, with exactly these bytes.
///
/// # Errors
/// Why the file is refused.
pub fn announced_file(ledger: &Ledger, offer: &Offer) -> Result<(Digest, Announcement), Reason> {
    ledger.federation().key(offer.from).ok_or(Reason::NotMember)?;
    let unverified = Unverified::read(&offer.line).map_err(|_| Reason::Malformed)?;
    if unverified.claimed() != (ledger.federation().policy().member_id(offer.from.member), offer.from.role) {
        return Err(Reason::NotAnnounced);
    }
    let signed = ledger.verify(&offer.line)?;
    match &signed.body().statement {
        Statement::Announcement(announcement) if announcement.digest == offer.digest => {
            Ok((signed.body().head.round.ok_or(Reason::OtherRound)?, announcement.clone()))
        }
        Statement::Announcement(_) => Err(Reason::DigestDiffers),
        _ => Err(Reason::NotAnnounced),
    }
}

/// All facts in one commit before everything else: a refusal is as durable as the entry that it refuses.
fn in_one_commit<J>(mut facts: Vec<Fact>, commands: Vec<Command<J>>) -> Vec<Command<J>> {
    let mut rest = Vec::new();
    for command in commands {
        match command {
            Command::Commit(more) => facts.extend(more),
            other => rest.push(other),
        }
    }
    let commit = (!facts.is_empty()).then_some(Command::Commit(facts));
    commit.into_iter().chain(rest).collect()
}

/// The name of the fact that holds a note of the coordinator's that contradicts the log.
pub const CONTRADICTION: &str = "contradiction";

/// The name of the fact that holds the last checkpoint's note.
pub const CHECKPOINT: &str = "checkpoint";

/// Entries that wait for a checkpoint, together: after years away, some ten megabytes for each.
const PENDING_BYTES_MAX: usize = 256 << 20;
