//! Errors of the APIs in Prometheus' JSON shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use log_query::QueryError;
use model::StoreError;
use serde::Serialize;

use crate::ask::NoAnswer;

/// An answer with `"status": "error"`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    pub(crate) code: StatusCode,
    status: &'static str,
    /// One of Prometheus' words: `bad_data`, `execution`, `timeout`, `canceled`, `internal`, …
    #[serde(rename = "errorType")]
    pub(crate) kind: &'static str,
    /// What is wrong, and where.
    #[serde(rename = "error")]
    pub(crate) message: String,
    /// The character of the query that is at fault, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// A query that would work.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl ApiError {
    fn new(code: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status: "error",
            kind,
            message: message.into(),
            position: None,
            suggestion: None,
        }
    }

    /// The request cannot be understood: 400.
    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    /// What is asked for is not there: 404.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Something else has to end first: 409.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// A part of the house failed: 500.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Too much is asked for at the moment, or it is switched off: 503.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let mut message = error.to_string();
        if let Some(suggestion) = &error.suggestion {
            message = format!("{message} (did you mean: {suggestion})");
        }
        Self {
            position: Some(error.position),
            suggestion: error.suggestion,
            ..Self::bad_data(message)
        }
    }
}

impl From<promql::QueryError> for ApiError {
    fn from(error: promql::QueryError) -> Self {
        let (code, kind) = match error.kind {
            promql::ErrorKind::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
            promql::ErrorKind::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            promql::ErrorKind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            promql::ErrorKind::Canceled => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            promql::ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self {
            position: error.position,
            ..Self::new(code, kind, error.message)
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let (code, kind) = match error {
            StoreError::Limit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            StoreError::Refused(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            StoreError::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            StoreError::NoSpace(_)
            | StoreError::Io { .. }
            | StoreError::Damaged(_)
            | StoreError::Database(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(code, kind, error.to_string())
    }
}

impl From<NoAnswer> for ApiError {
    fn from(error: NoAnswer) -> Self {
        let (code, kind) = match error {
            NoAnswer::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            NoAnswer::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            NoAnswer::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(code, kind, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.code, Json(self)).into_response()
    }
}
