//! What was asked of the logs?
//!
//! A person's words become a checked [`Query`]; whoever keeps the lines answers it through
//! [`LogReader`]. The meaning of a query is defined here once, by [`Filter::matches`] on a single
//! line: a store may prune, reorder and read columns as it likes, its answer must be the one that
//! this function gives line by line. This room knows no store, no clock and no HTTP.

mod query;
mod reader;

pub use query::{Bound, FieldTest, Filter, Query, QueryError};
pub use reader::{
    Bucket, Direction, Facet, LogReader, LogStoreStats, Record, RecordHandler, Search,
    SearchSummary, Subscription,
};
