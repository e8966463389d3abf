//! What a department's staff reads, in English and Chinese.

use wugan_protocol::{
    disclosure::DisclosureReason,
    month::Month,
    policy::{Class, Decision},
    reason::Reason,
    text::{Language, Say, clock},
    texts,
};

use crate::admin::{Listed, Name, Refusal, Response, State};

impl Response {
    /// The answer in words: what was done, or why not and what to do next.
    pub fn text(&self, language: Language) -> String {
        match self {
            Response::Asked { request, month, left } => {
                Text::Asked { request: request.to_string(), month: *month, left: *left }.said(language)
            }
            Response::Approved { request } => Text::Approved { request: request.to_string() }.said(language),
            Response::Requests { requests } if requests.is_empty() => Text::NoRequests.said(language),
            Response::Requests { requests } => {
                requests.iter().map(|listed| listed.text(language)).collect::<Vec<_>>().join("\n\n")
            }
            Response::Refused { refusal } => refusal.text(language).said(language),
        }
    }
}

impl Listed {
    /// The request in words: who asks about what, why, and how far it is.
    pub fn text(&self, language: Language) -> String {
        let lines = [
            Text::Who { request: self.request.to_string(), owner: self.owner.said(language) },
            Text::What { matter: self.matter.said(language), month: self.month, class: ClassName::of(self.class) },
            Text::Why { reason: self.reason, time: clock(self.time) },
            match self.approvals.as_slice() {
                [] => Text::NoApprovals,
                names => Text::Approvals { names: names.iter().map(|name| name.said(language)).collect() },
            },
            self.state.text(self.own),
        ];
        lines.map(|line| line.said(language)).join("\n  ")
    }

    /// What somebody agrees to who approves it.
    pub fn question(&self, language: Language) -> String {
        let (owner, matter) = (self.owner.said(language), self.matter.said(language));
        Text::Question { owner, matter, month: self.month, class: ClassName::of(self.class) }.said(language)
    }
}

impl State {
    fn text(self, own: bool) -> Text {
        match self {
            State::Open { lacking } => Text::Open { lacking },
            State::Approved {} => Text::AwaitsAnswer,
            State::Answered {} if own => Text::AnswerComes,
            State::Answered {} => Text::Answered,
            State::Written {} => Text::Written,
            State::Refused { reason } => Text::RefusedState { reason },
            State::Deleted {} => Text::DeletedState,
        }
    }
}

impl Name {
    /// What a policy calls something; whatever has no name goes by its id.
    pub(crate) fn of(id: &str, name: Option<&wugan_protocol::policy::Name>) -> Name {
        let said = |language| name.map_or_else(|| id.to_owned(), |name| name.said(language));
        Name { id: id.to_owned(), zh: said(Language::Chinese), en: said(Language::English) }
    }

    fn said(&self, language: Language) -> String {
        let name = if language == Language::Chinese { &self.zh } else { &self.en };
        if name.is_empty() { self.id.clone() } else { name.clone() }
    }
}

impl Refusal {
    fn text(&self, language: Language) -> Text {
        match self {
            Refusal::Unreadable {} => Text::Unreadable,
            Refusal::NotAnOwner {} => Text::NotAnOwner,
            Refusal::OtherMatter { own } => Text::OtherMatter { own: own.said(language) },
            Refusal::NoRound {} => Text::NoRound,
            Refusal::RoundOpen {} => Text::RoundOpen,
            Refusal::RetentionOver {} => Text::RetentionOver,
            Refusal::NoDecisions {} => Text::NoDecisions,
            Refusal::NotAPerson {} => Text::NotAPerson,
            Refusal::UnknownPerson {} => Text::UnknownPerson,
            Refusal::NotSuspected { decision } => Text::NotSuspected { decision: *decision },
            Refusal::NoNegativeClass {} => Text::NoNegativeClass,
            Refusal::Limit { most, month } => Text::Limit { most: *most, month: *month },
            Refusal::AskedBefore {} => Text::AskedBefore,
            Refusal::Busy {} => Text::Busy,
            Refusal::Note { bytes_max } => Text::Note { bytes_max: *bytes_max },
            Refusal::Files { error } => Text::Files { error: error.clone() },
            Refusal::UnknownRequest {} => Text::UnknownRequest,
            Refusal::OwnRequest {} => Text::OwnRequest,
            Refusal::Bureau {} => Text::Bureau,
            Refusal::ApprovedBefore {} => Text::ApprovedBefore,
            Refusal::Ended {} => Text::Ended,
            Refusal::Rule { reason } => Text::Rule { reason: *reason },
        }
    }
}

texts! {
    /// What the staff reads.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Text {
        Asked { request: String, month: Month, left: u64 }
            "request {request} is on its way to the log. Two departments, neither yours nor the coordinator's, have to approve \
             it (`wugan-node approve {request}`); the answer will then be in disclosures/{month}.csv. Requests left this \
             calendar month: {left}"
            "请求 {request} 正在写入日志。须由两个部门批准（本部门与协调方除外，命令为 `wugan-node approve {request}`），\
             答复随后写入 disclosures/{month}.csv。本自然月剩余次数：{left}";
        Approved { request: String }
            "your approval of {request} is on its way to the log"
            "对请求 {request} 的批准正在写入日志";
        NoRequests "no request is open" "没有待处理的请求";
        Who { request: String, owner: String }
            "{request}: {owner} asks which records raised a suspicion"
            "{request}：{owner} 请求披露引起疑似认定的记录";
        What { matter: String, month: Month, class: ClassName }
            "about one person at {matter}, {month}; of the records, only the {class}"
            "涉及 {matter} {month} 月的一名人员；仅限{class}";
        Why { reason: DisclosureReason, time: String }
            "because {reason} (asked {time})"
            "理由：{reason}（{time} 提出）";
        NoApprovals "approved by nobody yet" "尚无部门批准";
        Approvals { names: Vec<String> } "approved by {names}" "已批准：{names}";
        Open { lacking: u64 } "approvals lacking: {lacking}" "尚缺批准：{lacking}";
        AwaitsAnswer "approved; the aggregator's answer is awaited" "已获批准；等待汇总方答复";
        AnswerComes "answered; the answer is on its way" "已答复；答复正在送达";
        Answered "answered" "已答复";
        Written "answered; the answer is in the department's folder disclosures/" "已答复；答复在本部门文件夹 disclosures/ 中";
        RefusedState { reason: Reason } "refused by the aggregator: {reason}" "汇总方拒绝：{reason}";
        DeletedState
            "never answered: the retention time is over"
            "未获答复：保存期已满";
        Question { owner: String, matter: String, month: Month, class: ClassName }
            "By approving you agree that {owner} learns which departments' {class} led to the suspicion of this one person at \
             {matter} in {month}. Your approval stands in the log under your department's name. Approve? [y/N] "
            "批准即表示同意 {owner} 获知：该人员在 {matter} {month} 月被列为疑似，是由哪些部门的{class}引起的。批准将以本部门\
             名义写入日志。是否批准？[y/N] ";
        Unreadable "not a request; see `wugan-node --help`" "无法识别的请求；用法见 `wugan-node --help`";
        NotAnOwner
            "this department pays no benefit, so it has no suspicion to ask about; it may approve requests of others"
            "本部门不发放待遇，没有可查询的疑似认定；可批准其他部门的请求";
        OtherMatter { own: String }
            "the matter is none of this department's; its matters are {own}"
            "该事项不属于本部门；本部门事项：{own}";
        NoRound
            "no round of that month counts; see `decisions/` for the months that do"
            "该月没有有效轮次；有效月份见 `decisions/`";
        RoundOpen "the round of that month is not closed yet; ask again when it is" "该月轮次尚未关闭；请在关闭后再试";
        RetentionOver
            "the retention time of that month's round is over: nobody has the files any more; ask about a later month"
            "该月轮次的保存期已满，相关文件均已删除；请查询更晚的月份";
        NoDecisions
            "this department has no decisions of that month, or they have not arrived; see `decisions/`"
            "本部门没有该月的认定结果，或结果尚未送达；见 `decisions/`";
        NotAPerson
            "the person file holds no valid ID number; it must hold one, and nothing else"
            "人员文件中没有有效的证件号码；该文件只应包含一个证件号码";
        UnknownPerson
            "the person was not on the roster of that matter in that month; check number, matter and month"
            "该人员当月不在此事项名册中；请核对证件号码、事项和月份";
        NotSuspected { decision: Decision }
            "the person's decision is {decision}, not suspected; only a suspicion may be asked about"
            "该人员的认定结果为“{decision}”，并非疑似；只能查询疑似认定";
        NoNegativeClass
            "the rule that raised the suspicion asks for no negative records, so there is none to disclose"
            "引起疑似认定的规则不涉及反向记录，没有可披露的内容";
        Limit { most: u64, month: Month }
            "this department has used its {most} requests of {month}, as the federation manifest allows; ask again next month"
            "本部门已用完 {month} 月的 {most} 次请求（联合体清单的上限）；请下月再试";
        AskedBefore
            "your department has asked about this person, matter and month; see `wugan-node requests`"
            "本部门已就该人员、事项和月份提出过请求；见 `wugan-node requests`";
        Busy "another request is being looked up; try again in a moment" "另一请求正在查找中；请稍后再试";
        Note { bytes_max: u64 }
            "the note must say in words why it is asked, in 1 to {bytes_max} bytes"
            "说明文件须写明请求理由，长度为 1 至 {bytes_max} 字节";
        Files { error: String }
            "files of that round cannot be read: {error}; check disk and rights, then ask again"
            "该轮次的文件无法读取：{error}；请检查磁盘与权限后再试";
        UnknownRequest
            "the log shows no open request of that name; see `wugan-node requests`"
            "日志中没有以此开头的待处理请求；见 `wugan-node requests`";
        OwnRequest
            "this is your own department's request; two other departments have to approve it"
            "这是本部门自己的请求；须由另外两个部门批准";
        Bureau
            "the coordinator's bureau may not approve; ask another department"
            "协调方所在部门不得批准；请由其他部门批准";
        ApprovedBefore "your department has approved it" "本部门已批准该请求";
        Ended "it was answered or refused; nothing is left to approve" "该请求已有答复或已被拒绝，无须批准";
        Rule { reason: Reason } "against the rules of the log: {reason}" "不符合日志规则：{reason}";
    }
}

texts! {
    /// A class of records.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum ClassName {
        StrongPositive "strong positive records" "强正向记录";
        WeakPositive "weak positive records" "弱正向记录";
        StrongNegative "strong negative records (such as a death or a prison term)" "强反向记录（如死亡、服刑）";
        WeakNegative "weak negative records (such as a report)" "弱反向记录（如上报线索）";
    }
}

impl ClassName {
    fn of(class: Class) -> ClassName {
        match class {
            Class::StrongPositive => ClassName::StrongPositive,
            Class::WeakPositive => ClassName::WeakPositive,
            Class::StrongNegative => ClassName::StrongNegative,
            Class::WeakNegative => ClassName::WeakNegative,
        }
    }
}
