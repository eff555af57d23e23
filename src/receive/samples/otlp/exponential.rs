//! Exponential histograms are native ones, with their buckets numbered from the other end: bucket
//! `i` of OpenTelemetry begins where bucket `i` of Prometheus ends.

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

pub(super) fn take(
    taker: &mut Taker<'_, '_>,
    family: &Family<'_>,
    point: &ExponentialHistogramDataPoint,
) -> Result<(), Refused> {
    let set = labels(family, "", &point.attributes, None);
    let time_ms = ms(point.time_unix_nano);
    let refused = if family.is_delta {
        Some(
            "an exponential histogram comes as deltas: let its sender choose cumulative temporality",
        )
    } else if point.scale < SCALE_MIN {
        Some("an exponential histogram is coarser than scale -4")
    } else {
        None
    };
    if let Some(why) = refused {
        taker.batch.reject(1, || format!("{}: {why}", family.name));
        return Ok(());
    }
    let Some(place) = taker.batch.place_of(&set, 1)? else {
        return Ok(());
    };
    if point.flags & NO_RECORDED_VALUE != 0 {
        taker.batch.float(place, time_ms, stale_nan());
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
    taker.batch.histogram(place, time_ms, Arc::new(histogram));
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
