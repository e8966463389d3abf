//! A status in words, a line for each department, owner and wait.

use wugan_protocol::text::{Language, Say, clock};

use super::{Text, list};
use crate::status::{Awaited, DepartmentStatus, MatterStatus, OwnerStatus, Phase, RoundStatus, Status, Wait};

impl Status {
    /// The status in words.
    pub fn text(&self, language: Language) -> String {
        let (connected, parties, entries) = (self.connected.len(), self.parties, self.entries);
        let mut lines = vec![Text::Connected { connected, parties, entries }.said(language)];
        lines.push(Text::Version { version: self.version }.said(language));
        lines.extend(self.next_version.map(|version| Text::NextVersion { version }.said(language)));
        match &self.round {
            None => lines.push(self.phase.said(language)),
            Some(round) => lines.extend(round_lines(language, self.phase, round)),
        }
        lines.join("\n")
    }
}

fn round_lines(language: Language, phase: Phase, round: &RoundStatus) -> Vec<String> {
    let headline = Text::Headline { month: round.month, phase, since: clock(round.since) };
    let mut lines = vec![headline.said(language), Text::Departments.said(language)];
    lines.extend(round.departments.iter().map(|status| department(language, status)));
    lines.push(Text::Owners.said(language));
    lines.extend(round.owners.iter().flat_map(|status| owner(language, status)));
    if !round.waits_for.is_empty() {
        lines.push(Text::WaitsFor.said(language));
        lines.extend(round.waits_for.iter().map(|waiting| format!("  {}", wait(language, waiting).said(language))));
    }
    lines
}

fn department(language: Language, status: &DepartmentStatus) -> String {
    let mut parts = vec![format!("{}/{}", status.received, status.channels)];
    parts.extend((!status.connected).then(|| Text::Offline.said(language)));
    parts.extend(status.failed.iter().map(|failed| format!("{}: {}", failed.channel, failed.reason.said(language))));
    format!("  {}: {}", status.id, list(language, parts))
}

fn owner(language: Language, status: &OwnerStatus) -> Vec<String> {
    let steps = [
        (status.announced, Text::Files),
        (!status.announced, Text::NoFiles),
        (status.records, Text::Records),
        (status.rows, Text::Rows),
        (status.decided, Text::Decided),
        (status.delivered, Text::Delivered),
        (!status.connected, Text::Offline),
    ];
    let steps = steps.into_iter().filter(|(reached, _)| *reached).map(|(_, text)| text.said(language));
    let failed = status.failed.map(|failed| failed.said(language));
    let mut lines = vec![format!("  {}: {}", status.id, list(language, steps.chain(failed)))];
    lines.extend(status.matters.iter().map(|status| matter(language, status)));
    lines
}

fn matter(language: Language, status: &MatterStatus) -> String {
    let counts = status.counts.iter().map(|count| {
        let about = count.about.map_or_else(|| Text::Fewer.said(language), |about| about.to_string());
        format!("{} {about}", count.decision.said(language))
    });
    format!("    {}: {}", status.id, list(language, counts))
}

fn wait(language: Language, wait: &Wait) -> Text {
    let what = match &wait.what {
        Awaited::Pools { channels } => Text::AwaitPools { channels: list(language, channels) },
        Awaited::PoolsTime { from } => Text::AwaitTime { from: clock(*from) },
        Awaited::PoolReceipts {} => Text::AwaitPoolReceipts,
        Awaited::List {} => Text::AwaitList,
        Awaited::Files { until } => Text::AwaitFiles { until: clock(*until) },
        Awaited::RecordsReceipt { owner } => Text::AwaitRecords { owner: owner.clone() },
        Awaited::RowsReceipt { owner } => Text::AwaitRows { owner: owner.clone() },
        Awaited::Bitmaps { owner } => Text::AwaitBitmaps { owner: owner.clone() },
        Awaited::Bits { owner } => Text::AwaitBits { owner: owner.clone() },
        Awaited::Decisions { owner } => Text::AwaitDecisions { owner: owner.clone() },
        Awaited::Delivery {} => Text::AwaitDelivery,
    };
    Text::Wait { who: wait.who.clone(), what: Box::new(what), since: clock(wait.since), why: wait.why }
}
