//! Which partitions have had their time? Retention by age and by size, whole partitions only.

use std::time::Duration;

use crate::catalogue::PartitionRow;

/// The partitions to drop, oldest first: those whose newest line is older than `retention`, then
/// the oldest until the rest fits into `disk_bytes_max`.
pub(crate) fn expired(
    partitions: &[PartitionRow],
    now_ns: i64,
    retention: Duration,
    disk_bytes_max: u64,
) -> Vec<u64> {
    let mut by_age: Vec<&PartitionRow> = partitions.iter().collect();
    by_age.sort_by_key(|p| (newest_ns(p), p.id));
    let retention_ns = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    let oldest_kept_ns = now_ns.saturating_sub(retention_ns);
    let mut disk_bytes: u64 = partitions.iter().map(|p| p.disk_bytes).sum();
    let mut expired = Vec::new();
    for partition in by_age {
        if newest_ns(partition) >= oldest_kept_ns && disk_bytes <= disk_bytes_max {
            break;
        }
        disk_bytes -= partition.disk_bytes;
        expired.push(partition.id);
    }
    expired
}

/// When its newest line was written. A line from the future (a wrong clock) must not keep a
/// partition for ever: it is not newer than its sealing.
fn newest_ns(partition: &PartitionRow) -> i64 {
    partition.max_ns.min(partition.sealed_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_by_age_then_by_size() {
        let partition = |id, max_ns, sealed_ns, disk_bytes| PartitionRow {
            id,
            min_ns: 0,
            max_ns,
            sealed_ns,
            lines: 1,
            text_bytes: 1,
            disk_bytes,
        };
        let all = [
            partition(1, 100, 100, 10),
            partition(2, 50, 300, 10),
            partition(3, i64::MAX, 200, 10),
            partition(4, 400, 400, 10),
        ];
        let check = |now_ns, disk, expected: &[u64]| {
            let retention = Duration::from_nanos(100);
            assert_eq!(expired(&all, now_ns, retention, disk), expected);
        };
        check(150, 100, &[]);
        check(151, 100, &[2]);
        check(301, 100, &[2, 1, 3]);
        check(0, 25, &[2, 1]);
        check(0, 0, &[2, 1, 3, 4]);
        check(i64::MIN, 100, &[]);
    }
}
