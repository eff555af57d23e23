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
        "How the device got its hardware address: 0 permanent, 1 random, 2 taken from another device, 3 set by hand",
    ),
    (
        "node_network_carrier",
        "carrier",
        "gauge",
        1.0,
        "1 when the device senses a link, 0 when it does not",
    ),
    (
        "node_network_carrier_changes_total",
        "carrier_changes",
        "counter",
        1.0,
        "Times the link came or went",
    ),
    (
        "node_network_carrier_down_changes_total",
        "carrier_down_count",
        "counter",
        1.0,
        "Times the link was lost",
    ),
    (
        "node_network_carrier_up_changes_total",
        "carrier_up_count",
        "counter",
        1.0,
        "Times the link was established",
    ),
    (
        "node_network_device_id",
        "dev_id",
        "gauge",
        1.0,
        "Number that tells apart devices sharing one hardware address",
    ),
    (
        "node_network_dormant",
        "dormant",
        "gauge",
        1.0,
        "1 while the link waits for something such as a login before it carries traffic",
    ),
    (
        "node_network_flags",
        "flags",
        "gauge",
        1.0,
        "The interface flags of the kernel as one number, a bit each",
    ),
    (
        "node_network_iface_id",
        "ifindex",
        "gauge",
        1.0,
        "Index by which the kernel knows the device",
    ),
    (
        "node_network_iface_link",
        "iflink",
        "gauge",
        1.0,
        "Index of the device underneath, its own index if there is none",
    ),
    (
        "node_network_iface_link_mode",
        "link_mode",
        "gauge",
        1.0,
        "Link policy: 0 default, 1 starts dormant",
    ),
    (
        "node_network_mtu_bytes",
        "mtu",
        "gauge",
        1.0,
        "Largest packet the device sends, in bytes",
    ),
    (
        "node_network_name_assign_type",
        "name_assign_type",
        "gauge",
        1.0,
        "How the device got its name: 1 counted by the kernel, 2 predictable, 3 by a user, 4 renamed",
    ),
    (
        "node_network_net_dev_group",
        "netdev_group",
        "gauge",
        1.0,
        "Group number an administrator put the device into",
    ),
    (
        "node_network_protocol_type",
        "type",
        "gauge",
        1.0,
        "Hardware type as in ARP, such as 1 for Ethernet and 772 for loopback",
    ),
    (
        "node_network_transmit_queue_length",
        "tx_queue_len",
        "gauge",
        1.0,
        "Packets that fit into the device's send queue",
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
        "1 when the kernel reports the device as operating, else 0",
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
        "Addresses and states of a network device as labels; the number is a constant 1",
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
        "Link speed in bytes per second, where the driver tells it",
        "device",
        devices.iter().filter_map(|device| {
            // -1 stands for "not known", as with virtual devices.
            let megabits = number(device, "speed").filter(|speed| *speed >= 0.0)?;
            Some((&**device, megabits * BYTES_PER_MEGABIT))
        }),
    );
    Ok(())
}
