//! `/status`: is the appliance itself well?

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use log_query::LogStoreStats;

use crate::html::Tone;
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, StatusReport, TaskReport, humanize};

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
    let disk = Disk::new(&report, &logs, visit.now_ms);
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
    /// Shares of the budget: logs, metrics.
    pub(crate) shares: [f64; 2],
    pub(crate) logs: u64,
    pub(crate) metrics: u64,
    pub(crate) used: u64,
    pub(crate) budget: u64,
    pub(crate) free: u64,
    pub(crate) tone: Tone,
    /// What it means in words.
    pub(crate) sentence: String,
}

impl Disk {
    /// Computes the forecast: what is kept now was collected since the oldest line, so that is
    /// the rate; a budget that retention by age never reaches lasts for ever.
    pub(crate) fn new(report: &StatusReport, logs: &LogStoreStats, now_ms: i64) -> Self {
        /// Less than this says nothing about a day.
        const KNOWN_AFTER_MS: i64 = 600_000;
        const DAY_MS: f64 = 86_400_000.0;

        let used = report.disk_logs_bytes + report.disk_metrics_bytes;
        // The budget may be larger than what the file system has left.
        let reachable = report
            .disk_budget_bytes
            .min(used.saturating_add(report.disk_free_bytes));
        let left = reachable.saturating_sub(used);
        let full = share(used, reachable);
        let oldest_ms = match logs.oldest_ns {
            0 => report.started_ms,
            ns => (ns / 1_000_000).min(report.started_ms),
        };
        let age_ms = now_ms - oldest_ms;
        let days_kept = report.retention_logs_ms.max(report.retention_metrics_ms) as f64 / DAY_MS;
        let (tone, sentence) = if reachable < report.disk_budget_bytes && full >= NEARLY_FULL {
            let free = humanize::bytes(report.disk_free_bytes);
            (
                Tone::Err,
                format!("the file system has only {free} left, less than the budget allows"),
            )
        } else if age_ms < KNOWN_AFTER_MS || used == 0 {
            (
                Tone::Fine,
                "a forecast comes after ten minutes of collecting".to_owned(),
            )
        } else {
            let per_day = used as f64 / (age_ms as f64 / DAY_MS);
            let days = left as f64 / per_day;
            let rate = format!("{} a day", humanize::bytes(per_day as u64));
            if days_kept > 0.0 && days_kept * per_day <= reachable as f64 {
                let kept = humanize::span_ms((days_kept * DAY_MS) as i64);
                (
                    Tone::Fine,
                    format!("{rate}: the budget holds all of the {kept} that are kept"),
                )
            } else if left == 0 || full >= 0.98 {
                (
                    Tone::Fine,
                    format!("{rate}: the budget is used, the oldest data makes room"),
                )
            } else {
                let left = humanize::span_ms((days * DAY_MS) as i64);
                (
                    Tone::Fine,
                    format!("{rate}: full in {left}, then the oldest data makes room"),
                )
            }
        };
        Self {
            shares: [
                share(report.disk_logs_bytes, reachable),
                share(report.disk_metrics_bytes, reachable),
            ],
            logs: report.disk_logs_bytes,
            metrics: report.disk_metrics_bytes,
            used,
            budget: report.disk_budget_bytes,
            free: report.disk_free_bytes,
            tone,
            sentence,
        }
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

    const DAY_MS: i64 = 86_400_000;
    const GB: u64 = 1 << 30;

    /// A forecast `days` after the first line, with so many GB used of a budget of 20.
    fn forecast(days: f64, used_gb: u64, free_gb: u64, kept_days: i64) -> Disk {
        let report = StatusReport {
            started_ms: DAY_MS,
            disk_logs_bytes: used_gb * GB,
            disk_budget_bytes: 20 * GB,
            disk_free_bytes: free_gb * GB,
            retention_logs_ms: kept_days * DAY_MS,
            ..StatusReport::default()
        };
        let now_ms = DAY_MS + (days * DAY_MS as f64) as i64;
        Disk::new(&report, &LogStoreStats::default(), now_ms)
    }

    #[test]
    fn the_forecast_is_in_words() {
        let check = |disk: Disk, tone: Tone, expected: &str| {
            assert_eq!((disk.tone, disk.sentence.as_str()), (tone, expected));
        };
        let soon = "a forecast comes after ten minutes of collecting";
        check(forecast(0.001, 1, 100, 14), Tone::Fine, soon);
        check(
            forecast(1.0, 1, 100, 14),
            Tone::Fine,
            "1 GB a day: the budget holds all of the 14 d that are kept",
        );
        check(
            forecast(2.0, 4, 100, 14),
            Tone::Fine,
            "2 GB a day: full in 8 d, then the oldest data makes room",
        );
        check(
            forecast(10.0, 20, 100, 14),
            Tone::Fine,
            "2 GB a day: the budget is used, the oldest data makes room",
        );
        check(
            forecast(10.0, 10, 1, 14),
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
