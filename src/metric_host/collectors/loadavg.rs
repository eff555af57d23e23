//! Load averages: /proc/loadavg.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("loadavg")?;
    let mut words = file.text.split_ascii_whitespace();
    for (name, help) in [
        (
            "node_load1",
            "Tasks running or held up, averaged over the last minute",
        ),
        (
            "node_load5",
            "Tasks running or held up, averaged over five minutes",
        ),
        (
            "node_load15",
            "Tasks running or held up, averaged over a quarter of an hour",
        ),
    ] {
        page.gauge(name, help, file.number(words.next())?);
    }
    Ok(())
}
