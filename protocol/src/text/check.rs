//! Whether two texts are one text in two languages; evaluated by the compiler.

/// Whether both have the same parts, and the second is Chinese where it says anything else than the first.
pub const fn fit(english: &str, chinese: &str) -> bool {
    let (english, chinese) = (english.as_bytes(), chinese.as_bytes());
    has_parts_of(english, chinese) && has_parts_of(chinese, english) && (equal(english, chinese) || !chinese.is_ascii())
}

/// Whether every `{part` of `of` stands in `text` too, whatever its format.
const fn has_parts_of(text: &[u8], of: &[u8]) -> bool {
    let mut at = 0;
    while at < of.len() {
        if of[at] == b'{' && !has_part(text, of, at) {
            return false;
        }
        at += 1;
    }
    true
}

const fn has_part(text: &[u8], of: &[u8], part: usize) -> bool {
    let mut at = 0;
    while at < text.len() {
        let mut length = 0;
        while at + length < text.len() && text[at + length] == of[part + length] {
            length += 1;
            if is_end(of[part + length]) && at + length < text.len() && is_end(text[at + length]) {
                return true;
            }
        }
        at += 1;
    }
    false
}

const fn is_end(byte: u8) -> bool {
    byte == b'}' || byte == b':'
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn parts_must_be_the_same_and_chinese_must_be_chinese() {
        assert!(fit("{a} of {bc:>4}", "{bc} 的 {a:?}"));
        assert!(fit("{error}", "{error}"));
        assert!(!fit("{a} of {b}", "{a} 的"));
        assert!(!fit("{a}", "{a} 的 {b}"));
        assert!(!fit("{ab}", "{a} 的"));
        assert!(!fit("{a}", "{ab} 的"));
        assert!(!fit("closed", "done"));
        assert!(!fit("{a", "的"));
    }
}
