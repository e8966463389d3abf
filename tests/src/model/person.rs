//! ID numbers (GB 11643), read independently of the federation's own reader.

use jiff::civil::Date;

use super::Reason;

/// The 18 characters that stand for a person, whichever way the number was written.
pub(super) fn canonical(raw: &str) -> Result<String, Reason> {
    let text = normalised(raw);
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.contains('*') {
        return Err(Reason::Masked);
    }
    if is_floating_point(&text) {
        return Err(Reason::FloatingPoint);
    }
    if !is_digits_but_for_a_last_x(&text) {
        return Err(Reason::Letters);
    }
    let (id, given_check) = match text.len() {
        15 => (format!("{}19{}", &text[..6], &text[6..]), None),
        18 => (text[..17].to_owned(), text.chars().last()),
        _ => return Err(Reason::Length),
    };
    if !is_region(&id[..2]) {
        return Err(Reason::Region);
    }
    if !is_birth_date(&id[6..14]) {
        return Err(Reason::BirthDate);
    }
    let check = check_character(&id);
    if given_check.is_some_and(|given| given != check) {
        return Err(Reason::CheckDigit);
    }
    Ok(format!("{id}{check}"))
}

/// ISO 7064 MOD 11-2 over 17 digits, with the weights as the standard prints them.
pub(super) fn check_character(seventeen_digits: &str) -> char {
    let sum: u32 = seventeen_digits.chars().zip(WEIGHTS).map(|(c, weight)| c.to_digit(10).unwrap_or(0) * weight).sum();
    CHECK_CHARACTERS[(sum % 11) as usize]
}

fn normalised(raw: &str) -> String {
    let text: String = raw.chars().filter(|c| !c.is_whitespace() && *c != '\u{200B}' && *c != '\u{FEFF}').collect();
    let text = text.strip_prefix('\'').unwrap_or(&text);
    text.chars().map(half_width).collect()
}

fn half_width(c: char) -> char {
    match c {
        '０' => '0',
        '１' => '1',
        '２' => '2',
        '３' => '3',
        '４' => '4',
        '５' => '5',
        '６' => '6',
        '７' => '7',
        '８' => '8',
        '９' => '9',
        'x' | 'Ｘ' | 'ｘ' => 'X',
        other => other,
    }
}

/// Digits, then a fraction or an exponent or both: `3.41699E+17`, `341699195001011234.0`, `3E17`.
fn is_floating_point(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let has_sign = |e: &str| e.starts_with(['+', '-']);
    (fraction.is_some() || exponent.is_some())
        && is_digits(whole)
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|e| is_digits(if has_sign(e) { &e[1..] } else { e }))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The old form of 15 has no check character, so no X either.
fn is_digits_but_for_a_last_x(text: &str) -> bool {
    if text.len() == 15 {
        return is_digits(text);
    }
    is_digits(text) || text.strip_suffix('X').is_some_and(|rest| rest.is_empty() || is_digits(rest))
}

/// A province; or a residence permit for people from Hong Kong, Macao, Taiwan; or a permanent resident (9).
fn is_region(first_two: &str) -> bool {
    matches!(first_two.parse(), Ok(11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 90..=99))
}

fn is_birth_date(yyyymmdd: &str) -> bool {
    let year: i16 = yyyymmdd[0..4].parse().unwrap_or(0);
    let month = yyyymmdd[4..6].parse().unwrap_or(0);
    let day = yyyymmdd[6..8].parse().unwrap_or(0);
    (1850..=2099).contains(&year) && Date::new(year, month, day).is_ok()
}

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_CHARACTERS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_valid() {
        for id in ["11010519491231002X", "440524188001010014"] {
            assert_eq!(canonical(id).unwrap(), id);
        }
    }

    #[test]
    fn all_ways_of_writing_one_number_are_one_person() {
        for written in [
            "11010519491231002x",
            "'11010519491231002X",
            " ' 11010519491231002X",
            "110105 19491231 002X",
            "\u{FEFF}110105\u{3000}19491231\u{200B}002\u{A0}X\t",
            "１１０１０５１９４９１２３１００２Ｘ",
            "11010519491231002ｘ",
            "110105491231002",
        ] {
            assert_eq!(canonical(written).unwrap(), "11010519491231002X", "{written}");
        }
    }

    #[test]
    fn each_reason_is_given() {
        for (written, reason) in [
            ("", Reason::Empty),
            (" \u{200B}'", Reason::Empty),
            ("110105********002X", Reason::Masked),
            ("1.10105194912E+17", Reason::FloatingPoint),
            ("110105194912310000.0", Reason::FloatingPoint),
            ("1E17", Reason::FloatingPoint),
            ("''11010519491231002X", Reason::Letters),
            ("1101051949123100AX", Reason::Letters),
            ("X10105194912310021", Reason::Letters),
            ("11010549123100X", Reason::Letters),
            ("110105-19491231-002X", Reason::Letters),
            ("1.1.1", Reason::Letters),
            ("11010519491231002", Reason::Length),
            ("11010519491231002X1", Reason::Letters),
            ("110105194912310021234", Reason::Length),
            ("1", Reason::Length),
            ("X", Reason::Length),
            ("1101051949123102x", Reason::Length),
            ("1101051949123100XX", Reason::Letters),
            ("160105194912310021", Reason::Region),
            ("010105491231002", Reason::Region),
            ("110105184912310021", Reason::BirthDate),
            ("110105210001010021", Reason::BirthDate),
            ("110105190002290021", Reason::BirthDate),
            ("110105491331002", Reason::BirthDate),
            ("110105194912310021", Reason::CheckDigit),
            ("110105194912310000", Reason::CheckDigit),
        ] {
            assert_eq!(canonical(written), Err(reason), "{written}");
        }
    }

    #[test]
    fn residence_permits_and_permanent_residents_pass() {
        for region in ["810000", "820000", "830000", "911124", "341699", "342199", "710000"] {
            let digits = format!("{region}19500101123");
            let id = format!("{digits}{}", check_character(&digits));
            assert_eq!(canonical(&id).unwrap(), id);
        }
    }

    #[test]
    fn any_other_single_digit_is_refused() {
        let id = "440524188001010014";
        for place in 0..18 {
            for digit in '0'..='9' {
                let mut other: Vec<char> = id.chars().collect();
                other[place] = digit;
                let other: String = other.into_iter().collect();
                assert_eq!(canonical(&other).is_ok(), other == id, "{other}");
            }
        }
    }
}
