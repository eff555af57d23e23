//! A log line as JSON.

use log_query::{LEVEL, Line, LineFields, MESSAGE, Record, Shown};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Writes a record as an object: `time`, `level`, `message`, `labels`, `fields`, `id`. Of a name
/// that comes more than once (the elements of an array) the values form an array. Invalid UTF-8
/// becomes U+FFFD.
pub(crate) struct RecordJson<'a> {
    pub(crate) record: &'a Record,
    /// Whether the line as it was written is wanted too, as `text`, where it is not the message.
    pub(crate) with_text: bool,
}

impl RecordJson<'_> {
    /// Appends the object and a line break.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        write_object(self, out);
    }
}

/// A line behind pipes as the same object: what `parse` found stands among the `fields`, and of
/// labels, fields and message only those are there that `fields` and `drop` leave.
pub(crate) struct LineJson<'a> {
    pub(crate) line: &'a Line,
    pub(crate) shown: &'a Shown,
    /// As in [`RecordJson`].
    pub(crate) with_text: bool,
}

impl LineJson<'_> {
    /// Appends the object and a line break.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        let plain = self.line.found.is_empty() && *self.shown == Shown::default();
        if plain {
            // The usual line copies nothing.
            let (record, with_text) = (&self.line.record, self.with_text);
            return RecordJson { record, with_text }.write_line(out);
        }
        write_object(self, out);
    }

    fn shows(&self, name: &str) -> bool {
        let only = self.shown.only.as_ref();
        only.is_none_or(|only| only.iter().any(|n| n == name))
            && !self.shown.dropped.iter().any(|n| n == name)
    }
}

impl Serialize for LineJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.line.record;
        let own = LineFields::of(&record.text);
        let text = String::from_utf8_lossy(&record.text);
        let mut fields: Vec<(&str, Vec<&str>)> = self
            .line
            .found
            .iter()
            .filter(|(name, _)| name != LEVEL && self.shows(name))
            .map(|(name, value)| (name.as_str(), vec![value.as_str()]))
            .collect();
        let n_found = fields.len();
        for (name, value) in own.without_message().filter(|(name, _)| self.shows(name)) {
            match fields.iter().position(|(known, _)| *known == name) {
                // What was parsed stands for the line's own.
                Some(place) if place < n_found => {}
                Some(place) => {
                    if let Some((_, values)) = fields.get_mut(place) {
                        values.push(value);
                    }
                }
                None => fields.push((name, vec![value])),
            }
        }
        let labels = record.labels.iter().filter(|label| self.shows(&label.name));
        let labels: Vec<(&str, &str)> = labels.map(|l| (&*l.name, &*l.value)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &model::time::rfc3339_ns(record.time_ns))?;
        map.serialize_entry("level", record.level.as_str())?;
        if self.shows(MESSAGE) {
            map.serialize_entry("message", own.message().unwrap_or(&text))?;
        }
        map.serialize_entry("labels", &Pairs(&labels))?;
        map.serialize_entry("fields", &Values(&fields))?;
        if self.with_text && own.message().is_some() && self.shown.only.is_none() {
            map.serialize_entry("text", &text)?;
        }
        map.serialize_entry("id", &id(record))?;
        map.end()
    }
}

/// Appends a value as JSON and a line break.
fn write_object(value: &impl Serialize, out: &mut Vec<u8>) {
    let before = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, value) {
        // Nothing in a record can fail to be written; the stream must stay one object a line.
        tracing::error!(%error, "cannot write a log line as JSON");
        out.truncate(before);
        return;
    }
    out.push(b'\n');
}

struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Of a name with several values they form an array.
struct Values<'a>(&'a [(&'a str, Vec<&'a str>)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in self.0 {
            match values.as_slice() {
                [value] => map.serialize_entry(name, value)?,
                values => map.serialize_entry(name, values)?,
            }
        }
        map.end()
    }
}

/// The name of a line for ever: its stream's fingerprint and its number in there.
pub(crate) fn id(record: &Record) -> String {
    format!("{:016x}-{}", record.labels.fingerprint(), record.sequence)
}

impl Serialize for RecordJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let fields = LineFields::of(&record.text);
        let text = String::from_utf8_lossy(&record.text);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &model::time::rfc3339_ns(record.time_ns))?;
        map.serialize_entry("level", record.level.as_str())?;
        map.serialize_entry("message", fields.message().unwrap_or(&text))?;
        map.serialize_entry("labels", &LabelsJson(record))?;
        map.serialize_entry("fields", &FieldsJson(&fields))?;
        if fields.is_truncated() {
            map.serialize_entry("fieldsTruncated", &true)?;
        }
        if self.with_text && fields.message().is_some() {
            map.serialize_entry("text", &text)?;
        }
        map.serialize_entry("id", &id(record))?;
        map.end()
    }
}

struct LabelsJson<'a>(&'a Record);

impl Serialize for LabelsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .labels
                .iter()
                .map(|label| (&*label.name, &*label.value)),
        )
    }
}

struct FieldsJson<'a>(&'a LineFields<'a>);

impl Serialize for FieldsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Lines have few fields (`log_query::FIELDS_MAX` bounds them): a scan finds the name.
        let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in self.0.without_message() {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => all.push((name, vec![value])),
            }
        }
        Values(&all).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Level};

    fn json(text: &[u8], with_text: bool) -> serde_json::Value {
        let record = Record {
            labels: Labels::from_pairs([("pod", "a")]),
            sequence: 7,
            time_ns: 1_763_900_000_000_000_005,
            level: Level::Warn,
            text: text.to_vec(),
        };
        let mut out = Vec::new();
        RecordJson {
            record: &record,
            with_text,
        }
        .write_line(&mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_line_has_all_its_parts() {
        let value = json(br#"{"msg":"hi","status":200,"tag":["a","b"]}"#, true);
        let fingerprint = Labels::from_pairs([("pod", "a")]).fingerprint();
        assert_eq!(
            value,
            serde_json::json!({
                "time": "2025-11-23T12:13:20.000000005Z",
                "level": "warn",
                "message": "hi",
                "labels": {"pod": "a"},
                "fields": {"status": "200", "tag": ["a", "b"]},
                "text": "{\"msg\":\"hi\",\"status\":200,\"tag\":[\"a\",\"b\"]}",
                "id": format!("{fingerprint:016x}-7"),
            })
        );
    }

    #[test]
    fn any_bytes_become_json() {
        let value = json(b"a\xff\"\n\x00<script>", true);
        assert_eq!(value["message"], "a\u{fffd}\"\n\0<script>");
        assert_eq!(value.get("text"), None);
    }
}
