//! What an auditor finds: which entry or file, whose, which rule it breaks, what that means and what to do next, in
//! English and Chinese.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use wugan_protocol::text::{Language, Say as _};

use crate::detail::Detail;

/// Something that is not as the protocol says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: Rule,
    /// The entry's index, from 0.
    pub entry: Option<u64>,
    /// Who made the entry, `tax/node`.
    pub party: Option<String>,
    /// The file, the month or the reason.
    pub detail: Detail,
    /// The entry that shows it, if that is a later one: to whoever had seen the log before, it is new with that one.
    pub(crate) shown_by: Option<u64>,
}

impl Finding {
    /// Something that one of the log's entries or nothing in particular shows.
    pub(crate) fn new(rule: Rule, entry: Option<u64>, party: Option<String>, detail: impl Into<Detail>) -> Finding {
        Finding { rule, entry, party, detail: detail.into(), shown_by: None }
    }

    /// Whether nothing of it stood in the first `entries` entries.
    pub(crate) fn is_after(&self, entries: u64) -> bool {
        self.shown_by.max(self.entry).is_none_or(|entry| entry >= entries)
    }

    /// The finding as text of three lines: what, what it means, what to do next.
    pub fn text(&self, language: Language) -> String {
        let [broken, means, next] = self.rule.texts(language);
        let mut place = Vec::new();
        place.extend(self.entry.map(|entry| match language {
            Language::English => format!("entry {entry}"),
            Language::Chinese => format!("条目 {entry}"),
        }));
        place.extend(self.party.clone());
        place.extend(Some(self.detail.said(language)).filter(|detail| !detail.is_empty()));
        let (place, colon) = match (place.is_empty(), language) {
            (true, _) => (String::new(), ""),
            (false, Language::English) => (place.join(", "), ": "),
            (false, Language::Chinese) => (place.join("，"), "："),
        };
        format!("{place}{colon}{broken}\n  {means}\n  {next}")
    }
}

/// For programs, with what it means and what to do next in English.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rule", &self.rule)?;
        self.entry.map_or(Ok(()), |entry| map.serialize_entry("entry", &entry))?;
        self.party.as_ref().map_or(Ok(()), |party| map.serialize_entry("party", party))?;
        if !self.detail.is_empty() {
            map.serialize_entry("detail", &self.detail)?;
        }
        let [_, meaning, next] = self.rule.texts(Language::English);
        map.serialize_entry("meaning", meaning)?;
        map.serialize_entry("next", next)?;
        map.end()
    }
}

/// What findings come to, for programs.
pub(crate) fn verdict(findings: &[Finding]) -> &'static str {
    if findings.is_empty() { "in_order" } else { "findings" }
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

            /// Whether the log is not whole, or not what it was: found of its files, not of what somebody stated in it.
            pub fn of_files(self) -> bool {
                matches!(
                    self,
                    Rule::Policy | Rule::Manifest | Rule::Checkpoint | Rule::SignatureLines | Rule::Root | Rule::RolledBack
                        | Rule::FileMissing | Rule::FileAltered | Rule::FileUnknown | Rule::FileTooLong | Rule::EntryRefused
                        | Rule::Cosigned | Rule::TwoLogs
                )
            }
        }
    };
}

rules! {
    Policy "policy"
        ["the policy in the folder is missing, cannot be read, or is another one than the manifest names"
         "Without the policy that the manifest names nobody can say which entries are right: they were not judged."
         "Fetch the agreed catalogue.toml and put it into the log's folder."]
        ["文件夹中的策略文件缺失、无法读取，或并非清单所指的那一份"
         "没有清单所指的策略，无法判断条目是否正确：条目未经判断。"
         "取得约定的 catalogue.toml，放入日志文件夹。"];
    Manifest "manifest"
        ["the first entry, or a later version, is not the authority's federation manifest"
         "The log is another federation's, or its beginning was replaced."
         "Compare the fingerprint of authority.pub with the authority by telephone; then fetch the log anew."]
        ["首个条目或其后续版本不是授权方签署的联合体清单"
         "该日志属于另一联合体，或其开头被替换。"
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
         "Keep this copy as evidence and compare it with the copy that another member keeps: `wugan-audit compare`."]
        ["条目与检查点所签的树不符"
         "签名之后有条目被更改、删除、添加或移动。"
         "保留本副本作为证据，并用 wugan-audit compare 与其他成员留存的副本核对。"];
    RolledBack "rolled_back"
        ["the log does not continue the one that this auditor saw last"
         "Entries that were signed are gone or changed: the log was rolled back, or another one is shown here."
         "Keep this copy and the checkpoint seen last as evidence; compare with the copy that another member keeps: `wugan-audit compare`."]
        ["日志与本审计员上次所见不衔接"
         "已签名的条目消失或被更改：日志被回退，或此处出示的是另一份日志。"
         "保留本副本和上次所见检查点作为证据，并用 wugan-audit compare 与其他成员留存的副本核对。"];
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
    FileTooLong "file_too_long"
        ["a file that is longer than any file of a log"
         "It was not read: a log has no such file in this place."
         "Fetch the folder anew; if it stays so, ask the coordinator."]
        ["文件长度超过日志文件的上限"
         "该文件未读取：日志在此处不可能有这样的文件。"
         "重新获取文件夹；若仍如此，询问协调方。"];
    TwoLogs "two_logs"
        ["two different logs were shown"
         "The member's copy and this log differ in what the log's key has signed, or one of them was changed."
         "Keep both copies as evidence: two checkpoints of the log's key that do not go together prove a lie of the coordinator."]
        ["出示了两份不同的日志"
         "成员留存的副本与本日志在日志密钥所签内容上不一致，或其中一份被更改。"
         "保留两份副本作为证据：日志密钥所签的两个互不衔接的检查点可证明协调方作假。"];
    EntryRefused "entry_refused"
        ["an entry that nobody may append"
         "It is malformed, not signed by a member, or not the next of its signer's own sequence: the log was forged or an entry dropped. What follows it was not judged."
         "Keep this copy as evidence; compare it with the copy that the member keeps that the entry names: `wugan-audit compare`."]
        ["任何人都不得追加的条目"
         "格式错误、并非成员签名，或与签名者自己的序列不衔接：日志被伪造，或有条目被删除。其后的条目未经判断。"
         "保留本副本作为证据，并用 wugan-audit compare 与条目所指成员留存的副本核对。"];
    EntryWithoutEffect "entry_without_effect"
        ["an entry against the rules"
         "Its signer stated what it may not state then; members act as if it were not there."
         "Ask its signer why, and look at the round with `explain`."]
        ["违反规则的条目"
         "签名者在该时刻不得作此声明；各成员视其不存在。"
         "询问签名者原因，并用 explain 查看该轮次。"];
    Clock "clock"
        ["an entry from the future"
         "Its time is more than a quarter of an hour after that of a later entry of the coordinator, or after this auditor's clock: a clock is wrong, or the time was made up."
         "Ask its signer and the coordinator to compare their clocks; look whether this one's is right."]
        ["来自未来的条目"
         "其时间比协调方在后的条目或本审计员的时钟晚一刻钟以上：有时钟不准，或时间系虚构。"
         "请签名者与协调方核对时钟；并确认本机时钟无误。"];
    Counts "counts"
        ["a count that cannot be"
         "It does not agree with the counts stated before it, or is more than the federation manifest or the policy allows."
         "Ask its signer; `replay` shows at which stage it went wrong."]
        ["不可能的数量"
         "与此前声明的数量不符，或超过联合体清单或策略所允许的数量。"
         "询问签名者；replay 可显示在哪一环节出错。"];
    MemberRefused "member_refused"
        ["a member refused an entry or a file"
         "A member saw something that it does not act on."
         "Ask both members, and look at the refused entry."]
        ["有成员拒绝了某条目或文件"
         "该成员发现了不予执行的内容。"
         "询问双方成员，并查看被拒条目。"];
    InputMissing "input_missing"
        ["a file that its receiver acknowledged is not there"
         "What was made of it cannot be computed again."
         "Ask the party where the file went; its sender may still have it, byte for byte."]
        ["接收方已确认收到的文件不存在"
         "由它得出的结果无法重算。"
         "询问该方文件去向；发送方可能仍有逐字节相同的副本。"];
    InputDiffers "input_differs"
        ["a kept file has other bytes than were announced"
         "The file was altered or cut short after it was received, or other bytes were used than were sent."
         "Fetch the announced file from its sender, put it in this one's place in a copy, and replay again."]
        ["留存文件的内容与公告不符"
         "文件在接收后被更改或截断，或所用内容并非所发内容。"
         "向发送方取得所公告的文件，在副本中替换后重新重算。"];
    InputShape "input_shape"
        ["a file that its receiver had to refuse was accepted"
         "It is not in order, for the reason named: what was made of it means nothing."
         "Ask the sender why it made such a file and the receiver why it took it."]
        ["接收方接受了本应拒绝的文件"
         "文件因所述原因不合规：由它得出的结果没有意义。"
         "询问发送方为何生成该文件、接收方为何接受。"];
    OutputMissing "output_missing"
        ["an announced output is not there"
         "Whether it follows from its inputs cannot be told."
         "Ask its receiver for the file, put it in its place in a copy, and replay again."]
        ["已公告的输出文件不存在"
         "无法判断它是否由输入得出。"
         "向接收方取得该文件，在副本中放回原处后重新重算。"];
    OutputDiffers "output_differs"
        ["a kept output has other bytes than were announced"
         "The file was altered or cut short after it was announced."
         "Ask its receiver for the announced file, put it in this one's place in a copy, and replay again."]
        ["留存的输出文件内容与公告不符"
         "文件在公告后被更改或截断。"
         "向接收方取得所公告的文件，在副本中替换后重新重算。"];
    OutputFalse "output_false"
        ["an announced output does not follow from its inputs"
         "Decisions that rest on it are wrong, by a lie or a fault of this party. The number is that of the first byte that differs."
         "Keep home and log as evidence; the owner's decisions of this month must not be used."]
        ["已公告的输出并非由输入得出"
         "因该方作假或出错，以此为依据的认定结果是错误的。数字为首个不同字节的位置。"
         "保留状态文件夹和日志作为证据；该待遇部门本月认定结果不得使用。"];
    OutputCount "output_count"
        ["an output was announced with another count than it has"
         "The log tells a wrong size."
         "Ask the party why."]
        ["输出的公告数量与实际不符"
         "日志所载规模有误。"
         "询问该方原因。"];
    OutputLacking "output_lacking"
        ["there is no output for an owner whose inputs are complete"
         "The owner has no decisions in this round though it took part."
         "Ask the party why it made none; its people keep what they have until the next month."]
        ["某待遇部门的输入齐全，却没有输出"
         "该部门已参加本轮，却没有认定结果。"
         "询问该方为何未生成；相关人员状态维持至下月。"];
    TotalsFalse "totals_false"
        ["the totals in the log are not those of the decisions"
         "The log tells other numbers than were decided for the owner that is named."
         "Keep home and log as evidence; ask the coordinator why."]
        ["日志中的合计与认定结果不符"
         "日志所载数字与该待遇部门的认定结果不同。"
         "保留状态文件夹和日志作为证据；询问协调方原因。"];
    SealedMissing "sealed_missing"
        ["a file that the node must still keep is not there"
         "What the node announced of it cannot be computed again."
         "Ask the node's operator where the file went; its retention time is not over."]
        ["节点应留存的文件不存在"
         "节点据此公告的内容无法重算。"
         "询问节点操作员文件去向；留存期限尚未届满。"];
    SealedDamaged "sealed_damaged"
        ["a sealed file was changed or cut short"
         "What the node announced of it cannot be computed again."
         "Check the node's disk; ask its operator for a backup of the file."]
        ["密封文件被更改或截断"
         "节点据此公告的内容无法重算。"
         "检查节点磁盘；向操作员索取该文件的备份。"];
    KeyMissing "key_missing"
        ["the matching key of somebody who was matched is not in the cache"
         "The node announced a file for which it lacks what it needs, or lost keys since."
         "Check the node's disk; ask its operator for a backup of the cache."]
        ["缓存中缺少已参与比对人员的匹配密钥"
         "节点公告了自己无从生成的文件，或之后丢失了密钥。"
         "检查节点磁盘；向操作员索取缓存备份。"];
    FileFalse "file_false"
        ["an announced file does not follow from what lies sealed at the node"
         "The node sent other records than those of its people, or its sealed files are not those of the round."
         "Keep home and log as evidence; decisions of this month that rest on it must not be used."]
        ["已公告的文件并非由节点密封内容得出"
         "节点发送的并非其人员的记录，或其密封文件不属于该轮次。"
         "保留状态文件夹和日志作为证据；以此为依据的本月认定结果不得使用。"];
    RowMapFalse "row_map_false"
        ["the row map does not follow from roster snapshot and seed"
         "Rows stand for other people than they must, or a person has only some of its rows."
         "Keep home and log as evidence; the owner's decisions of this month must not be used."]
        ["行映射并非由名册快照和种子得出"
         "行所对应的人员不正确，或某人缺少部分行。"
         "保留状态文件夹和日志作为证据；该待遇部门本月认定结果不得使用。"];
    CanariesFalse "canaries_false"
        ["what the owner told of its canaries is not what came out for them"
         "The owner's word about its canaries does not follow from its decisions and what lies sealed with its roster."
         "Keep home and log as evidence; ask the owner why; believe none of its canaries of this month."]
        ["待遇部门所报哨兵结果与实际不符"
         "其关于哨兵的声明并非由认定结果和随名册密封的内容得出。"
         "保留状态文件夹和日志作为证据；询问该待遇部门原因；该部门本月哨兵均不可信。"];
    DeferredEnrolled "deferred_enrolled"
        ["people have no rows though they were enrolled"
         "The owner deferred as many people as the number says whom it could have had certified."
         "Ask the owner why; compare with its roster."]
        ["已登记人员没有行"
         "该待遇部门将本可参加认证的人员（数目如所示）暂缓。"
         "询问该待遇部门原因；与其名册核对。"];
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
    CanaryOtherwise "canary_otherwise"
        ["canaries were not decided as the authority says"
         "Somewhere between records and decisions somebody made them wrong, or a department does not have the canaries that it was given. People may be decided wrongly too."
         "See in the owner's canaries table which; ask the departments of their channels for their configuration; then replay the round's stages."]
        ["哨兵的认定结果与授权方所述不符"
         "从记录到结论之间有人使结果出错，或有部门没有装入发给它的哨兵。真实人员的结论也可能有误。"
         "在该部门的哨兵结果表中查看是哪些；核对相关渠道部门的配置；然后重算该轮次各环节。"];
    CanaryUntold "canary_untold"
        ["there are decisions for an owner, but it did not tell what they are for its canaries"
         "It does not have the canaries that the authority's list names, has others, or keeps silent: this month shows nothing about its decisions."
         "Ask the owner whether its node runs and which file its configuration names as canaries; compare that file's SHA-256 with the list."]
        ["待遇部门已有结论，却未报告其哨兵的结果"
         "它没有装入授权方清单所列的哨兵，装入了其他哨兵，或隐瞒不报：本月无从得知其结论是否正确。"
         "询问该部门节点是否运行、配置中是哪份哨兵文件，并将其 SHA-256 与清单核对。"];
    Overdue "overdue"
        ["a round is overdue"
         "This view of the log was frozen, or a round was forgotten: people wait for their decisions."
         "Ask the coordinator for the present log and why there is no round, or why it is not ended."]
        ["轮次逾期"
         "此处所见日志停止更新，或有轮次被遗忘：人们在等待认定结果。"
         "向协调方索取最新日志，并询问为何没有轮次或轮次未结束。"];
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
