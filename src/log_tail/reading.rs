//! How the files that a glob matches are read, where the configuration says more than "as is
//! usual": their format, where they begin, and which lines belong together.

use std::path::Path;
use std::sync::Arc;

use glob::Pattern;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::config::{Config, Error, Start};
use crate::find::PATH_OPTIONS;
use crate::multiline::{Mode, OwnPatterns};

/// A configured pattern larger than this when compiled is refused, bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// In which format the lines of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatChoice {
    /// Found out from the lines.
    #[default]
    Auto,
    /// Containerd's and CRI-O's envelope.
    Cri,
    /// Docker's json-file envelope.
    Docker,
    /// A JSON object per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Access logs of nginx and Apache.
    Access,
    /// Text: nothing in it is read as JSON or pairs.
    Text,
}

/// Which lines belong together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultilineRule {
    /// A regular expression: a line that matches begins a record.
    pub start: Option<String>,
    /// A regular expression: a line that matches goes on with the record before it.
    #[serde(rename = "continue")]
    pub go_on: Option<String>,
    /// Without patterns: stack traces and indented lines are joined. `false`: each line is a
    /// record.
    pub built_in: bool,
}

impl Default for MultilineRule {
    fn default() -> Self {
        Self {
            start: None,
            go_on: None,
            built_in: true,
        }
    }
}

/// What the configuration says about some files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadRule {
    /// Globs of whole paths.
    pub files: Vec<String>,
    /// Their format.
    pub format: Option<FormatChoice>,
    /// Where those are read from that nobody has read before.
    pub from: Option<Start>,
    /// How their lines are joined.
    pub multiline: Option<MultilineRule>,
}

/// How one file is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) format: FormatChoice,
    pub(crate) start: Start,
    /// Whether a rule names the start of this very file, also for files that appear later.
    pub(crate) start_named: bool,
    pub(crate) multiline: Arc<Mode>,
}

/// A rule whose patterns are parsed.
#[derive(Debug)]
struct Compiled {
    files: Vec<Pattern>,
    format: Option<FormatChoice>,
    from: Option<Start>,
    multiline: Option<Arc<Mode>>,
}

/// All rules.
#[derive(Debug)]
pub(crate) struct Readings {
    rules: Vec<Compiled>,
    start: Start,
    built_in: Arc<Mode>,
}

impl Readings {
    /// Parses the rules.
    ///
    /// # Errors
    /// A glob or a regular expression that does not parse, a rule without files.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            rules: (config.read.iter())
                .map(compile)
                .collect::<Result<_, _>>()?,
            start: config.start,
            built_in: Arc::new(Mode::BuiltIn),
        })
    }

    /// How the file at a path is read: each setting from the first rule that matches and has it.
    pub(crate) fn of(&self, path: &Path) -> Reading {
        let matching: Vec<&Compiled> = (self.rules.iter())
            .filter(|rule| {
                (rule.files.iter()).any(|glob| glob.matches_path_with(path, PATH_OPTIONS))
            })
            .collect();
        let from = matching.iter().find_map(|rule| rule.from);
        Reading {
            format: (matching.iter().find_map(|rule| rule.format)).unwrap_or_default(),
            start: from.unwrap_or(self.start),
            start_named: from.is_some(),
            multiline: (matching.iter().find_map(|rule| rule.multiline.clone()))
                .unwrap_or_else(|| Arc::clone(&self.built_in)),
        }
    }
}

fn compile(rule: &ReadRule) -> Result<Compiled, Error> {
    if rule.files.is_empty() {
        return Err(Error::NoFiles);
    }
    let files: Result<Vec<Pattern>, Error> = (rule.files.iter())
        .map(|text| {
            Pattern::new(text).map_err(|source| Error::Pattern {
                pattern: text.clone(),
                source,
            })
        })
        .collect();
    Ok(Compiled {
        files: files?,
        format: rule.format,
        from: rule.from,
        multiline: (rule.multiline.as_ref())
            .map(|multiline| mode(multiline).map(Arc::new))
            .transpose()?,
    })
}

fn mode(rule: &MultilineRule) -> Result<Mode, Error> {
    let start = rule.start.as_deref().map(regex).transpose()?;
    let go_on = rule.go_on.as_deref().map(regex).transpose()?;
    Ok(match (start, go_on) {
        (None, None) if rule.built_in => Mode::BuiltIn,
        (None, None) => Mode::Off,
        (start, go_on) => Mode::Own(OwnPatterns { start, go_on }),
    })
}

fn regex(text: &str) -> Result<Regex, Error> {
    RegexBuilder::new(text)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|source| Error::Regex {
            pattern: text.to_owned(),
            source: Box::new(source),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(rules: Vec<ReadRule>) -> Result<Readings, Error> {
        Readings::new(&Config {
            read: rules,
            ..Config::default()
        })
    }

    fn files(glob: &str) -> ReadRule {
        ReadRule {
            files: vec![glob.to_owned()],
            ..ReadRule::default()
        }
    }

    #[test]
    fn each_setting_comes_from_the_first_rule_that_has_it() {
        let rules = vec![
            ReadRule {
                format: Some(FormatChoice::Text),
                ..files("/var/log/app/*.log")
            },
            ReadRule {
                format: Some(FormatChoice::Json),
                from: Some(Start::End),
                multiline: Some(MultilineRule {
                    built_in: false,
                    ..MultilineRule::default()
                }),
                ..files("/var/log/**")
            },
        ];
        let readings = readings(rules).expect("good rules");
        let reading = readings.of(Path::new("/var/log/app/a.log"));
        assert_eq!(reading.format, FormatChoice::Text);
        assert_eq!((reading.start, reading.start_named), (Start::End, true));
        assert!(matches!(*reading.multiline, Mode::Off));
        let reading = readings.of(Path::new("/srv/a.log"));
        assert_eq!(reading.format, FormatChoice::Auto);
        assert!(!reading.start_named);
        assert!(matches!(*reading.multiline, Mode::BuiltIn));
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = |rule| readings(vec![rule]).expect_err("refused").to_string();
        assert!(error(files("/a/[")).starts_with("bad file pattern /a/[: "));
        assert_eq!(
            error(ReadRule::default()),
            "a rule under logs.read names no files: give it `files: [GLOB, …]`"
        );
        let rule = ReadRule {
            multiline: Some(MultilineRule {
                start: Some("(".to_owned()),
                ..MultilineRule::default()
            }),
            ..files("/a")
        };
        assert!(error(rule).starts_with("bad pattern ( for multiline records: "));
    }
}
