//! A small federation with real keys, and its log.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use ring::signature::{Ed25519KeyPair, KeyPair};
use wugan_protocol::{
    envelope::{Body, Head, Signed, Signer, Signers},
    file::FileKey,
    hexes::{Digest, Hex, sha256},
    ledger::{Ledger, RoundTimes, row_files},
    limits::about,
    manifest::{Federation, roles_of},
    oprf,
    party::{MemberNumber, Party, Role},
    policy::{Class, Decision, Matter, Policy},
    reason::Reason,
    statement::{
        Announcement, DecisionCount, EnrolmentBatch, Evaluation, FederationManifest, KeyEpoch, MatterTotals, Member,
        OwnerLimits, Receipt, RoleKey, SourceEpoch, Statement, Totals,
    },
};

/// Member numbers of the small catalogue.
pub(crate) const BUREAU: MemberNumber = 0;
pub(crate) const DATA: MemberNumber = 1;
pub(crate) const POLICE: MemberNumber = 2;
pub(crate) const CLINIC: MemberNumber = 3;
pub(crate) const HOUSING: MemberNumber = 4;
pub(crate) const MATCHER: MemberNumber = 5;

/// The first key epoch of the police.
pub(crate) const POLICE_FIRST: SourceEpoch = SourceEpoch { source: POLICE, epoch: 1 };

/// The small catalogue: five departments, two of them roster owners, eight channels, two matters, two pool groups.
pub(crate) const CATALOGUE: &str = include_str!("catalogue.toml");

/// Seconds at which the small federation's first round opens.
pub(crate) const START: u64 = 1_790_000_000;

pub(crate) fn node(member: MemberNumber) -> Party {
    Party { member, role: Role::Node }
}

pub(crate) const COORDINATOR: Party = Party { member: BUREAU, role: Role::Coordinator };
pub(crate) const AGGREGATOR: Party = Party { member: DATA, role: Role::Aggregator };
pub(crate) const MATCHING: Party = Party { member: MATCHER, role: Role::Matcher };

/// An identity with a fixed seed.
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    pub(crate) fn new(seed: [u8; 32]) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    pub(crate) fn of(party: Party) -> Arc<Key> {
        let mut seed = [party.role as u8; 32];
        seed[..2].copy_from_slice(&party.member.to_le_bytes());
        Arc::new(Key::new(seed))
    }

    pub(crate) fn log_of(party: Party) -> Arc<Key> {
        let mut seed = [0x10 + party.role as u8; 32];
        seed[..2].copy_from_slice(&party.member.to_le_bytes());
        Arc::new(Key::new(seed))
    }

    /// Both keys of a party.
    pub(crate) fn signers(party: Party) -> Signers {
        Signers { identity: Key::of(party), log: Key::log_of(party) }
    }

    pub(crate) fn authority() -> Key {
        Key::new([0xAA; 32])
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

pub(crate) fn policy() -> Arc<Policy> {
    Arc::new(Policy::read(CATALOGUE.as_bytes()).unwrap())
}

/// A manifest that agrees with a policy.
pub(crate) fn manifest(policy: &Policy) -> FederationManifest {
    let role_key = |party: Party| RoleKey {
        role: party.role,
        key: Hex(Key::of(party).public_key()),
        log: Hex(Key::log_of(party).public_key()),
        address: if party.role == Role::Node { String::new() } else { format!("{}.test:7443", party.role.name()) },
    };
    let members = (0..=policy.matcher_number()).map(|member| Member {
        id: policy.member_id(member).to_owned(),
        roles: roles_of(policy, member).map(|role| role_key(Party { member, role })).collect(),
    });
    let owners = policy.owners().map(|member| OwnerLimits {
        member,
        people: 300,
        newcomers: 10,
        months: 2,
        rows: policy.matters_of(member).map(|_| 1_000).collect(),
    });
    FederationManifest {
        version: 1,
        previous: String::new(),
        name: "small".into(),
        policy: policy.hash,
        members: members.collect(),
        owners: owners.collect(),
        quorum: 4,
        disclosures_per_month: 2,
    }
}

/// What a federation manifest says of itself.
pub(crate) fn authority_head() -> Head {
    Head {
        federation: None,
        round: None,
        sender: "authority".into(),
        role: Role::Authority,
        seq: 0,
        prev: None,
        time: START - 100,
    }
}

pub(crate) fn sign_manifest(manifest: FederationManifest) -> Signed {
    sign_manifest_with(authority_head(), manifest)
}

pub(crate) fn sign_manifest_with(head: Head, manifest: FederationManifest) -> Signed {
    Body { head, statement: Statement::FederationManifest(manifest) }.sign(&Key::authority()).unwrap()
}

pub(crate) fn federation() -> Federation {
    let policy = policy();
    let signed = sign_manifest(manifest(&policy));
    Federation::verify(signed.bytes(), &Key::authority().public_key(), policy).unwrap()
}

/// A month's times: pools may be closed after 10 s, rows at the latest after 100 s.
pub(crate) fn times(opened: u64) -> RoundTimes {
    RoundTimes { pools_close_from: opened + 10, enrolment_until: opened + 50, rows_until: opened + 100 }
}

/// A digest that stands for some bytes.
pub(crate) fn digest(text: &str) -> Digest {
    sha256(text.as_bytes())
}

/// The log of the small federation, as the coordinator keeps it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) ledger: Ledger,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) now: u64,
}

impl Log {
    /// A log that holds the manifest only.
    pub(crate) fn new() -> Log {
        let federation = federation();
        let first = federation.signed().bytes().to_vec();
        let mut log = Log { ledger: Ledger::new(federation), lines: Vec::new(), now: START };
        log.append(first).unwrap();
        log
    }

    /// A log in which every source has announced its first key.
    pub(crate) fn with_keys() -> Log {
        let mut log = Log::new();
        (BUREAU..MATCHER).for_each(|source| log.say(node(source), log.key_epoch(source, 1, source)).unwrap());
        log
    }

    /// A log with an open round of this month, everything else still to come.
    pub(crate) fn opened() -> Log {
        let mut log = Log::with_keys();
        log.open("2026-11").unwrap();
        log
    }

    /// A log with a round whose list holds every channel.
    pub(crate) fn listed() -> Log {
        let mut log = Log::opened();
        log.reach_list();
        log
    }

    /// Admits and applies a line; an entry without effect must have changed nothing but the sequence.
    pub(crate) fn append(&mut self, line: Vec<u8>) -> Result<(), Reason> {
        let before = self.state();
        let admitted = self.ledger.admit(&line).expect("an entry that the log admits");
        let logged = self.ledger.apply(admitted);
        assert_eq!(logged.index, self.lines.len() as u64);
        self.lines.push(line);
        if let Err(reason) = logged.verdict {
            assert_eq!(self.state(), before, "an entry refused with {reason:?} changed the state");
        }
        logged.verdict
    }

    /// States something in the open round, as its sender would.
    pub(crate) fn say(&mut self, party: Party, statement: Statement) -> Result<(), Reason> {
        let in_round = !matches!(
            statement,
            Statement::KeyEpoch(_)
                | Statement::EnrolmentBatch(_)
                | Statement::Evaluation(_)
                | Statement::RoundManifest(_)
                | Statement::Cosignature(_)
                | Statement::Refusal { .. }
        );
        let signed = self.signed(party, statement, in_round);
        self.append(signed.bytes().to_vec())
    }

    /// The next entry of a party.
    pub(crate) fn signed(&self, party: Party, statement: Statement, in_round: bool) -> Signed {
        let head = self.ledger.head(party, self.ledger.place(party), in_round, self.now);
        Body { head, statement }.sign(Key::of(party).as_ref()).unwrap()
    }

    /// Everything that the log led to, besides the sequences.
    pub(crate) fn state(&self) -> String {
        let text = format!("{:?}", self.ledger);
        let after_heads = text.find(", keys: {").expect("the ledger's fields after the sequences");
        text[after_heads..].to_owned()
    }

    pub(crate) fn key_epoch(&self, source: MemberNumber, epoch: u32, key: MemberNumber) -> Statement {
        Statement::KeyEpoch(key_epoch(self.ledger.federation(), source, epoch, &secret(key)))
    }

    pub(crate) fn manifest(&self, month: &str) -> Statement {
        let month = month.parse().unwrap();
        Statement::RoundManifest(self.ledger.round_manifest(month, times(self.now)).unwrap())
    }

    pub(crate) fn open(&mut self, month: &str) -> Result<(), Reason> {
        self.say(COORDINATOR, self.manifest(month))
    }

    /// All pools of a channel and the matcher's receipt.
    pub(crate) fn pools(&mut self, channel: u16) {
        let source = self.ledger.federation().policy().channel(channel).unwrap().source;
        for group in 0..2 {
            self.announce(node(source), FileKey::Pool { channel, group }).unwrap();
        }
        self.say(MATCHING, Statement::Receipt(Receipt::Pools { channel })).unwrap();
    }

    pub(crate) fn announce(&mut self, party: Party, file: FileKey) -> Result<(), Reason> {
        self.say(party, announcement(file))
    }

    pub(crate) fn reach_list(&mut self) {
        (1..=8).for_each(|channel| self.pools(channel));
        self.now = self.ledger.round().unwrap().manifest().pools_close_from;
        self.say(COORDINATOR, Statement::PoolsClosed {}).unwrap();
        self.say(MATCHING, Statement::List { channels: (1..=8).collect() }).unwrap();
    }

    /// An owner's records and rows, announced.
    pub(crate) fn rows(&mut self, owner: MemberNumber) {
        let files = self.ledger.round().unwrap().record_files(owner);
        files.into_iter().chain(row_files(owner)).for_each(|file| self.announce(node(owner), file).unwrap());
    }

    pub(crate) fn row_receipts(&mut self, owner: MemberNumber) {
        self.say(MATCHING, Statement::Receipt(Receipt::Records { owner })).unwrap();
        self.say(AGGREGATOR, Statement::Receipt(Receipt::Rows { owner })).unwrap();
    }

    pub(crate) fn bitmaps(&mut self, owner: MemberNumber) {
        Class::ALL.into_iter().for_each(|class| self.announce(MATCHING, FileKey::Bitmap { owner, class }).unwrap());
    }

    /// Bitmaps, bits and decisions of an owner.
    pub(crate) fn decide(&mut self, owner: MemberNumber) {
        self.bitmaps(owner);
        self.announce(AGGREGATOR, FileKey::Bits { owner }).unwrap();
        self.announce(COORDINATOR, FileKey::Decisions { owner }).unwrap();
        self.say(COORDINATOR, totals(owner)).unwrap();
    }

    /// From the list to the end.
    pub(crate) fn finish(&mut self) {
        for owner in [BUREAU, HOUSING] {
            self.rows(owner);
            self.row_receipts(owner);
        }
        self.say(COORDINATOR, Statement::RowsClosed {}).unwrap();
        [BUREAU, HOUSING].into_iter().for_each(|owner| self.decide(owner));
        self.say(COORDINATOR, Statement::RoundClosed {}).unwrap();
    }
}

/// The OPRF key with a small number.
pub(crate) fn secret(number: MemberNumber) -> oprf::SecretKey {
    let mut bytes = [0; 32];
    bytes[0] = 2 + number as u8;
    oprf::SecretKey::from_bytes(&bytes).unwrap()
}

pub(crate) fn key_epoch(federation: &Federation, source: MemberNumber, epoch: u32, key: &oprf::SecretKey) -> KeyEpoch {
    let context = oprf::KeyContext { federation: federation.hash().0, source, epoch };
    let proof = oprf::prove_key(key, &context, &oprf::NonceKey::from_bytes([3; 32]), &[4; 32]);
    KeyEpoch { epoch, key: Hex(*key.public().as_bytes()), proof: Hex(proof.to_bytes()) }
}

pub(crate) fn announcement(file: FileKey) -> Statement {
    Statement::Announcement(Announcement { file, count: 256, digest: digest(&file.name()) })
}

pub(crate) fn totals(owner: MemberNumber) -> Statement {
    let digest = digest(&FileKey::Decisions { owner }.name());
    let counts = Decision::ALL.map(|decision| DecisionCount { decision, about: about(u64::from(owner) * 4) }).to_vec();
    let matter = |matter: &Matter| MatterTotals { matter: matter.number, counts: counts.clone() };
    let matters = policy().matters_of(owner).map(matter).collect();
    Statement::Decisions(Totals { owner, digest, matters })
}

pub(crate) fn batch(number: u64, count: u64, sources: &[SourceEpoch]) -> Statement {
    Statement::EnrolmentBatch(EnrolmentBatch {
        batch: number,
        sources: sources.to_vec(),
        count,
        elements: digest(&format!("batch {number}")),
    })
}

pub(crate) fn evaluation(log: &Log, owner: MemberNumber, batch: u64, epoch: u32) -> Evaluation {
    let logged = log.ledger.batch(owner, batch).unwrap();
    let count = logged.statement.count;
    Evaluation { owner, batch, entry: logged.entry, epoch, count, answer: digest("answer") }
}
