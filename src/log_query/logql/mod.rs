//! LogQL, Loki's language, as a second front end onto the same plan as the search language.
//!
//! 1. [`parse`] makes a tree of the text (`lex.rs`, `parse*.rs`, `ast.rs`), which
//!    writes itself back (`print.rs`).
//! 2. The selector and line filters on the line as it was written become a
//!    [`Filter`](crate::Filter) that the store answers with its index (`lower.rs`).
//! 3. The other stages run on each line that the store finds (`pipeline/`).
//! 4. [`logs`] gives lines; [`instant`] and [`range`] give numbers, in one pass over the lines per
//!    range aggregation (`metric/`).
//!
//! It knows no HTTP and no clock. What differs from Loki is in docs/loki.md.

pub mod ast;
mod error;
mod lex;
mod logs;
mod lower;
mod metric;
mod parse;
mod parse_log;
mod parse_range;
mod pipeline;
mod print;
mod re2;
mod units;

#[cfg(test)]
mod tests;

pub use ast::{Expr, LogExpr, MetricExpr};
pub use error::{EvalError, ParseError};
pub use logs::{Entry, LogPlan, LogRequest, found, logs};
pub use metric::{
    Answer, Column, Grid, Limits, SERIES_MAX_DEFAULT, STEPS_MAX, Value, instant, is_absent, range,
};
pub use parse::{NESTING_MAX, parse, parse_duration_ns, parse_selector};

use crate::query::Query;

/// The lines of a selector, as the store is asked for them.
pub fn selector_query(matchers: &[model::Matcher]) -> Query {
    Query::of(lower::selector(matchers))
}
