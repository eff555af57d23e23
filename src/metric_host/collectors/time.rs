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
            "Available clocksources read from '/sys/devices/system/clocksource'",
        ),
        (
            "node_time_clocksource_current_info",
            "current_clocksource",
            "Current clocksource read from '/sys/devices/system/clocksource'",
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
        "System time in seconds since epoch (1970)",
        model::time::now_ns() as f64 / 1e9,
    );
    Ok(())
}
