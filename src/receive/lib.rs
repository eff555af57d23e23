//! What did others send us? Bytes of Loki push, OTLP, Elasticsearch's `_bulk`, syslog and JSON
//! lines become log lines that are on disk before they are acknowledged.
//!
//! The way of a request:
//! 1. [`inflate`] takes its compression off, within a bound.
//! 2. A decoder ([`loki`], [`otlp`], [`elastic`], [`json_lines`], [`syslog`]) reads the lines out of
//!    the body into a [`Push`]. It decides the labels (few, the same for many lines) and puts
//!    everything else into the line, as fields that a person and the search can read.
//! 3. [`Receiver::accept`] writes the push into the [`journal`], syncs it together with those that
//!    came meanwhile, and hands it to the store with its number as checkpoint. Then the sender is
//!    told that it arrived.
//! 4. When the store has sealed the lines, the checkpoint is committed with them, and the journal
//!    drops what came until then. After a crash the rest of the journal is handed over again:
//!    nothing acknowledged is lost, and nothing is there twice.
//!
//! Samples go another way, because the metric store has a journal of its own: [`samples`].
//!
//! It knows neither HTTP nor who may send; of sockets it knows those of [`syslog`].

pub mod elastic;
pub mod inflate;
pub mod json_lines;
pub mod loki;
pub mod otlp;
pub mod samples;
pub mod syslog;

mod document;
mod fields;
mod journal;
mod limits;
mod metrics;
mod pick;
mod push;
mod receiver;
mod refused;
mod room;
mod senders;
mod text;
mod times;

pub use limits::Limits;
pub use metrics::Metrics;
pub use push::{LevelOf, Protocol, Push};
pub use receiver::{Config, Receiver, Upkeep};
pub use refused::{RETRY_AFTER_S, Refused};
pub use room::{Reserved, Room, Turn};
pub use samples::{SampleMetrics, SampleProtocol, SampleReceiver, Written};
