//! A line as a row, and what opening it shows.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use log_query::{Form, LEVEL, LineFields, Record, is_envelope};
use model::{GAP_MARK, Labels, Level, is_gap, without_cut_mark};

use super::marks::{Marked, Marks};
use crate::api::logs::record_id;
use crate::humanize;

/// Bytes of a message that a row shows; the rest is in the details.
const MESSAGE_BYTES: usize = 2 * 1024;

/// Bytes of the text that the details show.
const TEXT_BYTES: usize = 64 * 1024;

/// Fields that a row shows behind the message.
const PILLS: usize = 3;

/// Longer values are for the details.
const PILL_CHARS: usize = 40;

/// A column shows no more of a value, bytes.
const CELL_BYTES: usize = 256;

/// In ranges longer than this the day is written too.
pub(super) const CLOCK_ONLY_MS: i64 = 20 * 3_600_000;

/// Colours for sources, as many as the chart palette has.
const COLOURS: u64 = 8;

/// Labels that name what wrote a line, the best first.
const SOURCE_LABELS: &[&str] = &["app", "container", "unit", "service", "job", "file"];

/// A row.
pub(super) struct Row {
    pub(super) id: String,
    /// RFC 3339 with nanoseconds.
    pub(super) time: String,
    pub(super) clock: String,
    pub(super) level: Level,
    pub(super) letter: &'static str,
    pub(super) source: String,
    /// Number of its colour.
    pub(super) colour: u64,
    /// All labels, for hovering.
    pub(super) labels_text: String,
    pub(super) message: Marked,
    /// The values of the columns that were chosen.
    pub(super) cells: Vec<Option<String>>,
    /// Whether it is collection's mark for lines that are missing.
    pub(super) is_gap: bool,
    /// `cut, 3 KB missing`: collection has kept less than the line was.
    pub(super) cut: String,
    /// `+34 lines`, `show 63 KB more`: what the row leaves out.
    pub(super) more: String,
    pub(super) pills: Vec<(String, String)>,
    pub(super) details: Option<Details>,
    /// Its own page.
    pub(super) page: String,
}

/// An open row.
pub(super) struct Details {
    pub(super) text: String,
    /// What the text leaves out.
    pub(super) text_more: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) truncated: bool,
}

impl Row {
    /// The row of a record; open when its id is `open`.
    pub(super) fn new(
        record: &Record,
        zone: &TimeZone,
        with_day: bool,
        marks: &Marks<'_>,
        open: &str,
        columns: &[String],
    ) -> Self {
        let fields = LineFields::of(&record.text);
        let text = String::from_utf8_lossy(&record.text);
        let message = fields.message().unwrap_or(&text);
        let (shown, more) = first_line(message);
        let is_gap = is_gap(&record.text);
        let shown = shown.strip_prefix(GAP_MARK).unwrap_or(shown);
        let (shown, cut) = match without_cut_mark(shown) {
            Some((kept, bytes)) => (kept, format!("cut, {} missing", humanize::bytes(bytes))),
            None => (shown, String::new()),
        };
        let id = id(record);
        let time = model::time::rfc3339_ns(record.time_ns);
        let (source, colour) = source(&record.labels);
        Self {
            details: (id == open).then(|| Details::new(record, &fields, &text)),
            page: format!("/logs/at/{time}/{id}"),
            id,
            time,
            clock: clock(record.time_ns, zone, with_day),
            level: record.level,
            letter: letter(record.level),
            source,
            colour,
            labels_text: record.labels.to_string(),
            message: marks.on(printable(shown)),
            is_gap,
            cut,
            more,
            cells: columns
                .iter()
                .map(|name| cell(record, &fields, name))
                .collect(),
            pills: if columns.is_empty() {
                pills(&fields)
            } else {
                Vec::new()
            },
        }
    }
}

/// The name of a line for ever.
pub(super) fn id(record: &Record) -> String {
    record_id(record)
}

/// The value of a field or label, as far as a column can show it.
fn cell(record: &Record, fields: &LineFields<'_>, name: &str) -> Option<String> {
    let value = match name {
        LEVEL => Some(record.level.as_str()),
        name => record
            .labels
            .get(name)
            .or_else(|| fields.values(name).next()),
    };
    value.map(|value| printable(cut(value, CELL_BYTES)))
}

impl Details {
    fn new(record: &Record, fields: &LineFields<'_>, text: &str) -> Self {
        let shown = cut(text, TEXT_BYTES);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), printable(value));
        Self {
            text: printable(shown),
            text_more: left_out(text.len() - shown.len()),
            labels: record
                .labels
                .iter()
                .map(|label| (label.name.to_string(), label.value.to_string()))
                .collect(),
            fields: fields.without_message().map(owned).collect(),
            truncated: fields.is_truncated(),
        }
    }
}

/// The letter that stands for a level beside its colour.
pub(super) fn letter(level: Level) -> &'static str {
    match level {
        Level::Fatal => "F",
        Level::Error => "E",
        Level::Warn => "W",
        Level::Info => "I",
        Level::Debug => "D",
        Level::Trace => "T",
        Level::Unknown => "·",
    }
}

fn clock(time_ns: i64, zone: &TimeZone, with_day: bool) -> String {
    let form = if with_day {
        "%b %d %H:%M:%S%.3f"
    } else {
        "%H:%M:%S%.3f"
    };
    Timestamp::from_millisecond(time_ns.div_euclid(1_000_000)).map_or_else(
        |_| "–".to_owned(),
        |time| {
            time.to_zoned_datetime(zone.clone())
                .strftime(form)
                .to_string()
        },
    )
}

/// What wrote the line, as short as it can be told apart, and the number of its colour: the same
/// for all replicas.
fn source(labels: &Labels) -> (String, u64) {
    let name = SOURCE_LABELS
        .iter()
        .find_map(|name| labels.get(name))
        .or_else(|| labels.iter().next().map(|label| &*label.value))
        .unwrap_or("–");
    let name = match name.rsplit_once('/') {
        Some((_, file)) if !file.is_empty() => file,
        _ => name,
    };
    let colour = name.bytes().fold(7u64, |hash, b| {
        hash.wrapping_mul(31).wrapping_add(u64::from(b))
    }) % COLOURS;
    // Of a replica's name the part behind the last dash is what differs.
    let replica = labels
        .get("pod")
        .and_then(|pod| pod.rsplit_once('-'))
        .map(|(_, last)| last)
        .filter(|last| (1..=5).contains(&last.len()));
    match replica {
        Some(replica) => (format!("{name} {replica}"), colour),
        None => (name.to_owned(), colour),
    }
}

fn pills(fields: &LineFields<'_>) -> Vec<(String, String)> {
    // Pairs inside a sentence stand in the message already; a line without a message is all
    // fields, and shown as it is.
    if fields.form() == Form::Pairs || fields.message().is_none() {
        return Vec::new();
    }
    fields
        .without_message()
        .filter(|(name, value)| {
            !is_envelope(name) && !value.is_empty() && value.chars().count() <= PILL_CHARS
        })
        .take(PILLS)
        .map(|(name, value)| (name.to_owned(), printable(value)))
        .collect()
}

/// The part of a message that a row shows, and what it leaves out.
fn first_line(message: &str) -> (&str, String) {
    let message = message.trim_end_matches(['\n', '\r']);
    let line = message.split('\n').next().unwrap_or_default();
    let shown = cut(line, MESSAGE_BYTES);
    let lines = message.matches('\n').count();
    let more = match (lines, line.len() - shown.len()) {
        (0, 0) => String::new(),
        (0, bytes) => format!("show {} more", humanize::bytes(bytes as u64)),
        (lines, _) => format!("+{}", humanize::things(lines as u64, "line", "lines")),
    };
    (shown.trim_end_matches('\r'), more)
}

fn left_out(bytes: usize) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("+{}", humanize::bytes(bytes as u64)),
    }
}

/// The beginning of a text, at a character border.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// The text without terminal colours, and with other control characters made visible.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_unseen) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = tail.chars();
        let control = chars.next();
        rest = chars.as_str();
        if let (Some('\x1b'), Some(sequence)) = (control, rest.strip_prefix('[')) {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';');
            if let Some(after) = end
                .and_then(|end| sequence.get(end..))
                .filter(|after| after.starts_with(|c: char| c.is_ascii_alphabetic()))
            {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
        }
        // Unicode has a picture for each of them; the rest becomes the replacement character.
        let picture = control
            .filter(|c| u32::from(*c) < 0x20)
            .and_then(|c| char::from_u32(0x2400 + u32::from(c)));
        out.push(picture.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    out.push_str(rest);
    out
}

/// Characters that would be invisible, or would turn the text around them.
fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible_and_colours_go() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("\x1b[1;31merror\x1b[0m ok", "error ok");
        check("a\0b\x07c\td\n", "a␀b␇c\td\n");
        check("\x1b]0;title", "␛]0;title");
        check("\x1b[", "␛[");
        check("\x1b[31", "␛[31");
        check("\u{85}é", "\u{fffd}é");
        check("a\u{202e}b", "a\u{fffd}b");
    }

    #[test]
    fn rows_show_the_first_line_and_say_what_is_missing() {
        let check = |text: &str, shown: &str, more: &str| {
            assert_eq!(first_line(text), (shown, more.to_owned()));
        };
        check("one", "one", "");
        check("one\r\n", "one", "");
        check("one\r\n  at two\n  at three", "one", "+2 lines");
        let long = "é".repeat(MESSAGE_BYTES);
        assert_eq!(first_line(&long).0.len(), MESSAGE_BYTES);
        assert_eq!(first_line(&long).1, "show 2 KB more");
    }

    #[test]
    fn sources_are_short_and_replicas_share_a_colour() {
        let source = |pairs: &[(&'static str, &'static str)]| {
            source(&Labels::from_pairs(pairs.iter().copied()))
        };
        let (name, colour) = source(&[("container", "web"), ("pod", "web-7d9c5b8f6c-x2k2z")]);
        assert_eq!(name, "web x2k2z");
        let (other, same) = source(&[("container", "web"), ("pod", "web-7d9c5b8f6c-aaaaa")]);
        assert_eq!((other.as_str(), same), ("web aaaaa", colour));
        assert_eq!(
            source(&[("file", "/var/log/nginx/error.log")]).0,
            "error.log"
        );
        assert_eq!(source(&[]).0, "–");
    }

    #[test]
    fn pills_are_few_and_say_something_new() {
        let text =
            br#"{"msg":"m","time":"x","level":"info","a":"1","b":"","c":"3","d":"4","e":"5"}"#;
        let pills = pills(&LineFields::of(text));
        let names: Vec<_> = pills.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "c", "d"]);
        assert!(super::pills(&LineFields::of(b"done took=5ms")).is_empty());
    }
}
