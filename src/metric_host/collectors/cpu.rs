//! Time of each CPU by mode: the `cpuN` lines of /proc/stat.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// /proc/stat counts in USER_HZ, which the kernel fixes at 100 for user space everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

/// Columns of a `cpuN` line. Guest times follow; they are part of user and nice.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("stat")?;
    let mut cpus: Vec<(&str, Vec<f64>)> = Vec::new();
    for line in file.text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
            continue;
        };
        if cpu.is_empty() {
            continue;
        }
        let seconds = words
            .map(|word| Ok(file.number(Some(word))? / TICKS_PER_SECOND))
            .collect::<Result<Vec<f64>, CollectError>>()?;
        if seconds.len() < MODES.len() {
            return Err(file.malformed(format!("cpu{cpu} has {} columns", seconds.len())));
        }
        cpus.push((cpu, seconds));
    }
    if cpus.is_empty() {
        return Err(file.malformed("no line begins with cpu0"));
    }
    let guest = "node_cpu_guest_seconds_total";
    page.family(
        guest,
        "counter",
        "CPU time given to virtual machines by processor and mode, seconds since boot",
    );
    for (cpu, seconds) in &cpus {
        for (mode, value) in ["user", "nice"].iter().zip(&seconds[MODES.len()..]) {
            page.sample(guest, &[("cpu", cpu), ("mode", mode)], *value);
        }
    }
    let name = "node_cpu_seconds_total";
    page.family(
        name,
        "counter",
        "CPU time by processor and mode, seconds since boot",
    );
    for (cpu, seconds) in &cpus {
        for (mode, value) in MODES.iter().zip(seconds) {
            page.sample(name, &[("cpu", cpu), ("mode", mode)], *value);
        }
    }
    Ok(())
}
