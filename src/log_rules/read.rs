//! Checks rules as they are written: every mistake is a sentence with file, line and column.

use std::collections::BTreeMap;

use log_query::{Filter, Query, QueryError};
use model::Level;
use yaml::{Spanned, YamlError};

use crate::config::{RedactConfig, RenameConfig, RuleConfig};
use crate::presets;
use crate::redact::{Redact, WITH_BYTES_MAX, WITH_DEFAULT};
use crate::rename::Rename;
use crate::rule::{Action, Rule, Rules};
use crate::sample::Sample;

/// The most rules: each costs on every line, and has counters.
pub const RULES_MAX: usize = 100;

/// The longest name of a rule: it is a label's value on its counters.
pub const NAME_CHARS_MAX: usize = 64;

/// The most names or labels in one rule.
const NAMES_MAX: usize = 64;

impl Rules {
    /// Checks rules. `file` is the name of the file in which they stand.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn read(written: &[Spanned<RuleConfig>], file: &str) -> Result<Self, Vec<YamlError>> {
        let mut rules: Vec<Rule> = Vec::with_capacity(written.len());
        let mut errors = Vec::new();
        for (i, one) in written.iter().enumerate() {
            if i == RULES_MAX {
                errors.push(error(
                    one,
                    file,
                    format!("more than {RULES_MAX} processing rules: put some together"),
                ));
                break;
            }
            match (Reader { file }).rule(one, i + 1) {
                Ok(rule) if rules.iter().any(|other| other.name == rule.name) => {
                    errors.push(error(
                        one,
                        file,
                        format!("two rules are named `{}`: give one another name", rule.name),
                    ));
                }
                Ok(rule) => rules.push(rule),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self { rules })
        } else {
            Err(errors)
        }
    }
}

fn error<T>(at: &Spanned<T>, file: &str, message: impl Into<String>) -> YamlError {
    YamlError {
        file: file.to_owned(),
        line: at.referenced.line(),
        column: at.referenced.column(),
        message: message.into(),
    }
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> YamlError {
        error(at, self.file, message)
    }

    fn rule(&self, written: &Spanned<RuleConfig>, number: usize) -> Result<Rule, YamlError> {
        let rule = &written.value;
        let condition = match &rule.condition {
            Some(text) => self.query(text, "if")?,
            None => Filter::All,
        };
        let action = self.action(written)?;
        let name = match &rule.name {
            Some(name) => self.name(name)?,
            None => format!("{number}-{}", action.key()),
        };
        Ok(Rule {
            name,
            condition,
            action,
        })
    }

    fn name(&self, name: &Spanned<String>) -> Result<String, YamlError> {
        let text = name.value.trim();
        let is_short = text.chars().nth(NAME_CHARS_MAX).is_none();
        if text.is_empty() || !is_short || text.chars().any(char::is_control) {
            let wanted = format!("a rule's name has 1 to {NAME_CHARS_MAX} characters on one line");
            return Err(self.error(name, wanted));
        }
        Ok(text.to_owned())
    }

    fn action(&self, written: &Spanned<RuleConfig>) -> Result<Action, YamlError> {
        let rule = &written.value;
        let mut actions = Vec::new();
        if let Some(text) = &rule.drop {
            actions.push(("drop", Action::Drop(self.verdict(text, "drop")?)));
        }
        if let Some(text) = &rule.keep {
            actions.push(("keep", Action::Keep(self.verdict(text, "keep")?)));
        }
        if let Some(share) = &rule.sample {
            let by = rule.sample_by.as_ref().map(|by| by.value.clone());
            let sample = Sample::parse(&share.value, by);
            let sample = sample.map_err(|message| self.error(share, message))?;
            actions.push(("sample", Action::Sample(sample)));
        } else if let Some(by) = &rule.sample_by {
            let message = "`sample_by` needs `sample` beside it, such as `sample: 10%`";
            return Err(self.error(by, message));
        }
        if let Some(redact) = &rule.redact {
            actions.push(("redact", Action::Redact(self.redact(redact)?)));
        }
        if let Some(rename) = &rule.rename {
            actions.push(("rename", Action::Rename(self.rename(rename)?)));
        }
        if let Some(labels) = &rule.add_labels {
            let labels = self.names(labels, &labels.value, "label")?;
            actions.push(("add_labels", Action::AddLabels(labels)));
        }
        if let Some(word) = &rule.set_level {
            let level: Result<Level, _> = word.value.trim().parse();
            let level = level.map_err(|why| self.error(word, why.to_string()))?;
            actions.push(("set_level", Action::SetLevel(level)));
        }
        if let Some(merge) = &rule.merge_log {
            actions.push(("merge_log", Action::MergeLog(merge.value.clone())));
        }
        let mut actions = actions.into_iter();
        match (actions.next(), actions.next()) {
            (Some((_, action)), None) => Ok(action),
            (Some((one, _)), Some((two, _))) => Err(self.error(
                written,
                format!("a rule does one thing: make two of `{one}` and `{two}`"),
            )),
            (None, _) => Err(self.error(
                written,
                "a rule needs something to do: drop, keep, redact, sample, rename, add_labels, \
                 set_level or merge_log",
            )),
        }
    }

    /// The query behind `drop` or `keep`.
    fn verdict(&self, text: &Spanned<String>, key: &str) -> Result<Filter, YamlError> {
        if matches!(
            text.value.trim(),
            "true" | "false" | "yes" | "no" | "on" | "off"
        ) {
            return Err(self.error(
                text,
                format!(
                    "write which lines to {key}, as a query; `{key}: '*'` means all that `if` is \
                     about"
                ),
            ));
        }
        self.query(text, key)
    }

    fn query(&self, text: &Spanned<String>, key: &str) -> Result<Filter, YamlError> {
        let parsed = Query::parse(&text.value).map_err(|why| {
            let QueryError {
                message,
                position,
                suggestion,
            } = why;
            let meant = suggestion.map_or(String::new(), |s| format!("; did you mean `{s}`?"));
            self.error(
                text,
                format!(
                    "cannot read the query of `{key}`, at its character {}: {message}{meant}",
                    position + 1
                ),
            )
        })?;
        if !parsed.pipes.is_empty() {
            return Err(self.error(
                text,
                format!("`{key}` takes a query without pipes: a rule looks at one line"),
            ));
        }
        Ok(parsed.filter)
    }

    fn redact(&self, written: &Spanned<RedactConfig>) -> Result<Redact, YamlError> {
        let RedactConfig {
            preset,
            regex,
            with,
        } = &written.value;
        let finders = match (preset, regex) {
            (Some(presets), None) if !presets.0.is_empty() => presets
                .0
                .iter()
                .flat_map(|p| presets::finders(*p))
                .collect(),
            (None, Some(regex)) => {
                let finder = presets::finder(&regex.value);
                vec![finder.map_err(|message| self.error(regex, message))?]
            }
            (Some(_), Some(regex)) => {
                let message = "either `preset` or `regex`: make two rules of it";
                return Err(self.error(regex, message));
            }
            _ => {
                let message = "redact what? Write `preset: token` or `regex: '...'`";
                return Err(self.error(written, message));
            }
        };
        let with = match with {
            None => WITH_DEFAULT.to_owned(),
            Some(with) => {
                let text = &with.value;
                let spoils_json = |c: char| matches!(c, '"' | '\\') || c.is_control();
                if text.len() > WITH_BYTES_MAX || text.contains(spoils_json) {
                    return Err(self.error(
                        with,
                        format!(
                            "the replacement has at most {WITH_BYTES_MAX} bytes, and no quotes, \
                             backslashes or line breaks, so that JSON stays JSON"
                        ),
                    ));
                }
                text.clone()
            }
        };
        Ok(Redact { finders, with })
    }

    fn rename(&self, written: &Spanned<RenameConfig>) -> Result<Rename, YamlError> {
        let RenameConfig { labels, fields } = &written.value;
        if labels.is_empty() && fields.is_empty() {
            let message = "rename what? Write `labels: { old: new }` or `fields: { old: new }`";
            return Err(self.error(written, message));
        }
        Ok(Rename {
            labels: self.names(written, labels, "label")?,
            fields: self.names(written, fields, "field")?,
        })
    }

    /// Pairs of which neither part is empty.
    fn names<T>(
        &self,
        at: &Spanned<T>,
        pairs: &BTreeMap<String, String>,
        what: &str,
    ) -> Result<Vec<(String, String)>, YamlError> {
        if pairs.len() > NAMES_MAX {
            return Err(self.error(at, format!("more than {NAMES_MAX} {what}s in one rule")));
        }
        for (name, value) in pairs {
            if name.is_empty() || value.is_empty() || name == value {
                return Err(self.error(
                    at,
                    format!(
                        "the {what} `{name}` cannot become `{value}`: write two different names"
                    ),
                ));
            }
        }
        Ok(pairs.clone().into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        rules: Vec<Spanned<RuleConfig>>,
    }

    fn read(text: &str) -> Result<Rules, Vec<String>> {
        let file: File = yaml::from_str(text, "y.yaml").map_err(|error| vec![error.to_string()])?;
        Rules::read(&file.rules, "y.yaml")
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_kind_of_rule_is_read() {
        let rules = read(
            "rules:
- drop: path:/healthz status:200
  name: health checks
- { if: 'ns:dev', keep: 'level:info..' }
- redact: { preset: [token, email] }
- redact: { preset: ipv4, with: IP }
- redact: { regex: 'pin=(?<secret>\\d+)' }
- { sample: 10%, if: 'level:debug', sample_by: trace_id }
- rename: { labels: { app: service }, fields: { lvl: level } }
- add_labels: { team: media }
- set_level: warning
- merge_log: {}
- merge_log: { key: app, trim: false, keep_log: false }
",
        )
        .expect("all are right");
        let names: Vec<&str> = rules.names().collect();
        assert_eq!(names[0], "health checks");
        assert_eq!(names[1..4], ["2-keep", "3-redact", "4-redact"]);
        assert_eq!(rules.len(), 11);
    }

    fn check(rule: &str, expected: &str) {
        let text = format!("rules:\n- {rule}\n");
        let errors = read(&text).expect_err(rule);
        assert_eq!(errors, [expected], "{rule}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        check(
            "drop: level:eroor",
            "y.yaml:2:9: cannot read the query of `drop`, at its character 7: not a level: write \
             trace, debug, info, warn, error, fatal or unknown, or a range such as level:warn..; \
             did you mean `level:error`?",
        );
        check(
            "drop: x | limit 5",
            "y.yaml:2:9: `drop` takes a query without pipes: a rule looks at one line",
        );
        check(
            "{ if: 'ns:x', drop: true }",
            "y.yaml:2:23: write which lines to drop, as a query; `drop: '*'` means all that `if` \
             is about",
        );
        check(
            "if: ns:x",
            "y.yaml:2:3: a rule needs something to do: drop, keep, redact, sample, rename, \
             add_labels, set_level or merge_log",
        );
        check(
            "{ drop: a, keep: b }",
            "y.yaml:2:3: a rule does one thing: make two of `drop` and `keep`",
        );
        check(
            "redact: { preset: emial }",
            "y.yaml:2:13: unknown value `emial`, did you mean `email`?",
        );
        check(
            "dorp: a",
            "y.yaml:2:3: unknown key `dorp`, did you mean `drop`?",
        );
        check(
            "redact: { regex: 'a(' }",
            "y.yaml:2:20: not a regular expression: unclosed group",
        );
        check(
            "redact: {}",
            "y.yaml:2:11: redact what? Write `preset: token` or `regex: '...'`",
        );
        check(
            "{ redact: { preset: email, with: 'a\"b' } }",
            "y.yaml:2:36: the replacement has at most 64 bytes, and no quotes, backslashes or line \
             breaks, so that JSON stays JSON",
        );
        check(
            "sample: 200%",
            "y.yaml:2:11: the share 200% keeps all lines or none: write more than 0% and less than \
             100%, or use `drop`",
        );
        check(
            "{ sample_by: x, drop: y }",
            "y.yaml:2:16: `sample_by` needs `sample` beside it, such as `sample: 10%`",
        );
        check(
            "set_level: loud",
            "y.yaml:2:14: not a log level: use trace, debug, info, warn, error, fatal or unknown",
        );
        check(
            "rename: { labels: { a: a } }",
            "y.yaml:2:11: the label `a` cannot become `a`: write two different names",
        );
    }

    #[test]
    fn all_mistakes_are_told_and_names_are_unique() {
        let errors = read("rules:\n- drop: level:x\n- {name: a, drop: x}\n- {name: a, keep: x}\n")
            .expect_err("two mistakes");
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert_eq!(
            errors[1],
            "y.yaml:4:3: two rules are named `a`: give one another name"
        );
        let many: String = (0..=RULES_MAX).map(|_| "- drop: x\n").collect();
        let errors = read(&format!("rules:\n{many}")).expect_err("too many");
        assert!(errors[0].contains("more than 100"), "{errors:?}");
    }
}
