//! Looks at the members of a JSON line for its level and time, without building a value.
//!
//! Only the outermost object counts. Names are those of zap, logrus, pino, bunyan, log4j,
//! structlog, serilog, ECS and OpenTelemetry. A few nested ones are understood: MongoDB's
//! `{"t":{"$date":…}}`, log4j's `{"instant":{"epochSecond":…,"nanoOfSecond":…}}` and ECS'
//! `{"log":{"level":…}}`. Serilog leaves the level out where it is information.

use memchr::memchr2;
use model::Level;

use super::{Fields, is_level_key, is_severity_number_key, is_time_key};
use crate::level_detect::field_level;
use crate::time_detect::{self, Context};
use crate::time_scan::decimal;

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
    let mut serilog = false;
    while let Some((key, value)) = scan.member() {
        first = false;
        if found.level.is_none() && is_level_key(key) {
            found.level = field_level(value.trimmed());
        } else if found.level.is_none() && is_severity_number_key(key) {
            found.level = severity_number(value.trimmed());
        } else if found.level.is_none() && key == b"log" {
            found.level = value.member(b"level").and_then(field_level);
        } else if found.time_ns.is_none() && is_time_key(key) {
            found.time_ns = value.time(context);
        }
        serilog |= matches!(key, b"@mt" | b"@m" | b"@i");
        if found.level.is_some() && found.time_ns.is_some() {
            break;
        }
        scan.spaces();
        if scan.expect(b',').is_none() {
            break;
        }
    }
    if serilog && found.level.is_none() {
        found.level = Some(Level::Info);
    }
    (!first).then_some(found)
}

/// `SEVERITY_NUMBER_WARN` and its neighbours.
fn severity_number(number: &[u8]) -> Option<Level> {
    let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some(match number {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17..=20 => Level::Error,
        21..=24 => Level::Fatal,
        _ => return None,
    })
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
            // OpenTelemetry writes 64-bit numbers as texts.
            Value::Text(text) => {
                time_detect::whole(text, context).or_else(|| time_detect::epoch(text))
            }
            Value::Bare(number) => time_detect::epoch(number),
            Value::Nested(_) => {
                if let Some(date) = self.member(b"$date") {
                    return time_detect::whole(date, context);
                }
                let seconds = time_detect::epoch(self.member(b"epochSecond")?)?;
                let nanos = self.member(b"nanoOfSecond").and_then(decimal).unwrap_or(0);
                seconds.checked_add(nanos)
            }
        }
    }

    /// The value of a member of an object, if it is a text or a number.
    fn member(&self, wanted: &[u8]) -> Option<&[u8]> {
        let Value::Nested(object) = self else {
            return None;
        };
        let mut scan = Scan {
            text: object,
            at: 0,
        };
        scan.expect(b'{')?;
        while let Some((key, value)) = scan.member() {
            if key == wanted {
                return match value {
                    Value::Text(text) | Value::Bare(text) => Some(text.trim_ascii()),
                    Value::Nested(_) => None,
                };
            }
            scan.spaces();
            scan.expect(b',')?;
        }
        None
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
    fn reads_what_each_logger_writes() {
        let check = |logger: &str, line: &str, level: Level, timed: bool| {
            let found = read(line.as_bytes()).expect(logger);
            assert_eq!(found.level, Some(level), "{logger}");
            assert_eq!(found.time_ns, timed.then_some(TIME), "{logger}");
        };
        check(
            "zap",
            r#"{"level":"warn","ts":1704164645.0,"caller":"a.go:1","msg":"m"}"#,
            Level::Warn,
            true,
        );
        check(
            "logrus",
            r#"{"level":"warning","msg":"m","time":"2024-01-02T03:04:05Z"}"#,
            Level::Warn,
            true,
        );
        for (number, level) in [
            (10, Level::Trace),
            (20, Level::Debug),
            (30, Level::Info),
            (40, Level::Warn),
            (50, Level::Error),
            (60, Level::Fatal),
        ] {
            let line = format!(r#"{{"level":{number},"time":1704164645000,"pid":1,"msg":"m"}}"#);
            check("pino", &line, level, true);
        }
        check(
            "bunyan",
            r#"{"name":"a","hostname":"h","pid":1,"level":50,"msg":"m","time":"2024-01-02T03:04:05.000Z","v":0}"#,
            Level::Error,
            true,
        );
        check(
            "log4j",
            r#"{"instant":{"epochSecond":1704164645,"nanoOfSecond":0},"thread":"main","level":"FATAL","message":"m"}"#,
            Level::Fatal,
            true,
        );
        check(
            "log4j of old",
            r#"{"timeMillis":1704164645000,"level":"DEBUG","message":"m"}"#,
            Level::Debug,
            true,
        );
        check(
            "structlog",
            r#"{"event":"m","level":"critical","timestamp":"2024-01-02T03:04:05Z"}"#,
            Level::Fatal,
            true,
        );
        check(
            "serilog",
            r#"{"@t":"2024-01-02T03:04:05Z","@mt":"m {n}","@l":"Error","n":1}"#,
            Level::Error,
            true,
        );
        check(
            "serilog, information",
            r#"{"@t":"2024-01-02T03:04:05Z","@mt":"m"}"#,
            Level::Info,
            true,
        );
        check(
            "ECS",
            r#"{"@timestamp":"2024-01-02T03:04:05Z","log.level":"ERROR","message":"m"}"#,
            Level::Error,
            true,
        );
        check(
            "ECS, nested",
            r#"{"@timestamp":"2024-01-02T03:04:05Z","log":{"logger":"a","level":"warn"},"message":"m"}"#,
            Level::Warn,
            true,
        );
        check(
            "OpenTelemetry",
            r#"{"timeUnixNano":"1704164645000000000","severityNumber":17,"body":{"stringValue":"m"}}"#,
            Level::Error,
            true,
        );
        check(
            "OpenTelemetry, text",
            r#"{"Timestamp":"2024-01-02T03:04:05Z","SeverityText":"INFO","Body":"m"}"#,
            Level::Info,
            true,
        );
        check(
            "Google Cloud",
            r#"{"severity":"NOTICE","message":"m"}"#,
            Level::Info,
            false,
        );
        check(
            "python-json-logger",
            r#"{"asctime":"2024-01-02 03:04:05","levelname":"WARNING","message":"m"}"#,
            Level::Warn,
            true,
        );
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
