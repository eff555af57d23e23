//! Native histograms as columns: one for each bucket, through the codec of floats.
//!
//! 1. Histograms that share schema, zero threshold and bounds form a *group* ([`group_length`]).
//! 2. A group has *shapes*: the different lists of spans that occur in it. Buckets come and go;
//!    which of them a histogram has is said by its shape, in runs.
//! 3. Count, zero count, sum and every bucket that occurs in any shape are a column. Where a
//!    histogram has no such bucket its column repeats the value before; reading leaves it out.
//!
//! Counts hardly ever move in most buckets, so most columns are two bytes. Every bit comes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Buckets, Histogram, Span};

use super::histogram_pieces::{
    ascends, get_layout, get_runs, get_spans, put_layout, put_runs, put_spans, reset_code, reset_of,
};
use super::varint::{Reader, put_varint};
use super::{CodecError, Effort, Scratch};

/// Values of a group's columns together: what a damaged byte may ask for, and, at ten bytes each
/// at worst, less than the largest page.
const CELLS_MAX: usize = 1 << 16;

/// Buckets of a histogram, both sides together; Prometheus' widest have some hundreds.
pub const BUCKETS_MAX: usize = 16_384;

/// Columns beside the buckets: count, zero count, sum.
const FIXED_COLUMNS: usize = 3;

/// Which buckets a histogram has: spans above zero and below.
type Shape = (Vec<Span>, Vec<Span>);

/// Whether the store can keep a histogram: what is consistent, and of bounded size.
pub fn is_storable(histogram: &Histogram) -> bool {
    let (positive, negative) = (&histogram.positive, &histogram.negative);
    // Spans beyond the range of an index would lose buckets.
    let whole = |buckets: &Buckets| {
        buckets.spans.len() <= BUCKETS_MAX
            && buckets.iter().count() == buckets.counts.len()
            && ascends(&buckets.spans)
    };
    positive.counts.len() + negative.counts.len() <= BUCKETS_MAX
        && histogram.bounds.len() <= BUCKETS_MAX
        && histogram.check().is_ok()
        && whole(positive)
        && whole(negative)
}

fn shape(histogram: &Histogram) -> (&[Span], &[Span]) {
    (&histogram.positive.spans, &histogram.negative.spans)
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Whether two histograms may stand in one group.
fn same_group(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && (Arc::ptr_eq(&a.bounds, &b.bounds) || same_bits(&a.bounds, &b.bounds))
}

/// Where buckets lie, as indexes.
fn indexes(spans: &[Span]) -> impl Iterator<Item = i32> {
    let mut next = 0i32;
    spans.iter().flat_map(move |span| {
        let first = next.saturating_add(span.offset);
        next = first.saturating_add_unsigned(span.length);
        first..next
    })
}

/// How many of the first histograms form one group; at least one where there is any.
pub fn group_length(histograms: &[Arc<Histogram>]) -> usize {
    let Some(first) = histograms.first() else {
        return 0;
    };
    let mut union: (BTreeSet<i32>, BTreeSet<i32>) = Default::default();
    let mut last: Option<(&[Span], &[Span])> = None;
    for (n, histogram) in histograms.iter().enumerate() {
        if !same_group(first, histogram) {
            return n;
        }
        if last != Some(shape(histogram)) {
            union.0.extend(indexes(&histogram.positive.spans));
            union.1.extend(indexes(&histogram.negative.spans));
            last = Some(shape(histogram));
        }
        let columns = FIXED_COLUMNS + union.0.len() + union.1.len();
        if n > 0 && (n + 1) * columns > CELLS_MAX {
            return n;
        }
    }
    histograms.len()
}

/// Appends histograms, group by group.
pub fn encode(
    histograms: &[Arc<Histogram>],
    effort: Effort,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let mut rest = histograms;
    while let Some((group, later)) = rest.split_at_checked(group_length(rest))
        && !group.is_empty()
    {
        encode_group(group, effort, scratch, out);
        rest = later;
    }
}

/// Appends the `count` histograms that `reader` begins with.
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<Arc<Histogram>>,
) -> Result<(), CodecError> {
    let end = out.len() + count;
    while out.len() < end {
        decode_group(reader, end - out.len(), out)?;
    }
    Ok(())
}

fn encode_group(
    group: &[Arc<Histogram>],
    effort: Effort,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let Some(first) = group.first() else { return };
    put_varint(out, group.len() as u64);
    put_layout(first, out);
    let mut shapes: Vec<Shape> = Vec::new();
    let mut of: Vec<usize> = Vec::with_capacity(group.len());
    for histogram in group {
        let (positive, negative) = shape(histogram);
        let last = of.last().copied();
        let is = |shape: &Shape| shape.0 == positive && shape.1 == negative;
        let known = last.filter(|at| shapes.get(*at).is_some_and(is));
        let known = known.or_else(|| shapes.iter().position(is));
        of.push(known.unwrap_or_else(|| {
            shapes.push((positive.to_vec(), negative.to_vec()));
            shapes.len() - 1
        }));
    }
    put_varint(out, shapes.len() as u64);
    for (positive, negative) in &shapes {
        put_spans(positive, out);
        put_spans(negative, out);
    }
    put_runs(of.iter().map(|at| *at as u64), out);
    put_runs(group.iter().map(|h| reset_code(h.reset)), out);
    let columns = Columns::new(&shapes);
    let n = group.len();
    let mut cells = vec![0.0; columns.count() * n];
    for (row, (histogram, shape)) in group.iter().zip(&of).enumerate() {
        let fixed = [histogram.count, histogram.zero_count, histogram.sum];
        let places = columns.of_shape.get(*shape).into_iter().flatten().copied();
        let counts = [&histogram.positive.counts, &histogram.negative.counts];
        let values = (0..FIXED_COLUMNS)
            .zip(fixed)
            .chain(places.zip(counts.into_iter().flatten().copied()));
        if row > 0 {
            for column in cells.chunks_exact_mut(n) {
                column.copy_within(row - 1..row, row);
            }
        }
        for (column, value) in values {
            if let Some(cell) = cells.get_mut(column * n + row) {
                *cell = value;
            }
        }
    }
    let mut body = Vec::new();
    for column in cells.chunks_exact(n) {
        body.clear();
        super::encode(column, effort, scratch, &mut body);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(&body);
    }
}

fn decode_group(
    reader: &mut Reader<'_>,
    count_max: usize,
    out: &mut Vec<Arc<Histogram>>,
) -> Result<(), CodecError> {
    let n = reader.varint()? as usize;
    if n == 0 || n > count_max {
        return Err(CodecError::Malformed("a group of histograms of no size"));
    }
    let layout = get_layout(reader)?;
    let mut shapes: Vec<Shape> = Vec::new();
    // No shape has more buckets than there are columns, and there are not more shapes than rows.
    let mut buckets = 0;
    for _ in 0..reader.varint()? {
        if shapes.len() >= n {
            return Err(CodecError::Malformed("more shapes than histograms"));
        }
        let shape = (get_spans(reader)?, get_spans(reader)?);
        let spans = shape.0.iter().chain(&shape.1);
        buckets += spans.map(|s| s.length as usize).sum::<usize>();
        if buckets > CELLS_MAX {
            return Err(CodecError::Malformed("shapes too large"));
        }
        shapes.push(shape);
    }
    let of = get_runs(reader, n)?;
    let resets = get_runs(reader, n)?;
    let columns = Columns::new(&shapes);
    if columns.count().saturating_mul(n) > CELLS_MAX && n > 1 {
        return Err(CodecError::Malformed("a group of histograms too large"));
    }
    let mut cells = Vec::with_capacity(columns.count() * n);
    for _ in 0..columns.count() {
        let length = reader.varint()? as usize;
        super::decode(reader.bytes(length)?, n, &mut cells)?;
    }
    let cell = |column: usize, row: usize| cells.get(column * n + row).copied().unwrap_or(0.0);
    for (row, (shape, reset)) in of.into_iter().zip(resets).enumerate() {
        let missing = CodecError::Malformed("an unknown shape");
        let at = shape as usize;
        let ((positive, negative), places) = shapes
            .get(at)
            .zip(columns.of_shape.get(at))
            .ok_or(missing)?;
        let n_positive = indexes(positive).count();
        let mut counts: Vec<f64> = places.iter().map(|column| cell(*column, row)).collect();
        let below = counts.split_off(n_positive.min(counts.len()));
        let buckets = |spans: &Vec<Span>, counts| Buckets {
            spans: spans.clone(),
            counts,
        };
        out.push(Arc::new(Histogram {
            reset: reset_of(reset)?,
            count: cell(0, row),
            zero_count: cell(1, row),
            sum: cell(2, row),
            positive: buckets(positive, counts),
            negative: buckets(negative, below),
            ..layout.clone()
        }));
    }
    Ok(())
}

/// Which column holds what.
struct Columns {
    /// For each shape the columns of its buckets, those above zero first.
    of_shape: Vec<Vec<usize>>,
    buckets: usize,
}

impl Columns {
    fn new(shapes: &[Shape]) -> Self {
        let union = |side: fn(&Shape) -> &Vec<Span>| -> Vec<i32> {
            let all: BTreeSet<i32> = shapes.iter().flat_map(|s| indexes(side(s))).collect();
            all.into_iter().collect()
        };
        let (positive, negative) = (union(|s| &s.0), union(|s| &s.1));
        let of_shape = shapes.iter().map(|shape| {
            let above = indexes(&shape.0).filter_map(|i| positive.binary_search(&i).ok());
            let below = indexes(&shape.1).filter_map(|i| negative.binary_search(&i).ok());
            above
                .map(|at| FIXED_COLUMNS + at)
                .chain(below.map(|at| FIXED_COLUMNS + positive.len() + at))
                .collect()
        });
        Self {
            of_shape: of_shape.collect(),
            buckets: positive.len() + negative.len(),
        }
    }

    fn count(&self) -> usize {
        FIXED_COLUMNS + self.buckets
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text in which two histograms are equal only when all their bits are.
    pub(crate) fn bits(histogram: &Histogram) -> String {
        let list = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let side = |b: &Buckets| format!("{:?} {:?}", b.spans, list(&b.counts));
        format!(
            "{:?} {} {:?} {} {} {:?}",
            histogram.reset,
            histogram.schema,
            list(&[
                histogram.zero_threshold,
                histogram.zero_count,
                histogram.count,
                histogram.sum
            ]),
            side(&histogram.positive),
            side(&histogram.negative),
            list(&histogram.bounds)
        )
    }

    fn count() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0u32..1000).prop_map(f64::from),
            1 => any::<u64>().prop_map(|b| f64::from_bits(b).abs()),
        ]
    }

    fn buckets() -> impl Strategy<Value = Buckets> {
        prop::collection::btree_map(-30i32..30, count(), 0..12).prop_map(Buckets::from_pairs)
    }

    /// Any histogram that is consistent.
    pub(crate) fn histogram() -> impl Strategy<Value = Histogram> {
        let fixed = (count(), count(), any::<u64>(), 0u64..4, 0u8..4);
        (fixed, buckets(), buckets()).prop_map(|(fixed, positive, negative)| {
            let (count, zero_count, sum, reset, kind) = fixed;
            let plain = Histogram {
                reset: reset_of(reset).expect("known"),
                schema: i32::from(kind) - 2,
                zero_threshold: if kind == 1 { 1e-128 } else { 0.0 },
                zero_count,
                count,
                sum: f64::from_bits(sum),
                positive,
                negative,
                ..Histogram::default()
            };
            if kind < 3 {
                return plain;
            }
            let pairs = [(0, count), (2, zero_count)];
            Histogram {
                schema: model::CUSTOM_BOUNDS_SCHEMA,
                zero_count: 0.0,
                positive: Buckets::from_pairs(pairs),
                negative: Buckets::default(),
                bounds: Arc::from([0.1, 0.5, 2.0]),
                ..plain
            }
        })
    }

    fn check(histograms: &[Arc<Histogram>]) -> usize {
        let mut bytes = Vec::new();
        for effort in [Effort::Head, Effort::Page] {
            bytes.clear();
            encode(histograms, effort, &mut Scratch::default(), &mut bytes);
            let mut back = Vec::new();
            let mut reader = Reader::new(&bytes);
            decode(&mut reader, histograms.len(), &mut back).expect("decodes");
            assert!(reader.is_empty());
            assert_eq!(back.len(), histograms.len());
            for (a, b) in histograms.iter().zip(&back) {
                assert_eq!(bits(a), bits(b));
            }
        }
        bytes.len()
    }

    #[test]
    fn a_steady_histogram_takes_little() {
        let at = |i: u32| {
            let counts = (0..40).map(|b| (b, f64::from(if b % 4 == 0 { i * 3 } else { 7 })));
            Arc::new(Histogram {
                schema: 3,
                count: f64::from(i * 30 + 210),
                sum: f64::from(i) * 1.5,
                positive: Buckets::from_pairs(counts),
                ..Histogram::default()
            })
        };
        let histograms: Vec<_> = (0..480).map(at).collect();
        // Less than a byte for each of 43 values of 480 histograms: 480 at 8 bytes were 165,120.
        assert!(check(&histograms) < 480, "{}", check(&histograms));
    }

    #[test]
    fn many_wide_histograms_are_several_groups() {
        let wide = |i: u32| {
            Arc::new(Histogram {
                positive: Buckets::from_pairs((0..3000).map(|b| (b, f64::from(b as u32 * i)))),
                ..Histogram::default()
            })
        };
        let histograms: Vec<_> = (0..50).map(wide).collect();
        assert!(group_length(&histograms) < 50);
        check(&histograms);
        assert!(histograms.iter().all(|h| is_storable(h)));
        let span = Span {
            offset: 0,
            length: u32::MAX,
        };
        let mut endless = Histogram::default();
        endless.positive.spans = vec![span];
        assert!(!is_storable(&endless));
    }

    proptest! {
        #[test]
        fn any_histograms_come_back(histograms in prop::collection::vec(histogram(), 0..40)) {
            for histogram in &histograms {
                prop_assert!(is_storable(histogram), "{:?}", histogram.check());
            }
            check(&histograms.into_iter().map(Arc::new).collect::<Vec<_>>());
        }

        #[test]
        fn noise_is_refused_without_panic(
            histograms in prop::collection::vec(histogram(), 1..5),
            at: prop::sample::Index, to: u8,
        ) {
            let histograms: Vec<_> = histograms.into_iter().map(Arc::new).collect();
            let mut bytes = Vec::new();
            encode(&histograms, Effort::Head, &mut Scratch::default(), &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = decode(&mut Reader::new(&bytes), histograms.len(), &mut Vec::new());
            bytes.truncate(at);
            let mut out = Vec::new();
            prop_assert!(decode(&mut Reader::new(&bytes), histograms.len(), &mut out).is_err());
        }
    }
}
