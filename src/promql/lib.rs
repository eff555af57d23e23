//! What do the samples mean together?
//!
//! PromQL from text to value: parse, then evaluate columns instead of steps. Data comes in
//! through [`model::SeriesReader`], times are arguments, values go out. This room knows no clock,
//! no store and no HTTP.
//!
//! 1. [`syntax`] turns the text into a checked [`Expr`].
//! 2. `leaf` reads the series of a selector, cursor by cursor on all cores, and `windows` computes
//!    all steps of a series in one pass into a dense column.
//! 3. `aggregations` fold columns into groups as they come, so that `sum by (x)` over 100 k
//!    series holds only its groups; `functions` and `binary` work on whole columns.
//! 4. `engine` turns the final columns into the answer.
//!
//! Native histograms are a second kind of value beside the numbers; what can be computed of them
//! is in `native`.

mod coarse;
mod column;
mod engine;
mod eval;
mod explained;
mod extent;
mod go;
mod grid;
mod kahan;
mod leaf;
mod notes;
mod query;
mod stack;
mod value;
mod windows;

pub mod memory;
pub mod native;
pub mod syntax;

mod aggregations;
mod binary;
mod functions;

pub use engine::{Context, Engine, Options, Prepared};
pub use explained::{Explained, Missing};
pub use syntax::{
    Expr, Outline, OutlineKind, Selector, Signature, ValueKind, aggregation_signatures, explain,
    format, format_line, function_signatures, parse, parse_selector, tree_json,
};
pub use value::{Answer, ErrorKind, Point, QueryError, RangeSeries, Value};
