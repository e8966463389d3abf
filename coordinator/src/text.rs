//! What the coordinator's staff reads, in English and Chinese.

mod answer;
mod status;

use wugan_protocol::{
    month::Month,
    reason::Reason,
    text::{Language, Say},
    texts,
};

use crate::status::{Phase, Why};

texts! {
    /// What the staff reads.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum Text {
        Unreadable
            "not a request; see `wugan-coordinator --help`"
            "无法识别的请求；用法见 `wugan-coordinator --help`";
        NoWitness
            "no member has connected since this program started, so nobody has confirmed that its log is the latest; wait until a node connects"
            "程序启动后尚无成员连接，无人确认本机日志为最新；请等待任一节点连接后再操作";
        RoundOpen { month: Month }
            "the round of {month} is open; close or abandon it first"
            "{month} 的轮次尚未结束；请先关闭或作废";
        NoRound "no round is open; open one first" "当前没有进行中的轮次；请先开启";
        MonthNotLater { month: Month }
            "the month of {month} already counts; open a later one"
            "{month} 已计为有效月份；请开启更晚的月份";
        TooSoon { from: String, days: u64 }
            "the policy asks for {days} days between rounds; open it from {from} on"
            "策略要求两轮之间至少间隔 {days} 天；请在 {from} 之后开启";
        KeysMissing { departments: String }
            "no key is announced by {departments}; collect their announcements and start again"
            "{departments} 尚未公布密钥；请收集其密钥公告后再试";
        Times { days: u64 }
            "the times are not in order: enrolment must end before the rows, and nothing later than {days} days from now"
            "时间设置有误：登记截止不得晚于数据截止，且均须在 {days} 天之内";
        CloseTooEarly { from: String }
            "pools may be closed from {from} on, as the round's manifest says"
            "按轮次清单，{from} 之后方可关闭数据池";
        TooManyMissing { most: u64, missing: String }
            "more departments are missing than the {most} that the policy allows; call them: {missing}"
            "缺席部门超过策略允许的 {most} 个；请联系：{missing}";
        Needed { needed: String, missing: String }
            "{needed} may not be missing at all; call: {missing}"
            "{needed} 不得缺席；请联系：{missing}";
        AwaitsList
            "pools are closed; the matcher has to sign the list first: see that it is connected"
            "数据池已关闭；须先由匹配方签署名单，请确认其已连接";
        OwnersIncomplete { owners: String, until: String }
            "records or rows of {owners} are on the way; wait for them, or close after {until}"
            "{owners} 的数据正在传送；请等待，或在 {until} 之后关闭";
        OwnersUndecided { owners: String, until: String }
            "the round ends by itself when {owners} is decided; see the logs of matcher and aggregator, or close it without that after {until}"
            "{owners} 认定后轮次自动结束；请查看匹配方与汇总方日志，或在 {until} 之后不含其结论关闭";
        ListLogged
            "the list is logged, so this month counts and cannot be abandoned; close it as it is"
            "名单已入日志，本月已计数，不能作废；请按现状关闭";
        Undelivered { owners: String }
            "{owners} would leave without the decisions of the last round; they are sent once its node is connected: see `round status`"
            "{owners} 尚未收到上一轮结论便将退出；其节点连接后即会送达，请查看 `round status`";
        AwaitsCosigners { cosigned: u64, quorum: u64, until: String }
            "{cosigned} of {quorum} members have cosigned the last round's end; members cosign once connected, and are waited for until {until}"
            "上一轮结束时的日志已有 {cosigned} 个成员联署，需 {quorum} 个；成员连接后即会联署，最迟等到 {until}";
        NoVersion { version: u32 }
            "version {version} of the federation manifest is in force, and no later one is known to this service; confirm the \
             next with `wugan-keys federation confirm`, restart this service, and try again"
            "联合体清单第 {version} 版现行有效，本服务不知有更新的版本；请用 `wugan-keys federation confirm` 确认新版并重启本服务后再试";
        Rule { reason: Reason } "against the rules of the log: {reason}" "不符合日志规则：{reason}";
        Opened { month: Month, pools: String, enrolment: String, rows: String }
            "the round of {month} is open: pools until {pools} at least, enrolment until {enrolment}, records and rows until {rows}"
            "{month} 轮次已开启：数据池最早 {pools} 关闭，登记截至 {enrolment}，数据截至 {rows}";
        PoolsClosed "pools are closed, nothing is missing" "数据池已关闭，无缺席";
        PoolsClosedMissing { missing: String }
            "pools are closed; these miss the month: {missing}"
            "数据池已关闭；本月缺席：{missing}";
        RowsClosed "rows are closed, every owner takes part" "数据接收已关闭，各待遇部门均参加";
        RowsClosedAbsent { absent: String }
            "rows are closed; the people of {absent} wait for the next month"
            "数据接收已关闭；{absent} 的人员顺延至下月";
        RoundClosed "the round is closed" "轮次已关闭";
        RoundClosedWithout { undecided: String }
            "the round is closed without decisions for {undecided}: their people wait for the next month"
            "轮次已关闭，{undecided} 本月无结论，其人员顺延至下月";
        Version { version: u32 } "version {version} of the federation manifest is in force" "联合体清单第 {version} 版现行有效";
        NextVersion { version: u32 }
            "version {version} is confirmed here; once members have confirmed it too: `wugan-coordinator adopt`"
            "第 {version} 版已在本机确认；待各成员也确认后执行 `wugan-coordinator adopt`";
        Adopted { version: u32 }
            "version {version} of the federation manifest is in the log and in force; members that have confirmed it go on with it, \
             all others stop and say so"
            "联合体清单第 {version} 版已入日志并生效；已确认的成员按其继续，其余成员将停止并提示";
        AbandonedDone { month: Month }
            "the round of {month} is void; the month may be opened anew"
            "{month} 轮次已作废；该月可重新开启";
        Connected { connected: usize, parties: u64, entries: u64 }
            "connected: {connected} of {parties}; log: {entries} entries"
            "已连接：{connected}/{parties}；日志：{entries} 条";
        Headline { month: Month, phase: Phase, since: String }
            "{month}: {phase} since {since}"
            "{month}：{phase}，自 {since}";
        Departments "departments (channels received):" "部门（已收到渠道）：";
        Owners "roster owners:" "待遇部门：";
        Offline "not connected" "未连接";
        Files "files sent" "已报送";
        NoFiles "nothing sent" "未报送";
        Records "records received" "匹配方已收";
        Rows "rows received" "汇总方已收";
        Decided "decided" "已认定";
        Delivered "delivered" "已送达";
        Fewer "fewer than 8" "不足 8";
        WaitsFor "waiting for:" "正在等待：";
        Wait { who: String, what: Box<Text>, since: String, why: Why }
            "{who}: {what}, since {since} ({why})"
            "{who}：{what}，自 {since}（{why}）";
        AwaitPools { channels: String } "pools of {channels}" "{channels} 的数据池";
        AwaitTime { from: String } "pools may be closed from {from}" "{from} 起可关闭数据池";
        AwaitPoolReceipts "receipts of pools" "数据池回执";
        AwaitList "the list of channels" "渠道名单";
        AwaitFiles { until: String } "records and rows, until {until}" "名册数据，截至 {until}";
        AwaitRecords { owner: String } "receipt of the records of {owner}" "{owner} 数据的匹配方回执";
        AwaitRows { owner: String } "receipt of the rows of {owner}" "{owner} 数据的汇总方回执";
        AwaitBitmaps { owner: String } "bitmaps of {owner}" "{owner} 的匹配位图";
        AwaitBits { owner: String } "signal bits of {owner}" "{owner} 的信号位";
        AwaitDecisions { owner: String } "decisions of {owner}" "{owner} 的认定结果";
        AwaitDelivery "taking its decisions" "接收认定结果";
    }
}

/// A list of names.
fn list<T: AsRef<str>>(language: Language, names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().said(language)
}
