//! What must come before what, and what may come once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Audited, Refusal, disclosures::Disclosures, ensure, list, number, text};

/// One evaluated batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The source, by its id.
    pub source: String,
    /// The roster owner, by its id.
    pub owner: String,
    /// The owner's number of the batch.
    pub batch: u64,
    /// Elements.
    pub count: u64,
}

/// The fold over all entries.
pub(super) struct Order {
    /// Ids of the members, by number.
    members: Vec<String>,
    /// Elements that each owner may ask of a source in an epoch.
    allowances: BTreeMap<String, u64>,
    audited: Audited,
    /// Types and files of all entries, by hash.
    entries: BTreeMap<String, Option<String>>,
    /// Hash and count of each owner's batches.
    batches: BTreeMap<String, Vec<(String, u64)>>,
    charged: BTreeMap<(String, u64, String), u64>,
    evaluated: BTreeSet<(String, String, u64)>,
    rounds: BTreeSet<String>,
    round: Option<Round>,
    disclosures: Disclosures,
}

/// The last round.
#[derive(Default)]
struct Round {
    hash: String,
    month: String,
    /// Files announced.
    files: BTreeMap<String, String>,
    /// Receipts, as the file or the owner that they are of.
    receipts: BTreeSet<String>,
    pools_closed: bool,
    listed: bool,
    rows_closed: bool,
    decided: BTreeSet<u64>,
    /// Owners that told of their canaries.
    canaries: BTreeSet<u64>,
    ended: bool,
}

type Outcome = Result<(), String>;

impl Order {
    pub(super) fn new(manifest: &Value) -> Result<Order, String> {
        let (members, allowances) = declared(manifest)?;
        Ok(Order {
            members,
            allowances,
            audited: Audited::default(),
            entries: BTreeMap::new(),
            batches: BTreeMap::new(),
            charged: BTreeMap::new(),
            evaluated: BTreeSet::new(),
            rounds: BTreeSet::new(),
            round: None,
            disclosures: Disclosures::new(manifest)?,
        })
    }

    /// Another version of the manifest is in force.
    pub(super) fn renew(&mut self, manifest: &Value) -> Outcome {
        ensure(self.round.as_ref().is_none_or(|round| round.ended), "another version while a round is open")?;
        (self.members, self.allowances) = declared(manifest)?;
        self.disclosures.renew(manifest)
    }

    /// Takes an entry with the hash of its line, and that of its body.
    pub(super) fn take(&mut self, body: &Value, who: &str, line: &str, hash: &str) -> Outcome {
        let kind = text(body, "type")?;
        let (id, role) = who.split_once('/').ok_or("a signer without a role")?;
        let speaker = match kind {
            "key_epoch" | "enrolment_batch" | "evaluation" | "failure" | "canaries" | "disclosure_request"
            | "approval" => Some("node"),
            "disclosure" => Some("aggregator"),
            "list" => Some("matcher"),
            "round_manifest" | "pools_closed" | "rows_closed" | "decisions" | "round_closed" | "round_abandoned" => {
                Some("coordinator")
            }
            _ => None,
        };
        ensure(speaker.is_none_or(|speaker| speaker == role), "of a role that may not state it")?;
        let file = if kind == "announcement" { Some(file_name(&body["file"])?) } else { None };
        ensure(self.entries.insert(line.to_owned(), file.clone()).is_none(), "in the log twice")?;
        match kind {
            "key_epoch" => Ok(()),
            "enrolment_batch" => self.batch(body, id, line),
            "evaluation" => self.evaluation(body, id),
            "refusal" => self.refusal(body, who),
            "deletion" => self.deletion(body, who, role),
            "disclosure_request" | "approval" | "disclosure" => self.disclosures.take(kind, body, id, line),
            "round_manifest" => self.open(body, hash),
            "announcement" | "receipt" | "failure" | "list" | "pools_closed" | "rows_closed" | "decisions"
            | "round_closed" | "round_abandoned" => self.in_round(kind, body, role, file),
            "canaries" => self.canaries(body, id),
            // Of an entry that rests on no other, signature and sequence are all there is to check.
            _ => Ok(()),
        }
    }

    /// The log ends here.
    pub(super) fn finish(mut self, entries: usize) -> Result<Audited, String> {
        ensure(self.round.as_ref().is_none_or(|round| round.ended), "the last round is not ended")?;
        self.audited.entries = entries;
        self.audited.disclosures = self.disclosures.answered();
        Ok(self.audited)
    }

    fn batch(&mut self, body: &Value, owner: &str, line: &str) -> Outcome {
        ensure(self.allowances.contains_key(owner), "a batch of somebody who owns no roster")?;
        let batches = self.batches.entry(owner.to_owned()).or_default();
        ensure(number(body, "batch")? == batches.len() as u64, "a batch out of its sequence")?;
        let count = number(body, "count")?;
        ensure(count > 0 && count.is_multiple_of(256), "a batch of an untold size")?;
        batches.push((line.to_owned(), count));
        Ok(())
    }

    fn evaluation(&mut self, body: &Value, source: &str) -> Outcome {
        let owner = member(&self.members, number(body, "owner")?)?;
        let (batch, count, epoch) = (number(body, "batch")?, number(body, "count")?, number(body, "epoch")?);
        let asked = self.batches.get(&owner).and_then(|batches| batches.get(batch as usize));
        let expected = (text(body, "entry")?.to_owned(), count);
        ensure(asked == Some(&expected), "an evaluation of another batch than was asked for")?;
        let new = self.evaluated.insert((source.to_owned(), owner.clone(), batch));
        ensure(new, "a batch evaluated and charged twice")?;
        let charged = self.charged.entry((source.to_owned(), epoch, owner.clone())).or_default();
        *charged += count;
        ensure(*charged <= self.allowances[&owner], "an evaluation beyond the budget")?;
        self.audited.charges.push(Charge { source: source.to_owned(), owner, batch, count });
        Ok(())
    }

    fn refusal(&mut self, body: &Value, who: &str) -> Outcome {
        let file = self.entries.get(text(body, "entry")?).ok_or("a refusal of nothing in the log")?.clone();
        self.audited.refusals.push(Refusal { by: who.to_owned(), file, reason: text(body, "reason")?.to_owned() });
        Ok(())
    }

    fn deletion(&mut self, body: &Value, who: &str, role: &str) -> Outcome {
        let (round, of) = (text(body, "round")?, text(body, "of")?);
        let keeper = match of {
            "files" => role != "coordinator",
            "bits" | "decisions" => role == "coordinator",
            "batches" | "answers" => role == "node",
            _ => return Err(format!("a deletion of {of}, which nobody keeps")),
        };
        ensure(keeper, "a deletion of what its signer does not keep")?;
        let open = self.round.as_ref().is_some_and(|last| last.hash == round && !last.ended);
        ensure(self.rounds.contains(round) && !open, "a deletion of a round that has not ended")?;
        let new = self.audited.deletions.insert((who.to_owned(), round.to_owned(), of.to_owned()));
        ensure(new, "a deletion said twice")
    }

    /// Once for each owner and round, when the owner is decided.
    fn canaries(&mut self, body: &Value, id: &str) -> Outcome {
        let named = text(body, "round")?;
        let Some(round) = self.round.as_mut().filter(|round| round.hash == named) else {
            return ensure(self.rounds.contains(named), "canaries of no round");
        };
        let owner = self.members.iter().position(|member| member == id).unwrap_or(usize::MAX) as u64;
        ensure(round.decided.contains(&owner), "canaries of an owner that is not decided")?;
        ensure(round.canaries.insert(owner), "canaries told twice")
    }

    fn open(&mut self, body: &Value, hash: &str) -> Outcome {
        ensure(text(body, "round")?.is_empty(), "a round manifest inside a round")?;
        ensure(self.round.as_ref().is_none_or(|round| round.ended), "a round is opened while another is open")?;
        ensure(self.rounds.insert(hash.to_owned()), "a round id is used again")?;
        let month = text(body, "month")?.to_owned();
        ensure(self.audited.months.last().is_none_or(|last| *last < month), "a month that has had its round")?;
        self.round = Some(Round { hash: hash.to_owned(), month, ..Round::default() });
        Ok(())
    }

    fn in_round(&mut self, kind: &str, body: &Value, role: &str, file: Option<String>) -> Outcome {
        let named = text(body, "round")?;
        let round = self.round.as_mut().ok_or("before any round")?;
        if named != round.hash || round.ended {
            // A member that did not know yet that its round has ended; an owner that has its decisions.
            let late = ["announcement", "receipt", "failure"].contains(&kind) && self.rounds.contains(named);
            return ensure(late, "of a round that is not open");
        }
        match (kind, file) {
            ("announcement", Some(file)) => {
                round.announce(body, role, &file)?;
                let key = (round.hash.clone(), file);
                self.audited.files.insert(key, text(body, "digest")?.to_owned());
                Ok(())
            }
            ("receipt", _) => round.receipt(body, role),
            ("failure", _) => Ok(()),
            ("list", _) => {
                round.list(body)?;
                self.audited.months.push(round.month.clone());
                Ok(())
            }
            _ => round.step(kind, body),
        }
    }
}

impl Round {
    fn announce(&mut self, body: &Value, role: &str, file: &str) -> Outcome {
        let (kind, rest) = file.split_once('-').ok_or("a file without a kind")?;
        let owner = rest.split('-').next().unwrap_or_default();
        let has = |name: String| self.files.contains_key(&name);
        let received = |of: &str| self.receipts.contains(&format!("{of}-{owner}"));
        let classes = ["strong_positive", "weak_positive", "strong_negative", "weak_negative"];
        let (maker, ready) = match kind {
            "pool" => ("node", true),
            "records" | "rows" => ("node", self.listed),
            "bitmap" => ("matcher", received("records")),
            "bits" => {
                let bitmaps = classes.iter().all(|class| has(format!("bitmap-{owner}-{class}")));
                ("aggregator", received("records") && received("rows") && bitmaps)
            }
            "decisions" => ("coordinator", has(format!("bits-{owner}"))),
            _ => return Err(format!("a file of unknown kind {kind}")),
        };
        ensure(role == maker, "a file announced by another role than makes it")?;
        ensure(ready, "a file announced before what it rests on")?;
        ensure(number(body, "count")?.is_multiple_of(256), "a count that tells more than it should")?;
        ensure(!self.files.contains_key(file), "a file announced twice")?;
        self.files.insert(file.to_owned(), text(body, "digest")?.to_owned());
        Ok(())
    }

    fn receipt(&mut self, body: &Value, role: &str) -> Outcome {
        let (of, giver, closed) = match text(body, "of")? {
            "pools" => (format!("pool-{}", number(body, "channel")?), "matcher", self.pools_closed),
            "records" => (format!("records-{}", number(body, "owner")?), "matcher", self.rows_closed),
            "rows" => (format!("rows-{}", number(body, "owner")?), "aggregator", self.rows_closed),
            "decisions" => return ensure(role == "node", "a receipt of decisions by a server"),
            other => return Err(format!("a receipt of {other}")),
        };
        ensure(role == giver, "a receipt of another role than holds the files")?;
        if closed {
            // It was under way when the close was logged, and has no effect.
            return Ok(());
        }
        ensure(of.starts_with("pool") || self.listed, "a receipt of records or rows before the list")?;
        let pools = |file: &&String| file.strip_prefix(&of).is_some_and(|rest| rest.starts_with('-'));
        let announced = !of.starts_with("pool") || self.files.keys().any(|file| pools(&file));
        ensure(announced, "a receipt of pools that were not announced")?;
        ensure(self.receipts.insert(of), "a receipt given twice")
    }

    fn list(&mut self, body: &Value) -> Outcome {
        ensure(self.pools_closed && !self.listed, "a list before the pools are closed, or a second one")?;
        let channels = list(body, "channels")?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
        let channels = channels.ok_or("a list of no numbers")?;
        let received: BTreeSet<String> = self.receipts.iter().filter(|of| of.starts_with("pool-")).cloned().collect();
        let listed: BTreeSet<String> = channels.iter().map(|channel| format!("pool-{channel}")).collect();
        ensure(channels.is_sorted() && listed == received, "a list of other channels than have a receipt")?;
        self.listed = true;
        Ok(())
    }

    fn step(&mut self, kind: &str, body: &Value) -> Outcome {
        let (step, before) = match kind {
            "pools_closed" => (&mut self.pools_closed, true),
            "rows_closed" => (&mut self.rows_closed, self.listed),
            "round_abandoned" => (&mut self.ended, !self.listed),
            "round_closed" => (&mut self.ended, self.rows_closed),
            "decisions" => {
                let owner = number(body, "owner")?;
                let announced = self.files.get(&format!("decisions-{owner}")).map(String::as_str);
                ensure(announced == Some(text(body, "digest")?), "totals of other decisions than were announced")?;
                return ensure(self.decided.insert(owner), "an owner decided twice");
            }
            other => return Err(format!("{other} inside a round")),
        };
        ensure(before && !*step, &format!("{kind} before its time, or a second time"))?;
        *step = true;
        Ok(())
    }
}

fn member(members: &[String], number: u64) -> Result<String, String> {
    members.get(number as usize).cloned().ok_or_else(|| format!("there is no member {number}"))
}

/// The name under which every party keeps a file.
fn file_name(file: &Value) -> Result<String, String> {
    let kind = text(file, "kind")?;
    let second = match kind {
        "pool" => Some(number(file, "group")?.to_string()),
        "records" => Some(number(file, "channel")?.to_string()),
        "rows" | "bitmap" => Some(text(file, "class")?.to_owned()),
        _ => None,
    };
    let first = number(file, if kind == "pool" { "channel" } else { "owner" })?;
    Ok(second.map_or_else(|| format!("{kind}-{first}"), |second| format!("{kind}-{first}-{second}")))
}

/// The members' ids by number, and the elements that each owner may ask of a source in an epoch.
fn declared(manifest: &Value) -> Result<(Vec<String>, BTreeMap<String, u64>), String> {
    let ids = list(manifest, "members")?.iter().map(|member| text(member, "id").map(str::to_owned));
    let members: Vec<String> = ids.collect::<Result<_, _>>()?;
    let mut allowances = BTreeMap::new();
    for owner in list(manifest, "owners")? {
        let up = |name| number(owner, name).map(|count| count.div_ceil(256) * 256);
        let allowance = up("people")? + number(owner, "months")? * up("newcomers")? + 1_024;
        allowances.insert(member(&members, number(owner, "member")?)?, allowance);
    }
    Ok((members, allowances))
}
