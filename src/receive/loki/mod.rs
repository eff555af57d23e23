//! Loki's push API: `POST /loki/api/v1/push`, as Promtail, Alloy, Fluent Bit and Vector use it.
//!
//! | content type | body |
//! |---|---|
//! | `application/x-protobuf` | `logproto.PushRequest` in one block of snappy |
//! | `application/json` | `{"streams":[{"stream":{labels},"values":[["<ns>","line",{metadata}]]}]}` |
//!
//! Labels are taken as they are: whoever pushes to Loki has chosen them. Structured metadata
//! becomes fields of the line. The level is that of a label or metadata `level`,
//! `detected_level` or `severity`, else what the line tells.

mod json;
mod labels;
mod proto;

use model::{Labels, Level, StreamId};

use crate::fields::write_with_fields;
use crate::inflate::{Encoding, inflate};
use crate::{Push, Refused};

/// Where Loki's agents put a level.
const LEVEL_KEYS: [&str; 3] = ["level", "detected_level", "severity"];

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf in snappy.
    Protobuf,
    /// JSON.
    Json,
}

impl Format {
    /// Reads the content type; senders of JSON often give none.
    ///
    /// # Errors
    /// `Unsupported` for any other type.
    pub fn of(content_type: Option<&str>) -> Result<Self, Refused> {
        let whole = content_type.unwrap_or("application/json");
        let kind = whole.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" | "" => Ok(Self::Json),
            _ => Err(Refused::Unsupported(format!(
                "the content type {whole:?} is not understood: use application/x-protobuf (with \
                 snappy) or application/json"
            ))),
        }
    }
}

/// Reads a body into a push. Lines of a stream with bad labels are left out and noted in it.
///
/// # Errors
/// `Bad` where the body is not in its format, `TooLarge` where it breaks a limit.
pub fn decode(
    push: &mut Push,
    body: &[u8],
    format: Format,
    encoding: Encoding,
) -> Result<(), Refused> {
    let bytes_max = push.limits().inflated_bytes_max;
    let body = inflate(body, encoding, bytes_max)?;
    match format {
        Format::Json => json::decode(push, &body),
        // Protobuf always comes in snappy, whether the header says so or not.
        Format::Protobuf if encoding == Encoding::Snappy => proto::decode(push, &body),
        Format::Protobuf => proto::decode(push, &inflate(&body, Encoding::Snappy, bytes_max)?),
    }
}

/// Opens a stream, or notes that its lines are not taken. Beside it the level that its labels
/// give to all of its lines.
fn open(
    push: &mut Push,
    labels: &Labels,
    lines: u64,
) -> Result<Option<(StreamId, Option<Level>)>, Refused> {
    match push.stream(labels) {
        Ok(stream) => {
            let mut levels = LEVEL_KEYS.iter().filter_map(|key| labels.get(key));
            let level = levels.find_map(|word| word.parse().ok());
            Ok(Some((stream, level)))
        }
        Err(Refused::Bad(why)) => {
            push.reject(lines, || why);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Adds a line with its structured metadata.
fn add<'a>(
    push: &mut Push,
    stream: StreamId,
    level: Option<Level>,
    time_ns: i64,
    line: &[u8],
    metadata: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), Refused> {
    let mut words = metadata.clone().filter(|(k, _)| LEVEL_KEYS.contains(k));
    let level = level
        .or_else(|| words.find_map(|(_, word)| word.parse().ok()))
        // Told by the line as it was sent: with its metadata it may be written in another form.
        .or_else(|| push.told_level(line))
        .unwrap_or_default();
    write_with_fields(push.text(), line, metadata);
    push.end_line(stream, Some(time_ns), Some(level))
}

#[cfg(test)]
mod tests;
