//! How a part of a text is shown: in the reader's language where it has one, as it is otherwise. The compiler picks the
//! first of the two traits that fits, because the second takes one more reference.

use std::fmt::Display;

use super::{Language, Said, Say};

/// Parts that are said.
pub trait Bilingual {
    /// The part in a language.
    fn part(&self, language: Language) -> Said<'_, Self>;
}

impl<T: Say + ?Sized> Bilingual for T {
    fn part(&self, language: Language) -> Said<'_, T> {
        Said(self, language)
    }
}

/// Parts that are the same in every language: numbers, names, errors of other libraries.
pub trait Plain {
    /// The part.
    type Part: Display + ?Sized;

    /// The part as it is.
    fn part(&self, language: Language) -> &Self::Part;
}

impl<T: Display + ?Sized> Plain for &T {
    type Part = T;

    fn part(&self, _: Language) -> &T {
        self
    }
}
