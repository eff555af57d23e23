//! What a receiver is to be told: the alerts of a batch that it hears of, and the templates that
//! put them into words.

use std::path::{Path, PathBuf};

use model::{Alert, Labels};
use serde::Serialize;
use template::notification::{self, AlertData, Data};
use template::{Env, Template, Templates, Value};

use crate::dispatch::Batch;

/// Our own words for what configurations leave to defaults.
const DEFAULT: &str = include_str!("default.tmpl");

/// The most template files, and the largest one, bytes.
const FILES_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The default templates and those of the configuration's files, which replace them by name.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    templates: Templates,
    /// What the files say: equal texts mean equal templates.
    sources: Vec<String>,
}

impl PartialEq for Wording {
    fn eq(&self, other: &Self) -> bool {
        self.sources == other.sources
    }
}

impl Default for Wording {
    fn default() -> Self {
        let mut templates = Templates::default();
        let added = templates.add("default.tmpl", DEFAULT, notification::FUNCTIONS);
        // A test reads the file; without it the defaults would be empty texts.
        if let Err(error) = added {
            tracing::error!(%error, "the built-in templates cannot be read");
        }
        Self {
            templates,
            sources: Vec::new(),
        }
    }
}

impl Wording {
    /// Reads the files that patterns name, relative to `dir`.
    pub(crate) fn load(patterns: &[String], dir: &Path) -> Result<Self, String> {
        let mut wording = Self::default();
        for pattern in patterns {
            for path in files(pattern, dir)? {
                let shown = path.display();
                let cannot =
                    |error: std::io::Error| format!("templates: cannot read {shown}: {error}");
                let bytes = std::fs::metadata(&path).map_err(cannot)?.len();
                if bytes > FILE_BYTES_MAX {
                    return Err(format!(
                        "templates: {shown} has {bytes} bytes, the limit is {FILE_BYTES_MAX}"
                    ));
                }
                let text = std::fs::read_to_string(&path).map_err(cannot)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                wording
                    .templates
                    .add(&name, &text, notification::FUNCTIONS)
                    .map_err(|error| format!("templates: {shown}: {error}"))?;
                wording.sources.push(text);
            }
        }
        Ok(wording)
    }

    /// Reads a text of the configuration.
    pub(crate) fn parse(&self, key: &str, source: &str) -> Result<Template, String> {
        let parsed = self.templates.parse(key, source, notification::FUNCTIONS);
        parsed.map_err(|error| error.to_string())
    }
}

/// The files of a pattern: `*` and `?` in the last part of a path.
fn files(pattern: &str, dir: &Path) -> Result<Vec<PathBuf>, String> {
    let path = dir.join(pattern);
    let last = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if !last.contains(['*', '?', '[']) {
        // As Alertmanager: a file that is not there is no mistake, a pattern simply names none.
        return Ok(if path.exists() {
            vec![path]
        } else {
            Vec::new()
        });
    }
    if last.contains('[') {
        return Err(format!(
            "templates: {pattern:?}: only * and ? are understood in file names"
        ));
    }
    let folder = path.parent().unwrap_or(dir);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_meant = fits(last.as_bytes(), entry.file_name().as_encoded_bytes());
        if is_meant && entry.path().is_file() {
            found.push(entry.path());
        }
        if found.len() > FILES_MAX {
            return Err(format!(
                "templates: {pattern:?} names more than {FILES_MAX} files"
            ));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            fits(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| fits(pattern, name))
        }
        (Some((b'?', rest)), Some((_, name))) => fits(rest, name),
        (Some((a, rest)), Some((b, name))) if a == b => fits(rest, name),
        _ => false,
    }
}

/// A message to a receiver.
pub(crate) struct Message<'a> {
    pub(crate) group_key: &'a str,
    pub(crate) now_ms: i64,
    pub(crate) data: &'a Data,
    wording: &'a Wording,
    value: Value,
    /// What is known of the beginning; for those who do not write texts.
    pub(crate) evidence: Option<&'a Evidence>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(
        data: &'a Data,
        group_key: &'a str,
        now_ms: i64,
        wording: &'a Wording,
    ) -> Self {
        Self {
            value: data.value(),
            group_key,
            now_ms,
            data,
            wording,
            evidence: None,
        }
    }

    pub(crate) fn with_evidence(mut self, evidence: Option<&'a Evidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// Whether one of the alerts fires.
    pub(crate) fn is_firing(&self) -> bool {
        self.data.alerts.iter().any(|alert| !alert.resolved)
    }

    /// The labels that all alerts have.
    pub(crate) fn common_labels(&self) -> Labels {
        notification::common(self.data.alerts.iter().map(|alert| &alert.labels))
    }

    /// Fills a template in; `key` is where it stands in the configuration.
    pub(crate) fn text(&self, key: &str, source: &str) -> Result<String, String> {
        self.filled(key, source, false)
    }

    /// As [`Message::text`], values escaped for HTML.
    pub(crate) fn html(&self, key: &str, source: &str) -> Result<String, String> {
        self.filled(key, source, true)
    }

    /// As [`Message::text`], without evidence where the text would not fit with it: it is what
    /// the page says, too.
    pub(crate) fn fitting(
        &self,
        key: &str,
        source: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        self.filled_to_fit(key, source, false, fits)
    }

    /// As [`Message::fitting`], values escaped for HTML.
    pub(crate) fn html_fitting(
        &self,
        key: &str,
        source: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        self.filled_to_fit(key, source, true, fits)
    }

    fn filled_to_fit(
        &self,
        key: &str,
        source: &str,
        html: bool,
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let text = self.filled(key, source, html)?;
        if fits(&text) {
            return Ok(text);
        }
        let mut bare = self.data.clone();
        bare.more = vec![("Evidence", Evidence::default().value())];
        let bare = Message::new(&bare, self.group_key, self.now_ms, self.wording);
        bare.filled(key, source, html)
    }

    fn filled(&self, key: &str, source: &str, html: bool) -> Result<String, String> {
        // Fast path: most settings are plain text.
        if !source.contains("{{") {
            return Ok(source.to_owned());
        }
        let template = self.wording.parse(key, source)?;
        let env = Env {
            now_ms: self.now_ms,
            external_url: &self.data.external_url,
            query: &|_| Err("notifications cannot ask for samples".to_owned()),
            more: &[],
        };
        let rendered = if html {
            template.render_html(&self.value, &[], &env)
        } else {
            template.render(&self.value, &[], &env)
        };
        rendered.map_err(|error| error.to_string())
    }
}

/// What templates and the webhook's JSON know of some alerts.
pub(crate) fn data(batch: &Batch, alerts: &[&Alert], external_url: &str) -> Data {
    let alert = |alert: &&Alert| {
        let resolved = alert.is_resolved_at(batch.now_ms);
        AlertData {
            resolved,
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at_ms: alert.starts_at_ms,
            ends_at_ms: resolved.then_some(alert.ends_at_ms),
            generator_url: alert.generator_url.clone(),
            fingerprint: alert.fingerprint(),
        }
    };
    Data {
        receiver: batch.receiver.to_string(),
        alerts: alerts.iter().map(alert).collect(),
        group_labels: batch.group_labels.clone(),
        external_url: external_url.to_owned(),
        more: vec![("Evidence", Evidence::default().value())],
    }
}

/// What is known of the beginning of an alert, for templates: `.Evidence.Text`,
/// the same as a block of code (`.Evidence.Quoted` in Markdown, `.Evidence.Slack`),
/// `.Evidence.Sparkline`, `.Evidence.Lines`, `.Evidence.URL`. All empty where nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// All of it in a few lines: the curve, and the log lines that stand out.
    pub text: String,
    /// The alert's value over time in block characters.
    pub sparkline: String,
    /// Log lines that stand out.
    pub lines: Vec<String>,
    /// The alert's own page.
    pub url: String,
}

impl Evidence {
    /// Only the address, for a message that an alert is over.
    pub(crate) fn only_url(self) -> Self {
        Self {
            url: self.url,
            ..Self::default()
        }
    }

    pub(crate) fn value(&self) -> Value {
        let lines = self.lines.iter().map(|line| Value::str(line.as_str()));
        Value::fields(
            "*template.Evidence",
            vec![
                ("Text", Value::str(self.text.as_str())),
                ("Quoted", Value::str(quoted(&self.text))),
                ("Slack", Value::str(slack_quoted(&self.text))),
                ("Sparkline", Value::str(self.sparkline.as_str())),
                ("Lines", Value::List(lines.collect())),
                ("URL", Value::str(self.url.as_str())),
            ],
        )
    }
}

/// A text as a block of code in Markdown: log lines may hold anything, and nothing in a block is
/// read but its end.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("```\n{}\n```", text.replace("```", "'''"))
}

/// The same for Slack, where `<!channel>` would call everybody in a block of code, too.
fn slack_quoted(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    quoted(&escaped.replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_are_read_and_all_defaults_are_there() {
        let mut templates = Templates::default();
        templates
            .add("default.tmpl", DEFAULT, notification::FUNCTIONS)
            .expect("they are read");
        for name in [
            "__subject",
            "__alertmanagerURL",
            "__text_alert_list",
            "slack.default.title",
            "email.default.html",
            "email.default.subject",
            "pagerduty.default.instances",
        ] {
            assert!(templates.contains(name), "{name}");
        }
    }

    #[test]
    fn files_replace_defaults_and_patterns_name_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let file =
            |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect(name);
        file(
            "a.tmpl",
            r#"{{ define "slack.default.title" }}mine{{ end }}"#,
        );
        file("b.txt", "not one of them {{");
        let load = |pattern: &str| Wording::load(&[pattern.to_owned()], dir.path());
        let wording = load("*.tmpl").expect("they are read");
        let data = Data::default();
        let message = Message::new(&data, "{}", 0, &wording);
        let text = message.text("title", r#"{{ template "slack.default.title" . }}"#);
        assert_eq!(text.as_deref(), Ok("mine"));
        let error = load("?.txt").map(|_| ()).expect_err("broken");
        assert!(error.contains("b.txt"), "{error}");
        assert!(load("none*.tmpl").is_ok());
    }

    #[test]
    fn evidence_stands_below_the_words_where_there_is_some() {
        let text = |evidence: Evidence| {
            let data = Data {
                more: vec![("Evidence", evidence.value())],
                ..Data::default()
            };
            let wording = Wording::default();
            let message = Message::new(&data, "{}", 0, &wording);
            message.text("text", r#"{{ template "slack.default.text" . }}"#)
        };
        assert_eq!(text(Evidence::default()).as_deref(), Ok(""));
        let known = Evidence {
            text: "▁█\n3× (new) it broke".to_owned(),
            ..Evidence::default()
        };
        let found = text(known).expect("a text");
        assert!(found.contains("```\n▁█\n3× (new) it broke\n```"), "{found}");
    }

    #[test]
    fn log_lines_cannot_break_out_of_their_quotes() {
        let hostile = "``` <!channel> & @everyone </pre>";
        assert_eq!(
            slack_quoted(hostile),
            "```\n''' &lt;!channel&gt; &amp; @everyone &lt;/pre&gt;\n```"
        );
        assert_eq!(quoted("````"), "```\n'''`\n```");
        assert_eq!(quoted(""), "");
    }

    #[test]
    fn evidence_gives_way_where_there_is_no_room() {
        let known = Evidence {
            text: "x".repeat(100),
            ..Evidence::default()
        };
        let data = Data {
            more: vec![("Evidence", known.value())],
            ..Data::default()
        };
        let wording = Wording::default();
        let message = Message::new(&data, "{}", 0, &wording);
        let source = "words {{ .Evidence.Text }}";
        let text = |max: usize| message.fitting("text", source, |text| text.len() <= max);
        assert_eq!(text(200).map(|text| text.len()), Ok(106));
        assert_eq!(text(105).as_deref(), Ok("words "));
    }

    #[test]
    fn patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        };
        check("*.tmpl", "a.tmpl", true);
        check("*.tmpl", "a.tmpl.bak", false);
        check("?.x", "ab.x", false);
        check("a*b*c", "aXbXbc", true);
        check("", "", true);
    }
}
