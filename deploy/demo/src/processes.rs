//! The members' processes: this program starts itself once for each.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    net::UdpSocket,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use wugan_protocol::{
    party::{Party, Role},
    policy::Policy,
};

use crate::{
    layout::Layout,
    text::{At, DemoError},
};

/// Running members; they end with this value.
pub struct Processes {
    members: BTreeMap<Party, Running>,
}

struct Running {
    name: String,
    log: PathBuf,
    child: Child,
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Usage {
    /// Seconds of CPU, user and system.
    pub cpu_s: f64,
    /// Largest resident memory, MiB.
    pub peak_mib: f64,
}

impl Processes {
    /// Starts the servers on their sockets, and the nodes of all departments that are not `offline`.
    ///
    /// # Errors
    /// A process that cannot be started.
    pub fn start(
        layout: &Layout,
        policy: &Policy,
        parties: &[Party],
        sockets: &BTreeMap<Party, UdpSocket>,
        offline: &[String],
    ) -> Result<Processes, DemoError> {
        let mut processes = Processes { members: BTreeMap::new() };
        for party in parties {
            let id = policy.member_id(party.member);
            if party.role == Role::Node && offline.iter().any(|offline| offline == id) {
                continue;
            }
            let (log, name) = (layout.log(id, party.role), format!("{id}/{}", party.role.name()));
            let output = File::create(&log).at(&log)?;
            let child = spawn(party.role, &layout.config(id, party.role), sockets.get(party), output);
            let child = child.map_err(|error| DemoError::NotStarted { party: name.clone(), error })?;
            processes.members.insert(*party, Running { name, log, child });
        }
        Ok(processes)
    }

    /// Fails if a member's process has ended.
    ///
    /// # Errors
    /// Names the member and its log.
    pub fn check(&mut self) -> Result<(), DemoError> {
        for member in self.members.values_mut() {
            if let Ok(Some(status)) = member.child.try_wait() {
                let log = std::fs::read_to_string(&member.log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(3).collect();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
                let (party, log) = (member.name.clone(), member.log.clone());
                return Err(DemoError::Ended { party, status: status.to_string(), log, last });
            }
        }
        Ok(())
    }

    /// What each process has used so far.
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        self.members.values().map(|member| (member.name.clone(), usage(member.child.id()))).collect()
    }

    /// Asks every process to end, and waits.
    pub fn stop(&mut self) {
        for member in self.members.values() {
            signal(&member.child, Signal::TERM);
        }
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until && self.members.values_mut().any(|m| matches!(m.child.try_wait(), Ok(None))) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for member in self.members.values_mut() {
            // Errors mean that it has ended already.
            drop(member.child.kill());
            drop(member.child.wait());
        }
        self.members.clear();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(role: Role, config: &Path, socket: Option<&UdpSocket>, output: File) -> io::Result<Child> {
    let input = match socket {
        Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone()?)),
        None => Stdio::null(),
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("member").arg(role.name()).arg(config);
    command.stdin(input).stdout(Stdio::null()).stderr(output).spawn()
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A process that has ended needs no signal.
        let _ = kill_process(pid, signal);
    }
}

/// From `/proc`: user and system ticks, and the peak of the resident set.
fn usage(pid: u32) -> Usage {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse().ok()).collect();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Usage { cpu_s: fields.iter().sum::<f64>() / ticks, peak_mib: kib / 1024.0 }
}

const STOP_WITHIN: Duration = Duration::from_secs(10);
