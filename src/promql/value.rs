//! What a query answers, and how it fails.

use std::sync::Arc;

use model::{Histogram, Labels, Samples};

/// One series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// Its value; NaN where it is a native histogram.
    pub value: f64,
    /// Its value, where it is a native histogram.
    pub histogram: Option<Arc<Histogram>>,
}

/// One series over a range.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSeries {
    /// Its labels.
    pub labels: Labels,
    /// Only the steps that have a value; native histograms are in `samples.histograms`.
    pub samples: Samples,
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// Milliseconds since 1970-01-01 UTC.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// Milliseconds since 1970-01-01 UTC.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// Series at one time, in the order that the expression gives (sort, topk) or else of labels.
    Vector(Vec<Point>),
    /// Series over a range, in order of labels.
    Matrix(Vec<RangeSeries>),
}

/// A value with what should be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Things that probably make the value wrong, in Prometheus' words.
    pub warnings: Vec<String>,
    /// Things that possibly make the value wrong.
    pub infos: Vec<String>,
    /// Samples that were read.
    pub samples_read: u64,
    /// Series that were read.
    pub series_read: u64,
}

/// Whose fault a failure is; the words of Prometheus' API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The expression or its parameters are wrong (`bad_data`).
    BadData,
    /// It cannot be computed on this data, or a limit was reached (`execution`).
    Execution,
    /// It took too long (`timeout`).
    Timeout,
    /// Nobody wants the answer any more (`canceled`).
    Canceled,
    /// The store failed (`internal`).
    Internal,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What is wrong and, where known, at which place and what to write instead.
    pub message: String,
    /// Where in the expression, in characters from its start, beginning with 0.
    pub position: Option<usize>,
}
