//! The level of a line that came without a file: what the network inputs ask of this room.

use jiff::tz::TimeZone;
use model::Level;

use crate::civil::Zone;
use crate::decode::structured;
use crate::level_detect;
use crate::time_detect::Context;

/// The level that a line gives by itself, found as in a followed file: by a field of JSON or
/// logfmt, else by the words of the text.
pub fn level_of(line: &[u8]) -> Level {
    let mut zone = Zone::new(TimeZone::UTC);
    let mut context = Context {
        zone: &mut zone,
        newest_ns: i64::MAX,
    };
    match structured(line, &mut context) {
        Some((_, fields)) => fields.level.unwrap_or_default(),
        None => level_detect::detect(line),
    }
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
