//! Texts of what the standard library and TOML bring.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Language, Say};

impl Say for Path {
    fn say(&self, _: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.display(), f)
    }
}

impl Say for PathBuf {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().say(language, f)
    }
}

/// A list of names.
impl Say for Vec<String> {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(if language == Language::Chinese { "、" } else { ", " }))
    }
}

impl<T: Say> Say for Box<T> {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().say(language, f)
    }
}

impl Say for io::Error {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (language, kind(self.kind()), self.raw_os_error()) {
            (Language::Chinese, Some(kind), Some(code)) => write!(f, "{}（os error {code}）", kind.said(language)),
            (Language::Chinese, Some(kind), None) if self.get_ref().is_none() => kind.say(language, f),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

fn kind(kind: io::ErrorKind) -> Option<Kind> {
    Some(match kind {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
        io::ErrorKind::AlreadyExists => Kind::AlreadyExists,
        io::ErrorKind::NotADirectory => Kind::NotADirectory,
        io::ErrorKind::IsADirectory => Kind::IsADirectory,
        io::ErrorKind::DirectoryNotEmpty => Kind::DirectoryNotEmpty,
        io::ErrorKind::ReadOnlyFilesystem => Kind::ReadOnlyFilesystem,
        io::ErrorKind::StorageFull => Kind::StorageFull,
        io::ErrorKind::QuotaExceeded => Kind::QuotaExceeded,
        io::ErrorKind::InvalidFilename => Kind::InvalidFilename,
        io::ErrorKind::InvalidData => Kind::InvalidData,
        io::ErrorKind::AddrInUse => Kind::AddrInUse,
        io::ErrorKind::AddrNotAvailable => Kind::AddrNotAvailable,
        io::ErrorKind::ConnectionRefused => Kind::ConnectionRefused,
        io::ErrorKind::TimedOut => Kind::TimedOut,
        io::ErrorKind::WouldBlock => Kind::WouldBlock,
        io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
        io::ErrorKind::UnexpectedEof => Kind::UnexpectedEof,
        _ => return None,
    })
}

crate::texts! {
    enum Kind {
        NotFound "no such file or folder" "没有这个文件或文件夹";
        PermissionDenied "permission denied" "权限不足";
        AlreadyExists "it exists already" "已存在";
        NotADirectory "not a folder" "不是文件夹";
        IsADirectory "is a folder" "是文件夹而非文件";
        DirectoryNotEmpty "the folder is not empty" "文件夹非空";
        ReadOnlyFilesystem "the file system is read-only" "文件系统只读";
        StorageFull "no space left" "磁盘空间不足";
        QuotaExceeded "quota exceeded" "磁盘配额已用尽";
        InvalidFilename "the name is too long" "名称过长";
        InvalidData "malformed data" "数据格式错误";
        AddrInUse "the address is in use" "地址已被占用";
        AddrNotAvailable "the address is not of this machine" "不是本机地址";
        ConnectionRefused "connection refused" "连接被拒绝";
        TimedOut "timed out" "超时";
        WouldBlock "no answer in time" "未及时应答";
        BrokenPipe "the other end is closed" "对方已关闭";
        UnexpectedEof "it ends too early" "内容不完整";
    }
}

/// Reads TOML.
///
/// # Errors
/// Where it is wrong, and how; of the text only names of fields and what TOML quotes are told.
pub fn parse_toml<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, TomlProblem> {
    let text = std::str::from_utf8(text).map_err(|error| not_utf8(text, error.valid_up_to()))?;
    toml::from_str(text).map_err(|error| {
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        TomlProblem::At { line, column, message: TomlMessage(message) }
    })
}

fn not_utf8(bytes: &[u8], valid: usize) -> TomlProblem {
    let (line, column) = place(&String::from_utf8_lossy(&bytes[..valid]), valid);
    TomlProblem::NotUtf8 { line, column }
}

/// Line and column, in characters, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

crate::texts! {
    /// What is wrong with a TOML file.
    #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum TomlProblem {
        At { line: usize, column: usize, message: TomlMessage }
            "line {line}, column {column}: {message}"
            "第 {line} 行第 {column} 列：{message}";
        NotUtf8 { line: usize, column: usize }
            "line {line}, column {column}: not UTF-8; save the file as UTF-8"
            "第 {line} 行第 {column} 列：不是 UTF-8；请将文件另存为 UTF-8 编码";
    }
}

/// What the TOML library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlMessage(String);

impl Say for TomlMessage {
    /// The library's words, with the commonest of them in Chinese.
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = || PHRASES.iter().find_map(|(start, chinese)| Some((chinese, self.0.strip_prefix(start)?)));
        match known().filter(|_| language == Language::Chinese) {
            Some((chinese, rest)) => {
                let rest = rest
                    .replace(", expected one of ", "，应为以下之一：")
                    .replace(", expected ", "，应为 ")
                    .replace("` or `", "` 或 `");
                write!(f, "{chinese}{}", rest.trim_end())
            }
            None => f.write_str(self.0.trim_end()),
        }
    }
}

const PHRASES: [(&str, &str); 6] = [
    ("missing field ", "缺少字段 "),
    ("unknown field ", "没有这个字段："),
    ("unknown variant ", "没有这个取值："),
    ("duplicate key", "字段重复"),
    ("invalid type: ", "类型不对："),
    ("invalid value: ", "取值不对："),
];
