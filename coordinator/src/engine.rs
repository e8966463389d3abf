//! The coordinator's state machine.

use std::collections::{BTreeMap, BTreeSet};

use wugan_protocol::{
    engine::{Command, Engine, Input, Offer, Severity, Stop, Ticket},
    envelope::{Signers, Unverified},
    file::FileKey,
    ledger::{Logged, RoundTimes},
    manifest::Versions,
    member::RestoreError,
    message::Message,
    party::{MemberNumber, Party},
    reason::Reason,
    statement::Statement,
};

use crate::{
    admin::{Refusal, Request, Response},
    decide::{DecideDone, DecideTask},
    log::Log,
    peers::Peers,
    relay,
    round::{
        bits::Bits,
        close,
        deliver::Deliveries,
        node, open,
        retain::{DeleteDone, DeleteTask, Retention},
    },
    status::{self, Status},
};

/// What the coordinator's own surroundings tell it.
#[derive(Debug)]
pub enum Local {
    /// The staff asks for something.
    Admin(Ticket, Request),
    /// A [`Job::Decide`] ended.
    Decided(DecideDone),
    /// A [`Job::Delete`] ended.
    Deleted(DeleteDone),
}

/// Work that the coordinator hands out.
#[derive(Debug)]
pub enum Job {
    /// Decide one owner's rows: [`DecideTask::run`].
    Decide(Box<DecideTask>),
    /// Delete what was kept long enough: [`DeleteTask::run`].
    Delete(DeleteTask),
}

/// The coordinator. See the crate's documentation.
pub struct CoordinatorEngine {
    log: Log,
    /// The version of the federation manifest with which this run began.
    version: u32,
    peers: Peers,
    bits: Bits,
    deliveries: Deliveries,
    retention: Retention,
    /// Key announcements collected at set-up that were not tried yet in this run.
    setup: Vec<Vec<u8>>,
    /// Whether a member outside the coordinator's bureau has shown that this log was not set back since it was last
    /// seen. Nothing is signed before.
    witnessed: bool,
    /// Members that claim to have seen a longer log.
    ahead: BTreeSet<MemberNumber>,
    /// When this run began.
    started: Option<u64>,
}

impl CoordinatorEngine {
    /// Restores the coordinator from its log and facts. `setup` are the nodes' key announcements collected when the
    /// federation was set up, each its signer's first entry; `fresh` gives fresh random bytes.
    ///
    /// # Errors
    /// A log that is not this federation's.
    pub fn restore(
        versions: impl Into<Versions>,
        signers: Signers,
        log: &[Vec<u8>],
        facts: &BTreeMap<String, Vec<u8>>,
        setup: Vec<Vec<u8>>,
        fresh: Box<dyn FnMut() -> [u8; 32] + Send>,
    ) -> Result<CoordinatorEngine, RestoreError> {
        let witnessed = log.is_empty();
        let log = Log::restore(versions, signers, log)?;
        Ok(CoordinatorEngine {
            witnessed,
            version: log.federation().version(),
            log,
            peers: Peers::default(),
            bits: Bits::restore(facts, fresh),
            deliveries: Deliveries::default(),
            retention: Retention::default(),
            setup,
            ahead: BTreeSet::new(),
            started: None,
        })
    }

    /// How things stand.
    pub fn status(&self, now: u64) -> Status {
        status::read(&self.log, &self.peers, self.started.unwrap_or(now), now)
    }
}

impl Engine for CoordinatorEngine {
    type Local = Local;
    type Job = Job;

    fn handle(&mut self, input: Input<Local>, now: u64) -> Vec<Command<Job>> {
        self.started.get_or_insert(now);
        let mut commands = self.set_up();
        // What a new follower lacks is sent before this input's own entries: these then go to it as to all others.
        let later = match input {
            Input::Message(party, Message::Follow { entries }) => {
                commands.extend(self.follow(party, entries, now));
                Vec::new()
            }
            input => self.take(input, now),
        };
        let reconciled = self.reconcile(now);
        commands.extend(self.flush());
        commands.extend(later);
        commands.extend(reconciled);
        if self.log.federation().version() != self.version {
            commands.push(Command::Restart);
        }
        commands
    }
}

impl CoordinatorEngine {
    /// Begins the log, and appends what was collected at set-up.
    fn set_up(&mut self) -> Vec<Command<Job>> {
        if self.log.ledger().entries() == 0 {
            let manifest = self.log.federation().signed().bytes().to_vec();
            self.setup.insert(0, manifest);
        }
        for line in std::mem::take(&mut self.setup) {
            // A line that is in the log already is out of sequence now, and so not admitted.
            if let Ok(admitted) = self.log.ledger().admit(&line) {
                self.log.append(admitted);
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Vec<Command<Job>> {
        if self.log.has_fresh() { self.log.flush(&self.peers.followers()) } else { Vec::new() }
    }

    fn take(&mut self, input: Input<Local>, now: u64) -> Vec<Command<Job>> {
        match input {
            Input::Tick => Vec::new(),
            Input::Up(party) => {
                self.peers.up(party);
                Vec::new()
            }
            Input::Down(party) => self.down(party, now),
            Input::Message(party, message) => self.message(party, message),
            Input::File(offer) => self.file(&offer),
            Input::Sent { to, round, file: FileKey::Decisions { owner }, reply } if to == node(owner) => {
                self.deliveries.sent(&self.log, round, owner, reply, now)
            }
            Input::Sent { .. } => Vec::new(),
            Input::Local(Local::Decided(done)) => self.bits.decided(&mut self.log, done, now),
            Input::Local(Local::Deleted(done)) => self.retention.deleted(&mut self.log, done, now),
            Input::Local(Local::Admin(ticket, request)) => {
                vec![Command::Answer(ticket, self.admin(&request, now).line())]
            }
        }
    }

    /// Compares what the log says should be with what is done.
    fn reconcile(&mut self, now: u64) -> Vec<Command<Job>> {
        let mut commands = Vec::new();
        if self.witnessed {
            commands.extend(self.bits.reconcile(&self.log, now));
            commands.extend(self.retention.reconcile(&self.log, &mut self.bits, now));
            while let Some(statement) = close::due(&self.log, now) {
                let what = statement.type_name();
                if let Err(reason) = self.log.state(statement, true, now) {
                    commands.push(Command::Tell(Severity::Warn, format!("{what} cannot be logged: {reason}")));
                    break;
                }
                commands.push(Command::Tell(Severity::Info, format!("logged {what}")));
            }
        }
        commands.extend(self.deliveries.reconcile(&self.log, &self.peers, now));
        commands
    }

    fn follow(&mut self, party: Party, entries: u64, now: u64) -> Vec<Command<Job>> {
        let held = self.log.ledger().entries();
        let who = self.log.federation().party_name(party);
        if entries > held {
            let stop = Stop::LogSetBack { who, entries, held };
            let text = stop.to_string();
            self.ahead.insert(party.member);
            // One member alone may err or lie; several will not by chance.
            let believed = self.ahead.len() * MEMBERS_AHEAD_SHARE > self.log.federation().manifest().members.len();
            let next = if believed { Command::Stop(stop) } else { Command::Disconnect(party, Reason::OutOfSequence) };
            return vec![Command::Tell(Severity::Warn, text), next];
        }
        self.ahead.remove(&party.member);
        self.witnessed |= party.member != self.log.federation().policy().coordinator;
        self.peers.follow(party);
        let mut commands = vec![Command::SendLog(party, entries), self.log.checkpoint(vec![party])];
        commands.extend(self.online(now));
        commands
    }

    fn down(&mut self, party: Party, now: u64) -> Vec<Command<Job>> {
        self.peers.down(party, now);
        self.deliveries.down(party);
        self.online(now).into_iter().collect()
    }

    fn online(&self, now: u64) -> Option<Command<Job>> {
        self.peers.online(self.log.federation(), now).map(|(owners, message)| Command::Send(owners, message))
    }

    fn file(&mut self, offer: &Offer) -> Vec<Command<Job>> {
        self.bits.offer(&self.log, offer)
    }

    fn message(&mut self, party: Party, message: Message) -> Vec<Command<Job>> {
        let (log, peers) = (self.log.ledger(), &self.peers);
        let relayed = match &message {
            Message::Submit { line } => return self.submit(party, line),
            Message::Batch { owner, batch, sources, blinded } => {
                relay::batch(log, peers, party, (*owner, *batch), sources, blinded)
            }
            Message::Answer { owner, batch, source, evaluated, proof } => {
                relay::answer(log, peers, party, (*owner, *batch, *source), evaluated, proof)
            }
            Message::Follow { .. }
            | Message::Entries { .. }
            | Message::Checkpoint { .. }
            | Message::Online { .. }
            | Message::Question { .. }
            | Message::Disclosed { .. } => Err(Reason::NotAllowed),
        };
        match relayed {
            Ok(parties) if parties.is_empty() => Vec::new(),
            Ok(parties) => vec![Command::Send(parties, message)],
            Err(reason) => self.blame(party, reason),
        }
    }

    fn submit(&mut self, party: Party, line: &[u8]) -> Vec<Command<Job>> {
        match self.log.ledger().admit(line) {
            Ok(admitted) if admitted.party() == Some(party) => {
                let logged = self.log.append(admitted);
                self.remark(&logged)
            }
            Ok(_) => self.blame(party, Reason::NotMember),
            Err(Reason::OutOfSequence) if self.repeats(party, line) => Vec::new(),
            Err(reason) => self.blame(party, reason),
        }
    }

    /// Whether this is the party's own entry of a place in its sequence that the log has already: its sender did not
    /// see it there before the connection was lost.
    fn repeats(&self, party: Party, line: &[u8]) -> bool {
        let key = self.log.federation().key(party);
        let signed = Unverified::read(line).ok().zip(key).and_then(|(read, key)| read.verify(&key).ok());
        signed.is_some_and(|signed| signed.body().head.seq < self.log.ledger().place(party).seq)
    }

    /// What the staff should know of an entry.
    fn remark(&self, logged: &Logged) -> Vec<Command<Job>> {
        let who = logged.party.map(|party| self.log.federation().party_name(party)).unwrap_or_default();
        let what = logged.signed.body().statement.type_name();
        let text = match (&logged.signed.body().statement, logged.verdict) {
            (_, Err(reason)) => format!("{what} of {who} has no effect: {reason}"),
            (Statement::Refusal { reason, .. }, _) => format!("{who} does not act on an entry or file: {reason}"),
            (Statement::Failure { channel, reason }, _) => {
                let channel = channel.and_then(|number| self.log.federation().policy().channel(number));
                let part = channel.map_or("its roster", |channel| &channel.id);
                format!("{who} cannot take part with {part}: {reason}")
            }
            _ => return Vec::new(),
        };
        vec![Command::Tell(Severity::Warn, text)]
    }

    fn blame(&self, party: Party, reason: Reason) -> Vec<Command<Job>> {
        let text = format!("disconnected {}: {reason}", self.log.federation().party_name(party));
        vec![Command::Disconnect(party, reason), Command::Tell(Severity::Warn, text)]
    }

    fn admin(&mut self, request: &Request, now: u64) -> Response {
        let done = match *request {
            Request::Status {} => return Response::Status { status: Box::new(self.status(now)) },
            _ if !self.witnessed => Err(Refusal::NoWitness {}),
            Request::Open { month, close_after_s, enrolment_s, rows_s } => {
                let at = |seconds| now.saturating_add(seconds);
                let (enrolment_until, rows_until) = (at(enrolment_s), at(rows_s));
                let times = RoundTimes { pools_close_from: at(close_after_s), enrolment_until, rows_until };
                open::open(&mut self.log, month, times, now)
            }
            Request::Close {} => close::close(&mut self.log, now),
            Request::Abandon {} => close::abandon(&mut self.log, now),
            Request::Adopt {} => open::adopt(&mut self.log, now),
        };
        match done {
            Ok(done) => Response::Done { done },
            Err(refusal) => Response::Refused { refusal },
        }
    }
}

/// The coordinator stops when more than one in so many members has seen a longer log than its own.
const MEMBERS_AHEAD_SHARE: usize = 4;
