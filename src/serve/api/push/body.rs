//! Reads the body of a push, within the bounds of one request and of all that are under way.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::header;
use axum::http::request::Parts;
use futures_util::StreamExt;
use receive::{Refused, Reserved, Room};

/// A sender that takes longer for its body holds memory that others could use.
const READ_WITHIN: Duration = Duration::from_mins(1);

/// A body, and its share of the memory for bodies.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _reserved: Vec<Reserved>,
}

/// Who sends, where the server knows it.
pub(super) fn sender(parts: &Parts) -> Option<IpAddr> {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    info.map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// Reads a body.
pub(super) async fn read(
    room: &Room,
    bytes_max: usize,
    parts: &Parts,
    body: Body,
) -> Result<Whole, Refused> {
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let collect = async {
        let mut stream = body.into_data_stream();
        let mut reserved = Vec::new();
        let mut first = Bytes::new();
        let mut whole: Vec<u8> = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|error| Refused::Bad(format!("the body ended early: {error}")))?;
            if first.len() + whole.len() + chunk.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            reserved.push(room.reserve(chunk.len())?);
            if first.is_empty() && whole.is_empty() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                whole.reserve(announced.unwrap_or(0).max(first.len() + chunk.len()));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Whole {
            // A body of one chunk is not copied.
            bytes: if whole.is_empty() {
                first
            } else {
                whole.into()
            },
            _reserved: reserved,
        })
    };
    tokio::time::timeout(READ_WITHIN, collect)
        .await
        .unwrap_or_else(|_| {
            Err(Refused::Bad(format!(
                "the body did not arrive within {} seconds",
                READ_WITHIN.as_secs()
            )))
        })
}

fn too_large(bytes_max: usize) -> Refused {
    Refused::TooLarge(format!(
        "the body is larger than {}: send smaller batches, or raise receive.body",
        model::bytes::format(bytes_max as u64)
    ))
}
