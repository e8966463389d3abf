//! A federation of the seed catalogue with a coordinator driven by hand: its journal, and members who sign what a test
//! has them say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use wugan_protocol::{
    engine::{Command, Engine as _, Fact, Input, Offer, Ticket},
    envelope::{Body, Head, Signer, Signers},
    file::{FileKey, Header},
    hexes::{Digest, Hex},
    ledger::{Ledger, Place, row_files},
    manifest::{Federation, roles_of},
    message::Message,
    oprf::{KeyContext, NonceKey, SecretKey, prove_key},
    party::{MemberNumber, Party, Role},
    policy::{Class, Policy},
    run::FileWriter,
    statement::{
        Announcement, FederationManifest, KeyEpoch, Member, OwnerLimits, Receipt, RoleKey, RoundChannel, Statement,
    },
};

use crate::{
    CoordinatorEngine, Job, Local,
    admin::{Request, Response},
    round::node,
};

pub(crate) const CATALOGUE: &str = include_str!("../../deploy/demo/catalogue.toml");

/// The time at which tests begin.
pub(crate) const START: u64 = 1_793_462_400;

/// Rows that the federation allows for each matter.
pub(crate) const ROWS_MAX: u64 = 1_000;

pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    fn new(number: u16) -> Arc<Key> {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()))
    }
}

impl Signer for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

fn log_key(party: Party) -> Arc<Key> {
    Key::new(10_000 + party.member * 8 + party.role as u16)
}

pub(crate) fn signers(party: Party) -> Signers {
    Signers { identity: party_key(party), log: log_key(party) }
}

fn party_key(party: Party) -> Arc<Key> {
    Key::new(party.member * 8 + party.role as u16)
}

pub(crate) fn policy(catalogue: &str) -> Arc<Policy> {
    Arc::new(Policy::read(catalogue.as_bytes()).unwrap())
}

pub(crate) fn federation(policy: Arc<Policy>) -> Federation {
    let member = |number: MemberNumber| Member {
        id: policy.member_id(number).to_owned(),
        roles: roles_of(&policy, number).map(|role| role_key(Party { member: number, role })).collect(),
    };
    let owner = |member| OwnerLimits {
        member,
        people: 1_000,
        newcomers: 10,
        months: 12,
        rows: vec![ROWS_MAX; policy.matters_of(member).count()],
    };
    let manifest = FederationManifest {
        version: 1,
        previous: String::new(),
        name: "test".into(),
        policy: policy.hash,
        members: (0..=policy.matcher_number()).map(member).collect(),
        owners: policy.owners().map(owner).collect(),
        quorum: 17,
        disclosures_per_month: 1,
    };
    let authority = Key::new(u16::MAX);
    let head = Head {
        federation: None,
        round: None,
        sender: "authority".into(),
        role: Role::Authority,
        seq: 0,
        prev: None,
        time: START,
    };
    let signed = Body { head, statement: Statement::FederationManifest(manifest) }.sign(authority.as_ref()).unwrap();
    Federation::verify(signed.bytes(), &authority.public_key(), policy).unwrap()
}

fn role_key(party: Party) -> RoleKey {
    let address = if party.role == Role::Node { String::new() } else { "127.0.0.1:1".into() };
    let log = Hex(log_key(party).public_key());
    RoleKey { role: party.role, key: Hex(party_key(party).public_key()), log, address }
}

/// The coordinator, its journal, and the log as everybody reads it.
pub(crate) struct Rig {
    pub(crate) engine: CoordinatorEngine,
    pub(crate) ledger: Ledger,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) facts: BTreeMap<String, Vec<u8>>,
    pub(crate) now: u64,
    setup: Vec<Vec<u8>>,
    ticket: u64,
}

impl Rig {
    /// A federation after set-up: log begun, keys announced.
    pub(crate) fn new() -> Rig {
        Rig::of(CATALOGUE)
    }

    pub(crate) fn of(catalogue: &str) -> Rig {
        let federation = federation(policy(catalogue));
        let sources = (0..federation.policy().matcher_number()).collect::<Vec<_>>();
        let setup = sources.into_iter().map(|source| key_epoch(&federation, source)).collect();
        let mut rig = Rig::with(federation, setup);
        rig.tick();
        rig
    }

    pub(crate) fn with(federation: Federation, setup: Vec<Vec<u8>>) -> Rig {
        let ledger = Ledger::new(federation.clone());
        let (log, facts) = (Vec::new(), BTreeMap::new());
        let engine = engine(&federation, &log, &facts, setup.clone());
        Rig { engine, ledger, log, facts, now: START, setup, ticket: 0 }
    }

    /// The program is killed and started again.
    pub(crate) fn restart(&mut self) {
        self.engine = engine(self.ledger.federation(), &self.log, &self.facts, self.setup.clone());
    }

    /// Hands an input to the engine and makes durable what it commits.
    pub(crate) fn feed(&mut self, input: Input<Local>) -> Vec<Command<Job>> {
        let commands = self.engine.handle(input, self.now);
        for command in &commands {
            let Command::Commit(facts) = command else { continue };
            for fact in facts {
                match fact {
                    Fact::Log(index, line) => {
                        assert_eq!(*index, self.log.len() as u64, "the log has no gaps");
                        let admitted = self.ledger.admit(line).unwrap();
                        self.ledger.apply(admitted);
                        self.log.push(line.clone());
                    }
                    Fact::Set(name, value) => {
                        self.facts.insert(name.clone(), value.clone());
                    }
                    Fact::Unset(name) => drop(self.facts.remove(name)),
                    Fact::Own(..) => panic!("the coordinator has no entries but the log's"),
                }
            }
        }
        commands
    }

    pub(crate) fn tick(&mut self) -> Vec<Command<Job>> {
        self.feed(Input::Tick)
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.ledger.federation().policy().clone()
    }

    pub(crate) fn member(&self, id: &str) -> MemberNumber {
        self.policy().member_number(id).unwrap()
    }

    /// Connects a party that holds the whole log.
    pub(crate) fn connect(&mut self, party: Party) -> Vec<Command<Job>> {
        let mut commands = self.feed(Input::Up(party));
        let entries = self.ledger.entries();
        commands.extend(self.feed(Input::Message(party, Message::Follow { entries })));
        commands
    }

    pub(crate) fn servers(&self) -> (Party, Party) {
        (self.ledger.federation().matcher(), self.ledger.federation().aggregator())
    }

    pub(crate) fn line(&self, party: Party, statement: Statement, in_round: bool) -> Vec<u8> {
        let head = self.ledger.head(party, self.ledger.place(party), in_round, self.now);
        Body { head, statement }.sign(party_key(party).as_ref()).unwrap().bytes().to_vec()
    }

    /// A member states an entry, which must have an effect.
    pub(crate) fn say(&mut self, party: Party, statement: Statement) -> Vec<Command<Job>> {
        let line = self.line(party, statement.clone(), true);
        let mut next = self.ledger.clone();
        let logged = next.apply(next.admit(&line).unwrap());
        assert_eq!(logged.verdict, Ok(()), "{statement:?}");
        self.feed(Input::Message(party, Message::Submit { line }))
    }

    pub(crate) fn announce(&mut self, party: Party, file: FileKey, digest: Digest) -> Vec<Command<Job>> {
        self.say(party, Statement::Announcement(Announcement { file, count: 256, digest }))
    }

    /// The staff asks; the answer.
    pub(crate) fn ask(&mut self, request: Request) -> Response {
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        let commands = self.feed(Input::Local(Local::Admin(ticket, request)));
        let mut lines = commands.iter().filter_map(|command| match command {
            Command::Answer(to, line) if *to == ticket => Some(line),
            _ => None,
        });
        let line = lines.next().unwrap();
        assert!(lines.next().is_none());
        serde_json::from_str(line).unwrap()
    }

    /// Opens a round: pools for 100 s, enrolment for 200 s, rows for 300 s.
    pub(crate) fn open(&mut self, month: &str) -> Response {
        let month = month.parse().unwrap();
        self.ask(Request::Open { month, close_after_s: 100, enrolment_s: 200, rows_s: 300 })
    }

    /// A channel's pools reach the matcher.
    pub(crate) fn pool(&mut self, channel: &RoundChannel) -> Vec<Command<Job>> {
        for file in self.ledger.open_round().unwrap().pool_files(channel.number) {
            self.announce(node(channel.source), file, Hex([1; 32]));
        }
        let matcher = self.servers().0;
        self.say(matcher, Statement::Receipt(Receipt::Pools { channel: channel.number }))
    }

    /// All pools reach the matcher, but those of some departments.
    pub(crate) fn pools_without(&mut self, missing: &[&str]) {
        for channel in self.ledger.open_round().unwrap().manifest().channels.clone() {
            if !missing.contains(&self.policy().member_id(channel.source)) {
                self.pool(&channel);
            }
        }
    }

    /// The matcher signs the list.
    pub(crate) fn list(&mut self) {
        let channels = self.ledger.open_round().unwrap().receipted_channels().into_iter().collect();
        let matcher = self.servers().0;
        self.say(matcher, Statement::List { channels });
    }

    /// An owner's files reach both servers.
    pub(crate) fn rows(&mut self, owner: MemberNumber) {
        self.rows_announced(owner);
        let (matcher, aggregator) = self.servers();
        self.say(matcher, Statement::Receipt(Receipt::Records { owner }));
        self.say(aggregator, Statement::Receipt(Receipt::Rows { owner }));
    }

    pub(crate) fn rows_announced(&mut self, owner: MemberNumber) {
        let files = self.ledger.open_round().unwrap().record_files(owner);
        for file in files.into_iter().chain(row_files(owner)) {
            self.announce(node(owner), file, Hex([2; 32]));
        }
    }

    /// The matcher announces an owner's bitmaps.
    pub(crate) fn bitmaps(&mut self, owner: MemberNumber) {
        let matcher = self.servers().0;
        for class in Class::ALL {
            self.announce(matcher, FileKey::Bitmap { owner, class }, Hex([3; 32]));
        }
    }

    /// Opens a round and goes on until rows are closed, with these owners' files.
    pub(crate) fn until_deciding(&mut self, owners: &[MemberNumber]) {
        let (matcher, aggregator) = self.servers();
        self.connect(matcher);
        self.connect(aggregator);
        assert!(matches!(self.open("2026-11"), Response::Done { .. }));
        self.now += 100;
        self.pools_without(&[]);
        self.list();
        owners.iter().for_each(|owner| self.rows(*owner));
        self.now += 200;
        self.tick();
        assert!(self.ledger.round().unwrap().rows_closed().is_some());
    }

    /// The offer of a file by its maker, and the announcement's line, which is not submitted yet.
    pub(crate) fn offer(&self, from: Party, file: FileKey, digest: Digest, ticket: u64) -> Offer {
        let statement = Statement::Announcement(Announcement { file, count: 256, digest });
        Offer { ticket, from, line: self.line(from, statement, true), digest }
    }
}

fn engine(
    federation: &Federation,
    log: &[Vec<u8>],
    facts: &BTreeMap<String, Vec<u8>>,
    setup: Vec<Vec<u8>>,
) -> CoordinatorEngine {
    let mut next = 0;
    let fresh = Box::new(move || {
        next += 1;
        [next; 32]
    });
    CoordinatorEngine::restore(federation.clone(), signers(federation.coordinator()), log, facts, setup, fresh).unwrap()
}

/// A source's first entry.
pub(crate) fn key_epoch(federation: &Federation, source: MemberNumber) -> Vec<u8> {
    let mut scalar = [0; 32];
    scalar[0] = source as u8 + 1;
    let secret = SecretKey::from_bytes(&scalar).unwrap();
    let context = KeyContext { federation: federation.hash().0, source, epoch: 1 };
    let proof = prove_key(&secret, &context, &NonceKey::from_bytes([5; 32]), &[6; 32]);
    let epoch = KeyEpoch { epoch: 1, key: Hex(*secret.public().as_bytes()), proof: Hex(proof.to_bytes()) };
    let head = Ledger::new(federation.clone()).head(node(source), Place::default(), false, START);
    let body = Body { head, statement: Statement::KeyEpoch(epoch) };
    body.sign(party_key(node(source)).as_ref()).unwrap().bytes().to_vec()
}

/// A file with this header count and these rows and bytes: bytes and digest.
pub(crate) fn file(count: u64, rows: Vec<u32>, body: &[u8]) -> (Vec<u8>, Digest) {
    let mut writer = FileWriter::begin(Vec::new(), &Header { salt: [9; 32], count, rows }).unwrap();
    writer.write(body).unwrap();
    let (bytes, _, digest) = writer.finish().unwrap();
    (bytes, digest)
}

/// To whom, from which index, which lines.
type Told<'a> = (&'a [Party], u64, &'a [Vec<u8>]);

/// The lines of every `Entries` in some commands, and to whom they go.
pub(crate) fn entries(commands: &[Command<Job>]) -> Vec<Told<'_>> {
    let entries = commands.iter().filter_map(|command| match command {
        Command::Send(parties, Message::Entries { first, lines }) => Some((&parties[..], *first, &lines[..])),
        _ => None,
    });
    entries.collect()
}
