//! Which steps a line counts for, without looking at each step.
//!
//! Step `k` has the time `t_k = start + k·step` and covers `(t_k - range, t_k]`. All begins and
//! ends of these windows cut time into cells: two lines of the same cell count for the same
//! steps. A line is added to its cell, once, whatever the range; at the end each step is made of
//! a run of cells, which a sliding window merges.

use std::collections::BTreeMap;

use super::ABSENT;
use crate::logql::ast::RangeOp;

/// The moments that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The first, nanoseconds since 1970-01-01 UTC.
    pub start_ns: i64,
    /// From one to the next, nanoseconds; more than 0.
    pub step_ns: i64,
    /// How many.
    pub count: usize,
}

impl Grid {
    /// One moment.
    pub fn instant(time_ns: i64) -> Self {
        Self {
            start_ns: time_ns,
            step_ns: 1,
            count: 1,
        }
    }

    /// From `start_ns` in steps up to `end_ns`.
    pub fn range(start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        let step_ns = step_ns.max(1);
        let count = end_ns.saturating_sub(start_ns).div_euclid(step_ns) + 1;
        Self {
            start_ns,
            step_ns,
            count: usize::try_from(count).unwrap_or(0),
        }
    }

    /// The time of a step, nanoseconds since 1970-01-01 UTC.
    pub fn time_ns(&self, k: usize) -> i64 {
        self.start_ns
            .saturating_add(self.step_ns.saturating_mul(k as i64))
    }
}

/// The windows of a range aggregation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    grid: Grid,
    range_ns: i64,
}

impl Windows {
    pub(super) fn new(grid: Grid, range_ns: i64, offset_ns: i64) -> Self {
        Self {
            grid: Grid {
                start_ns: grid.start_ns.saturating_sub(offset_ns),
                ..grid
            },
            range_ns,
        }
    }

    /// The times that matter: inclusive start and exclusive end.
    pub(super) fn span(&self) -> (i64, i64) {
        let last = self.grid.time_ns(self.grid.count.saturating_sub(1));
        (
            self.grid
                .start_ns
                .saturating_sub(self.range_ns)
                .saturating_add(1),
            last.saturating_add(1),
        )
    }

    /// Steps before this time.
    fn steps_before(&self, time_ns: i64) -> usize {
        let since = time_ns.saturating_sub(self.grid.start_ns);
        if since <= 0 {
            return 0;
        }
        let steps = (since - 1) / self.grid.step_ns + 1;
        usize::try_from(steps)
            .unwrap_or(usize::MAX)
            .min(self.grid.count)
    }

    /// The first step that a time counts for, and the one behind the last.
    fn steps_of(&self, time_ns: i64) -> (usize, usize) {
        (
            self.steps_before(time_ns),
            self.steps_before(time_ns.saturating_add(self.range_ns)),
        )
    }

    /// The cell of a time; `None` when no step covers it.
    pub(super) fn cell(&self, time_ns: i64) -> Option<u32> {
        let (from, to) = self.steps_of(time_ns);
        (from < to).then(|| u32::try_from(from + to).unwrap_or(u32::MAX))
    }

    /// The cells of a step, both ends included.
    fn cells_of(&self, k: usize) -> (u32, u32) {
        let end = self.grid.time_ns(k);
        let at = |time_ns: i64| {
            let (from, to) = self.steps_of(time_ns);
            u32::try_from(from + to).unwrap_or(u32::MAX)
        };
        (
            at(end.saturating_sub(self.range_ns).saturating_add(1)),
            at(end),
        )
    }

    /// The values of all steps from the cells of a series.
    pub(super) fn values(&self, cells: BTreeMap<u32, Cell>, finish: &Finish) -> Vec<f64> {
        if matches!(finish.op, RangeOp::QuantileOverTime | RangeOp::RateCounter) {
            return self.values_of_samples(cells, finish);
        }
        let mut out = vec![ABSENT; self.grid.count];
        let mut coming = cells.into_iter().peekable();
        let mut inside = Sliding::default();
        for (k, value) in out.iter_mut().enumerate() {
            let (first, last) = self.cells_of(k);
            while let Some((number, cell)) = coming.next_if(|(number, _)| *number <= last) {
                inside.push(number, cell);
            }
            inside.drop_before(first);
            if let Some(cell) = inside.merged() {
                *value = finish.value(&cell);
            }
        }
        out
    }
}

impl Windows {
    /// The same where every sample is kept: windows are runs of the samples in order of time, and
    /// merging cells would copy them over and over.
    fn values_of_samples(&self, cells: BTreeMap<u32, Cell>, finish: &Finish) -> Vec<f64> {
        let mut samples: Vec<(i64, f64)> = Vec::new();
        for cell in cells.into_values() {
            if let Cell::Values(more) = cell {
                samples.extend(more);
            }
        }
        samples.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        (0..self.grid.count)
            .map(|k| {
                let end = self.grid.time_ns(k);
                let from =
                    samples.partition_point(|(t, _)| *t <= end.saturating_sub(self.range_ns));
                let to = samples.partition_point(|(t, _)| *t <= end);
                match samples.get(from..to) {
                    Some(inside) if !inside.is_empty() => finish.value_of(inside),
                    _ => ABSENT,
                }
            })
            .collect()
    }
}

/// What the lines of a cell come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Sum(f64),
    Min(f64),
    Max(f64),
    /// Number, mean, and sum of squared differences from it.
    Moments(f64, f64, f64),
    First(i64, f64),
    Last(i64, f64),
    /// Every sample with its time.
    Values(Vec<(i64, f64)>),
}

impl Cell {
    /// A single sample.
    pub(super) fn one(op: RangeOp, time_ns: i64, value: f64) -> Self {
        match op {
            RangeOp::MinOverTime => Self::Min(value),
            RangeOp::MaxOverTime => Self::Max(value),
            RangeOp::AvgOverTime | RangeOp::StddevOverTime | RangeOp::StdvarOverTime => {
                Self::Moments(1.0, value, 0.0)
            }
            RangeOp::FirstOverTime => Self::First(time_ns, value),
            RangeOp::LastOverTime => Self::Last(time_ns, value),
            RangeOp::QuantileOverTime | RangeOp::RateCounter => {
                Self::Values(vec![(time_ns, value)])
            }
            _ => Self::Sum(value),
        }
    }

    /// Takes over another cell of the same kind.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Sum(a), Self::Sum(b)) => *a += b,
            (Self::Min(a), Self::Min(b)) => *a = a.min(*b),
            (Self::Max(a), Self::Max(b)) => *a = a.max(*b),
            (Self::Moments(n, mean, m2), Self::Moments(n2, mean2, m22)) => {
                let total = *n + n2;
                let delta = mean2 - *mean;
                *mean += delta * n2 / total;
                *m2 += m22 + delta * delta * *n * n2 / total;
                *n = total;
            }
            // Of lines at the same time one is taken that does not depend on their order.
            (Self::First(t, v), Self::First(t2, v2)) => {
                if (*t2, *v2) < (*t, *v) {
                    (*t, *v) = (*t2, *v2);
                }
            }
            (Self::Last(t, v), Self::Last(t2, v2)) => {
                if (*t2, *v2) > (*t, *v) {
                    (*t, *v) = (*t2, *v2);
                }
            }
            (Self::Values(all), Self::Values(more)) => all.extend_from_slice(more),
            // All cells of a range aggregation are made by `one` with the same operation.
            (_, _) => debug_assert!(false, "cells of two kinds"),
        }
    }

    /// Samples that are kept one by one.
    pub(super) fn samples_kept(&self) -> usize {
        match self {
            Self::Values(all) => all.len(),
            _ => 0,
        }
    }
}

/// Cells of the current step, merged from both ends so that each is merged twice at most.
#[derive(Default)]
struct Sliding {
    /// The older ones, newest first, each merged with all newer ones in here.
    front: Vec<(u32, Cell)>,
    /// The newer ones as they came.
    back: Vec<(u32, Cell)>,
    back_merged: Option<Cell>,
}

impl Sliding {
    fn push(&mut self, number: u32, cell: Cell) {
        match &mut self.back_merged {
            Some(merged) => merged.add(&cell),
            None => self.back_merged = Some(cell.clone()),
        }
        self.back.push((number, cell));
    }

    fn drop_before(&mut self, first: u32) {
        loop {
            if self.front.is_empty() {
                // Only when something is to be dropped from there the newer ones are turned round.
                if self.back.first().is_none_or(|(number, _)| *number >= first) {
                    return;
                }
                self.back_merged = None;
                let mut merged: Option<Cell> = None;
                for (number, cell) in std::mem::take(&mut self.back).into_iter().rev() {
                    let cell = match &merged {
                        None => cell,
                        Some(newer) => {
                            let mut cell = cell;
                            cell.add(newer);
                            cell
                        }
                    };
                    merged = Some(cell.clone());
                    self.front.push((number, cell));
                }
            }
            while self.front.last().is_some_and(|(number, _)| *number < first) {
                self.front.pop();
            }
            if !self.front.is_empty() {
                return;
            }
        }
    }

    fn merged(&self) -> Option<Cell> {
        match (self.front.last(), &self.back_merged) {
            (Some((_, old)), Some(new)) => {
                let mut all = old.clone();
                all.add(new);
                Some(all)
            }
            (Some((_, old)), None) => Some(old.clone()),
            (None, new) => new.clone(),
        }
    }
}

/// Makes the value of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    pub(super) op: RangeOp,
    pub(super) range_ns: i64,
    /// The quantile.
    pub(super) parameter: f64,
}

impl Finish {
    fn value(&self, cell: &Cell) -> f64 {
        let seconds = self.range_ns as f64 / 1e9;
        match (self.op, cell) {
            (RangeOp::Rate | RangeOp::BytesRate, Cell::Sum(sum)) => sum / seconds,
            (RangeOp::StdvarOverTime, Cell::Moments(n, _, m2)) => m2 / n,
            (RangeOp::StddevOverTime, Cell::Moments(n, _, m2)) => (m2 / n).sqrt(),
            (_, Cell::Values(all)) => self.value_of(all),
            (
                _,
                Cell::Sum(v)
                | Cell::Min(v)
                | Cell::Max(v)
                | Cell::First(_, v)
                | Cell::Last(_, v)
                | Cell::Moments(_, v, _),
            ) => *v,
        }
    }
}

impl Finish {
    /// Of the samples of a window in order of time.
    fn value_of(&self, samples: &[(i64, f64)]) -> f64 {
        if self.op == RangeOp::RateCounter {
            return counter_rate(samples, self.range_ns as f64 / 1e9);
        }
        let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
        quantile(self.parameter, &mut values)
    }
}

/// As Prometheus computes it: between the two nearest ranks, linearly.
fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let at = |i: usize| {
        values
            .get(i.min(values.len() - 1))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let weight = rank - rank.floor();
    at(rank.floor() as usize) * (1.0 - weight) + at(rank.floor() as usize + 1) * weight
}

/// The increase of a counter per second, over its resets.
fn counter_rate(samples: &[(i64, f64)], seconds: f64) -> f64 {
    let increase: f64 = samples
        .windows(2)
        .map(|pair| match pair {
            [(_, before), (_, after)] if after >= before => after - before,
            [_, (_, after)] => *after,
            _ => 0.0,
        })
        .fold(0.0, |total, more| total + more);
    increase / seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_give_what_each_window_gives(
            start in -50i64..50,
            step in 1i64..20,
            count in 1usize..20,
            range in 1i64..80,
            samples in proptest::collection::vec((-150i64..400, 0u8..100), 0..60),
            op in proptest::sample::select(vec![
                RangeOp::CountOverTime, RangeOp::MinOverTime, RangeOp::MaxOverTime,
                RangeOp::AvgOverTime, RangeOp::FirstOverTime, RangeOp::LastOverTime,
                RangeOp::QuantileOverTime, RangeOp::StdvarOverTime,
            ]),
        ) {
            let grid = Grid { start_ns: start, step_ns: step, count };
            let windows = Windows::new(grid, range, 0);
            let finish = Finish { op, range_ns: range, parameter: 0.5 };
            let mut cells: BTreeMap<u32, Cell> = BTreeMap::new();
            for (time, value) in &samples {
                let Some(number) = windows.cell(*time) else { continue };
                let cell = Cell::one(op, *time, f64::from(*value));
                match cells.get_mut(&number) {
                    Some(known) => known.add(&cell),
                    None => { cells.insert(number, cell); }
                }
            }
            let found = windows.values(cells, &finish);
            for (k, value) in found.iter().enumerate() {
                let end = start + k as i64 * step;
                let mut cell: Option<Cell> = None;
                for (time, v) in &samples {
                    if *time > end - range && *time <= end {
                        let one = Cell::one(op, *time, f64::from(*v));
                        match &mut cell {
                            Some(all) => all.add(&one),
                            None => cell = Some(one),
                        }
                    }
                }
                let expected = cell.map_or(ABSENT, |cell| finish.value(&cell));
                prop_assert!(
                    expected.to_bits() == value.to_bits() || (expected - value).abs() < 1e-6,
                    "step {}: {} instead of {}", k, value, expected
                );
            }
        }
    }
}
