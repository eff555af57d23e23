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
        "When the machine started, as a Unix timestamp",
    ),
    (
        "ctxt",
        "node_context_switches_total",
        "counter",
        "Times a CPU went from one task to another, since boot",
    ),
    (
        "processes",
        "node_forks_total",
        "counter",
        "Processes and threads started since boot",
    ),
    (
        "intr",
        "node_intr_total",
        "counter",
        "Interrupts handled since boot",
    ),
    (
        "procs_blocked",
        "node_procs_blocked",
        "gauge",
        "Tasks held up by I/O now",
    ),
    (
        "procs_running",
        "node_procs_running",
        "gauge",
        "Tasks on a CPU or ready for one now",
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
