//! Work of the disks: /proc/diskstats. Partitions, loop and RAM devices are left out, as in
//! node_exporter.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Metric, kind, column (0 is the first after the name), factor, help.
const COLUMNS: [(&str, &str, usize, f64, &str); 17] = [
    (
        "node_disk_reads_completed_total",
        "counter",
        0,
        1.0,
        "Reads the disk has finished",
    ),
    (
        "node_disk_reads_merged_total",
        "counter",
        1,
        1.0,
        "Reads joined with a neighbouring one before they reached the disk",
    ),
    (
        "node_disk_read_bytes_total",
        "counter",
        2,
        512.0,
        "Bytes read from the disk",
    ),
    (
        "node_disk_read_time_seconds_total",
        "counter",
        3,
        0.001,
        "Time reads took, in seconds, all of them added up",
    ),
    (
        "node_disk_writes_completed_total",
        "counter",
        4,
        1.0,
        "Writes the disk has finished",
    ),
    (
        "node_disk_writes_merged_total",
        "counter",
        5,
        1.0,
        "Writes joined with a neighbouring one before they reached the disk",
    ),
    (
        "node_disk_written_bytes_total",
        "counter",
        6,
        512.0,
        "Bytes written to the disk",
    ),
    (
        "node_disk_write_time_seconds_total",
        "counter",
        7,
        0.001,
        "Time writes took, in seconds, all of them added up",
    ),
    (
        "node_disk_io_now",
        "gauge",
        8,
        1.0,
        "Requests the disk has not answered yet",
    ),
    (
        "node_disk_io_time_seconds_total",
        "counter",
        9,
        0.001,
        "Time the disk had anything to do, in seconds",
    ),
    (
        "node_disk_io_time_weighted_seconds_total",
        "counter",
        10,
        0.001,
        "Time with requests open, in seconds, counted once per open request",
    ),
    (
        "node_disk_discards_completed_total",
        "counter",
        11,
        1.0,
        "Discards (TRIM) the disk has finished",
    ),
    (
        "node_disk_discards_merged_total",
        "counter",
        12,
        1.0,
        "Discards joined with a neighbouring one before they reached the disk",
    ),
    (
        "node_disk_discarded_sectors_total",
        "counter",
        13,
        1.0,
        "Sectors of 512 bytes given back to the disk by discards",
    ),
    (
        "node_disk_discard_time_seconds_total",
        "counter",
        14,
        0.001,
        "Time discards took, in seconds, all of them added up",
    ),
    (
        "node_disk_flush_requests_total",
        "counter",
        15,
        1.0,
        "Cache flushes the disk has finished",
    ),
    (
        "node_disk_flush_requests_time_seconds_total",
        "counter",
        16,
        0.001,
        "Time cache flushes took, in seconds, all of them added up",
    ),
];

/// Every kernel since 2.6 has at least these columns.
const COLUMNS_MIN: usize = 11;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("diskstats")?;
    let mut disks = Vec::new();
    for line in file.text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(name)) = (words.next(), words.next(), words.next())
        else {
            return Err(file.malformed(format!("a line of few words: {line:?}")));
        };
        if is_left_out(name) {
            continue;
        }
        let columns = words
            .map(|word| file.number(Some(word)))
            .collect::<Result<Vec<f64>, _>>()?;
        if columns.len() < COLUMNS_MIN {
            return Err(file.malformed(format!("{name} has {} columns", columns.len())));
        }
        disks.push((major, minor, name, columns));
    }
    let info = "node_disk_info";
    if !disks.is_empty() {
        page.family(info, "gauge", "What a disk is, as /sys/block tells it");
    }
    for (major, minor, name, _) in &disks {
        let about = |what: &str| {
            let path = format!("block/{name}/device/{what}");
            host.files.sys_word(&path).unwrap_or_default()
        };
        let (model, revision, serial, wwn) =
            (about("model"), about("rev"), about("serial"), about("wwid"));
        let labels = [
            ("device", *name),
            ("major", major),
            ("minor", minor),
            ("model", &model),
            ("path", ""),
            ("revision", &revision),
            ("serial", &serial),
            ("wwn", &wwn),
        ];
        page.sample(info, &labels, 1.0);
    }
    for (metric, kind, column, factor, help) in COLUMNS {
        let samples = disks
            .iter()
            .filter_map(|(_, _, name, columns)| Some((*name, columns.get(column)? * factor)));
        match kind {
            "counter" => page.counters(metric, help, "device", samples),
            _ => page.gauges(metric, help, "device", samples),
        }
    }
    Ok(())
}

/// `ram0`, `loop3`, `fd0`, `sda1`, `vdb2`, `nvme0n1p3` and the like.
fn is_left_out(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    if matches!(stem, "ram" | "zram" | "loop" | "fd") {
        return true;
    }
    let is_partition_of = |prefix: &str| {
        let rest = stem.strip_prefix(prefix).unwrap_or_default();
        rest.len() == 1 && rest.starts_with(|c: char| c.is_ascii_lowercase())
    };
    if ["hd", "sd", "vd", "xvd"].into_iter().any(is_partition_of) {
        return true;
    }
    // nvme<n>n<n>p
    stem.strip_prefix("nvme")
        .and_then(|rest| rest.strip_suffix('p'))
        .and_then(|rest| rest.split_once('n'))
        .is_some_and(|(a, b)| [a, b].iter().all(|s| s.parse::<u32>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::is_left_out;

    #[test]
    fn whole_disks_count() {
        for name in ["sda", "vdb", "nvme0n1", "dm-0", "md127", "sr0", "mmcblk0"] {
            assert!(!is_left_out(name), "{name}");
        }
        for name in [
            "sda1",
            "vdb12",
            "xvda1",
            "nvme0n1p3",
            "loop0",
            "ram1",
            "zram0",
            "fd0",
        ] {
            assert!(is_left_out(name), "{name}");
        }
    }
}
