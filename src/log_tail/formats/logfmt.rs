//! Looks at the `key=value` pairs of a line for its level and time.

use memchr::memchr;

use super::{Fields, is_level_key, is_time_key};
use crate::level_detect::field_level;
use crate::time_detect::{self, Context};

/// Loggers write time and level among the first pairs.
const SEARCH_BYTES_MAX: usize = 512;

/// Returns what the pairs say, or `None` where the line has neither a level nor a time in a pair.
pub(crate) fn fields(line: &[u8], context: &mut Context<'_>) -> Option<Fields> {
    let text = line.get(..SEARCH_BYTES_MAX).unwrap_or(line);
    let mut found = Fields::default();
    let mut at = 0;
    while let Some(equals) = memchr(b'=', &text[at..]) {
        let equals = at + equals;
        let key_start = text[at..equals]
            .iter()
            .rposition(|byte| matches!(byte, b' ' | b'\t' | b','))
            .map_or(at, |space| at + space + 1);
        let key = &text[key_start..equals];
        let (value, next) = value_at(text, equals + 1);
        if found.level.is_none() && is_level_key(key) {
            found.level = field_level(value);
        } else if found.time_ns.is_none() && is_time_key(key) {
            found.time_ns = time_detect::whole(value, context);
        }
        if found.level.is_some() && found.time_ns.is_some() {
            break;
        }
        at = next;
    }
    (found != Fields::default()).then_some(found)
}

/// The value behind the equals sign, without quotes, and where the search goes on.
fn value_at(text: &[u8], start: usize) -> (&[u8], usize) {
    let rest = text.get(start..).unwrap_or_default();
    if let [b'"', quoted @ ..] = rest {
        return match memchr(b'"', quoted) {
            Some(end) => (&quoted[..end], start + end + 2),
            None => (quoted, text.len()),
        };
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t' | b','))
        .unwrap_or(rest.len());
    (&rest[..end], start + end)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use model::Level;
    use proptest::prelude::*;

    use super::*;
    use crate::civil::Zone;

    fn read(line: &[u8]) -> Option<Fields> {
        let mut context = Context {
            zone: &mut Zone::new(TimeZone::UTC),
            newest_ns: 1_800_000_000_000_000_000,
        };
        fields(line, &mut context)
    }

    const TIME: i64 = 1_704_164_645_000_000_000;

    #[test]
    fn finds_level_and_time() {
        let check = |line: &str, level: Option<Level>, time_ns: Option<i64>| {
            assert_eq!(
                read(line.as_bytes()),
                Some(Fields { time_ns, level }),
                "{line}"
            );
        };
        let (warn, info) = (Some(Level::Warn), Some(Level::Info));
        check(
            "ts=2024-01-02T03:04:05Z caller=a.go:1 level=warn msg=x",
            warn,
            Some(TIME),
        );
        check(
            r#"time="2024-01-02T03:04:05Z" level=info msg="a level=error""#,
            info,
            Some(TIME),
        );
        check(r#"msg="x level=error" lvl=info"#, info, None);
        check("ts=1704164645 level=\"info\"", info, Some(TIME));
    }

    #[test]
    fn other_pairs_and_texts_say_nothing() {
        let check = |line: &str| assert_eq!(read(line.as_bytes()), None, "{line}");
        check("");
        check("text");
        check("a=1 b=2");
        check("loglevels=error");
        check("level=high");
        check("=");
        check("level=\"");
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            read(&line);
        }

        #[test]
        fn never_panics_near_pairs(line in "[ts=\"level ,0-9]{0,40}") {
            read(line.as_bytes());
        }
    }
}
