//! `/`: the answer first. What is wrong, what comes in, how the host is, where the errors are.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use alert_rules::AlertState;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use log_query::{Bucket, Direction, Filter, LogStoreStats, Query, Record, Search, Stop};
use model::{Health, Labels, Level, StoreError};
use promql::Value;

use super::alerts::active;
use super::problems::{Evidence, Problem, problems};
use super::status::Disk;
use crate::ask::{self, Steps};
use crate::html::Tone;
use crate::request::{Params, Visit};
use crate::shell::{Page, Shell, refuse, render};
use crate::sparkline::{LevelBars, Sparkline};
use crate::time_range::TimeRange;
use crate::{Services, StatusReport, humanize};

/// Problems shown as cards; the others are folded.
const CARDS_MAX: usize = 8;

/// Points of a small chart.
const POINTS: i64 = 90;

/// Error lines looked at for the hotspots; the page says when there are more.
const ERRORS_MAX: usize = 10_000;

/// Streams listed as hotspots.
const HOTSPOTS_MAX: usize = 8;

/// Longest piece of a log line shown, characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// How long the page says that things are only beginning.
const BEGINNING_MS: i64 = 60_000;

/// File systems that hold nothing of their own.
const REAL_FILESYSTEMS: &str =
    r#"{fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs|devtmpfs|fuse.*|proc|sysfs|cgroup.*"}"#;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    tone: Tone,
    headline: Vec<String>,
    cards: Vec<Problem>,
    folded: Vec<Problem>,
    beginning: bool,
    report: StatusReport,
    stats: LogStoreStats,
    disk: Disk,
    sources: u64,
    figures: Figures,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let range = TimeRange::of(&visit.params, visit.now_ms);
    let figures = ask::blocking(&services, move |services| Figures::gather(services, &range));
    let figures = match figures.await {
        Ok(figures) => figures,
        Err(error) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return refuse(&services, visit, status, "No answer", &format!("{error}."));
        }
    };
    let groups = (services.rule_groups)();
    let targets = (services.scrape_targets)();
    let sources = (services.log_sources)();
    let report = (services.status)();
    let stats = services.logs.stats();
    let disk = Disk::new(&report);
    let mut cards = problems(&Evidence {
        groups: &groups,
        targets: &targets,
        sources: &sources,
        report: &report,
        disk: &disk,
    });
    let up = targets
        .iter()
        .filter(|target| target.health == Health::Up)
        .count();
    let behind_s = sources
        .iter()
        .map(|source| source.lag_seconds)
        .fold(0.0, f64::max);
    let nothing_yet = sources.is_empty() && targets.is_empty();
    let pending = active(&groups)
        .filter(|(_, alert)| alert.state == AlertState::Pending)
        .count() as u64;
    let mut headline = vec![
        match cards.len() as u64 {
            0 if nothing_yet => "Nothing is collected yet".to_owned(),
            0 => "All is well".to_owned(),
            n => humanize::things(n, "problem", "problems"),
        },
        match sources.len() as u64 {
            0 => "no log file yet".to_owned(),
            n => humanize::things(n, "log file", "log files"),
        },
        match targets.len() {
            0 => "no target yet".to_owned(),
            n if n == up => humanize::things(n as u64, "target up", "targets up"),
            n => format!("{up} of {n} targets up"),
        },
        match (stats.newest_ns, behind_s) {
            (0, _) => "no log line yet".to_owned(),
            (_, s) if s >= 1.0 => format!("logs {} behind", humanize::span_ms((s * 1000.0) as i64)),
            _ => "logs up to date".to_owned(),
        },
    ];
    if pending > 0 {
        headline.insert(
            1,
            humanize::things(pending, "alert pending", "alerts pending"),
        );
    }
    let folded = cards.split_off(cards.len().min(CARDS_MAX));
    render(&OverviewPage {
        tone: match cards.first() {
            Some(problem) => problem.tone,
            None if nothing_yet => Tone::Unknown,
            None => Tone::Fine,
        },
        beginning: visit.now_ms - report.started_ms < BEGINNING_MS,
        shell: Shell::new(&services, visit, Page::Overview),
        headline,
        cards,
        folded,
        report,
        stats,
        disk,
        sources: sources.len() as u64,
        figures,
    })
}

impl OverviewPage {
    /// What stands under an empty chart: the first minute is no failure.
    fn nothing(&self) -> &'static str {
        if self.beginning {
            "the first points come within half a minute"
        } else {
            "no data in this range"
        }
    }
}

/// What takes a look into the stores.
struct Figures {
    ingest: Result<Ingest, String>,
    host: Vec<HostFigure>,
    hotspots: Result<Hotspots, String>,
}

impl Figures {
    fn gather(services: &Services, range: &TimeRange) -> Self {
        let deadline = Instant::now() + services.query_timeout;
        let said = |error: StoreError| error.to_string();
        Self {
            ingest: Ingest::gather(services, range).map_err(said),
            host: HOST
                .iter()
                .map(|wanted| wanted.gather(services, range, deadline))
                .collect(),
            hotspots: Hotspots::gather(services, range).map_err(said),
        }
    }
}

/// Log lines over the range.
struct Ingest {
    buckets: Vec<Bucket>,
    /// Lines per second in the last whole bucket.
    rate: String,
    lines: u64,
    errors: u64,
    label: String,
}

impl Ingest {
    fn gather(services: &Services, range: &TimeRange) -> Result<Self, StoreError> {
        let steps = Steps::over(range, POINTS);
        let buckets = services
            .logs
            .histogram(&search(range, Query::all(), 0), steps.step_ms * 1_000_000)?;
        let sum = |bucket: &Bucket| bucket.counts.iter().sum::<u64>();
        let bad = |bucket: &Bucket| -> u64 {
            bucket.counts[Level::Error as usize] + bucket.counts[Level::Fatal as usize]
        };
        let lines = buckets.iter().map(sum).sum();
        let errors = buckets.iter().map(bad).sum();
        // The last bucket is still being filled.
        let whole = buckets
            .iter()
            .rev()
            .nth(1)
            .or(buckets.last())
            .map_or(0, sum);
        Ok(Self {
            rate: humanize::value(round(whole as f64 * 1000.0 / steps.step_ms as f64)),
            label: format!(
                "{}, {} among them",
                humanize::things(lines, "log line", "log lines"),
                humanize::things(errors, "error", "errors")
            ),
            buckets,
            lines,
            errors,
        })
    }

    fn chart(&self) -> LevelBars<'_> {
        LevelBars {
            buckets: &self.buckets,
            label: &self.label,
        }
    }
}

/// A figure of the host that is asked for by PromQL.
struct HostQuery {
    title: &'static str,
    /// `$window` stands for the look-back of `rate`.
    expression: &'static str,
    /// An instant query whose first series says more about the present.
    detail: &'static str,
}

const HOST: [HostQuery; 3] = [
    HostQuery {
        title: "CPU",
        expression: r#"1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$window]))"#,
        detail: "",
    },
    HostQuery {
        title: "Memory",
        expression: "1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)",
        detail: "sum(node_memory_MemTotal_bytes)",
    },
    HostQuery {
        title: "Fullest file system",
        expression: "max(1 - node_filesystem_avail_bytes$real / node_filesystem_size_bytes$real)",
        detail: "topk(1, 1 - node_filesystem_avail_bytes$real / node_filesystem_size_bytes$real)",
    },
];

/// A share of something over time.
struct HostFigure {
    title: &'static str,
    expression: String,
    values: Vec<f64>,
    now: String,
    caption: String,
    tone: Tone,
    error: String,
}

impl HostQuery {
    fn gather(&self, services: &Services, range: &TimeRange, deadline: Instant) -> HostFigure {
        let steps = Steps::over(range, POINTS);
        let expression = self
            .expression
            .replace("$window", &steps.rate_window())
            .replace("$real", REAL_FILESYSTEMS);
        let mut figure = HostFigure {
            title: self.title,
            values: Vec::new(),
            now: "–".to_owned(),
            caption: String::new(),
            tone: Tone::Fine,
            error: String::new(),
            expression,
        };
        match ask::range(services, &figure.expression, steps, deadline) {
            Ok(answer) => {
                if let Value::Matrix(series) = answer.value
                    && let Some(first) = series.first()
                {
                    figure.values = steps.column(&first.samples);
                }
            }
            Err(error) => figure.error = error.to_string(),
        }
        let last = figure.values.iter().rev().copied().find(|v| v.is_finite());
        if let Some(last) = last {
            figure.now = humanize::percent(last);
            figure.tone = if last >= super::status::NEARLY_FULL {
                Tone::Warn
            } else {
                Tone::Fine
            };
            figure.caption = self.caption(services, range, deadline);
        }
        figure
    }

    fn caption(&self, services: &Services, range: &TimeRange, deadline: Instant) -> String {
        if self.detail.is_empty() {
            return String::new();
        }
        let expression = self.detail.replace("$real", REAL_FILESYSTEMS);
        let answer = ask::instant(services, &expression, range.to_ms, deadline);
        let Ok(Value::Vector(points)) = answer.map(|answer| answer.value) else {
            return String::new();
        };
        let Some(point) = points.first() else {
            return String::new();
        };
        match (point.labels.get("mountpoint"), point.labels.get("instance")) {
            (Some(mount), Some(instance)) => format!("{mount} on {instance}"),
            (Some(mount), None) => mount.to_owned(),
            _ => format!("of {}", humanize::bytes(point.value.max(0.0) as u64)),
        }
    }
}

impl HostFigure {
    fn chart(&self) -> Sparkline<'_> {
        Sparkline {
            values: &self.values,
            top: Some(1.0),
            label: self.title,
        }
    }
}

/// Streams with the most error lines.
struct Hotspots {
    streams: Vec<Hotspot>,
    errors: u64,
    /// Whether there are more errors than were looked at.
    capped: bool,
    more: usize,
}

/// A stream with errors.
struct Hotspot {
    source: String,
    labels: Labels,
    errors: u64,
    /// Part of the most troubled stream's errors.
    share: [f64; 1],
    last_ms: i64,
    message: String,
    link: String,
}

impl Hotspots {
    fn gather(services: &Services, range: &TimeRange) -> Result<Self, StoreError> {
        let filter = Filter::Level(Level::Error, Level::Fatal);
        let search = search(range, Query::of(filter), ERRORS_MAX);
        let mut found: HashMap<Labels, (u64, Record)> = HashMap::new();
        let summary = services.logs.search(&search, &mut |record: Record| {
            match found.get_mut(&record.labels) {
                Some((errors, _)) => *errors += 1,
                // Newest first: the first of a stream is its last.
                None => drop(found.insert(record.labels.clone(), (1, record))),
            }
            ControlFlow::Continue(())
        })?;
        let mut streams: Vec<(u64, Record)> = found.into_values().collect();
        streams.sort_by(|a, b| (b.0, &a.1.labels).cmp(&(a.0, &b.1.labels)));
        let most = streams.first().map_or(1, |(errors, _)| *errors) as f64;
        let more = streams.len().saturating_sub(HOTSPOTS_MAX);
        streams.truncate(HOTSPOTS_MAX);
        Ok(Self {
            streams: streams
                .into_iter()
                .map(|(n, record)| Hotspot::new(n, record, most, range))
                .collect(),
            errors: summary.lines,
            capped: summary.limit_reached,
            more,
        })
    }
}

impl Hotspot {
    fn new(errors: u64, record: Record, most: f64, range: &TimeRange) -> Self {
        let text = String::from_utf8_lossy(&record.text);
        let terms: Vec<String> = ["level:error..".to_owned()]
            .into_iter()
            .chain(
                record
                    .labels
                    .iter()
                    .map(|l| log_query::field_term(&l.name, &l.value, false)),
            )
            .collect();
        let query = Params::default().with(&[
            ("q", &terms.join(" ")),
            ("from", &range.from),
            ("to", &range.to),
        ]);
        Self {
            source: source_name(&record.labels),
            errors,
            share: [errors as f64 / most],
            last_ms: record.time_ns / 1_000_000,
            message: text.chars().take(MESSAGE_CHARS_MAX).collect(),
            link: format!("/logs{query}"),
            labels: record.labels,
        }
    }
}

/// What a stream is called in one breath.
fn source_name(labels: &Labels) -> String {
    let get = |name: &str| labels.get(name);
    match (get("namespace"), get("pod"), get("container")) {
        (Some(namespace), pod, Some(container)) => {
            format!("{namespace} / {}", pod.unwrap_or(container))
        }
        (Some(namespace), Some(pod), None) => format!("{namespace} / {pod}"),
        _ => [
            "filename",
            "file",
            "unit",
            "service",
            "container",
            "app",
            "job",
        ]
        .iter()
        .find_map(|name| get(name))
        .map_or_else(|| labels.to_string(), str::to_owned),
    }
}

fn search(range: &TimeRange, query: Query, limit: usize) -> Search {
    Search {
        query: Arc::new(query),
        start_ns: range.start_ns(),
        end_ns: range.end_ns(),
        direction: Direction::Backward,
        limit,
        after: None,
        stop: Stop::default(),
    }
}

/// Two significant decimals at most: a rate of 3.2833 lines a second is noise.
fn round(value: f64) -> f64 {
    if value >= 100.0 {
        value.round()
    } else {
        (value * 10.0).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_called_by_what_people_know() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            assert_eq!(
                source_name(&Labels::from_pairs(pairs.iter().copied())),
                expected
            );
        };
        check(
            &[("namespace", "a"), ("pod", "b-1"), ("container", "c")],
            "a / b-1",
        );
        check(
            &[("filename", "/var/log/syslog"), ("job", "x")],
            "/var/log/syslog",
        );
        check(&[("strange", "label")], "{strange=\"label\"}");
    }
}
