//! One party of a simulation: its engine and worker, and a shell that carries commands out at once.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::PathBuf,
};

use anyhow::bail;
use wugan_coordinator::admin::{Request, Response};
use wugan_protocol::{
    engine::{Command, Engine, Fact, Input, Offer},
    file::FileKey,
    hexes::{Digest, sha256},
    message::{FileReply, Message},
    party::Party,
};
use wugan_transport::{home::Stored, rounds::Rounds, shell::Worker};

/// What reaches a party.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    Tick,
    Up,
    Down,
    /// The sender cut the connection.
    Cut,
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
    /// From the coordinator's staff.
    Ask(Request),
}

/// A party, whatever its engine.
pub(super) trait Act {
    fn take(&mut self, from: Party, delivery: Delivery, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>>;
    /// Does one of the jobs that wait, at `choice` among them; none if there are none.
    fn work(&mut self, choice: u64, now: u64) -> anyhow::Result<Option<Vec<(Party, Delivery)>>>;
    fn restart(&mut self) -> anyhow::Result<()>;
    fn log(&self) -> Vec<Vec<u8>>;
    fn facts(&self) -> Vec<(String, Vec<u8>)>;
    fn answer(&mut self) -> Option<Response>;
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
    answers: VecDeque<Response>,
    /// Jobs that a thread has not begun.
    jobs: Vec<E::Job>,
    staff: fn(Request) -> Option<Input<E::Local>>,
    answered: fn(&E::Job) -> Option<Response>,
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
            staff: |_| None,
            answered: |_| None,
        })
    }

    /// A party with staff: how its requests reach the engine, and which jobs are answers.
    pub(super) fn with_staff(
        self,
        staff: fn(Request) -> Option<Input<E::Local>>,
        answered: fn(&E::Job) -> Option<Response>,
    ) -> Self {
        Actor { staff, answered, ..self }
    }

    fn input(&mut self, from: Party, delivery: Delivery) -> anyhow::Result<Option<Input<E::Local>>> {
        Ok(match delivery {
            Delivery::Tick => Some(Input::Tick),
            Delivery::Up => Some(Input::Up(from)),
            Delivery::Down | Delivery::Cut => Some(Input::Down(from)),
            Delivery::Message(message) => Some(Input::Message(from, message)),
            Delivery::Reply { round, file, reply } => Some(Input::Sent { to: from, round, file, reply }),
            Delivery::Ask(request) => (self.staff)(request),
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
            Command::Commit(facts) => facts.into_iter().for_each(|fact| self.commit(fact)),
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
            Command::Disconnect(party, _) => out.push((party, Delivery::Cut)),
            Command::Local(job) => {
                let answer = (self.answered)(&job);
                // Answers to the staff take no time.
                if answer.is_none() {
                    self.jobs.push(job);
                }
                self.answers.extend(answer);
            }
            Command::Tell(..) => {}
            Command::Stop(text) => bail!("{} stops: {text}", self.name),
        }
        Ok(())
    }

    fn handle(&mut self, input: Input<E::Local>, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let mut out = Vec::new();
        for command in self.engine.handle(input, now) {
            self.execute(command, &mut out)?;
        }
        Ok(out)
    }

    fn commit(&mut self, fact: Fact) {
        match fact {
            Fact::Log(_, line) => self.stored.log.push(line),
            Fact::Own(_, line) => self.stored.own.push(line),
            Fact::Set(name, value) => drop(self.stored.facts.insert(name, value)),
            Fact::Unset(name) => drop(self.stored.facts.remove(&name)),
        }
    }
}

impl<E: Engine, W: Worker<E::Job, E::Local>> Act for Actor<E, W> {
    fn take(&mut self, from: Party, delivery: Delivery, now: u64) -> anyhow::Result<Vec<(Party, Delivery)>> {
        let input = self.input(from, delivery)?;
        input.map_or(Ok(Vec::new()), |input| self.handle(input, now))
    }

    fn work(&mut self, choice: u64, now: u64) -> anyhow::Result<Option<Vec<(Party, Delivery)>>> {
        if self.jobs.is_empty() {
            return Ok(None);
        }
        let job = self.jobs.remove(choice as usize % self.jobs.len());
        let mut said = Vec::new();
        self.worker.run(job, &mut |local| said.push(local));
        let mut out = Vec::new();
        for local in said {
            out.extend(self.handle(Input::Local(local), now)?);
        }
        Ok(Some(out))
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.offers.clear();
        self.jobs.clear();
        (self.engine, self.worker) = (self.make)(self.stored.clone())?;
        Ok(())
    }

    fn log(&self) -> Vec<Vec<u8>> {
        self.stored.log.clone()
    }

    fn facts(&self) -> Vec<(String, Vec<u8>)> {
        self.stored.facts.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn answer(&mut self) -> Option<Response> {
        self.answers.pop_front()
    }
}

impl Arrived {
    fn reply(self, reply: FileReply) -> (Party, Delivery) {
        (self.from, Delivery::Reply { round: self.round, file: self.file, reply: Some(reply) })
    }
}
