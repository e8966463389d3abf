//! What a finding says besides its rule: names, counts and reasons, in English and Chinese.

use std::fmt;

use serde::{Serialize, Serializer};
use wugan_protocol::{
    log::{
        checkpoint::CheckpointError,
        note::{NoteError, SignatureError},
    },
    reason::Reason,
    text::{Language, Said, Say},
    texts,
};

/// A text in both languages, since errors of many kinds end here. Programs get the English one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    english: String,
    chinese: String,
}

impl Detail {
    /// What can be said.
    pub fn of(text: &(impl Say + ?Sized)) -> Detail {
        Detail { english: text.said(Language::English), chinese: text.said(Language::Chinese) }
    }

    /// What can be said of something that has a name.
    pub(crate) fn named(name: impl Into<String>, what: &(impl Say + ?Sized)) -> Detail {
        Words::Named { name: name.into(), what: Detail::of(what) }.into()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.english.is_empty()
    }
}

impl Say for Detail {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        })
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Said(self, Language::English).fmt(f)
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english)
    }
}

/// A name, which is the same in both languages.
impl<T: Into<String>> From<T> for Detail {
    fn from(name: T) -> Detail {
        let english = name.into();
        Detail { chinese: english.clone(), english }
    }
}

impl From<Words> for Detail {
    fn from(words: Words) -> Detail {
        Detail::of(&words)
    }
}

texts! {
    /// What is said of a finding's place.
    pub(crate) enum Words {
        Named { name: String, what: Detail } "{name}: {what}" "{name}：{what}";
        Shape { file: String, reason: Reason } "{file} ({reason})" "{file}（{reason}）";
        NoFile "there is no such file" "没有这个文件";
        OtherBytes "it has bytes that are not of the signed note" "含有不属于签名文本的字节";
        NoEntries "the log has no entries" "日志没有条目";
        Sizes { entries: u64, signed: u64 }
            "entries here: {entries}, entries of the signed tree: {signed}"
            "此处条目 {entries} 条，所签的树 {signed} 条";
        DifferentAt { entries: Vec<String> }
            "the signed tree, to which the files of hashes lead, has other entries at {entries}"
            "哈希文件与所签的树一致，而以下条目与之不符：{entries}";
        Seen { seen: u64, entries: u64 }
            "entries seen last: {seen}, entries here: {entries}"
            "上次所见条目 {seen} 条，此处 {entries} 条";
        Quorum { month: String, counted: usize, needed: usize, absent: Vec<String> }
            "{month}: {counted} members cosigned, {needed} must; not cosigned by {absent}"
            "{month}：已联署成员 {counted} 个，至少须 {needed} 个；未联署：{absent}";
        Claimed { party: String, reason: Reason }
            "it says that it is from {party}: {reason}"
            "自称来自 {party}：{reason}";
        RefusedEntry { entry: u64, by: String, reason: Reason }
            "it refused entry {entry}, made by {by}: {reason}"
            "拒绝的是 {by} 的条目 {entry}：{reason}";
        RefusedUnlogged { reason: Reason }
            "it refused something that is not in the log: {reason}"
            "拒绝的内容不在日志中：{reason}";
        FileCount { file: String, count: u64 } "the count of {file}, {count}" "{file} 的数量 {count}";
        MatterCount { owner: String, matter: String }
            "the totals of {owner} at {matter}"
            "{owner} 在 {matter} 的合计";
        AllCounts { owner: String }
            "the totals of {owner}, against its decisions file"
            "{owner} 的合计与其认定结果文件相比";
    }
}

texts! {
    /// Why a checkpoint is not believed: the protocol's own error, which is English only.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum CheckpointFault {
        Key "the key of a log is an Ed25519 key, not a cosigner's" "日志密钥应为 Ed25519 密钥，而非联署密钥";
        TooLong "too many bytes or signature lines" "字节或签名行过多";
        Characters "it is not UTF-8, or has control characters" "不是 UTF-8，或含有控制字符";
        Unsigned "it does not end in an empty line and signature lines" "末尾没有空行和签名行";
        Line(number: usize) "signature line {number} is malformed" "第 {number} 个签名行格式错误";
        Missing(name: String) "it is not signed by {name}" "没有 {name} 的签名";
        Bad(name: String) "a signature line of {name} does not verify" "{name} 的签名行验证不通过";
        Name(name: String)
            "a signature line has the key id of {name} under another name"
            "有签名行以其他名称使用 {name} 的密钥编号";
        Lines "it has not exactly three lines: origin, size, root" "应恰为三行：来源、条目数、根";
        Origin "its origin is not the name of the log's key" "来源与日志密钥名称不符";
        Size "its size is not a number of entries" "条目数不是有效数字";
        Root "its root is not the base64 of 32 bytes" "根不是 32 字节的 base64";
    }
}

impl From<&CheckpointError> for CheckpointFault {
    fn from(error: &CheckpointError) -> CheckpointFault {
        match error {
            CheckpointError::Key => CheckpointFault::Key,
            CheckpointError::Note(error) => error.into(),
            CheckpointError::Signature(SignatureError::Missing { name }) => CheckpointFault::Missing(name.clone()),
            CheckpointError::Signature(SignatureError::Bad { name }) => CheckpointFault::Bad(name.clone()),
            CheckpointError::Signature(SignatureError::Name { name }) => CheckpointFault::Name(name.clone()),
            CheckpointError::Lines => CheckpointFault::Lines,
            CheckpointError::Origin => CheckpointFault::Origin,
            CheckpointError::Size => CheckpointFault::Size,
            CheckpointError::Root => CheckpointFault::Root,
        }
    }
}

impl From<&NoteError> for CheckpointFault {
    fn from(error: &NoteError) -> CheckpointFault {
        match error {
            NoteError::TooLong => CheckpointFault::TooLong,
            NoteError::Characters => CheckpointFault::Characters,
            NoteError::Unsigned => CheckpointFault::Unsigned,
            NoteError::Line(number) => CheckpointFault::Line(*number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_readers_get_no_english_reasons() {
        let reason = Detail::named("checkpoint", &CheckpointFault::from(&CheckpointError::Lines));
        assert_eq!(reason.said(Language::Chinese), "checkpoint：应恰为三行：来源、条目数、根");
        assert_eq!(reason.to_string(), "checkpoint: it has not exactly three lines: origin, size, root");
        let claimed = Detail::from(Words::Claimed { party: "tax/node".into(), reason: Reason::BadSignature });
        assert_eq!(claimed.said(Language::Chinese), "自称来自 tax/node：签名验证不通过");
        assert!(Detail::default().is_empty() && !claimed.is_empty());
    }
}
