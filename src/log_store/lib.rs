//! Which blocks can hold it? Streams, blocks of columns, the block index, partitions, retention.
//!
//! Lines come in through `model::LogSink` and are found again through `log_query::LogReader`; both
//! are implemented by [`LogStore`]. A **stream** is a set of labels. Its lines lie in **open
//! buffers** first, in memory, and then in **blocks**: some 256 KB of consecutive lines of one
//! stream, taken apart into columns. A **partition** is an immutable folder of blocks with an
//! **index** that tells which blocks hold a word. The **catalogue** says which partitions count
//! and how far each source has been read. The formats are described in docs/formats/log_store.md.
//!
//! The log files themselves are the write-ahead log: what is not sealed is read again after a
//! crash, from the position that was committed together with the last sealed lines.
//!
//! This room has no tasks, no clock and no sockets; it is the only one that knows tantivy. It does
//! not know what a query means: that is `log_query::Filter::matches`.

mod backup;
mod config;
mod folder;
mod seal;
mod store;

mod block;
mod catalogue;
mod envelope;
mod index;
mod lines;
mod open;
mod partition;
mod patterns;
mod retention;
mod streams;
mod table;
mod tokens;
mod values;

mod bits;
mod facets;
mod histogram;
mod reader;
mod search;
mod tail;

mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;

pub use backup::Report;
pub use config::Config;
pub use metrics::Metrics;
pub use store::LogStore;
pub use streams::LineCount;

pub use model::StoreError;
