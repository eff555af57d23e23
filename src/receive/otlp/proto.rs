//! The protobuf form, read where it lies.
//!
//! ```text
//! Request      { repeated ResourceLogs resource_logs = 1 }
//! ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2 }
//! Resource     { repeated KeyValue attributes = 1 }
//! ScopeLogs    { Scope scope = 1; repeated LogRecord log_records = 2 }
//! Scope        { string name = 1 }
//! LogRecord    { fixed64 time = 1; enum severity_number = 2; string severity_text = 3;
//!                AnyValue body = 5; repeated KeyValue attributes = 6; bytes trace_id = 9;
//!                bytes span_id = 10; fixed64 observed_time = 11; string event_name = 12 }
//! KeyValue     { string key = 1; AnyValue value = 2 }
//! AnyValue     { string = 1 | bool = 2 | int64 = 3 | double = 4 | ArrayValue = 5 |
//!                KeyValueList = 6 | bytes = 7 }
//! ```

use std::borrow::Cow;
use std::fmt::Write;

use super::record::{Record, Resource};
use super::value::{DEPTH_MAX, Pair, Value};
use crate::{Push, Refused};
use wire::Message;

pub(super) fn decode(push: &mut Push, body: &[u8]) -> Result<(), Refused> {
    for resource_logs in all(body, 1) {
        let resource_logs = resource_logs?;
        let mut attributes = Vec::new();
        for resource in all(resource_logs, 1) {
            for attribute in all(resource?, 1) {
                attributes.push(pair(attribute?, 0)?);
            }
        }
        let mut records = 0;
        for scope_logs in all(resource_logs, 2) {
            records += all(scope_logs?, 2).count() as u64;
        }
        let resource = Resource::open(push, &attributes, records)?;
        for scope_logs in all(resource_logs, 2) {
            let scope_logs = scope_logs?;
            let mut name = Cow::Borrowed("");
            for scope in all(scope_logs, 1) {
                for text in all(scope?, 1) {
                    name = String::from_utf8_lossy(text?);
                }
            }
            for bytes in all(scope_logs, 2) {
                record(bytes?)?.add(push, &resource, &name)?;
            }
        }
    }
    Ok(())
}

/// The bytes of all fields with this number.
fn all(bytes: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], Refused>> {
    let mut message = Message::new(bytes);
    let mut has_failed = false;
    std::iter::from_fn(move || {
        while !has_failed {
            match message.next() {
                Ok(Some((field, value))) if field == wanted => return Some(Ok(value.bytes())),
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(why) => {
                    has_failed = true;
                    return Some(Err(why.into()));
                }
            }
        }
        None
    })
}

fn record(bytes: &[u8]) -> Result<Record<'_>, Refused> {
    let mut record = Record::default();
    let mut message = Message::new(bytes);
    while let Some((field, value)) = message.next()? {
        match field {
            1 => record.time_ns = value.number(),
            2 => record.severity = value.number() as i64,
            3 => record.severity_text = String::from_utf8_lossy(value.bytes()),
            5 => record.body = any(value.bytes(), 0)?,
            6 => record.attributes.push(pair(value.bytes(), 0)?),
            9 => record.trace_id = hex(value.bytes()),
            10 => record.span_id = hex(value.bytes()),
            11 => record.observed_ns = value.number(),
            12 => record.event = String::from_utf8_lossy(value.bytes()),
            _ => {}
        }
    }
    Ok(record)
}

/// Identifiers of zeros only mean that there is none.
fn hex(bytes: &[u8]) -> Cow<'static, str> {
    let mut text = String::new();
    if bytes.iter().any(|b| *b != 0) {
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
    }
    Cow::Owned(text)
}

fn pair(bytes: &[u8], depth: usize) -> Result<Pair<'_>, Refused> {
    let mut pair = (Cow::Borrowed(""), Value::Empty);
    let mut message = Message::new(bytes);
    while let Some((field, value)) = message.next()? {
        match field {
            1 => pair.0 = String::from_utf8_lossy(value.bytes()),
            2 => pair.1 = any(value.bytes(), depth)?,
            _ => {}
        }
    }
    Ok(pair)
}

fn any(bytes: &[u8], depth: usize) -> Result<Value<'_>, Refused> {
    if depth >= DEPTH_MAX {
        return Err(Refused::Bad(format!(
            "a value is nested deeper than {DEPTH_MAX}"
        )));
    }
    let mut found = Value::Empty;
    let mut message = Message::new(bytes);
    while let Some((field, value)) = message.next()? {
        found = match (field, value) {
            (1, value) => Value::Text(String::from_utf8_lossy(value.bytes())),
            (2, value) => Value::Bool(value.number() != 0),
            (3, value) => Value::Integer(value.number() as i64),
            (4, wire::Value::Fixed64(bits)) => Value::Float(f64::from_bits(bits)),
            (5, value) => {
                let values = all(value.bytes(), 1).map(|bytes| any(bytes?, depth + 1));
                Value::List(values.collect::<Result<_, _>>()?)
            }
            (6, value) => {
                let pairs = all(value.bytes(), 1).map(|bytes| pair(bytes?, depth + 1));
                Value::Map(pairs.collect::<Result<_, _>>()?)
            }
            (7, value) => Value::Bytes(Cow::Borrowed(value.bytes())),
            (_, _) => found,
        };
    }
    Ok(found)
}

/// `ExportLogsServiceResponse { PartialSuccess partial_success = 1 }` with
/// `PartialSuccess { int64 rejected_log_records = 1; string error_message = 2 }`.
pub(super) fn partial_success(lines: u64, why: &str) -> Vec<u8> {
    let mut inner = vec![0x08];
    write_varint(&mut inner, lines);
    write_bytes(&mut inner, 0x12, why.as_bytes());
    let mut out = Vec::new();
    write_bytes(&mut out, 0x0a, &inner);
    out
}

/// `Status { int32 code = 1; string message = 2 }`.
pub(super) fn status(code: u64, why: &str) -> Vec<u8> {
    let mut out = vec![0x08];
    write_varint(&mut out, code);
    write_bytes(&mut out, 0x12, why.as_bytes());
    out
}

fn write_bytes(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    out.push(key);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
