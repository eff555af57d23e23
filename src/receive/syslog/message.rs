//! One syslog message. Whatever does not read as one is a message with nothing but its text.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Level;

use crate::times;

/// Names of the facilities by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// What counts for a message that does not say: user, notice.
const PRIORITY_DEFAULT: u8 = 13;
/// A time without a year further ahead than this belongs to last year. A day, for wrong zones.
const AHEAD_NS_MAX: i64 = 24 * 3_600 * 1_000_000_000;
/// Parameters of structured data in one message; the rest is left out with the message kept.
const DATA_MAX: usize = 128;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A message in its parts; empty where it does not have one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message<'a> {
    priority: u8,
    pub(super) time_ns: Option<i64>,
    pub(super) host: Cow<'a, str>,
    pub(super) app: Cow<'a, str>,
    pub(super) process: Cow<'a, str>,
    pub(super) id: Cow<'a, str>,
    /// Structured data: `id.name` and value.
    pub(super) data: Vec<(String, String)>,
    pub(super) text: &'a [u8],
}

impl Message<'_> {
    pub(super) fn level(&self) -> Level {
        match self.priority % 8 {
            0..=2 => Level::Fatal,
            3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        }
    }

    pub(super) fn facility(&self) -> &'static str {
        let at = usize::from(self.priority / 8);
        FACILITIES.get(at).copied().unwrap_or("user")
    }
}

/// Reads a message; `zone` is that of times without one.
pub(super) fn parse<'a>(bytes: &'a [u8], now_ns: i64, zone: &TimeZone) -> Message<'a> {
    let Some((priority, rest)) = priority(bytes) else {
        return Message {
            priority: PRIORITY_DEFAULT,
            text: bytes,
            ..Message::default()
        };
    };
    let mut message = rest
        .strip_prefix(b"1 ")
        .and_then(structured)
        .unwrap_or_else(|| plain(rest, now_ns, zone));
    message.priority = priority;
    message
}

/// `<34>`
fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let digits = rest
        .iter()
        .take(3)
        .take_while(|b| b.is_ascii_digit())
        .count();
    let number: u16 = std::str::from_utf8(rest.get(..digits)?)
        .ok()?
        .parse()
        .ok()?;
    let rest = rest.get(digits..)?.strip_prefix(b">")?;
    (number < 192).then_some((number as u8, rest))
}

/// RFC 5424 behind its version: `TIME HOST APP PROCID MSGID DATA TEXT`.
fn structured(bytes: &[u8]) -> Option<Message<'_>> {
    let (time, rest) = word(bytes)?;
    let (host, rest) = word(rest)?;
    let (app, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    // The last words may end the message.
    let (id, rest) = word(rest).unwrap_or((rest, b"-"));
    let (data, rest) = data(rest)?;
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    let time_ns = match time {
        b"-" => None,
        time => Some(times::of_text(std::str::from_utf8(time).ok()?)?),
    };
    Some(Message {
        priority: 0,
        time_ns,
        host: or_nothing(host),
        app: or_nothing(app),
        process: or_nothing(process),
        id: or_nothing(id),
        data,
        text: text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text),
    })
}

fn or_nothing(word: &[u8]) -> Cow<'_, str> {
    match word {
        b"-" => Cow::Borrowed(""),
        word => String::from_utf8_lossy(word),
    }
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == b' ')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

type Data = Vec<(String, String)>;

/// `-`, or `[id name="value" …]` once or more; and what follows.
fn data(bytes: &[u8]) -> Option<(Data, &[u8])> {
    let mut found = Vec::new();
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some((found, rest));
    }
    let mut rest = bytes;
    while let Some(inside) = rest.strip_prefix(b"[") {
        let end = inside.iter().position(|b| matches!(b, b' ' | b']'))?;
        let (id, mut inside) = inside.split_at_checked(end)?;
        let id = String::from_utf8_lossy(id);
        loop {
            if let Some(behind) = inside.strip_prefix(b"]") {
                rest = behind;
                break;
            }
            inside = inside.strip_prefix(b" ")?;
            let equals = inside.iter().position(|b| *b == b'=')?;
            let name = String::from_utf8_lossy(inside.get(..equals)?);
            inside = inside.get(equals + 1..)?.strip_prefix(b"\"")?;
            let mut value = Vec::new();
            loop {
                let (byte, behind) = inside.split_first()?;
                inside = behind;
                match byte {
                    b'"' => break,
                    // Only these three are escaped; any other backslash is one.
                    b'\\' if matches!(inside.first(), Some(b'"' | b'\\' | b']')) => {
                        let (byte, behind) = inside.split_first()?;
                        value.push(*byte);
                        inside = behind;
                    }
                    byte => value.push(*byte),
                }
            }
            if found.len() < DATA_MAX {
                let value = String::from_utf8_lossy(&value).into_owned();
                found.push((format!("{id}.{name}"), value));
            }
        }
    }
    (rest.len() < bytes.len()).then_some((found, rest))
}

/// RFC 3164, and what is sent as it: `[TIME] [HOST] [TAG[PID]:] TEXT`.
fn plain<'a>(bytes: &'a [u8], now_ns: i64, zone: &TimeZone) -> Message<'a> {
    let mut message = Message {
        text: bytes,
        ..Message::default()
    };
    let Some((time_ns, rest)) = plain_time(bytes, now_ns, zone) else {
        if let Some((app, process, text)) = tag(bytes) {
            (message.app, message.process, message.text) = (app, process, text);
        }
        return message;
    };
    (message.time_ns, message.text) = (Some(time_ns), rest);
    // A host ends with a space, a tag with a colon before its space.
    if let Some((host, behind)) = word(rest)
        && !host.is_empty()
        && !host.ends_with(b":")
    {
        (message.host, message.text) = (String::from_utf8_lossy(host), behind);
    }
    if let Some((app, process, text)) = tag(message.text) {
        (message.app, message.process, message.text) = (app, process, text);
    }
    message
}

/// `su:`, `sshd[42]:` and the text behind it.
fn tag(bytes: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>, &[u8])> {
    let is_end = |b: &u8| matches!(b, b':' | b'[' | b' ' | b']' | b'{' | b'"' | b'=');
    let end = bytes.iter().take(64).position(is_end)?;
    let (app, rest) = bytes.split_at_checked(end)?;
    let (process, rest) = match rest.strip_prefix(b"[") {
        Some(inside) => {
            let end = inside.iter().take(32).position(|b| *b == b']')?;
            (inside.get(..end)?, inside.get(end + 1..)?)
        }
        None => (&b""[..], rest),
    };
    let text = rest.strip_prefix(b":")?;
    if app.is_empty() {
        return None;
    }
    let text = text.strip_prefix(b" ").unwrap_or(text);
    Some((
        String::from_utf8_lossy(app),
        String::from_utf8_lossy(process),
        text,
    ))
}

/// `Mar  1 10:00:02` or RFC 3339, and what follows its space.
fn plain_time<'a>(bytes: &'a [u8], now_ns: i64, zone: &TimeZone) -> Option<(i64, &'a [u8])> {
    if bytes.first()?.is_ascii_digit() {
        let (time, rest) = word(bytes)?;
        let time = std::str::from_utf8(time).ok().filter(|t| t.contains('T'))?;
        return Some((times::of_text(time)?, rest));
    }
    let month = MONTHS.iter().position(|name| bytes.starts_with(name))? + 1;
    let rest = bytes.get(3..)?.strip_prefix(b" ")?;
    let (day, rest) = rest.split_at_checked(2)?;
    let day: i8 = std::str::from_utf8(day).ok()?.trim_start().parse().ok()?;
    let rest = rest.strip_prefix(b" ")?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let rest = match rest.first() {
        Some(b' ') => rest.get(1..)?,
        _ => return None,
    };
    let mut parts = std::str::from_utf8(clock).ok()?.split(':');
    let mut part = || parts.next()?.parse::<i8>().ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    let now = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).ok()?;
    let year = zone.to_datetime(now).year();
    let at = |year: i16| -> Option<i64> {
        let date = Date::new(year, i8::try_from(month).ok()?, day).ok()?;
        let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
        let time = zone.to_timestamp(date.to_datetime(time)).ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    };
    // On the 29th of February last year's date may not exist.
    let this_year = at(year);
    let time_ns = match this_year {
        Some(time_ns) if time_ns <= now_ns.saturating_add(AHEAD_NS_MAX) => time_ns,
        _ => at(year - 1).or(this_year)?,
    };
    Some((time_ns, rest))
}
