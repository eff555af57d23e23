//! What dashboards and rules ask.

/// The query of the design's figures: 13,700 series.
pub(crate) const LARGE: &str = "sum by (pod) (rate(http_requests_total[5m]))";

/// Each is asked with several ranges in the place of `R`.
const WITH_RANGE: [&str; 27] = [
    "sum by (namespace) (rate(container_cpu_usage_seconds_total[R]))",
    "sum by (namespace, pod) (irate(container_cpu_usage_seconds_total{container!=\"\"}[R]))",
    "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[R]))",
    "sum by (instance, mode) (rate(node_cpu_seconds_total[R]))",
    "topk(5, sum by (pod) (rate(http_requests_total{code=~\"5..\"}[R])))",
    "sum(rate(http_requests_total{code=~\"5..\"}[R])) / sum(rate(http_requests_total[R]))",
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[R])))",
    "histogram_quantile(0.9, sum by (namespace, le) (rate(http_request_duration_seconds_bucket[R])))",
    "sum by (pod) (rate(http_request_duration_seconds_sum[R])) / sum by (pod) (rate(http_request_duration_seconds_count[R]))",
    "increase(kube_pod_container_status_restarts_total[R]) > 0",
    "max by (pod) (max_over_time(container_memory_working_set_bytes[R]))",
    "avg by (namespace) (avg_over_time(container_memory_working_set_bytes[R]))",
    "quantile_over_time(0.95, node_load1[R])",
    "max by (namespace) (quantile_over_time(0.95, container_memory_working_set_bytes[R]))",
    "sum by (instance) (stddev_over_time(node_filesystem_avail_bytes[R]))",
    "max by (instance) (deriv(node_filesystem_avail_bytes[R]))",
    "predict_linear(node_filesystem_avail_bytes[R], 4 * 3600) < 0",
    "sum by (instance) (rate(node_network_receive_bytes_total[R])) + sum by (instance) (rate(node_network_transmit_bytes_total[R]))",
    "8 * sum by (namespace) (rate(container_network_receive_bytes_total[R]))",
    "sum by (node) (rate(container_cpu_usage_seconds_total[R]) * on (namespace, pod) group_left (node) kube_pod_info)",
    "changes(up[R]) > 2",
    "min_over_time(up[R]) == 0",
    "count(count_over_time(container_memory_working_set_bytes[R]) < 4)",
    "sum(sum_over_time(container_memory_working_set_bytes[R]))",
    "resets(http_request_duration_seconds_count[R]) > 0",
    "sum by (namespace) (delta(container_memory_working_set_bytes[R]))",
    "absent_over_time(up{instance=\"nowhere\"}[R])",
];

const RANGES: [&str; 3] = ["2m", "5m", "30m"];

/// As they are.
const OTHERS: [&str; 19] = [
    "sum by (namespace) (container_memory_working_set_bytes)",
    "sum(container_memory_working_set_bytes) / sum(node_memory_MemTotal_bytes)",
    "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
    "node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 10",
    "count by (node) (kube_pod_info)",
    "count(up == 1) / count(up)",
    "topk(10, container_memory_working_set_bytes)",
    "quantile(0.9, container_memory_working_set_bytes)",
    "sum by (code) (http_requests_total)",
    "count by (pod) (http_requests_total)",
    "max without (path, code) (http_requests_total)",
    "stddev by (namespace) (container_memory_working_set_bytes)",
    "container_memory_working_set_bytes / on (namespace, pod, container) kube_pod_container_resource_requests > 1",
    "sum by (namespace) (kube_pod_container_resource_requests) / on () group_left () sum(node_memory_MemTotal_bytes)",
    "label_replace(up, \"node\", \"$1\", \"instance\", \"node-(.*)\")",
    "max_over_time(sum(rate(http_request_duration_seconds_count[2m]))[30m:1m])",
    "avg_over_time(node_load1[1h:5m])",
    "container_memory_working_set_bytes unless on (pod) kube_pod_info{node=\"node-1\"}",
    "node_load1 > 1.5 and on (instance) up == 1",
];

/// A hundred of them.
pub(crate) fn mix() -> Vec<String> {
    let ranged = WITH_RANGE
        .iter()
        .flat_map(|query| RANGES.map(|range| query.replace("[R]", &format!("[{range}]"))));
    let others = OTHERS.iter().map(|query| (*query).to_owned());
    ranged.chain(others).collect()
}
