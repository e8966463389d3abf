//! A federation in one thread: the programs' own engines and workers, with a simulated network, clock, disk journal and
//! crashes. Files are real, in a temporary folder. Everything that happens follows from one seed.
//!
//! A party crashes after any of the commands that its engine gave: the facts of the inputs that it took last are durable,
//! of everything else only a beginning is done. Of what was under way, a beginning still arrives.

mod actor;
mod federation;
mod lie;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::Path,
};

use wugan_audit::folder::LogFiles;
use wugan_coordinator::admin::{Refusal, Request, Response};
use wugan_node::admin::{Request as NodeRequest, Response as NodeResponse};
use wugan_protocol::{
    file::FileKey,
    hexes::Digest,
    ledger::SECONDS_PER_DAY,
    log::writer::LogWriter,
    month::Month,
    party::{Party, Role},
    reason::Reason,
};

use actor::{Act, Delivery};
use federation::{Parts, Staff};
pub use lie::{Change, Liar, Lie, Which};

use crate::{
    audit::{Audited, audit, authority},
    version,
};

/// A simulated federation.
pub struct Sim {
    parts: Parts,
    actors: BTreeMap<Party, Box<dyn Act>>,
    /// Parties that are stopped, with what they committed.
    away: BTreeMap<Party, Box<dyn Act>>,
    /// What is under way on each link, in order.
    links: BTreeMap<(Party, Party), VecDeque<Delivery>>,
    up: BTreeSet<(Party, Party)>,
    /// Files that a party sent to another, whose answer has not arrived.
    unanswered: BTreeMap<(Party, Party), BTreeSet<(Digest, FileKey)>>,
    dying: Option<Dying>,
    blamed: Vec<(String, Reason)>,
    now: u64,
    chance: Chance,
}

/// A party that is about to crash.
struct Dying {
    party: Party,
    /// Inputs that it still takes.
    inputs: u64,
    /// Of the commands that are no facts, how many are carried out.
    commands: usize,
}

/// What a simulation does besides delivering messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Of a thousand steps, how many crash a party and restart it from its journal.
    pub crashes: u64,
    /// Of a thousand steps, how many cut a connection.
    pub cuts: u64,
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

impl Sim {
    /// Sets a federation up on the city in `dir` and starts everybody but the nodes of `offline`. `rosters` are the names
    /// of the rosters of the months to come.
    ///
    /// # Errors
    /// A city that cannot be read.
    pub fn start(dir: &Path, offline: &[String], rosters: &[String], seed: u64) -> anyhow::Result<Sim> {
        Sim::start_with(dir, offline, rosters, Vec::new(), seed)
    }

    /// The same, with members that lie.
    ///
    /// # Errors
    /// A city that cannot be read.
    pub fn start_with(
        dir: &Path,
        offline: &[String],
        rosters: &[String],
        liars: Vec<Liar>,
        seed: u64,
    ) -> anyhow::Result<Sim> {
        let parts = Parts::set_up(dir, rosters, liars)?;
        let running = parts.parties().filter(|party| !parts.is_offline(*party, offline));
        let actors = running.map(|party| Ok((party, parts.actor(party)?))).collect::<anyhow::Result<_>>()?;
        let (links, up, unanswered) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let chance = Chance::new(seed);
        let (away, dying, blamed) = (BTreeMap::new(), None, Vec::new());
        let mut sim = Sim { parts, actors, away, links, up, unanswered, dying, blamed, now: START, chance };
        sim.connect_all()?;
        Ok(sim)
    }

    /// Runs one month's round to its end, as the demo's staff does. Nobody waits for the departments of `offline`; with
    /// liars about, the staff closes only when nothing has happened for long.
    ///
    /// # Errors
    /// A party that stops, or a round that does not end within the bound on steps.
    pub fn round(&mut self, month: Month, offline: &[String], faults: Faults) -> anyhow::Result<()> {
        let open = Request::Open { month, close_after_s: 0, enrolment_s: 86_400, rows_s: 90_000 };
        let (mut opened, mut idle) = (false, 0_u32);
        for step in 0..STEPS_MAX {
            if self.step(faults)? {
                idle = 0;
                if step % LOOK_EVERY != 0 {
                    continue;
                }
            }
            // The longer nothing happens, the faster time passes: what is waited for comes in seconds, or tomorrow.
            self.now += 1 << (idle / IDLE_PER_DOUBLING).min(DOUBLINGS_MAX);
            idle += 1;
            self.tick_all()?;
            self.connect_all()?;
            if !opened {
                opened = self.ask(&open)?.is_some_and(|answer| is_done(&answer, month));
                continue;
            }
            let Some(Response::Status { status }) = self.ask(&Request::Status {})? else { continue };
            match self.parts.staff(&status, offline, idle) {
                Staff::Wait => {}
                Staff::Close => drop(self.ask(&Request::Close {})?),
                Staff::Ended => return Ok(()),
            }
        }
        anyhow::bail!("the round of {month} has not ended after {STEPS_MAX} steps")
    }

    /// Opens a month's round, lets so much happen, and makes the round void, so that the month can be opened anew.
    ///
    /// # Errors
    /// A party that stops, or a coordinator that does not do it.
    pub fn void_round(&mut self, month: Month, steps: u64, faults: Faults) -> anyhow::Result<()> {
        let day_s = SECONDS_PER_DAY;
        let open = Request::Open { month, close_after_s: day_s, enrolment_s: day_s, rows_s: day_s };
        for (request, steps) in [(open, steps), (Request::Abandon {}, 0)] {
            let mut tries = 0;
            while !self.ask(&request)?.is_some_and(|answer| is_done(&answer, month)) {
                anyhow::ensure!(tries < TRIES_MAX, "the coordinator does not do {request:?}");
                tries += 1;
                self.now += 1;
                self.tick_all()?;
                self.connect_all()?;
                (0..LOOK_EVERY).try_for_each(|_| self.step(faults).map(drop))?;
            }
            (0..steps).try_for_each(|_| self.step(faults).map(drop))?;
        }
        Ok(())
    }

    /// Puts the next version of the federation manifest, with the same members and another policy, into force: every operator
    /// has confirmed it, and every member goes on under it.
    ///
    /// # Errors
    /// A version that may not follow, a party that stops, or one that does not follow the log.
    pub fn adopt(&mut self, catalogue: &str, faults: Faults) -> anyhow::Result<()> {
        let (federation, policy) = version::confirm_next(self.parts.root(), catalogue)?;
        let line = federation.signed().bytes();
        self.parts.confirm(line, policy)?;
        let parties: Vec<Party> = self.actors.keys().copied().collect();
        parties.into_iter().try_for_each(|party| self.crash(party, 0))?;
        let shows = |actor: &dyn Act| actor.log().iter().any(|entry| entry == line);
        for _ in 0..TRIES_MAX {
            if self.actors.values().all(|actor| shows(actor.as_ref())) {
                return Ok(());
            }
            self.now += 1;
            self.tick_all()?;
            self.connect_all()?;
            if !shows(self.actors[&self.parts.coordinator()].as_ref()) {
                self.ask(&Request::Adopt {})?;
            }
            (0..LOOK_EVERY).try_for_each(|_| self.step(faults).map(drop))?;
        }
        anyhow::bail!("not everybody goes on under the next version")
    }

    /// Stops the nodes of these departments, and starts those of all others again that were stopped.
    ///
    /// # Errors
    /// A party that stops by itself.
    pub fn stay_away(&mut self, ids: &[String]) -> anyhow::Result<()> {
        let all: Vec<Party> = self.parts.parties().collect();
        for party in all {
            if !self.parts.is_offline(party, ids) {
                if let Some(mut actor) = self.away.remove(&party) {
                    actor.restart(0)?;
                    self.actors.insert(party, actor);
                }
            } else if self.actors.contains_key(&party) {
                self.dying = self.dying.take().filter(|dying| dying.party != party);
                let peers: Vec<Party> = self.actors.keys().copied().collect();
                peers.into_iter().try_for_each(|peer| self.cut(party, peer))?;
                self.away.extend(self.actors.remove_entry(&party));
            }
        }
        self.connect_all()
    }

    /// Lets days pass without a round, and everything be done that is then to be done.
    ///
    /// # Errors
    /// A party that stops.
    pub fn pass(&mut self, days: u64, faults: Faults) -> anyhow::Result<()> {
        self.now += days * SECONDS_PER_DAY;
        for second in 0..SECONDS_PASSED {
            self.now += 1;
            self.tick_all()?;
            self.connect_all()?;
            // In the last seconds nothing fails any more.
            let faults = if second < SECONDS_PASSED / 2 { faults } else { Faults::default() };
            while self.step(faults)? {}
        }
        Ok(())
    }

    /// The staff of a department's node asks, and waits for the answer. None if the node crashes before it answers.
    ///
    /// # Errors
    /// A party that stops.
    pub fn ask_node(
        &mut self,
        id: &str,
        request: &NodeRequest,
        faults: Faults,
    ) -> anyhow::Result<Option<NodeResponse>> {
        let node = self.parts.node(id)?;
        let mut line = self.ask_party(node, serde_json::to_string(request)?)?;
        while line.is_none() && self.step(faults)? {
            line = self.actors.get_mut(&node).and_then(|actor| actor.answer());
        }
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// What the parties keep besides keys, matching keys, the log and what they were charged: the names of files and facts.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn kept(&self) -> anyhow::Result<Vec<String>> {
        let mut kept = Vec::new();
        for (party, actor) in &self.actors {
            let of_log = |name: &String| ["checkpoint", "cosigned"].contains(&name.as_str());
            let facts = actor.facts().into_iter().map(|(name, _)| name);
            let facts = facts.filter(|name| !name.starts_with("charged/") && !of_log(name));
            let names = facts.chain(self.parts.state_files(*party)?);
            kept.extend(names.map(|name| format!("{}: {name}", self.parts.name(*party))));
        }
        Ok(kept)
    }

    /// The facts that a party committed, by name.
    pub fn facts(&self, id: &str, role: Role) -> Vec<(String, Vec<u8>)> {
        let actors = self.actors.iter().filter(|(party, _)| self.parts.is(**party, id, role));
        actors.flat_map(|(_, actor)| actor.facts()).collect()
    }

    /// Audits the coordinator's log.
    ///
    /// # Errors
    /// The first entry that should not be there.
    pub fn audit(&self) -> anyhow::Result<Audited> {
        Ok(audit(&self.log(), &authority(self.parts.root())?)?)
    }

    /// Every entry of the coordinator's log.
    pub fn log(&self) -> Vec<Vec<u8>> {
        self.actors[&self.parts.coordinator()].log()
    }

    /// The files that the coordinator would publish of its log, and the policy beside them.
    ///
    /// # Errors
    /// Keys or a policy that cannot be read.
    pub fn published(&self) -> anyhow::Result<LogFiles> {
        self.published_as(&self.log())
    }

    /// The same, of another history, which the coordinator signs.
    ///
    /// # Errors
    /// Keys or a policy that cannot be read.
    pub fn published_as(&self, lines: &[Vec<u8>]) -> anyhow::Result<LogFiles> {
        let mut writer = LogWriter::empty();
        lines.iter().try_for_each(|line| writer.append(line).map(drop))?;
        let mut files: BTreeMap<String, Vec<u8>> =
            writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)).collect();
        files.insert("checkpoint".to_owned(), self.parts.checkpoint(writer.tree())?);
        files.insert("catalogue.toml".to_owned(), fs::read(self.parts.root().join("catalogue.toml"))?);
        for version in 2..=self.parts.version() {
            let policy = version::folder(self.parts.root(), version).join("catalogue.toml");
            files.insert(format!("catalogue.{version}.toml"), fs::read(policy)?);
        }
        let facts = self.actors[&self.parts.coordinator()].facts();
        files.extend(facts.into_iter().filter(|(name, _)| name == "cosigned"));
        Ok(LogFiles { files, ..LogFiles::default() })
    }

    /// Who was disconnected for misbehaving (`member/role`), and why.
    pub fn blamed(&self) -> &[(String, Reason)] {
        &self.blamed
    }

    /// People whose keys sources evaluated themselves, over all rounds and nodes: their own counters.
    pub fn evaluated(&self) -> u64 {
        let facts = self.actors.values().flat_map(|actor| actor.facts());
        let counters = facts.filter(|(name, _)| name.starts_with("prepared/") || name.starts_with("roster/"));
        counters.filter_map(|(_, value)| Some(u64::from_le_bytes(value.try_into().ok()?))).sum()
    }

    /// Delivers something, crashes somebody or cuts a connection; whether there was anything to deliver.
    fn step(&mut self, faults: Faults) -> anyhow::Result<bool> {
        let dice = self.chance.below(1_000);
        if dice < faults.crashes {
            self.falter();
        } else if dice < faults.crashes + faults.cuts {
            let links: Vec<_> = self.up.iter().copied().collect();
            if !links.is_empty() {
                let (one, other) = links[self.chance.below(links.len() as u64) as usize];
                self.cut(one, other)?;
            }
        }
        if self.chance.below(4) == 0 && self.work()? {
            return Ok(true);
        }
        let waiting: Vec<_> = self.links.iter().filter(|(_, queue)| !queue.is_empty()).map(|(link, _)| *link).collect();
        if waiting.is_empty() {
            return self.work();
        }
        let (from, to) = waiting[self.chance.below(waiting.len() as u64) as usize];
        let delivery = self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front);
        delivery.map_or(Ok(()), |delivery| self.deliver(from, to, delivery))?;
        Ok(true)
    }

    fn deliver(&mut self, from: Party, to: Party, delivery: Delivery) -> anyhow::Result<()> {
        if let (Delivery::Reply { round, file, .. }, Some(files)) = (&delivery, self.unanswered.get_mut(&(to, from))) {
            files.remove(&(*round, *file));
        }
        self.give(to, from, delivery)
    }

    /// Some party's thread does one of its jobs, in any order; whether there was one.
    fn work(&mut self) -> anyhow::Result<bool> {
        let first = self.pick_actor();
        let parties: Vec<Party> =
            self.actors.range(first..).chain(self.actors.range(..first)).map(|(p, _)| *p).collect();
        for party in parties {
            let choice = self.chance.below(u64::MAX);
            let Some(actor) = self.actors.get_mut(&party) else { continue };
            if let Some(out) = actor.work(choice, self.now)? {
                self.post(party, out)?;
                self.age(party)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pick_actor(&mut self) -> Party {
        let parties: Vec<Party> = self.actors.keys().copied().collect();
        parties[self.chance.below(parties.len() as u64) as usize]
    }

    /// Somebody will crash soon.
    fn falter(&mut self) {
        if self.dying.is_some() {
            return;
        }
        let party = self.pick_actor();
        let (inputs, most) = (1 + self.chance.below(3), 1 << self.chance.below(7));
        self.dying = Some(Dying { party, inputs, commands: self.chance.below(most) as usize });
        if let Some(actor) = self.actors.get_mut(&party) {
            actor.falter();
        }
    }

    /// A party has taken an input. If that was its last one, it crashes.
    fn age(&mut self, party: Party) -> anyhow::Result<()> {
        let Some(dying) = self.dying.as_mut().filter(|dying| dying.party == party) else { return Ok(()) };
        dying.inputs -= 1;
        if dying.inputs > 0 {
            return Ok(());
        }
        let commands = dying.commands;
        self.dying = None;
        self.crash(party, commands)
    }

    /// Kills a party after so many commands: what it had not committed is gone, its connections too; it starts again at
    /// once.
    fn crash(&mut self, party: Party, commands: usize) -> anyhow::Result<()> {
        let out = self.actors.get_mut(&party).map_or(Ok(Vec::new()), |actor| actor.restart(commands))?;
        self.post(party, out)?;
        let peers: Vec<Party> = self.actors.keys().copied().filter(|other| *other != party).collect();
        for peer in peers {
            if self.up.remove(&ordered(party, peer)) {
                self.links.remove(&(peer, party));
                self.last_words(party, peer)?;
                let lost = self.lose(peer, party);
                self.unanswered.remove(&(party, peer));
                self.tell_lost(peer, party, lost)?;
            }
        }
        Ok(())
    }

    fn cut(&mut self, one: Party, other: Party) -> anyhow::Result<()> {
        if !self.up.remove(&ordered(one, other)) {
            return Ok(());
        }
        self.last_words(one, other)?;
        self.last_words(other, one)?;
        let (of_one, of_other) = (self.lose(one, other), self.lose(other, one));
        self.tell_lost(one, other, of_one)?;
        self.tell_lost(other, one, of_other)
    }

    /// A beginning of what is under way arrives before the connection is gone.
    fn last_words(&mut self, from: Party, to: Party) -> anyhow::Result<()> {
        let mut under_way = self.links.remove(&(from, to)).unwrap_or_default();
        under_way.truncate(self.chance.below(under_way.len() as u64 + 1) as usize);
        under_way.into_iter().try_for_each(|delivery| self.deliver(from, to, delivery))
    }

    /// The files of `from` that its peer has not answered: their answers will not come when the link is lost.
    fn lose(&mut self, from: Party, to: Party) -> Vec<Delivery> {
        let files = self.unanswered.remove(&(from, to)).unwrap_or_default();
        files.into_iter().map(|(round, file)| Delivery::Reply { round, file, reply: None }).collect()
    }

    fn tell_lost(&mut self, party: Party, peer: Party, lost: Vec<Delivery>) -> anyhow::Result<()> {
        self.give(party, peer, Delivery::Down)?;
        lost.into_iter().try_for_each(|reply| self.give(party, peer, reply))
    }

    fn connect_all(&mut self) -> anyhow::Result<()> {
        for (one, other) in self.parts.links() {
            let both = self.actors.contains_key(&one) && self.actors.contains_key(&other);
            if both && self.up.insert(ordered(one, other)) {
                self.give(one, other, Delivery::Up)?;
                // It may have crashed of that.
                if self.up.contains(&ordered(one, other)) {
                    self.give(other, one, Delivery::Up)?;
                }
            }
        }
        Ok(())
    }

    fn tick_all(&mut self) -> anyhow::Result<()> {
        let parties: Vec<Party> = self.actors.keys().copied().collect();
        parties.into_iter().try_for_each(|party| self.give(party, party, Delivery::Tick))
    }

    fn give(&mut self, to: Party, from: Party, delivery: Delivery) -> anyhow::Result<()> {
        let Some(actor) = self.actors.get_mut(&to) else { return Ok(()) };
        let out = actor.take(from, delivery, self.now)?;
        self.post(to, out)?;
        self.age(to)
    }

    /// Puts what a party sends on its links.
    fn post(&mut self, from: Party, out: Vec<(Party, Delivery)>) -> anyhow::Result<()> {
        for (receiver, sent) in out {
            if let Delivery::Again = sent {
                return self.crash(from, 0);
            } else if let Delivery::Cut(reason) = sent {
                self.blamed.push((self.parts.name(receiver), reason));
                self.cut(from, receiver)?;
            } else if self.up.contains(&ordered(from, receiver)) {
                match &sent {
                    Delivery::File { round, file, .. } => {
                        self.unanswered.entry((from, receiver)).or_default().insert((*round, *file));
                    }
                    // An answer to what was sent before the connection was cut reaches nobody.
                    Delivery::Reply { round, file, .. } => {
                        let files = self.unanswered.get(&(receiver, from));
                        if files.is_none_or(|files| !files.contains(&(*round, *file))) {
                            continue;
                        }
                    }
                    _ => {}
                }
                self.links.entry((from, receiver)).or_default().push_back(sent);
            } else if let Delivery::File { round, file, .. } = sent {
                self.links.entry((receiver, from)).or_default().push_back(Delivery::Reply { round, file, reply: None });
            }
        }
        Ok(())
    }

    /// None if the coordinator crashes before it answers.
    fn ask(&mut self, request: &Request) -> anyhow::Result<Option<Response>> {
        let coordinator = self.parts.coordinator();
        let line = self.ask_party(coordinator, serde_json::to_string(request)?)?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    fn ask_party(&mut self, party: Party, line: String) -> anyhow::Result<Option<String>> {
        self.give(party, party, Delivery::Ask(line))?;
        Ok(self.actors.get_mut(&party).and_then(|actor| actor.answer()))
    }
}

/// Whether what was asked for is done, maybe at an earlier time of asking, whose answer was lost in a crash.
fn is_done(answer: &Response, month: Month) -> bool {
    let refusal = match answer {
        Response::Done { .. } => return true,
        Response::Refused { refusal } => refusal,
        Response::Status { .. } => return false,
    };
    matches!(refusal, Refusal::NoRound {}) || *refusal == Refusal::RoundOpen { month }
}

fn ordered(one: Party, other: Party) -> (Party, Party) {
    (one.min(other), one.max(other))
}

/// When a simulation starts, seconds since 1970 UTC: 2026-11-24.
pub const START: u64 = 1_795_478_400;
/// Of a time that passes without a round: enough for each deletion to follow the one before.
const SECONDS_PASSED: u64 = 12;
const STEPS_MAX: u64 = 400_000;
/// Times that the staff asks for one thing.
const TRIES_MAX: u64 = 1_000;
const LOOK_EVERY: u64 = 64;
/// Looks at which nothing has happened, until seconds between looks double.
const IDLE_PER_DOUBLING: u32 = 16;
const DOUBLINGS_MAX: u32 = 10;
