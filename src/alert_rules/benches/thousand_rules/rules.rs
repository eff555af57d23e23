//! A thousand rules: what teams ask of their applications, and operators of the cluster.

use std::fmt::Write as _;

use crate::cluster::APPS;

/// A rule: the new series' or the alert's name, and its expression. Names with a colon record.
type Rule = (&'static str, &'static str);

/// Of each application, with its name in the place of `APP`.
const OF_AN_APP: [Rule; 11] = [
    (
        "job_code:http_requests:rate5m",
        r#"sum by (job, code) (rate(http_requests_total{job="APP"}[5m]))"#,
    ),
    (
        "job_le:http_request_duration_seconds_bucket:rate5m",
        r#"sum by (job, le) (rate(http_request_duration_seconds_bucket{job="APP"}[5m]))"#,
    ),
    (
        "job:http_request_duration_seconds:p99",
        r#"histogram_quantile(0.99, job_le:http_request_duration_seconds_bucket:rate5m{job="APP"})"#,
    ),
    (
        "namespace:container_cpu_usage_seconds:rate5m",
        r#"sum by (namespace) (rate(container_cpu_usage_seconds_total{namespace="APP",container!=""}[5m]))"#,
    ),
    (
        "job:http_errors:ratio1h",
        r#"sum by (job) (rate(http_requests_total{job="APP",code=~"5.."}[1h])) / sum by (job) (rate(http_requests_total{job="APP"}[1h]))"#,
    ),
    (
        "ErrorsAreMany",
        r#"sum by (job) (rate(http_requests_total{job="APP",code=~"5.."}[5m])) / sum by (job) (rate(http_requests_total{job="APP"}[5m])) > 0.9"#,
    ),
    (
        "AnswersAreSlow",
        r#"job:http_request_duration_seconds:p99{job="APP"} > 60"#,
    ),
    ("AppIsGone", r#"absent(up{job="APP"} == 1)"#),
    ("InstanceIsDown", r#"up{job="APP"} == 0"#),
    (
        "ContainerRestarts",
        r#"increase(kube_pod_container_status_restarts_total{namespace="APP"}[15m]) > 3"#,
    ),
    (
        "MemoryNearLimit",
        r#"container_memory_working_set_bytes{namespace="APP",container!=""} / on (namespace, pod, container) group_left kube_pod_container_resource_limits{namespace="APP",resource="memory"} > 0.9"#,
    ),
];

/// Of the whole cluster, for several ranges in the place of `[R]` and thresholds in that of `{N}`.
const OF_THE_CLUSTER: [Rule; 30] = [
    (
        "instance:node_cpu:ratio",
        r#"1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[R]))"#,
    ),
    (
        "instance_mode:node_cpu:rate",
        "sum by (instance, mode) (rate(node_cpu_seconds_total[R]))",
    ),
    (
        "namespace:container_cpu:rate",
        r#"sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=""}[R]))"#,
    ),
    (
        "node_namespace_pod:container_cpu:irate",
        r#"sum by (namespace, pod, container) (irate(container_cpu_usage_seconds_total{container!=""}[R])) * on (namespace, pod) group_left (node) topk by (namespace, pod) (1, max by (namespace, pod, node) (kube_pod_info{node!=""}))"#,
    ),
    (
        "node_namespace_pod:container_memory_working_set_bytes",
        r#"container_memory_working_set_bytes{container!=""} * on (namespace, pod) group_left (node) topk by (namespace, pod) (1, max by (namespace, pod, node) (kube_pod_info{node!=""}))"#,
    ),
    (
        "namespace_cpu:requests:sum",
        r#"sum by (namespace) (sum by (namespace, pod) (max by (namespace, pod, container) (kube_pod_container_resource_requests{resource="cpu"}) * on (namespace, pod) group_left () max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"} == 1)))"#,
    ),
    (
        "namespace_memory:limits:sum",
        r#"sum by (namespace) (kube_pod_container_resource_limits{resource="memory"})"#,
    ),
    (
        "cluster:http_requests:rate",
        "sum by (code) (rate(http_requests_total[R]))",
    ),
    (
        "cluster:http_request_duration_seconds:p95",
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[R])))",
    ),
    (
        "cluster:http_requests_by_app:sum",
        "sum by (job) (job_code:http_requests:rate5m)",
    ),
    (
        "TargetsDown",
        "100 * (count by (job) (up == 0) / count by (job) (up)) > {N}",
    ),
    (
        "ThrottledCpu",
        r#"sum by (container, pod, namespace) (increase(container_cpu_cfs_throttled_periods_total{container!=""}[R])) / sum by (container, pod, namespace) (increase(container_cpu_cfs_periods_total[R])) > 1000 * {N}"#,
    ),
    (
        "PodNotReady",
        r#"sum by (namespace, pod) (max by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"})) > {N}"#,
    ),
    (
        "PodCrashLooping",
        "increase(kube_pod_container_status_restarts_total[R]) > {N}",
    ),
    (
        "FilesystemFillsUp",
        r#"node_filesystem_avail_bytes{fstype!=""} / node_filesystem_size_bytes{fstype!=""} * 100 < {N} and predict_linear(node_filesystem_avail_bytes{fstype!=""}[1h], 24 * 60 * 60) < 0 and node_filesystem_readonly{fstype!=""} == 0"#,
    ),
    (
        "FilesystemOutOfFiles",
        r#"node_filesystem_files_free{fstype!=""} / node_filesystem_files{fstype!=""} * 100 < {N}"#,
    ),
    (
        "NetworkErrors",
        "rate(node_network_receive_errs_total[R]) / rate(node_network_receive_bytes_total[R]) > 1000 * {N}",
    ),
    (
        "ConntrackFull",
        "node_nf_conntrack_entries / node_nf_conntrack_entries_limit > 100000000 * {N}",
    ),
    (
        "NodeLoad",
        r#"node_load5 / count by (instance) (node_cpu_seconds_total{mode="idle"}) > 100000000 * {N}"#,
    ),
    (
        "NodeMemory",
        "100 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100) > 100000000 * {N}",
    ),
    ("NodeFlaps", r#"changes(up{job="node-exporter"}[R]) > {N}"#),
    (
        "CpuOvercommitted",
        r"sum(namespace_cpu:requests:sum) - count(node_load1) > 1000 * {N}",
    ),
    (
        "MemoryOvercommitted",
        "sum(namespace_memory:limits:sum) > 100000000000000 * {N}",
    ),
    (
        "ContainerOomKilled",
        "increase(container_oom_events_total[R]) > {N}",
    ),
    ("KubeletMissing", r#"absent(up{job="kubelet"} == 1)"#),
    (
        "DiskSaturated",
        r"max by (instance) (rate(node_disk_counter_3_total[R])) > 100000 * {N}",
    ),
    (
        "RequestsFellToNothing",
        "sum by (job) (rate(http_requests_total[R])) < 0.0000001 and sum by (job) (rate(http_requests_total[R] offset 1h)) > {N}",
    ),
    (
        "FileDescriptors",
        "max_over_time(process_open_fds[R]) > 1000000000000 * {N}",
    ),
    (
        "MemoryGrows",
        "deriv(process_resident_memory_bytes[1h]) > 1000000000000 * {N}",
    ),
    (
        "PacketsDropped",
        r"sum by (namespace, pod) (rate(container_network_receive_packets_dropped_total[R])) > 1000000 * {N}",
    ),
];

/// Ranges and thresholds.
const VARIANTS: [(&str, &str); 4] = [("2m", "11"), ("5m", "17"), ("10m", "23"), ("30m", "29")];

/// The rule file.
pub(crate) fn file() -> String {
    let mut file = "groups:\n".to_owned();
    for (range, number) in VARIANTS {
        let _ = writeln!(file, "- name: cluster-{range}\n  rules:");
        for (name, expression) in OF_THE_CLUSTER {
            let range = format!("[{range}]");
            let expression = expression.replace("[R]", &range).replace("{N}", number);
            rule(&mut file, name, &expression, &[("threshold", number)]);
        }
    }
    for app in 0..APPS {
        let app = format!("app-{app}");
        let _ = writeln!(file, "- name: {app}\n  rules:");
        for (name, expression) in OF_AN_APP {
            rule(&mut file, name, &expression.replace("APP", &app), &[]);
        }
    }
    file
}

fn rule(file: &mut String, name: &str, expression: &str, labels: &[(&str, &str)]) {
    let kind = if name.contains(':') {
        "record"
    } else {
        "alert"
    };
    let _ = writeln!(file, "  - {kind}: {name}\n    expr: '{expression}'");
    for (at, (name, value)) in labels.iter().enumerate() {
        let head = if at == 0 { "    labels:\n" } else { "" };
        let _ = writeln!(file, "{head}      {name}: '{value}'");
    }
    if kind == "alert" {
        let _ = writeln!(file, "    for: 10m");
        let _ = writeln!(
            file,
            "    annotations:\n      summary: '{name} of {{{{ $labels.job }}}} is {{{{ $value | humanize }}}}'"
        );
    }
}
