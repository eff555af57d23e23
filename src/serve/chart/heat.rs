//! Histograms over time as a heatmap: time to the right, buckets upwards, the more observations
//! the stronger the colour. Classic histograms (series by `le`) and native ones alike.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use model::Labels;
use promql::RangeSeries;
use promql::native::buckets;
use serde::Serialize;

use super::drawing::{BELOW, times};
use super::{Json, shortened};
use crate::ask::Steps;
use crate::html::Escaped;
use crate::humanize;

/// Rows of a heatmap; neighbours are joined until there are no more.
const ROWS_MAX: usize = 48;

/// Strengths of the colour, beside none.
pub(crate) const LEVELS: usize = 9;

/// The axis of bounds stands left of the cells, so much of the whole, percent.
const LEFT: f64 = 7.0;

/// A heatmap.
#[derive(Debug, Clone)]
pub(crate) struct Heat {
    pub(crate) steps: Steps,
    /// The rows' bounds from the lowest to the highest: one more than there are rows.
    edges: Vec<f64>,
    /// Per row one count per step, `NaN` where there is none.
    rows: Vec<Vec<f64>>,
    /// The greatest count.
    most: f64,
    /// Histograms that are added up in it.
    pub(crate) summed: usize,
}

/// What the script gets.
#[derive(Serialize)]
struct Columns {
    start: f64,
    step: f64,
    count: usize,
    /// The rows' bounds as they are shown.
    bounds: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
    most: f64,
}

impl Heat {
    /// Reads histograms from series; `None` where there are none. Series of more than one
    /// histogram are added up.
    pub(crate) fn new(steps: Steps, series: &[RangeSeries]) -> Option<Self> {
        let mut heat = Self::native(steps, series).or_else(|| Self::classic(steps, series))?;
        heat.join_rows();
        let counts = heat.rows.iter().flatten().copied();
        heat.most = counts.filter(|v| v.is_finite()).fold(0.0, f64::max);
        Some(heat)
    }

    /// Series by `le` hold cumulative counts: a row is the difference to the one below.
    fn classic(steps: Steps, series: &[RangeSeries]) -> Option<Self> {
        let mut by_bound: Vec<(f64, Vec<f64>)> = Vec::new();
        let mut histograms: BTreeSet<Labels> = BTreeSet::new();
        for one in series {
            let Some(bound) = one.labels.get("le").and_then(|le| le.parse::<f64>().ok()) else {
                continue;
            };
            let others = one.labels.iter().filter(|label| &*label.name != "le");
            let others = others.map(|label| (&*label.name, &*label.value));
            histograms.insert(Labels::from_pairs(others));
            let column = steps.column(&one.samples);
            match by_bound
                .iter_mut()
                .find(|(known, _)| known.to_bits() == bound.to_bits())
            {
                Some((_, sum)) => add(sum, &column),
                None => by_bound.push((bound, column)),
            }
        }
        // One bound is no distribution.
        if by_bound.len() < 2 {
            return None;
        }
        by_bound.sort_by(|a, b| a.0.total_cmp(&b.0));
        let lowest = by_bound.first().map_or(0.0, |(bound, _)| *bound);
        let mut edges = vec![if lowest > 0.0 { 0.0 } else { f64::NEG_INFINITY }];
        let mut below = vec![0.0; steps.count];
        let mut rows = Vec::with_capacity(by_bound.len());
        for (bound, column) in by_bound {
            edges.push(bound);
            let row = column.iter().zip(&mut below).map(|(total, below)| {
                if total.is_finite() {
                    // Scraped between two buckets, a histogram may seem to shrink.
                    (total - std::mem::replace(below, *total)).max(0.0)
                } else {
                    f64::NAN
                }
            });
            rows.push(row.collect());
        }
        Some(Self {
            steps,
            edges,
            rows,
            most: 0.0,
            summed: histograms.len(),
        })
    }

    /// Native histograms: the rows are all bounds that any of them has.
    fn native(steps: Steps, series: &[RangeSeries]) -> Option<Self> {
        let with = || {
            series
                .iter()
                .filter(|one| !one.samples.histograms.is_empty())
        };
        let each = || with().flat_map(|one| one.samples.histograms.iter().map(move |h| (one, h)));
        let mut edges: Vec<f64> = each()
            .flat_map(|(_, (_, histogram))| buckets(histogram))
            .flat_map(|bucket| [bucket.lower, bucket.upper])
            .collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        if edges.len() < 2 {
            return None;
        }
        let mut rows = vec![vec![f64::NAN; steps.count]; edges.len() - 1];
        for (one, (index, histogram)) in each() {
            let time = one.samples.timestamps_ms.get(*index).copied();
            let slot = time.map(|time| (time - steps.start_ms).div_euclid(steps.step_ms));
            let Some(slot) = slot.and_then(|slot| usize::try_from(slot).ok()) else {
                continue;
            };
            for bucket in buckets(histogram) {
                // A coarse bucket covers several rows of finer ones: each gets its share.
                let first = edges.partition_point(|edge| *edge < bucket.lower);
                let end = edges.partition_point(|edge| *edge < bucket.upper);
                let share = bucket.count / (end.saturating_sub(first).max(1)) as f64;
                for row in rows.get_mut(first..end).unwrap_or_default() {
                    if let Some(cell) = row.get_mut(slot) {
                        *cell = share + if cell.is_nan() { 0.0 } else { *cell };
                    }
                }
            }
        }
        Some(Self {
            steps,
            edges,
            rows,
            most: 0.0,
            summed: with().count(),
        })
    }

    fn join_rows(&mut self) {
        while self.rows.len() > ROWS_MAX {
            let rows = std::mem::take(&mut self.rows);
            self.rows = rows
                .chunks(2)
                .map(|pair| {
                    let mut sum = pair.first().cloned().unwrap_or_default();
                    for other in pair.iter().skip(1) {
                        add(&mut sum, other);
                    }
                    sum
                })
                .collect();
            let last = self.edges.last().copied();
            // An odd number of rows leaves the last one alone.
            let odd = self.edges.len().is_multiple_of(2);
            self.edges = self.edges.iter().copied().step_by(2).collect();
            self.edges.extend(last.filter(|_| odd));
        }
    }

    /// The strength of a count's colour: 0 for nothing, else 1 to [`LEVELS`]. Small counts are
    /// lifted, since a few slow requests are what one looks for.
    fn level(&self, count: f64) -> usize {
        if !count.is_finite() || count <= 0.0 {
            return 0;
        }
        let share = (count / self.most.max(f64::MIN_POSITIVE)).sqrt();
        ((share * LEVELS as f64).ceil() as usize).clamp(1, LEVELS)
    }

    /// The greatest count of each strength, as the legend shows it.
    pub(crate) fn legend(&self) -> Vec<(usize, String)> {
        (1..=LEVELS)
            .map(|level| {
                let share = level as f64 / LEVELS as f64;
                (level, humanize::value(self.most * share * share))
            })
            .collect()
    }

    /// A bound as it is shown.
    fn bound(&self, index: usize) -> String {
        match self.edges.get(index) {
            // The zero bucket of a native histogram.
            Some(edge) if edge.abs() < 1e-30 => "0".to_owned(),
            Some(edge) => humanize::value(*edge),
            None => String::new(),
        }
    }

    /// What the heatmap shows, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let rows = humanize::things(self.rows.len() as u64, "bucket", "buckets");
        let total = |row: &Vec<f64>| row.iter().filter(|v| v.is_finite()).sum::<f64>();
        let fullest =
            (self.rows.iter().enumerate()).max_by(|a, b| total(a.1).total_cmp(&total(b.1)));
        match fullest {
            Some((row, _)) if self.most > 0.0 => format!(
                "Heatmap of {rows}; most is between {} and {}",
                self.bound(row),
                self.bound(row + 1)
            ),
            _ => format!("Heatmap of {rows}, all of them empty"),
        }
    }

    /// The cells as JSON that may stand in a `<script type="application/json">`.
    pub(crate) fn json(&self) -> Json {
        let cells = |row: &Vec<f64>| {
            row.iter()
                .map(|v| v.is_finite().then(|| shortened(*v)))
                .collect()
        };
        let columns = Columns {
            start: self.steps.start_ms as f64 / 1000.0,
            step: self.steps.step_ms as f64 / 1000.0,
            count: self.steps.count,
            bounds: (0..self.edges.len()).map(|i| self.bound(i)).collect(),
            rows: self.rows.iter().map(cells).collect(),
            most: self.most,
        };
        Json(serde_json::to_string(&columns).unwrap_or_default())
    }

    /// The heatmap as a drawing.
    pub(crate) fn drawing<'a>(&'a self, zone: &'a TimeZone) -> HeatDrawing<'a> {
        HeatDrawing { heat: self, zone }
    }
}

/// Adds a column to another; what is in neither stays a gap.
fn add(sum: &mut [f64], other: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(other) {
        if value.is_finite() {
            *sum = value + if sum.is_nan() { 0.0 } else { *sum };
        }
    }
}

/// A heatmap as SVG: one path per strength.
pub(crate) struct HeatDrawing<'a> {
    heat: &'a Heat,
    zone: &'a TimeZone,
}

impl fmt::Display for HeatDrawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heat = self.heat;
        let height = heat.rows.len().max(1);
        write!(
            f,
            r#"<svg class="drawing" role="img" aria-label="{}">"#,
            Escaped(&heat.sentence())
        )?;
        // So many bounds have room beside the cells.
        let every = height.div_ceil(12);
        for row in (0..=height).step_by(every) {
            let y = 2.0 + (1.0 - row as f64 / height as f64) * (98.0 - BELOW);
            let (x, text) = (LEFT - 0.6, heat.bound(row));
            write!(
                f,
                r#"<text x="{x:.1}%" y="{y:.2}%" dy="4" text-anchor="end">{text}</text>"#
            )?;
        }
        times(f, heat.steps, self.zone, LEFT)?;
        write!(
            f,
            r#"<svg x="{LEFT}%" y="2%" width="{}%" height="{}%" viewBox="0 0 {} {height}" preserveAspectRatio="none">"#,
            100.0 - LEFT,
            98.0 - BELOW,
            heat.steps.count.max(1)
        )?;
        let mut paths = vec![String::new(); LEVELS + 1];
        for (row, counts) in heat.rows.iter().rev().enumerate() {
            for (step, count) in counts.iter().enumerate() {
                if let Some(path) = paths.get_mut(heat.level(*count)) {
                    let _ = write!(path, "M{step} {row}h1v1h-1z");
                }
            }
        }
        for (level, path) in paths.iter().enumerate().skip(1) {
            if !path.is_empty() {
                write!(f, r#"<path class="heat h{level}" d="{path}"/>"#)?;
            }
        }
        f.write_str("</svg></svg>")
    }
}

impl HtmlSafe for HeatDrawing<'_> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Buckets, Histogram, Samples};

    use super::*;

    const STEPS: Steps = Steps {
        start_ms: 0,
        step_ms: 1000,
        count: 2,
    };

    fn classic(le: &str, job: &str, values: [f64; 2]) -> RangeSeries {
        RangeSeries {
            labels: Labels::from_pairs([("le", le), ("job", job)]),
            samples: Samples {
                timestamps_ms: vec![0, 1000],
                values: values.to_vec(),
                ..Samples::default()
            },
        }
    }

    #[test]
    fn classic_buckets_are_no_longer_cumulative() {
        let series = [
            classic("+Inf", "a", [10.0, 12.0]),
            classic("0.5", "a", [4.0, 5.0]),
            classic("2", "a", [9.0, 4.0]),
            classic("2", "b", [1.0, 1.0]),
        ];
        let heat = Heat::new(STEPS, &series).expect("a histogram");
        assert_eq!(heat.edges, [0.0, 0.5, 2.0, f64::INFINITY]);
        assert_eq!(heat.rows, [[4.0, 5.0], [6.0, 0.0], [0.0, 7.0]]);
        assert_eq!((heat.most, heat.summed), (7.0, 2));
        let svg = heat.drawing(&TimeZone::UTC).to_string();
        assert!(
            svg.contains("+Inf") && svg.contains("class=\"heat h9\" d=\"M1 0h1v1h-1z"),
            "{svg}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&heat.json().to_string()).expect("valid JSON");
        assert_eq!(json["bounds"], serde_json::json!(["0", "0.5", "2", "+Inf"]));
    }

    #[test]
    fn what_is_no_histogram_gives_none() {
        assert!(Heat::new(STEPS, &[classic("1", "a", [1.0, 1.0])]).is_none());
        assert!(Heat::new(STEPS, &[classic("high", "a", [1.0, 1.0])]).is_none());
        assert!(Heat::new(STEPS, &[]).is_none());
    }

    fn native(schema: i32, pairs: impl IntoIterator<Item = (i32, f64)>) -> RangeSeries {
        let histogram = Histogram {
            schema,
            positive: Buckets::from_pairs(pairs),
            ..Histogram::default()
        };
        RangeSeries {
            labels: Labels::from_pairs([("schema", schema.to_string().as_str())]),
            samples: Samples {
                timestamps_ms: vec![1000],
                values: vec![model::histogram_nan()],
                histograms: vec![(0, Arc::new(histogram))],
            },
        }
    }

    #[test]
    fn native_histograms_of_different_resolutions_are_added_up() {
        // (1, 2] and (2, 4] beside (1, 4].
        let fine = native(0, [(1, 3.0), (2, 5.0)]);
        let coarse = native(-1, [(1, 10.0)]);
        let heat = Heat::new(STEPS, &[fine, coarse]).expect("histograms");
        assert_eq!(heat.edges, [1.0, 2.0, 4.0]);
        let last: Vec<f64> = heat.rows.iter().map(|row| row[1]).collect();
        assert_eq!(last, [8.0, 10.0]);
        assert!(heat.rows.iter().all(|row| row[0].is_nan()));
    }

    #[test]
    fn many_rows_are_joined_and_none_is_lost() {
        let heat = Heat::new(STEPS, &[native(5, (0..131).map(|i| (i, 1.0)))]).expect("a histogram");
        assert!(heat.rows.len() <= ROWS_MAX);
        assert_eq!(heat.edges.len(), heat.rows.len() + 1);
        let sum: f64 = heat.rows.iter().map(|row| row[1]).sum();
        assert_eq!(sum, 131.0);
        assert!(heat.edges.is_sorted());
    }
}
