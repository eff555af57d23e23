//! What is wrong, in words: everything that the rooms tell of themselves, boiled down to the list
//! that the Overview opens with. Pure: snapshots in, problems out.

use std::cmp::Reverse;

use alert_rules::{AlertState, GroupSnapshot, RuleHealth};
use model::{Health, Label, LogSource, LogSourceState, ScrapeTarget};

use super::alerts::{active, distinguishing, severity, summary};
use super::status::{Disk, NEARLY_FULL, task_tone};
use super::targets::{LAG_S_MAX, hint};
use crate::StatusReport;
use crate::html::Tone;
use crate::humanize;

/// Something that someone should look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// `Err` or `Warn`.
    pub(crate) tone: Tone,
    /// Order within the tone, higher first.
    pub(crate) weight: u8,
    /// What it is.
    pub(crate) title: String,
    /// What it is about.
    pub(crate) object: Vec<Label>,
    /// Why, and what helps, in a sentence.
    pub(crate) cause: String,
    /// Since when, milliseconds since 1970-01-01 UTC; 0 where nobody knows.
    pub(crate) since_ms: i64,
    /// Where to look closer.
    pub(crate) link: String,
}

/// What the problems are found in.
pub(crate) struct Evidence<'a> {
    pub(crate) groups: &'a [GroupSnapshot],
    pub(crate) targets: &'a [ScrapeTarget],
    pub(crate) sources: &'a [LogSource],
    pub(crate) report: &'a StatusReport,
    pub(crate) disk: &'a Disk,
}

/// All problems: the worst first, among equals the oldest.
pub(crate) fn problems(evidence: &Evidence<'_>) -> Vec<Problem> {
    let mut problems = alerts(evidence.groups);
    problems.extend(targets(evidence));
    problems.extend(sources(evidence.sources));
    problems.extend(appliance(evidence));
    problems.sort_by_key(|problem| {
        let since = if problem.since_ms == 0 {
            i64::MAX
        } else {
            problem.since_ms
        };
        (Reverse(problem.tone), Reverse(problem.weight), since)
    });
    problems
}

/// Alerts that fire. A pending one is not yet known to be true (its text may speak of half an
/// hour that has not passed): the overview counts those, the Alerts page lists them.
fn alerts(groups: &[GroupSnapshot]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = active(groups)
        .filter(|(_, alert)| alert.state == AlertState::Firing)
        // A Watchdog fires while all is well.
        .filter(|(_, alert)| alert.labels.get("severity") != Some("none"))
        .map(|(rule, alert)| {
            let weight = severity(&alert.labels);
            Problem {
                // Who writes "info" on an alert does not want to be woken.
                tone: if weight > 0 { Tone::Err } else { Tone::Warn },
                weight,
                title: rule.name.clone(),
                object: distinguishing(rule, alert),
                cause: summary(alert).to_owned(),
                since_ms: alert.active_at_ms,
                link: format!("/alerts/{}", model::Alert::fingerprint_of(&alert.labels)),
            }
        })
        .collect();
    let failing: Vec<_> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter(|rule| rule.health == RuleHealth::Err)
        .collect();
    if let Some(first) = failing.first() {
        let n = failing.len() as u64;
        problems.push(Problem {
            tone: Tone::Warn,
            weight: 2,
            title: format!(
                "{} cannot be evaluated",
                humanize::things(n, "rule", "rules")
            ),
            object: vec![label("rule", &first.name)],
            cause: first.last_error.clone(),
            since_ms: 0,
            link: "/alerts/rules?state=failing".to_owned(),
        });
    }
    problems
}

fn targets(evidence: &Evidence<'_>) -> Vec<Problem> {
    // An alert on `up` says the same with more words.
    let told = |target: &ScrapeTarget| {
        active(evidence.groups).any(|(rule, alert)| {
            let same = |name| alert.labels.get(name) == target.labels.get(name);
            alert.state == AlertState::Firing
                && rule.expression.trim_start().starts_with("up")
                && same("job")
                && same("instance")
        })
    };
    evidence
        .targets
        .iter()
        .filter(|target| target.health == Health::Down && !told(target))
        .map(|target| {
            let hint = hint(&target.last_error);
            Problem {
                tone: Tone::Err,
                weight: 1,
                title: format!("{} cannot be scraped", target.scrape_pool),
                object: vec![label("target", &target.scrape_url)],
                cause: if hint.is_empty() {
                    target.last_error.clone()
                } else {
                    hint.to_owned()
                },
                since_ms: 0,
                link: "/targets?health=down".to_owned(),
            }
        })
        .collect()
}

fn sources(sources: &[LogSource]) -> Vec<Problem> {
    let failed: Vec<_> = sources
        .iter()
        .filter_map(|source| match &source.state {
            LogSourceState::Failed(reason) => Some((source, reason.clone())),
            _ => None,
        })
        .collect();
    let behind: Vec<_> = sources
        .iter()
        .filter(|source| source.lag_seconds > LAG_S_MAX && source.lag_bytes > 0)
        .map(|source| {
            let lag = humanize::span_ms((source.lag_seconds * 1000.0) as i64);
            let bytes = humanize::bytes(source.lag_bytes);
            (
                source,
                format!("{bytes} are not read yet, the newest read line is {lag} old"),
            )
        })
        .collect();
    let dropping: Vec<_> = sources
        .iter()
        .filter(|source| source.lines_dropped > 0)
        .map(|source| {
            let lines = humanize::things(source.lines_dropped, "line was", "lines were");
            (
                source,
                format!("{lines} dropped since the start: binary, or longer than the limit"),
            )
        })
        .collect();
    let kinds = [
        (Tone::Err, failed, "cannot be read"),
        (Tone::Warn, behind, "behind"),
        (Tone::Warn, dropping, "with dropped lines"),
    ];
    kinds
        .into_iter()
        .filter_map(|(tone, found, what)| {
            let n = found.len() as u64;
            let (first, cause) = found.into_iter().next()?;
            Some(Problem {
                tone,
                weight: 0,
                title: format!("{} {what}", humanize::things(n, "log file", "log files")),
                object: vec![label("file", &first.path)],
                cause,
                since_ms: 0,
                link: "/targets?health=down".to_owned(),
            })
        })
        .collect()
}

fn appliance(evidence: &Evidence<'_>) -> Vec<Problem> {
    let report = evidence.report;
    let problem = |tone, title: &str, cause: &str| Problem {
        tone,
        weight: 1,
        title: title.to_owned(),
        object: Vec::new(),
        cause: cause.to_owned(),
        since_ms: 0,
        link: "/status".to_owned(),
    };
    let mut problems = Vec::new();
    if !report.reload_error.is_empty() {
        let title = "The new configuration was refused, the old one is in force";
        problems.push(problem(Tone::Warn, title, &report.reload_error));
    }
    if evidence.disk.tone >= Tone::Warn {
        problems.push(problem(
            evidence.disk.tone,
            "Disk space runs out",
            &evidence.disk.sentence,
        ));
    }
    let memory = report.memory_bytes as f64 / report.memory_budget_bytes.max(1) as f64;
    if report.memory_budget_bytes > 0 && memory >= NEARLY_FULL {
        let cause = format!(
            "{} of {} are in use",
            humanize::bytes(report.memory_bytes),
            humanize::bytes(report.memory_budget_bytes)
        );
        problems.push(problem(
            Tone::Warn,
            "Yagura's memory budget is nearly used",
            &cause,
        ));
    }
    for task in report
        .tasks
        .iter()
        .filter(|task| task_tone(task) >= Tone::Warn)
    {
        let title = format!(
            "The task “{}” was started again {} times",
            task.name, task.restarts
        );
        problems.push(problem(task_tone(task), &title, &task.last_error));
    }
    for one in &report.failing {
        problems.push(Problem {
            since_ms: one.since_ms,
            link: "/alerts/receivers".to_owned(),
            ..problem(
                Tone::Err,
                &format!("Messages do not reach {}", one.what),
                &one.error,
            )
        });
    }
    for warning in &report.warnings {
        problems.push(problem(Tone::Warn, "Yagura warns", warning));
    }
    problems
}

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.into(),
        value: value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alert_rules::{ActiveAlert, RuleKind, RuleSnapshot};
    use model::Labels;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn group(expression: &str, alerts: &[(AlertState, &str, i64)]) -> GroupSnapshot {
        let alerts = alerts
            .iter()
            .map(|(state, severity, since_ms)| ActiveAlert {
                labels: labels(&[("job", "nas"), ("instance", "a:1"), ("severity", severity)]),
                annotations: Labels::empty(),
                state: *state,
                active_at_ms: *since_ms,
                fired_at_ms: None,
                keep_firing_since_ms: None,
                value: 1.0,
            });
        let rule = RuleSnapshot {
            name: "Rule".to_owned(),
            expression: expression.to_owned(),
            source: alert_rules::Source::Metrics,
            labels: Labels::empty(),
            kind: RuleKind::Alerting {
                for_ms: 0,
                keep_firing_for_ms: 0,
                annotations: Labels::empty(),
                alerts: alerts.collect(),
            },
            not_applicable: None,
            health: RuleHealth::Ok,
            last_error: String::new(),
            last_evaluation_ms: 0,
            evaluation_duration_s: 0.0,
        };
        GroupSnapshot {
            name: "group".to_owned(),
            file: "file".to_owned(),
            interval_ms: 15_000,
            limit: 0,
            rules: vec![rule],
            last_evaluation_ms: 0,
            evaluation_duration_s: 0.0,
        }
    }

    fn found(groups: &[GroupSnapshot], targets: &[ScrapeTarget]) -> Vec<Problem> {
        let report = StatusReport::default();
        let disk = Disk::new(&report);
        problems(&Evidence {
            groups,
            targets,
            sources: &[],
            report: &report,
            disk: &disk,
        })
    }

    #[test]
    fn the_worst_comes_first_and_among_equals_the_oldest() {
        let firing = AlertState::Firing;
        let groups = [group(
            "load > 1",
            &[
                (AlertState::Pending, "critical", 1),
                (firing, "warning", 20),
                (firing, "info", 2),
                (firing, "warning", 10),
                (firing, "critical", 30),
            ],
        )];
        let order: Vec<i64> = found(&groups, &[]).iter().map(|p| p.since_ms).collect();
        assert_eq!(order, [30, 10, 20, 2]);
    }

    #[test]
    fn a_target_that_an_alert_tells_of_is_told_once() {
        let target = ScrapeTarget {
            scrape_pool: "nas".to_owned(),
            labels: labels(&[("job", "nas"), ("instance", "a:1")]),
            health: Health::Down,
            last_error: "connection refused".to_owned(),
            ..ScrapeTarget::default()
        };
        let titles = |groups: &[GroupSnapshot]| -> Vec<String> {
            let problems = found(groups, std::slice::from_ref(&target));
            problems.into_iter().map(|problem| problem.title).collect()
        };
        let firing = [(AlertState::Firing, "warning", 1)];
        assert_eq!(titles(&[group("up == 0", &firing)]), ["Rule"]);
        let both = titles(&[group("load > 1", &firing)]);
        assert_eq!(both, ["Rule", "nas cannot be scraped"]);
        assert_eq!(titles(&[]), ["nas cannot be scraped"]);
        let pending = [(AlertState::Pending, "warning", 1)];
        assert_eq!(
            titles(&[group("up == 0", &pending)]),
            ["nas cannot be scraped"]
        );
    }
}
