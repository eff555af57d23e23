//! Logs inside PromQL: every stream is counted as `log_lines_total` and `log_bytes_total`, by
//! where it comes from and by level (docs/configuration.md, "Lines as metrics").
//!
//! The counts go straight into the metric store, not through a page that is written and read
//! again: the store knows each series by its slot, so a counter costs one pair of numbers per
//! interval.
//!
//! 1. Streams that differ only in labels of no interest here (`stream`, trace ids from pushes) are
//!    added up.
//! 2. A series begins with the count before its first new line (0 as a rule) and has its count from
//!    the next interval on, so that `rate` and `increase` see the first lines, too.
//! 3. A series without a new line for a day ends with a stale marker; sooner where there are too
//!    many series. It begins again with its next line.
//!
//! Counts start at 0 with the process, as any counter does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use log_store::LineCount;
use model::{
    Labels, Level, METRIC_NAME, MetricKind, MetricMetadata, SampleSink, Scrape, SlotId, StoreError,
    TargetId, stale_nan,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Pairs of series (lines and bytes): some 20 MB of the metric store at the most.
const SERIES_MAX: usize = 10_000;

/// A series that long without a new line ends.
const IDLE_MAX: Duration = Duration::from_hours(24);

/// A series that long without a new line ends when there are too many.
const IDLE_WHEN_FULL: Duration = Duration::from_mins(5);

/// Labels of a pod's lines.
const POD_LABELS: [&str; 3] = ["namespace", "pod", "container"];

/// Labels of other lines: where they come from, whoever sent them.
const OTHER_LABELS: [&str; 10] = [
    "namespace",
    "container",
    "service_name",
    "service",
    "app",
    "job",
    "unit",
    "host",
    "hostname",
    "file",
];

const LINES: &str = "log_lines_total";
const BYTES: &str = "log_bytes_total";

/// What the counting tells about itself.
#[derive(Debug, Clone, Default)]
struct Metrics {
    series: Gauge,
    series_refused: Counter,
}

/// A pair of series.
struct Series {
    lines: SlotId,
    bytes: SlotId,
    /// What was counted when it was last looked at.
    count: LineCount,
    /// When that last changed, milliseconds since 1970-01-01 UTC.
    changed_ms: i64,
    /// It has samples and no stale marker behind them.
    is_live: bool,
}

/// Brings the counts of the log store into the metric store.
pub(crate) struct LogCounts {
    sink: Arc<dyn SampleSink>,
    target: Option<TargetId>,
    series: HashMap<(Labels, Level), Series>,
    n_live: usize,
    told_ms: i64,
    metrics: Metrics,
}

impl LogCounts {
    pub(crate) fn new(sink: Arc<dyn SampleSink>, registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        let all = registry.sub_registry_with_prefix("yagura_log_counts");
        all.register(
            "series",
            "Pairs of log_lines_total and log_bytes_total that are being written",
            metrics.series.clone(),
        );
        all.register(
            "series_refused",
            "Times that lines were not counted by stream and level because there are too many series",
            metrics.series_refused.clone(),
        );
        for (family, help, unit) in [
            (LINES, "Log lines stored, by origin and level", "lines"),
            (
                BYTES,
                "Text of log lines stored, by origin and level",
                "bytes",
            ),
        ] {
            let metadata = MetricMetadata {
                kind: MetricKind::Counter,
                help: help.into(),
                unit: unit.into(),
            };
            sink.describe(family, &metadata);
        }
        Self {
            sink,
            target: None,
            series: HashMap::new(),
            n_live: 0,
            told_ms: i64::MIN,
            metrics,
        }
    }

    /// Whether an interval has passed since the counts were last told.
    pub(crate) fn is_due(&self, now_ms: i64, interval: Duration) -> bool {
        let interval_ms = (interval.as_millis() as i64).max(1);
        self.told_ms == i64::MIN
            || now_ms.div_euclid(interval_ms) > self.told_ms.div_euclid(interval_ms)
    }

    /// Tells the metric store what was counted until now.
    ///
    /// # Errors
    /// When the metric store takes nothing; the next call tells it.
    pub(crate) fn tell(
        &mut self,
        counts: Vec<(Labels, [LineCount; 7])>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let target = match self.target {
            Some(target) => target,
            None => *self.target.insert(self.sink.open_target("logs/counts")?),
        };
        let mut samples = Vec::with_capacity(2 * self.n_live);
        let mut looked = Vec::with_capacity(self.series.len());
        let mut n_live = self.n_live;
        for (labels, level, count) in by_origin(counts) {
            let key = (labels, level);
            let Some(series) = self.series_of(target, &key, now_ms)? else {
                self.metrics.series_refused.inc();
                continue;
            };
            let is_new = count != series.count;
            let idle_ms = now_ms.saturating_sub(series.changed_ms);
            let mut is_live = series.is_live;
            if series.is_live && is_idle(idle_ms, n_live) && !is_new {
                samples.push((series.lines, stale_nan()));
                samples.push((series.bytes, stale_nan()));
                is_live = false;
                n_live -= 1;
            } else if series.is_live {
                samples.push((series.lines, count.lines as f64));
                samples.push((series.bytes, count.text_bytes as f64));
            } else if is_new {
                if n_live >= SERIES_MAX {
                    self.metrics.series_refused.inc();
                    continue;
                }
                samples.push((series.lines, series.count.lines as f64));
                samples.push((series.bytes, series.count.text_bytes as f64));
                is_live = true;
                n_live += 1;
            }
            looked.push((key, count, is_live, is_new));
        }
        self.sink.append(Scrape {
            target,
            timestamp_ms: now_ms,
            samples: &samples,
        })?;
        for (key, count, is_live, is_new) in looked {
            if let Some(series) = self.series.get_mut(&key) {
                series.count = count;
                series.is_live = is_live;
                if is_new {
                    series.changed_ms = now_ms;
                }
            }
        }
        self.n_live = n_live;
        self.told_ms = now_ms;
        self.metrics.series.set(n_live as i64);
        Ok(())
    }

    /// The series of an origin and level, opened when it is seen first; `None` when the metric
    /// store takes no more, or when there are too many that ever had a line.
    fn series_of(
        &mut self,
        target: TargetId,
        key: &(Labels, Level),
        now_ms: i64,
    ) -> Result<Option<&Series>, StoreError> {
        if !self.series.contains_key(key) {
            if self.n_live >= SERIES_MAX {
                return Ok(None);
            }
            let slot = |name: &str| {
                let mut labels = key.0.to_builder();
                labels.set(METRIC_NAME, name);
                labels.set("level", key.1.as_str());
                self.sink.open_slot(target, &labels.build())
            };
            let (lines, bytes) = match (slot(LINES), slot(BYTES)) {
                (Ok(lines), Ok(bytes)) => (lines, bytes),
                (Err(StoreError::Limit(_)), _) | (_, Err(StoreError::Limit(_))) => {
                    return Ok(None);
                }
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
            let series = Series {
                lines,
                bytes,
                count: LineCount::default(),
                changed_ms: now_ms,
                is_live: false,
            };
            self.series.insert(key.clone(), series);
        }
        Ok(self.series.get(key))
    }
}

fn is_idle(idle_ms: i64, n_live: usize) -> bool {
    let max = if n_live >= SERIES_MAX {
        IDLE_WHEN_FULL
    } else {
        IDLE_MAX
    };
    idle_ms > max.as_millis() as i64
}

/// Adds up streams of the same origin, by level, without those that have no line.
fn by_origin(counts: Vec<(Labels, [LineCount; 7])>) -> Vec<(Labels, Level, LineCount)> {
    let mut sums: HashMap<Labels, [LineCount; 7]> = HashMap::with_capacity(counts.len());
    for (labels, counts) in counts {
        let sum = sums.entry(origin(&labels)).or_default();
        for (sum, count) in sum.iter_mut().zip(counts) {
            sum.lines += count.lines;
            sum.text_bytes += count.text_bytes;
        }
    }
    let by_level = |(labels, counts): (Labels, [LineCount; 7])| {
        Level::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| count.lines > 0)
            .map(move |(level, count)| (labels.clone(), level, count))
    };
    sums.into_iter().flat_map(by_level).collect()
}

/// The labels that say where lines come from.
fn origin(labels: &Labels) -> Labels {
    if labels.get("pod").is_some() {
        labels.filtered(|name| POD_LABELS.contains(&name))
    } else {
        labels.filtered(|name| OTHER_LABELS.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::is_stale;
    use parking_lot::Mutex;

    use super::*;

    /// Keeps the samples of each series by its labels.
    #[derive(Default)]
    struct Kept {
        slots: Mutex<Vec<String>>,
        samples: Mutex<BTreeMap<String, Vec<(i64, f64)>>>,
        is_full: Mutex<bool>,
    }

    impl SampleSink for Kept {
        fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
            Ok(TargetId(1))
        }

        fn open_slot(&self, _: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
            let mut slots = self.slots.lock();
            slots.push(labels.to_string());
            Ok(SlotId(slots.len() as u32 - 1))
        }

        fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
            if *self.is_full.lock() {
                return Err(StoreError::NoSpace("full".to_owned()));
            }
            for (slot, value) in scrape.samples {
                let name = self.slots.lock()[slot.0 as usize].clone();
                let mut samples = self.samples.lock();
                let series = samples.entry(name).or_default();
                series.push((scrape.timestamp_ms, *value));
            }
            Ok(scrape.samples.len())
        }

        fn append_histograms(
            &self,
            _: TargetId,
            _: i64,
            samples: &[(SlotId, Arc<model::Histogram>)],
        ) -> Result<usize, StoreError> {
            panic!("log counts are no histograms: {samples:?}")
        }

        fn close_target(&self, _: TargetId) {}

        fn describe(&self, _: &str, _: &MetricMetadata) {}
    }

    fn count(level: Level, lines: u64) -> [LineCount; 7] {
        let mut counts = [LineCount::default(); 7];
        counts[level as usize] = LineCount {
            lines,
            text_bytes: lines * 10,
        };
        counts
    }

    fn house() -> (Arc<Kept>, LogCounts) {
        let kept = Arc::new(Kept::default());
        let counts = LogCounts::new(kept.clone(), &mut Registry::default());
        (kept, counts)
    }

    fn pod(stream: &str) -> Labels {
        Labels::from_pairs([
            ("namespace", "media"),
            ("pod", "web-1"),
            ("container", "web"),
            ("node", "n"),
            ("stream", stream),
        ])
    }

    #[test]
    fn a_series_begins_with_what_was_before() {
        let (kept, mut counts) = house();
        let both = |out: u64, err: u64| {
            vec![
                (pod("stdout"), count(Level::Error, out)),
                (pod("stderr"), count(Level::Error, err)),
            ]
        };
        counts.tell(both(3, 0), 1_000).expect("told");
        counts.tell(both(3, 2), 2_000).expect("told");
        counts.tell(both(3, 2), 3_000).expect("told");
        let samples = kept.samples.lock();
        let of = |name: &str| {
            let labels = r#"{container="web", level="error", namespace="media", pod="web-1"}"#;
            samples[&format!("{name}{labels}")].clone()
        };
        assert_eq!(of(LINES), [(1_000, 0.0), (2_000, 5.0), (3_000, 5.0)]);
        assert_eq!(of(BYTES), [(1_000, 0.0), (2_000, 50.0), (3_000, 50.0)]);
        assert_eq!(samples.len(), 2);
    }

    #[test]
    fn other_streams_are_known_by_file_and_host() {
        let labels = [("file", "/var/log/syslog"), ("host", "n"), ("trace", "1")];
        assert_eq!(
            origin(&Labels::from_pairs(labels)),
            Labels::from_pairs(labels[..2].to_vec())
        );
    }

    #[test]
    fn an_idle_series_ends_and_begins_again() {
        let (kept, mut counts) = house();
        let at = |lines| vec![(pod("stdout"), count(Level::Info, lines))];
        let day_ms = IDLE_MAX.as_millis() as i64;
        counts.tell(at(3), 0).expect("told");
        counts.tell(at(3), 1_000).expect("told");
        counts.tell(at(3), day_ms + 1).expect("told");
        counts.tell(at(3), day_ms + 1_000).expect("told");
        counts.tell(at(4), day_ms + 2_000).expect("told");
        counts.tell(at(4), day_ms + 3_000).expect("told");
        let samples = kept.samples.lock();
        let lines = samples.values().last().expect("two series");
        let shown: Vec<String> = lines
            .iter()
            .map(|(_, value)| {
                if is_stale(*value) {
                    "stale".to_owned()
                } else {
                    value.to_string()
                }
            })
            .collect();
        assert_eq!(shown, ["0", "3", "stale", "3", "4"]);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let (kept, mut counts) = house();
        let at = |lines| vec![(pod("stdout"), count(Level::Info, lines))];
        *kept.is_full.lock() = true;
        counts.tell(at(3), 1_000).expect_err("full");
        *kept.is_full.lock() = false;
        counts.tell(at(4), 2_000).expect("told");
        counts.tell(at(4), 3_000).expect("told");
        let samples = kept.samples.lock();
        let lines = samples.values().last().expect("two series");
        assert_eq!(lines[..], [(2_000, 0.0), (3_000, 4.0)]);
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let (kept, mut counts) = house();
        let pods: Vec<_> = (0..SERIES_MAX + 10)
            .map(|n| {
                let labels = Labels::from_pairs([("pod", format!("p{n}"))]);
                (labels, count(Level::Info, 1))
            })
            .collect();
        counts.tell(pods.clone(), 0).expect("told");
        assert_eq!(kept.samples.lock().len(), 2 * SERIES_MAX);
        assert_eq!(counts.metrics.series_refused.get(), 10);
        // The idle ones make room.
        counts.tell(pods.clone(), 301_000).expect("told");
        assert!(counts.n_live < SERIES_MAX + 1);
        counts.tell(pods, 302_000).expect("told");
        assert_eq!(kept.samples.lock().len(), 2 * (SERIES_MAX + 10));
    }

    #[test]
    fn counts_are_told_once_per_interval() {
        let (_, mut counts) = house();
        let interval = Duration::from_secs(15);
        assert!(counts.is_due(1_000, interval));
        counts.tell(Vec::new(), 1_000).expect("told");
        assert!(!counts.is_due(14_999, interval));
        assert!(counts.is_due(15_000, interval));
        assert!(counts.is_due(2_000, Duration::from_secs(1)));
    }
}
