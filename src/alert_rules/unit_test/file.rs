//! The keys of a unit test file, as promtool knows them, and `input_lines` for log rules.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A test file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Patterns, relative to the file.
    #[serde(default)]
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: Option<String>,
    /// Names of groups that are evaluated in this order; all others come after them.
    #[serde(default)]
    pub(super) group_eval_order: Vec<String>,
    #[serde(default)]
    pub(super) fuzzy_compare: bool,
    #[serde(default)]
    pub(super) tests: Vec<TestGroup>,
}

/// Series, and what is expected of the rules on them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestGroup {
    pub(super) interval: Option<String>,
    #[serde(default)]
    pub(super) input_series: Vec<InputSeries>,
    /// Ours: lines for log rules.
    #[serde(default)]
    pub(super) input_lines: Vec<InputLine>,
    #[serde(default)]
    pub(super) alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    pub(super) promql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    pub(super) external_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) external_url: String,
    #[serde(default)]
    pub(super) name: String,
    /// Seconds since 1970 or RFC 3339: the time of the first value.
    pub(super) start_timestamp: Option<Start>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Start {
    Seconds(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

/// A line that is written `times` times, first at `at`, then `every` so often.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputLine {
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    pub(super) line: String,
    pub(super) level: Option<String>,
    pub(super) at: Option<String>,
    pub(super) every: Option<String>,
    pub(super) times: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: Option<String>,
    pub(super) alertname: String,
    #[serde(default)]
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    #[serde(default)]
    pub(super) exp_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) exp_annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time: Option<String>,
    #[serde(default)]
    pub(super) exp_samples: Vec<ExpectedSample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    #[serde(default)]
    pub(super) value: f64,
    pub(super) histogram: Option<String>,
}
