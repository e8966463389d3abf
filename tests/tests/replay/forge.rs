//! Logs signed anew by those who hold the keys: as if they had lied from the beginning, and nobody had noticed.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use serde_json::{Value, json};
use wugan_audit::folder::LogFiles;
use wugan_demo::layout::Layout;
use wugan_keys::PartyKeys;
use wugan_protocol::{
    envelope::Signer,
    hexes::{Hex, sha256},
    log::{
        checkpoint::VerifiedCheckpoint,
        cosignature::sign_tree,
        merkle::{Growing, Tree},
        writer::LogWriter,
    },
    manifest::Federation,
    party::{Party, Role},
    policy::Policy,
};
use wugan_tests::audit::authority;

/// A federation's log, with everybody's keys.
pub(crate) struct Forge {
    pub(crate) authority: [u8; 32],
    pub(crate) federation: Federation,
    pub(crate) lines: Vec<Vec<u8>>,
    catalogue: Vec<u8>,
    keys: BTreeMap<Signature, PartyKeys>,
}

/// Who signs: member and role.
type Signature = (String, String);

impl Forge {
    pub(crate) fn new(dir: &Path, lines: Vec<Vec<u8>>) -> Forge {
        let layout = Layout::new(dir);
        let catalogue = std::fs::read(layout.catalogue()).unwrap();
        let policy = Arc::new(Policy::read(&catalogue).unwrap());
        let authority: [u8; 32] = authority(dir).unwrap().try_into().unwrap();
        let federation = Federation::verify(&lines[0], &authority, policy).unwrap();
        let open = |(id, role): (&str, Role)| PartyKeys::open(&layout.keys(id, role), role).unwrap();
        let parties = federation.parties().map(|party| (federation.policy().member_id(party.member), party.role));
        let keys = parties.map(|(id, role)| ((id.to_owned(), role.name().to_owned()), open((id, role)))).collect();
        Forge { authority, federation, lines, catalogue, keys }
    }

    /// The log after `change` of its entries' bodies: those for which it says no are dropped, those that it changed are
    /// signed anew by whoever made them, and so is everything that rests on them.
    pub(crate) fn changed(&self, mut change: impl FnMut(&mut Value) -> bool) -> Vec<Vec<u8>> {
        let (mut lines, mut growing, mut closed) = (Vec::<Vec<u8>>::new(), Growing::default(), None);
        let mut heads: HashMap<Signature, (u64, String)> = HashMap::new();
        let mut renamed: HashMap<String, String> = HashMap::new();
        for old in &self.lines {
            let before = read(old)["body"].take();
            let mut body = before.clone();
            if !change(&mut body) {
                continue;
            }
            let who = signer(&body);
            let (seq, prev) = heads.get(&who).cloned().unwrap_or_default();
            if body["role"] != "authority" {
                (body["seq"], body["prev"]) = (json!(seq), json!(prev));
            }
            let entry = body["entry"].as_str().and_then(|entry| renamed.get(entry));
            if let Some(entry) = entry {
                body["entry"] = json!(entry);
            }
            if body["type"] == "cosignature" {
                self.cosign(&mut body, closed.unwrap());
            }
            let line = if body == before { old.clone() } else { self.sign(&body) };
            growing.push(&line);
            if body["type"] == "round_closed" {
                closed = Some(growing.tree());
            }
            let hash = sha256(&line).to_string();
            renamed.insert(sha256(old).to_string(), hash.clone());
            heads.insert(who, (seq + 1, hash));
            lines.push(line);
        }
        lines
    }

    /// The folder that the coordinator's log key makes of these entries.
    pub(crate) fn folder(&self, lines: &[Vec<u8>]) -> LogFiles {
        let coordinator = self.federation.policy().member_id(self.federation.coordinator().member).to_owned();
        let key = &self.keys[&(coordinator, Role::Coordinator.name().to_owned())].log;
        let (mut writer, mut growing, mut closed) = (LogWriter::empty(), Growing::default(), None);
        for line in lines {
            writer.append(line).unwrap();
            growing.push(line);
            let body = read(line)["body"].take();
            match (body["type"].as_str().unwrap(), &mut closed) {
                ("round_closed", _) => closed = Some((growing.tree(), BTreeMap::new())),
                ("cosignature", Some((_, cosigned))) => drop(cosigned.insert(self.party(&body), body)),
                _ => {}
            }
        }
        let note = |tree| VerifiedCheckpoint::sign(tree, &self.federation.origin(), key.as_ref()).unwrap();
        let tiles = writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes));
        let mut files: BTreeMap<String, Vec<u8>> = tiles.collect();
        files.insert("checkpoint".into(), note(growing.tree()).note().to_string().into_bytes());
        files.insert("catalogue.toml".into(), self.catalogue.clone());
        if let Some((tree, cosigners)) = closed {
            let mut cosigned = note(tree);
            for (party, body) in cosigners {
                let signature: Hex<64> = serde_json::from_value(body["signature"].clone()).unwrap();
                let (key, time) = (self.federation.cosigner_key(party).unwrap(), body["time"].as_u64().unwrap());
                cosigned.add_cosignature(key.cosignature_line(time, &signature.0));
            }
            files.insert("cosigned".into(), cosigned.note().to_string().into_bytes());
        }
        LogFiles { files, ..LogFiles::default() }
    }

    /// The keys of a node.
    pub(crate) fn node(&self, id: &str) -> &PartyKeys {
        &self.keys[&(id.to_owned(), Role::Node.name().to_owned())]
    }

    fn party(&self, body: &Value) -> Party {
        let role: Role = serde_json::from_value(body["role"].clone()).unwrap();
        self.federation.party(body["sender"].as_str().unwrap(), role).unwrap()
    }

    fn cosign(&self, body: &mut Value, tree: Tree) {
        let (key, time) = (&self.keys[&signer(body)].log, body["time"].as_u64().unwrap());
        body["size"] = json!(tree.size);
        let signature = sign_tree(tree, &self.federation.origin(), key.as_ref(), time);
        body["signature"] = json!(hex::encode(signature));
    }

    fn sign(&self, body: &Value) -> Vec<u8> {
        let mut message = format!("wugan/1/{}\n", body["type"].as_str().unwrap()).into_bytes();
        message.extend(serde_json::to_vec(body).unwrap());
        let sig = Hex(self.keys[&signer(body)].identity.sign(&message)).to_string();
        serde_json::to_vec(&json!({ "body": body, "sig": sig })).unwrap()
    }
}

fn signer(body: &Value) -> Signature {
    (body["sender"].as_str().unwrap().to_owned(), body["role"].as_str().unwrap().to_owned())
}

pub(crate) fn read(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}
