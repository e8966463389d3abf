//! Runs one party's engine against a [`World`]: carries its commands out, sends it files until it keeps them, and can
//! stop it after any command and start it again from what it committed.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::PathBuf,
};

use super::World;
use crate::{
    engine::{Command, Engine, Fact, Input, Offer, Ticket},
    envelope::Signed,
    file::FileKey,
    hexes::{Digest, sha256},
    message::{FileReply, Message},
    party::Party,
    reason::Reason,
};

/// How an engine is made, and how its jobs are run.
pub trait Program {
    /// The engine.
    type Engine: Engine;
    /// Which party it is.
    fn party(&self, world: &World) -> Party;
    /// Restores the engine.
    fn restore(&self, world: &World, journal: &Journal) -> Self::Engine;
    /// Runs a job.
    fn run(&self, job: <Self::Engine as Engine>::Job) -> <Self::Engine as Engine>::Local;
    /// Where it keeps a file.
    fn path(&self, round: Digest, file: FileKey) -> PathBuf;
}

/// What was committed.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The copy of the log.
    pub log: Vec<Vec<u8>>,
    /// Own entries.
    pub own: Vec<Vec<u8>>,
    /// Named values.
    pub facts: BTreeMap<String, Vec<u8>>,
}

/// What the party did that others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It kept a file.
    Kept(FileKey),
    /// It refused an offer.
    Refused(FileKey, Reason),
    /// It deleted a kept file.
    Discarded(FileKey),
    /// It sent a file.
    Sent(Party, FileKey, Vec<u8>),
    /// It said something about a disclosure.
    Said(Party, Message),
    /// It answered its staff.
    Answered(Ticket, String),
    /// It cut a connection.
    Cut(Party, Reason),
    /// It stopped.
    Stopped(String),
}

/// A party under test.
pub struct Harness<P: Program> {
    /// The federation and its log.
    pub world: World,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What it committed.
    pub journal: Journal,
    program: P,
    engine: P::Engine,
    inputs: VecDeque<Input<<P::Engine as Engine>::Local>>,
    senders: Vec<Sender>,
    /// Commands to carry out before a power cut; none: no power cut.
    power: Option<usize>,
    follows: bool,
    /// What becomes of files that it sends.
    reply: Option<FileReply>,
}

/// A file that somebody sends until it is kept.
struct Sender {
    from: Party,
    file: FileKey,
    line: Vec<u8>,
    bytes: Vec<u8>,
    done: bool,
}

impl<P: Program> Harness<P> {
    /// Starts a party with nothing committed, connected to everybody.
    pub fn start(world: World, program: P) -> Harness<P> {
        let journal = Journal::default();
        let engine = program.restore(&world, &journal);
        let (events, inputs, senders) = (Vec::new(), VecDeque::new(), Vec::new());
        let mut harness = Harness {
            world,
            events,
            journal,
            program,
            engine,
            inputs,
            senders,
            power: None,
            follows: true,
            reply: Some(FileReply::Kept),
        };
        harness.connect();
        harness
    }

    /// How the engine is made.
    pub fn program(&self) -> &P {
        &self.program
    }

    /// Cuts the power after so many commands; the party then starts again at once.
    pub fn cut_power_after(&mut self, commands: usize) {
        self.power = Some(commands);
    }

    /// Whether the power cut is still to come.
    pub fn powered(&self) -> bool {
        self.power.is_some()
    }

    /// Whether the party receives entries of the log.
    pub fn follow(&mut self, follows: bool) {
        self.follows = follows;
    }

    /// What becomes of the files that the party sends from now on; at first they are kept.
    pub fn reply_with(&mut self, reply: Option<FileReply>) {
        self.reply = reply;
    }

    /// Stops the party and starts it again from what it committed.
    pub fn restart(&mut self) {
        self.engine = self.program.restore(&self.world, &self.journal);
        self.inputs.clear();
        self.connect();
    }

    /// Announces a file and sends it until it is kept.
    pub fn announce_and_send(&mut self, from: Party, file: FileKey, count: u64, bytes: Vec<u8>) -> Signed {
        let signed = self.world.announce(from, file, count, &bytes);
        self.send(from, file, signed.bytes().to_vec(), bytes);
        signed
    }

    /// Sends a file with an announcement until it is kept.
    pub fn send(&mut self, from: Party, file: FileKey, line: Vec<u8>, bytes: Vec<u8>) {
        self.senders.push(Sender { from, file, line, bytes, done: false });
    }

    /// Sends a file once more.
    pub fn send_again(&mut self, file: FileKey) {
        self.senders.iter_mut().filter(|sender| sender.file == file).for_each(|sender| sender.done = false);
    }

    /// Lets a message arrive.
    pub fn message(&mut self, from: Party, message: Message) {
        self.inputs.push_back(Input::Message(from, message));
        self.settle();
    }

    /// Lets time pass and everything happen that can happen.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS {
            self.offer_files();
            self.inputs.push_back(Input::Tick);
            while let Some(input) = self.inputs.pop_front() {
                let commands = self.engine.handle(input, self.world.now);
                if !self.carry_out(commands) {
                    self.restart();
                }
                self.follow_log();
            }
            self.world.now += 2;
        }
    }

    /// The files that it sent, the last of each.
    pub fn sent(&self) -> super::Files {
        let sent = self.events.iter().filter_map(|event| match event {
            Event::Sent(_, file, bytes) => Some((*file, bytes.clone())),
            _ => None,
        });
        sent.collect()
    }

    fn connect(&mut self) {
        let party = self.program.party(&self.world);
        let peers = self.world.federation.parties().filter(|peer| *peer != party);
        self.inputs.extend(peers.map(Input::Up));
    }

    fn offer_files(&mut self) {
        let open = self.senders.iter().enumerate().filter(|(_, sender)| !sender.done);
        let offers = open.map(|(ticket, sender)| Offer {
            ticket: ticket as u64,
            from: sender.from,
            line: sender.line.clone(),
            digest: sha256(&sender.bytes),
        });
        self.inputs.extend(offers.map(Input::File));
    }

    fn follow_log(&mut self) {
        if self.follows && !self.inputs.iter().any(|input| matches!(input, Input::Message(..))) {
            let news = self.world.news(self.journal.log.len()).into_iter().flatten();
            let coordinator = self.world.federation.coordinator();
            self.inputs.extend(news.map(|message| Input::Message(coordinator, message)));
        }
    }

    /// Carries commands out until the power is cut; whether it was not.
    fn carry_out(&mut self, commands: Vec<Command<<P::Engine as Engine>::Job>>) -> bool {
        for command in commands {
            match &mut self.power {
                Some(0) => {
                    self.power = None;
                    return false;
                }
                Some(left) => *left -= 1,
                None => {}
            }
            self.carry_out_one(command);
        }
        true
    }

    fn carry_out_one(&mut self, command: Command<<P::Engine as Engine>::Job>) {
        match command {
            Command::Commit(facts) => facts.into_iter().for_each(|fact| self.journal.commit(fact)),
            Command::Send(_, Message::Submit { line }) => {
                // The log takes an entry that is the next of its sender, and ignores one that it has.
                let _ = self.world.append(&line);
            }
            Command::Send(to, message @ (Message::Question { .. } | Message::Disclosed { .. })) => {
                self.events.extend(to.into_iter().map(|to| Event::Said(to, message.clone())));
            }
            Command::Send(..) | Command::SendLog(..) | Command::Tell(..) | Command::Restart => {}
            Command::Answer(ticket, line) => self.events.push(Event::Answered(ticket, line)),
            Command::SendFile { to, round, file, .. } => {
                let bytes = fs::read(self.program.path(round, file)).unwrap();
                self.events.push(Event::Sent(to, file, bytes));
                self.inputs.push_back(Input::Sent { to, round, file, reply: self.reply.clone() });
            }
            Command::Keep { ticket, round, file } => self.keep(ticket as usize, round, file),
            Command::Refuse { ticket, reason } => {
                let sender = &mut self.senders[ticket as usize];
                sender.done = reason != Reason::BeforeItsTime;
                self.events.push(Event::Refused(sender.file, reason));
            }
            Command::Discard { round, file } => {
                fs::remove_file(self.program.path(round, file)).unwrap();
                self.events.push(Event::Discarded(file));
            }
            Command::Disconnect(party, reason) => self.events.push(Event::Cut(party, reason)),
            Command::Local(job) => self.inputs.push_back(Input::Local(self.program.run(job))),
            Command::Stop(text) => self.events.push(Event::Stopped(text.to_string())),
        }
    }

    fn keep(&mut self, ticket: usize, round: Digest, file: FileKey) {
        let path = self.program.path(round, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &self.senders[ticket].bytes).unwrap();
        self.senders[ticket].done = true;
        self.events.push(Event::Kept(file));
    }
}

impl Journal {
    fn commit(&mut self, fact: Fact) {
        match fact {
            Fact::Log(index, line) => {
                assert_eq!(index, self.log.len() as u64);
                self.log.push(line);
            }
            Fact::Own(seq, line) => {
                assert_eq!(seq, self.own.len() as u64);
                self.own.push(line);
            }
            Fact::Set(name, value) => {
                self.facts.insert(name, value);
            }
            Fact::Unset(name) => {
                self.facts.remove(&name);
            }
        }
    }
}

/// Ticks after which nothing is under way any more.
const ROUNDS: usize = 4;
