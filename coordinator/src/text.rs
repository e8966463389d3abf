//! What the coordinator's staff reads: one catalogue of messages in English and Chinese.

mod answer;
mod reasons;
mod status;

use std::fmt::Display;

use wugan_protocol::{policy::Decision, reason::Reason};

/// The language of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that a value of `LC_ALL`, `LC_MESSAGES` or `LANG` asks for: `zh_CN.UTF-8` is Chinese, all others
    /// are English.
    pub fn from_env(lang: Option<&str>) -> Language {
        match lang {
            Some(lang) if lang.starts_with("zh") => Language::Chinese,
            _ => Language::English,
        }
    }
}

macro_rules! texts {
    ($($name:ident $english:literal $chinese:literal;)*) => {
        /// The messages. `{0}`, `{1}` … are their parts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Text { $($name,)* }

        impl Text {
            #[cfg(test)]
            const ALL: &[Text] = &[$(Text::$name,)*];

            fn template(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Text::$name, Language::English) => $english, (Text::$name, Language::Chinese) => $chinese,)*
                }
            }
        }
    };
}

texts! {
    Unreadable "not a request; see `wugan-coordinator --help`"
        "无法识别的请求；用法见 `wugan-coordinator --help`";
    NoWitness "no member has connected since this program started, so nobody has confirmed that its log is the latest; wait until a node connects"
        "程序启动后尚无成员连接，无人确认本机日志为最新；请等待任一节点连接后再操作";
    RoundOpen "the round of {0} is open; close or abandon it first"
        "{0} 的轮次尚未结束；请先关闭或作废";
    NoRound "no round is open; open one first"
        "当前没有进行中的轮次；请先开启";
    MonthNotLater "the month of {0} already counts; open a later one"
        "{0} 已计为有效月份；请开启更晚的月份";
    TooSoon "the policy asks for {1} days between rounds; open it from {0} on"
        "策略要求两轮之间至少间隔 {1} 天；请在 {0} 之后开启";
    KeysMissing "no key is announced by {0}; collect their announcements and start again"
        "{0} 尚未公布密钥；请收集其密钥公告后再试";
    Times "the times are not in order: enrolment must end before the rows, and nothing later than {0} days from now"
        "时间设置有误：登记截止不得晚于数据截止，且均须在 {0} 天之内";
    CloseTooEarly "pools may be closed from {0} on, as the round's manifest says"
        "按轮次清单，{0} 之后方可关闭数据池";
    TooManyMissing "more departments are missing than the {0} that the policy allows; call them: {1}"
        "缺席部门超过策略允许的 {0} 个；请联系：{1}";
    Needed "{0} may not be missing at all; call: {1}"
        "{0} 不得缺席；请联系：{1}";
    AwaitsList "pools are closed; the matcher has to sign the list first: see that it is connected"
        "数据池已关闭；须先由匹配方签署名单，请确认其已连接";
    OwnersIncomplete "records or rows of {0} are on the way; wait for them, or close after {1}"
        "{0} 的数据正在传送；请等待，或在 {1} 之后关闭";
    OwnersUndecided "the round ends by itself when {0} is decided; see the logs of matcher and aggregator, or close it without that after {1}"
        "{0} 认定后轮次自动结束；请查看匹配方与汇总方日志，或在 {1} 之后不含其结论关闭";
    ListLogged "the list is logged, so this month counts and cannot be abandoned; close it as it is"
        "名单已入日志，本月已计数，不能作废；请按现状关闭";
    Rule "against the rules of the log: {0}"
        "不符合日志规则：{0}";
    Opened "the round of {0} is open: pools until {1} at least, enrolment until {2}, records and rows until {3}"
        "{0} 轮次已开启：数据池最早 {1} 关闭，登记截至 {2}，数据截至 {3}";
    PoolsClosed "pools are closed, nothing is missing"
        "数据池已关闭，无缺席";
    PoolsClosedMissing "pools are closed; these miss the month: {0}"
        "数据池已关闭；本月缺席：{0}";
    RowsClosed "rows are closed, every owner takes part"
        "数据接收已关闭，各待遇部门均参加";
    RowsClosedAbsent "rows are closed; the people of {0} wait for the next month"
        "数据接收已关闭；{0} 的人员顺延至下月";
    RoundClosed "the round is closed"
        "轮次已关闭";
    RoundClosedWithout "the round is closed without decisions for {0}: their people wait for the next month"
        "轮次已关闭，{0} 本月无结论，其人员顺延至下月";
    AbandonedDone "the round of {0} is void; the month may be opened anew"
        "{0} 轮次已作废；该月可重新开启";
    PhaseIdle "no round yet" "尚无轮次";
    PhasePools "collecting pools" "收集数据池";
    PhaseList "waiting for the list" "等待名单";
    PhaseRows "collecting records and rows" "收集名册数据";
    PhaseDeciding "deciding" "认定中";
    PhaseClosed "closed" "已结束";
    PhaseAbandoned "abandoned" "已作废";
    Connected "connected: {0} of {1}; log: {2} entries" "已连接：{0}/{1}；日志：{2} 条";
    Headline "{0}: {1} since {2}" "{0}：{1}，自 {2}";
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
    Wait "{0}: {1}, since {2} ({3})" "{0}：{1}，自 {2}（{3}）";
    AwaitPools "pools of {0}" "{0} 的数据池";
    AwaitTime "pools may be closed from {0}" "{0} 起可关闭数据池";
    AwaitList "the list of channels" "渠道名单";
    AwaitFiles "records and rows, until {0}" "名册数据，截至 {0}";
    AwaitRecords "receipt of the records of {0}" "{0} 数据的匹配方回执";
    AwaitRows "receipt of the rows of {0}" "{0} 数据的汇总方回执";
    AwaitBitmaps "bitmaps of {0}" "{0} 的匹配位图";
    AwaitBits "signal bits of {0}" "{0} 的信号位";
    AwaitDecisions "decisions of {0}" "{0} 的认定结果";
    AwaitDelivery "taking its decisions" "接收认定结果";
    UnderWay "under way" "进行中";
    NotYet "not time yet" "未到时间";
    Refused "refused by the coordinator" "协调方已拒收";
    Certified "certified" "认证通过";
    Unmatched "unmatched" "未比对到";
    Suspected "suspected" "疑似丧失资格";
    Deferred "deferred" "暂缓";
}

/// A message with its parts.
fn say(language: Language, text: Text, parts: &[&dyn Display]) -> String {
    let mut said = String::new();
    let mut rest = text.template(language);
    while let Some((before, after)) = rest.split_once('{') {
        let (number, after) = after.split_once('}').unwrap_or((after, ""));
        let part = number.parse::<usize>().ok().and_then(|number| parts.get(number));
        said.push_str(before);
        said.push_str(&part.map(ToString::to_string).unwrap_or_default());
        rest = after;
    }
    said + rest
}

/// A list of names.
fn list<T: AsRef<str>>(language: Language, names: impl IntoIterator<Item = T>) -> String {
    let comma = if language == Language::Chinese { "、" } else { ", " };
    names.into_iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(comma)
}

/// A time as people in Asia/Shanghai write it, to the minute.
fn clock(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(
        || seconds.to_string(),
        |time| jiff::tz::offset(8).to_datetime(time).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

fn reason(language: Language, reason: Reason) -> String {
    match language {
        Language::English => reason.to_string(),
        Language::Chinese => reasons::chinese(reason).to_owned(),
    }
}

fn decision(language: Language, decision: Decision) -> String {
    let text = match decision {
        Decision::Certified => Text::Certified,
        Decision::Unmatched => Text::Unmatched,
        Decision::Suspected => Text::Suspected,
        Decision::Deferred => Text::Deferred,
    };
    say(language, text, &[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(template: &str) -> Vec<char> {
        let mut parts: Vec<char> = template.split('{').skip(1).filter_map(|part| part.chars().next()).collect();
        parts.sort_unstable();
        parts
    }

    #[test]
    fn both_languages_have_the_same_parts() {
        for text in Text::ALL {
            let (english, chinese) = (text.template(Language::English), text.template(Language::Chinese));
            assert_eq!(parts(english), parts(chinese), "{text:?}");
            assert!(!chinese.is_ascii(), "{text:?} is not Chinese");
        }
        for code in 0..u16::MAX {
            let Some(reason) = Reason::from_code(code) else { continue };
            assert!(!reasons::chinese(reason).is_ascii(), "{reason:?}");
        }
    }

    #[test]
    fn says_parts_in_the_order_of_the_language() {
        assert!(say(Language::English, Text::TooSoon, &[&"T", &25]).starts_with("the policy asks for 25 days"));
        assert_eq!(say(Language::Chinese, Text::Rule, &[&"{0}"]), "不符合日志规则：{0}");
        assert_eq!(clock(1_793_462_400), "2026-11-01 00:00");
        assert_eq!(Language::from_env(Some("zh_CN.UTF-8")), Language::Chinese);
        assert_eq!(Language::from_env(Some("C")), Language::English);
        assert_eq!(Language::from_env(None), Language::English);
    }
}
