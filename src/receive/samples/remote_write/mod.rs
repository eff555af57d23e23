//! Prometheus' remote write, versions 1.0 and 2.0: one block of snappy with a protobuf message.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/> and
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.

mod v1;
mod v2;

use model::{Labels, MetricKind};

use super::{SampleProtocol, SampleReceiver, Written};
use crate::Refused;
use crate::inflate::{Encoding, inflate};

/// Labels of an exemplar or a series beyond this are refused.
const LABELS_MAX: usize = 256;

/// Which message a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// Reads the content type; without one it is the old message.
    ///
    /// # Errors
    /// `Unsupported` for any other type, so that a sender can choose another version.
    pub fn of(content_type: Option<&str>) -> Result<Self, Refused> {
        let whole = content_type.unwrap_or("application/x-protobuf");
        let unsupported = || {
            Refused::Unsupported(format!(
                "the content type {whole:?} is not understood: use application/x-protobuf with \
                 proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
            ))
        };
        let mut parts = whole.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        if kind != "application/x-protobuf" {
            return Err(unsupported());
        }
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("proto")
            {
                return match value.trim() {
                    "prometheus.WriteRequest" => Ok(Self::V1),
                    "io.prometheus.write.v2.Request" => Ok(Self::V2),
                    _ => Err(unsupported()),
                };
            }
        }
        Ok(Self::V1)
    }

    /// Its word in metrics.
    pub fn protocol(self) -> SampleProtocol {
        match self {
            Self::V1 => SampleProtocol::RemoteWrite1,
            Self::V2 => SampleProtocol::RemoteWrite2,
        }
    }
}

impl SampleReceiver {
    /// Takes a body of remote write. `encoding` is the header's; without one it is snappy all the
    /// same, as the old version demands.
    ///
    /// # Errors
    /// `Bad`, `TooLarge`, `Unsupported`: sending it again does not help. `Full`, `Failed`: later
    /// it may.
    pub fn remote_write(
        &self,
        body: &[u8],
        version: Version,
        encoding: Encoding,
        now_ms: i64,
    ) -> Result<Written, Refused> {
        let encoding = match encoding {
            Encoding::Plain => Encoding::Snappy,
            other => other,
        };
        let body = inflate(body, encoding, self.limits.inflated_bytes_max)
            .inspect_err(|why| self.refused(version.protocol(), why))?;
        self.take(version.protocol(), now_ms, |batch| match version {
            Version::V1 => v1::decode(batch, &body),
            Version::V2 => v2::decode(batch, &body),
        })
    }
}

/// A label set from names and values in any order.
fn labels<'a>(pairs: &mut Vec<(&'a str, &'a str)>) -> Result<Labels, String> {
    pairs.retain(|(_, value)| !value.is_empty());
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        pairs.sort_unstable();
        if let Some([(twice, _), _]) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("a series has the label {twice:?} twice"));
        }
    }
    if pairs.len() > LABELS_MAX {
        return Err(format!(
            "a series has {} labels, at most {LABELS_MAX} are allowed",
            pairs.len()
        ));
    }
    if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err("a series has a label without a name".to_owned());
    }
    let set = Labels::from_sorted(
        pairs
            .iter()
            .map(|(name, value)| model::Label {
                name: (*name).into(),
                value: (*value).into(),
            })
            .collect(),
    );
    if set.metric_name().is_none() {
        return Err(format!("the series {set} has no metric name"));
    }
    Ok(set)
}

/// The family of a series by its metric's name and kind.
fn family(name: &str, kind: MetricKind) -> &str {
    let endings: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricKind::Summary => &["_count", "_sum"],
        _ => &[],
    };
    let mut stripped = endings
        .iter()
        .filter_map(|ending| name.strip_suffix(ending));
    stripped.next().unwrap_or(name)
}
