//! Traffic of the network devices: /proc/net/dev.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Names of the 16 columns after the device.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.net("dev")?;
    let mut devices = Vec::new();
    // Two lines name the columns.
    for line in file.text.lines().skip(2) {
        let Some((device, rest)) = line.rsplit_once(':') else {
            return Err(file.malformed(format!("no colon in {line:?}")));
        };
        let columns = rest
            .split_ascii_whitespace()
            .map(|word| file.number(Some(word)))
            .collect::<Result<Vec<f64>, _>>()?;
        if columns.len() != COLUMNS.len() {
            return Err(file.malformed(format!("{} columns in {line:?}", columns.len())));
        }
        devices.push((device.trim(), columns));
    }
    for (i, column) in COLUMNS.iter().enumerate() {
        page.counters(
            &format!("node_network_{column}_total"),
            &format!("Network device statistic {column}"),
            "device",
            devices
                .iter()
                .filter_map(|(device, columns)| Some((*device, *columns.get(i)?))),
        );
    }
    let no_handler = devices.iter().filter_map(|(device, _)| {
        let path = format!("class/net/{device}/statistics/rx_nohandler");
        Some((*device, host.files.sys_number(&path)?))
    });
    page.counters(
        "node_network_receive_nohandler_total",
        "Network device statistic receive_nohandler",
        "device",
        no_handler,
    );
    Ok(())
}
