//! Unit tests of rules: promtool's test files.
//!
//! 1. Series (and lines) are written into a store in memory, value after value.
//! 2. All groups are evaluated from the first time on, every `evaluation_interval`, in the order
//!    of `group_eval_order` and then of the files.
//! 3. The alerts that fire are compared at the last evaluation at or before each `eval_time`,
//!    texts included; expressions are compared afterwards.
//!
//! It reads the rule files that a test file names; it knows no clock.

mod compare;
mod file;
mod notation;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log_query::Record;
use model::{Labels, Level};
use promql::Engine;
use tokio_util::sync::CancellationToken;

use crate::file::load;
use crate::group::{Group, World};
use crate::log_query::LogQuery;
use crate::promql_query::PromqlQuery;
use crate::query::Languages;
use crate::scratch::Scratch;
use crate::snapshot::{AlertState, RuleKind};
use compare::Alerts;
use file::{File, InputLine, Start, TestGroup};

/// promtool's interval where a file names none.
const INTERVAL_MS_DEFAULT: i64 = 60_000;

/// The most evaluations that one test may take.
const EVALUATIONS_MAX: i64 = 1_000_000;

/// The most lines that one `input_lines` may make.
const LINES_MAX: usize = 100_000;

/// A query of a test may take so long.
const QUERY_TIMEOUT: Duration = Duration::from_mins(2);

/// Runs the tests of a file and returns what failed, in promtool's words; nothing where all is
/// well. Rule files are looked for relative to `base`. With `only`, just the tests whose names
/// contain one of these are run.
pub fn run(name: &str, text: &str, base: &Path, only: &[String]) -> Vec<String> {
    let file: File = match yaml::from_str(text, name) {
        Ok(file) => file,
        Err(error) => return vec![error.to_string()],
    };
    let interval_ms = match duration(file.evaluation_interval.as_deref(), INTERVAL_MS_DEFAULT) {
        Ok(ms) => ms.max(1),
        Err(error) => return vec![format!("evaluation_interval: {error}")],
    };
    let wanted = |test: &&TestGroup| {
        only.is_empty() || only.iter().any(|part| test.name.contains(part.as_str()))
    };
    let mut failures = Vec::new();
    for test in file.tests.iter().filter(wanted) {
        let run = Run {
            file: &file,
            test,
            base,
            interval_ms,
        };
        match run.run() {
            Ok(mut failed) => failures.append(&mut failed),
            Err(error) if test.name.is_empty() => failures.push(error),
            Err(error) => failures.push(format!("name: {}, {error}", test.name)),
        }
    }
    failures
}

fn duration(text: Option<&str>, default_ms: i64) -> Result<i64, String> {
    let Some(text) = text else {
        return Ok(default_ms);
    };
    let duration = model::duration::parse(text).map_err(|error| error.to_string())?;
    i64::try_from(duration.as_millis()).map_err(|error| error.to_string())
}

struct Run<'a> {
    file: &'a File,
    test: &'a TestGroup,
    base: &'a Path,
    interval_ms: i64,
}

impl Run<'_> {
    fn start_ms(&self) -> Result<i64, String> {
        match &self.test.start_timestamp {
            None => Ok(0),
            Some(Start::Seconds(seconds)) => Ok((seconds * 1_000.0) as i64),
            Some(Start::Text(text)) => model::time::parse_ns(text, 0)
                .map(|ns| ns / 1_000_000)
                .ok_or_else(|| format!("start_timestamp: {text:?} is no time")),
        }
    }

    fn run(&self) -> Result<Vec<String>, String> {
        let start_ms = self.start_ms()?;
        let store = Arc::new(Scratch::default());
        let engine = Arc::new(Engine::new(promql::Options {
            subquery_step_ms: self.interval_ms,
            ..promql::Options::default()
        }));
        self.fill(&engine, &store, start_ms)?;
        let metrics = PromqlQuery::new(
            engine.clone(),
            store.clone(),
            QUERY_TIMEOUT,
            CancellationToken::new(),
        );
        let lines = log_query::memory::MemoryReader::new(self.lines(start_ms)?);
        let logs = LogQuery::new(Arc::new(lines), QUERY_TIMEOUT);
        let languages = Languages {
            metrics: &metrics,
            logs: &logs,
        };
        let external_labels = Labels::from_pairs(
            self.test
                .external_labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let world = World {
            languages,
            sink: &*store,
            external_labels: &external_labels,
            external_url: self.test.external_url.trim_end_matches('/'),
            query_offset_ms: 0,
            resend_ms: 60_000,
            for_grace_ms: 0,
            outage_tolerance_ms: 0,
            elapsed: &|| Duration::ZERO,
        };
        let mut groups = self.groups(languages)?;
        let mut failures = self.alerts(&mut groups, start_ms, &world)?;
        failures.extend(self.expressions(&engine, &store, start_ms)?);
        Ok(failures)
    }

    fn groups(&self, languages: Languages<'_>) -> Result<Vec<Group>, String> {
        let loaded = load(&self.file.rule_files, self.base, languages);
        if !loaded.problems.is_empty() {
            let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
            return Err(problems.join("\n"));
        }
        let order = &self.file.group_eval_order;
        for (i, name) in order.iter().enumerate() {
            if order.iter().skip(i + 1).any(|other| other == name) {
                return Err(format!("group name repeated in evaluation order: {name}"));
            }
        }
        let mut groups: Vec<Group> = loaded
            .groups
            .into_iter()
            .map(|spec| Group::new(Arc::new(spec), self.interval_ms, false))
            .collect();
        // A stable sort: groups that are not named keep the order of the files.
        groups.sort_by_key(|group| {
            let place = order.iter().position(|name| **name == *group.spec().name);
            place.unwrap_or(usize::MAX)
        });
        Ok(groups)
    }

    fn fill(&self, engine: &Engine, store: &Scratch, start_ms: i64) -> Result<(), String> {
        let step_ms = duration(self.test.interval.as_deref(), self.interval_ms)
            .map_err(|error| format!("interval: {error}"))?;
        for input in &self.test.input_series {
            let labels = compare::labels(engine, &input.series)
                .map_err(|error| format!("series {:?}: {error}", input.series))?;
            let values = notation::values(&input.values)
                .map_err(|error| format!("series {:?}: {error}", input.series))?;
            for (i, value) in (0i64..).zip(values) {
                if let Some(value) = value {
                    store.push(&labels, start_ms + i * step_ms, value);
                }
            }
        }
        Ok(())
    }

    fn lines(&self, start_ms: i64) -> Result<Vec<Record>, String> {
        let mut records = Vec::new();
        for input in &self.test.input_lines {
            self.line(input, start_ms, &mut records)
                .map_err(|error| format!("line {:?}: {error}", input.line))?;
        }
        Ok(records)
    }

    fn line(
        &self,
        input: &InputLine,
        start_ms: i64,
        records: &mut Vec<Record>,
    ) -> Result<(), String> {
        let at_ms = duration(input.at.as_deref(), 0)?;
        let every_ms = duration(input.every.as_deref(), self.interval_ms)?;
        let times = input.times.unwrap_or(1);
        if times > LINES_MAX {
            return Err(format!("at most {LINES_MAX} times"));
        }
        let level = match &input.level {
            None => Level::Info,
            Some(word) => word.parse().map_err(|_| format!("{word:?} is no level"))?,
        };
        for i in (0i64..).take(times) {
            records.push(Record {
                labels: Labels::from_pairs(
                    input
                        .labels
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str())),
                ),
                sequence: records.len() as u64,
                time_ns: (start_ms + at_ms + i * every_ms) * 1_000_000,
                level,
                text: input.line.as_bytes().to_vec(),
            });
        }
        Ok(())
    }

    /// Evaluates all groups and compares the alerts that fire.
    fn alerts(
        &self,
        groups: &mut [Group],
        start_ms: i64,
        world: &World<'_>,
    ) -> Result<Vec<String>, String> {
        let mut tests = Vec::with_capacity(self.test.alert_rule_test.len());
        for test in &self.test.alert_rule_test {
            if test.alertname.is_empty() {
                return Err("an item under alert_rule_test misses required attribute alertname at eval_time".to_owned());
            }
            tests.push((duration(test.eval_time.as_deref(), 0)?, test));
        }
        let mut last_ms = tests.iter().map(|(at, _)| *at).max().unwrap_or_default();
        for test in &self.test.promql_expr_test {
            last_ms = last_ms.max(duration(test.eval_time.as_deref(), 0)?);
        }
        if last_ms / self.interval_ms > EVALUATIONS_MAX {
            return Err(format!(
                "the test takes more than {EVALUATIONS_MAX} evaluations: raise evaluation_interval"
            ));
        }
        let mut failures = Vec::new();
        let mut at_ms = 0;
        while at_ms <= last_ms {
            for group in groups.iter_mut() {
                group.evaluate(start_ms + at_ms, world);
                errors(group, at_ms)?;
            }
            let due = |(time, _): &&(i64, _)| (at_ms..at_ms + self.interval_ms).contains(time);
            for (time_ms, test) in tests.iter().filter(due) {
                let got = firing(groups, &test.alertname);
                let expected = Alerts::expected(test);
                if got != expected {
                    failures.push(compare::alerts_differ(
                        &self.test.name,
                        &test.alertname,
                        *time_ms,
                        &expected,
                        &got,
                    ));
                }
            }
            at_ms += self.interval_ms;
        }
        Ok(failures)
    }

    fn expressions(
        &self,
        engine: &Engine,
        store: &Scratch,
        start_ms: i64,
    ) -> Result<Vec<String>, String> {
        let mut failures = Vec::new();
        for test in &self.test.promql_expr_test {
            let at_ms = duration(test.eval_time.as_deref(), 0)?;
            let failed = compare::expression(
                engine,
                store,
                test,
                start_ms + at_ms,
                self.file.fuzzy_compare,
            );
            if let Err(reason) = failed {
                failures.push(compare::expression_failed(
                    &self.test.name,
                    &test.expr,
                    at_ms,
                    &reason,
                ));
            }
        }
        Ok(failures)
    }
}

/// The first rule of a group that could not be evaluated.
fn errors(group: &Group, at_ms: i64) -> Result<(), String> {
    let snapshot = group.snapshot();
    let failed = snapshot
        .rules
        .iter()
        .find(|rule| !rule.last_error.is_empty());
    match failed {
        None => Ok(()),
        Some(rule) => Err(format!(
            "rule: {}, time: {}, err: {}",
            rule.name,
            compare::time(at_ms),
            rule.last_error
        )),
    }
}

/// The alerts of a name that fire.
fn firing(groups: &[Group], name: &str) -> Alerts {
    let mut found = BTreeSet::new();
    for group in groups {
        for rule in group.snapshot().rules {
            if let RuleKind::Alerting { alerts, .. } = rule.kind
                && rule.name == name
            {
                found.extend(
                    alerts
                        .into_iter()
                        .filter(|alert| alert.state == AlertState::Firing)
                        .map(|alert| (alert.labels, alert.annotations)),
                );
            }
        }
    }
    Alerts::found(found)
}

#[cfg(test)]
mod tests;
