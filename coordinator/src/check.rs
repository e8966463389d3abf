//! `wugan-coordinator check`: tries a configuration without changing anything.

use std::path::Path;

use wugan_protocol::{envelope::Unverified, manifest::Federation, party::Role, statement::Statement, texts};
use wugan_transport::{
    check::{self, Finding, Wanted, What},
    home::read_config,
    shell::ServiceError,
};

use crate::{
    config::Config,
    round::node,
    service::{opening, read_announcements},
};

/// Tries everything that a run would open.
///
/// # Errors
/// A configuration that cannot be read; everything else is in the result.
pub fn check(config: &Path) -> Result<Vec<Finding>, ServiceError> {
    let (config, base): (Config, _) = read_config(config)?;
    let wanted = Wanted { role: Role::Coordinator, listen: Some(&config.server.listen), dials: &[] };
    let check::Checked { mut findings, place } = check::member(&config.member, &base, &wanted);
    let admin = base.join(&config.coordinator.admin);
    let folder = admin.parent().unwrap_or(Path::new("/"));
    findings.push(Finding::of(What::File { path: admin.clone() }, check::writable(folder)));
    let announcements = base.join(&config.coordinator.announcements);
    match (read_announcements(&announcements).map_err(opening(&announcements)), place) {
        (Ok(lines), Some((federation, _))) => findings.extend(announced(&federation, &lines)),
        (read, _) => findings.push(Finding::of(What::File { path: announcements }, read)),
    }
    Ok(findings)
}

/// Whether each source's key announcement was collected.
fn announced(federation: &Federation, lines: &[Vec<u8>]) -> Vec<Finding> {
    let policy = federation.policy();
    let sources = (0..policy.matcher_number()).filter(|source| policy.channels_of(*source).next().is_some());
    let finding = |source| {
        let there = federation.key(node(source)).is_some_and(|key| lines.iter().any(|line| announces(line, &key)));
        let what = What::Announcement { department: policy.member_id(source).to_owned() };
        Finding::of(what, if there { Ok(()) } else { Err(Missing::Announcement) })
    };
    sources.map(finding).collect()
}

fn announces(line: &[u8], key: &[u8; 32]) -> bool {
    let entry = Unverified::read(line).and_then(|entry| entry.verify(key));
    entry.is_ok_and(|entry| matches!(entry.body().statement, Statement::KeyEpoch(_)))
}

texts! {
    #[derive(Debug, thiserror::Error)]
    enum Missing {
        Announcement
            "it is not among the announcements; ask its operator for the file that `wugan-keys epoch new` made"
            "未收集到；请向其操作人员索取 `wugan-keys epoch new` 生成的文件";
    }
}
