//! Sensors: /sys/class/hwmon. Temperatures, fans, voltages, currents, power.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Prefix of the file, metric, unit as a factor, help.
const SENSORS: [(&str, &str, f64, &str); 6] = [
    (
        "temp",
        "node_hwmon_temp_celsius",
        0.001,
        "Temperature in degrees Celsius",
    ),
    (
        "fan",
        "node_hwmon_fan_rpm",
        1.0,
        "Fan speed in turns per minute",
    ),
    ("in", "node_hwmon_in_volts", 0.001, "Voltage in volts"),
    ("curr", "node_hwmon_curr_amps", 0.001, "Current in amperes"),
    (
        "power",
        "node_hwmon_power_watt",
        1e-6,
        "Power draw in watts",
    ),
    (
        "humidity",
        "node_hwmon_humidity",
        1e-6,
        "Relative humidity from 0 to 1",
    ),
];

/// A chip: the name that its metrics carry, the name it gives itself, its folder.
struct Chip {
    id: String,
    name: Option<String>,
    folder: String,
}

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    const DIR: &str = "class/hwmon";
    let chips: Vec<Chip> = host
        .files
        .sys_names(DIR)
        .into_iter()
        .map(|folder| {
            let name = host.files.sys_word(&format!("{DIR}/{folder}/name"));
            let id = chip_id(host, &format!("{DIR}/{folder}/device"));
            let id = id.or_else(|| name.as_deref().map(clean));
            Chip {
                id: id.unwrap_or_else(|| folder.clone()),
                name,
                folder: format!("{DIR}/{folder}"),
            }
        })
        .collect();
    if chips.is_empty() {
        return Err(CollectError::Absent("hardware sensors"));
    }
    let names = "node_hwmon_chip_names";
    page.family(
        names,
        "gauge",
        "Name of a sensor chip as a label; the number is a constant 1",
    );
    for chip in &chips {
        if let Some(name) = &chip.name {
            page.sample(
                names,
                &[("chip", &chip.id), ("chip_name", &clean(name))],
                1.0,
            );
        }
    }
    let labels = "node_hwmon_sensor_label";
    let mut has_head = false;
    for (chip, sensor) in sensors(host, &chips, "_label") {
        if let Some(label) = host
            .files
            .sys_word(&format!("{}/{sensor}_label", chip.folder))
        {
            if !std::mem::replace(&mut has_head, true) {
                page.family(
                    labels,
                    "gauge",
                    "What a sensor measures, as its driver names it; the number is a constant 1",
                );
            }
            let pairs = [("chip", &*chip.id), ("label", &label), ("sensor", &sensor)];
            page.sample(labels, &pairs, 1.0);
        }
    }
    for (prefix, metric, factor, help) in SENSORS {
        for (suffix, file, which) in [
            ("", "_input", "measured now"),
            ("_max", "_max", "upper limit"),
            ("_crit", "_crit", "critical limit"),
        ] {
            let name = match suffix {
                "" => metric.to_owned(),
                // node_hwmon_temp_max_celsius
                _ => match metric.rsplit_once('_') {
                    Some((stem, unit)) => format!("{stem}{suffix}_{unit}"),
                    None => continue,
                },
            };
            let mut has_head = false;
            for (chip, sensor) in sensors(host, &chips, file) {
                if sensor.trim_end_matches(|c: char| c.is_ascii_digit()) != prefix {
                    continue;
                }
                // A sensor may be listed and yet answer with an error.
                let path = format!("{}/{sensor}{file}", chip.folder);
                if let Some(value) = host.files.sys_number(&path) {
                    if !std::mem::replace(&mut has_head, true) {
                        page.family(&name, "gauge", &format!("{help}, {which}"));
                    }
                    page.sample(
                        &name,
                        &[("chip", &chip.id), ("sensor", &sensor)],
                        value * factor,
                    );
                }
            }
        }
    }
    Ok(())
}

/// All sensors that have a file of this ending, with their chips.
fn sensors<'a>(host: &HostCollector, chips: &'a [Chip], ending: &str) -> Vec<(&'a Chip, String)> {
    let mut sensors = Vec::new();
    for chip in chips {
        for file in host.files.sys_names(&chip.folder) {
            if let Some(sensor) = file.strip_suffix(ending) {
                sensors.push((chip, sensor.to_owned()));
            }
        }
    }
    sensors
}

/// Bus and device of a chip, such as `platform_coretemp_0`: stable over restarts, unlike the
/// folder's number.
fn chip_id(host: &HostCollector, device: &str) -> Option<String> {
    let path = std::fs::canonicalize(host.files.sys_path(device)).ok()?;
    let name = path.file_name()?.to_str()?;
    let bus = path.parent()?.file_name()?.to_str()?;
    Some(format!("{}_{}", clean(bus), clean(name)))
}

/// Lower case, and anything that is neither letter nor digit as `_`.
fn clean(text: &str) -> String {
    let mapped = text
        .trim()
        .to_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    mapped.trim_matches('_').to_owned()
}
