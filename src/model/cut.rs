//! The mark at the end of a line of which only the beginning was kept.
//!
//! Whoever takes lines in writes it ([`cut_mark`]), so that every search, tail and export says what
//! is missing; its fixed form lets programs recognise it ([`without_cut_mark`]).

/// What stands between the kept text and the number of missing bytes.
const BEFORE: &str = " …[cut, ";

/// What ends the line.
const BEHIND: &str = " bytes]";

/// The end of a line that had so many bytes more: ` …[cut, 2048 bytes]`.
pub fn cut_mark(bytes: u64) -> String {
    format!("{BEFORE}{bytes}{BEHIND}")
}

/// A line without its mark, and how many bytes are missing; `None` for a line that has no mark.
pub fn without_cut_mark(text: &str) -> Option<(&str, u64)> {
    let (kept, mark) = text.rsplit_once(BEFORE)?;
    let bytes = mark.strip_suffix(BEHIND)?.parse().ok()?;
    Some((kept, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_recognised_and_other_ends_are_not() {
        let text = format!("abc{}", cut_mark(2048));
        assert_eq!(text, "abc …[cut, 2048 bytes]");
        assert_eq!(without_cut_mark(&text), Some(("abc", 2048)));
        assert_eq!(without_cut_mark("abc …[cut, many bytes]"), None);
        assert_eq!(without_cut_mark("abc …[cut, 5 bytes] more"), None);
        assert_eq!(without_cut_mark("abc"), None);
    }
}
