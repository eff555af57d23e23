//! The metrics that there are: series' names joined to families, with what is known of each.

use std::collections::BTreeMap;

use model::{METRIC_NAME, MetricKind, MetricMetadata};

use crate::Services;
use crate::html::path_segment;
use crate::time_range::TimeRange;

/// Metrics in the list; the page says when there are more.
const FAMILIES_MAX: usize = 400;

/// What there is to ask for.
pub(super) struct Listing {
    pub(super) families: Vec<Family>,
    pub(super) found: usize,
    pub(super) total: usize,
}

/// A metric with what is known of it.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) help: String,
}

impl Family {
    /// The address of its page.
    pub(super) fn page(&self) -> String {
        format!("/metrics/{}", path_segment(&self.name))
    }
}

impl Listing {
    pub(super) fn gather(services: &Services, range: &TimeRange, words: &str) -> Self {
        let names = services
            .series
            .label_values(METRIC_NAME, &[], range.from_ms, range.to_ms)
            .unwrap_or_default();
        let all = families(&names, &services.series.metadata());
        let total = all.len();
        let mut families: Vec<Family> = all
            .into_iter()
            .filter(|f| {
                let text = format!("{} {}", f.name, f.help).to_lowercase();
                words.split_whitespace().all(|word| text.contains(word))
            })
            .collect();
        let found = families.len();
        families.truncate(FAMILIES_MAX);
        Self {
            families,
            found,
            total,
        }
    }
}

/// Joins the series names of histograms and summaries and says what is known of each family.
pub(super) fn families(
    names: &[String],
    metadata: &BTreeMap<String, MetricMetadata>,
) -> Vec<Family> {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    for name in names {
        let parent = ["_bucket", "_sum", "_count", "_total", "_info"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|base| metadata.contains_key(*base));
        let known = metadata
            .get(name.as_str())
            .map(|meta| (name.as_str(), meta));
        let known = known.or_else(|| Some((parent?, metadata.get(parent?)?)));
        let (kind, help) = known.map_or((MetricKind::Unknown, ""), |(_, meta)| {
            (meta.kind, &*meta.help)
        });
        let joined = matches!(
            kind,
            MetricKind::Histogram | MetricKind::Summary | MetricKind::GaugeHistogram
        );
        let family = match known {
            Some((base, _)) if joined => base,
            _ => name.as_str(),
        };
        // Counters by custom end so, whatever the exposition says.
        let counts = kind == MetricKind::Counter
            || (kind == MetricKind::Unknown && name.ends_with("_total"));
        families.entry(family).or_insert_with(|| Family {
            name: family.to_owned(),
            kind: if counts { "counter" } else { kind.as_str() },
            help: help.to_owned(),
        });
    }
    families.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_joined_to_families() {
        let names = ["a_bucket", "a_count", "a_sum", "b_total", "c", "d_total"].map(str::to_owned);
        let known = |kind| MetricMetadata {
            kind,
            ..MetricMetadata::default()
        };
        let metadata = BTreeMap::from([
            ("a".to_owned(), known(MetricKind::Histogram)),
            ("b".to_owned(), known(MetricKind::Counter)),
            ("c".to_owned(), known(MetricKind::Gauge)),
        ]);
        let got: Vec<String> = families(&names, &metadata)
            .into_iter()
            .map(|f| format!("{} {}", f.name, f.kind))
            .collect();
        assert_eq!(
            got,
            [
                "a histogram",
                "b_total counter",
                "c gauge",
                "d_total counter",
            ]
        );
    }
}
