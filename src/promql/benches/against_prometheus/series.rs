//! Twenty thousand series of nodes, containers and an application.

use model::{Labels, Samples};

/// 2026-11-23 00:00 UTC.
pub(crate) const T0: i64 = 1_795_392_000_000;
pub(crate) const SCRAPE_MS: i64 = 15_000;

/// A series: its labels, and a number from which its values follow.
pub(crate) struct Series {
    pub(crate) labels: Labels,
    seed: u64,
    is_counter: bool,
}

impl Series {
    /// The value of a scrape. Counters grow by some whole or broken number, and begin anew after
    /// some hours; gauges jump around.
    pub(crate) fn value(&self, row: usize) -> f64 {
        let row = row as u64;
        let noise = (self.seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 7;
        let noise = noise.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 44;
        let speed = 1 + self.seed % 40;
        match (self.is_counter, self.seed % 3) {
            (true, 0) => (row % (700 + self.seed % 900) * speed) as f64 + (noise % speed) as f64,
            (true, 1) => (row % 1100 * speed * 100 + noise % (speed * 100)) as f64 / 100.0,
            // Half of all counters hardly ever move.
            (true, _) => (row / 97 * speed) as f64,
            (false, 0) => speed as f64,
            (false, 1) => (speed << 24) as f64 + (noise * 4096) as f64,
            (false, _) => noise as f64 / 1024.0,
        }
    }

    /// The samples of a time.
    pub(crate) fn samples(&self, from: i64, to: i64) -> Samples {
        let mut samples = Samples::default();
        for time in (from..to).step_by(SCRAPE_MS as usize) {
            samples.push(time, self.value(((time - T0) / SCRAPE_MS) as usize));
        }
        samples
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Series> {
    let mut all = Vec::new();
    let mut add = |name: &str, pairs: &[(&str, String)], is_counter: bool| {
        let named = pairs.iter().map(|(name, value)| (*name, value.clone()));
        let name = std::iter::once(("__name__", name.to_owned()));
        all.push(Series {
            labels: Labels::from_pairs(name.chain(named)),
            seed: (all.len() as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 3,
            is_counter,
        });
    };
    // 13,700 series that one query reads.
    for pod in 0..137 {
        for path in 0..100 {
            let labels = [
                ("namespace", format!("team-{}", pod % 12)),
                ("path", format!("/api/v1/things/{path}")),
                ("pod", format!("web-{pod:04x}")),
                ("code", ["200", "404", "500"][path % 3].to_owned()),
            ];
            add("http_requests_total", &labels, true);
        }
    }
    for pod in 0..137 {
        let pod_labels = [
            ("namespace", format!("team-{}", pod % 12)),
            ("pod", format!("web-{pod:04x}")),
        ];
        for container in ["main", "proxy"] {
            let labels = [&pod_labels[..], &[("container", container.to_owned())]].concat();
            add("container_cpu_usage_seconds_total", &labels, true);
            add("container_memory_working_set_bytes", &labels, false);
            add("container_fs_reads_total", &labels, true);
            add("kube_pod_container_resource_requests", &labels, false);
            add("kube_pod_container_status_restarts_total", &labels, true);
        }
        for name in [
            "container_network_receive_bytes_total",
            "container_network_transmit_bytes_total",
        ] {
            add(name, &pod_labels, true);
        }
        let node = [&pod_labels[..], &[("node", format!("node-{}", pod % 8))]].concat();
        add("kube_pod_info", &node, false);
        for le in [
            "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
        ] {
            let labels = [&pod_labels[..], &[("le", le.to_owned())]].concat();
            add("http_request_duration_seconds_bucket", &labels, true);
        }
        add("http_request_duration_seconds_sum", &pod_labels, true);
        add("http_request_duration_seconds_count", &pod_labels, true);
    }
    for node in 0..8 {
        let instance = [("instance", format!("node-{node}"))];
        for cpu in 0..16 {
            for mode in [
                "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
            ] {
                let labels = [
                    &instance[..],
                    &[("cpu", cpu.to_string()), ("mode", mode.to_owned())],
                ];
                add("node_cpu_seconds_total", &labels.concat(), true);
            }
        }
        for name in [
            "node_memory_MemTotal_bytes",
            "node_memory_MemAvailable_bytes",
            "node_load1",
            "up",
        ] {
            add(name, &instance, false);
        }
        for device in 0..20 {
            let device = [&instance[..], &[("device", format!("sd{device}"))]].concat();
            add("node_filesystem_avail_bytes", &device, false);
            add("node_filesystem_size_bytes", &device, false);
            add("node_disk_io_time_seconds_total", &device, true);
            add("node_network_receive_bytes_total", &device, true);
            add("node_network_transmit_bytes_total", &device, true);
        }
    }
    all
}
