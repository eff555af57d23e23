//! The built-in rules over eight hours of machines and clusters, well and in trouble: each rule
//! fires in one of the stories, and none on a healthy machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::Labels;

use super::tests::{MINUTE, START, query, world};
use super::{BuiltinChanges, builtin};
use crate::testing::{Memory, languages};
use crate::{AlertState, Group};

/// What the machine in trouble hears.
const MACHINE: [&str; 23] = [
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
    "YaguraHeartbeatMissed",
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
];

/// What the cluster in trouble hears.
const CLUSTER: [&str; 11] = [
    "CertificateExpiresSoon",
    "CertificateNotRenewed",
    "KubernetesCrashLoop",
    "KubernetesDeploymentShort",
    "KubernetesJobFailed",
    "KubernetesNodeNotReady",
    "KubernetesOutOfMemoryKill",
    "KubernetesPodPending",
    "KubernetesVolumeAlmostFull",
    "KubernetesVolumeFillingUp",
    "LogErrorBurst",
];

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
            // NaN: there is no sample yet, or none any more.
            let value = value(minute);
            if !value.is_nan() {
                memory.put(&labels, START + minute * MINUTE, value);
            }
        }
    }
    let query = query(&memory);
    let world = world(&query, &memory);
    let mut firing = Vec::new();
    for spec in builtin(languages(&query), &BuiltinChanges::new(), &[]).groups {
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
            // It failed hours ago, and nothing was tried since.
            (
                "yagura_alert_notify_receiver_failing",
                &[("receiver", "r")],
                &|_| 1.0
            ),
            (
                "yagura_alert_notify_notifications_failed_total",
                &[],
                &|_| 3.0
            ),
            ("yagura_alert_notify_retries_total", &[], &|_| 9.0),
            ("yagura_alert_notify_heartbeats_total", &[], &grow(1.0)),
            ("yagura_alert_notify_heartbeats_missed_total", &[], &|_| 2.0),
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
    let slack = [("receiver", "team"), ("way", "slack[0]")];
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
            ("yagura_alert_notify_receiver_failing", &slack, &|_| 1.0),
            (
                "yagura_alert_notify_notifications_failed_total",
                &[],
                &grow(0.1)
            ),
            ("yagura_alert_notify_retries_total", &[], &grow(1.0)),
            ("yagura_alert_notify_heartbeats_total", &[], &|_| 5.0),
            (
                "yagura_alert_notify_heartbeats_missed_total",
                &[],
                &grow(1.0)
            ),
            ("yagura_storage_shed_bytes_total", &[], &grow(1e6)),
            (
                "yagura_alert_rules_evaluation_failures_total",
                &[],
                &grow(1.0)
            ),
        ]),
        MACHINE
    );
}

/// Seconds since 1970 so many days after the last minute of a story.
fn in_days(days: f64) -> f64 {
    (START / 1_000) as f64 + 8.0 * 3_600.0 + days * 86_400.0
}

/// A counter that goes up by so much a minute.
fn grow(per_minute: f64) -> impl Fn(i64) -> f64 {
    move |minute| minute as f64 * per_minute
}

#[test]
fn a_healthy_cluster_is_silent() {
    let pod = [
        ("namespace", "shop"),
        ("pod", "web-1"),
        ("container", "web"),
    ];
    let deployment = [("namespace", "shop"), ("deployment", "web")];
    let claim = [("namespace", "shop"), ("persistentvolumeclaim", "data")];
    let pending = [
        ("namespace", "shop"),
        ("pod", "web-1"),
        ("phase", "Pending"),
    ];
    let job = [
        ("namespace", "shop"),
        ("job_name", "backup"),
        ("condition", "true"),
    ];
    let ready = [("node", "n1"), ("condition", "Ready"), ("status", "true")];
    let errors = [("level", "error"), ("pod", "web-1")];
    let killed = [
        ("namespace", "shop"),
        ("pod", "web-1"),
        ("container", "web"),
        ("reason", "OOMKilled"),
    ];
    assert_eq!(
        firing(&[
            // A restart a few hours ago, for want of memory: that is over.
            (
                "kube_pod_container_status_restarts_total",
                &pod,
                &|minute| { f64::from(u8::from(minute > 120)) }
            ),
            (
                "kube_pod_container_status_last_terminated_reason",
                &killed,
                &|_| 1.0
            ),
            ("kube_pod_status_phase", &pending, &|_| 0.0),
            ("kube_deployment_spec_replicas", &deployment, &|_| 3.0),
            (
                "kube_deployment_status_replicas_available",
                &deployment,
                &|_| 3.0
            ),
            (
                "kube_deployment_status_replicas_updated",
                &deployment,
                &|_| 3.0
            ),
            ("kube_job_failed", &job, &|_| 0.0),
            ("kubelet_volume_stats_available_bytes", &claim, &|minute| {
                5e9 - minute as f64 * 1e4
            }),
            ("kubelet_volume_stats_capacity_bytes", &claim, &|_| 1e10),
            ("kubelet_volume_stats_used_bytes", &claim, &|_| 5e9),
            ("kube_node_status_condition", &ready, &|_| 1.0),
            ("probe_ssl_earliest_cert_expiry", &[], &|_| in_days(60.0)),
            (
                "certmanager_certificate_expiration_timestamp_seconds",
                &[("exported_namespace", "shop"), ("name", "web")],
                &|_| in_days(30.0)
            ),
            // Many errors, but no more than ever.
            ("log_lines_total", &errors, &grow(30.0)),
        ]),
        Vec::<String>::new()
    );
}

#[test]
fn trouble_in_a_cluster_is_said() {
    let pod = |name: &'static str| [("namespace", "shop"), ("pod", name), ("container", "c")];
    let (crashing, hungry) = (pod("crashing"), pod("hungry"));
    let with = |labels: [(&'static str, &'static str); 3], reason: &'static str| {
        let [a, b, c] = labels;
        [a, b, c, ("reason", reason)]
    };
    let waiting = with(crashing, "CrashLoopBackOff");
    let killed = with(hungry, "OOMKilled");
    let pending = [("namespace", "shop"), ("pod", "new"), ("phase", "Pending")];
    let deployment = [("namespace", "shop"), ("deployment", "web")];
    let job = [
        ("namespace", "shop"),
        ("job_name", "backup"),
        ("condition", "true"),
    ];
    let claim = |name: &'static str| [("namespace", "shop"), ("persistentvolumeclaim", name)];
    let (full, filling) = (claim("full"), claim("filling"));
    let ready = [("node", "n1"), ("condition", "Ready"), ("status", "true")];
    let errors = [("level", "error"), ("pod", "web-1")];
    assert_eq!(
        firing(&[
            (
                "kube_pod_container_status_restarts_total",
                &crashing,
                &grow(0.5)
            ),
            (
                "kube_pod_container_status_waiting_reason",
                &waiting,
                &|_| 1.0
            ),
            (
                "kube_pod_container_status_restarts_total",
                &hungry,
                &|minute| { f64::from(u8::from(minute > 8 * 60 - 5)) }
            ),
            (
                "kube_pod_container_status_last_terminated_reason",
                &killed,
                &|_| 1.0
            ),
            ("kube_pod_status_phase", &pending, &|_| 1.0),
            ("kube_deployment_spec_replicas", &deployment, &|_| 3.0),
            (
                "kube_deployment_status_replicas_available",
                &deployment,
                &|_| 1.0
            ),
            (
                "kube_deployment_status_replicas_updated",
                &deployment,
                &|_| 3.0
            ),
            ("kube_job_failed", &job, &|_| 1.0),
            ("kubelet_volume_stats_available_bytes", &full, &|_| 1e8),
            ("kubelet_volume_stats_capacity_bytes", &full, &|_| 1e10),
            ("kubelet_volume_stats_used_bytes", &full, &|_| 9.9e9),
            (
                "kubelet_volume_stats_available_bytes",
                &filling,
                &|minute| { 1.4e9 - minute as f64 * 1e6 }
            ),
            ("kubelet_volume_stats_capacity_bytes", &filling, &|_| 1e10),
            ("kubelet_volume_stats_used_bytes", &filling, &|_| 8.6e9),
            ("kube_node_status_condition", &ready, &|_| 0.0),
            ("probe_ssl_earliest_cert_expiry", &[], &|_| in_days(5.0)),
            (
                "certmanager_certificate_expiration_timestamp_seconds",
                &[("exported_namespace", "shop"), ("name", "web")],
                &|_| in_days(5.0)
            ),
            // An error a minute for hours, then fifty.
            ("log_lines_total", &errors, &|minute| {
                minute as f64 + 50.0 * (minute - (8 * 60 - 20)).max(0) as f64
            }),
        ]),
        CLUSTER
    );
}

#[test]
fn minutes_of_data_foretell_no_full_disk() {
    let young = |value: f64, per_minute: f64| {
        move |minute: i64| match minute - (8 * 60 - 100) {
            age @ 0.. => value - age as f64 * per_minute,
            _ => f64::NAN,
        }
    };
    let data = [
        ("mountpoint", "/data"),
        ("device", "/dev/sdb1"),
        ("fstype", "xfs"),
    ];
    let claim = [("namespace", "shop"), ("persistentvolumeclaim", "data")];
    // An image is unpacked, a database restored: at this pace both are full soon.
    assert_eq!(
        firing(&[
            ("node_filesystem_avail_bytes", &data, &young(50e9, 3e8)),
            ("node_filesystem_size_bytes", &data, &|_| 100e9),
            ("node_filesystem_readonly", &data, &|_| 0.0),
            (
                "kubelet_volume_stats_available_bytes",
                &claim,
                &young(2e9, 1e7)
            ),
            ("kubelet_volume_stats_capacity_bytes", &claim, &|_| 1e10),
            ("kubelet_volume_stats_used_bytes", &claim, &|_| 8e9),
        ]),
        Vec::<String>::new()
    );
}

#[test]
fn every_rule_has_a_story_in_which_it_fires() {
    let memory = Arc::new(Memory::default());
    let all = builtin(languages(&query(&memory)), &BuiltinChanges::new(), &[]);
    let rules = all.groups.iter().flat_map(|group| &group.rules);
    let mut untold: BTreeSet<String> = rules.map(|rule| rule.name.to_string()).collect();
    for name in MACHINE.iter().chain(&CLUSTER) {
        assert!(untold.remove(*name), "{name} is no built-in rule");
    }
    // It fires always.
    assert_eq!(untold, BTreeSet::from(["Watchdog".to_owned()]));
}
