//! What rules may ask: the seam to the language in which their expressions are written.

use std::sync::Arc;

use model::{Labels, Matcher, Sample};
use promql::{Answer, QueryError};

use crate::doctor::Missing;
use crate::spec::Source;

/// Which metrics an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// These, by name.
    Only(Vec<Arc<str>>),
    /// It selects without a name, or by a pattern: possibly any.
    Anything,
}

impl Reads {
    /// Whether a series of this name may be among them.
    pub(crate) fn may_read(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|read| &**read == name),
            Self::Anything => true,
        }
    }
}

/// The languages in which rules may ask.
#[derive(Clone, Copy)]
pub struct Languages<'a> {
    /// PromQL, of the metric store.
    pub metrics: &'a dyn RuleQuery,
    /// LogQL and the search language, of the log store.
    pub logs: &'a dyn RuleQuery,
}

impl<'a> Languages<'a> {
    /// Who answers rules of a source.
    pub(crate) fn of(&self, source: Source) -> &'a dyn RuleQuery {
        match source {
            Source::Metrics => self.metrics,
            Source::Logs => self.logs,
        }
    }
}

/// Answers the expressions of rules. Calls are synchronous and may take long; they are made from
/// blocking threads, several at the same time.
pub trait RuleQuery: Send + Sync {
    /// Checks an expression without evaluating it and says what it reads.
    ///
    /// # Errors
    /// `BadData`, with the place where it is known.
    fn check(&self, expression: &str) -> Result<Reads, QueryError>;

    /// The value of an expression at one time, milliseconds since 1970-01-01 UTC. Gives up by
    /// itself after the time that a query may take.
    fn instant(&self, expression: &str, time_ms: i64) -> Result<Answer, QueryError>;

    /// What an expression needs and cannot find among the series of a time range
    /// (`start_ms < timestamp <= end_ms`); nothing where it can give something.
    ///
    /// # Errors
    /// Those of the expression and of the store.
    fn missing(
        &self,
        expression: &str,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<Missing>, QueryError> {
        let _ = (expression, start_ms, end_ms);
        Ok(Vec::new())
    }

    /// Where a person sees what an expression finds: a path of our own pages.
    fn link(&self, expression: &str) -> String {
        template::table_link(expression)
    }

    /// The last sample in `start_ms < timestamp <= end_ms` of each series that satisfies all
    /// matchers, stale markers included: how alerts stood when the process ended.
    fn latest(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Labels, Sample)>, QueryError>;
}
