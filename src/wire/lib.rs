//! How are others' messages written, byte by byte? Protobuf fields, and what Prometheus' remote
//! write, remote read and chunks are made of.
//!
//! - [`message`] reads protobuf field by field where it lies, [`writer`] writes it.
//! - [`remote`] holds the parts of remote write and remote read that several rooms read or write:
//!   labels, samples, native histograms, metric types.
//! - [`bits`], [`xor`] and [`histogram_chunk`] are Prometheus' chunks of samples, [`crc32c`] is its
//!   checksum.
//!
//! It knows neither HTTP nor compression nor files, and takes nothing from outside on trust: what
//! is cut or contradicts itself is [`Malformed`], never a panic.

pub mod bits;
pub mod crc32c;
pub mod histogram_chunk;
pub mod message;
pub mod remote;
pub mod writer;
pub mod xor;

pub use message::{Message, Value};

/// Why bytes are no sound message: a sentence without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
