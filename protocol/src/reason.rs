//! The closed list of reasons: the only words that a refusal, a failure or an abandoned round may carry in the log.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($name:ident = $code:literal $english:literal $chinese:literal;)*) => {
        crate::texts! {
            /// Why something was refused, failed, or ended.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(rename_all = "snake_case")]
            pub enum Reason { $($name $english $chinese;)* }
        }

        impl Reason {
            /// The number on the wire.
            pub fn code(self) -> u16 {
                match self { $(Reason::$name => $code,)* }
            }

            /// The reason with this number.
            pub fn from_code(code: u16) -> Option<Reason> {
                match code { $($code => Some(Reason::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    NotMember = 1 "the sender is no member in that role"
        "发送方不是该角色的成员";
    BadSignature = 2 "the signature does not verify"
        "签名验证不通过";
    OutOfSequence = 3 "an entry is missing, repeated or follows another entry than it says"
        "条目缺失、重复或前后不衔接";
    NotAllowed = 4 "this role may not make such a statement"
        "该角色无权作此声明";
    OtherFederation = 5 "it names another federation manifest"
        "指向另一份联合体清单";
    OtherRound = 6 "it names another round than the open one, or none is open"
        "指向的不是当前轮次，或没有进行中的轮次";
    OtherPolicy = 7 "its policy, matters, channels or classes are not exactly the policy's"
        "策略、事项、渠道或类别与约定不一致";
    MonthNotLater = 8 "its month is not later than that of the last counted round"
        "月份不晚于上一有效轮次";
    TooSoon = 9 "it comes sooner after the last counted round than the policy allows"
        "距上一有效轮次的间隔短于策略要求";
    RoundReused = 10 "the round id was used before"
        "轮次编号已用过";
    KeyReused = 11 "the key was announced before"
        "密钥曾公布过";
    KeyProof = 12 "the proof of the key does not verify"
        "密钥证明验证不通过";
    UnknownEpoch = 13 "it names a key epoch that was not announced"
        "指向未公布的密钥周期";
    CloseTooEarly = 14 "it closes before the time of the manifest"
        "早于清单规定的关闭时间";
    TooManyMissing = 15 "more departments are missing than the policy allows, or one that may not be missing"
        "缺席部门超过策略允许的数目，或有不得缺席的部门缺席";
    ListDiffers = 16 "the list is not exactly the channels with a receipt"
        "名单与回执不一致";
    BeforeItsTime = 17 "it comes before what it depends on"
        "先于其所依据的条目";
    Repeated = 18 "it was stated before, differently"
        "此前已有不同声明";
    OverBudget = 19 "more elements than the allowance of this owner and epoch"
        "超过该部门在本密钥周期的查询额度";
    BadElement = 20 "a group element is malformed, not canonical or the identity"
        "群元素格式错误、非规范或为单位元";
    BatchDiffers = 21 "the elements are not those of the signed batch"
        "元素与已签名批次不符";
    NotAnnounced = 22 "no announcement for this file, or from somebody else"
        "文件未公告，或由他人公告";
    DigestDiffers = 23 "the bytes are not those announced"
        "内容与公告不符";
    CountDiffers = 24 "the count is not the one announced"
        "数量与公告不符";
    NotSorted = 25 "tags out of order or repeated"
        "标签未排序或重复";
    BadHandles = 26 "handles out of range or repeated"
        "句柄越界或重复";
    BadRows = 27 "rows out of order, too many, or not as often as the matter has channels"
        "行次序错误、过多，或次数与事项渠道数不符";
    BadBits = 28 "signal bits that no row can have"
        "任何一行都不可能有的信号位";
    Unreadable = 29 "a file or table could not be read"
        "文件或数据表无法读取";
    TooManyBadRows = 30 "more rows were quarantined than the configured share"
        "隔离的记录超过设定比例";
    NoSpace = 31 "not enough free space on disk"
        "磁盘空间不足";
    Superseded = 32 "the coordinator's staff opened the month anew"
        "协调方工作人员重新开启该月";
    Malformed = 33 "malformed bytes"
        "数据格式错误";
    BadProof = 34 "the batch proof does not verify"
        "批次证明验证不通过";
    TooManyRows = 35 "more rows for a matter than the federation manifest declares"
        "事项行数超过联合体清单声明";
    ClockDiffers = 36 "a time that cannot be: before what it follows, or one that has not come yet"
        "时间不合理：早于其前提，或尚未到来";
    TooLate = 37 "it comes after the close"
        "在关闭之后到达";
    Deleted = 38 "its retention time is over: it is deleted"
        "保存期已满，数据已删除";
    TreeDiffers = 39 "the log's signed tree is not that of the entries shown"
        "日志签名的树与所示条目不符";
    OverLimit = 40 "more disclosures in a month than the federation manifest allows"
        "超过联合体清单规定的每月披露次数";
    NotSuspected = 41 "the row is not suspected because of records of that class"
        "该行并非因该类记录而列为疑似";
    Unconfirmed = 42 "a version of the federation manifest that is not confirmed here"
        "联合体清单的新版本未在本机确认";
}
