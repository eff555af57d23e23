//! `/status`: is the appliance itself well?

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use log_query::LogStoreStats;

use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Growth, Services, StatusReport, TaskReport, humanize};

/// Share of a budget from which on someone should look.
pub(crate) const NEARLY_FULL: f64 = 0.9;

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    shell: Shell,
    report: StatusReport,
    logs: LogStoreStats,
    disk: Disk,
    tasks: Vec<TaskRow>,
    troubled_tasks: usize,
    config_lines: usize,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let report = (services.status)();
    let logs = services.logs.stats();
    let disk = Disk::new(&report);
    let mut tasks: Vec<TaskRow> = report.tasks.iter().map(TaskRow::new).collect();
    // Trouble first; the sort keeps the start order within each.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.tone));
    render(&StatusPage {
        troubled_tasks: tasks.iter().filter(|t| t.tone >= Tone::Warn).count(),
        config_lines: report.config_yaml.lines().count(),
        shell: Shell::new(&services, visit, Page::Status),
        report,
        logs,
        disk,
        tasks,
    })
}

impl StatusPage {
    fn memory_share(&self) -> f64 {
        share(self.report.memory_bytes, self.report.memory_budget_bytes)
    }

    fn memory_tone(&self) -> Tone {
        if self.memory_share() >= NEARLY_FULL {
            Tone::Warn
        } else {
            Tone::Fine
        }
    }

    /// CPU cores in use on average since the start.
    fn cores(&self) -> String {
        let alive_s = (self.shell.visit.now_ms - self.report.started_ms).max(1) as f64 / 1000.0;
        humanize::percent(self.report.cpu_seconds / alive_s)
    }

    /// How much smaller the logs are on disk than their text.
    fn log_ratio(&self) -> String {
        match self.logs.text_bytes {
            0 => "–".to_owned(),
            text => humanize::percent(self.logs.disk_bytes as f64 / text as f64),
        }
    }
}

/// The disk budget and how long it lasts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Disk {
    /// Shares of the budget: logs, metrics, queues for remotes.
    pub(crate) shares: [f64; 3],
    pub(crate) logs: u64,
    pub(crate) metrics: u64,
    /// What waits for remotes.
    pub(crate) queues: u64,
    pub(crate) used: u64,
    pub(crate) budget: u64,
    pub(crate) free: u64,
    pub(crate) tone: Tone,
    /// What it means in words.
    pub(crate) sentence: String,
}

impl Disk {
    /// Says how long the budget lasts: for ever where everything that is kept fits into it.
    pub(crate) fn new(report: &StatusReport) -> Self {
        let used = report.disk_logs_bytes + report.disk_metrics_bytes + report.disk_queues_bytes;
        // The budget may be larger than what the file system has left.
        let reachable = report
            .disk_budget_bytes
            .min(used.saturating_add(report.disk_free_bytes));
        let left = reachable.saturating_sub(used);
        let full = share(used, reachable);
        let is_short = reachable < report.disk_budget_bytes && full >= NEARLY_FULL;
        let sentence = if is_short {
            let free = humanize::bytes(report.disk_free_bytes);
            format!("the file system has only {free} left, less than the budget allows")
        } else {
            match report.growth {
                None => {
                    "too early to tell how fast it grows: a forecast comes after some two hours"
                        .to_owned()
                }
                Some(growth) => forecast(growth, left, reachable),
            }
        };
        Self {
            shares: [
                share(report.disk_logs_bytes, reachable),
                share(report.disk_metrics_bytes, reachable),
                share(report.disk_queues_bytes, reachable),
            ],
            logs: report.disk_logs_bytes,
            metrics: report.disk_metrics_bytes,
            queues: report.disk_queues_bytes,
            used,
            budget: report.disk_budget_bytes,
            free: report.disk_free_bytes,
            tone: if is_short { Tone::Err } else { Tone::Fine },
            sentence,
        }
    }
}

/// How long the budget lasts, in words; so many bytes of it are left.
fn forecast(growth: Growth, left: u64, reachable: u64) -> String {
    /// From here on the oldest data goes while new data comes.
    const FULL_PART: u64 = 50;
    const DAY_MS: f64 = 86_400_000.0;
    let rate = format!("{} a day", humanize::bytes(growth.bytes_per_day));
    if growth.bytes_at_retention <= reachable {
        let all = humanize::bytes(growth.bytes_at_retention);
        format!("{rate}: the budget holds all that is kept, {all} in the end")
    } else if left <= reachable / FULL_PART {
        format!("{rate}: the budget is used, the oldest data makes room")
    } else {
        let days = left as f64 / growth.bytes_per_day.max(1) as f64;
        let lasts = humanize::span_ms((days * DAY_MS) as i64);
        format!("{rate}: full in {lasts}, then the oldest data makes room")
    }
}

/// Part of a whole; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A background task.
struct TaskRow {
    task: TaskReport,
    tone: Tone,
}

impl TaskRow {
    fn new(task: &TaskReport) -> Self {
        Self {
            tone: task_tone(task),
            task: task.clone(),
        }
    }
}

/// How a background task is.
pub(crate) fn task_tone(task: &TaskReport) -> Tone {
    match task.state.as_str() {
        "running" if task.restarts == 0 => Tone::Fine,
        "running" => Tone::Warn,
        "restarting" => Tone::Err,
        _ if task.last_error.is_empty() => Tone::Unknown,
        _ => Tone::Err,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    /// A budget of 20 GB of which so many are used, with a growth and what comes of it in GB.
    fn disk(used_gb: u64, free_gb: u64, growth: Option<(u64, u64)>) -> Disk {
        let report = StatusReport {
            disk_logs_bytes: used_gb * GB,
            disk_budget_bytes: 20 * GB,
            disk_free_bytes: free_gb * GB,
            growth: growth.map(|(a_day, in_the_end)| Growth {
                bytes_per_day: a_day * GB,
                bytes_at_retention: in_the_end * GB,
            }),
            ..StatusReport::default()
        };
        Disk::new(&report)
    }

    #[test]
    fn the_forecast_is_in_words() {
        let check = |disk: Disk, tone: Tone, expected: &str| {
            assert_eq!((disk.tone, disk.sentence.as_str()), (tone, expected));
        };
        let soon = "too early to tell how fast it grows: a forecast comes after some two hours";
        check(disk(1, 100, None), Tone::Fine, soon);
        check(
            disk(1, 100, Some((1, 14))),
            Tone::Fine,
            "1 GB a day: the budget holds all that is kept, 14 GB in the end",
        );
        // Most of it may be a backlog that was read in one go: that is no rate.
        check(
            disk(4, 100, Some((2, 28))),
            Tone::Fine,
            "2 GB a day: full in 8 d, then the oldest data makes room",
        );
        check(
            disk(20, 100, Some((2, 28))),
            Tone::Fine,
            "2 GB a day: the budget is used, the oldest data makes room",
        );
        check(
            disk(10, 1, Some((1, 14))),
            Tone::Err,
            "the file system has only 1 GB left, less than the budget allows",
        );
    }

    #[test]
    fn a_task_that_was_restarted_is_worth_a_look() {
        let tone = |state: &str, restarts| {
            let task = TaskReport {
                state: state.to_owned(),
                restarts,
                ..TaskReport::default()
            };
            task_tone(&task)
        };
        assert_eq!(tone("running", 0), Tone::Fine);
        assert_eq!(tone("running", 2), Tone::Warn);
        assert_eq!(tone("restarting", 2), Tone::Err);
    }
}
