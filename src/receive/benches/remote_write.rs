//! What remote write costs without a store: requests as Prometheus sends them, 2,000 samples each,
//! over 20,000 series. `cargo bench -p receive --bench remote_write`; samples per second of CPU
//! time are `items/s` of one thread.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use model::{Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId};
use prometheus_client::registry::Registry;
use receive::inflate::Encoding;
use receive::samples::remote_write::Version;
use receive::{Limits, Room, SampleMetrics, SampleReceiver};
use wire::writer::Writer;

const SERIES: usize = 20_000;
const SAMPLES: usize = 2_000;
const NOW_MS: i64 = 1_763_900_000_000;

/// Gives places and takes everything.
struct Nowhere(std::sync::atomic::AtomicU32);

impl SampleSink for Nowhere {
    fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
        Ok(TargetId(0))
    }

    fn open_slot(&self, _: TargetId, _: &Labels) -> Result<SlotId, StoreError> {
        Ok(SlotId(
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        ))
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        Ok(divan::black_box(scrape.samples).len())
    }

    fn append_histograms(
        &self,
        _: TargetId,
        _: i64,
        samples: &[(SlotId, std::sync::Arc<model::Histogram>)],
    ) -> Result<usize, StoreError> {
        Ok(divan::black_box(samples).len())
    }

    fn close_target(&self, _: TargetId) {}

    fn describe(&self, _: &str, _: &MetricMetadata) {}
}

fn pairs(series: usize) -> [(&'static str, String); 7] {
    [
        (
            "__name__",
            format!("container_metric_{}_total", series % 120),
        ),
        ("container", format!("container-{}", series % 7)),
        ("instance", format!("10.0.0.{}:9100", series / 1_000)),
        ("job", "kubernetes-cadvisor".to_owned()),
        ("namespace", format!("namespace-{}", series % 13)),
        ("node", format!("node-{}", series / 1_000)),
        (
            "pod",
            format!("deployment-{}-7d8f9c6b5-x{}", series % 90, series % 1_000),
        ),
    ]
}

fn requests(version: Version) -> Vec<Vec<u8>> {
    let ids: Vec<usize> = (0..SERIES).collect();
    ids.chunks(SAMPLES)
        .map(|ids| {
            let mut out = Writer::default();
            let mut symbols: Vec<String> = vec![String::new()];
            let mut series = Writer::default();
            for id in ids {
                let pairs = pairs(*id);
                match version {
                    Version::V1 => out.message(1, |one| {
                        for (name, value) in &pairs {
                            one.message(1, |label| {
                                label.field(1, name.as_bytes());
                                label.field(2, value.as_bytes());
                            });
                        }
                        wire::remote::write_sample(one, 2, NOW_MS, *id as f64 * 1.5);
                    }),
                    Version::V2 => series.message(5, |one| {
                        let mut place = |text: &str| {
                            let at = symbols.iter().position(|s| s == text);
                            at.unwrap_or_else(|| {
                                symbols.push(text.to_owned());
                                symbols.len() - 1
                            }) as u64
                        };
                        let refs: Vec<u64> = pairs
                            .iter()
                            .flat_map(|(name, value)| [place(name), place(value)])
                            .collect();
                        one.packed(1, refs);
                        wire::remote::write_sample(one, 2, NOW_MS, *id as f64 * 1.5);
                    }),
                }
            }
            if version == Version::V2 {
                for symbol in &symbols {
                    out.field(4, symbol.as_bytes());
                }
            }
            let mut bytes = out.into_bytes();
            bytes.extend_from_slice(series.bytes());
            snap::raw::Encoder::new()
                .compress_vec(&bytes)
                .unwrap_or_default()
        })
        .collect()
}

fn run(bencher: Bencher<'_, '_>, version: Version) {
    let requests = requests(version);
    let metrics = SampleMetrics::new(&mut Registry::default());
    let sink = Arc::new(Nowhere(std::sync::atomic::AtomicU32::new(0)));
    let receiver = SampleReceiver::new(sink, Limits::default(), Room::default(), metrics);
    let send = || {
        for body in &requests {
            let written = receiver.remote_write(body, version, Encoding::Snappy, NOW_MS);
            assert!(written.is_ok_and(|w| w.samples == SAMPLES as u64));
        }
    };
    send();
    bencher.counter(ItemsCount::new(SERIES)).bench_local(send);
}

#[divan::bench]
fn version_1(bencher: Bencher<'_, '_>) {
    run(bencher, Version::V1);
}

#[divan::bench]
fn version_2(bencher: Bencher<'_, '_>) {
    run(bencher, Version::V2);
}

fn main() {
    divan::main();
}
