//! What the matcher and the aggregator have in common: files that others announced arrive, are kept and checked; what
//! follows is stated; files of its own are announced and sent until their receiver keeps them.
//!
//! A [`Stage`] remembers only what it must: which files it was given (facts), what it stated (own entries), a seed for
//! each round. Whatever else a restart loses is found to be lacking, and done again with the same result.

mod inbox;
mod sending;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

pub use inbox::Fault;

use self::{inbox::Held, sending::Sending};
use crate::{
    chance::RoundSeed,
    engine::{Command, Fact, Input, Severity},
    envelope::{Signers, Unverified},
    file::FileKey,
    hexes::Digest,
    ledger::{Ledger, Round, SECONDS_PER_DAY},
    manifest::{Federation, Versions},
    member::{CHECKPOINT, Member, RestoreError},
    message::Message,
    party::Party,
    reason::Reason,
    statement::{Kept, Statement},
};

/// Gives 32 fresh random bytes at each call.
pub type Fresh = Box<dyn FnMut() -> [u8; 32] + Send>;

/// What a party committed before it was stopped.
pub struct Restored<'a> {
    /// Its copy of the log, in order.
    pub log: &'a [Vec<u8>],
    /// Its own entries, in order.
    pub own: &'a [Vec<u8>],
    /// Its named values.
    pub facts: BTreeMap<String, Vec<u8>>,
}

/// A server that turns files into files.
pub struct Stage {
    member: Member,
    facts: BTreeMap<String, Vec<u8>>,
    fresh: Fresh,
    connected: BTreeSet<Party>,
    /// Own statements, by the round that they are bound to.
    stated: Vec<(Digest, Statement)>,
    /// Offers that wait for the log.
    held: Vec<Held>,
    sending: BTreeMap<(Digest, FileKey), Sending>,
}

impl Stage {
    /// Restores a party.
    ///
    /// # Errors
    /// State that is not this party's.
    pub fn restore(
        versions: impl Into<Versions>,
        party: Party,
        signers: Signers,
        restored: Restored<'_>,
        fresh: Fresh,
    ) -> Result<Stage, RestoreError> {
        let key = signers.identity.public_key();
        let seen = restored.facts.get(CHECKPOINT);
        let member = Member::restore(versions, party, signers, restored.log, restored.own, seen)?;
        let keys: Vec<_> = [key].into_iter().chain(member.ledger().keys_of(party)).collect();
        let read = |line: &Vec<u8>| Unverified::read(line).ok()?.verify_by(keys.iter().copied()).ok();
        let own = restored.own.iter().filter_map(read).map(|(_, entry)| entry);
        let stated = own.filter_map(|entry| Some((entry.body().head.round?, entry.body().statement.clone())));
        let stated = stated.collect();
        Ok(Stage {
            member,
            facts: restored.facts,
            fresh,
            connected: BTreeSet::new(),
            stated,
            held: Vec::new(),
            sending: BTreeMap::new(),
        })
    }

    /// Whether the federation manifest in force lists this party. One that it does not list yet only follows the log.
    pub fn is_listed(&self) -> bool {
        self.member.is_listed()
    }

    /// All that a party does which is not listed yet.
    pub fn follow<L, J>(&mut self, input: Input<L>, now: u64) -> Vec<Command<J>> {
        self.member.follow(input, now)
    }

    /// Takes an input; what comes from the party's own surroundings is for the caller.
    pub fn take<L, J>(&mut self, input: Input<L>, now: u64, out: &mut Vec<Command<J>>) -> Option<L> {
        match input {
            Input::Tick => {}
            Input::Up(party) => {
                self.connected.insert(party);
                if party == self.federation().coordinator() {
                    out.extend(self.member.up());
                }
            }
            Input::Down(party) => {
                self.connected.remove(&party);
                if party == self.federation().coordinator() {
                    self.member.down();
                }
            }
            Input::Message(from, message) => self.message(from, message, now, out),
            Input::File(offer) => self.offered(offer, now, out),
            Input::Sent { to: _, round, file, reply } => self.sent(round, file, reply, now, out),
            Input::Local(local) => return Some(local),
        }
        None
    }

    /// The open round, once this party has a seed for it.
    pub fn round(&self) -> Option<&Round> {
        self.member.round().filter(|round| self.facts.contains_key(&seed_name(round.hash())))
    }

    /// The federation.
    pub fn federation(&self) -> &Federation {
        self.member.federation()
    }

    /// Makes sure that the open round has a seed, and that its opening by this party's clock is known.
    pub fn prepare<J>(&mut self, now: u64, out: &mut Vec<Command<J>>) {
        let Some(round) = self.member.round().map(Round::hash) else { return };
        if self.facts.contains_key(&seed_name(round)) {
            return;
        }
        self.stated.retain(|(of, _)| *of == round);
        self.sending.retain(|(of, _), _| *of == round);
        let seed = (self.fresh)().to_vec();
        let facts = vec![self.set(seed_name(round), seed), self.set(opened_name(round), now.to_le_bytes().to_vec())];
        out.push(Command::Commit(facts));
    }

    /// The seed of a round.
    pub fn seed(&self, round: Digest) -> Option<RoundSeed> {
        let bytes = self.facts.get(&seed_name(round))?;
        bytes.as_slice().try_into().ok().map(RoundSeed::new)
    }

    /// Whether this party made such a statement in the open round, logged or not.
    pub fn has_stated(&self, statement: &Statement) -> bool {
        let round = self.member.round().map(Round::hash);
        self.stated.iter().any(|(of, stated)| Some(*of) == round && stated == statement)
    }

    /// States something in the open round.
    pub fn state<J>(&mut self, statement: Statement, now: u64, out: &mut Vec<Command<J>>) {
        let Some(round) = self.member.round().map(Round::hash) else { return };
        self.stated.push((round, statement.clone()));
        out.extend(self.member.state(statement, true, now));
    }

    /// States something about a round that has ended, unless that is under way already.
    pub fn state_in<J>(&mut self, round: Digest, statement: Statement, now: u64, out: &mut Vec<Command<J>>) {
        if !self.member.is_under_way(&statement) {
            out.extend(self.member.state_in(Some(round), statement, now));
        }
    }

    /// What the log says.
    pub fn ledger(&self) -> &Ledger {
        self.member.ledger()
    }

    /// Announces a file that was made in the open round.
    pub fn announce<J>(&mut self, file: FileKey, count: u64, digest: Digest, now: u64, out: &mut Vec<Command<J>>) {
        out.extend(self.member.announce(file, count, digest, now));
    }

    /// Whether this party announced such a file in the open round, logged or not.
    pub fn has_announced(&self, file: FileKey) -> bool {
        self.member.round().is_some_and(|round| self.member.announced(round.hash(), file).is_some())
    }

    /// Rounds other than the open one whose retention time is over.
    pub fn expired(&self, now: u64) -> Vec<Digest> {
        let retention = self.federation().policy().retention_days.saturating_mul(SECONDS_PER_DAY);
        let open = self.member.ledger().open_round().map(Round::hash);
        let opened = self.facts.iter().filter_map(|(name, value)| {
            let round = name.strip_prefix(OPENED)?.parse().ok()?;
            Some((round, u64::from_le_bytes(value.as_slice().try_into().ok()?)))
        });
        let over = opened.filter(|(round, opened)| Some(*round) != open && now >= opened.saturating_add(retention));
        over.map(|(round, _)| round).collect()
    }

    /// Forgets a round whose files were deleted, and says so.
    pub fn forget<J>(&mut self, round: Digest, now: u64, out: &mut Vec<Command<J>>) {
        let hash = round.to_string();
        let names: Vec<String> =
            self.facts.keys().filter(|name| name.split('/').nth(1) == Some(&hash)).cloned().collect();
        let unset = names.into_iter().map(|name| self.unset(name)).collect();
        out.extend(self.member.deleted(round, Kept::Files, unset, now));
        let text = format!("round {round} deleted: its retention time is over");
        out.push(Command::Tell(Severity::Info, text));
    }

    fn message<J>(&mut self, from: Party, message: Message, now: u64, out: &mut Vec<Command<J>>) {
        match message {
            Message::Entries { first, lines } if from == self.federation().coordinator() => {
                out.extend(self.member.entries(first, lines));
            }
            Message::Checkpoint { note } if from == self.federation().coordinator() => {
                let (logged, commands) = self.member.checkpoint(note, now);
                out.extend(commands);
                logged.iter().for_each(|entry| self.send_again_if_refused(entry));
            }
            _ => out.push(Command::Disconnect(from, Reason::NotAllowed)),
        }
    }

    fn set(&mut self, name: String, value: Vec<u8>) -> Fact {
        self.facts.insert(name.clone(), value.clone());
        Fact::Set(name, value)
    }

    fn unset(&mut self, name: String) -> Fact {
        self.facts.remove(&name);
        Fact::Unset(name)
    }
}

/// What an operator should do about an error of the file system that stops a party.
pub fn stop_text(what: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk, then start again",
        io::ErrorKind::PermissionDenied => "give this program's user its folder, then start again",
        io::ErrorKind::NotFound => "put it back from a copy, or abandon the round",
        _ => "check the disk, then start again",
    };
    format!("{what}: {error}; {advice}")
}

fn seed_name(round: Digest) -> String {
    format!("seed/{round}")
}

fn opened_name(round: Digest) -> String {
    format!("{OPENED}{round}")
}

const OPENED: &str = "opened/";
