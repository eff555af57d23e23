//! What functions and aggregations take and give, and what they are for: for the checks of types,
//! for completion in editors, and to find what somebody meant.

use super::expr::ValueKind;
use ValueKind::{Matrix as M, Scalar as S, Text as T, Vector as V};

/// A function as it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// As it is written.
    pub name: &'static str,
    /// What it takes, the last of which may be left out or repeated (see `more`).
    pub args: &'static [ValueKind],
    /// How many more arguments of the last kind it takes at most, counted from one fewer than
    /// `args`: 0 if exactly `args`, -1 if any number.
    pub more: i32,
    /// What it gives.
    pub returns: ValueKind,
    /// Whether Prometheus wants a feature flag for it.
    pub is_experimental: bool,
    /// What it is for, in a line.
    pub help: &'static str,
}

impl Signature {
    /// The fewest arguments.
    pub(super) fn args_min(&self) -> usize {
        self.args.len() - usize::from(self.more != 0)
    }

    /// The most arguments, where there is a most.
    pub(super) fn args_max(&self) -> Option<usize> {
        match usize::try_from(self.more) {
            Ok(more) => Some(self.args_min() + if more == 0 { 0 } else { more }),
            Err(_) => None,
        }
    }

    /// The call with what it takes, such as `clamp(instant vector, scalar, scalar)`.
    pub fn usage(&self) -> String {
        let args: Vec<&str> = self.args.iter().map(|kind| kind.documented()).collect();
        let args = args.join(", ");
        match (self.more, args.rsplit_once(", ")) {
            (0, _) => format!("{}({args})", self.name),
            (1, None) => format!("{}([{args}])", self.name),
            (1, Some((first, last))) => format!("{}({first}[, {last}])", self.name),
            _ => format!("{}({args}, …)", self.name),
        }
    }
}

/// Finds a function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Signature> {
    let found = FUNCTIONS.binary_search_by(|function| function.name.cmp(name));
    found.ok().and_then(|index| FUNCTIONS.get(index))
}

/// All functions, by name.
pub fn function_signatures() -> &'static [Signature] {
    FUNCTIONS
}

/// All aggregations, by name: they take their parameter first.
pub fn aggregation_signatures() -> &'static [Signature] {
    AGGREGATIONS
}

const fn f(
    name: &'static str,
    args: &'static [ValueKind],
    returns: ValueKind,
    help: &'static str,
) -> Signature {
    Signature {
        name,
        args,
        more: 0,
        returns,
        is_experimental: false,
        help,
    }
}

impl Signature {
    const fn more(mut self, more: i32) -> Self {
        self.more = more;
        self
    }

    const fn experimental(mut self) -> Self {
        self.is_experimental = true;
        self
    }
}

/// In order of names.
#[rustfmt::skip]
static FUNCTIONS: &[Signature] = &[
    f("abs", &[V], V, "values without their sign"),
    f("absent", &[V], V, "1 if the vector is empty, else nothing: for alerts on what is missing"),
    f("absent_over_time", &[M], V, "1 if the range holds no sample at all, else nothing"),
    f("acos", &[V], V, "arc cosine, in radians"),
    f("acosh", &[V], V, "inverse hyperbolic cosine"),
    f("asin", &[V], V, "arc sine, in radians"),
    f("asinh", &[V], V, "inverse hyperbolic sine"),
    f("atan", &[V], V, "arc tangent, in radians"),
    f("atanh", &[V], V, "inverse hyperbolic tangent"),
    f("avg_over_time", &[M], V, "mean of the values in the range"),
    f("ceil", &[V], V, "values rounded up"),
    f("changes", &[M], V, "how often the value changed in the range"),
    f("clamp", &[V, S, S], V, "values kept between a lower and an upper bound"),
    f("clamp_max", &[V, S], V, "values kept at or below a bound"),
    f("clamp_min", &[V, S], V, "values kept at or above a bound"),
    f("cos", &[V], V, "cosine of radians"),
    f("cosh", &[V], V, "hyperbolic cosine"),
    f("count_over_time", &[M], V, "how many samples the range holds"),
    f("day_of_month", &[V], V, "day of the month (1 to 31) of a time, in UTC").more(1),
    f("day_of_week", &[V], V, "day of the week (0 is Sunday) of a time, in UTC").more(1),
    f("day_of_year", &[V], V, "day of the year (1 to 366) of a time, in UTC").more(1),
    f("days_in_month", &[V], V, "how many days the month of a time has, in UTC").more(1),
    f("deg", &[V], V, "radians as degrees"),
    f("delta", &[M], V, "change of a gauge over the range, extrapolated to its ends"),
    f("deriv", &[M], V, "slope of a gauge per second, by linear regression"),
    f("double_exponential_smoothing", &[M, S, S], V, "smoothed value of a gauge with its trend; factors between 0 and 1").experimental(),
    f("end", &[], S, "time of the query's last step").experimental(),
    f("exp", &[V], V, "e to the power of the values"),
    f("first_over_time", &[M], V, "oldest value in the range").experimental(),
    f("floor", &[V], V, "values rounded down"),
    f("histogram_avg", &[V], V, "mean observation of native histograms"),
    f("histogram_count", &[V], V, "number of observations of native histograms"),
    f("histogram_fraction", &[S, S, V], V, "fraction of observations between two bounds"),
    f("histogram_quantile", &[S, V], V, "quantile (0 to 1) of histograms, classic or native"),
    f("histogram_quantiles", &[V, T, S, S], V, "several quantiles at once, each with its quantile in a label").more(9).experimental(),
    f("histogram_stddev", &[V], V, "estimated standard deviation of native histograms"),
    f("histogram_stdvar", &[V], V, "estimated variance of native histograms"),
    f("histogram_sum", &[V], V, "sum of the observations of native histograms"),
    f("hour", &[V], V, "hour (0 to 23) of a time, in UTC").more(1),
    f("idelta", &[M], V, "difference of the last two samples of a gauge"),
    f("increase", &[M], V, "growth of a counter over the range, extrapolated, resets seen to"),
    f("info", &[V, V], V, "series with the labels of their info metrics such as target_info").more(1).experimental(),
    f("irate", &[M], V, "growth of a counter per second, from its last two samples"),
    f("label_join", &[V, T, T, T], V, "a new label from others, with a separator between").more(-1),
    f("label_replace", &[V, T, T, T, T], V, "a new label from what a regular expression finds in another"),
    f("last_over_time", &[M], V, "newest value in the range"),
    f("ln", &[V], V, "natural logarithm"),
    f("log10", &[V], V, "logarithm to base 10"),
    f("log2", &[V], V, "logarithm to base 2"),
    f("mad_over_time", &[M], V, "median absolute deviation in the range").experimental(),
    f("max_of", &[S, S], S, "the larger of two numbers").experimental(),
    f("max_over_time", &[M], V, "largest value in the range"),
    f("min_of", &[S, S], S, "the smaller of two numbers").experimental(),
    f("min_over_time", &[M], V, "smallest value in the range"),
    f("minute", &[V], V, "minute (0 to 59) of a time, in UTC").more(1),
    f("month", &[V], V, "month (1 to 12) of a time, in UTC").more(1),
    f("pi", &[], S, "the number pi"),
    f("predict_linear", &[M, S], V, "value of a gauge so many seconds from now, by linear regression"),
    f("present_over_time", &[M], V, "1 for every series with a sample in the range"),
    f("quantile_over_time", &[S, M], V, "quantile (0 to 1) of the values in the range"),
    f("rad", &[V], V, "degrees as radians"),
    f("range", &[], S, "length of the query's range in seconds").experimental(),
    f("rate", &[M], V, "growth of a counter per second over the range, resets seen to"),
    f("resets", &[M], V, "how often a counter was reset in the range"),
    f("round", &[V, S], V, "values rounded to the nearest multiple of a number, 1 if none is given").more(1),
    f("scalar", &[V], S, "the value of a vector with one series, else NaN"),
    f("sgn", &[V], V, "sign of the values: 1, 0 or -1"),
    f("sin", &[V], V, "sine of radians"),
    f("sinh", &[V], V, "hyperbolic sine"),
    f("sort", &[V], V, "series by value, smallest first (instant queries)"),
    f("sort_by_label", &[V, T], V, "series by the values of labels (instant queries)").more(-1).experimental(),
    f("sort_by_label_desc", &[V, T], V, "series by the values of labels, downwards (instant queries)").more(-1).experimental(),
    f("sort_desc", &[V], V, "series by value, largest first (instant queries)"),
    f("sqrt", &[V], V, "square root"),
    f("start", &[], S, "time of the query's first step").experimental(),
    f("stddev_over_time", &[M], V, "standard deviation of the values in the range"),
    f("stdvar_over_time", &[M], V, "variance of the values in the range"),
    f("step", &[], S, "the query's step in seconds").experimental(),
    f("sum_over_time", &[M], V, "sum of the values in the range"),
    f("tan", &[V], V, "tangent of radians"),
    f("tanh", &[V], V, "hyperbolic tangent"),
    f("time", &[], S, "time of the evaluation, in seconds since 1970"),
    f("timestamp", &[V], V, "times of the samples, in seconds since 1970"),
    f("ts_of_first_over_time", &[M], V, "time of the oldest sample in the range").experimental(),
    f("ts_of_last_over_time", &[M], V, "time of the newest sample in the range").experimental(),
    f("ts_of_max_over_time", &[M], V, "time of the largest value in the range").experimental(),
    f("ts_of_min_over_time", &[M], V, "time of the smallest value in the range").experimental(),
    f("vector", &[S], V, "a number as a vector without labels"),
    f("year", &[V], V, "year of a time, in UTC").more(1),
];

/// In order of names.
#[rustfmt::skip]
static AGGREGATIONS: &[Signature] = &[
    f("avg", &[V], V, "mean of the series of each group"),
    f("bottomk", &[S, V], V, "the k series with the smallest values of each group"),
    f("count", &[V], V, "number of series in each group"),
    f("count_values", &[T, V], V, "how often each value occurs, with the value in a label"),
    f("group", &[V], V, "1 for each group"),
    f("limit_ratio", &[S, V], V, "a share of the series of each group, chosen by their labels").experimental(),
    f("limitk", &[S, V], V, "any k series of each group").experimental(),
    f("max", &[V], V, "largest value of each group"),
    f("min", &[V], V, "smallest value of each group"),
    f("quantile", &[S, V], V, "quantile (0 to 1) of the values of each group"),
    f("stddev", &[V], V, "standard deviation of the values of each group"),
    f("stdvar", &[V], V, "variance of the values of each group"),
    f("sum", &[V], V, "sum of the values of each group"),
    f("topk", &[S, V], V, "the k series with the largest values of each group"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregations::AggregateOp;
    use crate::functions as known;

    #[test]
    fn the_table_is_in_order_and_fits_what_is_evaluated() {
        for table in [FUNCTIONS, AGGREGATIONS] {
            assert!(table.is_sorted_by(|a, b| a.name < b.name));
        }
        for name in known::names() {
            let function = known::find(name).expect("listed");
            let signature = find(name).unwrap_or_else(|| panic!("{name} has no signature"));
            assert_eq!(function.returns(), signature.returns, "{name}");
        }
        for signature in AGGREGATIONS {
            let op = AggregateOp::find(signature.name).expect("an aggregation");
            let param = signature.args.first().copied().filter(|kind| *kind != V);
            assert_eq!(op.param_kind(), param, "{}", signature.name);
        }
        assert_eq!(AggregateOp::names().count(), AGGREGATIONS.len());
    }

    #[test]
    fn usage_shows_what_may_be_left_out() {
        let check = |name: &str, usage: &str| {
            assert_eq!(find(name).expect(name).usage(), usage);
        };
        check("pi", "pi()");
        check("rate", "rate(range vector)");
        check("hour", "hour([instant vector])");
        check("round", "round(instant vector[, scalar])");
        check(
            "label_join",
            "label_join(instant vector, string, string, string, …)",
        );
    }
}
