//! A group as it is kept over a restart: a protobuf message.
//!
//! ```text
//! 1 label      repeated { 1 name, 2 value }
//! 2 pushed at  milliseconds since 1970-01-01 UTC, 0 for never
//! 3 failed at  likewise
//! 4 family     repeated { 1 pushed at, 2 MetricFamily as in Prometheus' exposition }
//! ```

use metric_scrape::exposition::family::Family;
use wire::writer::Writer;
use wire::{Malformed, Message};

use crate::GroupKey;
use crate::groups::{Group, Kept};

/// Writes a group.
pub(crate) fn write(key: &GroupKey, group: &Group) -> Vec<u8> {
    let mut out = Writer::default();
    for (name, value) in key.labels() {
        out.message(1, |out| {
            out.field(1, name.as_bytes());
            out.field(2, value.as_bytes());
        });
    }
    out.number(2, group.pushed_ms as u64);
    out.number(3, group.failed_ms as u64);
    for kept in group.families.values() {
        let mut family = Writer::default();
        family.number(1, kept.pushed_ms as u64);
        family.field(2, &kept.message);
        out.field(4, family.bytes());
    }
    out.into_bytes()
}

/// Reads a group.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(document: &[u8]) -> Result<(GroupKey, Group), String> {
    let broken = |error: Malformed| error.to_string();
    let (mut labels, mut group) = (Vec::new(), Group::default());
    let mut fields = Message::new(document);
    while let Some((field, value)) = fields.next().map_err(broken)? {
        match field {
            1 => {
                let mut pair = (String::new(), String::new());
                let mut fields = Message::new(value.bytes());
                while let Some((field, value)) = fields.next().map_err(broken)? {
                    match field {
                        1 => value.text().map_err(broken)?.clone_into(&mut pair.0),
                        2 => value.text().map_err(broken)?.clone_into(&mut pair.1),
                        _ => {}
                    }
                }
                labels.push(pair);
            }
            2 => group.pushed_ms = value.number() as i64,
            3 => group.failed_ms = value.number() as i64,
            4 => {
                let (mut pushed_ms, mut message) = (0, &b""[..]);
                let mut fields = Message::new(value.bytes());
                while let Some((field, value)) = fields.next().map_err(broken)? {
                    match field {
                        1 => pushed_ms = value.number() as i64,
                        2 => message = value.bytes(),
                        _ => {}
                    }
                }
                let family = Family::from_message(message)?;
                let kept = Kept::new(&family, pushed_ms);
                group.families.insert(family.name, kept);
            }
            _ => {}
        }
    }
    let key = GroupKey::of_labels(labels).map_err(|error| error.to_string())?;
    Ok((key, group))
}
