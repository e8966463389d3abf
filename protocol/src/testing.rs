//! For tests only: a federation whose secret keys everybody can compute, and a log without a coordinator. Behind the
//! feature `testing`, which no program turns on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod harness;

use std::{collections::BTreeMap, sync::Arc};

use ring::signature::{Ed25519KeyPair, KeyPair};

pub use harness::{Event, Harness, Journal, Program};

use crate::{
    envelope::{Body, Signed, Signer, Signers, Unverified},
    file::{FileKey, Header},
    hexes::{Digest, Hex},
    ledger::{Ledger, RoundTimes},
    log::checkpoint::VerifiedCheckpoint,
    manifest::{Federation, roles_of},
    message::Message,
    oprf,
    party::{MemberNumber, Party, Role},
    policy::Policy,
    reason::Reason,
    run::FileWriter,
    statement::{
        Announcement, FederationManifest, KeyEpoch, Member, OwnerLimits, Receipt, RoleKey, SourceEpoch, Statement,
    },
};

/// A policy with two owners in two groups: the bureau with `pension` (every channel) and `allowance` (no weak
/// positive), civil affairs with `relief` (every channel). No class survives without two of its departments.
pub const CATALOGUE: &str = include_str!("testing/catalogue.toml");

/// Rows that every owner may deliver for each of its matters.
pub const ROWS_MAX: u64 = 100;

/// Disclosures that every owner may ask for in a month.
pub const DISCLOSURES_MAX: u16 = 2;

/// A federation and its log.
pub struct World {
    /// The federation.
    pub federation: Federation,
    /// What the log says.
    pub ledger: Ledger,
    /// The log.
    pub lines: Vec<Vec<u8>>,
    /// Everybody's clock, seconds since 1970 UTC.
    pub now: u64,
}

impl World {
    /// A federation under [`CATALOGUE`] whose sources have announced their keys.
    pub fn new() -> World {
        let policy = Arc::new(Policy::read(CATALOGUE.as_bytes()).unwrap());
        let federation = federation(&policy);
        let line = federation.signed().bytes().to_vec();
        let ledger = Ledger::new(federation.clone());
        let mut world = World { federation, ledger, lines: Vec::new(), now: 1_800_000_000 };
        world.append(&line).unwrap();
        (0..policy.matcher_number()).for_each(|source| world.announce_key(source));
        world
    }

    /// The policy.
    pub fn policy(&self) -> Arc<Policy> {
        self.federation.policy().clone()
    }

    /// The member with this id as a node.
    pub fn node(&self, id: &str) -> Party {
        self.federation.party(id, Role::Node).unwrap()
    }

    /// A party's keys.
    pub fn signers(&self, party: Party) -> Signers {
        Signers { identity: Arc::new(TestSigner::of(party)), log: Arc::new(TestSigner::log_of(party)) }
    }

    /// The signed tree of all entries.
    pub fn checkpoint(&self) -> Vec<u8> {
        let key = TestSigner::log_of(self.federation.coordinator());
        let signed = VerifiedCheckpoint::sign(self.ledger.tree().tree(), &self.federation.origin(), &key);
        signed.unwrap().note().to_string().into_bytes()
    }

    /// What a member that holds so many entries is sent of the log, if it has grown.
    pub fn news(&self, held: usize) -> Option<[Message; 2]> {
        let lines = self.lines.get(held..).filter(|lines| !lines.is_empty())?.to_vec();
        Some([Message::Entries { first: held as u64, lines }, Message::Checkpoint { note: self.checkpoint() }])
    }

    /// What members stated in the log, in order.
    pub fn statements(&self) -> Vec<Statement> {
        let read = |line: &Vec<u8>| Unverified::read(line).unwrap();
        let entries = self.lines.iter().skip(1).map(read).map(|entry| {
            let party = self.federation.party(entry.claimed().0, entry.claimed().1).unwrap();
            entry.verify(&self.federation.key(party).unwrap()).unwrap().body().statement.clone()
        });
        entries.collect()
    }

    /// Appends a line to the log; whether it had an effect.
    ///
    /// # Errors
    /// Why it has none.
    pub fn append(&mut self, line: &[u8]) -> Result<(), Reason> {
        let admitted = self.ledger.admit(line)?;
        self.lines.push(line.to_vec());
        self.ledger.apply(admitted).verdict
    }

    /// An entry of a party's, appended, which must have an effect.
    pub fn state(&mut self, party: Party, statement: Statement) -> Signed {
        let (signed, verdict) = self.try_state(party, statement);
        assert_eq!(verdict, Ok(()), "{signed:?}");
        signed
    }

    /// An entry of a party's, appended, and whether it had an effect.
    pub fn try_state(&mut self, party: Party, statement: Statement) -> (Signed, Result<(), Reason>) {
        let outside = matches!(
            statement,
            Statement::RoundManifest(_)
                | Statement::KeyEpoch(_)
                | Statement::EnrolmentBatch(_)
                | Statement::Evaluation(_)
                | Statement::Cosignature(_)
        );
        let head = self.ledger.head(party, self.ledger.place(party), !outside, self.now);
        let signed = Body { head, statement }.sign(&TestSigner::of(party)).unwrap();
        let verdict = self.append(signed.bytes());
        (signed, verdict)
    }

    /// Opens a round; its hash.
    pub fn open_round(&mut self, month: &str) -> Digest {
        let times = RoundTimes { pools_close_from: self.now, enrolment_until: self.now, rows_until: self.now + 86_400 };
        let manifest = self.ledger.round_manifest(month.parse().unwrap(), times).unwrap();
        self.state(self.federation.coordinator(), Statement::RoundManifest(manifest));
        self.ledger.open_round().unwrap().hash()
    }

    /// Announces a file of these bytes; the announcing entry.
    pub fn announce(&mut self, party: Party, file: FileKey, count: u64, bytes: &[u8]) -> Signed {
        let digest = crate::hexes::sha256(bytes);
        let count = crate::limits::round_up_count(count);
        self.state(party, Statement::Announcement(Announcement { file, count, digest }))
    }

    /// Closes the pools with receipts for exactly these channels, whose pools are said to be empty, and logs the list.
    pub fn list(&mut self, channels: &[u16]) {
        let round = self.ledger.open_round().unwrap().clone();
        for channel in channels {
            let source = self.policy().channel(*channel).unwrap().source;
            for file in round.pool_files(*channel) {
                self.announce(Party { member: source, role: Role::Node }, file, 0, &[]);
            }
            self.state(self.federation.matcher(), Statement::Receipt(Receipt::Pools { channel: *channel }));
        }
        self.state(self.federation.coordinator(), Statement::PoolsClosed {});
        self.state(self.federation.matcher(), Statement::List { channels: channels.to_vec() });
    }

    fn announce_key(&mut self, source: MemberNumber) {
        let mut scalar = [0; 32];
        scalar[..2].copy_from_slice(&(source + 2).to_le_bytes());
        let key = oprf::SecretKey::from_bytes(&scalar).unwrap();
        let context = oprf::KeyContext { federation: self.federation.hash().0, source, epoch: 1 };
        let proof = oprf::prove_key(&key, &context, &oprf::NonceKey::from_bytes([1; 32]), &[2; 32]);
        let epoch = KeyEpoch { epoch: 1, key: Hex(*key.public().as_bytes()), proof: Hex(proof.to_bytes()) };
        self.state(Party { member: source, role: Role::Node }, Statement::KeyEpoch(epoch));
        assert!(self.ledger.key(SourceEpoch { source, epoch: 1 }).is_some());
    }
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

/// A file's bytes.
pub fn file(count: u64, rows: &[u32], body: &[u8]) -> Vec<u8> {
    let header = Header { salt: [3; 32], count, rows: rows.to_vec() };
    let mut writer = FileWriter::begin(Vec::new(), &header).unwrap();
    writer.write(body).unwrap();
    writer.finish().unwrap().0
}

/// An identity key that everybody can compute.
struct TestSigner(Ed25519KeyPair);

impl TestSigner {
    fn of(party: Party) -> TestSigner {
        let mut seed = [party.role as u8; 32];
        seed[..2].copy_from_slice(&party.member.to_le_bytes());
        TestSigner(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    /// The party's log key.
    fn log_of(party: Party) -> TestSigner {
        let mut seed = [0x10 + party.role as u8; 32];
        seed[..2].copy_from_slice(&party.member.to_le_bytes());
        TestSigner(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }
}

impl Signer for TestSigner {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

fn federation(policy: &Arc<Policy>) -> Federation {
    let members: Vec<Member> = (0..=policy.matcher_number()).map(|number| member(policy, number)).collect();
    let owners = policy.owners().map(|member| OwnerLimits {
        member,
        people: 1_000,
        newcomers: 10,
        months: 12,
        rows: vec![ROWS_MAX; policy.matters_of(member).count()],
    });
    let manifest = FederationManifest {
        version: 1,
        previous: String::new(),
        name: policy.name.clone(),
        policy: policy.hash,
        quorum: (members.len() - 1) as u16,
        members,
        owners: owners.collect(),
        disclosures_per_month: DISCLOSURES_MAX,
    };
    let authority = TestSigner::of(Party { member: MemberNumber::MAX, role: Role::Authority });
    let head = crate::envelope::Head {
        federation: None,
        round: None,
        sender: "authority".to_owned(),
        role: Role::Authority,
        seq: 0,
        prev: None,
        time: 0,
    };
    let signed = Body { head, statement: Statement::FederationManifest(manifest) }.sign(&authority).unwrap();
    Federation::verify(signed.bytes(), &authority.public_key(), policy.clone()).unwrap()
}

fn member(policy: &Policy, number: MemberNumber) -> Member {
    let roles = roles_of(policy, number).map(|role| RoleKey {
        role,
        key: Hex(TestSigner::of(Party { member: number, role }).public_key()),
        log: Hex(TestSigner::log_of(Party { member: number, role }).public_key()),
        address: if role == Role::Node { String::new() } else { "localhost:1".to_owned() },
    });
    Member { id: policy.member_id(number).to_owned(), roles: roles.collect() }
}

/// Files by key.
pub type Files = BTreeMap<FileKey, Vec<u8>>;
