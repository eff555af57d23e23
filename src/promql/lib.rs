//! What do the samples mean together?
//!
//! PromQL from text to value: parse, plan once, evaluate columns instead of steps. Data comes in
//! through [`model::SeriesReader`], times are arguments, values go out. This room knows no clock,
//! no store and no HTTP.

mod value;

pub use value::{Answer, ErrorKind, Point, QueryError, RangeSeries, Value};

/// Evaluates expressions within limits.
#[derive(Debug, Default)]
pub struct Engine {}
