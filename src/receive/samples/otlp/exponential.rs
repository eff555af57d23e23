//! Exponential histograms are native ones, with their buckets numbered from the other end: bucket
//! `i` of OpenTelemetry begins where bucket `i` of Prometheus ends. Deltas are added up.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Buckets, Histogram, stale_nan};
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point as point_parts;

use super::{Family, NO_RECORDED_VALUE, Taker, exemplar, labels, ms};
use crate::Refused;

/// The finest and coarsest resolutions that Prometheus knows.
const SCALE_MAX: i32 = 8;
const SCALE_MIN: i32 = -4;
/// Where a sender names none: what Prometheus takes for zero.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Most buckets of a total, both sides together: OpenTelemetry's own default for each. What has
/// more becomes coarser.
const TOTAL_BUCKETS_MAX: usize = 320;

pub(super) fn take(
    taker: &mut Taker<'_, '_>,
    family: &Family<'_>,
    point: &ExponentialHistogramDataPoint,
) -> Result<(), Refused> {
    let set = labels(family, "", &point.attributes, None);
    let time_ms = ms(point.time_unix_nano);
    if point.scale < SCALE_MIN {
        let why = "an exponential histogram is coarser than scale -4";
        taker.batch.reject(1, || format!("{}: {why}", family.name));
        return Ok(());
    }
    if point.flags & NO_RECORDED_VALUE != 0 {
        if let Some(place) = taker.batch.place_of(&set, 1)? {
            taker.batch.float(place, time_ms, stale_nan());
        }
        return Ok(());
    }
    let shift = (point.scale - SCALE_MAX).clamp(0, 31) as u32;
    let histogram = Histogram {
        schema: point.scale.min(SCALE_MAX),
        zero_threshold: if point.zero_threshold > 0.0 {
            point.zero_threshold
        } else {
            ZERO_THRESHOLD
        },
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(f64::NAN),
        positive: buckets(point.positive.as_ref(), shift),
        negative: buckets(point.negative.as_ref(), shift),
        ..Histogram::default()
    };
    let histogram = if family.is_delta {
        let now_ms = taker.now_ms;
        let total = taker
            .deltas
            .add_histogram(&set, time_ms, histogram, now_ms, sum);
        match total {
            Ok(Some(total)) => total,
            Ok(None) => return Ok(()),
            Err(why) => {
                taker.batch.reject(1, || why);
                return Ok(());
            }
        }
    } else {
        Arc::new(histogram)
    };
    let Some(place) = taker.batch.place_of(&set, 1)? else {
        return Ok(());
    };
    taker.batch.histogram(place, time_ms, histogram);
    for found in &point.exemplars {
        taker.batch.exemplar(place, exemplar(found));
    }
    Ok(())
}

/// Buckets, `shift` times halved in resolution; those without observations are left out.
fn buckets(found: Option<&point_parts::Buckets>, shift: u32) -> Buckets {
    let Some(found) = found else {
        return Buckets::default();
    };
    let mut pairs: Vec<(i32, f64)> = Vec::new();
    for (at, count) in found.bucket_counts.iter().enumerate() {
        let index = found.offset.saturating_add(at as i32) >> shift;
        let index = index.saturating_add(1);
        match pairs.last_mut() {
            _ if *count == 0 => {}
            Some((last, sum)) if *last == index => *sum += *count as f64,
            _ => pairs.push((index, *count as f64)),
        }
    }
    Buckets::from_pairs(pairs)
}

/// A histogram and what came after it. Of two resolutions the coarser one stays, of two zero
/// buckets the wider one.
fn sum(before: &Histogram, delta: &Histogram) -> Histogram {
    let mut schema = before.schema.min(delta.schema);
    let zero_threshold = before.zero_threshold.max(delta.zero_threshold);
    loop {
        let mut out = Histogram {
            schema,
            zero_threshold,
            zero_count: before.zero_count + delta.zero_count,
            count: before.count + delta.count,
            sum: before.sum + delta.sum,
            ..Histogram::default()
        };
        let side = |of: fn(&Histogram) -> &Buckets, zero: &mut f64| {
            let mut joined: BTreeMap<i32, f64> = BTreeMap::new();
            for histogram in [before, delta] {
                let steps = (histogram.schema - schema).clamp(0, 31);
                for (index, count) in of(histogram).iter() {
                    // A bucket is named by its upper end, inclusive.
                    let index = (index.saturating_sub(1) >> steps).saturating_add(1);
                    if upper_end(index, schema) <= zero_threshold {
                        *zero += count;
                    } else {
                        *joined.entry(index).or_default() += count;
                    }
                }
            }
            Buckets::from_pairs(joined)
        };
        let mut zero = 0.0;
        out.positive = side(|h| &h.positive, &mut zero);
        out.negative = side(|h| &h.negative, &mut zero);
        out.zero_count += zero;
        let buckets = out.positive.counts.len() + out.negative.counts.len();
        if buckets <= TOTAL_BUCKETS_MAX || schema <= SCALE_MIN {
            return out;
        }
        schema -= 1;
    }
}

fn upper_end(index: i32, schema: i32) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}
