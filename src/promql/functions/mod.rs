//! The functions of PromQL: one table entry each.
//!
//! To add a function, write what it computes in the file of its subject and enter it in
//! [`FUNCTIONS`]. Names, numbers of arguments and types are checked by the parser.

#![allow(
    clippy::unnecessary_wraps,
    reason = "the entries of the table have one signature, also those that cannot fail"
)]

mod absent;
mod clamp;
mod classic;
mod convert;
mod histogram;
mod info;
mod labels;
mod lanes;
mod math;
mod over_time;
pub(crate) mod range;
mod rate;
mod regression;
mod slide;
mod sort;
mod time;

use std::fmt;

use crate::column::{Map, Scalar, Vector};
use crate::eval;
use crate::grid::Grid;
use crate::query::{Query, execution};
use crate::syntax::{Expr, ValueKind};
use crate::value::QueryError;

pub(crate) use math::{max, min};
pub(crate) use over_time::{note_quantile, quantile};
use range::{Extended, RangeFunction};

/// A function.
pub(crate) struct Function {
    /// As it is written.
    pub(crate) name: &'static str,
    pub(crate) behaviour: Behaviour,
}

/// What a function works on, and so how it is evaluated.
pub(crate) enum Behaviour {
    /// Gives a number at every step.
    Scalar(fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Scalar, QueryError>),
    /// Changes every value of a vector, its first argument, by itself.
    Map(fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Map, QueryError>),
    /// Turns the samples of a range into one value.
    Range(RangeFunction),
    /// Anything else that gives a vector.
    Vector(fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Vector, QueryError>),
}

/// The arguments of a call.
pub(crate) struct Args<'e> {
    pub(crate) args: &'e [Expr],
    /// The call itself.
    pub(crate) expr: &'e Expr,
}

impl<'e> Args<'e> {
    /// An argument as an expression.
    pub(crate) fn expr_of(&self, index: usize) -> Result<&'e Expr, QueryError> {
        self.args.get(index).ok_or_else(|| {
            execution(
                format!("argument {} is missing", index + 1),
                self.expr.place,
            )
        })
    }

    /// An argument as a number per step.
    fn scalar(&self, query: &Query<'_>, index: usize, grid: &Grid) -> Result<Scalar, QueryError> {
        query.scalar(self.expr_of(index)?, grid)
    }

    /// An argument as a text.
    fn text(&self, index: usize) -> Result<&'e str, QueryError> {
        eval::text(self.expr_of(index)?)
    }
}

impl Function {
    /// What kind of value it gives.
    pub(crate) fn returns(&self) -> ValueKind {
        match self.behaviour {
            Behaviour::Scalar(_) => ValueKind::Scalar,
            Behaviour::Map(_) | Behaviour::Range(_) | Behaviour::Vector(_) => ValueKind::Vector,
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Finds a function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The time of each step as a vector.
pub(crate) fn vector_of_times(query: &Query<'_>, grid: &Grid) -> Result<Vector, QueryError> {
    convert::of_scalar(query, &time::times(grid), grid)
}

/// The functions over ranges that take an extended one, by name.
pub(crate) fn ranges_that(fit: impl Fn(Extended) -> bool) -> Vec<&'static str> {
    let mut names: Vec<&str> = FUNCTIONS
        .iter()
        .filter(|function| match &function.behaviour {
            Behaviour::Range(range) => fit(range.extended),
            _ => false,
        })
        .map(|function| function.name)
        .collect();
    names.sort_unstable();
    names
}

/// The names of all functions.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

const fn map(
    name: &'static str,
    make: fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Map, QueryError>,
) -> Function {
    Function {
        name,
        behaviour: Behaviour::Map(make),
    }
}

const fn scalar(
    name: &'static str,
    compute: fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Scalar, QueryError>,
) -> Function {
    Function {
        name,
        behaviour: Behaviour::Scalar(compute),
    }
}

const fn vector(
    name: &'static str,
    compute: fn(&Query<'_>, &Args<'_>, &Grid) -> Result<Vector, QueryError>,
) -> Function {
    Function {
        name,
        behaviour: Behaviour::Vector(compute),
    }
}

const fn range(name: &'static str, function: RangeFunction) -> Function {
    Function {
        name,
        behaviour: Behaviour::Range(function),
    }
}

static FUNCTIONS: &[Function] = &[
    // Of counters and gauges over a range.
    range("rate", rate::RATE),
    range("increase", rate::INCREASE),
    range("delta", rate::DELTA),
    range("irate", rate::IRATE),
    range("idelta", rate::IDELTA),
    range("changes", rate::CHANGES),
    range("resets", rate::RESETS),
    range("deriv", regression::DERIV),
    range("predict_linear", regression::PREDICT_LINEAR),
    range(
        "double_exponential_smoothing",
        regression::DOUBLE_EXPONENTIAL_SMOOTHING,
    ),
    // Aggregations over time.
    range("sum_over_time", over_time::SUM),
    range("avg_over_time", over_time::AVG),
    range("min_over_time", over_time::MIN),
    range("max_over_time", over_time::MAX),
    range("count_over_time", over_time::COUNT),
    range("last_over_time", over_time::LAST),
    range("first_over_time", over_time::FIRST),
    range("present_over_time", over_time::PRESENT),
    range("stddev_over_time", over_time::STDDEV),
    range("stdvar_over_time", over_time::STDVAR),
    range("mad_over_time", over_time::MAD),
    range("quantile_over_time", over_time::QUANTILE),
    range("ts_of_min_over_time", over_time::TS_OF_MIN),
    range("ts_of_max_over_time", over_time::TS_OF_MAX),
    range("ts_of_first_over_time", over_time::TS_OF_FIRST),
    range("ts_of_last_over_time", over_time::TS_OF_LAST),
    // Numbers.
    map("abs", math::abs),
    map("ceil", math::ceil),
    map("floor", math::floor),
    map("exp", math::exp),
    map("sqrt", math::sqrt),
    map("ln", math::ln),
    map("log2", math::log2),
    map("log10", math::log10),
    map("sgn", math::sgn),
    map("deg", math::deg),
    map("rad", math::rad),
    map("sin", math::sin),
    map("cos", math::cos),
    map("tan", math::tan),
    map("asin", math::asin),
    map("acos", math::acos),
    map("atan", math::atan),
    map("sinh", math::sinh),
    map("cosh", math::cosh),
    map("tanh", math::tanh),
    map("asinh", math::asinh),
    map("acosh", math::acosh),
    map("atanh", math::atanh),
    map("clamp", clamp::clamp),
    map("clamp_min", clamp::clamp_min),
    map("clamp_max", clamp::clamp_max),
    map("round", clamp::round),
    scalar("pi", math::pi),
    scalar("min_of", math::min_of),
    scalar("max_of", math::max_of),
    // Time.
    scalar("time", time::time),
    scalar("start", time::start),
    scalar("end", time::end),
    scalar("step", time::step),
    scalar("range", time::range),
    map("timestamp", time::timestamp),
    map("minute", time::minute),
    map("hour", time::hour),
    map("day_of_week", time::day_of_week),
    map("day_of_month", time::day_of_month),
    map("day_of_year", time::day_of_year),
    map("days_in_month", time::days_in_month),
    map("month", time::month),
    map("year", time::year),
    // Labels, order, absence, conversion.
    vector("label_replace", labels::label_replace),
    vector("label_join", labels::label_join),
    vector("sort", sort::sort),
    vector("sort_desc", sort::sort_desc),
    vector("sort_by_label", sort::sort_by_label),
    vector("sort_by_label_desc", sort::sort_by_label_desc),
    vector("absent", absent::absent),
    vector("absent_over_time", absent::absent_over_time),
    vector("vector", convert::vector),
    scalar("scalar", convert::scalar),
    // Histograms.
    vector("histogram_quantile", histogram::histogram_quantile),
    vector("histogram_fraction", histogram::histogram_fraction),
    vector("histogram_quantiles", histogram::histogram_quantiles),
    map("histogram_avg", histogram::avg),
    map("histogram_count", histogram::count),
    map("histogram_sum", histogram::sum),
    map("histogram_stddev", histogram::stddev),
    map("histogram_stdvar", histogram::stdvar),
    // Labels of other metrics.
    vector("info", info::info),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_entered_once() {
        let unique: BTreeSet<&str> = names().collect();
        assert_eq!(unique.len(), FUNCTIONS.len());
    }
}
