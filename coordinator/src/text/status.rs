//! A status in words, a line for each department, owner and wait.

use super::{Language, Text, clock, decision, list, reason, say};
use crate::status::{Awaited, DepartmentStatus, MatterStatus, OwnerStatus, Phase, RoundStatus, Status, Wait, Why};

impl Status {
    /// The status in words.
    pub fn text(&self, language: Language) -> String {
        let (connected, parties) = (self.connected.len(), self.parties);
        let mut lines = vec![say(language, Text::Connected, &[&connected, &parties, &self.entries])];
        match &self.round {
            None => lines.push(phase(language, self.phase)),
            Some(round) => lines.extend(round_lines(language, self.phase, round)),
        }
        lines.join("\n")
    }
}

fn round_lines(language: Language, now: Phase, round: &RoundStatus) -> Vec<String> {
    let heading = |text| say(language, text, &[]);
    let mut lines = vec![say(language, Text::Headline, &[&round.month, &phase(language, now), &clock(round.since)])];
    lines.push(heading(Text::Departments));
    lines.extend(round.departments.iter().map(|status| department(language, status)));
    lines.push(heading(Text::Owners));
    lines.extend(round.owners.iter().flat_map(|status| owner(language, status)));
    if !round.waits_for.is_empty() {
        lines.push(heading(Text::WaitsFor));
        lines.extend(round.waits_for.iter().map(|waiting| wait(language, waiting)));
    }
    lines
}

fn phase(language: Language, phase: Phase) -> String {
    let text = match phase {
        Phase::Idle => Text::PhaseIdle,
        Phase::Pools => Text::PhasePools,
        Phase::List => Text::PhaseList,
        Phase::Rows => Text::PhaseRows,
        Phase::Deciding => Text::PhaseDeciding,
        Phase::Closed => Text::PhaseClosed,
        Phase::Abandoned => Text::PhaseAbandoned,
    };
    say(language, text, &[])
}

fn department(language: Language, status: &DepartmentStatus) -> String {
    let mut parts = vec![format!("{}/{}", status.received, status.channels)];
    parts.extend((!status.connected).then(|| say(language, Text::Offline, &[])));
    parts.extend(status.failed.iter().map(|failed| format!("{}: {}", failed.channel, reason(language, failed.reason))));
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
    let steps = steps.into_iter().filter(|(reached, _)| *reached).map(|(_, text)| say(language, text, &[]));
    let failed = status.failed.map(|failed| reason(language, failed));
    let mut lines = vec![format!("  {}: {}", status.id, list(language, steps.chain(failed)))];
    lines.extend(status.matters.iter().map(|status| matter(language, status)));
    lines
}

fn matter(language: Language, status: &MatterStatus) -> String {
    let counts = status.counts.iter().map(|count| {
        let about = count.about.map_or_else(|| say(language, Text::Fewer, &[]), |about| about.to_string());
        format!("{} {about}", decision(language, count.decision))
    });
    format!("    {}: {}", status.id, list(language, counts))
}

fn wait(language: Language, wait: &Wait) -> String {
    let what = awaited(language, &wait.what);
    format!("  {}", say(language, Text::Wait, &[&wait.who, &what, &clock(wait.since), &why(language, wait.why)]))
}

fn awaited(language: Language, what: &Awaited) -> String {
    let say = |text, part: &dyn std::fmt::Display| say(language, text, &[part]);
    match what {
        Awaited::Pools { channels } => say(Text::AwaitPools, &list(language, channels)),
        Awaited::PoolsTime { from } => say(Text::AwaitTime, &clock(*from)),
        Awaited::List {} => say(Text::AwaitList, &""),
        Awaited::Files { until } => say(Text::AwaitFiles, &clock(*until)),
        Awaited::RecordsReceipt { owner } => say(Text::AwaitRecords, owner),
        Awaited::RowsReceipt { owner } => say(Text::AwaitRows, owner),
        Awaited::Bitmaps { owner } => say(Text::AwaitBitmaps, owner),
        Awaited::Bits { owner } => say(Text::AwaitBits, owner),
        Awaited::Decisions { owner } => say(Text::AwaitDecisions, owner),
        Awaited::Delivery {} => say(Text::AwaitDelivery, &""),
    }
}

fn why(language: Language, why: Why) -> String {
    match why {
        Why::NotConnected {} => say(language, Text::Offline, &[]),
        Why::Failed { reason: failed } => reason(language, failed),
        Why::Refused {} => say(language, Text::Refused, &[]),
        Why::UnderWay {} => say(language, Text::UnderWay, &[]),
        Why::NotYet {} => say(language, Text::NotYet, &[]),
    }
}
