//! Traffic of the network devices: /proc/net/dev.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Names of the 16 columns after the device, and help.
const COLUMNS: [(&str, &str); 16] = [
    ("receive_bytes", "Bytes received"),
    ("receive_packets", "Packets received"),
    ("receive_errs", "Packets received broken"),
    ("receive_drop", "Packets received and thrown away"),
    ("receive_fifo", "Overruns of the receive buffer"),
    ("receive_frame", "Packets received with a framing error"),
    ("receive_compressed", "Compressed packets received"),
    ("receive_multicast", "Multicast packets received"),
    ("transmit_bytes", "Bytes sent"),
    ("transmit_packets", "Packets sent"),
    (
        "transmit_errs",
        "Packets that could not be sent for an error",
    ),
    ("transmit_drop", "Packets thrown away instead of sent"),
    ("transmit_fifo", "Underruns of the send buffer"),
    ("transmit_colls", "Collisions while sending"),
    (
        "transmit_carrier",
        "Packets that could not be sent for want of a link",
    ),
    ("transmit_compressed", "Compressed packets sent"),
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
    for (i, (column, help)) in COLUMNS.iter().enumerate() {
        page.counters(
            &format!("node_network_{column}_total"),
            help,
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
        "Packets received that no protocol wanted",
        "device",
        no_handler,
    );
    Ok(())
}
