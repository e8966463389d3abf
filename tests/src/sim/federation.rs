//! The parts of a simulated federation: set up with the same commands as a real one, in a folder of its own.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use wugan_aggregator::{AggregatorEngine, AggregatorWorker};
use wugan_coordinator::{
    CoordinatorEngine, Job, Local,
    admin::Request,
    status::{Phase, Status},
};
use wugan_demo::{layout::Layout, setup, staff};
use wugan_keys::{PartyKeys, commands};
use wugan_matcher::MatcherEngine;
use wugan_node::{
    engine::NodeEngine,
    work::{NodeWorker, Places},
};
use wugan_protocol::{
    engine::{Input, Ticket},
    log::{checkpoint::VerifiedCheckpoint, merkle::Tree},
    manifest::{Federation, Versions},
    party::{Party, Role},
    policy::Policy,
    stage::Restored,
};
use wugan_transport::{
    home::{Stored, fresh},
    rounds::{Rounds, if_there},
    server,
    shell::Worker,
};

use super::{
    actor::{Act, Actor},
    lie::{Liar, Lie, Talker},
};
use crate::city::canaries_from;

/// What a federation is made of.
pub(super) struct Parts {
    layout: Layout,
    policy: Arc<Policy>,
    federation: Federation,
    /// What every operator has confirmed.
    versions: Arc<Mutex<Versions>>,
    liars: Vec<Liar>,
}

/// What the staff does next.
pub(super) enum Staff {
    Wait,
    Close,
    Ended,
}

impl Parts {
    pub(super) fn set_up(dir: &Path, rosters: &[String], liars: Vec<Liar>) -> anyhow::Result<Parts> {
        let layout = Layout::new(dir);
        let policy = Arc::new(Policy::read(&fs::read(layout.catalogue())?)?);
        let ready = setup::federation(&layout, &policy, rosters, canaries_from(&layout)?)?;
        let versions = Arc::new(Mutex::new(Versions::from(ready.federation.clone())));
        Ok(Parts { layout, policy, federation: ready.federation, versions, liars })
    }

    /// The last version that every operator has confirmed.
    pub(super) fn version(&self) -> u32 {
        self.federation.version()
    }

    /// Every operator confirms the next version, which has the same parties, and begins again with it.
    pub(super) fn confirm(&mut self, line: &[u8], policy: Arc<Policy>) -> anyhow::Result<()> {
        let mut versions = self.versions.lock().map_err(|_| anyhow::anyhow!("a party failed"))?;
        versions.push(line, policy.clone())?;
        (self.policy, self.federation) = (policy, versions.last().clone());
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        self.layout.root()
    }

    pub(super) fn coordinator(&self) -> Party {
        self.federation.coordinator()
    }

    pub(super) fn parties(&self) -> impl Iterator<Item = Party> + '_ {
        self.federation.parties()
    }

    pub(super) fn is_offline(&self, party: Party, offline: &[String]) -> bool {
        party.role == Role::Node && offline.iter().any(|id| id == self.policy.member_id(party.member))
    }

    /// Whether a party is this member in this role.
    pub(super) fn is(&self, party: Party, id: &str, role: Role) -> bool {
        self.federation.party(id, role) == Some(party)
    }

    /// A department's node.
    pub(super) fn node(&self, id: &str) -> anyhow::Result<Party> {
        self.federation.party(id, Role::Node).with_context(|| format!("there is no node {id}"))
    }

    /// A party's name.
    pub(super) fn name(&self, party: Party) -> String {
        self.federation.party_name(party)
    }

    /// A tree that the coordinator's log key signs.
    pub(super) fn checkpoint(&self, tree: Tree) -> anyhow::Result<Vec<u8>> {
        let coordinator = self.coordinator();
        let keys = self.layout.keys(self.policy.member_id(coordinator.member), coordinator.role);
        let signer = PartyKeys::open(&keys, coordinator.role)?.log;
        let signed = VerifiedCheckpoint::sign(tree, &self.federation.origin(), signer.as_ref())?;
        Ok(signed.note().to_string().into_bytes())
    }

    /// The files in a party's state folder that serve rounds and enrolment, by their paths in it.
    pub(super) fn state_files(&self, party: Party) -> anyhow::Result<Vec<String>> {
        let state = self.layout.state(self.policy.member_id(party.member), party.role);
        let (mut files, mut folders) = (Vec::new(), KEPT_IN.map(|folder| state.join(folder)).to_vec());
        while let Some(folder) = folders.pop() {
            for entry in if_there(fs::read_dir(folder))?.into_iter().flatten() {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&state)?.display().to_string());
                }
            }
        }
        Ok(files)
    }

    /// Who is connected with whom: every node with the three servers, and these among themselves.
    pub(super) fn links(&self) -> Vec<(Party, Party)> {
        let servers = [self.federation.coordinator(), self.federation.matcher(), self.federation.aggregator()];
        let nodes = self.federation.parties().filter(|party| party.role == Role::Node);
        let mut links: Vec<_> = nodes.flat_map(|node| servers.map(|server| (node, server))).collect();
        links.extend([(servers[1], servers[0]), (servers[2], servers[0]), (servers[1], servers[2])]);
        links
    }

    /// `idle`: at how many looks nothing had happened.
    pub(super) fn staff(&self, status: &Status, offline: &[String], idle: u32) -> Staff {
        let Some(round) = &status.round else { return Staff::Wait };
        let patient = self.liars.is_empty() || idle > IDLE_MAX;
        match status.phase {
            Phase::Closed if staff::delivered(round, offline) => Staff::Ended,
            Phase::Pools if staff::pools_are_in(round, offline) && patient => Staff::Close,
            Phase::Rows if staff::rows_are_in(round, offline) && patient => Staff::Close,
            Phase::Deciding if !self.liars.is_empty() && patient => Staff::Close,
            _ => Staff::Wait,
        }
    }

    /// A party in its first state.
    pub(super) fn actor(&self, party: Party) -> anyhow::Result<Box<dyn Act>> {
        let liar = self.liars.iter().find(|liar| self.federation.party(&liar.id, liar.role) == Some(party));
        let lie = liar.map(|liar| liar.lie.clone());
        let (messages, deaf) = match lie {
            Some(Lie::Messages(messages)) => (messages.into(), 0..0),
            Some(Lie::Deaf(times)) => (VecDeque::new(), times),
            lie => return self.honest_or_bent(party, lie),
        };
        let (honest, coordinator) = (self.honest_or_bent(party, None)?, self.coordinator());
        Ok(Box::new(Talker { honest, coordinator, messages, deaf }))
    }

    fn honest_or_bent(&self, party: Party, lie: Option<Lie>) -> anyhow::Result<Box<dyn Act>> {
        let id = self.policy.member_id(party.member).to_owned();
        let (state, keys) = (self.layout.state(&id, party.role), self.layout.keys(&id, party.role));
        let name = self.federation.party_name(party);
        let rounds = Rounds::new(state.join("rounds"));
        let known = self.versions.clone();
        let versions = move || known.lock().map_or_else(|known| known.into_inner().clone(), |known| known.clone());
        let open = move || PartyKeys::open(&keys, party.role);
        let files = rounds.clone();
        Ok(match party.role {
            Role::Node => {
                let (policy, department) = (self.policy.clone(), self.layout.department(&id));
                let announcement = fs::read(commands::announcement_path(&self.layout.keys(&id, Role::Node)))?;
                let stored = Stored { own: vec![announcement], ..Stored::default() };
                let canaries = self.layout.canaries(&id);
                let canaries = canaries
                    .exists()
                    .then(|| commands::read_canaries(&canaries, &self.layout.authority_key(), &policy, party.member));
                let canaries = canaries.transpose()?;
                let make = move |stored: Stored| {
                    let mut keys = open()?;
                    let epochs = keys.epochs.keys().copied().collect();
                    let signers = keys.signers();
                    let engine = NodeEngine::restore(versions(), party.member, signers, stored, epochs)?;
                    let places = Places { department: &department, state: &state, bad_percent_max: 10 };
                    let worker = NodeWorker::new(party.member, places, &mut keys);
                    Ok((engine, worker.with_canaries(canaries.clone())))
                };
                Box::new(Actor::new(name, stored, rounds, Box::new(make))?.with_staff(node_admin).lying(lie))
            }
            Role::Matcher => {
                let make = move |stored: Stored| {
                    let (signers, restored) = (open()?.signers(), restored(&stored));
                    let engine = MatcherEngine::restore(versions(), signers, restored, Box::new(fresh))?;
                    Ok((engine, server::Worker::new(files.clone())))
                };
                Box::new(Actor::new(name, Stored::default(), rounds, Box::new(make))?.lying(lie))
            }
            Role::Aggregator => {
                let make = move |stored: Stored| {
                    let (signers, restored) = (open()?.signers(), restored(&stored));
                    let engine = AggregatorEngine::restore(versions(), signers, restored, Box::new(fresh))?;
                    Ok((engine, AggregatorWorker::new(files.clone())))
                };
                Box::new(Actor::new(name, Stored::default(), rounds, Box::new(make))?.lying(lie))
            }
            Role::Coordinator | Role::Authority => {
                let setup = self.announcements()?;
                let make = move |stored: Stored| {
                    let Stored { log, facts, .. } = &stored;
                    let signers = open()?.signers();
                    let setup = setup.clone();
                    let engine = CoordinatorEngine::restore(versions(), signers, log, facts, setup, Box::new(fresh))?;
                    Ok((engine, CoordinatorWorker { rounds: files.clone() }))
                };
                let actor = Actor::new(name, Stored::default(), rounds, Box::new(make))?;
                Box::new(actor.with_staff(admin))
            }
        })
    }

    fn announcements(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let paths = fs::read_dir(self.layout.announcements())?;
        paths.map(|entry| Ok(fs::read(entry?.path())?)).collect()
    }
}

fn restored(stored: &Stored) -> Restored<'_> {
    Restored { log: &stored.log, own: &stored.own, facts: stored.facts.clone() }
}

fn admin(line: &str) -> Option<Input<Local>> {
    let request = Request::read(line.as_bytes()).ok()?;
    Some(Input::Local(Local::Admin(Ticket(0), request)))
}

fn node_admin(line: &str) -> Option<Input<wugan_node::engine::Local>> {
    let request = wugan_node::admin::Request::read(line.as_bytes()).ok()?;
    Some(Input::Local(wugan_node::engine::Local::Admin(Ticket(0), request)))
}

/// Folders of a party's state, but for `keys` and `cache`.
const KEPT_IN: [&str; 7] = ["rounds", "sealed", "batches", "elements", "received", "answers", "spill"];

struct CoordinatorWorker {
    rounds: Rounds,
}

impl Worker<Job, Local> for CoordinatorWorker {
    fn run(&self, job: Job, tell: &mut dyn FnMut(Local)) {
        tell(match job {
            Job::Decide(task) => Local::Decided(task.run(&self.rounds)),
            Job::Delete(task) => Local::Deleted(task.run(&self.rounds)),
        });
    }
}

/// With liars about, looks at which nothing has happened before what does not come is closed: by then everybody has sent
/// again whatever it would.
const IDLE_MAX: u32 = 80;
