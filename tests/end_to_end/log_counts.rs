//! Log lines as metrics: what is stored is counted by origin and level, for PromQL.

use crate::appliance::{Site, append};

#[test]
fn lines_are_counted_by_file_and_level() {
    let site = Site::new();
    site.configure("prometheus: { global: { scrape_interval: 1s, scrape_timeout: 1s } }\n");
    let yagura = site.start();
    let (a, b) = (site.path("logs/a.log"), site.path("logs/b.log"));
    append(&a, (0..30).map(|n| format!("ERROR failed {n}")));
    append(&a, (0..10).map(|n| format!("INFO fine {n}")));
    append(&b, (0..7).map(|n| format!("ERROR failed {n}")));
    let count = |metric: &str, level: &str| format!("sum({metric}{{level=\"{level}\"}})");
    yagura.wait_for("the errors", |y| {
        (y.value(&count("log_lines_total", "error")) == Some(37.0)).then_some(())
    });
    assert_eq!(yagura.value(&count("log_lines_total", "info")), Some(10.0));
    // "INFO fine 0" has eleven bytes.
    assert_eq!(yagura.value(&count("log_bytes_total", "info")), Some(110.0));
    let of_file = format!(
        "log_lines_total{{level=\"error\", file={:?}}}",
        b.display().to_string()
    );
    assert_eq!(yagura.value(&of_file), Some(7.0));
    // The first lines count: the series began with 0.
    yagura.wait_for("an exact increase", |y| {
        let rate = "sum by (level) (rate(log_lines_total{level=\"error\"}[1m]))";
        (y.value(rate)? > 0.0).then_some(())
    });
    append(&b, ["ERROR one more".to_owned()]);
    yagura.wait_for("the next line", |y| {
        (y.value(&of_file) == Some(8.0)).then_some(())
    });
    let known = yagura.json("/api/v1/metadata?metric=log_lines_total");
    assert_eq!(known["data"]["log_lines_total"][0]["type"], "counter");
}
