//! A federation of real processes whose members can be killed and started again, one by one.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    net::UdpSocket,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use wugan_coordinator::{
    admin::{Client, Request, Response},
    log_folder,
    status::{Phase, Status},
};
use wugan_demo::{layout::Layout, setup, staff};
use wugan_protocol::{
    manifest::Federation,
    month::Month,
    party::{Party, Role},
    policy::Policy,
};

use crate::city::canaries_from;

/// The processes; they are killed when this value is dropped.
pub struct Cluster {
    layout: Layout,
    policy: Policy,
    federation: Federation,
    sockets: BTreeMap<Party, UdpSocket>,
    program: PathBuf,
    running: BTreeMap<Party, Child>,
}

impl Cluster {
    /// Sets a federation up on the city in `dir` and starts everybody. `program` is the demo's; `rosters` are the names of
    /// the rosters of the months to come.
    ///
    /// # Errors
    /// A city that cannot be read, a process that cannot be started.
    pub fn start(dir: &Path, rosters: &[String], program: &str) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster::set_up(dir, rosters, program)?;
        cluster.parties().into_iter().try_for_each(|party| cluster.start_one(party))?;
        Ok(cluster)
    }

    /// The same, and starts nobody.
    ///
    /// # Errors
    /// A city that cannot be read.
    pub fn set_up(dir: &Path, rosters: &[String], program: &str) -> anyhow::Result<Cluster> {
        let layout = Layout::new(dir);
        let policy = Policy::read(&fs::read(layout.catalogue())?)?;
        let ready = setup::federation(&layout, &policy, rosters, canaries_from(&layout)?)?;
        Ok(Cluster {
            layout,
            policy,
            federation: ready.federation,
            sockets: ready.sockets,
            program: program.into(),
            running: BTreeMap::new(),
        })
    }

    /// Every role of every member.
    pub fn parties(&self) -> Vec<Party> {
        self.federation.parties().collect()
    }

    /// A role of the member with this id.
    ///
    /// # Errors
    /// There is none.
    pub fn party(&self, id: &str, role: Role) -> anyhow::Result<Party> {
        self.federation.party(id, role).with_context(|| format!("there is no {id}/{}", role.name()))
    }

    /// `member/role`.
    pub fn name(&self, party: Party) -> String {
        self.federation.party_name(party)
    }

    /// All that a party holds.
    pub fn state(&self, party: Party) -> PathBuf {
        self.layout.state(self.policy.member_id(party.member), party.role)
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The federation.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// The id of a party's member.
    pub fn id(&self, party: Party) -> &str {
        self.policy.member_id(party.member)
    }

    /// The socket on which a server listens.
    ///
    /// # Errors
    /// A party that does not listen.
    pub fn socket(&self, party: Party) -> anyhow::Result<UdpSocket> {
        let socket = self.sockets.get(&party).with_context(|| format!("{} does not listen", self.name(party)))?;
        Ok(socket.try_clone()?)
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Everybody goes on under another version of the manifest, in which the matcher may have another number.
    ///
    /// # Errors
    /// A process of somebody whom that version does not list.
    pub fn renew(&mut self, federation: Federation) -> anyhow::Result<()> {
        let number = |party: Party| {
            let id = self.policy.member_id(party.member);
            federation.party(id, party.role).with_context(|| format!("{id} is no member any more"))
        };
        let running = std::mem::take(&mut self.running).into_iter();
        self.running = running.map(|(party, child)| Ok((number(party)?, child))).collect::<anyhow::Result<_>>()?;
        let sockets = std::mem::take(&mut self.sockets).into_iter();
        self.sockets = sockets.map(|(party, socket)| Ok((number(party)?, socket))).collect::<anyhow::Result<_>>()?;
        self.policy = federation.policy().as_ref().clone();
        self.federation = federation;
        Ok(())
    }

    /// The process of a party, while it runs.
    pub fn pid(&self, party: Party) -> Option<u32> {
        self.running.get(&party).map(Child::id)
    }

    /// Starts a party that does not run. A server finds its socket as it left it; what it says is appended to its log.
    ///
    /// # Errors
    /// The system's.
    pub fn start_one(&mut self, party: Party) -> anyhow::Result<()> {
        let id = self.policy.member_id(party.member);
        let log = OpenOptions::new().create(true).append(true).open(self.layout.log(id, party.role))?;
        let input = match self.sockets.get(&party) {
            Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone()?)),
            None => Stdio::null(),
        };
        let child = Command::new(&self.program)
            .arg("member")
            .arg(party.role.name())
            .arg(self.layout.config(id, party.role))
            // Programs say all they can, so that tests may search it.
            .env("RUST_LOG", "info,wugan=trace")
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.running.insert(party, child);
        Ok(())
    }

    /// Ends a party at once, as a power cut would.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self, party: Party) -> anyhow::Result<()> {
        let Some(mut child) = self.running.remove(&party) else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks a party to end (SIGTERM), and waits until it has.
    ///
    /// # Errors
    /// One that does not end within ten seconds.
    pub fn terminate(&mut self, party: Party) -> anyhow::Result<ExitStatus> {
        let mut child = self.running.remove(&party).with_context(|| format!("{} does not run", self.name(party)))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let until = Instant::now() + END_WITHIN;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                bail!("{} does not end when asked to", self.name(party));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Runs one month's round to its end, as the demo's staff does; `meanwhile` is called all the time, with the entries
    /// of the log so far.
    ///
    /// # Errors
    /// A party that ends by itself, or a round that does not.
    pub fn round(
        &mut self,
        month: Month,
        meanwhile: impl FnMut(&mut Cluster, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.round_without(&[], month, meanwhile)
    }

    /// [`Cluster::round`], in which nobody waits for these departments.
    ///
    /// # Errors
    /// See there.
    pub fn round_without(
        &mut self,
        offline: &[String],
        month: Month,
        mut meanwhile: impl FnMut(&mut Cluster, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let client = Client::new(self.layout.admin());
        let until = Instant::now() + ROUND_WITHIN;
        loop {
            ensure!(Instant::now() < until, "the round of {month} has not ended after {ROUND_WITHIN:?}");
            meanwhile(self, &self.log())?;
            self.check()?;
            // A coordinator that is down answers later.
            if let Ok(Response::Status { status }) = client.ask(&Request::Status {})
                && step(&client, &status, month, offline)
            {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until everybody is connected with the coordinator.
    ///
    /// # Errors
    /// A party that ends by itself, or does not connect.
    pub fn await_all(&mut self) -> anyhow::Result<()> {
        let client = Client::new(self.layout.admin());
        let until = Instant::now() + CONNECTED_WITHIN;
        loop {
            self.check()?;
            match client.ask(&Request::Status {}) {
                Ok(Response::Status { status }) if status.connected.len() as u64 == status.parties => return Ok(()),
                answer => ensure!(Instant::now() < until, "not everybody connects: {answer:?}"),
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The staff makes the open round void; whether it could.
    ///
    /// # Errors
    /// A coordinator that does not answer.
    pub fn abandon(&self) -> anyhow::Result<bool> {
        let answer = Client::new(self.layout.admin()).ask(&Request::Abandon {})?;
        Ok(matches!(answer, Response::Done { .. }))
    }

    /// The entries of the log, a line each, as far as its files have them.
    pub fn log(&self) -> String {
        // There is none before the coordinator has begun, and what is just being written is read the next time.
        let entries = log_folder::entries(&self.layout.root().join("coordinator/log")).unwrap_or_default();
        let lines = entries.into_iter().map(|entry| String::from_utf8_lossy(&entry).into_owned() + "\n");
        lines.collect()
    }

    /// Fails if a process has ended that nobody ended.
    fn check(&mut self) -> anyhow::Result<()> {
        for (party, child) in &mut self.running {
            if let Some(status) = child.try_wait()? {
                let id = self.policy.member_id(party.member);
                let log = fs::read_to_string(self.layout.log(id, party.role)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("{id}/{} ended ({status}), and said last: {last:#?}", party.role.name());
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            // Errors mean that it has ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What the staff does next; whether the round of `month` is over. Whatever is refused is asked for again.
fn step(client: &Client, status: &Status, month: Month, offline: &[String]) -> bool {
    let round = status.round.as_ref().filter(|round| round.month == month);
    let request = match (status.phase, round) {
        (_, None) | (Phase::Abandoned, _) => {
            Request::Open { month, close_after_s: 0, enrolment_s: DAY_S, rows_s: DAY_S }
        }
        (Phase::Closed, Some(round)) => return staff::delivered(round, offline),
        (Phase::Pools, Some(round)) if staff::pools_are_in(round, offline) => Request::Close {},
        (Phase::Rows, Some(round)) if staff::rows_are_in(round, offline) => Request::Close {},
        _ => return false,
    };
    drop(client.ask(&request));
    false
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
const END_WITHIN: Duration = Duration::from_secs(10);
const ROUND_WITHIN: Duration = Duration::from_secs(300);
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);
const DAY_S: u64 = 86_400;
