//! How Yagura speaks of itself: structured logs on standard error, and its own metrics.

use std::fs;
use std::io::IsTerminal;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, encoding::EncodeMetric,
};
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `filter` has the syntax of `RUST_LOG`; a bad filter is
/// reported and replaced by the default. Not a terminal: JSON lines, so that Yagura's own log is
/// read like any other.
pub(crate) fn start_logging(filter: Option<&str>) {
    const DEFAULT: &str = "info,tantivy=warn,hyper=warn,reqwest=warn";
    let (parsed, bad) = match filter.map(EnvFilter::try_new) {
        Some(Ok(parsed)) => (parsed, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT), Some(error)),
        None => (EnvFilter::new(DEFAULT), None),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Err(error) = started {
        // Only a second call in one process gets here; the first one goes on.
        tracing::debug!(%error, "logging was started before");
    }
    if let Some(error) = bad {
        tracing::warn!(%error, "cannot use YAGURA_LOG, logging at info");
    }
}

/// The registry of all of Yagura's own metrics, readable as text.
#[derive(Clone)]
pub(crate) struct OwnMetrics(Arc<Mutex<Registry>>);

impl OwnMetrics {
    /// A registry that knows the process already (`process_*`, as Prometheus' clients name them).
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Lets a room register its metrics.
    pub(crate) fn register<T>(&self, build: impl FnOnce(&mut Registry) -> T) -> T {
        build(&mut self.0.lock())
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.0.lock()) {
            tracing::error!(%error, "cannot write own metrics");
        }
        text
    }
}

/// Figures of this process that the kernel keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ProcessFigures {
    /// User and system time since the start, seconds.
    pub(crate) cpu_seconds: f64,
    /// Resident memory, bytes.
    pub(crate) resident_bytes: u64,
    /// Virtual memory, bytes.
    pub(crate) virtual_bytes: u64,
    /// Open file descriptors.
    pub(crate) open_fds: u64,
    /// Threads.
    pub(crate) threads: u64,
}

impl ProcessFigures {
    /// Reads them from `/proc/self`; what cannot be read stays 0.
    pub(crate) fn read() -> Self {
        let usage = rustix::param::clock_ticks_per_second() as f64;
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The command's name may hold spaces and brackets: fields are counted behind the last one.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_ascii_whitespace().collect())
            .unwrap_or_default();
        let field = |number: usize| -> u64 {
            // `proc(5)` counts from 1; the state is field 3.
            fields
                .get(number - 3)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Self {
            cpu_seconds: (field(14) + field(15)) as f64 / usage,
            threads: field(20),
            virtual_bytes: field(23),
            resident_bytes: field(24) * rustix::param::page_size() as u64,
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64),
        }
    }
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let figures = ProcessFigures::read();
        let cpu = ConstCounter::new(figures.cpu_seconds);
        let metric = encoder.encode_descriptor(
            "process_cpu_seconds",
            "User and system CPU time of this process",
            None,
            cpu.metric_type(),
        )?;
        cpu.encode(metric)?;
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory of this process",
                figures.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory of this process",
                figures.virtual_bytes,
            ),
            (
                "process_open_fds",
                "Open file descriptors of this process",
                figures.open_fds,
            ),
            (
                "process_threads",
                "Threads of this process",
                figures.threads,
            ),
        ] {
            let gauge = ConstGauge::new(value as f64);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_metrics_tell_of_the_process() {
        let text = OwnMetrics::new().text();
        assert!(text.contains("process_cpu_seconds_total "), "{text}");
        let resident = text
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
            .expect("resident memory is there");
        assert!(resident.parse::<f64>().expect("a number") > 100_000.0);
    }
}
