//! Pressure stall information: /proc/pressure.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Resource, whose stall, metric, help.
const FAMILIES: [(&str, &str, &str, &str); 6] = [
    (
        "cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Time at least one task lacked a CPU, in seconds",
    ),
    (
        "io",
        "some",
        "node_pressure_io_waiting_seconds_total",
        "Time at least one task was held up by I/O, in seconds",
    ),
    (
        "io",
        "full",
        "node_pressure_io_stalled_seconds_total",
        "Time I/O held up every task with work to do, in seconds",
    ),
    (
        "memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Time at least one task was held up by short memory, in seconds",
    ),
    (
        "memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Time short memory held up every task with work to do, in seconds",
    ),
    (
        "irq",
        "full",
        "node_pressure_irq_stalled_seconds_total",
        "Time interrupts held up every task with work to do, in seconds",
    ),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for (resource, who, name, help) in FAMILIES {
        let file = match host.files.proc(&format!("pressure/{resource}")) {
            Ok(file) => file,
            // Older kernels do not have it.
            Err(_) if resource == "irq" => continue,
            Err(error) => return Err(error),
        };
        // `some avg10=0.00 avg60=0.00 avg300=0.00 total=7238`, in microseconds.
        let line = file.text.lines().find(|line| line.starts_with(who));
        let total = line.and_then(|line| line.rsplit_once("total="));
        let micros = file.number(total.map(|(_, total)| total.trim()))?;
        page.counter(name, help, micros / 1e6);
    }
    Ok(())
}
