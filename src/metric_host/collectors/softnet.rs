//! Packets in the softirqs of each CPU: /proc/net/softnet_stat, in hexadecimal.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Metric, column, help.
const COLUMNS: [(&str, usize, &str); 7] = [
    (
        "node_softnet_processed_total",
        0,
        "Packets this CPU took in from the network",
    ),
    (
        "node_softnet_dropped_total",
        1,
        "Packets lost because this CPU's backlog was full",
    ),
    (
        "node_softnet_times_squeezed_total",
        2,
        "Times this CPU broke off with packets left, its budget or time used up",
    ),
    (
        "node_softnet_cpu_collision_total",
        8,
        "Times a sender on this CPU found the device locked by another",
    ),
    (
        "node_softnet_received_rps_total",
        9,
        "Times another CPU woke this one to hand packets over (RPS)",
    ),
    (
        "node_softnet_flow_limit_count_total",
        10,
        "Times a flow was held back for crowding the backlog",
    ),
    (
        "node_softnet_backlog_len",
        11,
        "Packets waiting in this CPU's backlog",
    ),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.net("softnet_stat")?;
    let mut cpus = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let columns = line
            .split_ascii_whitespace()
            .map(|word| u64::from_str_radix(word, 16))
            .collect::<Result<Vec<u64>, _>>()
            .map_err(|_| file.malformed(format!("not hexadecimal: {line:?}")))?;
        // Lines stand for CPUs in order; newer kernels say which, since some may be offline.
        let cpu = columns.get(12).copied().unwrap_or(i as u64).to_string();
        cpus.push((cpu, columns));
    }
    for (name, column, help) in COLUMNS {
        let samples = cpus
            .iter()
            .filter_map(|(cpu, columns)| Some((&**cpu, *columns.get(column)? as f64)));
        if name.ends_with("_total") {
            page.counters(name, help, "cpu", samples);
        } else {
            page.gauges(name, help, "cpu", samples);
        }
    }
    Ok(())
}
