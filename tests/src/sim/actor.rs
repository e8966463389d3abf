//! One party of a simulation: its engine and worker, and a shell that carries commands out as the programs' own does:
//! facts first, in one commit, then everything else.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::PathBuf,
};

use anyhow::bail;
use wugan_protocol::{
    engine::{Command, Engine, Fact, Input, Offer},
    file::FileKey,
    hexes::{Digest, sha256},
    message::{FileReply, Message},
    party::{Party, Role},
    reason::Reason,
};
use wugan_transport::{home::Stored, rounds::Rounds, shell::Worker};

use super::lie::{Lie, Tells};

/// What reaches a party.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Tick,
    Up,
    Down,
    /// The sender cut the connection, and why.
    Cut(Reason),
    Message(Message),
    File {
        round: Digest,
        file: FileKey,
        line: Vec<u8>,
        path: PathBuf,
    },
    Reply {
        round: Digest,
        file: FileKey,
        reply: Option<FileReply>,
    },
    /// A line from the party's staff.
    Ask(String),
    /// The party begins again; goes to nobody.
    Again,
}

/// A party, whatever its engine.
pub(super) trait Act {
    fn take(&mut self, from: Party, delivery: Delivery, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>>;
    /// Does one of the jobs that wait, at `choice` among them, or tells the engine what a job said; none if there is
    /// neither.
    fn work(&mut self, choice: u64, now: u64) -> anyhow::Result<Option<Vec<(Party, Delivery)>>>;
    /// From now on only facts become durable: everything else that the engine wants is held.
    fn falter(&mut self);
    /// Carries `done` of the held commands out, dies, and starts again from what was committed.
    fn restart(&mut self, done: usize) -> anyhow::Result<Vec<(Party, Delivery)>>;
    fn log(&self) -> Vec<Vec<u8>>;
    fn facts(&self) -> Vec<(String, Vec<u8>)>;
    fn answer(&mut self) -> Option<String>;
}

/// How an engine and its worker are made from what was committed.
pub(super) type Maker<E, W> = Box<dyn Fn(Stored) -> anyhow::Result<(E, W)>>;

/// A party with its engine.
pub(super) struct Actor<E: Engine, W> {
    name: String,
    engine: E,
    worker: W,
    make: Maker<E, W>,
    stored: Stored,
    rounds: Rounds,
    offers: HashMap<u64, Arrived>,
    tickets: u64,
    answers: VecDeque<String>,
    /// Jobs that a thread has not begun.
    jobs: Vec<E::Job>,
    /// What jobs said and the engine has not heard.
    said: VecDeque<E::Local>,
    /// Commands that wait for the end of a party that is about to die.
    held: Option<Vec<Command<E::Job>>>,
    lie: Option<Lie>,
    staff: fn(&str) -> Option<Input<E::Local>>,
}

struct Arrived {
    from: Party,
    round: Digest,
    file: FileKey,
    path: PathBuf,
}

impl<E: Engine, W: Worker<E::Job, E::Local>> Actor<E, W> {
    pub(super) fn new(name: String, stored: Stored, rounds: Rounds, make: Maker<E, W>) -> anyhow::Result<Self> {
        let (engine, worker) = make(stored.clone())?;
        let (offers, tickets, answers) = (HashMap::new(), 0, VecDeque::new());
        Ok(Actor {
            name,
            engine,
            worker,
            make,
            stored,
            rounds,
            offers,
            tickets,
            answers,
            jobs: Vec::new(),
            said: VecDeque::new(),
            held: None,
            lie: None,
            staff: |_| None,
        })
    }

    /// A party with staff: how its requests reach the engine.
    pub(super) fn with_staff(self, staff: fn(&str) -> Option<Input<E::Local>>) -> Self {
        Actor { staff, ..self }
    }

    /// A party whose jobs do not say what they should.
    pub(super) fn lying(self, lie: Option<Lie>) -> Self {
        Actor { lie, ..self }
    }

    fn input(&mut self, from: Party, delivery: Delivery) -> anyhow::Result<Option<Input<E::Local>>> {
        Ok(match delivery {
            Delivery::Tick => Some(Input::Tick),
            Delivery::Up => Some(Input::Up(from)),
            Delivery::Down | Delivery::Cut(_) => Some(Input::Down(from)),
            Delivery::Message(message) => Some(Input::Message(from, message)),
            Delivery::Reply { round, file, reply } => Some(Input::Sent { to: from, round, file, reply }),
            Delivery::Ask(line) => (self.staff)(&line),
            Delivery::Again => None,
            Delivery::File { round, file, line, path } => {
                self.tickets += 1;
                let digest = sha256(&fs::read(&path)?);
                self.offers.insert(self.tickets, Arrived { from, round, file, path });
                Some(Input::File(Offer { ticket: self.tickets, from, line, digest }))
            }
        })
    }

    fn execute(&mut self, command: Command<E::Job>, out: &mut Vec<(Party, Delivery)>) -> anyhow::Result<()> {
        match command {
            Command::Commit(facts) => self.commit(facts),
            Command::Send(to, message) => {
                out.extend(to.into_iter().map(|to| (to, Delivery::Message(message.clone()))));
            }
            Command::SendLog(to, first) => {
                let lines = self.stored.log[first as usize..].to_vec();
                out.push((to, Delivery::Message(Message::Entries { first, lines })));
            }
            Command::SendFile { to, round, file, line } => {
                let path = self.rounds.path(round, file);
                out.push((to, Delivery::File { round, file, line, path }));
            }
            Command::Keep { ticket, round, file } => {
                if let Some(offer) = self.offers.remove(&ticket) {
                    let target = self.rounds.path(round, file);
                    fs::create_dir_all(self.rounds.folder(round))?;
                    fs::copy(&offer.path, target)?;
                    out.push(offer.reply(FileReply::Kept));
                }
            }
            Command::Refuse { ticket, reason } => {
                let offer = self.offers.remove(&ticket);
                out.extend(offer.map(|offer| offer.reply(FileReply::Refused(reason.code()))));
            }
            Command::Discard { round, file } => self.rounds.discard(round, file)?,
            Command::Disconnect(party, reason) => out.push((party, Delivery::Cut(reason))),
            Command::Local(job) => self.jobs.push(job),
            Command::Answer(_, line) => self.answers.push_back(line),
            Command::Tell(..) => {}
            Command::Stop(text) => bail!("{} stops: {text}", self.name),
            Command::Restart => out.push((NOBODY, Delivery::Again)),
        }
        Ok(())
    }

    fn handle(&mut self, input: Input<E::Local>, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let mut others = Vec::new();
        for command in self.engine.handle(input, now) {
            match command {
                Command::Commit(facts) => self.commit(facts),
                other => others.push(other),
            }
        }
        match &mut self.held {
            Some(held) => {
                held.extend(others);
                Ok(Vec::new())
            }
            None => self.execute_all(others),
        }
    }

    fn execute_all(&mut self, commands: Vec<Command<E::Job>>) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let mut out = Vec::new();
        commands.into_iter().try_for_each(|command| self.execute(command, &mut out))?;
        Ok(out)
    }

    fn commit(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            match fact {
                Fact::Log(_, line) => self.stored.log.push(line),
                Fact::Own(_, line) => self.stored.own.push(line),
                Fact::Set(name, value) => drop(self.stored.facts.insert(name, value)),
                Fact::Unset(name) => drop(self.stored.facts.remove(&name)),
            }
        }
    }
}

impl<E: Engine, W: Worker<E::Job, E::Local>> Act for Actor<E, W>
where
    E::Local: Tells,
{
    fn take(&mut self, from: Party, delivery: Delivery, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let input = self.input(from, delivery)?;
        input.map_or(Ok(Vec::new()), |input| self.handle(input, now))
    }

    fn work(&mut self, choice: u64, now: u64) -> anyhow::Result<Option<Vec<(Party, Delivery)>>> {
        let hears = self.jobs.is_empty() || choice.is_multiple_of(2);
        let local = if hears { self.said.pop_front() } else { None };
        if let Some(local) = local {
            return self.handle(Input::Local(local), now).map(Some);
        }
        if self.jobs.is_empty() {
            return Ok(None);
        }
        let job = self.jobs.remove((choice / 2) as usize % self.jobs.len());
        let known = self.said.len();
        self.worker.run(job, &mut |local| self.said.push_back(local));
        if let Some(lie) = &self.lie {
            self.said.range_mut(known..).try_for_each(|said| lie.bend(said, &self.rounds))?;
        }
        Ok(Some(Vec::new()))
    }

    fn falter(&mut self) {
        self.held.get_or_insert_default();
    }

    fn restart(&mut self, done: usize) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let mut held = self.held.take().unwrap_or_default();
        held.truncate(done);
        let out = self.execute_all(held)?;
        self.offers.clear();
        self.jobs.clear();
        self.said.clear();
        self.answers.clear();
        (self.engine, self.worker) = (self.make)(self.stored.clone())?;
        Ok(out)
    }

    fn log(&self) -> Vec<Vec<u8>> {
        self.stored.log.clone()
    }

    fn facts(&self) -> Vec<(String, Vec<u8>)> {
        self.stored.facts.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn answer(&mut self) -> Option<String> {
        self.answers.pop_front()
    }
}

const NOBODY: Party = Party { member: 0, role: Role::Authority };

impl Arrived {
    fn reply(self, reply: FileReply) -> (Party, Delivery) {
        (self.from, Delivery::Reply { round: self.round, file: self.file, reply: Some(reply) })
    }
}
