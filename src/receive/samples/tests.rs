//! Whole requests against a store that only remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Exemplar, Histogram, Labels, MetricMetadata, SampleSink, Scrape, SlotId, StoreError, TargetId,
    is_stale, stale_nan,
};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use wire::writer::Writer;

use super::remote_write::Version;
use super::{SampleMetrics, SampleReceiver, Written};
use crate::inflate::Encoding;
use crate::{Limits, Refused, Room};

pub(crate) const NOW_MS: i64 = 1_763_900_000_000;

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) targets: Vec<String>,
    pub(crate) slots: Vec<(TargetId, Labels)>,
    /// Series and time → value's bits.
    pub(crate) floats: BTreeMap<(String, i64), u64>,
    pub(crate) histograms: BTreeMap<(String, i64), Histogram>,
    pub(crate) exemplars: Vec<(String, Exemplar)>,
    pub(crate) families: BTreeMap<String, MetricMetadata>,
    pub(crate) scrapes: usize,
    pub(crate) opened: usize,
    pub(crate) full: bool,
    pub(crate) takes_histograms: bool,
}

/// A store that remembers, takes nothing older than an hour and at most 100 series.
#[derive(Debug, Default)]
pub(crate) struct Store(pub(crate) Mutex<Inner>);

impl Store {
    pub(crate) fn floats(&self) -> Vec<(String, i64, f64)> {
        let inner = self.0.lock();
        let floats = inner.floats.iter();
        floats
            .map(|((s, t), v)| (s.clone(), *t, f64::from_bits(*v)))
            .collect()
    }
}

impl SampleSink for Store {
    fn open_target(&self, name: &str) -> Result<TargetId, StoreError> {
        let mut inner = self.0.lock();
        let found = inner.targets.iter().position(|t| t == name);
        let at = found.unwrap_or_else(|| {
            inner.targets.push(name.to_owned());
            inner.targets.len() - 1
        });
        Ok(TargetId(at as u32))
    }

    fn open_slot(&self, target: TargetId, labels: &Labels) -> Result<SlotId, StoreError> {
        let mut inner = self.0.lock();
        inner.opened += 1;
        if inner.slots.len() >= 100 {
            return Err(StoreError::Limit("100 series are enough".to_owned()));
        }
        inner.slots.push((target, labels.clone()));
        Ok(SlotId(inner.slots.len() as u32 - 1))
    }

    fn append(&self, scrape: Scrape<'_>) -> Result<usize, StoreError> {
        let mut inner = self.0.lock();
        if inner.full {
            return Err(StoreError::NoSpace("full".to_owned()));
        }
        inner.scrapes += 1;
        if scrape.timestamp_ms < NOW_MS - 3_600_000 {
            return Ok(0);
        }
        let mut stored = 0;
        for (slot, value) in scrape.samples {
            let name = inner.slots[slot.0 as usize].1.to_string();
            let key = (name, scrape.timestamp_ms);
            if let std::collections::btree_map::Entry::Vacant(e) = inner.floats.entry(key) {
                e.insert(value.to_bits());
                stored += 1;
            }
        }
        Ok(stored)
    }

    fn append_histograms(
        &self,
        _: TargetId,
        timestamp_ms: i64,
        samples: &[(SlotId, Arc<Histogram>)],
    ) -> Result<usize, StoreError> {
        let mut inner = self.0.lock();
        if !inner.takes_histograms {
            return Err(StoreError::Refused(
                "native histograms are not kept".to_owned(),
            ));
        }
        for (slot, histogram) in samples {
            let name = inner.slots[slot.0 as usize].1.to_string();
            inner
                .histograms
                .insert((name, timestamp_ms), (**histogram).clone());
        }
        Ok(samples.len())
    }

    fn append_exemplar(&self, _: TargetId, slot: SlotId, exemplar: Exemplar) {
        let mut inner = self.0.lock();
        let name = inner.slots[slot.0 as usize].1.to_string();
        inner.exemplars.push((name, exemplar));
    }

    fn close_target(&self, _: TargetId) {}

    fn describe(&self, family: &str, metadata: &MetricMetadata) {
        self.0
            .lock()
            .families
            .insert(family.to_owned(), metadata.clone());
    }
}

pub(crate) fn receiver() -> (Arc<Store>, SampleReceiver) {
    let store = Arc::new(Store::default());
    store.0.lock().takes_histograms = true;
    let metrics = SampleMetrics::new(&mut Registry::default());
    let receiver = SampleReceiver::new(store.clone(), Limits::default(), Room::default(), metrics);
    (store, receiver)
}

fn label(out: &mut Writer, name: &str, value: &str) {
    out.message(1, |label| {
        label.field(1, name.as_bytes());
        label.field(2, value.as_bytes());
    });
}

fn send(receiver: &SampleReceiver, version: Version, message: &[u8]) -> Result<Written, Refused> {
    let body = snap::raw::Encoder::new()
        .compress_vec(message)
        .expect("packs");
    receiver.remote_write(&body, version, Encoding::Snappy, NOW_MS)
}

/// Labels with samples of times and values.
type Series<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A request with one series per set of labels.
fn v1(series: &[Series<'_>]) -> Vec<u8> {
    let mut out = Writer::default();
    for (labels, samples) in series {
        out.message(1, |one| {
            for (name, value) in *labels {
                label(one, name, value);
            }
            for (time_ms, value) in *samples {
                wire::remote::write_sample(one, 2, *time_ms, *value);
            }
        });
    }
    out.into_bytes()
}

#[test]
fn the_old_version_is_read_whole() {
    let (store, receiver) = receiver();
    let histogram = Histogram {
        schema: 3,
        count: 3.0,
        sum: 4.5,
        positive: model::Buckets::from_pairs([(1, 1.0), (2, 2.0)]),
        ..Histogram::default()
    };
    let mut out = Writer::default();
    out.message(1, |one| {
        label(one, "__name__", "up");
        label(one, "instance", "a:1");
        label(one, "job", "n");
        wire::remote::write_sample(one, 2, NOW_MS, 1.0);
        wire::remote::write_sample(one, 2, NOW_MS + 15_000, stale_nan());
        one.message(3, |exemplar| {
            label(exemplar, "trace_id", "abc");
            exemplar.float(2, 0.5);
            exemplar.number(3, NOW_MS as u64);
        });
    });
    out.message(1, |one| {
        label(one, "__name__", "h");
        label(one, "job", "n");
        label(one, "instance", "a:1");
        wire::remote::write_histogram(one, 4, NOW_MS, &histogram);
    });
    out.message(3, |metadata| {
        metadata.number(1, 2);
        metadata.field(2, b"up");
        metadata.field(4, b"Is it there?");
    });
    let written = send(&receiver, Version::V1, out.bytes()).expect("taken");
    assert_eq!(
        (
            written.samples,
            written.histograms,
            written.exemplars,
            written.rejected
        ),
        (2, 1, 1, 0)
    );
    let floats = store.floats();
    assert_eq!(
        floats[0],
        (r#"up{instance="a:1", job="n"}"#.to_owned(), NOW_MS, 1.0)
    );
    assert!(is_stale(floats[1].2), "the end of a series is passed on");
    let inner = store.0.lock();
    assert_eq!(inner.targets, ["received/n/a:1"]);
    assert_eq!(inner.histograms.values().next(), Some(&histogram));
    assert_eq!(inner.exemplars[0].1.labels.get("trace_id"), Some("abc"));
    assert_eq!(&*inner.families["up"].help, "Is it there?");
}

#[test]
fn the_new_version_is_read_whole() {
    let (store, receiver) = receiver();
    let mut out = Writer::default();
    let symbols = [
        "", "__name__", "h_bucket", "le", "+Inf", "trace_id", "t1", "Help", "seconds",
    ];
    for symbol in symbols {
        out.field(4, symbol.as_bytes());
    }
    out.message(5, |one| {
        one.packed(1, [1, 2, 3, 4]);
        wire::remote::write_sample(one, 2, NOW_MS, 7.0);
        one.message(4, |exemplar| {
            exemplar.packed(1, [5, 6]);
            exemplar.float(2, 0.25);
            exemplar.number(3, NOW_MS as u64);
        });
        one.message(5, |metadata| {
            metadata.number(1, 3);
            metadata.number(3, 7);
            metadata.number(4, 8);
        });
    });
    let written = send(&receiver, Version::V2, out.bytes()).expect("taken");
    assert_eq!(
        (written.samples, written.exemplars, written.rejected),
        (1, 1, 0)
    );
    assert_eq!(
        store.floats(),
        [(r#"h_bucket{le="+Inf"}"#.to_owned(), NOW_MS, 7.0)]
    );
    let inner = store.0.lock();
    assert_eq!(&*inner.families["h"].unit, "seconds");
    assert_eq!(inner.exemplars[0].1.value, 0.25);
}

#[test]
fn a_symbol_that_is_not_there_is_refused() {
    let (_, receiver) = receiver();
    let mut out = Writer::default();
    out.field(4, b"");
    out.message(5, |one| {
        one.packed(1, [1, 2]);
        wire::remote::write_sample(one, 2, NOW_MS, 7.0);
    });
    let why = send(&receiver, Version::V2, out.bytes()).expect_err("refused");
    assert!(matches!(why, Refused::Bad(_)), "{why}");
}

#[test]
fn samples_of_one_time_are_one_scrape_and_series_are_looked_up_once() {
    let (store, receiver) = receiver();
    let series: Vec<Vec<(&str, &str)>> = ["a", "b", "c"]
        .iter()
        .map(|name| vec![("__name__", *name), ("instance", "i"), ("job", "j")])
        .collect();
    for round in 0..4 {
        let time_ms = NOW_MS + round * 15_000;
        let samples = [(time_ms, 1.0), (time_ms + 1, 2.0)];
        let all: Vec<Series<'_>> = series
            .iter()
            .map(|labels| (&**labels, &samples[..]))
            .collect();
        send(&receiver, Version::V1, &v1(&all)).expect("taken");
    }
    let inner = store.0.lock();
    assert_eq!(
        (inner.scrapes, inner.opened, inner.floats.len()),
        (8, 3, 24)
    );
}

#[test]
fn sending_again_changes_nothing_and_is_no_error() {
    let (store, receiver) = receiver();
    let body = v1(&[(&[("__name__", "a")], &[(NOW_MS, 1.0)])]);
    let first = send(&receiver, Version::V1, &body).expect("taken");
    let again = send(&receiver, Version::V1, &body).expect("taken");
    assert_eq!(first, again);
    assert_eq!(store.floats().len(), 1);
}

#[test]
fn what_cannot_be_stored_is_told_and_the_rest_is_stored() {
    let (store, receiver) = receiver();
    let check = |series: &[(&str, &str)], time_ms: i64, expected: &str| {
        let body = v1(&[
            (series, &[(time_ms, 1.0)]),
            (&[("__name__", "good")], &[(NOW_MS, 1.0)]),
        ]);
        let written = send(&receiver, Version::V1, &body).expect("taken");
        assert_eq!((written.samples, written.rejected), (1, 1), "{series:?}");
        let reason = written.reason.expect("a reason");
        assert!(reason.contains(expected), "{reason}");
    };
    check(&[("job", "x")], NOW_MS, "no metric name");
    check(
        &[("__name__", "a"), ("b", "1"), ("b", "2")],
        NOW_MS,
        "\"b\" twice",
    );
    check(&[("__name__", "a"), ("", "1")], NOW_MS, "without a name");
    check(&[("__name__", "a")], NOW_MS - 7_200_000, "yagura import");
    assert_eq!(store.floats().len(), 1);
    store.0.lock().takes_histograms = false;
    let mut out = Writer::default();
    out.message(1, |one| {
        label(one, "__name__", "h");
        wire::remote::write_histogram(one, 4, NOW_MS, &Histogram::default());
    });
    let written = send(&receiver, Version::V1, out.bytes()).expect("taken");
    assert_eq!((written.histograms, written.rejected), (0, 1));
}

#[test]
fn a_full_disk_is_for_later_and_a_bad_body_is_for_never() {
    let (store, receiver) = receiver();
    let body = v1(&[(&[("__name__", "a")], &[(NOW_MS, 1.0)])]);
    store.0.lock().full = true;
    let why = send(&receiver, Version::V1, &body).expect_err("refused");
    assert!(matches!(why, Refused::Full(_)), "{why}");
    store.0.lock().full = false;
    send(&receiver, Version::V1, &body).expect("taken");
    let why = send(&receiver, Version::V1, &body[..body.len() - 1]).expect_err("refused");
    assert!(matches!(why, Refused::Bad(_)), "{why}");
    let why = receiver
        .remote_write(
            b"\xff\xff\xff\xff\x0f",
            Version::V1,
            Encoding::Snappy,
            NOW_MS,
        )
        .expect_err("refused");
    assert!(
        matches!(why, Refused::TooLarge(_) | Refused::Bad(_)),
        "{why}"
    );
}

#[test]
fn labels_behind_their_samples_are_read_too() {
    let (store, receiver) = receiver();
    let mut out = Writer::default();
    out.message(1, |one| {
        label(one, "b", "2");
        wire::remote::write_sample(one, 2, NOW_MS, 3.0);
        label(one, "__name__", "a");
    });
    send(&receiver, Version::V1, out.bytes()).expect("taken");
    assert_eq!(store.floats(), [(r#"a{b="2"}"#.to_owned(), NOW_MS, 3.0)]);
}

#[test]
fn content_types_choose_the_version() {
    let check = |header: Option<&str>, expected: Option<Version>| {
        assert_eq!(Version::of(header).ok(), expected, "{header:?}");
    };
    check(None, Some(Version::V1));
    check(Some("application/x-protobuf"), Some(Version::V1));
    check(
        Some("application/x-protobuf;proto=prometheus.WriteRequest"),
        Some(Version::V1),
    );
    check(
        Some("application/x-protobuf; proto=io.prometheus.write.v2.Request"),
        Some(Version::V2),
    );
    check(Some("application/x-protobuf;proto=other"), None);
    check(Some("application/json"), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let (_, receiver) = receiver();
        let _ = send(&receiver, Version::V1, &bytes);
        let _ = send(&receiver, Version::V2, &bytes);
    }
}
