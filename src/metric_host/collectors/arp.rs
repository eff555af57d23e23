//! Neighbours in the ARP table, by device: /proc/net/arp.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.net("arp")?;
    let mut devices = std::collections::BTreeMap::new();
    // The device is the last of six columns; the first line names them.
    for line in file.text.lines().skip(1) {
        if let Some(device) = line.split_whitespace().nth(5) {
            *devices.entry(device).or_insert(0.0) += 1.0;
        }
    }
    page.gauges(
        "node_arp_entries",
        "Neighbours in the ARP table, per network device",
        "device",
        devices,
    );
    Ok(())
}
