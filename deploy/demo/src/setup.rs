//! Setting up a federation, with the same commands that its operators would use.

use std::{collections::BTreeMap, fs, net::UdpSocket, path::Path};

use serde::Serialize;
use wugan_keys::{
    authority::Draft,
    canaries::Plan,
    commands::{
        CANARIES_SUFFIX, CommandError, announcement_path, authority_new, canaries_issue, epoch_new, federation_sign,
        identity_new,
    },
    store::Custody,
};
use wugan_protocol::{
    manifest::{Federation, roles_of},
    month::Month,
    party::{MemberNumber, Party, Role},
    policy::Policy,
    text::parse_toml,
};
use wugan_transport::shell::now;

use crate::{
    census,
    layout::Layout,
    text::{At, DemoError},
};

/// A federation that is set up and not started.
pub struct Ready {
    /// The federation.
    pub federation: Federation,
    /// The sockets on which the servers listen, bound before the manifest was signed.
    pub sockets: BTreeMap<Party, UdpSocket>,
}

/// Makes keys, manifest, key announcements and configuration files. `rosters` are the names of the rosters of the
/// months that will be certified. If `canaries_from` names a month, canaries are issued by the folder's plan.
///
/// # Errors
/// What a command says.
pub fn federation(
    layout: &Layout,
    policy: &Policy,
    rosters: &[String],
    canaries_from: Option<Month>,
) -> Result<Ready, DemoError> {
    let custody = Custody::key_files();
    authority_new(&layout.authority(), &custody)?;
    copy(&layout.authority().join("authority.pub"), &layout.authority_key())?;
    fs::create_dir_all(layout.cards()).at(&layout.cards())?;
    let mut sockets = BTreeMap::new();
    for party in parties(policy) {
        let address = if party.role == Role::Node {
            String::new()
        } else {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).map_err(DemoError::NoPort)?;
            let address = socket.local_addr().map_err(DemoError::NoPort)?.to_string();
            sockets.insert(party, socket);
            address
        };
        let id = policy.member_id(party.member);
        let keys = layout.keys(id, party.role);
        let card = identity_new(&keys, id, party.role, &address, &custody)?;
        copy(&card.path(&keys), &card.path(&layout.cards()))?;
    }
    let canaries = canaries_from.map_or(Ok(0), |from| issue_canaries(layout, from, &custody))?;
    let federation = sign(layout, policy, rosters, canaries, &custody)?;
    for party in parties(policy) {
        configure(layout, policy, party)?;
    }
    announce_keys(layout, policy, &custody)?;
    Ok(Ready { federation, sockets })
}

/// Every role of every member.
pub fn parties(policy: &Policy) -> Vec<Party> {
    let members: std::ops::RangeInclusive<MemberNumber> = 0..=policy.matcher_number();
    members.flat_map(|member| roles_of(policy, member).map(move |role| Party { member, role })).collect()
}

/// Hands each department its canaries; returns how many there are in all.
fn issue_canaries(layout: &Layout, from: Month, custody: &Custody) -> Result<u64, DemoError> {
    let (authority, plan, out) = (layout.authority(), layout.canary_plan(), layout.issued_canaries());
    canaries_issue(&authority, &layout.catalogue(), &plan, from, &out, custody)?;
    for path in fs::read_dir(&out).at(&out)? {
        let path = path.at(&out)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.strip_suffix(CANARIES_SUFFIX) {
            Some(department) => copy(&path, &layout.canaries(department))?,
            None => copy(&path, &layout.canary_list())?,
        }
    }
    let plan: Plan = parse_toml(&fs::read(&plan).at(&plan)?)
        .map_err(|problem| CommandError::Plan { path: layout.canary_plan(), problem })?;
    Ok(plan.canary.iter().map(|planned| planned.count as u64).sum())
}

/// `canaries`: how many there are at the most on any roster.
fn sign(
    layout: &Layout,
    policy: &Policy,
    rosters: &[String],
    canaries: u64,
    custody: &Custody,
) -> Result<Federation, DemoError> {
    let mut owners = BTreeMap::new();
    for owner in policy.owners() {
        let id = policy.member_id(owner);
        owners.insert(id.to_owned(), census::declare(policy, owner, &layout.department(id), rosters, canaries)?);
    }
    let draft = Draft {
        name: policy.name.clone(),
        version: 1,
        previous: String::new(),
        quorum: None,
        disclosures_per_month: 10,
        owners,
    };
    let path = layout.authority().join("draft.toml");
    write_toml(&path, &draft)?;
    let (authority, cards, out) = (layout.authority(), layout.cards(), layout.manifest());
    Ok(federation_sign(&authority, &layout.catalogue(), &path, &cards, &out, custody, now())?)
}

/// Every department's key is announced at set-up, also that of a node which then stays offline.
fn announce_keys(layout: &Layout, policy: &Policy, custody: &Custody) -> Result<(), DemoError> {
    fs::create_dir_all(layout.announcements()).at(&layout.announcements())?;
    for department in policy.departments.iter().filter(|department| !department.left) {
        let keys = layout.keys(&department.id, Role::Node);
        let (manifest, catalogue, authority) = (layout.manifest(), layout.catalogue(), layout.authority_key());
        epoch_new(&keys, &department.id, &manifest, &catalogue, &authority, custody, now())?;
        let collected = layout.announcements().join(format!("{}.json", department.id));
        copy(&announcement_path(&keys), &collected)?;
    }
    Ok(())
}

/// Writes a party's configuration file.
///
/// # Errors
/// A disk that cannot be written.
pub fn configure(layout: &Layout, policy: &Policy, party: Party) -> Result<(), DemoError> {
    let id = policy.member_id(party.member);
    let root = fs::canonicalize(layout.root()).at(layout.root())?;
    let at = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| root.join(path)).display().to_string();
    let state = layout.state(id, party.role);
    fs::create_dir_all(&state).at(&state)?;
    let server = party.role != Role::Node;
    let config = ConfigFile {
        member: MemberTable {
            id,
            keys: at(&layout.keys(id, party.role)),
            federation: at(&layout.manifest()),
            policy: at(&layout.catalogue()),
            authority: at(&layout.authority_key()),
            state: at(&state),
            service: false,
        },
        node: (!server).then(|| NodeTable {
            department: at(&layout.department(id)),
            admin: "admin.sock",
            canaries: Some(layout.canaries(id)).filter(|path| path.exists()).map(|path| at(&path)),
        }),
        server: server.then_some(ServerTable { listen: "stdin" }),
        coordinator: (party.role == Role::Coordinator)
            .then_some(CoordinatorTable { admin: "admin.sock", announcements: "announcements" }),
    };
    write_toml(&layout.config(id, party.role), &config)
}

fn write_toml(path: &Path, value: &impl Serialize) -> Result<(), DemoError> {
    let failed = |error: toml::ser::Error| DemoError::Written { path: path.to_owned(), error: error.to_string() };
    fs::write(path, toml::to_string(value).map_err(failed)?).at(path)
}

fn copy(from: &Path, to: &Path) -> Result<(), DemoError> {
    fs::copy(from, to).at(from).map(drop)
}

#[derive(Serialize)]
struct ConfigFile<'a> {
    member: MemberTable<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeTable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerTable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinator: Option<CoordinatorTable<'a>>,
}

#[derive(Serialize)]
struct MemberTable<'a> {
    id: &'a str,
    keys: String,
    federation: String,
    policy: String,
    authority: String,
    state: String,
    service: bool,
}

#[derive(Serialize)]
struct NodeTable<'a> {
    department: String,
    admin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    canaries: Option<String>,
}

#[derive(Serialize)]
struct ServerTable<'a> {
    listen: &'a str,
}

#[derive(Serialize)]
struct CoordinatorTable<'a> {
    admin: &'a str,
    announcements: &'a str,
}
