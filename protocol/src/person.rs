//! Canonical identities: parse, normalise, verify.
//!
//! A [`PersonId`] can only be a valid ID number (GB 11643): whoever holds one need not check it again. It is never
//! repaired or guessed; a value that cannot be read is a [`PersonError`], which says why and never holds the value.

mod spot;

use std::fmt;

use jiff::civil::Date;
use thiserror::Error;

pub use spot::looks_like_id;

/// A valid 18-character ID number (GB 11643), held as its first 17 digits; the check character follows from them.
///
/// Order and equality are those of the canonical string. `Debug` is redacted and there is no `Display`: an ID number
/// leaves this type only through a function that names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(u64);

/// What [`PersonId::parse`] changed to reach the canonical form, for the quality report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normalised {
    /// A 15-digit number of the old form got its century and check character.
    pub old_form: bool,
    /// Full-width digits or X became ASCII.
    pub full_width: bool,
    /// White space (Unicode `White_Space`, U+200B, U+FEFF) was removed.
    pub white_space: bool,
    /// One leading apostrophe, as spreadsheets put before text, was removed.
    pub apostrophe: bool,
    /// A lower-case x became X.
    pub lower_case_x: bool,
}

crate::texts! {
    /// Why a value is no ID number. The first reason in the order of this list is given.
    #[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum PersonError {
        /// Nothing is left after white space and a leading apostrophe.
        Empty "the ID number is empty" "证件号码为空";
        /// It contains `*`.
        Masked "the ID number is masked with *" "证件号码被 * 遮盖";
        /// It contains a decimal point or is written with an exponent: the last digits are lost.
        FloatingPoint "the ID number was stored as a floating-point number" "证件号码被存成了浮点数";
        /// A character other than a digit, or an X other than in the place of the check character.
        Letters "the ID number contains a character that cannot stand there" "证件号码含有不应出现的字符";
        /// Neither 15 nor 18 characters.
        Length "the ID number has neither 15 nor 18 characters" "证件号码既非 15 位也非 18 位";
        /// The first two digits are no province's, nor those of a residence permit or permanent residence card.
        Region "the ID number begins with an unknown region" "证件号码开头的地区码不存在";
        /// The birth date is not in the calendar or its year not in 1850 to 2099.
        BirthDate "the ID number contains an impossible birth date" "证件号码中的出生日期不存在";
        /// The check character is wrong.
        CheckDigit "the ID number has a wrong check character" "证件号码的校验码错误";
    }
}

impl PersonId {
    /// Reads an ID number in any of the forms found in departments' tables, and tells what had to be normalised.
    ///
    /// White space anywhere is removed, then one leading apostrophe; full-width digits and X become ASCII, x becomes
    /// X; 15 digits get `19` after the region and their check character.
    ///
    /// # Errors
    /// The first of [`PersonError`]'s reasons, in the order of its variants, that holds.
    pub fn parse(text: &str) -> Result<(Self, Normalised), PersonError> {
        let (characters, mut normalised) = Characters::read(text).ok_or_else(|| diagnose(text))?;
        let person = match characters {
            Characters { bytes, length: 18 } => Self::from_18(&bytes)?,
            Characters { bytes, length: 15 } => {
                normalised.old_form = true;
                Self::from_15(&bytes).ok_or_else(|| diagnose(text))??
            }
            _ => return Err(diagnose(text)),
        };
        Ok((person, normalised))
    }

    /// The 18 ASCII characters.
    #[must_use]
    pub fn canonical(&self) -> [u8; 18] {
        let mut out = [0; 18];
        out[17] = self.check_character();
        let mut rest = self.0;
        for byte in out[..17].iter_mut().rev() {
            *byte = ascii_digit(rest % 10);
            rest /= 10;
        }
        out
    }

    /// The 18 characters as a string.
    #[must_use]
    pub fn to_canonical_string(&self) -> String {
        self.canonical().map(char::from).iter().collect()
    }

    /// The input of the OPRF: `cn-id:` and the 18 ASCII characters.
    #[must_use]
    pub fn oprf_input(&self) -> [u8; 24] {
        let mut out = *b"cn-id:000000000000000000";
        out[6..].copy_from_slice(&self.canonical());
        out
    }

    /// The first 17 digits as a number below 10^17; ordered like the canonical strings.
    #[must_use]
    pub fn to_u64(&self) -> u64 {
        self.0
    }

    /// The person whose first 17 digits are `digits`, as given by [`PersonId::to_u64`]; `None` if no valid ID number
    /// begins with them.
    #[must_use]
    pub fn from_u64(digits: u64) -> Option<Self> {
        Self::verified(digits).ok()
    }

    fn from_18(characters: &[u8; 18]) -> Result<Self, PersonError> {
        let digits = number(&characters[..17]).ok_or(PersonError::Letters)?;
        let person = Self::verified(digits)?;
        if person.check_character() == characters[17] { Ok(person) } else { Err(PersonError::CheckDigit) }
    }

    /// `None` if the first 15 characters are not all digits.
    fn from_15(characters: &[u8; 18]) -> Option<Result<Self, PersonError>> {
        let region = number(&characters[..6])?;
        let rest = number(&characters[6..15])?;
        Some(Self::verified((region * 100 + 19) * 1_000_000_000 + rest))
    }

    /// Checks region and birth date of a number's first 17 digits.
    fn verified(digits: u64) -> Result<Self, PersonError> {
        if !region_is_known(digits / 1_000_000_000_000_000) {
            return Err(PersonError::Region);
        }
        if !birth_date_exists(digits / 1_000 % 100_000_000) {
            return Err(PersonError::BirthDate);
        }
        Ok(Self(digits))
    }

    /// ISO 7064 MOD 11-2 over the 17 digits.
    fn check_character(self) -> u8 {
        let (mut sum, mut rest, mut weight) = (0, self.0, 2);
        for _ in 0..17 {
            sum += rest % 10 * weight;
            rest /= 10;
            weight = weight * 2 % 11;
        }
        match (12 - sum % 11) % 11 {
            10 => b'X',
            digit => ascii_digit(digit),
        }
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonId(redacted)")
    }
}

impl Normalised {
    /// Whether anything was changed.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl PersonError {
    /// Every reason, in the order in which they are tried.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Masked,
        Self::FloatingPoint,
        Self::Letters,
        Self::Length,
        Self::Region,
        Self::BirthDate,
        Self::CheckDigit,
    ];

    /// The reason as it stands in quarantine files and quality reports.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Masked => "masked",
            Self::FloatingPoint => "floating_point",
            Self::Letters => "letters",
            Self::Length => "length",
            Self::Region => "region",
            Self::BirthDate => "birth_date",
            Self::CheckDigit => "check_digit",
        }
    }
}

/// Up to 18 digits and X, what is left of a field after normalising.
struct Characters {
    bytes: [u8; 18],
    length: usize,
}

impl Characters {
    /// `None` if anything else is left, or more than 18 characters.
    fn read(text: &str) -> Option<(Self, Normalised)> {
        let mut normalised = Normalised::default();
        let (mut bytes, mut length) = ([0; 18], 0);
        for c in text.chars() {
            if is_white_space(c) {
                normalised.white_space = true;
                continue;
            }
            if c == '\'' && length == 0 && !normalised.apostrophe {
                normalised.apostrophe = true;
                continue;
            }
            let narrow = half_width(c);
            normalised.full_width |= narrow != c;
            normalised.lower_case_x |= narrow == 'x';
            *bytes.get_mut(length)? = match narrow {
                '0'..='9' => narrow as u8,
                'x' | 'X' => b'X',
                _ => return None,
            };
            length += 1;
        }
        Some((Self { bytes, length }, normalised))
    }
}

/// The reason for which a value does not even have the shape of an ID number.
#[cold]
fn diagnose(text: &str) -> PersonError {
    let visible: String = text.chars().filter(|c| !is_white_space(*c)).map(half_width).collect();
    let visible = visible.strip_prefix('\'').unwrap_or(&visible);
    if visible.is_empty() {
        PersonError::Empty
    } else if visible.contains('*') {
        PersonError::Masked
    } else if visible.contains('.') || has_exponent(visible) {
        PersonError::FloatingPoint
    } else if has_misplaced_character(visible) {
        PersonError::Letters
    } else {
        PersonError::Length
    }
}

/// Digits, `e` or `E`, perhaps a sign, digits.
fn has_exponent(visible: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    visible.split_once(['e', 'E']).is_some_and(|(mantissa, exponent)| {
        digits(mantissa) && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
    })
}

/// Digits may stand anywhere, an X only at the end, and nowhere in the 15-digit form, which has no check character.
fn has_misplaced_character(visible: &str) -> bool {
    let body = if visible.len() == 15 { visible } else { visible.strip_suffix(['x', 'X']).unwrap_or(visible) };
    !body.bytes().all(|b| b.is_ascii_digit())
}

fn is_white_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{200B}' || c == '\u{FEFF}'
}

/// Full-width digits and X as ASCII, everything else as it is.
fn half_width(c: char) -> char {
    match c {
        '０'..='９' | 'Ｘ' | 'ｘ' => char::from_u32(u32::from(c) - FULL_WIDTH_OFFSET).unwrap_or(c),
        _ => c,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

fn ascii_digit(digit: u64) -> u8 {
    b'0' + (digit % 10) as u8
}

/// `prefix`: the first two digits. 81 to 83: residence permits of people from Hong Kong, Macao, Taiwan; 9: permanent
/// residence cards of foreigners.
fn region_is_known(prefix: u64) -> bool {
    matches!(prefix, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 90..=99)
}

/// `date`: year, month and day as one number of eight digits.
fn birth_date_exists(date: u64) -> bool {
    let (year, month, day) = ((date / 10_000) as i16, (date / 100 % 100) as i8, (date % 100) as i8);
    BIRTH_YEARS.contains(&year) && Date::new(year, month, day).is_ok()
}

const BIRTH_YEARS: std::ops::RangeInclusive<i16> = 1850..=2099;
/// The distance of the full-width forms (U+FF01 and on) from ASCII.
const FULL_WIDTH_OFFSET: u32 = 0xFEE0;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    /// The example of GB 11643.
    const EXAMPLE: &str = "11010519491231002X";

    fn parse(text: &str) -> Result<String, PersonError> {
        PersonId::parse(text).map(|(person, _)| person.to_canonical_string())
    }

    fn normalised(text: &str) -> Normalised {
        PersonId::parse(text).unwrap().1
    }

    /// First 17 digits with their check character, computed from the weights that the standard lists.
    fn with_check(digits: &str) -> String {
        const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        let sum: u32 = digits.chars().zip(WEIGHTS).map(|(c, weight)| c.to_digit(10).unwrap() * weight).sum();
        format!("{digits}{}", ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'][sum as usize % 11])
    }

    fn valid() -> impl Strategy<Value = String> {
        let province = prop::sample::select(vec![
            "11", "15", "23", "34", "46", "50", "54", "65", "71", "81", "82", "83", "90", "99",
        ]);
        (province, 0..10_000, 1850..=2099_i16, 1..=12_i8, 1..=31_i8, 0..1_000)
            .prop_filter("in the calendar", |(_, _, year, month, day, _)| Date::new(*year, *month, *day).is_ok())
            .prop_map(|(province, district, year, month, day, sequence)| {
                with_check(&format!("{province}{district:04}{year:04}{month:02}{day:02}{sequence:03}"))
            })
    }

    #[test]
    fn examples_of_the_standard_are_valid() {
        assert_eq!(parse(EXAMPLE).unwrap(), EXAMPLE);
        assert_eq!(parse("440524188001010014").unwrap(), "440524188001010014");
        assert!(!normalised(EXAMPLE).any());
    }

    #[test]
    fn canonical_bytes_and_oprf_input() {
        let person = PersonId::parse(EXAMPLE).unwrap().0;
        assert_eq!(&person.canonical(), b"11010519491231002X");
        assert_eq!(&person.oprf_input(), b"cn-id:11010519491231002X");
        assert_eq!(person.to_u64(), 11_010_519_491_231_002);
    }

    #[test]
    fn debug_is_redacted() {
        assert_eq!(format!("{:?}", PersonId::parse(EXAMPLE).unwrap().0), "PersonId(redacted)");
    }

    #[test]
    fn each_normalisation_is_told() {
        let told =
            |text, expected| assert_eq!((parse(text), normalised(text)), (Ok(EXAMPLE.into()), expected), "{text:?}");
        let nothing = Normalised::default();
        told("11010519491231002x", Normalised { lower_case_x: true, ..nothing });
        told("1101051949123１００２X", Normalised { full_width: true, ..nothing });
        told("11010519491231002Ｘ", Normalised { full_width: true, ..nothing });
        told("11010519491231002ｘ", Normalised { full_width: true, lower_case_x: true, ..nothing });
        told("'11010519491231002X", Normalised { apostrophe: true, ..nothing });
        told(
            " '\u{3000}110105 19491231\u{200B}002X\u{FEFF}\n",
            Normalised { apostrophe: true, white_space: true, ..nothing },
        );
        told("110105491231002", Normalised { old_form: true, ..nothing });
    }

    #[test]
    fn each_reason() {
        let cases = [
            ("", "empty"),
            (" \u{200B}\u{FEFF}\u{3000}", "empty"),
            ("'", "empty"),
            ("110105********002X", "masked"),
            ("*.x", "masked"),
            ("1.10105194912310E+17", "floating_point"),
            ("110105194912310020.0", "floating_point"),
            ("11010519491231e3", "floating_point"),
            ("3E+17", "floating_point"),
            ("３e-１７", "floating_point"),
            ("3E+", "letters"),
            ("E17", "letters"),
            ("1101051949123100AX", "letters"),
            ("1101051949123100XX", "letters"),
            ("X10105194912310021", "letters"),
            ("''11010519491231002X", "letters"),
            ("1'1010519491231002X", "letters"),
            ("11010549123100X", "letters"),
            ("-11010519491231002", "letters"),
            ("張三", "letters"),
            ("x12345678901234567890", "letters"),
            ("1", "length"),
            ("X", "length"),
            ("1101051949123102X", "length"),
            ("1101051949123100201", "length"),
            ("101010194912310021", "region"),
            ("551010194912310021", "region"),
            ("881010194912310021", "region"),
            ("001010999999999999", "region"),
            ("110105194913310021", "birth_date"),
            ("110105190002290021", "birth_date"),
            ("110105184912310021", "birth_date"),
            ("110105210001010021", "birth_date"),
            ("110105490230002", "birth_date"),
            ("550105490130002", "region"),
            ("110105194912310021", "check_digit"),
            ("110105194912310020", "check_digit"),
        ];
        for (text, code) in cases {
            assert_eq!(parse(text).expect_err(text).code(), code, "{text:?}");
        }
    }

    #[test]
    fn an_x_where_a_digit_is_the_check_character_is_wrong() {
        assert_eq!(parse("44052418800101001X"), Err(PersonError::CheckDigit));
    }

    #[test]
    fn leap_days_and_bounds_of_the_years() {
        for digits in ["11010520000229001", "11010518500101001", "11010520991231001", "11010519960229001"] {
            parse(&with_check(digits)).expect(digits);
        }
    }

    #[test]
    fn regions_are_those_of_provinces_and_permits() {
        let accepted: Vec<u32> =
            (0..100).filter(|prefix| parse(&with_check(&format!("{prefix:02}000019491231001"))).is_ok()).collect();
        let provinces =
            "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71";
        let mut expected: Vec<u32> = provinces.split(' ').map(|prefix| prefix.parse().unwrap()).collect();
        expected.extend([81, 82, 83]);
        expected.extend(90..100);
        assert_eq!(accepted, expected);
    }

    #[test]
    fn from_u64_accepts_only_what_to_u64_gives() {
        let person = PersonId::parse(EXAMPLE).unwrap().0;
        assert_eq!(PersonId::from_u64(person.to_u64()), Some(person));
        for digits in [0, 10_u64.pow(17), u64::MAX, 55_010_519_491_231_002, 11_010_519_491_331_002] {
            assert_eq!(PersonId::from_u64(digits), None);
        }
    }

    #[test]
    fn codes_and_texts_are_distinct_and_in_order() {
        let codes: std::collections::BTreeSet<_> = PersonError::ALL.iter().map(PersonError::code).collect();
        assert_eq!(codes.len(), PersonError::ALL.len());
        assert!(PersonError::ALL.is_sorted());
    }

    proptest! {
        #[test]
        fn valid_numbers_round_trip(text in valid()) {
            let (person, normalised) = PersonId::parse(&text).unwrap();
            prop_assert!(!normalised.any());
            prop_assert_eq!(person.to_canonical_string(), text.clone());
            prop_assert_eq!(&person.canonical(), text.as_bytes());
            prop_assert_eq!(PersonId::from_u64(person.to_u64()), Some(person));
            prop_assert!(person.to_u64() < 10_u64.pow(17));
        }

        #[test]
        fn order_is_that_of_the_strings(a in valid(), b in valid(), digits in 0..10_usize.pow(4)) {
            let near = with_check(&format!("{}{:03}", &a[..14], digits % 1_000));
            for other in [b, near] {
                let (left, right) = (PersonId::parse(&a).unwrap().0, PersonId::parse(&other).unwrap().0);
                prop_assert_eq!(left.cmp(&right), a.cmp(&other));
            }
        }

        #[test]
        fn any_single_changed_digit_is_caught(text in valid(), at in 0..18_usize, by in 1..10_u8) {
            let mut bytes = text.into_bytes();
            let old = if bytes[at] == b'X' { 0 } else { bytes[at] - b'0' };
            bytes[at] = b'0' + (old + by) % 10;
            let changed = String::from_utf8(bytes).unwrap();
            let error = parse(&changed).unwrap_err();
            prop_assert!(matches!(error, PersonError::CheckDigit | PersonError::Region | PersonError::BirthDate));
            prop_assert_ne!(with_check(&changed[..17]), changed);
        }

        #[test]
        fn the_old_form_is_the_same_person(text in valid()) {
            let old = format!("{}{}", &text[..6], &text[8..17]);
            let new = with_check(&format!("{}19{}", &text[..6], &text[8..17]));
            // Only 29 February can be missing from the twentieth century.
            prop_assert_eq!(parse(&old), parse(&new));
            if &text[6..8] == "19" {
                prop_assert_eq!(parse(&old), Ok(text));
            }
        }

        #[test]
        fn full_width_is_the_same_person(text in valid(), which in any::<u32>()) {
            let wide: String = text.char_indices().map(|(i, c)| match which >> i & 1 {
                1 => char::from_u32(u32::from(c) + FULL_WIDTH_OFFSET).unwrap(),
                _ => c,
            }).collect();
            prop_assert_eq!(normalised(&wide).full_width, wide != text);
            prop_assert_eq!(parse(&wide), Ok(text));
        }

        #[test]
        fn white_space_anywhere_is_removed(text in valid(), at in prop::collection::vec((0..=18_usize, 0..WHITE.len()), 1..8)) {
            let mut spaced: Vec<char> = text.chars().collect();
            for (position, which) in at {
                spaced.insert(position, WHITE[which]);
            }
            let spaced: String = spaced.into_iter().collect();
            prop_assert!(normalised(&spaced).white_space);
            prop_assert_eq!(parse(&spaced), Ok(text));
        }

        #[test]
        fn never_panics_and_accepts_only_canonical_people(text in any::<String>()) {
            if let Ok((person, _)) = PersonId::parse(&text) {
                prop_assert_eq!(parse(&person.to_canonical_string()), Ok(person.to_canonical_string()));
            }
        }

        #[test]
        fn never_panics_near_valid_values(text in "[0-9xX０-９ｘＸ'.*eE+ \u{3000}-]{0,24}") {
            if let Ok((person, normalised)) = PersonId::parse(&text) {
                prop_assert_eq!(normalised.any(), text != person.to_canonical_string());
            }
        }

        #[test]
        fn from_u64_agrees_with_parse(digits in 0..10_u64.pow(17)) {
            prop_assert_eq!(PersonId::from_u64(digits).is_some(), parse(&with_check(&format!("{digits:017}"))).is_ok());
        }
    }

    const WHITE: [char; 10] =
        [' ', '\t', '\n', '\r', '\u{A0}', '\u{2003}', '\u{2028}', '\u{3000}', '\u{200B}', '\u{FEFF}'];
}
