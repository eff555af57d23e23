//! Reads rule files: Prometheus' format, bare or as a Kubernetes `PrometheusRule` object.
//!
//! A file whose YAML does not fit is refused as a whole; of a file that does, a rule that cannot
//! work (a wrong expression, a wrong template) is kept as broken, so that it can be shown. Either
//! way there is a [`Problem`] with file and line, and everything else goes on.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::METRIC_NAME;
use serde::Deserialize;
use serde::de::IgnoredAny;
use template::{RULE_VARIABLES, Template};
use yaml::Spanned;

use crate::query::{Languages, Reads};
use crate::spec::{GroupSpec, RuleOutput, RuleSpec, Source, Text};

/// The largest rule file. The largest of public ones has 90 KB.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// The most files that patterns may select.
pub const FILES_MAX: usize = 10_000;

/// Something in a rule file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the pattern that selects none.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong, with group and rule where it is about one.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// What was found in rule files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All groups, in order of file and place.
    pub groups: Vec<GroupSpec>,
    /// All that cannot be used.
    pub problems: Vec<Problem>,
}

/// Reads all files that the patterns (as in `rule_files`, relative to `base`) select.
///
/// A pattern without `*`, `?` or `[` names one file, and its absence is a problem; a pattern that
/// selects nothing is none.
pub fn load(patterns: &[String], base: &Path, languages: Languages<'_>) -> Loaded {
    let mut loaded = Loaded::default();
    let mut seen = HashSet::new();
    for pattern in patterns {
        let full = base.join(pattern);
        for path in files(&full, pattern, &mut loaded.problems) {
            if seen.len() >= FILES_MAX {
                loaded.problems.push(Problem {
                    file: pattern.clone(),
                    line: 0,
                    message: format!("more than {FILES_MAX} rule files, the rest is left out"),
                });
                return loaded;
            }
            if !seen.insert(path.clone()) {
                continue;
            }
            let name = path.display().to_string();
            match read(&path) {
                Ok(text) => {
                    let mut file = parse(&name, &text, languages);
                    loaded.groups.append(&mut file.groups);
                    loaded.problems.append(&mut file.problems);
                }
                Err(message) => loaded.problems.push(Problem {
                    file: name,
                    line: 0,
                    message,
                }),
            }
        }
    }
    loaded
}

fn files(full: &Path, pattern: &str, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![full.to_owned()];
    }
    match glob::glob(&full.to_string_lossy()) {
        Ok(paths) => paths
            .filter_map(Result::ok)
            .filter(|p| p.is_file())
            .collect(),
        Err(error) => {
            problems.push(Problem {
                file: pattern.to_owned(),
                line: 0,
                message: format!("not a file pattern: {error}"),
            });
            Vec::new()
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read rule file: {error}");
    let bytes = std::fs::metadata(path).map_err(cannot)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!(
            "rule file has {bytes} bytes, the limit is {FILE_BYTES_MAX}"
        ));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

/// Reads the text of one rule file.
pub fn parse(file: &str, text: &str, languages: Languages<'_>) -> Loaded {
    let raw = match raw_groups(file, text) {
        Ok(raw) => raw,
        Err(error) => {
            return Loaded {
                groups: Vec::new(),
                problems: vec![Problem {
                    file: error.file,
                    line: error.line,
                    message: error.message,
                }],
            };
        }
    };
    let mut reader = Reader {
        file: Arc::from(file),
        languages,
        problems: Vec::new(),
    };
    let mut groups: Vec<GroupSpec> = Vec::new();
    for raw in raw {
        let (name, line) = (raw.name.value.clone(), raw.name.defined.line());
        if name.is_empty() {
            reader.problem(line, "a group needs a name");
        } else if groups.iter().any(|group| *group.name == *name) {
            reader.problem(
                line,
                format!("group {name:?} is there twice in this file, the second is left out"),
            );
        } else {
            match reader.group(raw) {
                Ok(group) => groups.push(group),
                Err(message) => reader.problem(line, format!("group {name:?}: {message}")),
            }
        }
    }
    Loaded {
        groups,
        problems: reader.problems,
    }
}

/// Only as much as tells the two formats apart.
#[derive(Deserialize)]
struct Probe {
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawObject {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(rename = "metadata", default)]
    _metadata: Option<IgnoredAny>,
    #[serde(rename = "status", default)]
    _status: Option<IgnoredAny>,
    spec: RawFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: Spanned<String>,
    interval: Option<String>,
    query_offset: Option<String>,
    #[serde(default)]
    limit: usize,
    source: Option<RawSource>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<RawRule>,
    /// Of the operator, for Thanos: nothing to decide here.
    #[serde(rename = "partial_response_strategy", default)]
    _partial_response_strategy: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    record: Option<String>,
    alert: Option<String>,
    expr: Spanned<String>,
    source: Option<RawSource>,
    #[serde(rename = "for")]
    hold: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Who answers: of ours, Prometheus does not know the key.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSource {
    Metrics,
    Logs,
}

fn raw_groups(file: &str, text: &str) -> Result<Vec<RawGroup>, yaml::YamlError> {
    let probe: Probe = yaml::from_str(text, file)?;
    if probe.kind.as_deref() == Some("PrometheusRule") {
        let object: RawObject = yaml::from_str(text, file)?;
        return Ok(object.spec.groups);
    }
    let raw: RawFile = yaml::from_str(text, file)?;
    Ok(raw.groups)
}

struct Reader<'a> {
    file: Arc<str>,
    languages: Languages<'a>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, line: u64, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_string(),
            line,
            message: message.into(),
        });
    }

    fn group(&mut self, raw: RawGroup) -> Result<GroupSpec, String> {
        let interval_ms = duration_ms("interval", raw.interval.as_deref())?;
        let query_offset_ms = duration_ms("query_offset", raw.query_offset.as_deref())?;
        let name: Arc<str> = Arc::from(raw.name.value);
        let mut rules = Vec::with_capacity(raw.rules.len());
        for rule in raw.rules {
            let line = rule.expr.defined.line();
            let spec = self.rule(rule, &raw.labels, raw.source);
            if let Some(reason) = &spec.broken {
                self.problem(
                    line,
                    format!("group {name:?}, rule {:?}: {reason}", spec.name),
                );
            }
            rules.push(Arc::new(spec));
        }
        Ok(GroupSpec {
            name,
            file: self.file.clone(),
            interval_ms: interval_ms.filter(|ms| *ms > 0),
            query_offset_ms,
            limit: raw.limit,
            where_applicable: false,
            rules,
        })
    }

    /// Checks a rule; what is wrong with it is noted in it.
    fn rule(
        &self,
        raw: RawRule,
        group_labels: &BTreeMap<String, String>,
        group_source: Option<RawSource>,
    ) -> RuleSpec {
        let source = match raw.source.or(group_source) {
            Some(RawSource::Logs) => Source::Logs,
            Some(RawSource::Metrics) | None => Source::Metrics,
        };
        let name: Arc<str> = Arc::from(
            raw.record
                .as_deref()
                .or(raw.alert.as_deref())
                .unwrap_or_default(),
        );
        let expression: Arc<str> = Arc::from(raw.expr.value.trim());
        let mut broken = Vec::new();
        let mut must = |result: Result<(), String>| broken.extend(result.err());
        must(consistent(&raw));
        let reads = self
            .languages
            .of(source)
            .check(&expression)
            .unwrap_or_else(|error| {
                must(Err(format!("cannot parse expression: {error}")));
                Reads::Anything
            });
        let mut texts = |what: &str, map: BTreeMap<String, String>| {
            let mut texts = Vec::with_capacity(map.len());
            for (key, source) in map {
                match Template::parse(&format!("__alert_{name}"), &source, &RULE_VARIABLES) {
                    Ok(template) => texts.push((
                        Arc::from(key),
                        Text {
                            source: Arc::from(source),
                            template,
                        },
                    )),
                    Err(error) => must(Err(format!("{what} {key:?}: {error}"))),
                }
            }
            texts
        };
        let mut labels = group_labels.clone();
        labels.extend(raw.labels);
        let labels = texts("label", labels);
        let annotations = texts("annotation", raw.annotations);
        // A template may query what an earlier rule of the group has just made.
        let asks =
            |texts: &[(Arc<str>, Text)]| texts.iter().any(|(_, t)| t.source.contains("query"));
        let reads = if asks(&labels) || asks(&annotations) {
            Reads::Anything
        } else {
            reads
        };
        let mut time = |key: &str, value: Option<&str>| {
            duration_ms(key, value).unwrap_or_else(|error| {
                must(Err(error));
                None
            })
        };
        let for_ms = time("for", raw.hold.as_deref()).unwrap_or_default();
        let keep_ms = time("keep_firing_for", raw.keep_firing_for.as_deref()).unwrap_or_default();
        RuleSpec {
            name,
            expression,
            source,
            labels,
            output: if raw.record.is_some() {
                RuleOutput::Recording
            } else {
                RuleOutput::Alerting {
                    for_ms,
                    keep_firing_for_ms: keep_ms,
                    annotations,
                }
            },
            reads,
            broken: (!broken.is_empty()).then(|| broken.join("; ")),
            idle: None,
        }
    }
}

/// Whether the keys of a rule go together.
fn consistent(raw: &RawRule) -> Result<(), String> {
    let reserved = |labels: &BTreeMap<String, String>| {
        labels.keys().find_map(|key| match key.as_str() {
            "" => Some("a label needs a name".to_owned()),
            METRIC_NAME => Some("the label __name__ cannot be set".to_owned()),
            _ => None,
        })
    };
    match (&raw.record, &raw.alert) {
        (Some(_), Some(_)) => return Err("has both record and alert, keep one".to_owned()),
        (None, None) => return Err("has neither record nor alert".to_owned()),
        (Some(record), None) => {
            if !is_metric_name(record) {
                return Err(format!("invalid recording rule name {record:?}"));
            }
            if !raw.annotations.is_empty() {
                return Err("a recording rule has no annotations".to_owned());
            }
            if raw.hold.is_some() || raw.keep_firing_for.is_some() {
                return Err("a recording rule has neither for nor keep_firing_for".to_owned());
            }
        }
        (None, Some(alert)) if alert.is_empty() => return Err("an alert needs a name".to_owned()),
        (None, Some(_)) => {}
    }
    if raw.expr.value.trim().is_empty() {
        return Err("the expression is empty".to_owned());
    }
    reserved(&raw.labels).map_or(Ok(()), Err)
}

/// What series may be called: anything but nothing, white space and what only selectors hold.
fn is_metric_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "{}()\"'`,=".contains(c))
}

fn duration_ms(key: &str, value: Option<&str>) -> Result<Option<i64>, String> {
    value
        .map(|text| {
            model::duration::parse(text)
                .map_err(|error| format!("{key}: {error}"))
                .map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
        })
        .transpose()
}
