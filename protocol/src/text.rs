//! What people read, in English and Chinese. Every text is declared once, in both languages, by
//! [`texts!`](crate::texts), beside the code that says it; the compiler refuses a text of which a language or a part is
//! missing. The language is an argument: nothing here reads the environment.

mod check;
mod common;
#[doc(hidden)]
pub mod part;

use std::{error::Error, fmt};

#[doc(hidden)]
pub use check::fit;
pub use common::{TomlProblem, parse_toml};

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
    /// The language that the environment asks for: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set. `zh…`,
    /// like `zh_CN.UTF-8`, is Chinese, all others are English. `variable` looks a variable up.
    pub fn asked(variable: impl Fn(&'static str) -> Option<String>) -> Language {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
        if set.is_some_and(|value| value.starts_with("zh")) { Language::Chinese } else { Language::English }
    }
}

/// Something that people read in their language.
pub trait Say {
    /// Writes it.
    ///
    /// # Errors
    /// The formatter's.
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The text.
    fn said(&self, language: Language) -> String {
        Said(self, language).to_string()
    }
}

/// Something said in a language.
pub struct Said<'a, T: ?Sized>(pub &'a T, pub Language);

impl<T: Say + ?Sized> fmt::Display for Said<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.say(self.1, f)
    }
}

/// A text followed by blanks up to a width in columns of a terminal, where a Chinese character takes two.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A text after blanks, up to a width in columns of a terminal.
pub fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A time (seconds since 1970 UTC) as people in Asia/Shanghai write it, to the minute.
pub fn clock(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(
        || seconds.to_string(),
        |time| jiff::tz::offset(8).to_datetime(time).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// Why a program ends: whatever error it was, in both languages.
pub struct Failure(Box<dyn Say + Send + Sync>);

impl<E: Say + Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(Box::new(error))
    }
}

impl Say for Failure {
    fn say(&self, language: Language, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.say(language, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(Language::English, f)
    }
}

/// Declares an enum of texts: after each variant stand the text in English and the text in Chinese, with the variant's
/// parts in braces (those of a tuple variant are named too). A part that is itself [`Say`] is said in the same language.
/// The enum gets [`Say`], and `Display` in English; with `thiserror::Error` among its derives it is an error.
///
/// ```
/// wugan_protocol::texts! {
///     /// Why a file is not used.
///     #[derive(Debug, thiserror::Error)]
///     pub enum Refused {
///         Empty { file: String } "{file} is empty" "{file} 是空文件";
///         Read(#[from] error: std::io::Error) "not readable: {error}" "无法读取：{error}";
///     }
/// }
/// use wugan_protocol::text::{Language, Say};
/// assert_eq!(Refused::Empty { file: "a".into() }.said(Language::Chinese), "a 是空文件");
/// ```
///
/// A text whose languages have different parts does not compile:
///
/// ```compile_fail
/// wugan_protocol::texts! { enum Text { Both(a: u8, b: u8) "{a} {b}" "{a} 和"; } }
/// ```
#[macro_export]
macro_rules! texts {
    ($(#[$meta:meta])* $visibility:vis enum $Name:ident { $(
        $(#[$about:meta])* $Variant:ident
        $(( $($(#[$of_part:meta])* $part:ident : $Part:ty),* $(,)? ))?
        $({ $($(#[$of_field:meta])* $field:ident : $Field:ty),* $(,)? })?
        $english:literal $chinese:literal;
    )* }) => {
        $(#[$meta])*
        #[allow(missing_docs, rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags, reason = "the texts are the docs")]
        $visibility enum $Name { $(
            $(#[$about])* #[doc = $english]
            $Variant $(( $($(#[$of_part])* $Part),* ))? $({ $($(#[$of_field])* $field: $Field),* })?,
        )* }

        impl $crate::text::Say for $Name {
            fn say(&self, language: $crate::text::Language, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                #[allow(unused_imports, reason = "texts without parts need none")]
                use $crate::text::part::{Bilingual as _, Plain as _};
                $(const { assert!($crate::text::fit($english, $chinese), "the languages differ in their parts") };)*
                match (self, language) { $(
                    (Self::$Variant $(( $($part),* ))? $({ $($field),* })?, $crate::text::Language::English) => {
                        $($(let $part = $part.part(language);)*)? $($(let $field = $field.part(language);)*)?
                        write!(f, $english)
                    }
                    (Self::$Variant $(( $($part),* ))? $({ $($field),* })?, $crate::text::Language::Chinese) => {
                        $($(let $part = $part.part(language);)*)? $($(let $field = $field.part(language);)*)?
                        write!(f, $chinese)
                    }
                )* }
            }
        }

        impl ::std::fmt::Display for $Name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::text::Say::say(self, $crate::text::Language::English, f)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    texts! {
        #[derive(Debug, thiserror::Error)]
        enum Outer {
            Nothing "nothing" "无";
            Inner(#[from] error: Inner) "{error}" "{error}";
            Named { names: Vec<String>, number: u32 } "{number:03} of {names}" "{names} 的 {number:03}";
        }
    }
    texts! {
        #[derive(Debug, thiserror::Error)]
        enum Inner {
            Io(error: std::io::Error) "disk: {error}" "磁盘：{error}";
        }
    }

    #[test]
    fn parts_are_said_in_the_same_language() {
        let both = |text: &dyn Say| (text.said(Language::English), text.said(Language::Chinese));
        assert_eq!(both(&Outer::Nothing), ("nothing".into(), "无".into()));
        let named = Outer::Named { names: vec!["a".into(), "b".into()], number: 7 };
        assert_eq!(both(&named), ("007 of a, b".into(), "a、b 的 007".into()));
        let error = Inner::Io(std::io::Error::from_raw_os_error(2));
        let failure = Failure::from(Outer::from(error));
        assert_eq!(both(&failure).0, "disk: No such file or directory (os error 2)");
        assert_eq!(both(&failure).1, "磁盘：没有这个文件或文件夹（os error 2）");
    }

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!((padded("事项", 6).as_str(), right("ab", 3).as_str()), ("事项  ", " ab"));
        assert_eq!(padded("认证通过", 3), "认证通过");
    }

    #[test]
    fn times_are_those_of_the_city() {
        assert_eq!(clock(1_793_462_400), "2026-11-01 00:00");
        assert_eq!(clock(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn the_language_is_the_first_that_is_set() {
        let asked = |values: [&str; 3]| {
            Language::asked(|name| {
                let place = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().position(|known| *known == name)?;
                Some(values[place].to_owned())
            })
        };
        assert_eq!(asked(["", "", "zh_CN.UTF-8"]), Language::Chinese);
        assert_eq!(asked(["C", "zh_CN", "zh_CN"]), Language::English);
        assert_eq!(asked(["", "zh_CN", "C"]), Language::Chinese);
        assert_eq!(Language::asked(|_| None), Language::English);
    }
}
