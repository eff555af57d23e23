//! Functions of histograms, classic and native ones side by side.

use model::{Histogram, Labels};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Args;
use super::classic::{self, Bucket, Classic, for_metric};
use super::over_time::note_quantile;
use crate::column::{ABSENT, Column, Map, Scalar, Series, Slot, Vector};
use crate::go::shortest;
use crate::grid::Grid;
use crate::native::{self, QuantileNote};
use crate::query::Query;
use crate::syntax::{Expr, is_label_name};
use crate::value::QueryError;

/// `histogram_quantile(q, v)`.
pub(super) fn histogram_quantile(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let share = noted_share(query, args.expr_of(0)?, grid)?;
    let found = Found::of(query, args.expr_of(1)?, grid)?;
    let mut vector = found.empty(query)?;
    found.quantiles(query, &share, grid, &mut vector, Labels::clone)?;
    Ok(vector)
}

/// `histogram_quantiles(v, label, q, …)`: several quantiles, told apart by a label.
pub(super) fn histogram_quantiles(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let label = args.text(1)?;
    if !is_label_name(label) {
        return Err(crate::query::execution(
            format!("invalid label name in histogram_quantiles(): {label}"),
            args.expr_of(1)?.place,
        ));
    }
    let found = Found::of(query, args.expr_of(0)?, grid)?;
    let mut vector = found.empty(query)?;
    for index in 2..args.args.len() {
        let share = noted_share(query, args.expr_of(index)?, grid)?;
        // The label needs one value: shares that change from step to step become one series per
        // value.
        let mut values: Vec<f64> = share.iter(grid.count).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup_by(|a, b| a.to_bits() == b.to_bits());
        for value in values {
            let steps = share.clone();
            let only = |step: usize| steps.at(step).to_bits() == value.to_bits();
            let from = vector.series.len();
            let text = open_metrics(value);
            found.quantiles(
                query,
                &Scalar::Constant(value),
                grid,
                &mut vector,
                |labels| {
                    let mut builder = labels.to_builder();
                    builder.set(label, text.as_str());
                    builder.build()
                },
            )?;
            if matches!(share, Scalar::Steps(_)) {
                for series in &mut vector.series[from..] {
                    series.column.retain(only);
                }
            }
        }
    }
    vector.drop_empty();
    Ok(vector)
}

/// A number as OpenMetrics writes it: whole numbers have a point too.
fn open_metrics(value: f64) -> String {
    let text = shortest(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        return format!("{text}.0");
    }
    text
}

/// `histogram_fraction(lower, upper, v)`: the share of observations between two values.
pub(super) fn histogram_fraction(
    query: &Query<'_>,
    args: &Args<'_>,
    grid: &Grid,
) -> Result<Vector, QueryError> {
    let lower = args.scalar(query, 0, grid)?;
    let upper = args.scalar(query, 1, grid)?;
    let place = args.expr_of(2)?.place;
    let found = Found::of(query, args.expr_of(2)?, grid)?;
    let mut vector = found.empty(query)?;
    found.each(
        grid,
        &mut vector,
        Labels::clone,
        |_, step, buckets| classic::fraction(lower.at(step), upper.at(step), buckets),
        |name, step, histogram| {
            let (share, has_nans) = native::fraction(lower.at(step), upper.at(step), histogram);
            if has_nans {
                let message = "input to histogram_fraction has NaN observations, which are \
                               excluded from all fractions";
                query
                    .notes
                    .info(&format!("{message}{}", for_metric(name)), place);
            }
            share
        },
    )?;
    Ok(vector)
}

/// A share as an argument, with a warning where it is none.
fn noted_share(query: &Query<'_>, expr: &Expr, grid: &Grid) -> Result<Scalar, QueryError> {
    let share = query.scalar(expr, grid)?;
    match &share {
        Scalar::Constant(q) => note_quantile(query, *q, expr.place),
        Scalar::Steps(steps) => {
            for q in steps {
                note_quantile(query, *q, expr.place);
            }
        }
    }
    Ok(share)
}

/// The histograms of a vector.
struct Found {
    classic: Vec<Classic>,
    native: Vec<Series>,
    /// Where the vector stands.
    place: Option<usize>,
}

impl Found {
    /// Finds classic and native histograms. Where both have the same labels and a value at the
    /// same step, neither counts.
    fn of(query: &Query<'_>, expr: &Expr, grid: &Grid) -> Result<Self, QueryError> {
        let vector = query.vector(expr, grid)?;
        let mut native = Vec::new();
        let numbers = vector.series.into_iter().filter_map(|mut series| {
            if !series.column.histograms.is_empty() {
                let mut column = Column::absent(grid.count);
                for (step, histogram) in series.column.take_histograms() {
                    column.set(step, Slot::Histogram(histogram));
                }
                native.push(Series {
                    labels: series.labels.clone(),
                    drops_name: true,
                    column,
                });
            }
            series.column.has_values().then_some(series)
        });
        let mut classic = classic::group(query, numbers, expr.place);
        if !native.is_empty() && !classic.is_empty() {
            drop_conflicts(query, &mut classic, &mut native, expr.place);
        }
        Ok(Self {
            classic,
            native,
            place: expr.place,
        })
    }

    fn empty(&self, query: &Query<'_>) -> Result<Vector, QueryError> {
        Ok(Vector {
            series: Vec::with_capacity(self.classic.len() + self.native.len()),
            ordered: false,
            lease: query.hold(0, 0)?,
        })
    }

    /// Adds a quantile of every histogram.
    fn quantiles(
        &self,
        query: &Query<'_>,
        share: &Scalar,
        grid: &Grid,
        into: &mut Vector,
        labels: impl Fn(&Labels) -> Labels + Sync,
    ) -> Result<(), QueryError> {
        let note = |message: &str, name: Option<&str>| {
            let message = format!("input to histogram_quantile {message}{}", for_metric(name));
            query.notes.info(&message, self.place);
        };
        self.each(
            grid,
            into,
            labels,
            |name, step, buckets| {
                let (value, was_levelled) = classic::quantile(share.at(step), buckets);
                if was_levelled {
                    note(
                        "needed to be fixed for monotonicity (see \
                         https://prometheus.io/docs/prometheus/latest/querying/functions/\
                         #histogram_quantile)",
                        name,
                    );
                }
                value
            },
            |name, step, histogram| {
                let (value, said) = native::quantile(share.at(step), histogram);
                match said {
                    Some(QuantileNote::IsNan) => {
                        note("has NaN observations, result is NaN", name);
                    }
                    Some(QuantileNote::Skewed) => {
                        note("has NaN observations, result is skewed higher", name);
                    }
                    None => {}
                }
                value
            },
        )
    }

    /// Adds a number for every histogram and step.
    fn each(
        &self,
        grid: &Grid,
        into: &mut Vector,
        labels: impl Fn(&Labels) -> Labels + Sync,
        of_classic: impl Fn(Option<&str>, usize, &mut Vec<Bucket>) -> f64 + Sync,
        of_native: impl Fn(Option<&str>, usize, &Histogram) -> f64 + Sync,
    ) -> Result<(), QueryError> {
        into.lease
            .grow(self.classic.len() + self.native.len(), grid.count)?;
        let series = |from: &Labels, values| Series {
            labels: labels(from),
            drops_name: true,
            column: Column::of(values),
        };
        into.series.par_extend(self.native.par_iter().map(|found| {
            let name = found.labels.metric_name();
            let mut values = vec![ABSENT; grid.count];
            for (step, histogram) in &found.column.histograms {
                values[*step] = of_native(name, *step, histogram);
            }
            series(&found.labels, values)
        }));
        into.series.par_extend(self.classic.par_iter().map(|found| {
            let name = found.labels.metric_name();
            let mut buckets = Vec::with_capacity(found.buckets.len());
            let value = |step: usize| {
                found.at(step, &mut buckets);
                if buckets.is_empty() {
                    ABSENT
                } else {
                    of_classic(name, step, &mut buckets)
                }
            };
            series(&found.labels, (0..grid.count).map(value).collect())
        }));
        into.drop_empty();
        Ok(())
    }
}

/// Leaves out steps at which a classic and a native histogram have the same labels.
fn drop_conflicts(
    query: &Query<'_>,
    classic: &mut [Classic],
    native: &mut [Series],
    place: Option<usize>,
) {
    let by_labels: FxHashMap<Labels, usize> = native
        .iter()
        .enumerate()
        .map(|(index, series)| (series.labels.clone(), index))
        .collect();
    let mut buckets = Vec::new();
    for classic in classic {
        let Some(index) = by_labels.get(&classic.labels) else {
            continue;
        };
        let column = &mut native[*index].column;
        let steps: Vec<usize> = column.histograms.iter().map(|(step, _)| *step).collect();
        for step in steps {
            classic.at(step, &mut buckets);
            if buckets.is_empty() {
                continue;
            }
            query.notes.warn(
                &format!(
                    "vector contains a mix of classic and native histograms{}",
                    for_metric(classic.labels.metric_name())
                ),
                place,
            );
            column.set(step, Slot::Absent);
            for (_, values) in &mut classic.buckets {
                values[step] = ABSENT;
            }
        }
    }
}

/// Each name here is a number that every native histogram has; numbers are left out.
macro_rules! of_every_histogram {
    ($($name:ident: $formula:expr;)*) => {
        $(
            pub(super) fn $name(
                _: &Query<'_>,
                _: &Args<'_>,
                _: &Grid,
            ) -> Result<Map, QueryError> {
                let formula: fn(&Histogram) -> f64 = $formula;
                let map = Map::new(true, |_, _| ABSENT);
                Ok(map.with_histograms(move |_, histogram| Slot::Number(formula(histogram))))
            }
        )*
    };
}

of_every_histogram! {
    avg: |h| h.sum / h.count;
    count: |h| h.count;
    sum: |h| h.sum;
    stddev: |h| native::variance(h).sqrt();
    stdvar: native::variance;
}
