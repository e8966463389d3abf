//! Who asked for a disclosure, who approved it, and that it was answered only then.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz};
use serde_json::Value;

use super::{ensure, list, number, text};

/// Every request, by the hash of its line.
pub(super) struct Disclosures {
    /// The coordinator's department.
    bureau: String,
    per_month: u64,
    requests: BTreeMap<String, Request>,
    /// Requests of each owner in each calendar month.
    asked: BTreeMap<(String, String), u64>,
}

struct Request {
    owner: String,
    round: String,
    approvals: BTreeSet<String>,
    answered: bool,
}

impl Disclosures {
    /// Another version of the manifest is in force.
    pub(super) fn renew(&mut self, manifest: &Value) -> Result<(), String> {
        self.per_month = number(manifest, "disclosures_per_month")?;
        Ok(())
    }

    pub(super) fn new(manifest: &Value) -> Result<Disclosures, String> {
        let coordinates = |member: &&Value| {
            let roles = member["roles"].as_array().into_iter().flatten();
            roles.into_iter().any(|role| role["role"] == "coordinator")
        };
        let bureau = list(manifest, "members")?.iter().find(coordinates).ok_or("nobody is the coordinator")?;
        Ok(Disclosures {
            bureau: text(bureau, "id")?.to_owned(),
            per_month: number(manifest, "disclosures_per_month")?,
            requests: BTreeMap::new(),
            asked: BTreeMap::new(),
        })
    }

    pub(super) fn take(&mut self, kind: &str, body: &Value, who: &str, line: &str) -> Result<(), String> {
        if kind == "disclosure_request" {
            return self.request(body, who, line);
        }
        let request = self.requests.get_mut(text(body, "request")?).ok_or("about a request that is not in the log")?;
        ensure(text(body, "round")? == request.round, "bound to another round than its request")?;
        if kind == "approval" {
            ensure(who != request.owner && who != self.bureau, "an approval by the owner or the coordinator's bureau")?;
            return ensure(request.approvals.insert(who.to_owned()), "approved twice by one member");
        }
        ensure(request.approvals.len() >= 2, "a disclosure without two approvals")?;
        ensure(!std::mem::replace(&mut request.answered, true), "a disclosure said twice")
    }

    fn request(&mut self, body: &Value, who: &str, line: &str) -> Result<(), String> {
        let time = i64::try_from(number(body, "time")?).ok().and_then(|time| Timestamp::from_second(time).ok());
        let time = time.ok_or("a time that cannot be")?;
        let month = tz::offset(8).to_datetime(time).strftime("%Y-%m").to_string();
        let asked = self.asked.entry((who.to_owned(), month)).or_default();
        *asked += 1;
        ensure(*asked <= self.per_month, "more requests than the manifest allows")?;
        let (owner, round) = (who.to_owned(), text(body, "round")?.to_owned());
        let request = Request { owner, round, approvals: BTreeSet::new(), answered: false };
        self.requests.insert(line.to_owned(), request);
        Ok(())
    }

    /// What was answered: whose it is, and who approved it.
    pub(super) fn answered(self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let answered = self.requests.into_iter().filter(|(_, request)| request.answered);
        answered.map(|(line, request)| (line, (request.owner, request.approvals))).collect()
    }
}
