//! A log record of OpenTelemetry becomes a line.

use std::borrow::Cow;

use model::{LabelsBuilder, Level, StreamId};

use super::LABELS;
use super::value::{Pair, Value};
use crate::fields::{MESSAGE_KEY, Object};
use crate::{Push, Refused};

/// What all records of a resource share.
pub(super) struct Resource {
    /// `None`: its labels are bad, its records are not taken.
    stream: Option<StreamId>,
    /// `"resource":{…}` of the attributes that are no labels; empty without any.
    members: Vec<u8>,
}

impl Resource {
    /// Opens the stream of a resource. `records` is how many are lost if that fails.
    pub(super) fn open(
        push: &mut Push,
        attributes: &[Pair<'_>],
        records: u64,
    ) -> Result<Self, Refused> {
        let mut labels = LabelsBuilder::default();
        let mut is_label = vec![false; attributes.len()];
        // The last entry of a label wins in the builder, so the likeliest goes last.
        for (attribute, label) in LABELS.iter().rev() {
            for ((name, value), is_label) in attributes.iter().zip(&mut is_label) {
                if name == attribute
                    && let Some(value) = value.label()
                {
                    labels.set(*label, &*value);
                    *is_label = true;
                }
            }
        }
        let stream = match push.stream(&labels.build()) {
            Ok(stream) => Some(stream),
            Err(Refused::Bad(why)) => {
                push.reject(records, || why);
                None
            }
            Err(other) => return Err(other),
        };
        let mut members = Vec::new();
        if is_label.contains(&false) {
            members.extend_from_slice(b"\"resource\":");
            let mut object = Object::begin(&mut members);
            for ((name, value), _) in attributes.iter().zip(is_label).filter(|(_, is)| !is) {
                value.write(object.key(name));
            }
            object.end();
        }
        Ok(Self { stream, members })
    }
}

/// A record as it was read.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) time_ns: u64,
    pub(super) observed_ns: u64,
    pub(super) severity: i64,
    pub(super) severity_text: Cow<'a, str>,
    pub(super) event: Cow<'a, str>,
    pub(super) body: Value<'a>,
    pub(super) attributes: Vec<Pair<'a>>,
    /// Hexadecimal; empty without one.
    pub(super) trace_id: Cow<'a, str>,
    pub(super) span_id: Cow<'a, str>,
}

impl Record<'_> {
    /// Adds it to the push.
    pub(super) fn add(
        &self,
        push: &mut Push,
        resource: &Resource,
        scope: &str,
    ) -> Result<(), Refused> {
        let Some(stream) = resource.stream else {
            return Ok(());
        };
        let level = self.level().or_else(|| match &self.body {
            Value::Text(text) => push.told_level(text.as_bytes()),
            _ => None,
        });
        self.write(push.text(), level, &resource.members, scope);
        let time_ns = [self.time_ns, self.observed_ns]
            .into_iter()
            .find(|time_ns| *time_ns > 0)
            .and_then(|time_ns| i64::try_from(time_ns).ok());
        push.end_line(stream, time_ns, level)
    }

    /// The level by number (1 to 24, four for each), else by its word.
    fn level(&self) -> Option<Level> {
        match self.severity {
            1..=4 => Some(Level::Trace),
            5..=8 => Some(Level::Debug),
            9..=12 => Some(Level::Info),
            13..=16 => Some(Level::Warn),
            17..=20 => Some(Level::Error),
            21..=24 => Some(Level::Fatal),
            _ => self.severity_text.parse().ok(),
        }
    }

    fn write(&self, out: &mut Vec<u8>, level: Option<Level>, resource: &[u8], scope: &str) {
        // The word says no more than the level, as a rule.
        let word = &*self.severity_text;
        let has_word = !word.is_empty() && (level.is_none() || word.parse().ok() != level);
        let marks = [
            ("severity", if has_word { word } else { "" }),
            ("event", &self.event),
            ("trace_id", &self.trace_id),
            ("span_id", &self.span_id),
            ("scope", scope),
        ];
        let is_bare = self.attributes.is_empty()
            && resource.is_empty()
            && marks.iter().all(|(_, text)| text.is_empty());
        if is_bare && let Value::Text(text) = &self.body {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let mut object = Object::begin(out);
        let mut taken: &[Pair<'_>] = &[];
        match &self.body {
            Value::Empty => {}
            Value::Map(pairs) => {
                taken = pairs;
                for (name, value) in pairs {
                    value.write(object.key(name));
                }
            }
            other => other.write(object.key(MESSAGE_KEY)),
        }
        let has_message = !matches!(self.body, Value::Empty | Value::Map(_));
        for (name, value) in &self.attributes {
            let clashes = taken.iter().any(|(known, _)| known == name)
                || (has_message && name == MESSAGE_KEY);
            if clashes {
                value.write(object.key(&format!("attributes.{name}")));
            } else {
                value.write(object.key(name));
            }
        }
        for (name, text) in marks {
            if !text.is_empty() {
                object.text(name, text);
            }
        }
        object.members(resource);
        object.end();
    }
}
