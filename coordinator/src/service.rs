//! Runs the coordinator: opens its home, restores its engine, and serves members and staff until it is told to stop.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use wugan_keys::{commands::CATALOGUE, store};
use wugan_protocol::{engine::Ticket, manifest::Federation, party::Role};
use wugan_transport::{
    admin,
    home::{Home, Stored, fresh, read_config},
    listen_socket,
    rounds::Rounds,
    shell::{self, ServiceError, Setup, Worker},
};

use crate::{
    admin::Request,
    config::Config,
    engine::{CoordinatorEngine, Job, Local},
    log_folder::{COSIGNED, LogFolder, PublishedPolicy},
};

/// Runs the coordinator of a configuration file until SIGTERM.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(config: &Path) -> Result<(), ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let home = Home::open(&config.member, &base, Role::Coordinator)?;
    let stored = home.stored()?;
    let announcements = base.join(&config.coordinator.announcements);
    let setup = read_announcements(&announcements).map_err(opening(&announcements))?;
    let policies = policies(&home, &base.join(&config.member.policy), &config.member.versions_folder(&base))?;
    let log = open_log(&home, &stored, policies)?;
    let socket = admin::open(&base.join(&config.coordinator.admin))?;
    let listen = Some(listen_socket(&config.server.listen)?);
    let versions = home.versions.clone();
    let signers = home.keys.signers();
    let engine = CoordinatorEngine::restore(versions, signers, &stored.log, &stored.facts, setup, Box::new(fresh))?;
    let worker = CoordinatorWorker { rounds: Rounds::new(home.state.join("rounds")) };
    let accept = home.federation.parties().filter(|party| *party != home.party).collect();
    let setup = Setup { listen, accept, log: Some(Box::new(log)), ..Setup::of(home) };
    Ok(shell::run(setup, engine, worker, |locals, desk| admin::serve(socket, desk, locals, read))?)
}

/// What the engine is told of a line of the staff's, or the line that refuses it.
fn read(ticket: Ticket, line: &[u8]) -> Result<Local, String> {
    Request::read(line).map(|request| Local::Admin(ticket, request)).map_err(|refusal| refusal.line())
}

/// The policies of all versions of the manifest that are known, the first and those confirmed since.
fn policies(home: &Home, first: &Path, versions: &Path) -> Result<Vec<PublishedPolicy>, ServiceError> {
    let later = home.versions.iter().skip(1).map(Federation::version);
    let later = later.map(|n| (format!("catalogue.{n}.toml"), versions.join(n.to_string()).join(CATALOGUE)));
    let files = [(CATALOGUE.to_owned(), first.to_owned())].into_iter().chain(later);
    let read = |(version, (name, path)): (&Federation, (String, PathBuf))| {
        let bytes = fs::read(&path).map_err(opening(&path))?;
        Ok(PublishedPolicy { manifest: version.signed().bytes().to_vec(), name, bytes })
    };
    home.versions.iter().zip(files).map(read).collect()
}

/// The log's folder, in it the policies that the log's manifests name, and beside it the key that verifies its
/// checkpoints.
fn open_log(home: &Home, stored: &Stored, policies: Vec<PublishedPolicy>) -> Result<LogFolder, ServiceError> {
    let (folder, vkey) = (home.state.join("log"), home.state.join("log.vkey"));
    let key = home.federation.log_key().map_err(io::Error::other).map_err(opening(&vkey))?;
    let written = store::write_public(&vkey, format!("{key}\n").as_bytes()).map_err(io::Error::other);
    written.map_err(opening(&vkey))?;
    let cosigned = stored.facts.get(COSIGNED);
    let log = LogFolder::open(&folder, &key, home.keys.log.clone(), &stored.log, cosigned, policies);
    log.map_err(opening(&folder))
}

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

/// The nodes' first key announcements, collected at set-up.
pub(crate) fn read_announcements(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort_unstable();
    paths.iter().map(fs::read).collect()
}

pub(crate) fn opening(path: &Path) -> impl FnOnce(io::Error) -> ServiceError + '_ {
    move |error| ServiceError::open(path, error)
}
