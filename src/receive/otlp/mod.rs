//! OpenTelemetry's logs over HTTP: `POST /v1/logs`, in protobuf or JSON.
//!
//! A few attributes of the resource are the labels of the stream, under the names that lines from
//! files have ([`LABELS`]). The line is the body. Where a record has more than a text, the line is
//! a JSON object:
//!
//! 1. the members of a structured body, or the text as `message`,
//! 2. the attributes of the record, under their names (one that the body has already is written as
//!    `attributes.<name>`),
//! 3. `severity` where it is a word of its own, `event`, `trace_id`, `span_id`, `scope`,
//! 4. the other attributes of the resource under `resource`.

pub(crate) mod json;
mod proto;
mod record;
pub(crate) mod value;

use crate::inflate::{Encoding, inflate};
use crate::{Push, Refused};

/// Attributes of a resource that name where lines come from, and the label that each becomes.
pub const LABELS: &[(&str, &str)] = &[
    ("service.name", "service_name"),
    ("service.namespace", "service_namespace"),
    ("deployment.environment.name", "environment"),
    ("deployment.environment", "environment"),
    ("k8s.namespace.name", "namespace"),
    ("k8s.pod.name", "pod"),
    ("k8s.container.name", "container"),
    ("k8s.node.name", "node"),
    ("container.name", "container"),
    ("host.name", "host"),
    ("log.file.path", "file"),
];

/// How a body, and the answer to it, is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// Reads the content type.
    ///
    /// # Errors
    /// `Unsupported` for any other type.
    pub fn of(content_type: Option<&str>) -> Result<Self, Refused> {
        let whole = content_type.unwrap_or_default();
        let kind = whole.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refused::Unsupported(format!(
                "the content type {whole:?} is not understood: use application/x-protobuf or \
                 application/json"
            ))),
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Reads an `ExportLogsServiceRequest` into a push. Records of a resource with bad labels are
/// left out and noted in it.
///
/// # Errors
/// `Bad` where the body is not in its format, `TooLarge` where it breaks a limit.
pub fn decode(
    push: &mut Push,
    body: &[u8],
    format: Format,
    encoding: Encoding,
) -> Result<(), Refused> {
    let body = inflate(body, encoding, push.limits().inflated_bytes_max)?;
    match format {
        Format::Protobuf => proto::decode(push, &body),
        Format::Json => json::decode(push, &body),
    }
}

/// The `ExportLogsServiceResponse` to a request that was taken, in part perhaps.
pub fn answer(format: Format, rejected: Option<(u64, &str)>) -> Vec<u8> {
    match (format, rejected) {
        (Format::Json, None) => b"{}".to_vec(),
        (Format::Json, Some((lines, why))) => serde_json::json!({
            // 64-bit numbers are strings in the JSON of protobuf.
            "partialSuccess": {"rejectedLogRecords": lines.to_string(), "errorMessage": why},
        })
        .to_string()
        .into_bytes(),
        (Format::Protobuf, None) => Vec::new(),
        (Format::Protobuf, Some((lines, why))) => proto::partial_success(lines, why),
    }
}

/// The `google.rpc.Status` for a request that was not taken.
pub fn refusal(format: Format, why: &Refused) -> Vec<u8> {
    // INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE.
    let code = match why {
        Refused::Bad(_) | Refused::TooLarge(_) | Refused::Unsupported(_) => 3,
        Refused::Full(_) => 8,
        Refused::Failed(_) => 14,
    };
    match format {
        Format::Json => serde_json::json!({"code": code, "message": why.to_string()})
            .to_string()
            .into_bytes(),
        Format::Protobuf => proto::status(code, &why.to_string()),
    }
}

#[cfg(test)]
mod tests;
