//! The JSON form: camel case, 64-bit numbers as strings, identifiers in hexadecimal. Unknown
//! members are passed over, as the protocol demands.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::record::{self, Resource};
use super::value::{Pair, Value};
use crate::pick::Scalar;
use crate::text::Text;
use crate::{Push, Refused};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow, default)]
    resource: Option<Attributes<'a>>,
    #[serde(borrow, default)]
    scope_logs: Vec<ScopeLogs<'a>>,
}

/// The attributes of a resource.
#[derive(Deserialize)]
pub(crate) struct Attributes<'a> {
    #[serde(borrow, default)]
    pub(crate) attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow, default)]
    scope: Option<Scope<'a>>,
    #[serde(borrow, default)]
    log_records: Vec<LogRecord<'a>>,
}

#[derive(Deserialize)]
struct Scope<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    #[serde(borrow)]
    time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    observed_time_unix_nano: Option<Scalar<'a>>,
    #[serde(borrow)]
    severity_number: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    severity_text: Option<Text<'a>>,
    #[serde(borrow, default)]
    event_name: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(borrow, default)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    span_id: Option<Text<'a>>,
}

/// An attribute.
#[derive(Deserialize)]
pub(crate) struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize)]
struct AnyValue<'a> {
    #[serde(borrow, rename = "stringValue")]
    text: Option<Text<'a>>,
    #[serde(rename = "boolValue")]
    bool: Option<bool>,
    #[serde(borrow, rename = "intValue")]
    integer: Option<Scalar<'a>>,
    #[serde(borrow, rename = "doubleValue")]
    float: Option<Scalar<'a>>,
    #[serde(borrow, rename = "arrayValue")]
    list: Option<ArrayValue<'a>>,
    #[serde(borrow, rename = "kvlistValue")]
    map: Option<KvList<'a>>,
    #[serde(borrow, rename = "bytesValue")]
    bytes: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ArrayValue<'a> {
    #[serde(borrow, default)]
    values: Vec<AnyValue<'a>>,
}

#[derive(Deserialize)]
struct KvList<'a> {
    #[serde(borrow, default)]
    values: Vec<KeyValue<'a>>,
}

pub(super) fn decode(push: &mut Push, body: &[u8]) -> Result<(), Refused> {
    // Deep nesting is refused by the parser itself.
    let request: Request<'_> = serde_json::from_slice(body)
        .map_err(|error| Refused::Bad(format!("the body is no logs request: {error}")))?;
    for logs in request.resource_logs {
        let attributes = logs.resource.map(|r| pairs(r.attributes));
        let records = logs.scope_logs.iter().map(|s| s.log_records.len() as u64);
        let resource = Resource::open(push, &attributes.unwrap_or_default(), records.sum())?;
        for scope_logs in logs.scope_logs {
            let scope = scope_logs.scope.map(|scope| scope.name).unwrap_or_default();
            for found in scope_logs.log_records {
                record(found).add(push, &resource, &scope)?;
            }
        }
    }
    Ok(())
}

fn record(found: LogRecord<'_>) -> record::Record<'_> {
    let time = |value: Option<Scalar<'_>>| integer(value.as_ref()).unwrap_or(0).max(0) as u64;
    record::Record {
        time_ns: time(found.time_unix_nano),
        observed_ns: time(found.observed_time_unix_nano),
        severity: severity(found.severity_number.as_ref()),
        severity_text: found.severity_text.unwrap_or_default().0,
        event: found.event_name.unwrap_or_default().0,
        body: found.body.map(value).unwrap_or_default(),
        attributes: pairs(found.attributes),
        trace_id: identifier(found.trace_id),
        span_id: identifier(found.span_id),
    }
}

/// Identifiers of zeros only mean that there is none.
fn identifier(text: Option<Text<'_>>) -> Cow<'_, str> {
    let text = text.unwrap_or_default().0;
    if text.bytes().all(|b| b == b'0') {
        return Cow::Borrowed("");
    }
    text
}

/// Attributes as names and values.
pub(crate) fn pairs(found: Vec<KeyValue<'_>>) -> Vec<Pair<'_>> {
    found.into_iter().map(pair).collect()
}

fn pair(found: KeyValue<'_>) -> Pair<'_> {
    (found.key.0, found.value.map(value).unwrap_or_default())
}

fn value(found: AnyValue<'_>) -> Value<'_> {
    if let Some(text) = found.text {
        return Value::Text(text.0);
    }
    if let Some(value) = found.bool {
        return Value::Bool(value);
    }
    if let Some(number) = integer(found.integer.as_ref()) {
        return Value::Integer(number);
    }
    match found.float {
        Some(Scalar::Float(number)) => return Value::Float(number),
        Some(Scalar::Integer(number)) => return Value::Float(number as f64),
        // "NaN", "Infinity"
        Some(Scalar::Text(word)) => return Value::Text(word),
        Some(Scalar::Other) | None => {}
    }
    if let Some(list) = found.list {
        return Value::List(list.values.into_iter().map(value).collect());
    }
    if let Some(map) = found.map {
        return Value::Map(pairs(map.values));
    }
    match found.bytes {
        Some(text) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Value::Bytes(Cow::Owned(bytes)),
            Err(_) => Value::Text(text.0),
        },
        None => Value::Empty,
    }
}

/// A number, also as text.
fn integer(value: Option<&Scalar<'_>>) -> Option<i64> {
    match value? {
        Scalar::Integer(number) => Some(*number),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Float(_) | Scalar::Other => None,
    }
}

/// A severity's number; some write its name, `SEVERITY_NUMBER_INFO2`.
fn severity(value: Option<&Scalar<'_>>) -> i64 {
    const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    if let Some(number) = integer(value) {
        return number;
    }
    let Some(Scalar::Text(name)) = value else {
        return 0;
    };
    let name = name.strip_prefix("SEVERITY_NUMBER_").unwrap_or(name);
    let place = NAMES.iter().position(|known| name.starts_with(known));
    place.map_or(0, |place| place as i64 * 4 + 1)
}
