//! The expressions: everything that Prometheus 2.42 knows, over the data of `data`.

/// Functions over a range, with the place of the range.
const OVER_TIME: [&str; 26] = [
    "rate({})",
    "increase({})",
    "irate({})",
    "delta({})",
    "idelta({})",
    "deriv({})",
    "predict_linear({}, 3600)",
    "predict_linear({}, -60.5)",
    "changes({})",
    "resets({})",
    "avg_over_time({})",
    "sum_over_time({})",
    "min_over_time({})",
    "max_over_time({})",
    "count_over_time({})",
    "last_over_time({})",
    "present_over_time({})",
    "absent_over_time({})",
    "quantile_over_time(0.9, {})",
    "quantile_over_time(0, {})",
    "quantile_over_time(1.5, {})",
    "quantile_over_time(scalar(constant), {})",
    "stddev_over_time({})",
    "stdvar_over_time({})",
    "sum(rate({}))",
    "count_values(\"v\", changes({}))",
];

const RANGES: [&str; 14] = [
    "node_cpu_seconds_total{cpu=\"0\"}[5m]",
    "container_cpu_usage_seconds_total[1m30s]",
    "container_memory_working_set_bytes[10m]",
    "http_requests_total{method=\"GET\"}[1h]",
    "http_requests_total{instance=\"b\"}[47s]",
    "holes[5m]",
    "holes[13s]",
    "flapping[4m]",
    "node_load1[7m] offset 11m",
    "node_load1[7m] offset -3m",
    "up[20m] @ 1795395000.5",
    "missing{a=\"b\", c=~\"d\"}[5m]",
    "(http_requests_total{code=\"200\"} > 0)[10m:1m] offset 20m",
    "node_memory_MemAvailable_bytes[17m:30s]",
];

/// Functions of an instant vector.
const INSTANT: [&str; 46] = [
    "abs(- {})",
    "ceil({})",
    "floor({})",
    "round({})",
    "round({}, 0.25)",
    "sqrt({})",
    "exp({} / 1e10)",
    "ln({})",
    "log2({})",
    "log10({})",
    "sgn({})",
    "clamp({}, 2, 1e9)",
    "clamp({}, 2, 1)",
    "clamp_min({}, 3)",
    "clamp_max({}, 3)",
    "sin({})",
    "cos({})",
    "tan({})",
    "asin({} / 1e11)",
    "acos({} / 1e11)",
    "atan({})",
    "sinh({} / 1e9)",
    "cosh({} / 1e9)",
    "tanh({} / 1e9)",
    "asinh({})",
    "acosh({})",
    "atanh({} / 1e11)",
    "deg({})",
    "rad({})",
    "timestamp({})",
    "minute({} % 1e11 < 1e11)",
    "hour({} % 1e11 < 1e11)",
    "day_of_month({} % 1e11 < 1e11)",
    "day_of_week({} % 1e11 < 1e11)",
    "day_of_year({} % 1e11 < 1e11)",
    "days_in_month({} % 1e11 < 1e11)",
    "month({} % 1e11 < 1e11)",
    "year({} % 1e11 < 1e11)",
    "absent({})",
    "scalar({})",
    "vector(scalar({}))",
    "sort({})",
    "sort_desc({})",
    "label_replace({}, \"to\", \"<$1>\", \"instance\", \"(.*):.*\")",
    "label_join({}, \"to\", \"-\", \"instance\", \"pod\", \"job\")",
    "-{} + +{}",
];

const VECTORS: [&str; 6] = [
    "node_filesystem_avail_bytes",
    "node_load1",
    "odd{kind!~\"nan|.*inf\"}",
    "holes offset 1m",
    "up",
    "missing{x=\"y\"}",
];

const AGGREGATIONS: [&str; 22] = [
    "sum%({})",
    "avg%({})",
    "min%({})",
    "max%({})",
    "count%({})",
    "group%({})",
    "stddev%({})",
    "stdvar%({})",
    "topk%(2, {})",
    "topk%(0, {})",
    "bottomk%(3, {})",
    "quantile%(0.5, {})",
    "quantile%(0.99, {})",
    "quantile%(-1, {})",
    "quantile%(NaN, {})",
    "count_values%(\"v\", {})",
    "sum%({} > 1)",
    "max%(rate({}[5m]))",
    "avg%(avg_over_time({}[10m]))",
    "count%(count_over_time({}[10m]) > 2)",
    "sum%(sum without (mode, container) ({}))",
    "quantile%(scalar(constant), {})",
];

const GROUPINGS: [&str; 5] = [
    "",
    " by (instance, namespace)",
    " by (nothing)",
    " without (cpu, kind)",
    " by (__name__)",
];

const GROUPED: [&str; 5] = [
    "node_cpu_seconds_total",
    "container_memory_working_set_bytes",
    "holes",
    "http_requests_total",
    "odd{kind=~\"signs|tiny|inf\"}",
];

const OPERATORS: [&str; 21] = [
    "+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "== bool", "!= bool", "< bool",
    "> bool", "<= bool", ">= bool", "and", "or", "unless",
];

const OPERANDS: [&str; 9] = [
    "node_filesystem_avail_bytes % node_filesystem_size_bytes",
    "node_filesystem_avail_bytes % on (instance, device) node_filesystem_size_bytes",
    "http_requests_total{code=\"200\"} % ignoring (code) http_requests_total{code=\"500\"}",
    "container_memory_working_set_bytes % on (pod) group_left (node) kube_pod_info",
    "kube_pod_info % on (pod, namespace) group_right () container_memory_working_set_bytes",
    "odd % odd",
    "odd % 2.5",
    "-1 % holes",
    "up % node_load1",
];

/// One on each line.
const OTHERS: &str = r#"
1
-1.5e3
NaN
0x1f - 017
1 / 0
-1 ^ 0.5
2 ^ 3 ^ 2
5 % -3
1 == bool 1
time()
pi()
"text"
vector(time())
scalar(vector(1) > 2)
minute()
hour()
day_of_week()
days_in_month(vector(1677628800))
year(vector(-1))
minute(vector(-0.5))
hour(vector(-3600.5))
absent(up)
absent(up > 5)
absent(missing{a="b", c="d", c="e", f=~"g"})
absent(sum(missing))
absent_over_time(holes{kind="ends"}[5m])
histogram_quantile(0.9, http_request_duration_seconds_bucket)
histogram_quantile(0.9, rate(http_request_duration_seconds_bucket[5m]))
histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))
histogram_quantile(0, rate(http_request_duration_seconds_bucket[5m]))
histogram_quantile(1, rate(http_request_duration_seconds_bucket[5m]))
histogram_quantile(-0.5, http_request_duration_seconds_bucket)
histogram_quantile(1.5, http_request_duration_seconds_bucket)
histogram_quantile(NaN, http_request_duration_seconds_bucket)
histogram_quantile(0.9, idle_bucket)
histogram_quantile(0.9, cut_bucket)
histogram_quantile(0.9, http_requests_total)
histogram_quantile(scalar(constant), http_request_duration_seconds_bucket)
rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])
sum by (instance) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (instance) (rate(http_requests_total[5m]))
1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))
100 * (1 - node_filesystem_avail_bytes{fstype!="tmpfs"} / node_filesystem_size_bytes) > 60
predict_linear(node_filesystem_avail_bytes{fstype!=""}[30m], 4 * 3600) < 0
time() - node_boot_time_seconds > 3600
changes(node_boot_time_seconds[15m]) > 0
max_over_time(up[10m]) unless on (instance) up == 1
kube_pod_status_phase{phase="Running"} == 1 and on (pod) container_memory_working_set_bytes > 1e8
sum by (namespace) (kube_pod_container_resource_requests{resource="memory"}) / scalar(sum(node_memory_MemTotal_bytes))
sum by (node) (kube_pod_container_resource_requests * on (pod, namespace) group_left () (kube_pod_status_phase{phase=~"Pending|Running"} == 1))
count by (node) (kube_pod_info)
count(count by (node) (kube_pod_info))
topk(3, sum by (pod) (container_memory_working_set_bytes))
bottomk(1, node_load1) by (job)
max_over_time(sum by (namespace) (rate(container_cpu_usage_seconds_total[2m]))[30m:1m])
avg_over_time((node_load1 > 1.2)[20m:45s])
quantile_over_time(0.95, rate(http_requests_total[1m])[15m:20s])
sum_over_time(up[1h:10m] offset 5m)
min_over_time(up[1h:10m] @ 1795396000.5)
rate(http_requests_total[5m] @ end())
rate(http_requests_total[5m] @ start()) - rate(http_requests_total[5m] offset 10m)
node_load1 @ 1795396000 offset 7m
node_load1 offset -10m
-node_load1
-(up - 1) * 2
up == 0
up != on (instance) group_left node_load1
{job="node-exporter", __name__=~"node_load.*|up"}
{__name__="up"}
{__name__=~"node_filesystem_(avail|size)_bytes", fstype!~"tmpfs|xfs"}
{kind=~".+"}
{kind!="", pod=""}
sum({__name__=~"node_memory_.*"}) by (__name__)
rate({__name__=~"node_network_.*_bytes_total", device="eth0"}[5m])
label_replace(up, "job", "", "", "")
label_replace(up, "new", "$2-$1", "instance", "(.+)\\.(.+):.*")
label_replace(up, "instance", "same", "instance", ".*")
label_replace(up, "x", "y", "instance", "(")
label_replace(up, "__name__", "down", "", "")
label_join(up, "instance", "")
label_join(up, "all", ",", "job", "nothing", "instance")
up * on (instance) group_left (fstype) node_filesystem_size_bytes
node_filesystem_size_bytes * on (instance) group_left (job) up
node_filesystem_size_bytes / on (instance) node_load1
node_load1 / on (instance) node_filesystem_size_bytes
node_filesystem_size_bytes * on (device) group_left () up
up or on (instance) node_load1
up and on () vector(1)
vector(1) unless on () up
node_load1 and ignoring (job) up == 1
sum(holes) or vector(0)
count_values("value", up)
count_values by (job) ("job", up)
count_values without (instance) ("v", kube_pod_status_phase)
quantile(0.5, odd)
avg(odd{kind="both inf"})
avg(odd{kind="inf"})
sum(odd{kind=~"both inf|huge"})
max(odd{kind=~".*nan"})
min(odd{kind=~".*nan|signs"})
topk(10, odd)
bottomk(10, odd)
stddev(constant)
avg_over_time(odd{kind="inf"}[5m])
avg_over_time(odd{kind="huge"}[5m])
sum_over_time(odd{kind=~"both inf|tiny"}[5m])
max_over_time(odd[5m])
min_over_time(odd{kind=~".*nan"}[5m])
changes(odd[5m])
resets(odd[5m])
quantile_over_time(0.5, odd{kind=~".*nan|inf"}[5m])
odd == odd
odd{kind=~".*nan"} == NaN
odd % 3
1 / odd{kind="signs"}
flapping
flapping offset 2m
holes{kind="one sample"}
timestamp(holes{kind="one sample"})
timestamp(flapping offset 90s)
timestamp(up + 0)
scalar(up)
scalar(constant)
group by (job) (up)
sum by (job) (up) + 1
sort(node_load1)
sort_desc(node_filesystem_avail_bytes)
sort_desc(odd)
up[5m]
rate(up)
sum(up
sum by (le) (1)
up + "x"
"#;

/// All of them.
pub(crate) fn expressions() -> Vec<String> {
    let mut list: Vec<String> = OTHERS
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    for function in OVER_TIME {
        for range in RANGES {
            list.push(function.replace("{}", range));
        }
    }
    for function in INSTANT {
        for vector in VECTORS {
            list.push(function.replace("{}", vector));
        }
    }
    for aggregation in AGGREGATIONS {
        for grouping in GROUPINGS {
            for vector in GROUPED {
                list.push(aggregation.replace('%', grouping).replace("{}", vector));
            }
        }
    }
    for operator in OPERATORS {
        for operands in OPERANDS {
            list.push(operands.replace('%', operator));
        }
    }
    list
}
