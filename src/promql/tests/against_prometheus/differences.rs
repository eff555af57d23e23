//! Where Prometheus 2.42 and 3 differ, case by case.

/// A question to which 2.42 has another answer than Prometheus 3 and we.
pub(crate) struct Difference {
    /// What we are asked.
    pub(crate) ours: &'static str,
    /// What gives the same answer in 2.42, where `ours` does not. Nothing: 2.42 cannot.
    pub(crate) theirs: Option<&'static str>,
    /// What was changed.
    pub(crate) why: &'static str,
}

const LEFT_OPEN: &str = "a range no longer takes in a sample exactly at its start (3.0)";
const LOOKBACK: &str = "a sample exactly as old as the lookback is too old (3.0)";
const SUBQUERY: &str = "a subquery no longer takes in the step exactly at its start (3.0)";
const NEW_LINES: &str = "`.` in the regular expressions of matchers also means a new line (3.0)";
const RENAMED: &str = "holt_winters is called double_exponential_smoothing (3.0)";
const NAMES: &str = "names are dropped in the end only, so functions still see them (delayed name \
                     removal, 3.x)";
const EXTRAPOLATION: &str = "a counter whose first sample is far from the start of the range is \
                             extrapolated by half an interval at most, also where it reached \
                             zero within one interval";
const ANY_NAME: &str = "names of labels may be any text (3.0)";
const DEVIATION: &str = "the deviation of what is infinite is not a number";
const CALENDAR: &str = "beyond the calendar Go's conversion to an integer overflows and gives the \
                        fields of some year; here they are no number";
const ATAN2: &str = "atan2 drops the metric's name like the other operators of arithmetic";

/// All known ones, asked at `T0` + 1 h.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        ours: "count_over_time(punctual_total[5m])",
        theirs: Some("count_over_time(punctual_total[299999ms])"),
        why: LEFT_OPEN,
    },
    Difference {
        ours: "sum_over_time(punctual_total[15s])",
        theirs: Some("sum_over_time(punctual_total[14999ms])"),
        why: LEFT_OPEN,
    },
    Difference {
        ours: "increase(punctual_total[15s])",
        theirs: Some("increase(punctual_total[14999ms])"),
        why: LEFT_OPEN,
    },
    Difference {
        ours: "min_over_time(punctual_total[30s] offset 5m)",
        theirs: Some("min_over_time(punctual_total[29999ms] offset 5m)"),
        why: LEFT_OPEN,
    },
    Difference {
        ours: "punctual_once offset -5m",
        theirs: Some("punctual_once offset -300001ms"),
        why: LOOKBACK,
    },
    Difference {
        ours: "count_over_time(up[10m:1m])",
        theirs: Some("count_over_time(up[599999ms:1m])"),
        why: SUBQUERY,
    },
    Difference {
        ours: "sum_over_time(vector(time())[3m:1m] offset 1m)",
        theirs: Some("sum_over_time(vector(time())[179999ms:1m] offset 1m)"),
        why: SUBQUERY,
    },
    Difference {
        ours: "one_line{text=~\"two.lines\"}",
        theirs: Some("one_line{text=~\"two(.|\\n)lines\"}"),
        why: NEW_LINES,
    },
    Difference {
        ours: "double_exponential_smoothing(node_load1[10m], 0.3, 0.6)",
        theirs: Some("holt_winters(node_load1[10m], 0.3, 0.6)"),
        why: RENAMED,
    },
    Difference {
        ours: "label_replace(rate(http_requests_total[5m]), \"of\", \"$1\", \"__name__\", \"(.+)\")",
        theirs: Some(
            "label_replace(rate(http_requests_total[5m]), \"of\", \"http_requests_total\", \"\", \"\")",
        ),
        why: NAMES,
    },
    Difference {
        ours: "increase(born_total[5m])",
        // 156 in 195 s; 5 s to the end of the range, half of 15 s to its start.
        theirs: Some("vector(156 * (195 + 5 + 7.5) / 195)"),
        why: EXTRAPOLATION,
    },
    Difference {
        ours: "label_replace(up, \"a name\", \"x\", \"instance\", \".*\")",
        theirs: None,
        why: ANY_NAME,
    },
    Difference {
        ours: "count_values(\"a name\", up)",
        theirs: None,
        why: ANY_NAME,
    },
    Difference {
        ours: "{\"up\", job=\"node-exporter\"}",
        theirs: None,
        why: ANY_NAME,
    },
    Difference {
        ours: "stddev(vector(Inf))",
        theirs: Some("vector(NaN)"),
        why: DEVIATION,
    },
    Difference {
        ours: "year(vector(1e300))",
        theirs: Some("vector(NaN)"),
        why: CALENDAR,
    },
    Difference {
        ours: "minute(vector(NaN))",
        theirs: Some("vector(NaN)"),
        why: CALENDAR,
    },
    Difference {
        ours: "node_filesystem_avail_bytes atan2 ignoring (fstype) node_filesystem_size_bytes",
        theirs: Some(
            "label_replace(node_filesystem_avail_bytes atan2 ignoring (fstype) \
             node_filesystem_size_bytes, \"__name__\", \"\", \"\", \"\")",
        ),
        why: ATAN2,
    },
];

/// Ranges fixed with `@` in a function whose value depends on the time of the step too: 2.42
/// finds their samples at the first steps of a range query only. Asked step by step it agrees.
pub(crate) fn is_asked_step_by_step(expression: &str) -> bool {
    expression.contains(" @ ")
        && (expression.starts_with("predict_linear") || expression.contains("scalar(constant)"))
}
