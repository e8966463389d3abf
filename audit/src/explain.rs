//! A round on one page, in words.

use wugan_protocol::{
    policy::Policy,
    reason::Reason,
    statement::{CanaryOutcome, DecisionCount, Kept},
    text::{Language, Say, clock},
    texts,
};

use crate::story::{Deletion, Department, Matter, Outcome, Owner, Refusal, Story, Times};

impl Story {
    /// The page.
    pub fn page(&self, language: Language) -> String {
        let page = Page { policy: &self.policy, language };
        let mut lines = page.head(self);
        lines.extend(page.sources(self));
        lines.push(String::new());
        lines.extend(self.owners.iter().flat_map(|owner| page.owner(owner)));
        lines.push(String::new());
        lines.extend(page.rest(self));
        lines.join("\n")
    }
}

struct Page<'a> {
    policy: &'a Policy,
    language: Language,
}

impl Page<'_> {
    fn say(&self, words: &Words) -> String {
        words.said(self.language)
    }

    fn list(&self, parts: impl IntoIterator<Item = String>) -> String {
        parts.into_iter().collect::<Vec<_>>().said(self.language)
    }

    fn head(&self, story: &Story) -> Vec<String> {
        let (federation, month, outcome) = (story.federation.clone(), story.month, story.outcome);
        let (first, last) = story.entries;
        let mut lines = vec![self.say(&Words::Title { federation, month, outcome })];
        lines.push(self.say(&Words::Round { round: story.round.to_string(), first, last }));
        lines.extend(steps(&story.times).map(|(step, time)| format!("  {}  {}", clock(time), self.say(&step))));
        lines.push(String::new());
        lines
    }

    /// Who took part, and who did not.
    fn sources(&self, story: &Story) -> Vec<String> {
        let (listed, channels) = story.channels();
        let tags = story.departments.iter().flat_map(|department| &department.channels).map(|channel| channel.tags);
        let departments = story.departments.len();
        let mut lines = vec![self.say(&Words::Sources { listed, channels, departments, tags: tags.sum() })];
        lines.extend(story.missing().into_iter().map(|department| self.missing(department)));
        lines
    }

    fn missing(&self, department: &Department) -> String {
        let missing = department.channels.iter().filter(|channel| channel.listed == Some(false));
        let channels = missing.map(|channel| match channel.failed {
            Some(reason) => {
                let (channel, reason) = (self.channel(channel.number), reason);
                self.say(&Words::Failed { channel, reason })
            }
            None => self.channel(channel.number),
        });
        let (department, channels) = (self.department(department.number), self.list(channels));
        format!("  {}", self.say(&Words::Missing { department, channels }))
    }

    fn owner(&self, owner: &Owner) -> Vec<String> {
        let name = self.department(owner.number);
        let state = match (owner.failed, owner.complete, owner.delivered) {
            (Some(reason), ..) => State::Failed(reason),
            (None, true, true) => State::Delivered,
            (None, true, false) => State::Complete,
            (None, false, _) => State::Absent,
        };
        let (records, elements, batches) = (owner.records, owner.elements, owner.batches);
        let mut lines = vec![self.say(&Words::Owner { name, state, records, elements, batches })];
        lines.extend(owner.matters.iter().map(|matter| self.matter(matter)));
        lines.extend(owner.canaries.map(|outcome| format!("    {}", self.say(&canaries(outcome)))));
        lines
    }

    fn matter(&self, matter: &Matter) -> String {
        let counts = matter.counts.iter().map(|count| {
            let (decision, about) = (count.decision.said(self.language), told(count).said(self.language));
            format!("{decision} {about}")
        });
        let counts = self.list(counts);
        let name = self.policy.matters.iter().find(|other| other.number == matter.number);
        let name = name.map_or_else(|| matter.id.clone(), |other| other.name.said(self.language));
        let line = self.say(&Words::Matter { name, counts });
        match matter.missing.len() {
            0 => format!("    {line}"),
            missing => format!("    {line} {}", self.say(&Words::MatterMissing { missing })),
        }
    }

    fn rest(&self, story: &Story) -> Vec<String> {
        let mut lines: Vec<String> = story.refusals.iter().map(|refusal| self.refusal(refusal)).collect();
        if lines.is_empty() {
            lines.push(self.say(&Words::NoRefusals));
        }
        lines.extend(cosigned(story).map(|words| self.say(&words)));
        lines.extend(story.disclosures.iter().map(|totals| totals.text(self.language)));
        lines.extend(story.deletions.iter().map(|deletion| self.deletion(deletion)));
        lines
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        let (entry, by, reason) = (refusal.entry, refusal.by.clone(), refusal.reason);
        match refusal.refused {
            Some(refused) => self.say(&Words::Refused { entry, by, refused, reason }),
            None => self.say(&Words::RefusedUnlogged { entry, by, reason }),
        }
    }

    fn deletion(&self, deletion: &Deletion) -> String {
        let (party, time) = (deletion.party.clone(), clock(deletion.time));
        self.say(&Words::Deleted { party, what: What::from(deletion.of), time })
    }

    fn department(&self, number: u16) -> String {
        let department = self.policy.departments.get(usize::from(number));
        department.map_or_else(|| number.to_string(), |department| department.name.said(self.language))
    }

    fn channel(&self, number: u16) -> String {
        let channel = self.policy.channel(number);
        channel.map_or_else(|| number.to_string(), |channel| channel.name.said(self.language))
    }
}

/// The steps of a round that are over, and when.
pub(crate) fn steps(times: &Times) -> impl Iterator<Item = (Words, u64)> {
    let steps = [
        (Words::Opened, Some(times.opened)),
        (Words::PoolsClosed, times.pools_closed),
        (Words::Listed, times.listed),
        (Words::RowsClosed, times.rows_closed),
        (Words::Ended, times.ended),
    ];
    steps.into_iter().filter_map(|(step, time)| Some((step, time?)))
}

/// By how many members a round's end was cosigned: only one that counts is.
pub(crate) fn cosigned(story: &Story) -> Option<Words> {
    let (cosigned, quorum) = (story.cosigned.len(), story.quorum);
    (story.outcome == Outcome::Closed).then_some(Words::Cosigned { cosigned, quorum })
}

/// What became of an owner's canaries.
pub(crate) fn canaries(outcome: CanaryOutcome) -> Words {
    let CanaryOutcome { as_expected, deferred, other, .. } = outcome;
    Words::Canaries { as_expected, deferred, other }
}

/// A count as the log tells it.
pub(crate) fn told(count: &DecisionCount) -> Words {
    count.about.map_or(Words::Fewer, |about| Words::About { about })
}

texts! {
    /// What stands on the page.
    #[derive(Clone, Debug)]
    pub(crate) enum Words {
        Title { federation: String, month: wugan_protocol::month::Month, outcome: Outcome }
            "{federation}, round of {month}: {outcome}"
            "{federation} {month} 轮次：{outcome}";
        Round { round: String, first: u64, last: u64 }
            "round {round}, entries {first} to {last} of the log"
            "轮次 {round}，日志条目 {first} 至 {last}";
        Opened "opened" "开启";
        PoolsClosed "pools closed" "数据池关闭";
        Listed "list of channels signed" "渠道名单签署";
        RowsClosed "records and rows closed" "名册数据关闭";
        Ended "ended" "结束";
        Sources { listed: usize, channels: usize, departments: usize, tags: u64 }
            "Sources: {listed} of {channels} channels of {departments} departments took part, with about {tags} tags"
            "数据来源：{departments} 个部门 {channels} 个渠道中有 {listed} 个参加，标签约 {tags} 个";
        Missing { department: String, channels: String } "missing: {department} ({channels})" "缺席：{department}（{channels}）";
        Failed { channel: String, reason: Reason } "{channel}: {reason}" "{channel}：{reason}";
        Owner { name: String, state: State, records: u64, elements: u64, batches: u64 }
            "{name}: {state}; about {records} records; {elements} elements enrolled in {batches} batches"
            "{name}：{state}；记录约 {records} 条；分 {batches} 批登记元素 {elements} 个";
        Matter { name: String, counts: String } "{name}: {counts}" "{name}：{counts}";
        MatterMissing { missing: usize } "(channels missing: {missing})" "（缺少渠道 {missing} 个）";
        About { about: u64 } "{about}" "{about}";
        Fewer "<8" "<8";
        Canaries { as_expected: u64, deferred: u64, other: u64 }
            "canaries: {as_expected} as expected, {deferred} deferred, {other} otherwise"
            "哨兵：符合预期 {as_expected}，暂缓 {deferred}，不符 {other}";
        NoRefusals "Nobody refused anything." "无人拒绝任何内容。";
        Refused { entry: u64, by: String, refused: u64, reason: Reason }
            "Entry {entry}: {by} refused entry {refused}: {reason}"
            "条目 {entry}：{by} 拒绝条目 {refused}：{reason}";
        RefusedUnlogged { entry: u64, by: String, reason: Reason }
            "Entry {entry}: {by} refused something that is not in the log: {reason}"
            "条目 {entry}：{by} 拒绝了日志中没有的内容：{reason}";
        Cosigned { cosigned: usize, quorum: u16 }
            "Cosigned at its end by {cosigned} members outside the coordinator's bureau; {quorum} must."
            "结束时由协调方单位以外的 {cosigned} 个成员联署；至少须 {quorum} 个。";
        Deleted { party: String, what: What, time: String }
            "Deleted since, its retention time over: {what} at {party}, {time}"
            "保存期满已删除：{party} 的{what}，{time}";
    }
}

texts! {
    /// How far an owner came.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum State {
        Delivered "decided and delivered" "已认定并送达";
        Complete "took part" "已参加";
        Absent "absent: its people keep what they have" "缺席：其人员维持原状";
        Failed(reason: Reason) "could not take part: {reason}" "无法参加：{reason}";
    }
}

texts! {
    /// What somebody kept.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum What {
        Files "files of the round" "本轮文件";
        Bits "signal bits" "信号位";
        Decisions "decisions" "认定结果";
        Batches "enrolment batches" "登记批次";
        Answers "answers to enrolment batches" "登记批次的应答";
    }
}

impl From<Kept> for What {
    fn from(kept: Kept) -> What {
        match kept {
            Kept::Files => What::Files,
            Kept::Bits => What::Bits,
            Kept::Decisions => What::Decisions,
            Kept::Batches => What::Batches,
            Kept::Answers => What::Answers,
        }
    }
}
