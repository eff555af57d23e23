//! The level of a line that came without a file: what the network inputs ask of this room.

use model::Level;

use crate::content;

/// The level that a line gives by itself, found as in a followed file: by a field of JSON or
/// logfmt, the status of an access log, else by the words of the text.
pub fn level_of(line: &[u8]) -> Level {
    content::level_of(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_words_tell() {
        let check =
            |line: &str, expected| assert_eq!(level_of(line.as_bytes()), expected, "{line}");
        check(
            r#"{"level":"warn","msg":"an ERROR in the text"}"#,
            Level::Warn,
        );
        check("level=error msg=\"it broke\"", Level::Error);
        check("2026-03-01 10:00:00 [WARN] it is slow", Level::Warn);
        check("nothing to see", Level::Unknown);
    }
}
