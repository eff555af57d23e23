//! What each CPU did for its processes: the `cpuN` lines of /proc/schedstat.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Metric, column after the CPU, factor, help. Times are nanoseconds.
const COLUMNS: [(&str, usize, f64, &str); 3] = [
    (
        "node_schedstat_running_seconds_total",
        6,
        1e-9,
        "Time this CPU ran tasks, in seconds",
    ),
    (
        "node_schedstat_waiting_seconds_total",
        7,
        1e-9,
        "Time tasks were ready but queued for this CPU, in seconds, all tasks added up",
    ),
    (
        "node_schedstat_timeslices_total",
        8,
        1.0,
        "Turns this CPU gave to tasks",
    ),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("schedstat")?;
    let mut cpus = Vec::new();
    for line in file.text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
            continue;
        };
        let words: Vec<&str> = words.collect();
        let mut values = [0.0; COLUMNS.len()];
        for (value, (_, column, factor, _)) in values.iter_mut().zip(COLUMNS) {
            *value = file.number(words.get(column).copied())? * factor;
        }
        cpus.push((cpu, values));
    }
    for (i, (name, _, _, help)) in COLUMNS.iter().enumerate() {
        page.counters(
            name,
            help,
            "cpu",
            cpus.iter().map(|(cpu, values)| (*cpu, values[i])),
        );
    }
    Ok(())
}
