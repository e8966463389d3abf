//! Signs a changed log with the keys of whoever changed it, so that everything fits that these keys can make fit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wugan_audit::folder::LogFiles;
use wugan_protocol::{
    hexes::{Hex, sha256},
    log::{
        checkpoint::VerifiedCheckpoint,
        cosignature::{sign_tree, verify_tree},
        merkle::{Growing, Tree},
        writer::LogWriter,
    },
    party::{MemberNumber, Party},
};

use super::genuine::{Entry, Genuine, who};

/// Who changes the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Somebody without keys, who leaves checkpoint and cosignatures.
    Stranger,
    /// The coordinator, who signs the changed tree.
    Coordinator,
    /// Whoever made the entry signs it and all its later ones anew, and the coordinator the tree.
    Owner,
    /// It was a lie from the start: everybody went on from it in good faith.
    Everybody,
}

/// An entry of a changed log.
#[derive(Clone, Debug)]
pub enum Item {
    /// The genuine entry of this place.
    Genuine(usize),
    /// Another body, by the signer of the genuine entry of this place.
    Stated(usize, Value),
    /// The same, besides the genuine entry.
    Again(usize, Value),
    /// Other bytes.
    Raw(Vec<u8>),
}

/// Signs and publishes.
#[derive(Clone, Copy)]
pub struct Forger<'a> {
    /// What is changed.
    pub genuine: &'a Genuine,
}

impl Forger<'_> {
    /// The entries' bytes. `liar` is the signer of the entry that was changed.
    pub fn lines(&self, items: Vec<Item>, by: By, liar: Option<Party>) -> Vec<Vec<u8>> {
        let mut signing = Signing {
            genuine: self.genuine,
            by,
            liar,
            places: BTreeMap::new(),
            renamed: BTreeMap::new(),
            tree: Growing::default(),
            end: Tree::empty(),
        };
        items.into_iter().map(|item| signing.line(item)).collect()
    }

    /// What would have come about if one entry had said something else, and only these members and the
    /// coordinator's bureau had cosigned the last round's end; without a change, what came about.
    pub fn history(&self, change: Option<(usize, Value)>, cosigners: &BTreeSet<MemberNumber>) -> Vec<Vec<u8>> {
        let (entries, end) = (&self.genuine.entries, self.genuine.last_close());
        let stays = |of: &usize| {
            let cosigns = *of > end && entries[*of].body["type"] == "cosignature";
            let bureau = self.genuine.federation.policy().coordinator;
            let stays = |member| member == bureau || cosigners.contains(&member);
            !cosigns || entries[*of].who.is_some_and(|who| stays(who.member))
        };
        let item = |of| match &change {
            Some((changed, body)) if *changed == of => Item::Stated(of, body.clone()),
            _ => Item::Genuine(of),
        };
        self.lines((0..entries.len()).filter(stays).map(item).collect(), By::Everybody, None)
    }

    /// The entries after `change` of their bodies, by everybody from the beginning; those for which it says no are dropped.
    pub fn changed(&self, mut change: impl FnMut(&mut Value) -> bool) -> Vec<Vec<u8>> {
        let item = |(of, entry): (usize, &Entry)| {
            let mut body = entry.body.clone();
            change(&mut body).then_some(Item::Stated(of, body))
        };
        let items = self.genuine.entries.iter().enumerate().filter_map(item).collect();
        self.lines(items, By::Everybody, None)
    }

    /// The folder with these entries as the coordinator would publish them: its key signs any tree; cosignatures are those
    /// entries that verify.
    pub fn published(&self, lines: &[Vec<u8>]) -> LogFiles {
        let federation = &self.genuine.federation;
        let (mut growing, mut end, mut cosigned) = (Growing::default(), Tree::empty(), BTreeMap::new());
        for line in lines {
            growing.push(line);
            if contains(line, br#""type":"round_closed""#) {
                (end, cosigned) = (growing.tree(), BTreeMap::new());
            } else if contains(line, br#""type":"cosignature""#)
                && let Some((party, time, signature)) = self.cosignature(line, end)
            {
                cosigned.entry(party).or_insert((time, signature));
            }
        }
        let mut files = tiles(lines);
        files.insert("checkpoint".into(), text(&self.checkpoint(growing.tree())));
        files.insert("catalogue.toml".into(), self.genuine.catalogue.clone());
        if !cosigned.is_empty() {
            let mut note = self.checkpoint(end);
            for (party, (time, signature)) in cosigned {
                note.add_cosignature(federation.cosigner_key(party).unwrap().cosignature_line(time, &signature.0));
            }
            files.insert("cosigned".into(), text(&note));
        }
        LogFiles { files, ..LogFiles::default() }
    }

    /// The folder with these entries and everything else left as it is.
    pub fn left(&self, lines: &[Vec<u8>]) -> LogFiles {
        let mut files = self.genuine.files.files.clone();
        files.retain(|path, _| !path.starts_with("tile/"));
        files.extend(tiles(lines));
        LogFiles { files, ..LogFiles::default() }
    }

    /// A tree that the log's key signed.
    pub fn checkpoint(&self, tree: Tree) -> VerifiedCheckpoint {
        let federation = &self.genuine.federation;
        let key = &self.genuine.signers[&federation.coordinator()].log;
        VerifiedCheckpoint::sign(tree, &federation.origin(), key.as_ref()).unwrap()
    }

    fn cosignature(&self, line: &[u8], tree: Tree) -> Option<(Party, u64, Hex<64>)> {
        let federation = &self.genuine.federation;
        let body = serde_json::from_slice::<Value>(line).ok()?["body"].take();
        let (party, time) = (who(&body, federation)?, body["time"].as_u64()?);
        let signature: Hex<64> = body["signature"].as_str()?.parse().ok()?;
        let key = federation.cosigner_key(party)?;
        verify_tree(tree, &federation.origin(), &key, time, &signature.0).ok()?;
        Some((party, time, signature))
    }
}

/// The bytes of a note.
pub(super) fn text(checkpoint: &VerifiedCheckpoint) -> Vec<u8> {
    checkpoint.note().to_string().into_bytes()
}

/// The tree of these entries.
pub(super) fn tree(lines: &[Vec<u8>]) -> Tree {
    let mut growing = Growing::default();
    lines.iter().for_each(|line| growing.push(line));
    growing.tree()
}

/// Signs one entry after another.
struct Signing<'a> {
    genuine: &'a Genuine,
    by: By,
    liar: Option<Party>,
    /// Where each signer's next entry stands, and the hash of its last one.
    places: BTreeMap<Option<Party>, (u64, String)>,
    /// New hashes of entries and round manifests, by the genuine ones.
    renamed: BTreeMap<String, String>,
    tree: Growing,
    /// The tree at the last round's end.
    end: Tree,
}

impl Signing<'_> {
    fn line(&mut self, item: Item) -> Vec<u8> {
        let line = match item {
            Item::Raw(line) => line,
            Item::Genuine(of) if !self.signs(of) => self.genuine.entries[of].line.clone(),
            Item::Genuine(of) => self.anew(of, self.genuine.entries[of].body.clone(), true),
            Item::Stated(of, body) | Item::Again(of, body) if !self.signs(of) => {
                let sig = serde_json::from_slice::<Value>(&self.genuine.entries[of].line).unwrap()["sig"].take();
                serde_json::to_vec(&json!({ "body": body, "sig": sig })).unwrap()
            }
            Item::Stated(of, body) => self.anew(of, body, true),
            // Whoever repeats a cosignature repeats the old one: a new one would be right.
            Item::Again(of, body) => self.anew(of, body, false),
        };
        self.tree.push(&line);
        if contains(&line, br#""type":"round_closed""#) {
            self.end = self.tree.tree();
        }
        line
    }

    fn signs(&self, of: usize) -> bool {
        match self.by {
            By::Stranger | By::Coordinator => false,
            By::Owner => self.genuine.entries[of].who == self.liar,
            By::Everybody => true,
        }
    }

    fn anew(&mut self, of: usize, mut body: Value, cosigns: bool) -> Vec<u8> {
        let entry = &self.genuine.entries[of];
        let (seq, prev) = self.places.get(&entry.who).cloned().unwrap_or_default();
        let mut put = |name: &str, value: Value| {
            // What was altered stays as it is.
            if body.get(name) == Some(&entry.body[name]) {
                body[name] = value;
            }
        };
        put("seq", json!(seq));
        put("prev", json!(prev));
        for name in ["round", "entry"] {
            if let Some(now) = entry.body[name].as_str().and_then(|hash| self.renamed.get(hash)) {
                put(name, json!(now));
            }
        }
        if cosigns && entry.body["type"] == "cosignature" {
            put("size", json!(self.end.size));
            self.cosign(of, &mut body);
        }
        let line = self.signed(entry.who, &body);
        self.renamed.insert(sha256(&entry.line).to_string(), sha256(&line).to_string());
        let hash = |body: &Value| sha256(&serde_json::to_vec(body).unwrap()).to_string();
        self.renamed.insert(hash(&entry.body), hash(&body));
        self.places.insert(entry.who, (body["seq"].as_u64().unwrap_or_default() + 1, sha256(&line).to_string()));
        line
    }

    fn cosign(&self, of: usize, body: &mut Value) {
        let (entry, federation) = (&self.genuine.entries[of], &self.genuine.federation);
        let (Some(time), true) = (body["time"].as_u64(), body.get("signature") == entry.body.get("signature")) else {
            return;
        };
        let key = &self.genuine.signers[&entry.who.unwrap()].log;
        body["signature"] = json!(Hex(sign_tree(self.end, &federation.origin(), key.as_ref(), time)));
    }

    fn signed(&self, who: Option<Party>, body: &Value) -> Vec<u8> {
        let key = who.map_or(&self.genuine.authority_key, |who| &self.genuine.signers[&who].identity);
        let mut message = format!("wugan/1/{}\n", body["type"].as_str().unwrap_or_default()).into_bytes();
        message.extend(serde_json::to_vec(body).unwrap());
        let sig = Hex(key.sign(&message)).to_string();
        serde_json::to_vec(&json!({ "body": body, "sig": sig })).unwrap()
    }
}

fn tiles(lines: &[Vec<u8>]) -> BTreeMap<String, Vec<u8>> {
    let mut writer = LogWriter::empty();
    for line in lines {
        writer.append(line).unwrap();
    }
    writer.changed_files().into_iter().map(|(tile, bytes)| (tile.to_string(), bytes)).collect()
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
