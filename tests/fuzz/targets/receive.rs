//! Any bytes as what others send: remote write 1 and 2, OpenTelemetry's metrics and logs, Loki's
//! pushes. Taken or refused, never a panic; and no more is taken than was there.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use model::{
    Checkpoint, Histogram, Labels, Level, LogBatch, LogSink, MetricMetadata, SampleSink, Scrape,
    SlotId, StoreError, StreamId, TargetId,
};
use prometheus_client::registry::Registry;
use receive::inflate::Encoding;
use receive::samples::remote_write::Version;
use receive::{Limits, Metrics, Protocol, Receiver, Room, SampleMetrics, SampleReceiver, loki, otlp};

/// A store that takes everything and keeps nothing.
struct Nowhere;

impl SampleSink for Nowhere {
    fn open_target(&self, _: &str) -> Result<TargetId, StoreError> {
        Ok(TargetId(0))
    }
    fn open_slot(&self, _: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        Ok(SlotId(labels.fingerprint() as u32))
    }
    fn labels_of(&self, _: TargetId, _: SlotId) -> Option<Labels> {
        None
    }
    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        Ok(scrape.samples.len())
    }
    fn append_histograms(
        &self,
        _: TargetId,
        _: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        for (_, histogram) in samples {
            histogram.check().expect("what is handed over is sound");
        }
        Ok(samples.len())
    }
    fn close_target(&self, _: TargetId) {}
    fn describe(&self, _: &str, _: &MetricMetadata) {}
}

impl LogSink for Nowhere {
    fn open_stream(&self, _: &Labels) -> Result<StreamId, StoreError> {
        Ok(StreamId(0))
    }
    fn append(&self, _: &LogBatch) -> Result<(), StoreError> {
        Ok(())
    }
    fn committed_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        Ok(Vec::new())
    }
    fn committed_checkpoint(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

const NOW_MS: i64 = 1_800_000_000_000;

static SAMPLES: LazyLock<SampleReceiver> = LazyLock::new(|| {
    let metrics = SampleMetrics::new(&mut Registry::default());
    SampleReceiver::new(Arc::new(Nowhere), Limits::default(), Room::default(), metrics)
});

static LINES: LazyLock<Receiver> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("yagura-fuzz-{}", std::process::id()));
    let metrics = Metrics::new(&mut Registry::default());
    let level = |_: &[u8]| Level::Unknown;
    Receiver::open(&folder, receive::Config::default(), Arc::new(Nowhere), level, metrics)
        .expect("a journal in the temporary folder")
});

/// A block of snappy that compresses nothing: the size, then literals.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    for piece in bytes.chunks(60) {
        out.push((piece.len() as u8 - 1) << 2);
        out.extend_from_slice(piece);
    }
    out
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    let plain = Encoding::Plain;
    let packed = || snappy(body);
    match kind % 8 {
        0 | 1 => {
            let version = [Version::V1, Version::V2][usize::from(kind % 2)];
            if let Ok(written) = SAMPLES.remote_write(&packed(), version, Encoding::Snappy, NOW_MS) {
                let taken = written.samples + written.histograms + written.exemplars;
                assert!(taken + written.rejected <= body.len() as u64 + 1);
            }
        }
        2 | 3 => {
            let format = [otlp::Format::Protobuf, otlp::Format::Json][usize::from(kind % 2)];
            let _ = SAMPLES.otlp(body, format, plain, NOW_MS);
        }
        4 | 5 => {
            let mut push = LINES.push(Protocol::Loki, NOW_MS * 1_000_000);
            let _ = if kind % 2 == 0 {
                loki::decode(&mut push, &packed(), loki::Format::Protobuf, plain)
            } else {
                loki::decode(&mut push, body, loki::Format::Json, plain)
            };
            assert!(push.lines() <= body.len());
        }
        _ => {
            let mut push = LINES.push(Protocol::Otlp, NOW_MS * 1_000_000);
            let format = [otlp::Format::Protobuf, otlp::Format::Json][usize::from(kind % 2)];
            let _ = otlp::decode(&mut push, body, format, plain);
            assert!(push.lines() <= body.len());
        }
    }
});
