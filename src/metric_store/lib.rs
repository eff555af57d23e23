//! Which samples had this series then? Head, journal, codec, pages, index, retention.
//!
//! The way of a sample: [`MetricStore`] takes a scrape ([`model::SampleSink`]), writes it to the
//! [`journal`] and keeps it in the [`head`]. When a window of two hours is over, [`seal`] encodes
//! it ([`codec`]) into [`pages`] of a day file, and the [`catalogue`] makes it visible. [`read`]
//! merges sealed pages and head into cursors in label order; the [`index`] says which series a
//! selection means. [`retention`] makes a [`rollup`] of whole days, and unlinks them.
//!
//! What goes to disk is described in `docs/formats/metric_store.md`. This crate knows no clock, no
//! task and no socket: the binary calls [`MetricStore::sync`] each second and
//! [`MetricStore::maintain`] each minute or so, from a thread that may block.

mod config;
mod metrics;
mod store;

mod append;
mod exemplars;
mod head;
mod import;
mod journal;
mod recover;

pub mod codec;

mod catalogue;
mod pages;
mod seal;

mod index;
mod read;

mod errors;
mod retention;
mod rewrite;
mod rollup;

mod admin;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod full_disk_test;

pub use admin::check::{Report, check, is_in_use};
pub use config::Config;
pub use import::Imported;
pub use metrics::Metrics;
pub use retention::Forecast;
pub use store::{MetricStore, MetricStoreStats};
