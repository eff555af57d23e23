//! Native histograms: a whole distribution as one value.
//!
//! Exponential buckets (schema -4 to 8: bucket `i` ends at `2^(i * 2^-schema)`, inclusive), or
//! custom bounds (schema -53: the buckets of a classic histogram). Counts are floats, as in
//! PromQL: integers up to 2^53 are exact. What Prometheus calls `FloatHistogram`, with counts that
//! are absolute, never deltas of neighbours.

use std::sync::Arc;

/// The schema that means "custom bounds".
pub const CUSTOM_BOUNDS_SCHEMA: i32 = -53;

/// The value that stands in a column of floats at the place of a histogram: a quiet NaN that no
/// arithmetic makes. Compare with [`is_histogram`], never with `==`.
pub const HISTOGRAM_NAN_BITS: u64 = 0x7ff8_0000_0000_4849;

/// Whether a float of a column only holds the place of a histogram.
pub fn is_histogram(value: f64) -> bool {
    value.to_bits() == HISTOGRAM_NAN_BITS
}

/// The float that holds the place of a histogram.
pub fn histogram_nan() -> f64 {
    f64::from_bits(HISTOGRAM_NAN_BITS)
}

/// What is known about how a histogram follows the one before it in its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResetHint {
    /// Nothing: compare the two.
    #[default]
    Unknown,
    /// It begins anew.
    Reset,
    /// It goes on.
    NotReset,
    /// It is a gauge: there are no resets.
    Gauge,
}

/// A run of buckets that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// For the first span of a side the index of its first bucket; else the distance to the end
    /// of the span before (never negative there).
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// Buckets of one side of zero: spans, and one count for each of their buckets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// Where the buckets lie.
    pub spans: Vec<Span>,
    /// As many as the spans' lengths together; absolute counts, not cumulative.
    pub counts: Vec<f64>,
}

impl Buckets {
    /// Index and count of each bucket, ascending, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut next = 0_i32;
        let indexes = self.spans.iter().flat_map(move |span| {
            let first = next.saturating_add(span.offset);
            next = first.saturating_add_unsigned(span.length);
            first..next
        });
        indexes.zip(self.counts.iter().copied())
    }

    /// Buckets from ascending pairs of index and count; runs of neighbours become spans.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut buckets = Self::default();
        let mut next = 0_i32;
        for (index, count) in pairs {
            match buckets.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => buckets.spans.push(Span {
                    offset: index.saturating_sub(next),
                    length: 1,
                }),
            }
            next = index.saturating_add(1);
            buckets.counts.push(count);
        }
        buckets
    }

    /// Whether there is no bucket.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// A native histogram at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// How it follows the one before.
    pub reset: ResetHint,
    /// Resolution: -4 (coarse) to 8 (fine), or [`CUSTOM_BOUNDS_SCHEMA`].
    pub schema: i32,
    /// Observations of at most this magnitude count as zero.
    pub zero_threshold: f64,
    /// How many of those.
    pub zero_count: f64,
    /// Observations in all, NaNs included.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets above zero; with custom bounds all of them.
    pub positive: Buckets,
    /// Buckets below zero, index by magnitude.
    pub negative: Buckets,
    /// Inclusive upper bounds, ascending, +Inf left out: with custom bounds only.
    pub bounds: Arc<[f64]>,
}

impl Histogram {
    /// Whether its buckets have custom bounds.
    pub fn has_custom_bounds(&self) -> bool {
        self.schema == CUSTOM_BOUNDS_SCHEMA
    }

    /// What is inconsistent about it, in a sentence without an end; data from outside must pass.
    ///
    /// # Errors
    /// The first thing found.
    pub fn check(&self) -> Result<(), String> {
        let custom = self.has_custom_bounds();
        if !custom && !(-4..=8).contains(&self.schema) {
            return Err(format!("schema {} is none of -4 to 8 or -53", self.schema));
        }
        for (side, buckets) in [("positive", &self.positive), ("negative", &self.negative)] {
            let length: u64 = buckets.spans.iter().map(|s| u64::from(s.length)).sum();
            if length != buckets.counts.len() as u64 {
                return Err(format!(
                    "its {side} spans have {length} buckets but there are {} counts",
                    buckets.counts.len()
                ));
            }
            if buckets.spans.iter().skip(1).any(|span| span.offset < 0) {
                return Err(format!("its {side} spans overlap"));
            }
            if buckets.counts.iter().any(|count| *count < 0.0) && self.reset != ResetHint::Gauge {
                return Err(format!("a {side} bucket has a negative count"));
            }
        }
        if custom {
            if !self.negative.is_empty() || self.zero_count != 0.0 || self.zero_threshold != 0.0 {
                return Err("with custom bounds it has no negative and no zero bucket".to_owned());
            }
            if self.bounds.windows(2).any(|pair| pair[0] >= pair[1])
                || self.bounds.iter().any(|bound| bound.is_nan())
            {
                return Err("its custom bounds do not ascend".to_owned());
            }
            let last = self.positive.iter().map(|(index, _)| index).max();
            if last.is_some_and(|last| last as usize > self.bounds.len()) {
                return Err("it has a bucket beyond its custom bounds".to_owned());
            }
        } else if !self.bounds.is_empty() {
            return Err("only schema -53 has custom bounds".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_pairs_say_the_same() {
        let pairs = vec![(-3, 1.0), (-2, 0.0), (4, 2.5), (5, 1.0), (9, 7.0)];
        let buckets = Buckets::from_pairs(pairs.clone());
        let span = |offset, length| Span { offset, length };
        assert_eq!(buckets.spans, [span(-3, 2), span(5, 2), span(3, 1)]);
        assert_eq!(buckets.iter().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn what_is_inconsistent_is_named() {
        let mut histogram = Histogram {
            positive: Buckets::from_pairs([(0, 1.0), (1, 2.0)]),
            count: 3.0,
            ..Histogram::default()
        };
        assert_eq!(histogram.check(), Ok(()));
        histogram.positive.counts.pop();
        assert!(
            histogram
                .check()
                .is_err_and(|e| e.contains("2 buckets but there are 1"))
        );
        let custom = Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            bounds: Arc::from([1.0, 1.0]),
            ..Histogram::default()
        };
        assert!(custom.check().is_err_and(|e| e.contains("do not ascend")));
        let far = Histogram {
            schema: 9,
            ..Histogram::default()
        };
        assert!(far.check().is_err_and(|e| e.contains("schema 9")));
    }
}
