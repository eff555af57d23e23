//! What the kernel counts since it started: /proc/stat without the CPUs.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Key in the file, metric, kind, help.
const FAMILIES: [(&str, &str, &str, &str); 6] = [
    (
        "btime",
        "node_boot_time_seconds",
        "gauge",
        "Node boot time, in unixtime",
    ),
    (
        "ctxt",
        "node_context_switches_total",
        "counter",
        "Total number of context switches",
    ),
    (
        "processes",
        "node_forks_total",
        "counter",
        "Total number of forks",
    ),
    (
        "intr",
        "node_intr_total",
        "counter",
        "Total number of interrupts serviced",
    ),
    (
        "procs_blocked",
        "node_procs_blocked",
        "gauge",
        "Number of processes blocked waiting for I/O to complete",
    ),
    (
        "procs_running",
        "node_procs_running",
        "gauge",
        "Number of processes in runnable state",
    ),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("stat")?;
    for (key, name, kind, help) in FAMILIES {
        let value = file.text.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some(key)).then(|| words.next()).flatten()
        });
        let value = file.number(value)?;
        page.family(name, kind, help);
        page.sample(name, &[], value);
    }
    Ok(())
}
