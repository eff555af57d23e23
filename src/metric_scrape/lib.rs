//! Who is asked when, and what did it say? Schedule, exposition formats, relabelling, staleness.
//!
//! The way of a scrape, one file per step:
//!
//! 1. [`config`]: the scrape part of a Prometheus configuration file, checked.
//! 2. [`discovery`] finds addresses; [`target`]: a job and an address become a target with labels
//!    ([`relabel`]).
//! 3. [`Scraper`] keeps one loop (`scrape_loop`) per target running; loops do not wait for one
//!    another.
//! 4. `http` or `local` fetches a page within its timeout and size.
//! 5. [`page`] reads it, comparing with the last page of the same target ([`exposition`]); `series`
//!    makes the labels of what is new.
//! 6. `ledger` hands samples, stale markers and the scrape's own metrics to the store.
//!
//! It knows no store (only `model::SampleSink`), no Kubernetes and no web page.

pub mod config;
pub mod discovery;
mod error;
pub mod exposition;
#[cfg(test)]
mod fixture;
mod http;
mod ledger;
mod local;
mod md5;
mod metrics;
pub mod page;
pub mod relabel;
mod scrape_loop;
mod scraper;
mod series;
pub mod target;

pub use config::{GlobalConfig, ScrapeConfig};
pub use discovery::{Discovery, DiscoveryTask, Found, TargetGroup, TargetLabels};
pub use error::ScrapeError;
pub use local::{LocalPage, LocalSource, LocalTarget};
pub use metrics::Metrics;
pub use scraper::{Plan, Scraper};
pub use target::check;
