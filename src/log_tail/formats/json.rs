//! Looks at the members of a JSON line for its level and time, without building a value.
//!
//! Only the outermost object counts. Names are those of zap, logrus, pino, bunyan, log4j,
//! structlog, serilog, ECS and OpenTelemetry; MongoDB's `{"t":{"$date":…}}` is understood.

use memchr::memchr2;

use super::{Fields, is_level_key, is_time_key};
use crate::level_detect::field_level;
use crate::time_detect::{self, Context};

/// Members further on are not looked at: loggers put level and time first or last in lines that
/// are rarely longer.
const SEARCH_BYTES_MAX: usize = 16 << 10;

/// Returns what the members say, or `None` where the line is no JSON object.
pub(crate) fn fields(line: &[u8], context: &mut Context<'_>) -> Option<Fields> {
    let line = line.get(..SEARCH_BYTES_MAX).unwrap_or(line);
    let mut scan = Scan { text: line, at: 0 };
    scan.expect(b'{')?;
    let mut found = Fields::default();
    scan.spaces();
    if scan.peek() == Some(b'}') {
        return Some(found);
    }
    // A member that does not read ends the search; what was found until then counts.
    let mut first = true;
    while let Some((key, value)) = scan.member() {
        first = false;
        if found.level.is_none() && is_level_key(key) {
            found.level = field_level(value.trimmed());
        } else if found.time_ns.is_none() && is_time_key(key) {
            found.time_ns = value.time(context);
        }
        if found.level.is_some() && found.time_ns.is_some() {
            break;
        }
        scan.spaces();
        if scan.expect(b',').is_none() {
            break;
        }
    }
    (!first).then_some(found)
}

/// A member's value as it is written.
enum Value<'a> {
    /// Between the quotes, escapes as they are.
    Text(&'a [u8]),
    /// Numbers and words.
    Bare(&'a [u8]),
    /// An object or array with its brackets.
    Nested(&'a [u8]),
}

impl Value<'_> {
    fn trimmed(&self) -> &[u8] {
        match self {
            Value::Text(text) | Value::Bare(text) => text.trim_ascii(),
            Value::Nested(_) => b"",
        }
    }

    fn time(&self, context: &mut Context<'_>) -> Option<i64> {
        match self {
            Value::Text(text) => time_detect::whole(text, context),
            Value::Bare(number) => time_detect::epoch(number),
            Value::Nested(object) => {
                let mut scan = Scan {
                    text: object,
                    at: 0,
                };
                scan.expect(b'{')?;
                match scan.member()? {
                    (b"$date", Value::Text(text)) => time_detect::whole(text, context),
                    _ => None,
                }
            }
        }
    }
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn member(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        self.spaces();
        self.expect(b'"')?;
        let key = self.rest_of_string()?;
        self.spaces();
        self.expect(b':')?;
        self.spaces();
        let start = self.at;
        let value = match self.peek()? {
            b'"' => {
                self.at += 1;
                Value::Text(self.rest_of_string()?)
            }
            b'{' | b'[' => {
                self.skip_nested()?;
                Value::Nested(&self.text[start..self.at])
            }
            _ => {
                while !matches!(self.peek(), None | Some(b',' | b'}' | b' ')) {
                    self.at += 1;
                }
                Value::Bare(&self.text[start..self.at])
            }
        };
        Some((key, value))
    }

    /// Behind the opening quote: everything up to the closing one, which is passed.
    fn rest_of_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            let place = memchr2(b'"', b'\\', rest)?;
            if rest[place] == b'"' {
                let end = self.at + place;
                self.at = end + 1;
                return Some(&self.text[start..end]);
            }
            self.at += place + 2;
        }
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.rest_of_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
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
    fn finds_level_and_time_under_their_usual_names() {
        let check = |line: &str, level: Option<Level>, time_ns: Option<i64>| {
            assert_eq!(
                read(line.as_bytes()),
                Some(Fields { time_ns, level }),
                "{line}"
            );
        };
        let (error, info) = (Some(Level::Error), Some(Level::Info));
        check(
            r#"{"level":"error","ts":1704164645,"msg":"x"}"#,
            error,
            Some(TIME),
        );
        check(
            r#"{"level":30,"time":1704164645000,"msg":"x"}"#,
            info,
            Some(TIME),
        );
        check(
            r#"{"msg":"a \"level\":\"info\"","severity": "ERROR" }"#,
            error,
            None,
        );
        check(
            r#"{"@timestamp":"2024-01-02T03:04:05Z","log.level":"INFO"}"#,
            info,
            Some(TIME),
        );
        check(
            r#"{"t":{"$date":"2024-01-02T03:04:05.000+00:00"},"s":"E"}"#,
            error,
            Some(TIME),
        );
        check(
            r#"{"a":{"level":"error"},"b":[1,{"x":"]"}],"lvl":"info"}"#,
            info,
            None,
        );
        check(r#"{"level":{"n":1}}"#, None, None);
        check("{}", None, None);
        check(r#"{"level":"info","msg":"cut in the mid"#, info, None);
    }

    #[test]
    fn refuses_other_lines() {
        let check = |line: &str| assert_eq!(read(line.as_bytes()), None, "{line}");
        check("");
        check("text");
        check("[1]");
        check("{text in braces}");
        check(r#"{"key"#);
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            read(&line);
            read(&[b"{".as_slice(), &line].concat());
        }

        #[test]
        fn never_panics_near_json(line in "\\{[\"{}\\[\\]:,a\\\\1 ]{0,40}") {
            read(line.as_bytes());
        }
    }
}
