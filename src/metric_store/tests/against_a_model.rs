//! Any sequence of appends (in order, late, twice), seals, restarts and reads gives what a plain
//! map of maps gives.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{T0, WINDOW, append, labels, open_with, select};
use metric_store::Config;
use model::{Buckets, Histogram, ResetHint, SampleSink, SlotId, is_histogram};
use proptest::prelude::*;

const SERIES: usize = 12;
const TARGETS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A scrape of one target; `late_ms` behind the clock.
    Append {
        target: usize,
        late_ms: i64,
        samples: Vec<(usize, u64)>,
    },
    /// Native histograms of one target.
    Histograms {
        target: usize,
        late_ms: i64,
        samples: Vec<(usize, u8)>,
    },
    /// The clock goes on.
    Wait(i64),
    Maintain,
    /// The process is killed and starts again.
    Kill,
    Close(usize),
    Check {
        start: i64,
        length: i64,
    },
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => (0u32..100).prop_map(|x| f64::from(x).to_bits()),
        1 => any::<u64>(),
        1 => Just(model::STALE_NAN_BITS),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let samples = prop::collection::vec((0..SERIES, value()), 1..SERIES);
    prop_oneof![
        20 => (0..TARGETS, prop_oneof![5 => Just(0), 1 => 0i64..3 * WINDOW], samples).prop_map(
            |(target, late_ms, samples)| Step::Append { target, late_ms, samples }
        ),
        4 => (
            0..TARGETS,
            prop_oneof![5 => Just(0), 1 => 0i64..3 * WINDOW],
            prop::collection::vec((0..SERIES, any::<u8>()), 1..4),
        ).prop_map(|(target, late_ms, samples)| Step::Histograms { target, late_ms, samples }),
        10 => prop_oneof![4 => 1i64..60_000, 1 => 0..WINDOW].prop_map(Step::Wait),
        2 => Just(Step::Maintain),
        1 => Just(Step::Kill),
        1 => (0..TARGETS).prop_map(Step::Close),
        1 => (-WINDOW..3 * WINDOW, 0..4 * WINDOW).prop_map(|(start, length)| Step::Check { start, length }),
    ]
}

/// A value that can be compared to the last bit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Float(u64),
    Histogram(u8),
}

/// One of 256 histograms, of different shapes.
fn histogram(seed: u8) -> Arc<Histogram> {
    let counts =
        (0..i32::from(seed % 9)).map(|i| (i * i - 4, f64::from(seed) + f64::from(i) / 3.0));
    Arc::new(Histogram {
        reset: if seed.is_multiple_of(5) {
            ResetHint::Reset
        } else {
            ResetHint::Unknown
        },
        schema: i32::from(seed % 3),
        zero_threshold: f64::from(seed % 2) * 1e-9,
        count: f64::from(seed),
        sum: f64::from(seed).sqrt(),
        positive: Buckets::from_pairs(counts),
        ..Histogram::default()
    })
}

type Model = BTreeMap<String, BTreeMap<i64, Value>>;

fn read(store: &metric_store::MetricStore, start_ms: i64, end_ms: i64) -> Model {
    let found = select(store, Vec::new(), start_ms, end_ms, 3);
    let found = found.into_iter().map(|(labels, samples)| {
        let mut histograms = samples.histograms.iter();
        let bits = samples.values.iter().enumerate().map(|(i, v)| {
            if !is_histogram(*v) {
                return Value::Float(v.to_bits());
            }
            let (at, found) = histograms.next().expect("one for each place");
            assert_eq!(*at, i);
            let seed = found.count as u8;
            assert_eq!(**found, *histogram(seed));
            Value::Histogram(seed)
        });
        let times = samples.timestamps_ms.iter().copied();
        (labels.to_string(), times.zip(bits).collect())
    });
    found.collect()
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().expect("a folder");
    // Everything that the steps can make is in time.
    let config = Config {
        out_of_order_window: std::time::Duration::from_hours(1000),
        ..Config::default()
    };
    let mut now = T0;
    let mut store = open_with(dir.path(), config.clone(), now).expect("opens").0;
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Append {
                target,
                late_ms,
                samples,
            } => {
                // Two targets that give one series two values at one time contradict each other;
                // which of them counts is not promised.
                let time_ms = (now - late_ms) / 3 * 3 + target as i64;
                let id = store.open_target(&format!("t{target}")).expect("opens");
                let rows: Vec<(SlotId, f64)> = samples
                    .iter()
                    .map(|(series, bits)| {
                        let slot = store.open_slot(id, &labels("m", *series)).expect("opens");
                        (slot, f64::from_bits(*bits))
                    })
                    .collect();
                append(&store, id, time_ms, &rows).expect("appends");
                for (series, bits) in samples {
                    let of = model.entry(labels("m", series).to_string()).or_default();
                    of.entry(time_ms).or_insert(Value::Float(bits));
                }
            }
            Step::Histograms {
                target,
                late_ms,
                samples,
            } => {
                let time_ms = (now - late_ms) / 3 * 3 + target as i64;
                let id = store.open_target(&format!("t{target}")).expect("opens");
                let rows: Vec<(SlotId, Arc<Histogram>)> = samples
                    .iter()
                    .map(|(series, seed)| {
                        let slot = store.open_slot(id, &labels("m", *series)).expect("opens");
                        (slot, histogram(*seed))
                    })
                    .collect();
                store
                    .append_histograms(id, time_ms, &rows)
                    .expect("appends");
                for (series, seed) in samples {
                    let of = model.entry(labels("m", series).to_string()).or_default();
                    of.entry(time_ms).or_insert(Value::Histogram(seed));
                }
            }
            Step::Wait(ms) => now += ms,
            Step::Maintain => store.maintain(now).expect("maintains"),
            Step::Kill => {
                drop(store);
                store = open_with(dir.path(), config.clone(), now).expect("opens").0;
            }
            Step::Close(target) => {
                let id = store.open_target(&format!("t{target}")).expect("opens");
                store.close_target(id);
            }
            Step::Check { start, length } => check(&store, &model, T0 + start, T0 + start + length),
        }
    }
    check(&store, &model, i64::MIN, i64::MAX);
    store.maintain(now + 3 * WINDOW).expect("maintains");
    check(&store, &model, i64::MIN, i64::MAX);
}

fn check(store: &metric_store::MetricStore, model: &Model, start_ms: i64, end_ms: i64) {
    let in_range = model.iter().map(|(labels, samples)| {
        let samples = samples
            .iter()
            .filter(|(t, _)| **t > start_ms && **t <= end_ms);
        (labels.clone(), samples.map(|(t, v)| (*t, *v)).collect())
    });
    let expected: Model = in_range
        .filter(|(_, samples): &(String, BTreeMap<i64, Value>)| !samples.is_empty())
        .collect();
    let found = read(store, start_ms, end_ms);
    for (labels, samples) in &expected {
        assert_eq!(found.get(labels), Some(samples), "{labels}");
    }
    assert_eq!(found.len(), expected.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map(steps in prop::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
