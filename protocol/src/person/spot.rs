//! Spots ID numbers in texts that must hold none: the entries of the log.

use super::{PersonId, half_width};

/// Whether something in a text looks like an ID number: the whole of it, however it is written, or a run of digits in it.
pub fn looks_like_id(text: &str) -> bool {
    let word = |c: char| half_width(c).is_ascii_alphanumeric();
    PersonId::parse(text).is_ok()
        || text.split(|c| !word(c)).filter(|word| !is_hex(word)).any(|word| {
            word.split(|c| !matches!(half_width(c), '0'..='9' | 'x' | 'X'))
                .any(|digits| PersonId::parse(digits).is_ok())
        })
}

/// A digest, key or signature, in which digits stand by chance.
fn is_hex(word: &str) -> bool {
    word.len() >= HEX_MIN && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Characters of the shortest hexadecimal string in an entry.
const HEX_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::looks_like_id;

    #[test]
    fn id_numbers_are_spotted_and_nothing_else_is() {
        let holding = [
            "11010519491231002X",
            "110105491231002",
            "1101 0519 4912 3100 2x",
            "１１０１０５１９４９１２３１００２Ｘ",
            "ask 11010519491231002X again",
            "张三11010519491231002X",
            "id11010519491231002X.csv",
            "village-110105491231002-7",
        ];
        assert!(holding.iter().all(|text| looks_like_id(text)));
        let free = [
            "",
            "human_resources",
            "2026-11",
            "127.0.0.1:40123",
            "110105194912310021",
            "1101051949123100",
            // A digest with the digits of an old number between letters.
            "a110105491231002aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ];
        assert!(!free.iter().any(|text| looks_like_id(text)));
    }
}
