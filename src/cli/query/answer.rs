//! What comes back: the answer of Prometheus' HTTP API.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) data: Data,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) infos: Vec<String>,
}

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// Seconds since 1970-01-01 UTC, and a number as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Sample(pub(super) f64, pub(super) String);

impl Sample {
    /// The number, `NaN` where it is none.
    pub(super) fn number(&self) -> f64 {
        self.1.parse().unwrap_or(f64::NAN)
    }
}

/// Seconds since 1970-01-01 UTC, and a native histogram.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct HistogramSample(pub(super) f64, pub(super) Histogram);

/// A native histogram; its buckets are left to `-o json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Histogram {
    pub(super) count: String,
    pub(super) sum: String,
}

/// Labels in their order.
pub(super) type Metric = BTreeMap<String, String>;

/// What was found, by the type of the expression.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Scalar(Sample),
    String(Sample),
    Vector(Vec<Point>),
    Matrix(Vec<Series>),
}

/// A series at one time.
#[derive(Debug, Deserialize)]
pub(super) struct Point {
    pub(super) metric: Metric,
    pub(super) value: Option<Sample>,
    pub(super) histogram: Option<HistogramSample>,
}

/// A series over time.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    pub(super) metric: Metric,
    #[serde(default)]
    pub(super) values: Vec<Sample>,
    #[serde(default)]
    pub(super) histograms: Vec<HistogramSample>,
}

impl Data {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(_) | Self::String(_) => false,
            Self::Vector(points) => points.is_empty(),
            Self::Matrix(series) => series.is_empty(),
        }
    }
}
