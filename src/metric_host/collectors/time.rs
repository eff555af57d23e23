//! The clock and what drives it.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

// A collector that cannot fail still is one of the table.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    const DIR: &str = "devices/system/clocksource";
    let sources: Vec<String> = host
        .files
        .sys_names(DIR)
        .into_iter()
        .filter(|name| name.starts_with("clocksource"))
        .collect();
    let families = [
        (
            "node_time_clocksource_available_info",
            "available_clocksource",
            "Clock sources the kernel could use, one per label; the number is a constant 1",
        ),
        (
            "node_time_clocksource_current_info",
            "current_clocksource",
            "Clock source the kernel uses, as a label; the number is a constant 1",
        ),
    ];
    for (name, file, help) in families {
        if sources.is_empty() {
            break;
        }
        page.family(name, "gauge", help);
        for source in &sources {
            let device = source.trim_start_matches("clocksource");
            let text = host.files.sys_word(&format!("{DIR}/{source}/{file}"));
            for clock in text.unwrap_or_default().split_ascii_whitespace() {
                page.sample(name, &[("clocksource", clock), ("device", device)], 1.0);
            }
        }
    }
    page.gauge(
        "node_time_seconds",
        "What this machine's clock shows, as a Unix timestamp",
        model::time::now_ns() as f64 / 1e9,
    );
    Ok(())
}
