//! Where everything lies in the demo's folder.

use std::path::{Path, PathBuf};

use wugan_keys::commands::{CANARIES_SUFFIX, CANARY_LIST};
use wugan_protocol::party::Role;

/// The demo's folder.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of this folder.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The policy.
    pub fn catalogue(&self) -> PathBuf {
        self.root.join("catalogue.toml")
    }

    /// The signed federation manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// The authority's public key.
    pub fn authority_key(&self) -> PathBuf {
        self.root.join("authority.pub")
    }

    /// The authority's own folder.
    pub fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    /// The identity cards that the authority signs.
    pub fn cards(&self) -> PathBuf {
        self.authority().join("cards")
    }

    /// A department's folder: channels, roster, quarantine, decisions.
    pub fn department(&self, id: &str) -> PathBuf {
        self.root.join("departments").join(id)
    }

    /// The rows of a department's tables that its last round could not use.
    pub fn quarantine(&self, id: &str) -> PathBuf {
        self.department(id).join("quarantine.csv")
    }

    /// All that a party holds: a node's state folder, a server's folder.
    pub fn state(&self, id: &str, role: Role) -> PathBuf {
        match role {
            Role::Node => self.department(id).join("state"),
            server => self.root.join(server.name()),
        }
    }

    /// A party's keys.
    pub fn keys(&self, id: &str, role: Role) -> PathBuf {
        self.state(id, role).join("keys")
    }

    /// A party's configuration file.
    pub fn config(&self, id: &str, role: Role) -> PathBuf {
        self.state(id, role).join(format!("{}.toml", role.name()))
    }

    /// What a party's program writes to standard error.
    pub fn log(&self, id: &str, role: Role) -> PathBuf {
        self.state(id, role).join(format!("{}.log", role.name()))
    }

    /// Key announcements collected for the coordinator.
    pub fn announcements(&self) -> PathBuf {
        self.root.join("coordinator").join("announcements")
    }

    /// The coordinator's admin socket.
    pub fn admin(&self) -> PathBuf {
        self.root.join("coordinator").join("admin.sock")
    }

    /// The admin socket of a department's node.
    pub fn node_admin(&self, id: &str) -> PathBuf {
        self.state(id, Role::Node).join("admin.sock")
    }

    /// A department's decisions of a month.
    pub fn decisions(&self, id: &str, month: &str) -> PathBuf {
        self.department(id).join("decisions").join(format!("{month}.csv"))
    }

    /// The plan by which canaries are issued; where there is none, there are none.
    pub fn canary_plan(&self) -> PathBuf {
        self.root.join("canaries.toml")
    }

    /// The list of canaries, for auditors.
    pub fn canary_list(&self) -> PathBuf {
        self.root.join(CANARY_LIST)
    }

    /// What the authority issued.
    pub fn issued_canaries(&self) -> PathBuf {
        self.authority().join("canaries")
    }

    /// The canaries that were issued to a department.
    pub fn canaries(&self, id: &str) -> PathBuf {
        self.department(id).join(format!("{id}{CANARIES_SUFFIX}"))
    }

    /// What became of a department's canaries in a month.
    pub fn canary_decisions(&self, id: &str, month: &str) -> PathBuf {
        self.department(id).join("canaries").join(format!("{month}.csv"))
    }
}
