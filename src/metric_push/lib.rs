//! What did jobs leave behind that are gone before anyone could ask them? Groups of pushed
//! metrics, with the semantics of Prometheus' Pushgateway.
//!
//! 1. [`GroupKey`]: a path such as `/metrics/job/backup/instance/db1` names a group.
//! 2. [`Gateway::push`] replaces the whole group or the metrics of the same names, after looking
//!    whether what is pushed fits to itself and to the other groups; [`Gateway::delete`] removes
//!    one.
//! 3. [`Gateway::page`] is what a scrape finds: all groups, as one page. So their values stay
//!    fresh, and end when a group is deleted.
//!
//! Groups outlive the process by a [`GroupStore`]; a push is acknowledged after it is in there. It
//! knows no HTTP, no clock and no scraper.

mod document;
mod gateway;
mod groups;
mod key;
mod metrics;

pub use metric_scrape::exposition::family::{Family, Numbers};

pub use gateway::{Gateway, GroupView, Limits, PushError, PushedFamily, Way};
pub use key::{BadKey, GroupKey};
pub use metrics::Metrics;

use metric_scrape::exposition::{Format, PageError, family};
use model::StoreError;

/// Reads what is pushed: Prometheus' protobuf and OpenMetrics where the content type says so, else
/// the text format, whatever the type (`curl --data-binary` calls everything a form).
///
/// # Errors
/// The line, and what is wrong with it.
pub fn read(body: &[u8], content_type: Option<&str>) -> Result<Vec<Family>, PageError> {
    let format = content_type.and_then(Format::from_content_type);
    family::read(body, format.unwrap_or(Format::Text))
}

/// Where groups are kept over a restart. Calls block until the change is durable.
pub trait GroupStore: Send + Sync {
    /// All groups: id and document.
    fn groups(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Keeps a group, in place of the one with the same id.
    fn put(&self, id: &str, document: &[u8]) -> Result<(), StoreError>;

    /// Forgets a group; one that is not there is forgotten already.
    fn remove(&self, id: &str) -> Result<(), StoreError>;
}
