//! What becomes of a line: stages, compiled once and run on each line that the store found.
//!
//! Line filters that stand before any stage that rewrites the line are not here: they are part of
//! the store's filter ([`super::lower`]). A stage that fails leaves the line in and sets
//! `__error__`, as in Loki.

mod encodings;
mod format;
mod functions;
mod ip;
mod json;
mod label_filter;
pub(super) mod labels;
mod logfmt;
mod pattern;

use std::borrow::Cow;

use model::{Labels, Level};
use regex::bytes::Regex;

use self::format::Format;
use self::ip::IpRange;
use self::label_filter::Test;
use self::labels::LineLabels;
use self::pattern::Pattern;
use super::ast::{
    Conversion, LabelChoice, LabelFormat, LabelValue, LineFilter, LineNeedle, LineOp, Stage, Unwrap,
};
use super::re2;
use super::units;

/// `__error__` of a text that is no JSON.
const JSON_ERROR: &str = "JSONParserErr";

/// Colour sequences of terminals.
const COLOURS: &str = "\u{1b}\\[[0-9;?]*[A-Za-z]";

/// A stage that is ready to run.
#[derive(Debug, Clone)]
enum Step {
    Line(LineTest),
    Json,
    JsonPaths(Vec<(String, Vec<json::Step>)>),
    Logfmt {
        flags: logfmt::Flags,
        /// Label and key.
        keys: Vec<(String, String)>,
    },
    Pattern(Pattern),
    Regexp(regex::Regex),
    Unpack,
    Decolorize(Regex),
    LineFormat(Format),
    LabelFormat(Vec<(String, NewLabel)>),
    Filter(Test),
    Drop(Vec<LabelChoice>),
    Keep(Vec<LabelChoice>),
}

#[derive(Debug, Clone)]
enum NewLabel {
    Renamed(String),
    Made(Format),
}

/// A line filter that is ready to be asked.
#[derive(Debug, Clone)]
struct LineTest {
    negative: bool,
    any: Vec<LineNeedleTest>,
}

#[derive(Debug, Clone)]
enum LineNeedleTest {
    Text(String),
    Regex(Regex),
    Pattern(Pattern),
    Ip(IpRange),
}

impl LineTest {
    fn new(filter: &LineFilter) -> Result<Self, String> {
        let any = filter.any.iter().map(|needle| {
            Ok(match (needle, filter.op) {
                (LineNeedle::Ip(range), _) => LineNeedleTest::Ip(IpRange::parse(range)?),
                (LineNeedle::Text(text), LineOp::Contains | LineOp::NotContains) => {
                    LineNeedleTest::Text(text.clone())
                }
                (LineNeedle::Text(text), LineOp::Matches | LineOp::NotMatches) => {
                    LineNeedleTest::Regex(re2::for_lines(text)?)
                }
                (LineNeedle::Text(text), LineOp::Pattern | LineOp::NotPattern) => {
                    LineNeedleTest::Pattern(Pattern::filter(text)?)
                }
            })
        });
        Ok(Self {
            negative: filter.op.is_negative(),
            any: any.collect::<Result<_, String>>()?,
        })
    }

    fn keeps(&self, line: &[u8]) -> bool {
        let found = self.any.iter().any(|needle| match needle {
            LineNeedleTest::Text(text) => memchr::memmem::find(line, text.as_bytes()).is_some(),
            LineNeedleTest::Regex(regex) => regex.is_match(line),
            LineNeedleTest::Pattern(pattern) => pattern.matches(&String::from_utf8_lossy(line)),
            LineNeedleTest::Ip(range) => range.is_in(&String::from_utf8_lossy(line)),
        });
        found != self.negative
    }
}

/// The stages of a query.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    steps: Vec<Step>,
    /// The labels that anybody looks at behind the parsers; all where there is none.
    wanted: Option<Vec<String>>,
}

/// A line behind the stages.
#[derive(Debug, Clone)]
pub(super) struct Passed<'a> {
    /// Its text, rewritten or not.
    pub(super) text: Cow<'a, [u8]>,
    /// Its labels.
    pub(super) labels: LineLabels<'a>,
}

impl Pipeline {
    /// Prepares stages. With `wanted`, parsers extract only what the stages and these names need.
    pub(super) fn new(stages: &[Stage], wanted: Option<&[String]>) -> Result<Self, String> {
        let steps: Vec<Step> = stages.iter().map(step).collect::<Result<_, String>>()?;
        let wanted = wanted.and_then(|names| needed(&steps, names));
        Ok(Self { steps, wanted })
    }

    /// Whether it does nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a line that comes in always comes out.
    pub(super) fn keeps_all(&self) -> bool {
        !self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Line(_) | Step::Filter(_)))
    }

    /// Runs a line through; `None` when a filter leaves it out.
    pub(super) fn run<'a>(
        &'a self,
        stream: &'a Labels,
        level: Level,
        time_ns: i64,
        text: &'a [u8],
    ) -> Option<Passed<'a>> {
        let mut line = Passed {
            text: Cow::Borrowed(text),
            labels: LineLabels::new(stream, level, self.wanted.as_deref()),
        };
        for step in &self.steps {
            let keep = step.run(&mut line, time_ns);
            if !keep {
                return None;
            }
        }
        Some(line)
    }
}

fn step(stage: &Stage) -> Result<Step, String> {
    Ok(match stage {
        Stage::Line(filter) => Step::Line(LineTest::new(filter)?),
        Stage::Json(extractions) if extractions.is_empty() => Step::Json,
        Stage::Json(extractions) => {
            let paths = extractions
                .iter()
                .map(|e| Ok((e.name.clone(), json::path(&e.from)?)));
            Step::JsonPaths(paths.collect::<Result<_, String>>()?)
        }
        Stage::Logfmt {
            strict,
            keep_empty,
            extractions,
        } => Step::Logfmt {
            flags: logfmt::Flags {
                strict: *strict,
                keep_empty: *keep_empty,
            },
            keys: extractions
                .iter()
                .map(|e| (e.name.clone(), e.from.clone()))
                .collect(),
        },
        Stage::Pattern(text) => Step::Pattern(Pattern::parser(text)?),
        Stage::Regexp(text) => Step::Regexp(named_regex(text)?),
        Stage::Unpack => Step::Unpack,
        Stage::Decolorize => Step::Decolorize(crate::parse::compile_regex(COLOURS)?),
        Stage::LineFormat(text) => Step::LineFormat(Format::new(text)?),
        Stage::LabelFormat(formats) => {
            let parts = formats.iter().map(|LabelFormat { name, value }| {
                let value = match value {
                    LabelValue::Label(from) => NewLabel::Renamed(from.clone()),
                    LabelValue::Template(text) => NewLabel::Made(Format::new(text)?),
                };
                Ok((name.clone(), value))
            });
            Step::LabelFormat(parts.collect::<Result<_, String>>()?)
        }
        Stage::LabelFilter(filter) => Step::Filter(Test::new(filter)?),
        Stage::Drop(choices) => Step::Drop(choices.clone()),
        Stage::Keep(choices) => Step::Keep(choices.clone()),
    })
}

/// The names that stages and caller look at; `None` when that cannot be told.
fn needed(steps: &[Step], wanted: &[String]) -> Option<Vec<String>> {
    let mut names = wanted.to_vec();
    for step in steps {
        match step {
            Step::Filter(test) => test.names(&mut names),
            Step::LineFormat(format) => names.extend(format.names()?),
            Step::LabelFormat(parts) => {
                for (name, value) in parts {
                    names.push(name.clone());
                    match value {
                        NewLabel::Renamed(from) => names.push(from.clone()),
                        NewLabel::Made(format) => names.extend(format.names()?),
                    }
                }
            }
            Step::Drop(choices) | Step::Keep(choices) => {
                for choice in choices {
                    names.push(match choice {
                        LabelChoice::Name(name) => name.clone(),
                        LabelChoice::Matcher(matcher) => matcher.name.to_string(),
                    });
                }
            }
            _ => {}
        }
    }
    Some(names)
}

impl Step {
    fn run(&self, line: &mut Passed<'_>, time_ns: i64) -> bool {
        let Passed { text, labels } = line;
        match self {
            Self::Line(test) => return test.keeps(text),
            Self::Filter(test) => return test.keeps(labels),
            Self::Json => json::all(&String::from_utf8_lossy(text), labels),
            Self::JsonPaths(paths) => json::at_paths(&String::from_utf8_lossy(text), paths, labels),
            Self::Logfmt { flags, keys } => {
                logfmt::extract(&String::from_utf8_lossy(text), *flags, keys, labels);
            }
            Self::Pattern(pattern) => pattern.extract(&String::from_utf8_lossy(text), labels),
            Self::Regexp(regex) => {
                let text = String::from_utf8_lossy(text);
                if let Some(found) = regex.captures(&text) {
                    for name in regex.capture_names().flatten() {
                        if let Some(value) = found.name(name) {
                            labels.extract(name, value.as_str(), false);
                        }
                    }
                }
            }
            Self::Unpack => {
                if let Some(entry) = json::unpack(&String::from_utf8_lossy(text), labels) {
                    *text = Cow::Owned(entry.into_bytes());
                }
            }
            Self::Decolorize(colours) => {
                if let Cow::Owned(plain) = colours.replace_all(text, &b""[..]) {
                    *text = Cow::Owned(plain);
                }
            }
            Self::LineFormat(format) => {
                let old = String::from_utf8_lossy(text);
                if let Some(new) = format.render(&old, time_ns, labels) {
                    *text = Cow::Owned(new.into_bytes());
                }
            }
            Self::LabelFormat(parts) => {
                for (name, value) in parts {
                    match value {
                        NewLabel::Renamed(from) => {
                            if let Some(value) = labels.get(from).map(str::to_owned) {
                                labels.set(name, &value);
                                labels.remove(from);
                            }
                        }
                        NewLabel::Made(format) => {
                            let line = String::from_utf8_lossy(text);
                            if let Some(value) = format.render(&line, time_ns, labels) {
                                labels.set(name, &value);
                            }
                        }
                    }
                }
            }
            Self::Drop(choices) => {
                for choice in choices {
                    match choice {
                        LabelChoice::Name(name) => labels.remove(name),
                        LabelChoice::Matcher(matcher) => {
                            if labels
                                .get(&matcher.name)
                                .is_some_and(|v| matcher.matches(v))
                            {
                                labels.remove(&matcher.name);
                            }
                        }
                    }
                }
            }
            Self::Keep(choices) => {
                for name in labels.names() {
                    let value = labels.get(&name).unwrap_or_default();
                    let kept = choices.iter().any(|choice| match choice {
                        LabelChoice::Name(kept) => *kept == name,
                        LabelChoice::Matcher(m) => *m.name == *name && m.matches(value),
                    });
                    if !kept {
                        labels.remove(&name);
                    }
                }
            }
        }
        true
    }
}

/// Takes a sample out of a line's labels.
#[derive(Debug, Clone)]
pub(super) struct Unwrapper {
    pub(super) label: String,
    conversion: Conversion,
    filters: Vec<Test>,
}

impl Unwrapper {
    pub(super) fn new(unwrap: &Unwrap) -> Result<Self, String> {
        Ok(Self {
            label: unwrap.label.clone(),
            conversion: unwrap.conversion,
            filters: unwrap
                .filters
                .iter()
                .map(Test::new)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The names that it looks at.
    pub(super) fn names(&self, out: &mut Vec<String>) {
        out.push(self.label.clone());
        for filter in &self.filters {
            filter.names(out);
        }
    }

    /// The sample of a line. A value that is no number gives 0 and `__error__`; a line without
    /// the label gives nothing.
    pub(super) fn sample(&self, labels: &mut LineLabels<'_>) -> Option<f64> {
        let text = labels.get(&self.label)?;
        let number = match self.conversion {
            Conversion::Number => text.trim().parse().ok(),
            Conversion::Seconds => units::duration_ns(text.trim()).map(|ns| ns as f64 / 1e9),
            Conversion::Bytes => units::bytes(text).map(|bytes| bytes as f64),
        };
        if number.is_none() {
            let details = format!("{}={text:?} is no such number", self.label);
            labels.fail("SampleExtractionErr", || details);
        }
        self.filters
            .iter()
            .all(|filter| filter.keeps(labels))
            .then_some(number.unwrap_or(0.0))
    }
}

/// Writes a name as a label can have it: other characters than letters, digits and `_` become
/// `_`, and a name that begins with a digit gets one before it.
fn sanitize(name: &str, is_start: bool, out: &mut String) {
    let name = name.trim();
    if is_start && name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(name.chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    }));
}

fn named_regex(text: &str) -> Result<regex::Regex, String> {
    let regex = re2::for_texts(text)?;
    if regex.capture_names().flatten().next().is_none() {
        return Err("at least one named capture must be supplied, such as (?P<name>…)".to_owned());
    }
    Ok(regex)
}

/// Whether a text can stand in `ip(…)`.
pub(super) fn check_ip(text: &str) -> Result<(), String> {
    IpRange::parse(text).map(|_| ())
}

/// Whether a text can stand behind `|>`.
pub(super) fn check_line_pattern(text: &str) -> Result<(), String> {
    Pattern::filter(text).map(|_| ())
}

/// Whether a text can stand behind `| pattern`.
pub(super) fn check_pattern(text: &str) -> Result<(), String> {
    Pattern::parser(text).map(|_| ())
}

/// Whether a text can stand behind `| regexp`.
pub(super) fn check_regexp(text: &str) -> Result<(), String> {
    named_regex(text).map(|_| ())
}

/// Whether a text is a template.
pub(super) fn check_template(text: &str) -> Result<(), String> {
    Format::new(text).map(|_| ())
}

/// Whether a text is a path into JSON.
pub(super) fn check_json_path(text: &str) -> Result<(), String> {
    json::path(text).map(|_| ())
}
