//! The rules that Yagura brings along: about the machine it runs on, the targets it asks, and
//! itself. Ordinary rule files (`builtin/*.yaml`), loaded like any other.
//!
//! Thresholds are such that a healthy machine is silent: each alert is something that a person
//! should act on, and says in its description what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use template::{RULE_VARIABLES, Template};

use crate::file::{Loaded, Problem, parse};
use crate::query::Languages;
use crate::spec::{GroupSpec, RuleOutput, RuleSpec, Text};

/// What built-in groups have for a file name.
pub const BUILTIN_FILE: &str = "built-in";

const FILES: [&str; 5] = [
    include_str!("builtin/host.yaml"),
    include_str!("builtin/targets.yaml"),
    include_str!("builtin/kubernetes.yaml"),
    include_str!("builtin/logs.yaml"),
    include_str!("builtin/yagura.yaml"),
];

/// Rules that are off until somebody wants them, and why.
const OFF: [(&str, &str); 1] = [(
    "Watchdog",
    "it always fires, for a service that misses it when it stops; switch it on with \
     `alerts: {builtin: {Watchdog: on}}`",
)];

/// What the configuration says of a built-in rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuiltinChange {
    /// Whether it is evaluated; `None` for as it comes.
    pub on: Option<bool>,
    /// How long before it fires, instead of its own time.
    pub hold: Option<Duration>,
    /// How bad it is, instead of its own `severity`.
    pub severity: Option<String>,
}

/// Changes by the name of the rule.
pub type BuiltinChanges = BTreeMap<String, BuiltinChange>;

/// Reads the built-in rules and changes them as the configuration wants. A rule of the user's
/// own (`others`) with the name of a built-in one takes its place.
pub fn builtin(languages: Languages<'_>, changes: &BuiltinChanges, others: &[GroupSpec]) -> Loaded {
    let mut all = Loaded::default();
    for text in FILES {
        let mut loaded = parse(BUILTIN_FILE, text, languages);
        all.groups.append(&mut loaded.groups);
        all.problems.append(&mut loaded.problems);
    }
    let own: BTreeSet<&str> = others
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| matches!(rule.output, RuleOutput::Alerting { .. }))
        .map(|rule| &*rule.name)
        .collect();
    let mut known = BTreeSet::new();
    for group in &mut all.groups {
        group.where_applicable = true;
        for rule in &mut group.rules {
            known.insert(rule.name.to_string());
            let change = changes.get(&*rule.name).cloned().unwrap_or_default();
            let changed = changed(rule, &change, own.contains(&*rule.name));
            *rule = Arc::new(changed);
        }
    }
    for name in changes.keys().filter(|name| !known.contains(*name)) {
        all.problems.push(Problem {
            file: "alerts.builtin".to_owned(),
            line: 0,
            message: format!("there is no built-in rule {name:?}: the Alerts page names them all"),
        });
    }
    all
}

fn changed(rule: &RuleSpec, change: &BuiltinChange, is_replaced: bool) -> RuleSpec {
    let mut rule = rule.clone();
    let off = OFF.iter().find(|(name, _)| *name == &*rule.name);
    rule.idle = match (is_replaced, change.on, off) {
        (true, ..) => Some("replaced by a rule of this name in a rule file".to_owned()),
        (_, Some(false), _) => Some("switched off by `alerts.builtin`".to_owned()),
        (_, None, Some((_, why))) => Some((*why).to_owned()),
        _ => None,
    };
    if let (Some(hold), RuleOutput::Alerting { for_ms, .. }) = (change.hold, &mut rule.output) {
        *for_ms = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    }
    if let Some(severity) = &change.severity
        && let Ok(template) = Template::parse("severity", severity, &RULE_VARIABLES)
    {
        rule.labels.retain(|(name, _)| &**name != "severity");
        let text = Text {
            source: Arc::from(severity.as_str()),
            template,
        };
        rule.labels.push((Arc::from("severity"), text));
        rule.labels.sort_by(|a, b| a.0.cmp(&b.0));
    }
    rule
}

#[cfg(test)]
mod tests {
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

    fn world<'a>(query: &'a PromqlQuery, memory: &'a Memory) -> World<'a> {
        static NOTHING: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::empty);
        World {
            languages: languages(query),
            query_offset_ms: 0,
            sink: memory,
            external_labels: &NOTHING,
            external_url: "",
            resend_ms: MINUTE,
            for_grace_ms: MINUTE,
            outage_tolerance_ms: MINUTE,
            elapsed: &|| Duration::ZERO,
        }
    }

    #[test]
    fn every_rule_loads_and_says_what_to_do() {
        let memory = Arc::new(Memory::default());
        let loaded = builtin(languages(&query(&memory)), &BuiltinChanges::new(), &[]);
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
                severity
                    .is_some_and(|(_, s)| ["warning", "critical", "none"].contains(&&*s.source)),
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
    fn rules_are_switched_off_changed_and_replaced_by_name() {
        let memory = Arc::new(Memory::default());
        let query = query(&memory);
        let own = parse(
            "own.yml",
            "groups: [{name: g, rules: [{alert: HostCpuSaturated, expr: up == 0}]}]",
            languages(&query),
        );
        let change = |on, severity: Option<&str>| BuiltinChange {
            on,
            hold: severity.map(|_| Duration::from_mins(7)),
            severity: severity.map(str::to_owned),
        };
        let changes = BuiltinChanges::from([
            ("HostOutOfMemoryKill".to_owned(), change(Some(false), None)),
            ("TargetDown".to_owned(), change(None, Some("critical"))),
            ("Watchdog".to_owned(), change(Some(true), None)),
            ("Watchdoge".to_owned(), change(Some(false), None)),
        ]);
        let loaded = builtin(languages(&query), &changes, &own.groups);
        assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
        assert!(loaded.problems[0].message.contains("Watchdoge"));
        let rule = |name: &str| {
            let rules = loaded.groups.iter().flat_map(|group| &group.rules);
            rules
                .clone()
                .find(|rule| &*rule.name == name)
                .expect("there")
                .clone()
        };
        let idle = |name: &str| rule(name).idle.clone().unwrap_or_default();
        assert!(idle("HostOutOfMemoryKill").contains("switched off"));
        assert!(idle("HostCpuSaturated").contains("replaced"));
        assert_eq!(idle("Watchdog"), "");
        let down = rule("TargetDown");
        assert!(matches!(
            down.output,
            RuleOutput::Alerting {
                for_ms: 420_000,
                ..
            }
        ));
        assert!(
            down.labels
                .iter()
                .any(|(_, text)| &*text.source == "critical")
        );
        let plain = builtin(languages(&query), &BuiltinChanges::new(), &[]);
        let watchdog = plain.groups.iter().flat_map(|g| &g.rules);
        let watchdog = watchdog.clone().find(|rule| &*rule.name == "Watchdog");
        assert!(watchdog.is_some_and(|rule| rule.idle.is_some()));
    }

    #[test]
    fn what_does_not_exist_here_is_said_and_not_evaluated() {
        let memory = Arc::new(Memory::default());
        let query = query(&memory);
        let world = world(&query, &memory);
        let spec = builtin(languages(&query), &BuiltinChanges::new(), &[])
            .groups
            .remove(0);
        let mut group = Group::new(Arc::new(spec), MINUTE, false);
        assert_eq!(group.evaluate(START, &world).rules, 0);
        let snapshot = group.snapshot();
        let why = snapshot.rules[0]
            .not_applicable
            .as_deref()
            .unwrap_or_default();
        assert!(
            why.starts_with("not applicable here: no metric `node_filesystem_avail_bytes`"),
            "{why}"
        );
        // What appears later is watched from then on.
        let load = Labels::from_pairs([("__name__", "node_filefd_allocated"), ("instance", "a")]);
        let most = Labels::from_pairs([("__name__", "node_filefd_maximum"), ("instance", "a")]);
        let later = START + 6 * MINUTE;
        memory.put(&load, later, 1.0);
        memory.put(&most, later, 10.0);
        assert_eq!(group.evaluate(later, &world).rules, 1);
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
