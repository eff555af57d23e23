//! Fifty thousand series of a cluster: nodes, containers, what kube-state-metrics says of them,
//! and eighty applications.

use metric_store::MetricStore;
use model::{Labels, SampleSink, SlotId, TargetId};

/// 2026-11-23 00:00 UTC.
pub(crate) const T0: i64 = 1_795_392_000_000;
pub(crate) const SCRAPE_MS: i64 = 15_000;
pub(crate) const APPS: usize = 80;

const NODES: usize = 20;
const PODS_PER_NODE: usize = 25;
const SERIES_PER_POD: usize = 34;

/// A series: where it is stored, and a number from which its values follow.
pub(crate) struct Series {
    pub(crate) slot: SlotId,
    seed: u64,
    shape: Shape,
}

/// How values go on.
#[derive(Clone, Copy)]
enum Shape {
    /// Counts, and begins anew now and then.
    Counter,
    /// Jumps around.
    Gauge,
    /// Always the same.
    Constant(f64),
}

impl Series {
    /// The value of a scrape.
    pub(crate) fn value(&self, row: usize) -> f64 {
        let row = row as u64;
        let noise = (self.seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 7;
        let noise = noise.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 44;
        let speed = 1 + self.seed % 40;
        match (self.shape, self.seed % 3) {
            (Shape::Constant(value), _) => value,
            (Shape::Counter, 0) => (row % (700 + self.seed % 900) * speed + noise % speed) as f64,
            (Shape::Counter, 1) => (row * speed * 100 + noise % (speed * 100)) as f64 / 100.0,
            // A third of all counters hardly ever move.
            (Shape::Counter, _) => (row / 97 * speed) as f64,
            (Shape::Gauge, 0) => speed as f64,
            (Shape::Gauge, 1) => (speed << 20) as f64 + (noise % 4096 * 4096) as f64,
            (Shape::Gauge, _) => noise as f64 / 1024.0,
        }
    }
}

/// A target with its series.
pub(crate) struct Target {
    pub(crate) id: TargetId,
    /// How long after the round it is scraped.
    pub(crate) offset_ms: i64,
    /// Series that have a timestamp together: all, or those of a pod.
    pub(crate) together: usize,
    pub(crate) series: Vec<Series>,
}

/// Opens targets and series.
struct Opening<'a> {
    store: &'a MetricStore,
    targets: Vec<Target>,
    n_series: u64,
    /// Labels that all series of the target have.
    common: Vec<(&'static str, String)>,
}

impl Opening<'_> {
    fn target(&mut self, job: &str, instance: String, common: &[(&'static str, String)]) {
        let name = format!("scrape/{job}/{instance}");
        self.targets.push(Target {
            id: self.store.open_target(&name).expect("opens"),
            offset_ms: (self.targets.len() * 977) as i64 % 5_000,
            together: usize::MAX,
            series: Vec::new(),
        });
        self.common = vec![("job", job.to_owned()), ("instance", instance)];
        self.common.extend_from_slice(common);
        self.add("up", &[], Shape::Constant(1.0));
    }

    fn add(&mut self, name: &str, labels: &[(&'static str, String)], shape: Shape) {
        let named = [("__name__", name.to_owned())];
        let pairs = named.iter().chain(&self.common).chain(labels);
        let labels = Labels::from_pairs(pairs.map(|(name, value)| (*name, value.clone())));
        let target = self.targets.last_mut().expect("opened before");
        self.n_series += 1;
        target.series.push(Series {
            slot: self.store.open_slot(target.id, &labels).expect("opens"),
            seed: self.n_series.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 3,
            shape,
        });
    }
}

/// Opens all of them.
pub(crate) fn open(store: &MetricStore) -> Vec<Target> {
    let mut opening = Opening {
        store,
        targets: Vec::new(),
        n_series: 0,
        common: Vec::new(),
    };
    for node in 0..NODES {
        open_node(&mut opening, node);
        open_containers(&mut opening, node);
    }
    open_states(&mut opening);
    for app in 0..APPS {
        for replica in 0..2 {
            open_app(&mut opening, app, replica);
        }
    }
    opening.targets
}

/// What `node_exporter` says: 341 series.
fn open_node(to: &mut Opening<'_>, node: usize) {
    to.target("node-exporter", format!("10.0.0.{node}:9100"), &[]);
    for cpu in 0..16 {
        for mode in [
            "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
        ] {
            let labels = [("cpu", cpu.to_string()), ("mode", mode.to_owned())];
            to.add("node_cpu_seconds_total", &labels, Shape::Counter);
        }
    }
    for name in [
        "node_load1",
        "node_load5",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes",
        "node_boot_time_seconds",
        "node_nf_conntrack_entries",
        "node_nf_conntrack_entries_limit",
    ] {
        to.add(name, &[], Shape::Gauge);
    }
    for device in 0..10 {
        let labels = [
            ("device", format!("/dev/sd{device}")),
            ("fstype", "ext4".to_owned()),
            ("mountpoint", format!("/data/{device}")),
        ];
        for name in ["avail_bytes", "size_bytes", "files", "files_free"] {
            let name = format!("node_filesystem_{name}");
            to.add(&name, &labels, Shape::Constant(1e9 + device as f64));
        }
        to.add("node_filesystem_readonly", &labels, Shape::Constant(0.0));
        for number in 0..10 {
            let name = format!("node_disk_counter_{number}_total");
            to.add(&name, &labels[..1], Shape::Counter);
        }
        for name in ["receive_bytes", "transmit_bytes", "receive_errs", "drop"] {
            let name = format!("node_network_{name}_total");
            let labels = [("device", format!("eth{device}"))];
            to.add(&name, &labels, Shape::Counter);
        }
    }
    for number in 0..15 {
        to.add(
            &format!("node_netstat_{number}"),
            &[],
            if number % 2 == 0 {
                Shape::Counter
            } else {
                Shape::Gauge
            },
        );
    }
}

fn pod_labels(pod: usize) -> [(&'static str, String); 2] {
    [
        ("namespace", format!("app-{}", pod % APPS)),
        ("pod", format!("app-{}-{:05x}", pod % APPS, pod * 7919)),
    ]
}

/// What cAdvisor says: 851 series.
fn open_containers(to: &mut Opening<'_>, node: usize) {
    let node_label = [("node", format!("node-{node}"))];
    to.target("kubelet", format!("10.0.0.{node}:10250"), &node_label);
    // cAdvisor tells when it looked at a pod.
    to.targets.last_mut().expect("just opened").together = SERIES_PER_POD;
    for pod in 0..PODS_PER_NODE {
        let pod = pod_labels(node * PODS_PER_NODE + pod);
        for container in ["main", "proxy"] {
            let labels = [&pod[..], &[("container", container.to_owned())]].concat();
            for name in [
                "cpu_usage_seconds",
                "cpu_cfs_throttled_periods",
                "cpu_cfs_periods",
                "fs_reads",
                "fs_writes",
                "fs_reads_bytes",
                "fs_writes_bytes",
            ] {
                to.add(&format!("container_{name}_total"), &labels, Shape::Counter);
            }
            for name in ["working_set_bytes", "rss", "cache", "swap"] {
                to.add(&format!("container_memory_{name}"), &labels, Shape::Gauge);
            }
            to.add("container_threads", &labels, Shape::Constant(12.0));
        }
        for name in ["receive", "transmit"] {
            for what in ["bytes", "packets", "errors", "packets_dropped"] {
                let name = format!("container_network_{name}_{what}_total");
                to.add(&name, &pod, Shape::Counter);
            }
        }
        let labels = [&pod[..], &[("container", String::new())]].concat();
        to.add("container_spec_cpu_period", &labels, Shape::Constant(1e5));
        to.add("container_oom_events_total", &labels, Shape::Constant(0.0));
    }
}

/// What kube-state-metrics says: 10,001 series.
fn open_states(to: &mut Opening<'_>) {
    to.target("kube-state-metrics", "10.1.0.1:8080".to_owned(), &[]);
    for number in 0..NODES * PODS_PER_NODE {
        let pod = pod_labels(number);
        let node = format!("node-{}", number / PODS_PER_NODE);
        let labels = [&pod[..], &[("node", node.clone())]].concat();
        to.add("kube_pod_info", &labels, Shape::Constant(1.0));
        for phase in ["Pending", "Running", "Succeeded", "Failed", "Unknown"] {
            let labels = [&pod[..], &[("phase", phase.to_owned())]].concat();
            let value = f64::from(u8::from(phase == "Running"));
            to.add("kube_pod_status_phase", &labels, Shape::Constant(value));
        }
        for container in ["main", "proxy"] {
            let labels = [&pod[..], &[("container", container.to_owned())]].concat();
            let restarts = "kube_pod_container_status_restarts_total";
            to.add(restarts, &labels, Shape::Constant(3.0));
            for name in ["ready", "running"] {
                let name = format!("kube_pod_container_status_{name}");
                to.add(&name, &labels, Shape::Constant(1.0));
            }
            for (resource, value) in [("cpu", 0.5), ("memory", 4e9)] {
                for name in ["requests", "limits"] {
                    let name = format!("kube_pod_container_resource_{name}");
                    let resource = [("resource", resource.to_owned())];
                    let labels = [&labels[..], &resource].concat();
                    to.add(&name, &labels, Shape::Constant(value));
                }
            }
        }
    }
}

/// What an application says of itself: 101 series.
fn open_app(to: &mut Opening<'_>, app: usize, replica: usize) {
    let pod = pod_labels(app + replica * APPS);
    let instance = format!("10.2.{app}.{replica}:8080");
    to.target(&format!("app-{app}"), instance, &pod);
    for path in 0..6 {
        let path = ("path", format!("/api/v1/things/{path}"));
        for code in ["200", "404", "500"] {
            let labels = [path.clone(), ("code", code.to_owned())];
            to.add("http_requests_total", &labels, Shape::Counter);
        }
        for le in [
            "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf",
        ] {
            let labels = [path.clone(), ("le", le.to_owned())];
            let name = "http_request_duration_seconds_bucket";
            to.add(name, &labels, Shape::Counter);
        }
    }
    for name in [
        "process_cpu_seconds_total",
        "http_request_duration_seconds_sum",
    ] {
        to.add(name, &[], Shape::Counter);
    }
    for name in ["process_open_fds", "process_resident_memory_bytes"] {
        to.add(name, &[], Shape::Gauge);
    }
    for number in 0..24 {
        to.add(
            &format!("runtime_figure_{number}"),
            &[],
            if number % 2 == 0 {
                Shape::Counter
            } else {
                Shape::Gauge
            },
        );
    }
}
