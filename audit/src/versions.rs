//! Later versions of the federation manifest in a log, and what each changed.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use wugan_keys::commands::{Change, changes};
use wugan_protocol::{
    ledger::Ledger,
    text::{Language, Say},
    texts,
};

/// A version that came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionTold {
    /// Its number.
    pub version: u32,
    /// The entry that it is.
    pub entry: u64,
    /// What it changed.
    pub changes: Vec<Change>,
}

impl VersionTold {
    /// The version in force, which the entry put there.
    pub(crate) fn last(ledger: &Ledger, entry: u64) -> VersionTold {
        let (mut before, next) = (None, ledger.federation());
        for version in ledger.versions().filter(|version| version.version() < next.version()) {
            before = Some(version);
        }
        // Cards can always be made of what a manifest lists.
        let changes = before.and_then(|before| changes(before, next).ok()).unwrap_or_default();
        VersionTold { version: next.version(), entry, changes }
    }

    /// What the version is, and each thing that it changed.
    pub fn lines(&self, language: Language) -> impl Iterator<Item = String> {
        let head = Line::InForce { version: self.version, entry: self.entry }.said(language);
        [head].into_iter().chain(self.changes.iter().map(move |change| format!("  {}", change.said(language))))
    }
}

impl Serialize for VersionTold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let changes: Vec<String> = self.changes.iter().map(|change| change.said(Language::English)).collect();
        let mut told = serializer.serialize_struct("VersionTold", 3)?;
        told.serialize_field("version", &self.version)?;
        told.serialize_field("entry", &self.entry)?;
        told.serialize_field("changes", &changes)?;
        told.end()
    }
}

texts! {
    enum Line {
        InForce { version: u32, entry: u64 }
            "version {version} of the federation manifest is in force from entry {entry} on; it changed:"
            "联合体清单第 {version} 版自条目 {entry} 起生效，变更：";
    }
}
