//! A coordinator that says whatever a test wants, on real sockets, to the real processes of everybody else. It also
//! speaks for the matcher, whose process does not run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{sync::mpsc, time::timeout};
use wugan_demo::layout::Layout;
use wugan_keys::PartyKeys;
use wugan_protocol::{
    envelope::Body,
    hexes::sha256,
    ledger::{Ledger, Logged},
    log::{checkpoint::VerifiedCheckpoint, merkle::Tree},
    manifest::Federation,
    message::Message,
    party::{Party, Role},
    reason::Reason,
    statement::Statement,
};
use wugan_transport::{Event, Hub, HubConfig, Peer, TlsIdentity, Windows};

use crate::cluster::Cluster;

/// The rogue.
pub struct Rogue {
    hub: Hub,
    events: mpsc::Receiver<Event>,
    federation: Federation,
    /// The coordinator's and the matcher's.
    keys: BTreeMap<Party, PartyKeys>,
    ledger: Ledger,
    lines: Vec<Vec<u8>>,
    logged: Vec<Logged>,
    followers: BTreeSet<Party>,
    /// Who disconnected, and why.
    lost: Vec<(Party, String)>,
}

impl Rogue {
    /// Takes the coordinator's place in a cluster whose coordinator and matcher do not run; on a running runtime.
    ///
    /// # Errors
    /// Keys that cannot be opened, a socket that cannot be used.
    pub fn start(cluster: &Cluster) -> anyhow::Result<Rogue> {
        let (layout, federation) = (cluster.layout(), cluster.federation().clone());
        let (coordinator, matcher) = (federation.coordinator(), federation.matcher());
        let open = |party: Party| PartyKeys::open(&layout.keys(cluster.id(party), party.role), party.role);
        let keys = BTreeMap::from([(coordinator, open(coordinator)?), (matcher, open(matcher)?)]);
        let (certificate, key) = keys[&coordinator].identity.tls();
        let (hub, events) = Hub::start(HubConfig {
            identity: TlsIdentity::new(certificate, key),
            local: coordinator,
            peers: peers(&federation),
            listen: Some(cluster.socket(coordinator)?),
            accept: federation.parties().filter(|party| *party != coordinator).collect(),
            dial: Vec::new(),
            spool: layout.root().join("coordinator/spool"),
            windows: Windows::USUAL,
        })?;
        let ledger = Ledger::new(federation.clone());
        let (lines, logged, followers, lost) = (Vec::new(), Vec::new(), BTreeSet::new(), Vec::new());
        let mut rogue = Rogue { hub, events, federation, keys, ledger, lines, logged, followers, lost };
        let manifest = rogue.federation.signed().bytes().to_vec();
        rogue.append(&manifest);
        announcements(layout)?.iter().for_each(|line| rogue.append(line));
        Ok(rogue)
    }

    /// What the log says so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The entries so far.
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// Who follows the log.
    pub fn followers(&self) -> &BTreeSet<Party> {
        &self.followers
    }

    /// Who disconnected, and why, in order.
    pub fn lost(&self) -> &[(Party, String)] {
        &self.lost
    }

    /// States something as the coordinator or the matcher at a time that it claims, whatever the rules say.
    ///
    /// # Errors
    /// What cannot be signed.
    pub fn state(&mut self, role: Role, statement: Statement, time: u64) -> anyhow::Result<Vec<u8>> {
        let in_round = !matches!(statement, Statement::RoundManifest(_));
        let party = if role == Role::Matcher { self.federation.matcher() } else { self.federation.coordinator() };
        let head = self.ledger.head(party, self.ledger.place(party), in_round, time);
        let signed = (Body { head, statement }).sign(self.keys[&party].identity.as_ref())?;
        self.append(signed.bytes());
        Ok(signed.bytes().to_vec())
    }

    /// Shows an entry that the log does not have, in a signed tree.
    ///
    /// # Errors
    /// A tree that cannot be signed.
    pub fn show(&self, line: &[u8]) -> anyhow::Result<()> {
        let mut tree = self.ledger.tree().clone();
        tree.push(line);
        let to: Vec<Party> = self.followers.iter().copied().collect();
        let entries = Message::Entries { first: self.lines.len() as u64, lines: vec![line.to_vec()] };
        self.hub.send_all(&to, &entries)?;
        self.hub.send_all(&to, &self.checkpoint(tree.tree())?)?;
        Ok(())
    }

    /// Sends a message to everybody who follows the log in a role.
    ///
    /// # Errors
    /// A message too large.
    pub fn send(&self, role: Role, message: &Message) -> anyhow::Result<()> {
        let to: Vec<Party> = self.followers.iter().copied().filter(|party| party.role == role).collect();
        Ok(self.hub.send_all(&to, message)?)
    }

    /// Why each party refused an entry.
    pub fn refusals(&self, line: &[u8]) -> BTreeMap<Party, Reason> {
        let hash = sha256(line);
        let refusal = |logged: &Logged| match logged.signed.body().statement {
            Statement::Refusal { entry, reason } if entry == hash => Some((logged.party?, reason)),
            _ => None,
        };
        self.logged.iter().filter_map(refusal).collect()
    }

    /// Takes what the others say until something holds.
    ///
    /// # Errors
    /// It does not hold within a minute.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Rogue) -> bool) -> anyhow::Result<()> {
        while !holds(self) {
            let event = timeout(HOLDS_WITHIN, self.events.recv()).await;
            let event = event.with_context(|| format!("in vain: {what}"))?.context("the hub is gone")?;
            self.take(event)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Down(party, why) => {
                self.followers.remove(&party);
                self.lost.push((party, why));
            }
            Event::Message(party, Message::Follow { entries }) => self.follow(party, entries)?,
            Event::Message(_, Message::Submit { line }) if self.ledger.admit(&line).is_ok() => self.append(&line),
            // Batches and answers go nowhere, files are not kept.
            Event::Up(_) | Event::Message(..) | Event::File(_) => {}
        }
        Ok(())
    }

    fn follow(&mut self, party: Party, entries: u64) -> anyhow::Result<()> {
        let held = entries as usize;
        ensure!(held <= self.lines.len(), "{party} has seen more entries than there are");
        for (part, lines) in self.lines[held..].chunks(ENTRIES_AT_ONCE).enumerate() {
            let first = (held + part * ENTRIES_AT_ONCE) as u64;
            self.hub.send_all(&[party], &Message::Entries { first, lines: lines.to_vec() })?;
        }
        self.hub.send_all(&[party], &self.checkpoint(self.ledger.tree().tree())?)?;
        self.followers.insert(party);
        Ok(())
    }

    fn append(&mut self, line: &[u8]) {
        let first = self.lines.len() as u64;
        let Ok(admitted) = self.ledger.admit(line) else { return };
        self.logged.push(self.ledger.apply(admitted));
        self.lines.push(line.to_vec());
        let to: Vec<Party> = self.followers.iter().copied().collect();
        let entries = Message::Entries { first, lines: vec![line.to_vec()] };
        let checkpoint = self.checkpoint(self.ledger.tree().tree());
        // Whoever is gone follows again and is told then.
        drop(self.hub.send_all(&to, &entries));
        drop(checkpoint.map(|checkpoint| self.hub.send_all(&to, &checkpoint)));
    }

    fn checkpoint(&self, tree: Tree) -> anyhow::Result<Message> {
        let key = self.keys[&self.federation.coordinator()].log.as_ref();
        let signed = VerifiedCheckpoint::sign(tree, &self.federation.origin(), key)?;
        Ok(Message::Checkpoint { note: signed.note().to_string().into_bytes() })
    }
}

fn peers(federation: &Federation) -> Vec<Peer> {
    let peer = |party| {
        let keys = vec![federation.key(party)?];
        Some(Peer { party, keys, name: federation.party_name(party) })
    };
    federation.parties().filter_map(peer).collect()
}

/// The nodes' first key announcements, collected at set-up.
fn announcements(layout: &Layout) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |entry: std::io::Result<fs::DirEntry>| Ok(fs::read(entry?.path())?);
    fs::read_dir(layout.announcements())?.map(read).collect()
}

const HOLDS_WITHIN: Duration = Duration::from_secs(60);
const ENTRIES_AT_ONCE: usize = 500;
