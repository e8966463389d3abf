//! A federation in one thread: the programs' own engines and workers, with a simulated network, clock, disk journal and
//! crashes. Files are real, in a temporary folder. Everything that happens follows from one seed.

mod actor;
mod federation;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use wugan_coordinator::admin::{Request, Response};
use wugan_protocol::{file::FileKey, hexes::Digest, ledger::SECONDS_PER_DAY, month::Month, party::Party};

use actor::{Act, Delivery};
use federation::{Parts, Staff};

/// A simulated federation.
pub struct Sim {
    parts: Parts,
    actors: BTreeMap<Party, Box<dyn Act>>,
    /// What is under way on each link, in order.
    links: BTreeMap<(Party, Party), VecDeque<Delivery>>,
    up: BTreeSet<(Party, Party)>,
    /// Files that a party sent to another, whose answer has not arrived.
    unanswered: BTreeMap<(Party, Party), BTreeSet<(Digest, FileKey)>>,
    now: u64,
    chance: Chance,
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
        let parts = Parts::set_up(dir, rosters)?;
        let running = parts.parties().filter(|party| !parts.is_offline(*party, offline));
        let actors = running.map(|party| Ok((party, parts.actor(party)?))).collect::<anyhow::Result<_>>()?;
        let (links, up, unanswered) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut sim = Sim { parts, actors, links, up, unanswered, now: START, chance: Chance::new(seed) };
        sim.connect_all()?;
        Ok(sim)
    }

    /// Runs one month's round to its end, as the demo's staff does.
    ///
    /// # Errors
    /// A party that stops, or a round that does not end within the bound on steps.
    pub fn round(&mut self, month: Month, offline: &[String], faults: Faults) -> anyhow::Result<()> {
        let open = Request::Open { month, close_after_s: 0, enrolment_s: 86_400, rows_s: 86_400 };
        let mut opened = false;
        for step in 0..STEPS_MAX {
            if self.step(faults)? && step % LOOK_EVERY != 0 {
                continue;
            }
            self.now += 1;
            self.tick_all()?;
            self.connect_all()?;
            if !opened {
                opened = matches!(self.ask(&open)?, Response::Done { .. });
                continue;
            }
            let Response::Status { status } = self.ask(&Request::Status {})? else { continue };
            match self.parts.staff(&status, offline) {
                Staff::Wait => {}
                Staff::Close => drop(self.ask(&Request::Close {})?),
                Staff::Ended => return Ok(()),
            }
        }
        anyhow::bail!("the round of {month} has not ended after {STEPS_MAX} steps")
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

    /// What the parties keep besides keys, matching keys and what they were charged: the names of files and facts.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn kept(&self) -> anyhow::Result<Vec<String>> {
        let mut kept = Vec::new();
        for (party, actor) in &self.actors {
            let facts = actor.facts().into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("charged/"));
            let names = facts.chain(self.parts.state_files(*party)?);
            kept.extend(names.map(|name| format!("{}: {name}", self.parts.name(*party))));
        }
        Ok(kept)
    }

    /// Every entry of the coordinator's log.
    pub fn log(&self) -> Vec<Vec<u8>> {
        self.actors[&self.parts.coordinator()].log()
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
            let party = self.pick_actor();
            self.crash(party)?;
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
        if let Some(delivery) = delivery {
            if let (Delivery::Reply { round, file, .. }, Some(files)) =
                (&delivery, self.unanswered.get_mut(&(to, from)))
            {
                files.remove(&(*round, *file));
            }
            self.give(to, from, delivery)?;
        }
        Ok(true)
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
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pick_actor(&mut self) -> Party {
        let parties: Vec<Party> = self.actors.keys().copied().collect();
        parties[self.chance.below(parties.len() as u64) as usize]
    }

    /// Kills a party: what it had not committed is gone, its connections too; it starts again at once.
    fn crash(&mut self, party: Party) -> anyhow::Result<()> {
        let peers: Vec<Party> = self.actors.keys().copied().filter(|other| *other != party).collect();
        for peer in peers {
            if self.up.remove(&ordered(party, peer)) {
                let lost = self.lose(peer, party);
                self.unanswered.remove(&(party, peer));
                self.links.remove(&(party, peer));
                self.links.remove(&(peer, party));
                self.tell_lost(peer, party, lost)?;
            }
        }
        if let Some(actor) = self.actors.get_mut(&party) {
            actor.restart()?;
        }
        Ok(())
    }

    fn cut(&mut self, one: Party, other: Party) -> anyhow::Result<()> {
        self.up.remove(&ordered(one, other));
        let (of_one, of_other) = (self.lose(one, other), self.lose(other, one));
        self.links.remove(&(one, other));
        self.links.remove(&(other, one));
        self.tell_lost(one, other, of_one)?;
        self.tell_lost(other, one, of_other)
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
                self.give(other, one, Delivery::Up)?;
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
        self.post(to, out)
    }

    /// Puts what a party sends on its links.
    fn post(&mut self, from: Party, out: Vec<(Party, Delivery)>) -> anyhow::Result<()> {
        for (receiver, sent) in out {
            if matches!(sent, Delivery::Cut) {
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

    fn ask(&mut self, request: &Request) -> anyhow::Result<Response> {
        let coordinator = self.parts.coordinator();
        self.give(coordinator, coordinator, Delivery::Ask(request.clone()))?;
        let answer = self.actors.get_mut(&coordinator).and_then(|actor| actor.answer());
        answer.ok_or_else(|| anyhow::anyhow!("the coordinator gives no answer"))
    }
}

fn ordered(one: Party, other: Party) -> (Party, Party) {
    (one.min(other), one.max(other))
}

/// 2026-11-24.
const START: u64 = 1_795_478_400;
/// Of a time that passes without a round: enough for each deletion to follow the one before.
const SECONDS_PASSED: u64 = 12;
const STEPS_MAX: u64 = 400_000;
const LOOK_EVERY: u64 = 64;
