//! Load averages: /proc/loadavg.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("loadavg")?;
    let mut words = file.text.split_ascii_whitespace();
    for (name, help) in [
        ("node_load1", "1m load average"),
        ("node_load5", "5m load average"),
        ("node_load15", "15m load average"),
    ] {
        page.gauge(name, help, file.number(words.next())?);
    }
    Ok(())
}
