//! What the `check` of every member's program has in common: it tries a configuration without changing anything, and goes
//! on after a failure, so that one run tells everything that is wrong.

use std::{
    fs, io,
    net::{ToSocketAddrs, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statvfs};
use serde::{Serialize, Serializer};
use wugan_keys::{Custody, commands};
use wugan_protocol::{
    manifest::Federation,
    party::{Party, Role},
    text::{Failure, Language, Say},
    texts,
};

use crate::{
    home::{HomeError, MemberConfig},
    journal::Journal,
    shell::ServiceError,
    sockets::listen_socket,
    spool::FREE_BYTES_MIN,
};

/// What a program does when it runs.
pub struct Wanted<'a> {
    /// Its role.
    pub role: Role,
    /// Where it listens, as configured.
    pub listen: Option<&'a str>,
    /// The roles that it dials.
    pub dials: &'a [Role],
}

/// What was tried, and how far the federation is known.
pub struct Checked {
    /// What was tried.
    pub findings: Vec<Finding>,
    /// The federation, and which party this is, if it is one.
    pub place: Option<(Federation, Party)>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// What is wrong with it and what to do; none when it is in order. JSON has it in English.
    #[serde(serialize_with = "in_english")]
    pub problem: Option<Failure>,
}

impl Finding {
    /// A thing and the outcome of trying it.
    pub fn of<T, E: Into<Failure>>(what: What, outcome: Result<T, E>) -> Finding {
        Finding { what, problem: outcome.err().map(Into::into) }
    }
}

impl Say for Finding {
    fn say(&self, language: Language, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = self.what.said(language);
        match &self.problem {
            None => Line::Fine { what }.say(language, f),
            Some(problem) => Line::Wrong { what, problem: problem.said(language) }.say(language, f),
        }
    }
}

/// Tries what every member's configuration names.
pub fn member(config: &MemberConfig, base: &Path, wanted: &Wanted<'_>) -> Checked {
    let at = |path: &Path| base.join(path);
    let mut findings = keys(&at(&config.keys));
    let versions = config.read_versions(base);
    let (manifest, versions) = split(What::Federation { manifest: at(&config.federation) }, versions);
    findings.push(manifest);
    let place = versions.as_ref().and_then(|versions| {
        // What is in force shows in the log, which a running service holds; the last that is confirmed is tried.
        let last = [versions.last().signed().bytes().to_vec()];
        let (listed, place) = split(What::Member { id: config.id.clone() }, config.place(versions, &last, wanted.role));
        findings.push(listed);
        place
    });
    if let (Some(versions), Some((federation, party))) = (&versions, &place) {
        let own = config.open_keys(base, versions, *party);
        findings.push(Finding::of(What::Identity { keys: at(&config.keys) }, own));
        let dialled = federation.parties().filter(|other| wanted.dials.contains(&other.role));
        findings.extend(dialled.map(|other| peer(federation, other)));
    }
    findings.extend(state(&at(&config.state), config.service));
    findings.extend(wanted.listen.map(listen));
    Checked { findings, place }
}

/// Prints findings, in words or as one JSON object a line; whether all is in order.
///
/// # Errors
/// Standard output that cannot be written.
pub fn print(findings: &[Finding], json: bool, language: Language, out: &mut dyn io::Write) -> io::Result<bool> {
    for finding in findings {
        let line = if json { serde_json::to_string(finding)? } else { finding.said(language) };
        writeln!(out, "{line}")?;
    }
    Ok(findings.iter().all(|finding| finding.problem.is_none()))
}

/// Whether this process could write into a folder, or make it.
///
/// # Errors
/// Why not, with the folder.
pub fn writable(folder: &Path) -> Result<(), ServiceError> {
    let there = there(folder);
    let writable = access(&there, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from);
    let writable =
        writable.and_then(|()| if there.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) });
    writable.map_err(|error| ServiceError::open(there, error))
}

texts! {
    /// What is tried.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    #[serde(tag = "what", rename_all = "snake_case")]
    pub enum What {
        Key { file: PathBuf } "key file {file}" "密钥文件 {file}";
        Keys { folder: PathBuf } "key folder {folder}" "密钥文件夹 {folder}";
        Federation { manifest: PathBuf } "federation manifest {manifest}, and policy" "联合体清单 {manifest} 与策略";
        Member { id: String } "member {id}" "成员 {id}";
        Identity { keys: PathBuf } "identity in {keys}" "{keys} 中的身份";
        Peer { party: String, address: String } "address {address} of {party}" "{party} 的地址 {address}";
        State { folder: PathBuf } "state folder {folder}" "状态文件夹 {folder}";
        Space { folder: PathBuf, free_mib: u64 } "free space for {folder}: {free_mib} MiB" "{folder} 的可用空间：{free_mib} MiB";
        Listen { address: String } "listening on {address}" "在 {address} 上监听";
        File { path: PathBuf } "{path}" "{path}";
        Announcement { department: String } "key announcement of {department}" "{department} 的密钥公告";
    }
}

texts! {
    enum Line {
        Fine { what: String } "{what}: ok" "{what}：正常";
        Wrong { what: String, problem: String } "{what}: NOT USABLE: {problem}" "{what}：不可用：{problem}";
    }
}

texts! {
    /// What only `check` finds wrong.
    #[derive(Debug, thiserror::Error)]
    enum Problem {
        OthersRead { mode: u32 }
            "others may read it (mode {mode:04o}); a member in service keeps it to itself: run `chmod 700` on it"
            "他人可读取（权限 {mode:04o}）；正式运行的成员须独占：请对其执行 `chmod 700`";
        NoSpace { mib: u64 } "a run needs at least {mib} MiB" "运行至少需要 {mib} MiB";
        Unresolved { error: io::Error }
            "it does not resolve: {error}; check the network's name service, or have the manifest corrected"
            "无法解析：{error}；请检查域名服务，或更正联合体清单";
        InUse
            "it is in use; that is right if the service is running, otherwise choose another port"
            "已被占用；若服务正在运行则属正常，否则请换用其他端口";
        Key { problem: commands::Problem } "{problem}" "{problem}";
    }
}

fn keys(folder: &Path) -> Vec<Finding> {
    match commands::check(folder, &Custody::from_env()) {
        Err(error) => vec![Finding::of(What::Keys { folder: folder.to_owned() }, Err::<(), _>(error))],
        Ok(findings) => {
            let wrong = findings.into_iter().filter_map(|finding| {
                let problem = Problem::Key { problem: finding.problem? };
                Some(Finding::of(What::Key { file: folder.join(finding.file) }, Err::<(), _>(problem)))
            });
            let wrong: Vec<Finding> = wrong.collect();
            if !wrong.is_empty() {
                wrong
            } else {
                vec![Finding { what: What::Keys { folder: folder.to_owned() }, problem: None }]
            }
        }
    }
}

fn state(folder: &Path, service: bool) -> [Finding; 2] {
    let what = What::State { folder: folder.to_owned() };
    [Finding::of(what, usable_state(folder, service)), space(folder)]
}

fn usable_state(folder: &Path, service: bool) -> Result<(), Failure> {
    writable(folder)?;
    let open = |error| HomeError::State { path: folder.to_owned(), error };
    if folder.exists() {
        let mode = fs::metadata(folder).map_err(open)?.permissions().mode() & 0o7777;
        if service && mode & 0o077 != 0 {
            return Err(Problem::OthersRead { mode }.into());
        }
    }
    Ok(Journal::examine(&folder.join("state.sqlite"))?)
}

fn space(folder: &Path) -> Finding {
    match statvfs(there(folder)).map_err(io::Error::from) {
        Err(error) => {
            let error = HomeError::State { path: folder.to_owned(), error };
            Finding::of(What::Space { folder: folder.to_owned(), free_mib: 0 }, Err::<(), _>(error))
        }
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let enough =
                if free < FREE_BYTES_MIN { Err(Problem::NoSpace { mib: FREE_BYTES_MIN >> 20 }) } else { Ok(()) };
            Finding::of(What::Space { folder: folder.to_owned(), free_mib: free >> 20 }, enough)
        }
    }
}

fn peer(federation: &Federation, party: Party) -> Finding {
    let address = federation.address(party).unwrap_or_default().to_owned();
    let found = address.to_socket_addrs().and_then(|mut found| found.next().ok_or(io::ErrorKind::NotFound.into()));
    let outcome = found.map_err(|error| Problem::Unresolved { error });
    Finding::of(What::Peer { party: federation.party_name(party), address }, outcome)
}

fn listen(address: &str) -> Finding {
    let what = What::Listen { address: address.to_owned() };
    // Standard input is the service manager's to give; here it is a terminal.
    if address == "stdin" {
        return Finding { what, problem: None };
    }
    match listen_socket(address) {
        Err(ServiceError::Listen { error, .. }) if error.kind() == io::ErrorKind::AddrInUse => {
            Finding::of(what, Err::<UdpSocket, _>(Problem::InUse))
        }
        outcome => Finding::of(what, outcome),
    }
}

/// The nearest folder that is there: itself, or the one in which it would be made.
fn there(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn split<T>(what: What, outcome: Result<T, HomeError>) -> (Finding, Option<T>) {
    match outcome {
        Ok(value) => (Finding { what, problem: None }, Some(value)),
        Err(error) => (Finding { what, problem: Some(error.into()) }, None),
    }
}

/// A failure in JSON.
///
/// # Errors
/// The serializer's.
pub fn in_english<S: Serializer>(problem: &Option<Failure>, serializer: S) -> Result<S::Ok, S::Error> {
    problem.as_ref().map(|problem| problem.said(Language::English)).serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn problem(finding: &Finding) -> String {
        finding.problem.as_ref().map(|problem| problem.said(Language::English)).unwrap_or_default()
    }

    #[test]
    fn a_state_folder_is_private_writable_and_of_this_version() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        assert!(usable_state(&folder, true).is_ok(), "it can be made");
        assert!(!folder.exists(), "and was not");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(usable_state(&folder, false).is_ok(), "a demonstration's");
        assert!(usable_state(&folder, true).unwrap_err().said(Language::English).contains("mode 0750"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        drop(Journal::open(&folder.join("state.sqlite")).unwrap());
        assert!(usable_state(&folder, true).is_ok());
        fs::write(folder.join("state.sqlite"), "not a database, and long enough to be none").unwrap();
        assert!(usable_state(&folder, true).is_err());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(writable(&file.join("below")).is_err());
    }

    #[test]
    fn a_port_in_use_says_when_that_is_right() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = listen(&taken.local_addr().unwrap().to_string());
        assert!(problem(&found).contains("right if the service is running"), "{}", problem(&found));
        assert!(problem(&listen("127.0.0.1:0")).is_empty());
        assert!(problem(&listen("no port")).contains("cannot listen on no port"));
    }

    #[test]
    fn findings_are_lines_and_objects() {
        let folder = PathBuf::from("/nowhere/keys");
        let findings = [Finding { what: What::Member { id: "tax".into() }, problem: None }, keys(&folder).remove(0)];
        let shown = |json, language| {
            let mut out = Vec::new();
            assert!(!print(&findings, json, language, &mut out).unwrap());
            String::from_utf8(out).unwrap()
        };
        assert!(
            shown(false, Language::English).starts_with("member tax: ok\nkey folder /nowhere/keys: NOT USABLE: cannot")
        );
        assert!(
            shown(false, Language::Chinese).starts_with("成员 tax：正常\n密钥文件夹 /nowhere/keys：不可用：无法读取")
        );
        assert!(shown(true, Language::Chinese).starts_with("{\"what\":\"member\",\"id\":\"tax\",\"problem\":null}\n"));
    }
}
