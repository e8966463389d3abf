//! What an auditor finds: which entry or file, whose, which rule it breaks, what that means and what to do next, in
//! English and Chinese.

use serde::Serialize;
use wugan_protocol::text::Language;

/// Something that is not as the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: Rule,
    /// The entry's index, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// Who made the entry, `tax/node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// The file, the month or the reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Finding {
    /// The finding as text of three lines: what, what it means, what to do next.
    pub fn text(&self, language: Language) -> String {
        let [broken, means, next] = self.rule.texts(language);
        let mut place = Vec::new();
        place.extend(self.entry.map(|entry| match language {
            Language::English => format!("entry {entry}"),
            Language::Chinese => format!("条目 {entry}"),
        }));
        place.extend(self.party.clone());
        place.extend(Some(self.detail.clone()).filter(|detail| !detail.is_empty()));
        let (place, colon) = match (place.is_empty(), language) {
            (true, _) => (String::new(), ""),
            (false, Language::English) => (place.join(", "), ": "),
            (false, Language::Chinese) => (place.join("，"), "："),
        };
        format!("{place}{colon}{broken}\n  {means}\n  {next}")
    }
}

macro_rules! rules {
    ($($name:ident $code:literal [$broken:literal $means:literal $next:literal] [$broken_zh:literal $means_zh:literal $next_zh:literal];)*) => {
        /// A rule that a log must keep.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum Rule { $(#[doc = $broken] #[serde(rename = $code)] $name,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// What is broken, what it means, what to do next.
            pub fn texts(self, language: Language) -> [&'static str; 3] {
                match (self, language) {
                    $((Rule::$name, Language::English) => [$broken, $means, $next],
                      (Rule::$name, Language::Chinese) => [$broken_zh, $means_zh, $next_zh],)*
                }
            }
        }
    };
}

rules! {
    Policy "policy"
        ["the policy in the folder cannot be used"
         "Without the policy that the manifest names nobody can say which entries are right."
         "Fetch the agreed catalogue.toml and put it into the log's folder."]
        ["文件夹中的策略文件无法使用"
         "没有清单所指的策略，无法判断条目是否正确。"
         "取得约定的 catalogue.toml，放入日志文件夹。"];
    Manifest "manifest"
        ["the first entry is not the authority's federation manifest for this policy"
         "The log is another federation's, or its beginning was replaced."
         "Compare the fingerprint of authority.pub with the authority by telephone; then fetch the log anew."]
        ["首个条目不是管理机构为本策略签署的联盟清单"
         "该日志属于另一联盟，或其开头被替换。"
         "电话核对 authority.pub 指纹，然后重新获取日志。"];
    Checkpoint "checkpoint"
        ["the checkpoint is missing, malformed or not signed by the log's key"
         "Nobody vouches for the entries in this folder."
         "Fetch the folder anew; if it stays so, ask the coordinator and keep this copy as evidence."]
        ["检查点缺失、格式错误或并非日志密钥所签"
         "文件夹中的条目无人担保。"
         "重新获取文件夹；若仍如此，询问协调方，并保留本副本作为证据。"];
    SignatureLines "signature_lines"
        ["a signature line that is no key's of this log"
         "Somebody added a signature that proves nothing."
         "Ask the coordinator where the line comes from."]
        ["存在不属于本日志任何密钥的签名行"
         "有人添加了不能证明任何事的签名。"
         "询问协调方该行来源。"];
    Root "root"
        ["the entries do not grow into the tree that the checkpoint signs"
         "An entry was altered, dropped, added or moved after the tree was signed."
         "Keep this copy as evidence and compare with the log of another member."]
        ["条目与检查点所签的树不符"
         "签名之后有条目被更改、删除、添加或移动。"
         "保留本副本作为证据，并与其他成员的日志核对。"];
    RolledBack "rolled_back"
        ["the log does not continue the one that this auditor saw last"
         "Entries that were signed are gone or changed: the log was rolled back, or another one is shown here."
         "Keep this copy and the checkpoint seen last as evidence; compare with the log of another member."]
        ["日志与本审计员上次所见不衔接"
         "已签名的条目消失或被更改：日志被回退，或此处出示的是另一份日志。"
         "保留本副本和上次所见检查点作为证据，并与其他成员的日志核对。"];
    FileMissing "file_missing"
        ["a file of the log is missing"
         "Part of the log cannot be verified."
         "Fetch the folder anew."]
        ["日志缺少一个文件"
         "日志的一部分无法验证。"
         "重新获取文件夹。"];
    FileAltered "file_altered"
        ["a file of the log has other bytes than its entries give"
         "The file was altered or cut short."
         "Fetch the folder anew; if it stays so, ask the coordinator."]
        ["日志文件的内容与条目推算结果不符"
         "文件被更改或截断。"
         "重新获取文件夹；若仍如此，询问协调方。"];
    FileUnknown "file_unknown"
        ["a file that does not belong to the log"
         "It is covered by no signature: a leftover, or something that was put there."
         "Ask the coordinator; remove it only in a copy."]
        ["存在不属于日志的文件"
         "它不受任何签名保护：可能是残留文件，或有人放入。"
         "询问协调方；只能在副本中删除。"];
    EntryRefused "entry_refused"
        ["an entry that nobody may append"
         "It is malformed, not signed by a member, or not the next of its signer's own sequence: the log was forged or an entry dropped."
         "Keep this copy as evidence; ask the member that the entry names for its own copy."]
        ["任何人都不得追加的条目"
         "格式错误、并非成员签名，或与签名者自己的序列不衔接：日志被伪造，或有条目被删除。"
         "保留本副本作为证据；向条目所指成员索取其副本。"];
    EntryWithoutEffect "entry_without_effect"
        ["an entry against the rules"
         "Its signer stated what it may not state then; members act as if it were not there."
         "Ask its signer why, and look at the round with `explain`."]
        ["违反规则的条目"
         "签名者在该时刻不得作此声明；各成员视其不存在。"
         "询问签名者原因，并用 explain 查看该轮次。"];
    MemberRefused "member_refused"
        ["a member refused an entry or a file"
         "A member saw something that it does not act on."
         "Ask both members; the refused entry is named in this one."]
        ["有成员拒绝了某条目或文件"
         "该成员发现了不予执行的内容。"
         "询问双方成员；本条目写明了被拒条目。"];
    NoQuorum "no_quorum"
        ["too few members cosigned the log at a round's end"
         "The coordinator may have shown different logs to different members."
         "Ask the members that did not cosign to connect, then verify again."]
        ["轮次结束时联署日志的成员过少"
         "协调方可能向不同成员出示了不同日志。"
         "请未联署的成员连接后重新验证。"];
    Cosigned "cosigned"
        ["the file of cosignatures is not what the entries say"
         "A cosignature was added, dropped or altered in the file."
         "Fetch the folder anew; the entries count, not the file."]
        ["联署文件与条目不符"
         "文件中的联署被添加、删除或更改。"
         "重新获取文件夹；以条目为准。"];
    MonthSkipped "month_skipped"
        ["months without a counted round"
         "Nobody was certified in these months, or their rounds are not in this log."
         "Ask the coordinator why there was no round."]
        ["存在没有有效轮次的月份"
         "这些月份无人认证，或其轮次不在本日志中。"
         "询问协调方为何没有轮次。"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_all_texts_in_both_languages() {
        for rule in Rule::ALL {
            for language in [Language::English, Language::Chinese] {
                let texts = rule.texts(language);
                assert!(texts.iter().all(|text| !text.is_empty()));
                let chinese = texts.iter().all(|text| text.chars().any(|c| ('\u{4e00}'..'\u{a000}').contains(&c)));
                assert_eq!(chinese, language == Language::Chinese, "{rule:?}");
            }
        }
    }
}
