//! The log lines around the beginning of an alert.
//!
//! 1. The window goes from some minutes before the expression first gave the alert until shortly
//!    after.
//! 2. Of the lines of the same labels: errors first, then the others nearest to the beginning.
//! 3. A pattern stands out where it comes at least [`RISE_MIN`] times as often as in the hour
//!    before the window; the one with the most surprising lines comes first.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use log_query::{
    Answer, Cell, Direction, Filter, LineView, LogReader, PLACEHOLDER, Patterns, Pipe, Query,
    Record, Search, Stop, Which, pattern,
};
use model::{Level, StoreError};
use serde::{Deserialize, Serialize};

use crate::Question;
use crate::log_rule::{LogRule, in_words};
use crate::streams::{Scope, scope};

/// The window begins so long before the expression first gave the alert, milliseconds.
pub const WINDOW_BEFORE_MS: i64 = 10 * 60_000;

/// And ends so long after it.
pub const WINDOW_AFTER_MS: i64 = 5 * 60_000;

/// What is usual is told from so long before the window, milliseconds.
pub const USUAL_MS: i64 = 3_600_000;

/// The beginning of all that is looked at, before the alert, milliseconds.
pub const BEFORE_MS: i64 = WINDOW_BEFORE_MS + USUAL_MS;

/// Lines that are kept.
pub(crate) const LINES_MAX: usize = 30;

/// Of those, lines that are no errors are looked for where there are fewer errors than this.
const ERRORS_ENOUGH: usize = 20;

/// Patterns that are kept.
const RISEN_MAX: usize = 8;

/// How many times as often as usual a pattern must come to stand out.
const RISE_MIN: f64 = 3.0;

/// Fewer lines than this do not make a pattern stand out, unless it is an error.
const RISEN_LINES_MIN: u64 = 3;

/// Patterns of the window and of the time before that are compared.
const COMPARED_MAX: usize = 5_000;

/// The longest text of a line that is kept, characters.
const TEXT_CHARS_MAX: usize = 400;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds since 1970-01-01 UTC.
    pub time_ns: i64,
    /// Its level's word.
    pub level: String,
    /// Who wrote it, in short.
    pub source: String,
    /// Its text, cut where it is long; plain characters only.
    pub text: String,
    /// Its name for ever: `STREAM-NUMBER`.
    pub id: String,
}

/// A pattern that comes more often than before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Risen {
    /// A line of it, or the pattern with dots where lines differ.
    pub text: String,
    /// The worst level of its lines.
    pub level: String,
    /// How many lines are in the window.
    pub count: u64,
    /// How many would be usual in so long a time.
    pub usual: f64,
}

/// What the logs say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogEvidence {
    /// What the streams have in common with the alert: names and values.
    pub scope: Vec<(String, String)>,
    /// The lines of a log rule in the words of the search language; else empty.
    pub rule_query: String,
    /// The window, milliseconds since 1970-01-01 UTC.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
    /// Lines in it.
    pub n_lines: u64,
    /// Errors first, then others; each by time.
    pub lines: Vec<Line>,
    /// The most surprising first.
    pub risen: Vec<Risen>,
    /// Why something is missing, in a sentence; else empty.
    pub note: String,
}

impl LogEvidence {
    /// The lines in the words of the search language; empty where there are none to look at.
    pub fn query(&self) -> String {
        if !self.rule_query.is_empty() {
            return self.rule_query.clone();
        }
        let labels = self.scope.clone();
        Scope { labels }.query()
    }
}

/// The window of an alert, milliseconds since 1970-01-01 UTC.
pub fn window(question: &Question<'_>) -> (i64, i64) {
    let start_ms = question.active_at_ms.saturating_sub(WINDOW_BEFORE_MS);
    let end_ms = question.active_at_ms.saturating_add(WINDOW_AFTER_MS);
    (
        start_ms,
        end_ms
            .min(question.until_ms.saturating_add(1))
            .max(start_ms + 1),
    )
}

/// Looks the lines up.
pub fn look(question: &Question<'_>, logs: &dyn LogReader, stop: &Stop) -> LogEvidence {
    let (start_ms, end_ms) = window(question);
    let mut found = LogEvidence {
        start_ms,
        end_ms,
        ..LogEvidence::default()
    };
    if question.is_log_rule
        && let Some(rule) = LogRule::parse(question.expression)
    {
        let filter = rule.filter(question);
        found.rule_query = in_words(&filter);
        explained(&mut found, |found| fill(found, &filter, logs, stop));
        if found.n_lines == 0 && found.note.is_empty() {
            // Its labels may be made by the rule, such as the pattern of a line.
            found.rule_query = in_words(rule.all());
            explained(&mut found, |found| fill(found, rule.all(), logs, stop));
        }
        return found;
    }
    let streams = match logs.streams(ns(start_ms - USUAL_MS), ns(end_ms)) {
        Ok(streams) => streams,
        Err(error) => {
            found.note = format!("the log store did not answer: {error}");
            return found;
        }
    };
    let Some(scope) = scope(question.labels, &streams) else {
        "no log stream of that time has labels in common with this alert"
            .clone_into(&mut found.note);
        return found;
    };
    found.scope.clone_from(&scope.labels);
    explained(&mut found, |found| fill(found, &scope.filter(), logs, stop));
    found
}

/// Says in the note why something is missing.
fn explained(
    found: &mut LogEvidence,
    work: impl FnOnce(&mut LogEvidence) -> Result<(), StoreError>,
) {
    if let Err(error) = work(found) {
        found.note = match error {
            StoreError::Cancelled => {
                "looking through the logs took too long and was given up".to_owned()
            }
            error => format!("the log store did not answer: {error}"),
        };
    }
}

fn fill(
    found: &mut LogEvidence,
    scope: &Filter,
    logs: &dyn LogReader,
    stop: &Stop,
) -> Result<(), StoreError> {
    let search = |filter, start_ms, end_ms, limit| Search {
        query: Arc::new(Query::of(filter)),
        start_ns: ns(start_ms),
        end_ns: ns(end_ms),
        direction: Direction::Backward,
        limit,
        after: None,
        stop: stop.clone(),
    };
    let (start_ms, end_ms) = (found.start_ms, found.end_ms);
    let mut samples: HashMap<String, String> = HashMap::new();
    let mut read = |filter, limit| {
        let mut lines = Vec::new();
        logs.search(&search(filter, start_ms, end_ms, limit), &mut |record| {
            let (line, pattern) = line_of(&record);
            samples.entry(pattern).or_insert_with(|| line.text.clone());
            lines.push(line);
            ControlFlow::Continue(())
        })?;
        lines.reverse();
        Ok::<Vec<Line>, StoreError>(lines)
    };
    let errors = Filter::Level(Level::Error, Level::Fatal);
    let with = |more: Filter| Filter::And(vec![scope.clone(), more]);
    found.lines = read(with(errors.clone()), LINES_MAX)?;
    if found.lines.len() < ERRORS_ENOUGH {
        let room = LINES_MAX - found.lines.len();
        let others = read(with(Filter::Not(Box::new(errors))), room)?;
        found.lines.extend(others);
    }
    let patterns = |start_ms, end_ms| {
        let mut asked = search(scope.clone(), start_ms, end_ms, usize::MAX);
        let mut query = Query::of(scope.clone());
        query.pipes.push(Pipe::Patterns(Patterns {
            n: COMPARED_MAX,
            which: Which::Frequent,
        }));
        asked.query = Arc::new(query);
        log_query::run(logs, &asked, &mut |_| ControlFlow::Continue(())).map(counted)
    };
    let now = patterns(start_ms, end_ms)?;
    let before = patterns(start_ms - USUAL_MS, start_ms)?;
    found.n_lines = now.iter().map(|(_, count, _)| *count).sum();
    // Where nothing was written before, everything is new: nothing stands out.
    if !before.is_empty() {
        found.risen = risen(now, &before, end_ms - start_ms, &samples);
    }
    Ok(())
}

/// Patterns with their counts and worst levels.
type Counted = Vec<(String, u64, String)>;

fn counted(answer: Answer) -> Counted {
    let Answer::Table(table) = answer else {
        // Cannot be: the last pipe makes a table.
        return Vec::new();
    };
    let rows = table.rows.iter().map(|row| {
        let mut one = (String::new(), 0, String::new());
        for (column, cell) in table.columns.iter().zip(row) {
            match (column.name.as_str(), cell) {
                ("pattern", Cell::Text(text)) => one.0.clone_from(text),
                ("count", Cell::Count(count)) => one.1 = *count,
                ("level", Cell::Text(level)) => one.2.clone_from(level),
                _ => {}
            }
        }
        one
    });
    rows.collect()
}

fn risen(
    now: Counted,
    before: &Counted,
    window_ms: i64,
    samples: &HashMap<String, String>,
) -> Vec<Risen> {
    let part = window_ms as f64 / USUAL_MS as f64;
    let usual: HashMap<&str, f64> = before
        .iter()
        .map(|(pattern, count, _)| (pattern.as_str(), *count as f64 * part))
        .collect();
    let mut found: Vec<(f64, Risen)> = now
        .into_iter()
        .filter_map(|(pattern, count, level)| {
            let usual = usual.get(pattern.as_str()).copied().unwrap_or(0.0);
            let level_number = level.parse::<Level>().unwrap_or_default();
            let is_bad = level_number >= Level::Error;
            // Half a line more than was seen: what was never there is not infinitely surprising.
            let rise = count as f64 / (usual + 0.5);
            if rise < RISE_MIN && !(is_bad && usual == 0.0) || count < RISEN_LINES_MIN && !is_bad {
                return None;
            }
            let weight = count as f64 * rise.ln().max(0.1) * if is_bad { 4.0 } else { 1.0 };
            let text = samples.get(&pattern).cloned();
            let text = text.unwrap_or_else(|| plain(&pattern.replace(PLACEHOLDER, "…")));
            Some((
                weight,
                Risen {
                    text,
                    level,
                    count,
                    usual,
                },
            ))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.text.cmp(&b.1.text)));
    found.truncate(RISEN_MAX);
    found.into_iter().map(|(_, risen)| risen).collect()
}

/// A line as it is kept, and its pattern.
fn line_of(record: &Record) -> (Line, String) {
    let view = LineView::new(&record.labels, record.level, &record.text);
    let label = |name: &str| record.labels.get(name).filter(|value| !value.is_empty());
    let file = || {
        label("file")
            .or_else(|| label("filename"))
            .and_then(|path| path.rsplit('/').next())
    };
    let source = ["pod", "app", "unit", "container", "service"]
        .iter()
        .find_map(|name| label(name))
        .or_else(file)
        .or_else(|| label("host"))
        .unwrap_or_default();
    let line = Line {
        time_ns: record.time_ns,
        level: record.level.as_str().to_owned(),
        source: plain(source),
        text: plain(&view.message()),
        id: format!("{:016x}-{}", record.labels.fingerprint(), record.sequence),
    };
    (line, pattern(&view))
}

/// A text without what terminals understand, cut where it is long.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    let mut room = TEXT_CHARS_MAX;
    while let Some(c) = chars.next() {
        if room == 0 {
            out.push('…');
            break;
        }
        match c {
            // A colour: `ESC [ 31 m`.
            '\u{1b}' => {
                let _ = chars.by_ref().find(char::is_ascii_alphabetic);
            }
            c if c.is_control() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                room -= 1;
            }
            c => {
                out.push(c);
                room -= 1;
            }
        }
    }
    out.trim().to_owned()
}

fn ns(time_ms: i64) -> i64 {
    time_ms.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    #[test]
    fn what_comes_more_often_than_before_stands_out() {
        let counted = |list: &[(&str, u64, &str)]| -> Counted {
            let owned = |(p, n, l): &(&str, u64, &str)| ((*p).to_owned(), *n, (*l).to_owned());
            list.iter().map(owned).collect()
        };
        let now = counted(&[
            ("GET <*>", 900, "info"),
            ("pressure <*>", 40, "error"),
            ("panic <*>", 1, "fatal"),
            ("once", 1, "info"),
            ("slow <*>", 30, "warn"),
        ]);
        let before = counted(&[("GET <*>", 3_600, "info"), ("pressure <*>", 8, "error")]);
        let samples = HashMap::from([("pressure <*>".to_owned(), "pressure 1.4 bar".to_owned())]);
        let found = risen(now, &before, USUAL_MS / 4, &samples);
        let texts: Vec<&str> = found.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(texts, ["pressure 1.4 bar", "slow …", "panic …"]);
        assert!((found[0].usual - 2.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn texts_are_plain_and_bounded() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\n\tnext"), "red next");
        assert_eq!(
            plain(&"x".repeat(1_000)).chars().count(),
            TEXT_CHARS_MAX + 1
        );
    }

    #[test]
    fn the_window_is_around_the_beginning() {
        let labels = Labels::empty();
        let question = |until_ms| Question {
            labels: &labels,
            rule_labels: &labels,
            expression: "",
            is_log_rule: false,
            active_at_ms: 3_600_000,
            until_ms,
        };
        assert_eq!(window(&question(9_000_000)), (3_000_000, 3_900_000));
        assert_eq!(window(&question(3_660_000)), (3_000_000, 3_660_001));
    }
}
