//! Temperatures by zone: /sys/class/thermal, in thousandths of a degree.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    const DIR: &str = "class/thermal";
    let mut zones = Vec::new();
    for name in host.files.sys_names(DIR) {
        let Some(zone) = name.strip_prefix("thermal_zone") else {
            continue;
        };
        // A zone that is switched off cannot be read.
        if let Some(temperature) = host.files.sys_number(&format!("{DIR}/{name}/temp")) {
            let kind = host.files.sys_word(&format!("{DIR}/{name}/type"));
            zones.push((
                zone.to_owned(),
                kind.unwrap_or_default(),
                temperature / 1000.0,
            ));
        }
    }
    if zones.is_empty() {
        return Err(CollectError::Absent("thermal zones"));
    }
    let name = "node_thermal_zone_temp";
    page.family(
        name,
        "gauge",
        "How warm a thermal zone is, in degrees Celsius",
    );
    for (zone, kind, temperature) in &zones {
        page.sample(name, &[("type", kind), ("zone", zone)], *temperature);
    }
    Ok(())
}
