//! Connection tracking: /proc/sys/net/netfilter.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for (name, file, help) in [
        (
            "node_nf_conntrack_entries",
            "sys/net/netfilter/nf_conntrack_count",
            "Number of currently allocated flow entries for connection tracking",
        ),
        (
            "node_nf_conntrack_entries_limit",
            "sys/net/netfilter/nf_conntrack_max",
            "Maximum size of connection tracking table",
        ),
    ] {
        let file = host.files.proc(file)?;
        page.gauge(name, help, file.number(Some(file.text.trim()))?);
    }
    Ok(())
}
