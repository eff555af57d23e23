//! Network devices and their links: /sys/class/net.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Metric, file, kind, factor, help.
const NUMBERS: [(&str, &str, &str, f64, &str); 16] = [
    (
        "node_network_address_assign_type",
        "addr_assign_type",
        "gauge",
        1.0,
        "Network device property: address_assign_type",
    ),
    (
        "node_network_carrier",
        "carrier",
        "gauge",
        1.0,
        "Network device property: carrier",
    ),
    (
        "node_network_carrier_changes_total",
        "carrier_changes",
        "counter",
        1.0,
        "Network device property: carrier_changes_total",
    ),
    (
        "node_network_carrier_down_changes_total",
        "carrier_down_count",
        "counter",
        1.0,
        "Network device property: carrier_down_changes_total",
    ),
    (
        "node_network_carrier_up_changes_total",
        "carrier_up_count",
        "counter",
        1.0,
        "Network device property: carrier_up_changes_total",
    ),
    (
        "node_network_device_id",
        "dev_id",
        "gauge",
        1.0,
        "Network device property: device_id",
    ),
    (
        "node_network_dormant",
        "dormant",
        "gauge",
        1.0,
        "Network device property: dormant",
    ),
    (
        "node_network_flags",
        "flags",
        "gauge",
        1.0,
        "Network device property: flags",
    ),
    (
        "node_network_iface_id",
        "ifindex",
        "gauge",
        1.0,
        "Network device property: iface_id",
    ),
    (
        "node_network_iface_link",
        "iflink",
        "gauge",
        1.0,
        "Network device property: iface_link",
    ),
    (
        "node_network_iface_link_mode",
        "link_mode",
        "gauge",
        1.0,
        "Network device property: iface_link_mode",
    ),
    (
        "node_network_mtu_bytes",
        "mtu",
        "gauge",
        1.0,
        "Network device property: mtu_bytes",
    ),
    (
        "node_network_name_assign_type",
        "name_assign_type",
        "gauge",
        1.0,
        "Network device property: name_assign_type",
    ),
    (
        "node_network_net_dev_group",
        "netdev_group",
        "gauge",
        1.0,
        "Network device property: net_dev_group",
    ),
    (
        "node_network_protocol_type",
        "type",
        "gauge",
        1.0,
        "Network device property: protocol_type",
    ),
    (
        "node_network_transmit_queue_length",
        "tx_queue_len",
        "gauge",
        1.0,
        "Network device property: transmit_queue_length",
    ),
];

/// /sys tells megabits per second.
const BYTES_PER_MEGABIT: f64 = 1_000_000.0 / 8.0;

/// The flag that says whether an administrator has switched a device on.
const IFF_UP: u64 = 1;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    const DIR: &str = "class/net";
    let devices: Vec<String> = host
        .files
        .sys_names(DIR)
        .into_iter()
        // `bonding_masters` is a file beside the devices.
        .filter(|name| host.files.sys_path(&format!("{DIR}/{name}")).is_dir())
        .collect();
    if devices.is_empty() {
        return Err(CollectError::Absent("network devices in /sys"));
    }
    let word = |device: &str, file: &str| host.files.sys_word(&format!("{DIR}/{device}/{file}"));
    let number = |device: &str, file: &str| {
        let word = word(device, file)?;
        match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as f64),
            None => word.parse().ok(),
        }
    };
    let up = "node_network_up";
    page.gauges(
        up,
        "Value is 1 if operstate is 'up', 0 otherwise",
        "device",
        devices.iter().map(|device| {
            let is_up = word(device, "operstate").as_deref() == Some("up");
            (&**device, f64::from(u8::from(is_up)))
        }),
    );
    let info = "node_network_info";
    page.family(
        info,
        "gauge",
        "Non-numeric data from /sys/class/net/<iface>, value is always 1",
    );
    for device in &devices {
        let text = |file| word(device, file).unwrap_or_default();
        let is_on = number(device, "flags").is_some_and(|flags| flags as u64 & IFF_UP != 0);
        let labels = [
            ("address", &*text("address")),
            ("adminstate", if is_on { "up" } else { "down" }),
            ("broadcast", &text("broadcast")),
            ("device", device),
            ("duplex", &text("duplex")),
            ("ifalias", &text("ifalias")),
            ("operstate", &text("operstate")),
        ];
        page.sample(info, &labels, 1.0);
    }
    for (name, file, kind, factor, help) in NUMBERS {
        let samples = devices
            .iter()
            .filter_map(|device| Some((&**device, number(device, file)? * factor)));
        match kind {
            "counter" => page.counters(name, help, "device", samples),
            _ => page.gauges(name, help, "device", samples),
        }
    }
    page.gauges(
        "node_network_speed_bytes",
        "Network device property: speed_bytes",
        "device",
        devices.iter().filter_map(|device| {
            // -1 stands for "not known", as with virtual devices.
            let megabits = number(device, "speed").filter(|speed| *speed >= 0.0)?;
            Some((&**device, megabits * BYTES_PER_MEGABIT))
        }),
    );
    Ok(())
}
