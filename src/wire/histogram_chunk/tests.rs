//! Chunks that Prometheus' rules make, written and read, whole and broken.

use proptest::prelude::*;

use super::*;

fn samples(chunk: &[u8], encoding: u8) -> Result<Vec<(i64, Sample)>, Malformed> {
    let mut out = Vec::new();
    read(chunk, encoding, |t, s| out.push((t, s)))?;
    Ok(out)
}

fn histogram(step: f64, threshold: f64) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: threshold,
        zero_count: step,
        count: step * 10.0,
        sum: step * 0.3 - 5.0,
        positive: Buckets::from_pairs([(-2, step), (-1, step * 3.0), (7, step * 2.0)]),
        negative: Buckets::from_pairs([(0, step)]),
        ..Histogram::default()
    }
}

#[test]
fn floats_come_back() {
    for threshold in [0.0, 2f64.powi(-128), 1024.0, 0.1, 2f64.powi(-243)] {
        let all: Vec<_> = (0..50)
            .map(|i| {
                (
                    i * 15_000 + i % 3,
                    Arc::new(histogram(i as f64 * 1.25, threshold)),
                )
            })
            .collect();
        let mut writer = Writer::new(all[0].0, &all[0].1);
        for (time_ms, next) in &all[1..] {
            assert!(writer.push(*time_ms, next));
        }
        assert_eq!(writer.count(), 50);
        let found = samples(&writer.finish(), FLOAT_ENCODING).expect("sound");
        for ((time_ms, written), (found_ms, found)) in all.iter().zip(found) {
            let Sample::Histogram(found) = found else {
                panic!("stale");
            };
            assert_eq!(*time_ms, found_ms);
            let same = Histogram {
                reset: found.reset,
                ..(**written).clone()
            };
            assert_eq!(*found, same);
        }
    }
}

#[test]
fn bounds_come_back() {
    let custom = Arc::new(Histogram {
        schema: CUSTOM_BOUNDS_SCHEMA,
        bounds: Arc::from([0.005, 0.1, 1.0 / 3.0, 2.5, 1e9]),
        positive: Buckets::from_pairs([(0, 1.0), (5, 2.0)]),
        count: 3.0,
        ..Histogram::default()
    });
    let chunk = Writer::new(5, &custom).finish();
    let found = samples(&chunk, FLOAT_ENCODING).expect("sound");
    assert_eq!(found, [(5, Sample::Histogram(custom))]);
}

#[test]
fn what_does_not_go_on_needs_a_chunk_of_its_own() {
    let mut writer = Writer::new(0, &Arc::new(histogram(2.0, 0.0)));
    assert!(writer.push(1, &histogram(2.0, 0.0)));
    assert!(!writer.push(2, &histogram(1.0, 0.0)), "a reset");
    assert!(!writer.push(2, &histogram(3.0, 1.0)), "another zero bucket");
    let gauge = Histogram {
        reset: ResetHint::Gauge,
        ..histogram(3.0, 0.0)
    };
    assert!(!writer.push(2, &gauge), "a gauge");
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), float: bool) {
        let _ = samples(&bytes, if float { FLOAT_ENCODING } else { ENCODING });
    }
}
