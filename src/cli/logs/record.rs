//! What a Yagura answers: lines as NDJSON, or a table.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// An answer to a question.
#[derive(Debug)]
pub(super) enum Answer {
    /// Lines, newest first.
    Lines(Vec<Record>),
    /// Rows, in their order.
    Table(Table),
}

/// A line of NDJSON.
#[derive(Debug)]
pub(super) struct Record {
    /// The object as it came.
    pub(super) json: String,
    pub(super) line: Line,
}

/// A log line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    /// RFC 3339.
    pub(super) time: String,
    pub(super) level: String,
    /// Not there when the query shows only some fields.
    pub(super) message: Option<String>,
    pub(super) labels: Pairs,
    pub(super) fields: Pairs,
    /// The line as it was written, where that is not the message.
    pub(super) text: Option<String>,
    pub(super) id: String,
}

impl Line {
    /// The line as it was written; when the query shows only some fields, their values.
    pub(super) fn written(&self) -> String {
        if let Some(text) = self.text.as_ref().or(self.message.as_ref()) {
            return text.clone();
        }
        let shown = self.labels.0.iter().chain(&self.fields.0);
        let values: Vec<String> = shown.map(|(_, value)| text(value)).collect();
        values.join("\t")
    }
}

/// An object in the order in which it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pairs(pub(super) Vec<(String, Value)>);

impl Pairs {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        value.as_str()
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;

        impl<'de> Visitor<'de> for Ordered {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Ordered)
    }
}

/// Rows of named columns.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// `text`, `count`, `number`, `time` or `counts` of each column.
    #[serde(default)]
    pub(super) types: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
    /// What a reader of the figures has to know, each a sentence.
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// One object of a stream of lines.
#[derive(Debug)]
pub(super) enum Piece {
    Line(Box<Record>),
    /// So many lines are missing here.
    Skipped(u64),
    /// The answer ends early because of this.
    Error(String),
}

impl Piece {
    /// Reads a line of NDJSON; `None` for what is none of them.
    pub(super) fn parse(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Other {
            error: Option<String>,
            skipped: Option<u64>,
        }
        let line: Line = serde_json::from_str(json).ok()?;
        if !line.id.is_empty() || !line.time.is_empty() {
            let record = Record {
                json: json.to_owned(),
                line,
            };
            return Some(Self::Line(Box::new(record)));
        }
        let other: Other = serde_json::from_str(json).ok()?;
        match other {
            Other {
                error: Some(error), ..
            } => Some(Self::Error(error)),
            Other { skipped, .. } => skipped.map(Self::Skipped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_stream() {
        let line = r#"{"time":"2025-11-23T12:13:20Z","level":"warn","message":"hi","labels":{"pod":"a"},"fields":{"z":"1","a":["b","c"]},"id":"x-7"}"#;
        let Some(Piece::Line(record)) = Piece::parse(line) else {
            panic!("a line");
        };
        assert_eq!(record.json, line);
        assert_eq!(record.line.labels.get("pod"), Some("a"));
        let names: Vec<&str> = record
            .line
            .fields
            .0
            .iter()
            .map(|(n, _)| n.as_str())
            .collect();
        assert_eq!(names, ["z", "a"]);
        assert_eq!(text(&record.line.fields.0[1].1), "b,c");
        assert_eq!(record.line.written(), "hi");
        let some =
            r#"{"time":"t","level":"info","labels":{"pod":"a"},"fields":{"n":"1"},"id":"x-8"}"#;
        let Some(Piece::Line(record)) = Piece::parse(some) else {
            panic!("a line");
        };
        assert_eq!(record.line.written(), "a\t1");
        assert!(matches!(
            Piece::parse(r#"{"skipped":3}"#),
            Some(Piece::Skipped(3))
        ));
        assert!(matches!(
            Piece::parse(r#"{"error":"late"}"#),
            Some(Piece::Error(error)) if error == "late"
        ));
        assert!(Piece::parse("{}").is_none());
        assert!(Piece::parse("no JSON").is_none());
    }
}
