//! How is it said?
//!
//! Go's text/template with the functions that Prometheus adds, as the annotations and labels of
//! alerting rules use it. Text is parsed once ([`Template::parse`]) and rendered often
//! ([`Template::render`]); what a template prints is what Go would print, to the letter: floats
//! as `%v` does, label sets as maps. Values and time come in, text goes out: this room knows no
//! clock, no store and no rule. Output, steps and nesting are bounded, so that no template can
//! take the process with it.
//!
//! Notifications have functions and data of their own ([`notification`]), template files
//! ([`Templates`]), and HTML in which values are escaped for the place where they stand
//! ([`Template::render_html`]).

mod ast;
mod builtins;
mod encodings;
mod eval;
mod files;
mod float;
mod html;
mod humanize;
mod json;
mod layout;
mod lexer;
mod methods;
pub mod notification;
mod parser;
mod printf;
mod prometheus;
mod value;

use std::sync::Arc;

pub use builtins::{Call, Function};
pub use files::Templates;
pub use prometheus::{query_escape, table_link};
pub use value::{Sample, Struct, Value};

/// The longest text that a template, or one function in it, may make, bytes. Annotations are
/// sentences; a megabyte is a runaway `range`.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// How many nodes, operands and function calls a rendering may evaluate.
pub const STEPS_MAX: usize = 200_000;

/// How deep blocks and parentheses may nest in a source, counting two levels for `if`, `with` and
/// `range`. Parser and interpreter recurse, so this bounds their stack.
pub const NESTING_MAX: usize = 64;

/// The longest template, bytes.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;

/// The variables that Prometheus declares before each template of a rule.
pub const RULE_VARIABLES: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{column}: {message}")]
pub struct ParseError {
    /// The template's name.
    pub name: String,
    /// Line of the mistake, from 1.
    pub line: usize,
    /// Column of the mistake in characters, from 1.
    pub column: usize,
    /// What is wrong and, where known, what to write instead.
    pub message: String,
}

/// A template that failed while it was rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "error executing template {name}: template: {name}:{line}:{column}: executing \"{name}\" at <{at}>: {message}"
)]
pub struct RenderError {
    /// The template's name.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The part of the template that failed, as written.
    pub at: String,
    /// Why.
    pub message: String,
}

/// Answers the function `query`: an instant query at the time of the evaluation.
pub type QueryFn<'a> = dyn Fn(&str) -> Result<Vec<Sample>, String> + 'a;

/// What functions may ask of the world around a template.
pub struct Env<'a> {
    /// The answer to `now`, milliseconds since 1970-01-01 UTC.
    pub now_ms: i64,
    /// The answer to `externalURL`; `pathPrefix` is its path.
    pub external_url: &'a str,
    /// The answer to `query`.
    pub query: &'a QueryFn<'a>,
    /// What the functions of [`Template::parse_with`] may look at; only they know what it is.
    pub more: &'a [Value],
}

/// A parsed template. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template {
    parsed: Arc<ast::Parsed>,
}

impl Template {
    /// Parses a template. `name` appears in messages; `variables` are those (without `$`) that
    /// [`Template::render`] will be given.
    ///
    /// # Errors
    /// Bad syntax, unknown functions and undeclared variables, each with its place.
    pub fn parse(name: &str, source: &str, variables: &[&str]) -> Result<Self, ParseError> {
        Self::parse_with(name, source, variables, &[])
    }

    /// As [`Template::parse`], with functions that come before Go's and Prometheus' own.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_with(
        name: &str,
        source: &str,
        variables: &[&str],
        more: &'static [Function],
    ) -> Result<Self, ParseError> {
        let parsed = parser::parse(name, source, variables, more, ast::Defined::new())?;
        Ok(Self {
            parsed: Arc::new(parsed),
        })
    }

    /// Whether the template is plain text: it prints the same whatever it is given.
    pub fn is_constant(&self) -> bool {
        self.parsed
            .root
            .nodes
            .iter()
            .all(|node| matches!(node, ast::Node::Text(_)))
    }

    /// Fills the template in. `dot` is `.` and `$`; `variables` are the values of those that were
    /// named to [`Template::parse`], in the same order.
    ///
    /// # Errors
    /// A function that fails, a field that is not there, or a limit of this room.
    pub fn render(
        &self,
        dot: &Value,
        variables: &[Value],
        env: &Env<'_>,
    ) -> Result<String, RenderError> {
        eval::render(&self.parsed, dot, variables, env, false)
    }

    /// As [`Template::render`] for HTML: values are escaped for the place where they stand, as
    /// Go's html/template does; `safeHtml` and `safeUrl` say what needs no escaping.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_html(
        &self,
        dot: &Value,
        variables: &[Value],
        env: &Env<'_>,
    ) -> Result<String, RenderError> {
        eval::render(&self.parsed, dot, variables, env, true)
    }
}

#[cfg(test)]
mod tests;
