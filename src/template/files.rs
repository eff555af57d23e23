//! Template files: named templates that others call.

use std::sync::Arc;

use crate::ast::Defined;
use crate::builtins::Function;
use crate::{ParseError, Template, parser};

/// The most named templates that all files may hold together.
const DEFINED_MAX: usize = 10_000;

/// The named templates of several files. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    defined: Arc<Defined>,
}

impl Templates {
    /// Adds a file. What it defines replaces what has the same name, and what stands outside of
    /// definitions becomes a template with the name of the file (without its folder), as in Go.
    /// `functions` come before Go's and Prometheus' own ([`crate::notification::FUNCTIONS`]).
    ///
    /// # Errors
    /// Bad syntax and unknown functions, each with its place; nothing is added then.
    pub fn add(
        &mut self,
        file: &str,
        source: &str,
        functions: &'static [Function],
    ) -> Result<(), ParseError> {
        let defined = Defined::clone(&self.defined);
        let parsed = parser::parse(file, source, &[], functions, defined)?;
        let mut defined = parsed.defined;
        let name = file.rsplit('/').next().unwrap_or(file);
        parser::add(&mut defined, Arc::from(name), parsed.root);
        if defined.len() > DEFINED_MAX {
            return Err(ParseError {
                name: file.to_owned(),
                line: 1,
                column: 1,
                message: format!("more than {DEFINED_MAX} named templates"),
            });
        }
        self.defined = Arc::new(defined);
        Ok(())
    }

    /// Whether there is a template of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.defined.contains_key(name)
    }

    /// Parses a text that may call the named templates, such as `{{ template "slack.text" . }}`.
    ///
    /// # Errors
    /// Bad syntax and unknown functions, each with its place.
    pub fn parse(
        &self,
        name: &str,
        source: &str,
        functions: &'static [Function],
    ) -> Result<Template, ParseError> {
        let parsed = parser::parse(name, source, &[], functions, Defined::clone(&self.defined))?;
        Ok(Template {
            parsed: Arc::new(parsed),
        })
    }
}
