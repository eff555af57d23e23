//! `| line_format "…"` and `| label_format a="…"`: Go templates with Loki's functions, which are
//! in `functions.rs`. Dot is the map of a line's labels; a missing one prints nothing.

use template::{Env, Template, Value};

use super::functions::FUNCTIONS;
use super::labels::LineLabels;

/// The error of a template that fails.
const ERROR: &str = "TemplateFormatErr";

/// A template of a stage.
#[derive(Debug, Clone)]
pub(super) struct Format(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Text without templates.
    Constant(String),
    /// `{{.name}}`, by far the commonest.
    Label(String),
    Template(Template),
}

impl Format {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if !text.contains("{{") {
            return Ok(Self(Kind::Constant(text.to_owned())));
        }
        let simple = text
            .strip_prefix("{{")
            .and_then(|t| t.strip_suffix("}}"))
            .and_then(|t| t.trim().strip_prefix('.'))
            .filter(|t| {
                !t.is_empty()
                    && !t.starts_with(|c: char| c.is_ascii_digit())
                    && t.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
        if let Some(name) = simple {
            return Ok(Self(Kind::Label(name.to_owned())));
        }
        Template::parse_with("line", text, &[], FUNCTIONS)
            .map(|template| Self(Kind::Template(template)))
            .map_err(|error| {
                format!(
                    "invalid template at line {}, column {} of it: {}",
                    error.line, error.column, error.message
                )
            })
    }

    /// The text for a line; `None` where it fails, with `__error__`.
    pub(super) fn render(
        &self,
        line: &str,
        time_ns: i64,
        labels: &mut LineLabels<'_>,
    ) -> Option<String> {
        match &self.0 {
            Kind::Constant(text) => Some(text.clone()),
            Kind::Label(name) => Some(labels.get(name).unwrap_or_default().to_owned()),
            Kind::Template(template) => {
                let dot = Value::Labels(labels.all());
                let env = Env {
                    now_ms: time_ns / 1_000_000,
                    external_url: "",
                    query: &|_| Err("a line asks no metrics".to_owned()),
                    more: &[Value::str(line), Value::Int(time_ns)],
                };
                match template.render(&dot, &[], &env) {
                    Ok(text) => Some(text),
                    Err(error) => {
                        labels.fail(ERROR, || error.message);
                        None
                    }
                }
            }
        }
    }

    /// The labels that it looks at; `None` where that cannot be told.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        match &self.0 {
            Kind::Constant(_) => Some(Vec::new()),
            Kind::Label(name) => Some(vec![name.clone()]),
            Kind::Template(_) => None,
        }
    }
}
