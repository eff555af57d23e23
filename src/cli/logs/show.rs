//! Writes lines: for people, or for programs.
//!
//! For people control characters of the text are shown, not sent: a log line must not move the
//! cursor or rename the window. Colour sequences are taken out.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Output;
use super::ask::Failure;
use super::record::{Line, Record, Table, text};
use super::table;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";

/// Writes lines in one way.
pub(super) struct Show<W: Write> {
    output: Output,
    color: bool,
    zone: TimeZone,
    /// Times of other years show theirs.
    year: i16,
    out: BufWriter<W>,
}

impl<W: Write> Show<W> {
    pub(super) fn new(output: Output, color: bool, out: W) -> Self {
        let zone = TimeZone::system();
        Self {
            output,
            color,
            year: Timestamp::now().to_zoned_datetime(zone.clone()).year(),
            zone,
            out: BufWriter::with_capacity(64 << 10, out),
        }
    }

    pub(super) fn record(&mut self, record: &Record) -> Result<(), Failure> {
        let line = &record.line;
        let text = match self.output {
            Output::Json => record.json.clone(),
            Output::Raw => line.written(),
            Output::Logfmt => logfmt_line(line),
            Output::Table => self.for_people(line),
        };
        self.line(&text)
    }

    pub(super) fn table(&mut self, table: &Table) -> Result<(), Failure> {
        let text = match self.output {
            Output::Table => table::aligned(table, self.color),
            Output::Json => table::json(table),
            Output::Raw => table::tabs(table),
            Output::Logfmt => table::logfmt(table),
        };
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        let mut write = || {
            self.out.write_all(text.as_bytes())?;
            self.out.write_all(b"\n")
        };
        write().map_err(Failure::Output)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }

    pub(super) fn writer(&mut self) -> &mut impl io::Write {
        &mut self.out
    }

    /// `11-23 15:52:32.123 ERROR media/web-1 message key=value`
    fn for_people(&self, line: &Line) -> String {
        let mut out = String::with_capacity(160);
        let paint = |out: &mut String, color: &str, text: &str| {
            if self.color {
                let _ = write!(out, "{color}{text}{RESET}");
            } else {
                out.push_str(text);
            }
        };
        let time = match line.time.parse::<Timestamp>() {
            Ok(time) => {
                let time = time.to_zoned_datetime(self.zone.clone());
                let form = if time.year() == self.year {
                    "%m-%d %H:%M:%S%.3f"
                } else {
                    "%Y-%m-%d %H:%M:%S%.3f"
                };
                time.strftime(form).to_string()
            }
            Err(_) => line.time.clone(),
        };
        paint(&mut out, DIM, &time);
        out.push(' ');
        let level = if line.level == "unknown" {
            "-".to_owned()
        } else {
            line.level.to_uppercase()
        };
        paint(&mut out, level_color(&line.level), &format!("{level:<5}"));
        let source = source(line);
        if !source.is_empty() {
            out.push(' ');
            paint(&mut out, CYAN, &safe(&source));
        }
        if let Some(message) = &line.message {
            out.push(' ');
            // Further lines of a record stand apart from the next record.
            let message = message.trim_end_matches(['\r', '\n']);
            out.push_str(&safe(message).replace('\n', "\n    "));
        }
        // Where the whole text is the message, the fields are read from that sentence itself.
        if line.text.is_some() || line.message.is_none() {
            for (name, value) in &line.fields.0 {
                if log_query::is_envelope(name) {
                    continue;
                }
                out.push(' ');
                paint(&mut out, DIM, &format!("{}=", safe(name)));
                out.push_str(&safe(&quoted(value)).replace('\n', "\\n"));
            }
        }
        out
    }
}

fn level_color(level: &str) -> &'static str {
    match level {
        "fatal" => "\x1b[1;35m",
        "error" => "\x1b[1;31m",
        "warn" => "\x1b[33m",
        "info" => "\x1b[32m",
        "debug" => "\x1b[34m",
        _ => DIM,
    }
}

/// Where the line comes from, as short as it can be told.
fn source(line: &Line) -> String {
    let label = |name| line.labels.get(name);
    match (label("namespace"), label("pod")) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        (None, Some(pod)) => pod.to_owned(),
        (_, None) => ["container", "service_name", "service", "app", "unit", "job"]
            .into_iter()
            .find_map(label)
            .or_else(|| label("file").map(|file| file.rsplit('/').next().unwrap_or(file)))
            .or_else(|| label("host"))
            .unwrap_or_default()
            .to_owned(),
    }
}

fn logfmt_line(line: &Line) -> String {
    let mut out = format!("time={} level={}", line.time, line.level);
    let message = line.message.clone().map(Value::String);
    let own = message.iter().map(|value| ("message", value));
    let others = line.labels.0.iter().chain(&line.fields.0);
    for (name, value) in own.chain(others.map(|(name, value)| (name.as_str(), value))) {
        let _ = write!(
            out,
            " {}={}",
            bare_name(name),
            quoted(value).replace('\n', "\\n")
        );
    }
    out
}

/// A name without what would end it.
pub(super) fn bare_name(name: &str) -> String {
    let spoils = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '=' | '"');
    name.replace(spoils, "_")
}

/// A value as logfmt writes it.
pub(super) fn quoted(value: &Value) -> String {
    let text = text(value);
    let is_plain =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        Value::String(text).to_string()
    }
}

/// The text without colour sequences and with its other control characters written out; line
/// breaks and tabs stay.
pub(super) fn safe(text: &str) -> String {
    if !text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' && chars.peek() == Some(&'[') {
            chars.next();
            let is_parameter = |c: &char| matches!(c, '0'..='9' | ';' | ':' | '?');
            while chars.next_if(is_parameter).is_some() {}
            // The letter that ends the sequence.
            chars.next_if(char::is_ascii_alphabetic);
        } else if c.is_control() && c != '\n' && c != '\t' {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::record::Piece;
    use super::*;

    fn shown(output: Output, color: bool, json: &str) -> String {
        let Some(Piece::Line(record)) = Piece::parse(json) else {
            panic!("a line: {json}");
        };
        let mut bytes = Vec::new();
        let mut show = Show::new(output, color, &mut bytes);
        (show.zone, show.year) = (TimeZone::UTC, 2026);
        show.record(&record).expect("written");
        show.flush().expect("written");
        drop(show);
        String::from_utf8(bytes).expect("UTF-8")
    }

    const LINE: &str = r#"{"time":"2026-11-23T15:52:32.123456789Z","level":"error","message":"cannot open\nfile","labels":{"namespace":"media","pod":"web-1"},"fields":{"level":"error","path":"/a b","n":"5"},"text":"{\"msg\":\"cannot open\\nfile\"}","id":"x-1"}"#;

    #[test]
    fn for_people() {
        assert_eq!(
            shown(Output::Table, false, LINE),
            "11-23 15:52:32.123 ERROR media/web-1 cannot open\n    file path=\"/a b\" n=5\n"
        );
        let colored = shown(Output::Table, true, LINE);
        assert!(colored.contains("\x1b[1;31mERROR\x1b[0m"), "{colored}");
        assert!(colored.contains("\x1b[36mmedia/web-1\x1b[0m"), "{colored}");
    }

    #[test]
    fn for_programs() {
        assert_eq!(shown(Output::Json, false, LINE), format!("{LINE}\n"));
        assert_eq!(
            shown(Output::Raw, true, LINE),
            "{\"msg\":\"cannot open\\nfile\"}\n"
        );
        assert_eq!(
            shown(Output::Logfmt, false, LINE),
            "time=2026-11-23T15:52:32.123456789Z level=error message=\"cannot open\\nfile\" \
             namespace=media pod=web-1 level=error path=\"/a b\" n=5\n"
        );
    }

    #[test]
    fn a_line_cannot_speak_to_the_terminal() {
        assert_eq!(safe("\x1b[31mred\x1b[0m\ttab"), "red\ttab");
        assert_eq!(safe("\x1b]0;title\x07\r"), "\\u{1b}]0;title\\u{7}\\r");
        assert_eq!(safe("plain ü\n"), "plain ü\n");
    }
}
