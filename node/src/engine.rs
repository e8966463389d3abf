//! A node's state machine. After each input it compares what the log says should be with what is done, and asks for
//! what lacks; a restart runs the same comparison.

mod approving;
mod disclosing;
mod enrolling;
mod files;
mod retention;
mod round;
mod serving;

use std::collections::BTreeMap;

use wugan_protocol::{
    engine::{Command, Engine, Fact, Input, Severity, Stop, Ticket},
    envelope::{Signers, Unverified},
    hexes::Hex,
    ledger::Logged,
    manifest::Versions,
    member::{CHECKPOINT, Member, RestoreError},
    message::Message,
    party::{MemberNumber, Party, Role},
    reason::Reason,
    statement::Statement,
};

use wugan_transport::home::Stored;

use crate::{
    admin::{Refusal, Request, Response},
    work::{Done, Job},
};
use disclosing::Disclosing;
use enrolling::Enrolling;
use files::Files;
use retention::Deletion;
use round::Preparation;
use serving::Serving;

/// What an input leads to.
type Commands = Vec<Command<Job>>;

/// What a node's surroundings tell it.
#[derive(Debug)]
pub enum Local {
    /// What a job says.
    Done(Done),
    /// The staff asks for something.
    Admin(Ticket, Request),
}

/// The state machine of one department's node.
pub struct NodeEngine {
    member: Member,
    owner: bool,
    serving: Serving,
    enrolling: Enrolling,
    preparation: Preparation,
    files: Files,
    disclosing: Disclosing,
    /// What is being deleted.
    deleting: Option<Deletion>,
    /// What the coordinator's clock showed, as last told, and this node's at that moment.
    coordinator_clock: Option<(u64, u64)>,
}

impl NodeEngine {
    /// Restores a node from its copy of the log, its own entries and its facts. `announcement` is the signed entry of
    /// its first key epoch, the first of its own; `epochs` are those whose keys it holds.
    ///
    /// # Errors
    /// State that is not this node's.
    pub fn restore(
        versions: impl Into<Versions>,
        number: MemberNumber,
        signers: Signers,
        stored: Stored,
        epochs: Vec<u32>,
    ) -> Result<NodeEngine, RestoreError> {
        let party = Party { member: number, role: Role::Node };
        let member = Member::restore(versions, party, signers, &stored.log, &stored.own, stored.facts.get(CHECKPOINT))?;
        let owner = member.federation().owner_limits(number).is_some();
        let coordinator: Vec<_> = member.ledger().keys_of(member.federation().coordinator()).collect();
        let mut engine = NodeEngine {
            serving: Serving::restore(&stored.facts, epochs)?,
            enrolling: Enrolling::restore(&stored.facts),
            preparation: Preparation::restore(&stored.facts),
            files: Files::default(),
            disclosing: Disclosing::restore(&stored.facts),
            deleting: None,
            coordinator_clock: None,
            member,
            owner,
        };
        // Entries of others do not verify under the coordinator's key, and are none of those noted.
        let read = |line: &Vec<u8>| Unverified::read(line).ok()?.verify_by(coordinator.iter().copied()).ok();
        stored.log.iter().filter_map(read).for_each(|(_, signed)| engine.note(&signed));
        Ok(engine)
    }

    /// Who follows what this node states: where it stands, for tests and status.
    pub fn member(&self) -> &Member {
        &self.member
    }

    fn me(&self) -> MemberNumber {
        self.member.party().member
    }

    /// What the coordinator's clock shows now, as far as this node knows.
    fn coordinator_time(&self, now: u64) -> u64 {
        let told = |(theirs, mine): (u64, u64)| theirs.saturating_add(now.saturating_sub(mine));
        self.coordinator_clock.map_or(now, told)
    }

    fn message(&mut self, from: Party, message: Message, now: u64) -> Commands {
        if let Message::Disclosed { request, reply } = message {
            let expected = from == self.member.federation().aggregator();
            let blame = || vec![Command::Disconnect(from, Reason::NotAllowed)];
            return if expected { self.disclosed(Hex(request), reply, now) } else { blame() };
        }
        if from != self.member.federation().coordinator() {
            return vec![Command::Disconnect(from, Reason::NotAllowed)];
        }
        match message {
            Message::Entries { first, lines } => self.member.entries(first, lines),
            Message::Checkpoint { note } => {
                let (logged, mut commands) = self.member.checkpoint(note, now);
                commands.extend(logged.iter().flat_map(|entry| self.logged(entry, now)));
                commands
            }
            Message::Online { time, nodes } => {
                self.coordinator_clock = Some((time, now));
                self.enrolling.online(nodes.into_iter().collect());
                Vec::new()
            }
            Message::Batch { owner, batch, blinded, .. } => self.serve(owner, batch, blinded, now),
            Message::Answer { batch, source, evaluated, proof, .. } => self.answered(batch, source, evaluated, proof),
            Message::Follow { .. } | Message::Submit { .. } | Message::Question { .. } | Message::Disclosed { .. } => {
                vec![Command::Disconnect(from, Reason::NotAllowed)]
            }
        }
    }

    fn done(&mut self, done: Done, now: u64) -> Commands {
        match done {
            Done::Failed(text) => vec![Command::Stop(Stop::Machine(text))],
            Done::Evaluated(answer) => self.evaluated(*answer, now),
            Done::NotEvaluated { owner, batch, reason } => self.not_evaluated(owner, batch, reason, now),
            Done::Planned { round, batches } => self.planned(round, batches, now),
            Done::Loaded { batch, blinded } => self.loaded(batch, blinded),
            Done::Enrolled { batch, source } => self.enrolled(batch, source, now),
            Done::AnswerRefused { batch, source } => self.answer_refused(batch, source, now),
            Done::Deleted => self.deleted(now),
            Done::RowFound { ticket, found } => self.row_found(ticket, found, now),
            Done::Disclosed { request, text } => self.written(request, &text),
            Done::NotDisclosed { request, reason } => self.not_written(request, reason, now),
            done => self.round_done(done, now),
        }
    }

    /// What an entry of somebody else means for this node besides what the ledger makes of it.
    fn logged(&mut self, entry: &Logged, now: u64) -> Commands {
        if entry.party == Some(self.member.federation().coordinator()) {
            self.note(&entry.signed);
        }
        let (Statement::Refusal { entry: refused, reason }, Some(party)) =
            (&entry.signed.body().statement, entry.party)
        else {
            return Vec::new();
        };
        let settled = self.enrolling.refused(*refused, party.member, self.me(), self.member.ledger(), now);
        let file = self.member.own_announcement(*refused);
        if let Some(key) = file {
            self.files.refused(key);
        }
        let who = self.member.federation().party_name(party);
        let mine = settled.is_some() || file.is_some();
        let text = || Command::Tell(Severity::Warn, format!("{who} refused what this node sent: {reason}"));
        settled.into_iter().chain(mine.then(text)).collect()
    }

    fn reconcile(&mut self, now: u64) -> Commands {
        let mut commands = self.prepare(now);
        if self.owner {
            commands.extend(self.enrol());
            commands.extend(self.make_rows(now));
            commands.extend(self.take_decisions());
            commands.extend(self.ask_aggregator(now));
        }
        commands.extend(self.send_files(now));
        commands
    }
}

impl Engine for NodeEngine {
    type Local = Local;
    type Job = Job;

    fn handle(&mut self, input: Input<Local>, now: u64) -> Commands {
        if !self.member.is_listed() {
            return match input {
                Input::Local(Local::Admin(ticket, _)) => vec![Command::Answer(ticket, unlisted().line())],
                input => self.member.follow(input, now),
            };
        }
        let (coordinator, aggregator) = (self.member.federation().coordinator(), self.member.federation().aggregator());
        let mut commands = match input {
            Input::Tick => self.delete_expired(now),
            Input::Up(party) => {
                self.files.up(party);
                if party == coordinator { self.member.up() } else { Vec::new() }
            }
            Input::Down(party) => {
                self.files.down(party);
                if party == aggregator {
                    self.disclosing.down();
                }
                if party == coordinator {
                    self.member.down();
                    self.enrolling.online([].into());
                }
                Vec::new()
            }
            Input::Message(from, message) => self.message(from, message, now),
            Input::File(offer) => self.offered(offer),
            Input::Sent { to, round, file, reply } => self.sent(to, (round, file), reply, now),
            Input::Local(Local::Done(done)) => self.done(done, now),
            Input::Local(Local::Admin(ticket, request)) => self.admin(ticket, request, now),
        };
        commands.extend(self.reconcile(now));
        commands
    }
}

fn unlisted() -> Response {
    Response::Refused { refusal: Refusal::Rule { reason: Reason::NotMember } }
}

/// Facts whose names begin with `prefix/`, by the rest of their names.
fn facts_under<'a>(
    facts: &'a BTreeMap<String, Vec<u8>>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Vec<u8>)> {
    facts.iter().filter_map(move |(name, value)| {
        let rest = name.strip_prefix(prefix)?.strip_prefix('/')?;
        Some((rest, value))
    })
}

/// Makes one fact durable.
fn fact(name: String, value: Vec<u8>) -> Command<Job> {
    Command::Commit(vec![Fact::Set(name, value)])
}
