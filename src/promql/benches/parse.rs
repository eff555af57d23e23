//! Parsing and checking of typical expressions: from a bare metric to a rule of the
//! kubernetes-mixin. Regular expressions are compiled as well.

use divan::Bencher;

const EXPRESSIONS: [(&str, &str); 4] = [
    ("metric", "up"),
    (
        "rate",
        "sum by (job) (rate(http_requests_total{job=\"api\",code=\"500\"}[5m]))",
    ),
    (
        "quantile",
        "histogram_quantile(0.99, sum by (le, cluster) (rate(apiserver_request_duration_seconds_bucket{job=\"apiserver\",verb!=\"WATCH\"}[5m]))) > 1 and on (cluster) up == 1",
    ),
    (
        "rule",
        "(sum(rate(a_total{b=\"c\"}[1h])) by (d) / sum(rate(e_total{b=\"c\"}[1h])) by (d) > (14.4 * 0.001)) and (sum(rate(a_total{b=\"c\"}[5m])) by (d) / sum(rate(e_total{b=\"c\"}[5m])) by (d) > (14.4 * 0.001)) or (sum(rate(a_total{b=\"c\"}[6h])) by (d) / sum(rate(e_total{b=\"c\"}[6h])) by (d) > (6 * 0.001)) and (sum(rate(a_total{b=\"c\"}[30m])) by (d) / sum(rate(e_total{b=\"c\"}[30m])) by (d) > (6 * 0.001))",
    ),
];

fn main() {
    divan::main();
}

fn text(name: &str) -> &'static str {
    let found = EXPRESSIONS.iter().find(|(known, _)| *known == name);
    found.expect("one of the expressions").1
}

#[divan::bench(args = EXPRESSIONS.map(|(name, _)| name))]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(name);
    bencher.bench(|| promql::parse(text).expect("parses"));
}

#[divan::bench(args = EXPRESSIONS.map(|(name, _)| name))]
fn format(bencher: Bencher<'_, '_>, name: &str) {
    let text = text(name);
    bencher.bench(|| promql::format(text).expect("parses"));
}
