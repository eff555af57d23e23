//! The scraper's own metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Counters of all targets together; what concerns one target is in its `up` and `scrape_*`
/// series.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Targets that are scraped at present.
    pub targets: Gauge,
    /// Scrapes whose samples were stored.
    pub scrapes: Counter,
    /// Scrapes that failed, by reason.
    pub failures: Family<[(&'static str, &'static str); 1], Counter>,
    /// Scrapes left out because the one before took too long.
    pub scrapes_missed: Counter,
    /// Time from asking to having the whole page, in seconds.
    pub duration_seconds: Histogram,
    /// Bytes of pages read, uncompressed.
    pub page_bytes: Counter,
    /// Samples handed to the store and stored.
    pub samples: Counter,
    /// Samples left out: their series was on the page already.
    pub samples_duplicate: Counter,
    /// Samples left out: their timestamp lies more than ten minutes ahead.
    pub samples_future: Counter,
    /// Series that the store did not take (its limits), each scrape anew.
    pub series_refused: Counter,
    /// Lines that were not where the page before had them.
    pub lines_unexpected: Counter,
    /// Looks for targets that failed, in whole or in part.
    pub discovery_failures: Counter,
    /// Panics in sources or while a page was read; the target goes on.
    pub panics: Counter,
}

/// Upper bounds in seconds, from a fast exporter to the usual timeout.
const DURATION_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            targets: Gauge::default(),
            scrapes: Counter::default(),
            failures: Family::default(),
            scrapes_missed: Counter::default(),
            duration_seconds: Histogram::new(DURATION_BUCKETS),
            page_bytes: Counter::default(),
            samples: Counter::default(),
            samples_duplicate: Counter::default(),
            samples_future: Counter::default(),
            series_refused: Counter::default(),
            lines_unexpected: Counter::default(),
            discovery_failures: Counter::default(),
            panics: Counter::default(),
        };
        macro_rules! register {
            ($($field:ident: $help:literal,)*) => {
                $(registry.register(
                    concat!("yagura_metric_scrape_", stringify!($field)),
                    $help,
                    metrics.$field.clone(),
                );)*
            };
        }
        register! {
            targets: "Targets that are scraped at present",
            scrapes: "Scrapes whose samples were stored",
            failures: "Scrapes that failed, by reason",
            scrapes_missed: "Scrapes left out because the one before took too long",
            duration_seconds: "Time from asking to having the whole page, in seconds",
            page_bytes: "Bytes of pages read, uncompressed",
            samples: "Samples handed to the store and stored",
            samples_duplicate: "Samples left out: their series was on the page already",
            samples_future: "Samples left out: their timestamp lies more than ten minutes ahead",
            series_refused: "Series that the store did not take (its limits), each scrape anew",
            lines_unexpected: "Lines that were not where the page before had them",
            discovery_failures: "Looks for targets that failed, in whole or in part",
            panics: "Panics in sources or while a page was read; the target goes on",
        }
        metrics
    }

    /// Counts a failed scrape.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }
}

impl Default for Metrics {
    /// Metrics that nobody reads.
    fn default() -> Self {
        Self::new(&mut Registry::default())
    }
}
