//! `/targets`: where metrics and logs come from, and what keeps some from coming.

mod found;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use model::{Health, Label, LogCollector, LogLoss, LogSource, LogSourceState, ScrapeTarget};

use found::{Found, Origin};

use crate::html::{Icon, Tone};
use crate::request::Visit;
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

/// Targets and sources on one page, each; the rest is counted and a filter finds it.
const ROWS_MAX: usize = 500;

/// A source further behind than this is worth a look, seconds.
pub(crate) const LAG_S_MAX: f64 = 30.0;

#[derive(Template)]
#[template(path = "targets.html")]
struct TargetsPage {
    shell: Shell,
    /// `down` shows trouble only.
    down_only: bool,
    q: String,
    pools: Vec<Pool>,
    sources: Vec<SourceRow>,
    /// Rows that fit the filter but found no place.
    more_targets: usize,
    more_sources: usize,
    /// Everything, whatever the filter.
    targets: usize,
    targets_troubled: usize,
    /// Looks for targets that failed.
    lookups_failed: usize,
    files: usize,
    files_troubled: usize,
    collector: LogCollector,
}

/// Draws the page.
pub(crate) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let down_only = visit.params.text("health") == "down";
    let q = visit.params.text("q").to_owned();
    let needle = q.to_lowercase();
    let fits = |tone: Tone, words: &str| {
        (!down_only || tone >= Tone::Warn)
            && (needle.is_empty() || words.to_lowercase().contains(&needle))
    };
    let all_targets: Vec<TargetRow> = (services.scrape_targets)()
        .into_iter()
        .map(TargetRow::new)
        .collect();
    let all_sources: Vec<SourceRow> = (services.log_sources)()
        .into_iter()
        .map(SourceRow::new)
        .collect();
    let targets_troubled = all_targets
        .iter()
        .filter(|row| row.tone >= Tone::Warn)
        .count();
    let files_troubled = all_sources
        .iter()
        .filter(|row| row.tone >= Tone::Warn)
        .count();
    let (n_targets, n_files) = (all_targets.len(), all_sources.len());
    let mut jobs = Found::gather(&services);
    let lookups_failed = jobs.values().flat_map(Found::errors).count();
    for job in jobs.values_mut() {
        if !needle.is_empty() {
            job.narrow(&needle);
        }
        if down_only {
            job.looks.retain(|look| !look.error.is_empty());
            job.dropped.clear();
            job.dropped_count = 0;
        }
    }

    let mut targets: Vec<TargetRow> = all_targets
        .into_iter()
        .filter(|row| fits(row.tone, &row.words()))
        .collect();
    targets.sort_by(|a, b| (b.tone, &a.target.scrape_url).cmp(&(a.tone, &b.target.scrape_url)));
    let more_targets = targets.len().saturating_sub(ROWS_MAX);
    targets.truncate(ROWS_MAX);
    let opened = visit.params.text("open");
    for row in targets.iter_mut().filter(|row| row.key() == opened) {
        row.origin = Some(Origin::new(&services, &row.target));
    }
    let mut sources: Vec<SourceRow> = all_sources
        .into_iter()
        .filter(|row| fits(row.tone, &row.words()))
        .collect();
    sources.sort_by(|a, b| (b.tone, &a.source.path).cmp(&(a.tone, &b.source.path)));
    let more_sources = sources.len().saturating_sub(ROWS_MAX);
    sources.truncate(ROWS_MAX);

    render(&TargetsPage {
        shell: Shell::new(&services, visit, Page::Targets),
        down_only,
        q,
        pools: Pool::group(targets, jobs),
        lookups_failed,
        sources,
        more_targets,
        more_sources,
        targets: n_targets,
        targets_troubled,
        files: n_files,
        files_troubled,
        collector: (services.log_collector)(),
    })
}

impl TargetsPage {
    fn with_health(&self, health: &str) -> String {
        format!(
            "/targets{}",
            self.shell
                .visit
                .params
                .with(&[("health", health)])
                .trim_end_matches('?')
        )
    }

    /// What stands over a list that the filter emptied.
    fn empty_icon(&self) -> Icon {
        Icon(if self.q.is_empty() { "ok" } else { "search" })
    }

    fn troubled(&self) -> usize {
        self.targets_troubled + self.lookups_failed + self.files_troubled
    }

    /// The address that opens a target, or closes it where it is open.
    fn with_open(&self, row: &TargetRow) -> String {
        let key = if row.origin.is_some() {
            String::new()
        } else {
            row.key()
        };
        let query = self.shell.visit.params.with(&[("open", &key)]);
        format!("/targets{}", query.trim_end_matches('?'))
    }
}

/// Targets of one job.
struct Pool {
    name: String,
    tone: Tone,
    words: String,
    samples: u64,
    targets: Vec<TargetRow>,
    found: Found,
}

impl Pool {
    /// Groups targets by job, jobs in trouble first. A job without a target is there where there
    /// is something to say about it.
    fn group(targets: Vec<TargetRow>, mut jobs: BTreeMap<String, Found>) -> Vec<Self> {
        let mut by_name: BTreeMap<String, Vec<TargetRow>> = jobs
            .iter()
            .filter(|(_, job)| job.dropped_count > 0 || job.errors().next().is_some())
            .map(|(name, _)| (name.clone(), Vec::new()))
            .collect();
        for row in targets {
            by_name
                .entry(row.target.scrape_pool.clone())
                .or_default()
                .push(row);
        }
        let mut pools: Vec<Self> = by_name
            .into_iter()
            .map(|(name, targets)| {
                let found = jobs.remove(&name).unwrap_or_default();
                let failed = found.errors().next().map(|_| Tone::Warn);
                let up = targets
                    .iter()
                    .filter(|row| row.target.health == Health::Up)
                    .count();
                Self {
                    name,
                    tone: targets
                        .iter()
                        .map(|row| row.tone)
                        .chain(failed)
                        .max()
                        .unwrap_or(Tone::Unknown),
                    words: words(up, targets.len(), found.dropped_count),
                    samples: targets
                        .iter()
                        .map(|row| row.target.last_samples as u64)
                        .sum(),
                    targets,
                    found,
                }
            })
            .collect();
        pools.sort_by_key(|pool| Reverse(pool.tone));
        pools
    }
}

/// `3 of 4 up, 2 dropped`
fn words(up: usize, targets: usize, dropped: usize) -> String {
    match (targets, dropped) {
        (0, dropped) => format!("no target, {dropped} dropped"),
        (_, 0) => format!("{up} of {targets} up"),
        _ => format!("{up} of {targets} up, {dropped} dropped"),
    }
}

/// A scrape target on the page.
struct TargetRow {
    target: ScrapeTarget,
    tone: Tone,
    labels: Vec<Label>,
    duration: String,
    /// What probably helps, where the error is a known one.
    hint: &'static str,
    /// How it came to its labels, where somebody asked.
    origin: Option<Origin>,
}

impl TargetRow {
    fn new(target: ScrapeTarget) -> Self {
        let slow = target.last_scrape_duration_s * 1000.0 > 0.8 * target.timeout_ms as f64;
        Self {
            tone: match target.health {
                Health::Unknown => Tone::Unknown,
                Health::Up if slow && target.timeout_ms > 0 => Tone::Warn,
                Health::Up => Tone::Fine,
                Health::Down => Tone::Err,
            },
            labels: target
                .labels
                .iter()
                .filter(|label| &*label.name != "job")
                .cloned()
                .collect(),
            duration: humanize::seconds(target.last_scrape_duration_s),
            hint: hint(&target.last_error),
            origin: None,
            target,
        }
    }

    /// What tells it from all others.
    fn key(&self) -> String {
        format!("{} {}", self.target.scrape_pool, self.target.scrape_url)
    }

    fn words(&self) -> String {
        format!(
            "{} {} {}",
            self.target.scrape_url, self.target.labels, self.target.last_error
        )
    }
}

/// What probably helps against a failed scrape.
pub(crate) fn hint(error: &str) -> &'static str {
    let error = error.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    match () {
        () if error.is_empty() => "",
        () if says(&["connection refused"]) => {
            "Nothing listens on that port: is the exporter running, and is the port the right one?"
        }
        () if says(&["timed out", "timeout", "deadline"]) => {
            "No answer in time: a firewall or network policy in between, or a target that needs a longer scrape_timeout."
        }
        () if says(&[
            "dns",
            "lookup",
            "resolve",
            "no such host",
            "name or service",
        ]) =>
        {
            "The name does not resolve here: check it, and the DNS server that this machine uses."
        }
        () if says(&["certificate", "tls", "handshake"]) => {
            "The TLS handshake failed: set tls_config with the right ca_file or server_name."
        }
        () if says(&["401", "403", "unauthorized", "forbidden"]) => {
            "The target wants to know who asks: set basic_auth or authorization for this job."
        }
        () if says(&["404", "not found"]) => {
            "There is nothing at that path: set metrics_path for this job."
        }
        () if says(&["no route", "unreachable"]) => {
            "There is no way to that address: is the machine up, is the network right?"
        }
        () if says(&["body_size_limit", "too large", "sample_limit"]) => {
            "The target sends more than the limit allows: drop series at the source or raise the limit."
        }
        () if says(&["expected", "invalid", "parse", "unsupported"]) => {
            "The answer is not in a metrics format: is this a metrics port?"
        }
        () => "",
    }
}

/// A log source on the page.
struct SourceRow {
    source: LogSource,
    tone: Tone,
    word: &'static str,
    /// Why it cannot be read; else empty.
    reason: String,
    /// What was lost, in words; else empty.
    lost: String,
    /// The path's last part, and what comes before it.
    folder: String,
    file: String,
    behind: String,
    /// Where its lines are.
    link: String,
}

impl SourceRow {
    fn new(source: LogSource) -> Self {
        let (tone, word, reason) = match &source.state {
            LogSourceState::Failed(reason) => (Tone::Err, "failed", reason.clone()),
            _ if !source.danger.is_empty() => (Tone::Warn, "in danger", String::new()),
            _ if source.lines_dropped > 0 => (Tone::Warn, "dropping", String::new()),
            _ if source.losses.iter().any(is_gap) => (Tone::Warn, "lines lost", String::new()),
            LogSourceState::CatchingUp if source.lag_seconds > LAG_S_MAX => {
                (Tone::Warn, "behind", String::new())
            }
            LogSourceState::CatchingUp => (Tone::Busy, "catching up", String::new()),
            LogSourceState::Draining => (Tone::Busy, "ending", String::new()),
            LogSourceState::Following if source.last_line_ns == 0 => {
                (Tone::Unknown, "no line yet", String::new())
            }
            LogSourceState::Following => (Tone::Fine, "following", String::new()),
        };
        let (folder, file) = match source.path.rsplit_once('/') {
            Some((folder, file)) => (format!("{folder}/"), file.to_owned()),
            None => (String::new(), source.path.clone()),
        };
        let behind = match source.lag_bytes {
            0 => String::new(),
            bytes if source.lag_seconds >= 1.0 => format!(
                "{}, {}",
                humanize::span_ms((source.lag_seconds * 1000.0) as i64),
                humanize::bytes(bytes)
            ),
            bytes => humanize::bytes(bytes),
        };
        Self {
            link: link(&source),
            tone,
            word,
            reason,
            lost: lost(&source.losses),
            folder,
            file,
            behind,
            source,
        }
    }

    fn words(&self) -> String {
        format!(
            "{} {} {} {}",
            self.source.path, self.source.labels, self.reason, self.source.danger
        )
    }
}

/// Whether something is missing in the middle of a stream.
fn is_gap(loss: &LogLoss) -> bool {
    !matches!(loss.reason, "cut" | "holes")
}

/// What was lost, by reason: `12 lines refused by the store, 2 KB truncated before they were read`.
fn lost(losses: &[LogLoss]) -> String {
    let parts: Vec<String> = (losses.iter())
        .map(|loss| {
            let much = match (loss.lines, loss.bytes) {
                (0, 0) => "lines".to_owned(),
                (0, bytes) => humanize::bytes(bytes),
                (lines, _) => humanize::things(lines, "line", "lines"),
            };
            let how = match loss.reason {
                "refused" => "refused by the store",
                "cut" => "cut off lines beyond the limit",
                "holes" => "of holes skipped",
                "truncated" => "truncated before they were read",
                "rotated_away" => "rotated away before they were read",
                "deleted" => "deleted before they were read",
                "replaced" => "replaced before they were read",
                "damaged" => "unreadable in a damaged file",
                other => other,
            };
            format!("{much} {how}")
        })
        .collect();
    parts.join(", ")
}

/// The search that shows a source's lines: by the labels that name its stream.
fn link(source: &LogSource) -> String {
    const NAMES: [&str; 5] = ["filename", "namespace", "pod", "container", "file"];
    let terms: Vec<String> = NAMES
        .iter()
        .filter_map(|name| Some(log_query::field_term(name, source.labels.get(name)?, false)))
        .collect();
    let path = String::from("/logs?");
    let start = path.len();
    let mut query = url::form_urlencoded::Serializer::for_suffix(path, start);
    query.append_pair("q", &terms.join(" ")).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_come_with_what_helps() {
        for error in [
            "Get \"http://a:9100\": connection refused",
            "operation timed out",
            "dns error: no such host",
            "invalid peer certificate: UnknownIssuer",
            "server returned HTTP status 403 Forbidden",
            "server returned HTTP status 404 Not Found",
        ] {
            assert!(!hint(error).is_empty(), "{error}");
        }
        assert_eq!(hint(""), "");
        assert_eq!(hint("something nobody has seen before"), "");
    }

    #[test]
    fn sources_say_how_they_are() {
        let row = |state, lines_dropped, lag_seconds| {
            let source = LogSource {
                path: "/var/log/a/b.log".to_owned(),
                state,
                lines_dropped,
                lag_bytes: 2048,
                lag_seconds,
                last_line_ns: 1,
                ..LogSource::default()
            };
            SourceRow::new(source)
        };
        let check = |row: SourceRow, tone, word| assert_eq!((row.tone, row.word), (tone, word));
        check(
            row(LogSourceState::Following, 0, 0.0),
            Tone::Fine,
            "following",
        );
        check(
            row(LogSourceState::Following, 3, 0.0),
            Tone::Warn,
            "dropping",
        );
        check(
            row(LogSourceState::CatchingUp, 0, 5.0),
            Tone::Busy,
            "catching up",
        );
        check(
            row(LogSourceState::CatchingUp, 0, 64.0),
            Tone::Warn,
            "behind",
        );
        check(
            row(LogSourceState::Failed("no".into()), 0, 0.0),
            Tone::Err,
            "failed",
        );
        let late = row(LogSourceState::CatchingUp, 0, 64.0);
        assert_eq!(
            (late.folder.as_str(), late.file.as_str()),
            ("/var/log/a/", "b.log")
        );
        assert_eq!(late.behind, "1 m, 2 KB");
    }

    #[test]
    fn losses_are_said_in_words() {
        let loss = |reason, lines, bytes| LogLoss {
            reason,
            lines,
            bytes,
        };
        assert_eq!(lost(&[]), "");
        assert_eq!(
            lost(&[loss("refused", 12, 900), loss("truncated", 0, 2048)]),
            "12 lines refused by the store, 2 KB truncated before they were read"
        );
        let row = SourceRow::new(LogSource {
            losses: vec![loss("deleted", 0, 10)],
            ..LogSource::default()
        });
        assert_eq!((row.tone, row.word), (Tone::Warn, "lines lost"));
        let row = SourceRow::new(LogSource {
            danger: "soon".to_owned(),
            losses: vec![loss("cut", 0, 10)],
            ..LogSource::default()
        });
        assert_eq!((row.tone, row.word), (Tone::Warn, "in danger"));
    }
}
