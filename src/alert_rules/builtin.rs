//! The rules that Yagura brings along: about the machine it runs on, the targets it asks, and
//! itself. Ordinary rule files (`builtin/*.yaml`), loaded like any other.
//!
//! Thresholds are such that a healthy machine is silent: each alert is something that a person
//! should act on, and says in its description what to do.

use crate::file::{Loaded, parse};
use crate::query::Languages;

/// What built-in groups have for a file name.
pub const BUILTIN_FILE: &str = "built-in";

const FILES: [&str; 3] = [
    include_str!("builtin/host.yaml"),
    include_str!("builtin/targets.yaml"),
    include_str!("builtin/yagura.yaml"),
];

/// Reads the built-in rules.
pub fn builtin(languages: Languages<'_>) -> Loaded {
    let mut all = Loaded::default();
    for text in FILES {
        let mut loaded = parse(BUILTIN_FILE, text, languages);
        all.groups.append(&mut loaded.groups);
        all.problems.append(&mut loaded.problems);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use model::Labels;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::testing::{Memory, languages};
    use crate::{AlertState, Group, PromqlQuery, RuleOutput, World};

    const MINUTE: i64 = 60_000;
    const START: i64 = 1_700_000_000_000;

    fn query(memory: &Arc<Memory>) -> PromqlQuery {
        PromqlQuery::new(
            Arc::default(),
            memory.clone(),
            Duration::from_mins(1),
            CancellationToken::new(),
        )
    }

    #[test]
    fn every_rule_loads_and_says_what_to_do() {
        let memory = Arc::new(Memory::default());
        let loaded = builtin(languages(&query(&memory)));
        assert_eq!(loaded.problems, []);
        let rules: Vec<_> = loaded.groups.iter().flat_map(|g| &g.rules).collect();
        assert!(rules.len() >= 9, "{}", rules.len());
        for rule in rules {
            let RuleOutput::Alerting { annotations, .. } = &rule.output else {
                panic!("{} is no alert", rule.name);
            };
            let keys: Vec<&str> = annotations.iter().map(|(key, _)| &**key).collect();
            assert_eq!(keys, ["description", "summary"], "{}", rule.name);
            let severity = rule.labels.iter().find(|(key, _)| &**key == "severity");
            assert!(
                severity.is_some_and(|(_, s)| ["warning", "critical"].contains(&&*s.source)),
                "{}",
                rule.name
            );
        }
    }

    /// A series: name, labels, value at a minute.
    type Series<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a dyn Fn(i64) -> f64);

    /// Runs all rules over eight hours of a machine and returns the alerts that fire at the end.
    fn firing(machine: &[Series<'_>]) -> Vec<String> {
        const MINUTES: i64 = 8 * 60;
        let memory = Arc::new(Memory::default());
        for (name, labels, value) in machine {
            let mut pairs = vec![
                ("__name__", *name),
                ("instance", "node1"),
                ("job", "node-exporter"),
            ];
            pairs.extend_from_slice(labels);
            let labels = Labels::from_pairs(pairs);
            for minute in 0..=MINUTES {
                memory.put(&labels, START + minute * MINUTE, value(minute));
            }
        }
        let query = query(&memory);
        let nothing = Labels::empty();
        let world = World {
            languages: languages(&query),
            query_offset_ms: 0,
            sink: &*memory,
            external_labels: &nothing,
            external_url: "",
            resend_ms: MINUTE,
            for_grace_ms: MINUTE,
            outage_tolerance_ms: MINUTE,
            elapsed: &|| Duration::ZERO,
        };
        let mut firing = Vec::new();
        for spec in builtin(languages(&query)).groups {
            let mut group = Group::new(Arc::new(spec), MINUTE, false);
            // The last 70 minutes are enough for the longest `for`.
            for minute in MINUTES - 70..=MINUTES {
                let result = group.evaluate(START + minute * MINUTE, &world);
                assert_eq!(result.failures, 0, "{:#?}", group.snapshot());
            }
            let rules = group.snapshot().rules;
            let fires = rules
                .iter()
                .filter(|rule| rule.state() == AlertState::Firing);
            firing.extend(fires.map(|rule| rule.name.clone()));
        }
        firing.sort();
        firing
    }

    #[test]
    fn a_healthy_machine_is_silent() {
        let root = [
            ("mountpoint", "/"),
            ("device", "/dev/sda1"),
            ("fstype", "ext4"),
        ];
        let image = [
            ("mountpoint", "/snap/x"),
            ("device", "/dev/loop0"),
            ("fstype", "squashfs"),
        ];
        let disk = [("device", "sda")];
        let eth = [("device", "eth0")];
        let idle = [("mode", "idle"), ("cpu", "0")];
        let grow = |per_minute: f64| move |minute: i64| minute as f64 * per_minute;
        assert_eq!(
            firing(&[
                ("up", &[], &|_| 1.0),
                ("node_filesystem_avail_bytes", &root, &|m| 50e9
                    - m as f64 * 1e3),
                ("node_filesystem_size_bytes", &root, &|_| 100e9),
                ("node_filesystem_files_free", &root, &|_| 5e6),
                ("node_filesystem_files", &root, &|_| 6e6),
                ("node_filesystem_readonly", &root, &|_| 0.0),
                ("node_filesystem_avail_bytes", &image, &|_| 0.0),
                ("node_filesystem_size_bytes", &image, &|_| 1e8),
                ("node_filesystem_readonly", &image, &|_| 1.0),
                ("node_memory_MemAvailable_bytes", &[], &|_| 4e9),
                ("node_memory_MemTotal_bytes", &[], &|_| 8e9),
                ("node_pressure_memory_stalled_seconds_total", &[], &|_| 3.0),
                ("node_pressure_io_stalled_seconds_total", &[], &grow(1.0)),
                ("node_vmstat_oom_kill", &[], &|_| 2.0),
                ("node_cpu_seconds_total", &idle, &grow(50.0)),
                ("node_load5", &[], &|_| 0.5),
                ("node_disk_io_time_seconds_total", &disk, &grow(20.0)),
                ("node_network_receive_errs_total", &eth, &|_| 7.0),
                ("node_network_transmit_errs_total", &eth, &|_| 0.0),
                ("node_network_receive_packets_total", &eth, &grow(60_000.0)),
                ("node_network_transmit_packets_total", &eth, &grow(60_000.0)),
                ("node_filefd_allocated", &[], &|_| 3_000.0),
                ("node_filefd_maximum", &[], &|_| 1e6),
                ("yagura_log_tail_lag_bytes", &[], &|_| 4_096.0),
                ("yagura_log_tail_files_endangered", &[], &|_| 0.0),
                (
                    "yagura_log_tail_lines_dropped_total",
                    &[("reason", "refused")],
                    &|_| 0.0
                ),
                ("yagura_alert_rules_evaluation_failures_total", &[], &|_| {
                    1.0
                }),
            ]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_kind_of_trouble_is_said() {
        let root = [
            ("mountpoint", "/"),
            ("device", "/dev/sda1"),
            ("fstype", "ext4"),
        ];
        let data = [
            ("mountpoint", "/data"),
            ("device", "/dev/sdb1"),
            ("fstype", "xfs"),
        ];
        let idle = [("mode", "idle"), ("cpu", "0")];
        let grow = |per_minute: f64| move |minute: i64| minute as f64 * per_minute;
        let readonly = |minute: i64| f64::from(u8::from(minute > 8 * 60 - 30));
        assert_eq!(
            firing(&[
                ("up", &[], &|_| 0.0),
                ("node_filesystem_avail_bytes", &root, &|_| 1e9),
                ("node_filesystem_size_bytes", &root, &|_| 100e9),
                ("node_filesystem_files_free", &root, &|_| 1e3),
                ("node_filesystem_files", &root, &|_| 6e6),
                ("node_filesystem_readonly", &root, &|_| 0.0),
                ("node_filesystem_avail_bytes", &data, &|m| 19e9
                    - m as f64 * 2e7),
                ("node_filesystem_size_bytes", &data, &|_| 100e9),
                ("node_filesystem_readonly", &data, &|_| 0.0),
                (
                    "node_filesystem_readonly",
                    &[("mountpoint", "/old"), ("fstype", "ext4")],
                    &readonly
                ),
                ("node_memory_MemAvailable_bytes", &[], &|_| 1e8),
                ("node_memory_MemTotal_bytes", &[], &|_| 8e9),
                (
                    "node_pressure_memory_stalled_seconds_total",
                    &[],
                    &grow(10.0)
                ),
                ("node_pressure_io_stalled_seconds_total", &[], &grow(50.0)),
                ("node_vmstat_oom_kill", &[], &grow(1.0)),
                ("node_cpu_seconds_total", &idle, &grow(0.5)),
                ("node_load5", &[], &|_| 9.0),
                (
                    "node_disk_io_time_seconds_total",
                    &[("device", "sda")],
                    &grow(59.0)
                ),
                (
                    "node_network_receive_errs_total",
                    &[("device", "eth0")],
                    &grow(60.0)
                ),
                (
                    "node_network_transmit_errs_total",
                    &[("device", "eth0")],
                    &|_| 0.0
                ),
                (
                    "node_network_receive_packets_total",
                    &[("device", "eth0")],
                    &grow(600.0)
                ),
                (
                    "node_network_transmit_packets_total",
                    &[("device", "eth0")],
                    &grow(600.0)
                ),
                ("node_filefd_allocated", &[], &|_| 95.0),
                ("node_filefd_maximum", &[], &|_| 100.0),
                ("yagura_log_tail_lag_bytes", &[], &|_| 1e9),
                (
                    "yagura_log_tail_lines_dropped_total",
                    &[("reason", "refused")],
                    &grow(1.0)
                ),
                ("yagura_log_tail_files_lost_total", &[], &grow(1.0)),
                ("yagura_log_tail_files_endangered", &[], &|_| 2.0),
                (
                    "yagura_log_tail_gaps_total",
                    &[("reason", "truncated")],
                    &grow(1.0)
                ),
                ("yagura_log_store_seal_failures_total", &[], &grow(1.0)),
                ("yagura_log_store_append_refused_total", &[], &|_| 0.0),
                ("yagura_metric_store_samples_failed_total", &[], &grow(1.0)),
                ("yagura_metric_store_series_refused_total", &[], &grow(1.0)),
                ("yagura_storage_shed_bytes_total", &[], &grow(1e6)),
                (
                    "yagura_alert_rules_evaluation_failures_total",
                    &[],
                    &grow(1.0)
                ),
                (
                    "yagura_alert_notify_notifications_failed_total",
                    &[],
                    &grow(1.0)
                ),
            ]),
            [
                "HostCpuSaturated",
                "HostDiskSaturated",
                "HostFileDescriptorsAlmostUsedUp",
                "HostFilesystemAlmostFull",
                "HostFilesystemFillingUp",
                "HostFilesystemReadOnly",
                "HostInodesAlmostUsedUp",
                "HostMemoryPressure",
                "HostNetworkErrors",
                "HostOutOfMemoryKill",
                "TargetDown",
                "YaguraDiskBudgetSpent",
                "YaguraLogFilesLost",
                "YaguraLogLinesDropped",
                "YaguraLogLinesMissing",
                "YaguraLogStoreFailing",
                "YaguraLogsAboutToBeLost",
                "YaguraLogsLagging",
                "YaguraMetricStoreFailing",
                "YaguraNotificationsFailing",
                "YaguraRulesFailing",
                "YaguraSeriesRefused",
            ]
        );
    }
}
