//! Everything that is done to entries: altered, dropped, exchanged, repeated, moved, taken from another round, cut off.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wugan_audit::folder::LogFiles;
use wugan_protocol::{
    hexes::sha256,
    limits::COUNT_STEP,
    party::{MemberNumber, Party},
};

use super::{
    forger::{By, Forger, Item},
    genuine::Genuine,
    leaves::Texts,
};
use crate::sim::Chance;

/// A changed log.
pub struct Mutant {
    /// What kind of change it is.
    pub kind: &'static str,
    /// Who made it.
    pub by: By,
    /// What exactly.
    pub what: String,
    /// How.
    pub change: Change,
}

/// How a log is changed.
pub enum Change {
    /// Its entries are, of which the genuine log has this many at first.
    Entries(Edit, usize),
    /// Its files are.
    Files(Box<dyn Fn(&mut LogFiles) + Send + Sync>),
}

/// A change of entries. Places are those of the genuine log.
#[derive(Clone, Debug)]
pub enum Edit {
    /// The entry says something else.
    Stated(usize, Value),
    /// A bit of the entry's bytes is another.
    Flipped(usize, usize, u8),
    /// The entry is gone.
    Dropped(usize),
    /// Two entries change places.
    Swapped(usize, usize),
    /// The entry with this body, once more before a place.
    Again(usize, Value, usize),
    /// The entry stands before another place instead.
    Moved(usize, usize),
    /// Further entries, each by the signer of the genuine one of this place.
    Appended(Vec<(usize, Value)>),
    /// Nothing but the first entries.
    Cut,
}

impl Mutant {
    /// The changed entries; none where only files change.
    pub fn lines(&self, genuine: &Genuine) -> Option<Vec<Vec<u8>>> {
        let Change::Entries(edit, end) = &self.change else { return None };
        Some(Forger { genuine }.lines(edit.items(genuine, *end), self.by, edit.liar(genuine)))
    }

    /// The changed folder.
    pub fn files(&self, genuine: &Genuine, lines: Option<&[Vec<u8>]>) -> LogFiles {
        match (&self.change, lines, self.by) {
            (Change::Files(change), ..) => {
                let mut files = genuine.files.clone();
                change(&mut files);
                files
            }
            (Change::Entries(..), Some(lines), By::Stranger) => Forger { genuine }.left(lines),
            (Change::Entries(..), lines, _) => Forger { genuine }.published(lines.unwrap_or_default()),
        }
    }
}

impl Edit {
    fn items(&self, genuine: &Genuine, end: usize) -> Vec<Item> {
        let mut items: Vec<Item> = (0..end).map(Item::Genuine).collect();
        match self.clone() {
            Edit::Stated(of, body) => items[of] = Item::Stated(of, body),
            Edit::Flipped(of, byte, mask) => {
                let mut line = genuine.entries[of].line.clone();
                line[byte] ^= mask;
                items[of] = Item::Raw(line);
            }
            Edit::Dropped(of) => drop(items.remove(of)),
            Edit::Swapped(one, other) => items.swap(one, other),
            Edit::Again(of, body, at) => items.insert(at, Item::Again(of, body)),
            Edit::Moved(of, at) => {
                let item = items.remove(of);
                items.insert(if at > of { at - 1 } else { at }, item);
            }
            Edit::Appended(more) => items.extend(more.into_iter().map(|(of, body)| Item::Stated(of, body))),
            Edit::Cut => {}
        }
        items
    }

    /// The signer of the entry that is changed.
    fn liar(&self, genuine: &Genuine) -> Option<Party> {
        match self {
            Edit::Stated(of, _)
            | Edit::Flipped(of, ..)
            | Edit::Dropped(of)
            | Edit::Swapped(of, _)
            | Edit::Again(of, ..)
            | Edit::Moved(of, _) => genuine.entries[*of].who,
            Edit::Appended(_) | Edit::Cut => None,
        }
    }
}

/// Makes mutants.
pub struct Edits<'a> {
    genuine: &'a Genuine,
    chance: Chance,
    mutants: Vec<Mutant>,
}

/// Every change of entries by whoever lies afterwards.
pub fn of_entries(genuine: &Genuine, seed: u64) -> Vec<Mutant> {
    let mut edits = Edits { genuine, chance: Chance::new(seed), mutants: Vec::new() };
    edits.altered();
    edits.flipped();
    (0..genuine.entries.len()).for_each(|of| edits.misplaced(of));
    edits.of_another_round();
    edits.rolled_back();
    edits.beyond_the_budget();
    edits.months_that_had_their_round();
    edits.mutants
}

/// Every field of every entry altered from the start, but for those by which an entry is in its place.
pub fn from_the_start(genuine: &Genuine) -> Vec<(String, Mutant)> {
    let texts = Texts::of(&genuine.entries);
    let mut mutants = Vec::new();
    for (of, entry) in genuine.entries.iter().enumerate().skip(1) {
        let kind = entry.body["type"].as_str().unwrap_or_default();
        for (place, body) in texts.other_values(&entry.body) {
            let what = format!("{of} {kind}{place}");
            let change = Change::Entries(Edit::Stated(of, body), genuine.entries.len());
            let field = format!("{kind}{}", super::leaves::general(&place));
            mutants.push((field, Mutant { kind: "a lie from the start", by: By::Everybody, what, change }));
        }
    }
    mutants
}

impl Edits<'_> {
    /// By anybody. Its owner does it where the round is open still, too, so that nobody has cosigned.
    fn tried(&mut self, kind: &'static str, what: &str, edit: &Edit) {
        for by in [By::Stranger, By::Coordinator] {
            self.whole(kind, what, by, edit.clone());
        }
        self.by_its_owner(kind, what, edit);
    }

    fn by_its_owner(&mut self, kind: &'static str, what: &str, edit: &Edit) {
        let (from, end) = (self.genuine.places("round_closed")[0] + 1, self.genuine.last_close());
        let places = match edit {
            Edit::Stated(of, _) | Edit::Flipped(of, ..) | Edit::Dropped(of) => [*of, *of],
            Edit::Swapped(of, at) | Edit::Again(of, _, at) | Edit::Moved(of, at) => [*of, *at],
            Edit::Appended(_) | Edit::Cut => return,
        };
        let in_open_round = places.iter().all(|place| (from..end).contains(place));
        if in_open_round {
            let (what, change) = (format!("{what}, in an open round"), Change::Entries(edit.clone(), end));
            self.mutants.push(Mutant { kind, by: By::Owner, what, change });
        }
        // What is not found in an open round is found by the cosignatures when it is closed: now and then is enough.
        if !in_open_round || self.chance.below(4) == 0 {
            self.whole(kind, what, By::Owner, edit.clone());
        }
    }

    fn whole(&mut self, kind: &'static str, what: &str, by: By, edit: Edit) {
        let change = Change::Entries(edit, self.genuine.entries.len());
        self.mutants.push(Mutant { kind, by, what: what.to_owned(), change });
    }

    fn altered(&mut self) {
        let texts = Texts::of(&self.genuine.entries);
        for (of, entry) in self.genuine.entries.iter().enumerate() {
            let mut places = BTreeSet::new();
            for (place, body) in texts.alterations(&entry.body) {
                let (what, edit) = (format!("{of} {}{place}", entry.body["type"]), Edit::Stated(of, body));
                // Without the signer's key one alteration is as good as another.
                if places.insert(place) {
                    self.tried("field altered", &what, &edit);
                } else {
                    self.by_its_owner("field altered", &what, &edit);
                }
            }
        }
    }

    fn flipped(&mut self) {
        for of in 0..self.genuine.entries.len() {
            for _ in 0..FLIPS {
                let byte = self.chance.below(self.genuine.entries[of].line.len() as u64) as usize;
                let edit = Edit::Flipped(of, byte, 1 << self.chance.below(8));
                for by in [By::Stranger, By::Coordinator] {
                    self.whole("bit flipped", &format!("{of} at {byte}"), by, edit.clone());
                }
            }
        }
    }

    /// An entry that is missing, stands elsewhere or stands twice.
    fn misplaced(&mut self, of: usize) {
        let (entries, count) = (&self.genuine.entries, self.genuine.entries.len());
        let name = format!("{of} {}", entries[of].body["type"]);
        let body = entries[of].body.clone();
        let mut others = vec![self.chance.below(count as u64) as usize];
        others.extend((of + 1..count).find(|next| entries[*next].who == entries[of].who));
        others.extend([of + 1].into_iter().filter(|next| *next < count));
        self.tried("dropped", &name, &Edit::Dropped(of));
        for other in others.into_iter().filter(|other| *other != of) {
            self.tried("swapped", &format!("{name} with {other}"), &Edit::Swapped(of, other));
            self.tried("repeated", &format!("{name} before {other}"), &Edit::Again(of, body.clone(), other));
            if other != of + 1 {
                self.tried("moved", &format!("{name} before {other}"), &Edit::Moved(of, other));
            }
        }
        self.tried("repeated", &format!("{name} at the end"), &Edit::Again(of, body, count));
    }

    /// Entries of each round stand in another one, as they are or under its name.
    fn of_another_round(&mut self) {
        let rounds = self.genuine.places("round_manifest");
        let hash = |round: usize| {
            let in_it = self.genuine.entries[round..].iter().map(|entry| entry.body["round"].clone());
            in_it.clone().find(|named| *named != json!("")).unwrap_or_default()
        };
        let hashes: Vec<Value> = rounds.iter().map(|round| hash(*round)).collect();
        for of in 0..self.genuine.entries.len() {
            let entry = &self.genuine.entries[of];
            let Some(own) = hashes.iter().position(|hash| *hash == entry.body["round"]) else { continue };
            for other in (0..rounds.len()).filter(|other| *other != own) {
                let end = rounds.get(other + 1).copied().unwrap_or(self.genuine.entries.len());
                let at = rounds[other] + 1 + self.chance.below((end - rounds[other] - 1) as u64) as usize;
                let mut renamed = entry.body.clone();
                renamed["round"] = hashes[other].clone();
                let what = format!("{of} {} before {at}", entry.body["type"]);
                self.tried("from another round", &what, &Edit::Again(of, entry.body.clone(), at));
                self.by_its_owner("from another round", &format!("{what}, renamed"), &Edit::Again(of, renamed, at));
            }
        }
    }

    /// An owner and a source that are of one mind go on until the owner has asked for more than it may.
    fn beyond_the_budget(&mut self) {
        let genuine = self.genuine;
        for evaluation in genuine.places("evaluation") {
            let asked = &genuine.entries[evaluation].body;
            let batch = genuine.places("enrolment_batch").into_iter().find(|batch| {
                sha256(&genuine.entries[*batch].line).to_string() == asked["entry"].as_str().unwrap_or_default()
            });
            let Some(batch) = batch else { continue };
            let owner = genuine.entries[batch].who.map(|who| who.member).unwrap_or_default();
            let allowance = genuine.federation.allowance(owner);
            for step in [COUNT_STEP, 1_024, 8_192] {
                let mut more = Vec::new();
                for number in 0..=allowance / step {
                    let (mut batch_body, mut evaluated) = (genuine.entries[batch].body.clone(), asked.clone());
                    let next = json!(number + genuine_batches(genuine, owner));
                    (batch_body["batch"], evaluated["batch"]) = (next.clone(), next);
                    (batch_body["count"], evaluated["count"]) = (json!(step), json!(step));
                    more.extend([(batch, batch_body), (evaluation, evaluated)]);
                }
                let (what, change) = (format!("{evaluation}, by {step}"), Edit::Appended(more));
                self.whole("beyond the budget", &what, By::Everybody, change);
            }
        }
    }

    /// A round for the last month or one before.
    fn months_that_had_their_round(&mut self) {
        let genuine = self.genuine;
        let months: Vec<Value> = genuine
            .places("list")
            .iter()
            .map(|list| {
                let opened = genuine.places("round_manifest").into_iter().rfind(|manifest| manifest < list);
                genuine.entries[opened.unwrap_or_default()].body["month"].clone()
            })
            .chain([json!("2026-01"), json!("1999-12")])
            .collect();
        for manifest in genuine.places("round_manifest") {
            for month in &months {
                let mut again = genuine.entries[manifest].body.clone();
                again["month"] = month.clone();
                let what = format!("{manifest} for {month}");
                self.whole("a month that had its round", &what, By::Everybody, Edit::Appended(vec![(manifest, again)]));
            }
        }
    }

    /// The log ends earlier; the coordinator signs that, or leaves the old cosignatures, or somebody cuts files.
    fn rolled_back(&mut self) {
        for end in 1..self.genuine.entries.len() {
            for by in [By::Stranger, By::Coordinator] {
                let (what, change) = (format!("to {end} entries"), Change::Entries(Edit::Cut, end));
                self.mutants.push(Mutant { kind: "rolled back", by, what, change });
            }
            let lines: Vec<_> = self.genuine.entries[..end].iter().map(|entry| entry.line.clone()).collect();
            let forger = Forger { genuine: self.genuine };
            let checkpoint = super::forger::text(&forger.checkpoint(super::forger::tree(&lines)));
            let older = forger.left(&lines).files;
            let change = Change::Files(Box::new(move |files| {
                files.files = older.clone();
                files.files.insert("checkpoint".into(), checkpoint.clone());
            }));
            let what = format!("to {end} entries, the cosignatures left");
            self.mutants.push(Mutant { kind: "rolled back", by: By::Coordinator, what, change });
        }
    }
}

/// Batches of an owner in the genuine log.
fn genuine_batches(genuine: &Genuine, owner: MemberNumber) -> u64 {
    let batches = genuine.places("enrolment_batch").into_iter();
    batches.filter(|batch| genuine.entries[*batch].who.is_some_and(|who| who.member == owner)).count() as u64
}

/// Bits flipped in each entry.
const FLIPS: usize = 2;
