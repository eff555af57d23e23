//! What both are fed: two hours of made-up nodes, containers, cluster objects and an application.
//!
//! Counters begin anew, pods come and go (with stale markers, and without), scrapes are missed.
//! No sample lies on a whole second: Prometheus 3 leaves out the very start of a range, which 2
//! took in, and where no sample is there both agree (`differences` is about where one is).

use model::{Labels, Samples, stale_nan};

/// 2026-11-23 00:00 UTC.
pub(crate) const T0: i64 = 1_795_392_000_000;
/// Until then there is data.
pub(crate) const END: i64 = T0 + 7_200_000;
const SCRAPE_MS: i64 = 15_000;
const SCRAPES: i64 = 480;

/// Random numbers that are the same each time (xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.roll(1 << 30) as f64 / (1u64 << 30) as f64
    }
}

/// Whether a scrape finds a series.
type IsThere = fn(i64) -> bool;

/// Series as they grow.
pub(crate) struct Data {
    pub(crate) series: Vec<(Labels, Samples)>,
    dice: Dice,
}

impl Data {
    /// Everything that the expressions of `expressions` speak about.
    pub(crate) fn generated() -> Self {
        let mut data = Self {
            series: Vec::new(),
            dice: Dice(0x9e37_79b9_7f4a_7c15),
        };
        for node in 0..3 {
            data.node(node);
        }
        for pod in 0..8 {
            data.pod(pod);
        }
        data.application();
        data.odd();
        data
    }

    /// Adds a series with a value for every scrape of a target, or none where it was missed.
    pub(crate) fn add(
        &mut self,
        target: i64,
        labels: &[(&str, &str)],
        mut value: impl FnMut(i64, &mut Dice) -> Option<f64>,
    ) {
        let mut samples = Samples::default();
        for scrape in 0..SCRAPES {
            // Some milliseconds late now and then.
            let late = self.dice.roll(4) * self.dice.roll(5);
            let time = T0 + scrape * SCRAPE_MS + 217 + target % 7 * 2_100 + late as i64;
            if let Some(value) = value(scrape, &mut self.dice) {
                samples.push(time, value);
            }
        }
        let labels = Labels::from_pairs(labels.iter().copied());
        self.series.push((labels, samples));
    }

    /// A counter that grows by up to `speed` per scrape and begins anew at some scrapes. It is
    /// far from zero at first (`differences` is about those that are not).
    fn counter(&mut self, target: i64, labels: &[(&str, &str)], speed: f64, resets: &[i64]) {
        let mut total = speed * (100.0 + 100.0 * self.dice.share());
        self.add(target, labels, |scrape, dice| {
            total += speed * dice.share();
            if resets.contains(&scrape) {
                total = 0.0;
            }
            Some(total)
        });
    }

    /// A gauge that wanders around `middle`.
    fn gauge(&mut self, target: i64, labels: &[(&str, &str)], middle: f64) {
        self.add(target, labels, |scrape, dice| {
            let wave = (scrape as f64 / 40.0).sin() / 4.0;
            Some(middle * (1.0 + wave + dice.share() / 10.0))
        });
    }

    fn node(&mut self, node: i64) {
        let instance = format!("10.0.0.{node}:9100");
        let base = [("instance", instance.as_str()), ("job", "node-exporter")];
        let with = |more: &[(&'static str, &'static str)]| [&base[..], more].concat();
        // The second node is started anew after 50 minutes, the third is not reached for a while.
        let resets: &[i64] = if node == 1 { &[200] } else { &[] };
        for cpu in ["0", "1"] {
            for (mode, speed) in [
                ("idle", 13.0),
                ("user", 2.0),
                ("system", 1.0),
                ("iowait", 0.1),
            ] {
                let labels = with(&[
                    ("__name__", "node_cpu_seconds_total"),
                    ("cpu", cpu),
                    ("mode", mode),
                ]);
                self.counter(node, &labels, speed, resets);
            }
        }
        for (device, kind) in [
            ("/dev/sda1", "ext4"),
            ("/dev/nvme0n1", "xfs"),
            ("tmpfs", "tmpfs"),
        ] {
            for (name, size) in [("avail", 3e10), ("size", 8e10)] {
                let name = format!("node_filesystem_{name}_bytes");
                let labels = [
                    &base[..],
                    &[
                        ("__name__", name.as_str()),
                        ("device", device),
                        ("fstype", kind),
                    ],
                ];
                self.gauge(node, &labels.concat(), size);
            }
        }
        for (name, middle) in [
            ("node_memory_MemAvailable_bytes", 4e9),
            ("node_memory_MemTotal_bytes", 16e9),
            ("node_load1", 1.3),
            ("node_filefd_allocated", 1200.0),
        ] {
            self.gauge(node, &with(&[("__name__", name)]), middle);
        }
        for device in ["eth0", "lo"] {
            for name in [
                "node_network_receive_bytes_total",
                "node_network_transmit_bytes_total",
            ] {
                let labels = with(&[("__name__", name), ("device", device)]);
                self.counter(node, &labels, 150_000.0, resets);
            }
        }
        let boot = with(&[("__name__", "node_boot_time_seconds")]);
        self.add(node, &boot, |scrape, _| {
            let boots = [T0 / 1000 - 400_000, T0 / 1000 + 200 * 15];
            Some(boots[usize::from(node == 1 && scrape >= 200)] as f64)
        });
        let up = with(&[("__name__", "up")]);
        self.add(node, &up, |scrape, _| {
            Some(f64::from(u8::from(
                node != 2 || !(250..290).contains(&scrape),
            )))
        });
    }

    fn pod(&mut self, pod: i64) {
        let name = format!("web-{pod:x}");
        let namespace = ["shop", "monitoring"][usize::from(pod % 3 == 0)];
        // Half of the pods end at some time; only some of these say so.
        let (born, died) = match pod % 4 {
            0 => (0, SCRAPES),
            1 => (0, 210 + pod * 11),
            2 => (150 + pod * 7, SCRAPES),
            _ => (60, 300 + pod),
        };
        for container in ["main", "sidecar"] {
            let labels = |metric: &'static str| {
                [
                    ("__name__", metric),
                    ("container", container),
                    ("namespace", namespace),
                    ("pod", name.as_str()),
                ]
            };
            let mut used = 0.0;
            let cpu = labels("container_cpu_usage_seconds_total");
            self.add(pod, &cpu, |scrape, dice| {
                used += 3.0 * dice.share();
                match scrape {
                    _ if (born..died).contains(&scrape) => Some(used),
                    _ if scrape == died && pod % 2 == 1 => Some(stale_nan()),
                    _ => None,
                }
            });
            let memory = labels("container_memory_working_set_bytes");
            self.add(pod, &memory, |scrape, dice| {
                let is_missed = (100..130).contains(&scrape) && pod == 4;
                let lives = (born..died).contains(&scrape) && !is_missed;
                lives.then(|| 1e8 + (dice.roll(4096) * 4096) as f64)
            });
            for (resource, size) in [("cpu", 0.5), ("memory", 2.5e8)] {
                let labels = [
                    &labels("kube_pod_container_resource_requests")[..],
                    &[
                        ("resource", resource),
                        ("node", ["n1", "n2"][usize::from(pod > 4)]),
                    ],
                ];
                self.add(7, &labels.concat(), |_, _| Some(size));
            }
        }
        for phase in ["Pending", "Running", "Failed"] {
            let labels = [
                ("__name__", "kube_pod_status_phase"),
                ("namespace", namespace),
                ("phase", phase),
                ("pod", name.as_str()),
            ];
            self.add(7, &labels, |scrape, _| {
                let is = match scrape {
                    _ if scrape < born + 5 => "Pending",
                    _ if scrape < died => "Running",
                    _ => "Failed",
                };
                Some(f64::from(u8::from(is == phase)))
            });
        }
        let info = [
            ("__name__", "kube_pod_info"),
            ("namespace", namespace),
            ("node", ["n1", "n2"][usize::from(pod > 4)]),
            ("pod", name.as_str()),
        ];
        self.add(7, &info, |_, _| Some(1.0));
    }

    fn application(&mut self) {
        for instance in ["a", "b"] {
            for (code, speed) in [("200", 90.0), ("404", 4.0), ("500", 1.0)] {
                for method in ["GET", "POST"] {
                    let labels = [
                        ("__name__", "http_requests_total"),
                        ("code", code),
                        ("instance", instance),
                        ("method", method),
                    ];
                    let resets: &[i64] = if instance == "b" {
                        &[120, 121, 333]
                    } else {
                        &[]
                    };
                    self.counter(3, &labels, speed, resets);
                }
            }
            let mut counts = [1e4; 6];
            let bounds = ["0.01", "0.1", "0.5", "1", "5", "+Inf"];
            let mut rows = vec![[0.0; 6]; SCRAPES as usize];
            for row in &mut rows {
                let seen = 1 + self.dice.roll(20);
                for _ in 0..seen {
                    let least = self.dice.roll(6) as usize;
                    counts[least..].iter_mut().for_each(|count| *count += 1.0);
                }
                *row = counts;
            }
            for (at, le) in bounds.iter().enumerate() {
                let labels = [
                    ("__name__", "http_request_duration_seconds_bucket"),
                    ("instance", instance),
                    ("le", le),
                ];
                self.add(4, &labels, |scrape, _| Some(rows[scrape as usize][at]));
            }
            for (name, factor) in [("sum", 0.3), ("count", 1.0)] {
                let name = format!("http_request_duration_seconds_{name}");
                let labels = [("__name__", name.as_str()), ("instance", instance)];
                self.add(4, &labels, |scrape, _| {
                    Some(factor * rows[scrape as usize][5])
                });
            }
        }
        // A histogram that never counts, and one that lacks its last bucket.
        for (name, top) in [("idle", "+Inf"), ("cut", "2")] {
            for le in ["0.5", "1", top] {
                let name = format!("{name}_bucket");
                self.add(5, &[("__name__", &name), ("le", le)], |scrape, _| {
                    Some(if name == "idle_bucket" {
                        0.0
                    } else {
                        scrape as f64
                    })
                });
            }
        }
    }

    /// Values and holes that break what is not careful.
    fn odd(&mut self) {
        let odd: [(&str, [f64; 4]); 7] = [
            ("nan", [f64::NAN, f64::NAN, f64::NAN, f64::NAN]),
            ("some nan", [1.0, f64::NAN, 3.0, 2.0]),
            ("inf", [f64::INFINITY, 5.0, f64::INFINITY, 7.0]),
            ("both inf", [f64::INFINITY, f64::NEG_INFINITY, 1.0, 2.0]),
            ("huge", [1e300, 1.7e308, -1e300, 1e308]),
            // Go takes wrong logarithms of positive numbers that are smaller still.
            ("tiny", [1e-307, 1e-300, -1e-310, 0.0]),
            ("signs", [-0.0, 0.0, -2.5, 2.5]),
        ];
        for (kind, values) in odd {
            self.add(2, &[("__name__", "odd"), ("kind", kind)], |scrape, _| {
                values.get(scrape as usize % 4).copied()
            });
        }
        let holes: [(&str, IsThere); 4] = [
            ("one sample", |scrape| scrape == 240),
            ("seven minutes", |scrape| !(200..228).contains(&scrape)),
            ("every third", |scrape| scrape % 3 == 0),
            ("ends", |scrape| scrape < 200),
        ];
        for (kind, is_there) in holes {
            self.add(
                5,
                &[("__name__", "holes"), ("kind", kind)],
                |scrape, dice| is_there(scrape).then(|| 1e4 + scrape as f64 * 10.0 + dice.share()),
            );
        }
        self.add(1, &[("__name__", "flapping")], |scrape, _| {
            match scrape % 30 {
                0..=9 => Some(scrape as f64),
                10 => Some(stale_nan()),
                _ => None,
            }
        });
        self.add(1, &[("__name__", "constant")], |_, _| Some(0.1));
        self.add(
            1,
            &[("__name__", "one_line"), ("text", "two\nlines")],
            |_, _| Some(1.0),
        );
        // Where a sample lies exactly on the start of a range.
        let mut samples = Samples::default();
        for scrape in 0..SCRAPES {
            samples.push(T0 + scrape * SCRAPE_MS, (scrape * scrape) as f64 + 1e6);
        }
        let labels = Labels::from_pairs([("__name__", "punctual_total")]);
        self.series.push((labels, samples));
        // A counter that is seen with its first step already made.
        let mut samples = Samples::default();
        for scrape in 0..14 {
            samples.push(
                T0 + 3_400_000 + scrape * SCRAPE_MS,
                12.0 * (scrape + 1) as f64,
            );
        }
        let labels = Labels::from_pairs([("__name__", "born_total")]);
        self.series.push((labels, samples));
        let mut samples = Samples::default();
        samples.push(T0 + 3_600_000, 3.0);
        let labels = Labels::from_pairs([("__name__", "punctual_once")]);
        self.series.push((labels, samples));
    }
}
