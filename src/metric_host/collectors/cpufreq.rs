//! Frequencies of the CPUs: /sys/devices/system/cpu/cpu*/cpufreq, in kHz.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

const FAMILIES: [(&str, &str, &str); 6] = [
    (
        "node_cpu_frequency_hertz",
        "cpuinfo_cur_freq",
        "Clock rate the hardware reports now, in hertz",
    ),
    (
        "node_cpu_frequency_max_hertz",
        "cpuinfo_max_freq",
        "Fastest clock rate of the hardware, in hertz",
    ),
    (
        "node_cpu_frequency_min_hertz",
        "cpuinfo_min_freq",
        "Slowest clock rate of the hardware, in hertz",
    ),
    (
        "node_cpu_scaling_frequency_hertz",
        "scaling_cur_freq",
        "Clock rate the kernel last set or saw, in hertz",
    ),
    (
        "node_cpu_scaling_frequency_max_hertz",
        "scaling_max_freq",
        "Upper bound the scaling policy allows, in hertz",
    ),
    (
        "node_cpu_scaling_frequency_min_hertz",
        "scaling_min_freq",
        "Lower bound the scaling policy allows, in hertz",
    ),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    const DIR: &str = "devices/system/cpu";
    let cpus: Vec<String> = host
        .files
        .sys_names(DIR)
        .into_iter()
        .filter(|name| {
            host.files
                .sys_path(&format!("{DIR}/{name}/cpufreq"))
                .is_dir()
        })
        .collect();
    if cpus.is_empty() {
        return Err(CollectError::Absent("CPU frequencies"));
    }
    for (name, file, help) in FAMILIES {
        let samples = cpus.iter().filter_map(|cpu| {
            let khz = host
                .files
                .sys_number(&format!("{DIR}/{cpu}/cpufreq/{file}"))?;
            Some((cpu.trim_start_matches("cpu"), khz * 1000.0))
        });
        page.gauges(name, help, "cpu", samples);
    }
    Ok(())
}
