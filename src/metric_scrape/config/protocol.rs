//! Which formats a target is asked for, and what names may look like.

use serde::{Deserialize, Serialize};

use crate::exposition::Format;

/// A format that a target may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScrapeProtocol {
    /// Text format 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    Text0,
    /// Text format 1.0.0.
    #[serde(rename = "PrometheusText1.0.0")]
    Text1,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics0,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics1,
    /// Prometheus' protobuf, the only one that carries native histograms.
    #[serde(rename = "PrometheusProto")]
    Protobuf,
}

/// Which metric and label names are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationScheme {
    /// Any UTF-8.
    #[default]
    Utf8,
    /// Letters, digits, underscores; colons in metric names.
    Legacy,
}

/// What exporters are asked to do with names that are not of the legacy kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EscapingScheme {
    /// Send them as they are.
    #[serde(rename = "allow-utf-8")]
    AllowUtf8,
    /// `a.b` becomes `a_b`.
    Underscores,
    /// `a.b` becomes `a_dot_b`.
    Dots,
    /// `a.b` becomes `U__a_2e_b`.
    Values,
}

impl EscapingScheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// Formats that are asked for unless the configuration says otherwise, best first.
const DEFAULTS: [ScrapeProtocol; 5] = [
    // Only asked for where native histograms are wanted: it costs more to read.
    ScrapeProtocol::Protobuf,
    ScrapeProtocol::OpenMetrics1,
    ScrapeProtocol::OpenMetrics0,
    ScrapeProtocol::Text1,
    ScrapeProtocol::Text0,
];

impl ScrapeProtocol {
    /// What is asked for where nothing is said.
    pub(crate) fn defaults(native_histograms: bool) -> &'static [Self] {
        if native_histograms {
            &DEFAULTS
        } else {
            &DEFAULTS[1..]
        }
    }

    /// Says what is wrong with a list.
    pub(crate) fn check(protocols: &[Self]) -> Result<(), String> {
        if protocols.is_empty() {
            return Err("name at least one, or remove the key".to_owned());
        }
        let twice = |(i, protocol): (usize, &Self)| protocols[..i].contains(protocol);
        if protocols.iter().enumerate().any(twice) {
            Err("one of them is there twice".to_owned())
        } else {
            Ok(())
        }
    }

    /// How its pages are read.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Text0 | Self::Text1 => Format::Text,
            Self::OpenMetrics0 | Self::OpenMetrics1 => Format::OpenMetrics,
            Self::Protobuf => Format::Protobuf,
        }
    }

    /// The media type by which it is asked for.
    fn media_type(self, escaping: EscapingScheme) -> String {
        let escaping = escaping.as_str();
        match self {
            Self::Protobuf => "application/vnd.google.protobuf;\
                 proto=io.prometheus.client.MetricFamily;encoding=delimited"
                .to_owned(),
            Self::OpenMetrics1 => {
                format!("application/openmetrics-text;version=1.0.0;escaping={escaping}")
            }
            Self::OpenMetrics0 => "application/openmetrics-text;version=0.0.1".to_owned(),
            Self::Text1 => format!("text/plain;version=1.0.0;escaping={escaping}"),
            Self::Text0 => "text/plain;version=0.0.4".to_owned(),
        }
    }

    /// The `Accept` header: formats by falling weight, then anything.
    pub(crate) fn accept(protocols: &[Self], escaping: EscapingScheme) -> String {
        // Prometheus counts down from a weight made of the list's length; exporters may compare.
        let mut weight = protocols.len() + 2;
        let mut parts: Vec<String> = Vec::with_capacity(protocols.len() + 1);
        for protocol in protocols {
            parts.push(format!("{};q=0.{weight}", protocol.media_type(escaping)));
            weight -= 1;
        }
        parts.push(format!("*/*;q=0.{weight}"));
        parts.join(",")
    }
}
