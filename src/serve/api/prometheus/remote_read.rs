//! `POST /api/v1/read`: Prometheus' remote read. Another Prometheus asks for raw samples.
//!
//! The request is a `ReadRequest`, packed with snappy: queries with a time range (both ends
//! belong to it, milliseconds) and matchers, and the answers that the client understands. The
//! first of these that we know is given:
//!
//! - streamed chunks: a frame per series or megabyte, of its length (varint), its CRC-32C (big-endian)
//!   and a `ChunkedReadResponse`. Written while the client reads, of any length.
//! - samples: one `ReadResponse`, packed with snappy, of [`SAMPLES_MAX`] samples at most.
//!
//! Native histograms are in both. External labels are not added.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::{
    Histogram, Labels, MatchOp, Matcher, Samples, Selection, SeriesCursor, SeriesReader, StoreError,
};
use receive::inflate::{Encoding, inflate};
use wire::writer::Writer;
use wire::{Malformed, Message, crc32c, histogram_chunk, remote, xor};

use crate::api::error::ApiError;
use crate::api::pieces;
use crate::{Services, ask};

/// Bytes of a request, packed and unpacked.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Queries of a request.
const QUERIES_MAX: usize = 64;
/// Series of a query.
const SERIES_MAX: usize = 500_000;
/// Samples of an answer that is not streamed: it is in memory as a whole.
const SAMPLES_MAX: usize = 2_000_000;
/// Samples of a chunk, as many as Prometheus' own have.
const CHUNK_SAMPLES: usize = 120;
/// A frame ends at this size; a long series goes on in the next one.
const FRAME_BYTES: usize = 1 << 20;

/// The number of streamed chunks among the answers that a client understands; samples are 0.
const STREAMED: u64 = 1;

struct Query {
    matchers: Vec<Matcher>,
    start_ms: i64,
    end_ms: i64,
}

/// The cursors of each query.
type Found = Vec<Vec<Box<dyn SeriesCursor>>>;

/// See the head of this file.
pub(super) async fn read(
    State(services): State<Arc<Services>>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = axum::body::to_bytes(request.into_body(), REQUEST_BYTES_MAX).await;
    let body =
        body.map_err(|error| ApiError::bad_data(format!("cannot read the request: {error}")))?;
    let body = inflate(&body, Encoding::Snappy, REQUEST_BYTES_MAX)
        .map_err(|why| ApiError::bad_data(why.to_string()))?;
    let (queries, streamed) = decode(&body)?;
    if streamed {
        return stream(&services, queries).await;
    }
    let answer = ask::blocking(&services, move |services| {
        samples(select(&*services.series, queries)?)
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-protobuf"),
        (header::CONTENT_ENCODING, "snappy"),
    ];
    Ok((headers, answer.await??).into_response())
}

async fn stream(services: &Arc<Services>, queries: Vec<Query>) -> Result<Response, ApiError> {
    let found = ask::with_slot(services, move |services| select(&*services.series, queries));
    let (found, slot) = found.await?;
    let found = found?;
    let body = pieces::body(slot, move |writer, out| {
        for (at, cursors) in found.into_iter().enumerate() {
            for mut cursor in cursors {
                let mut samples = Samples::default();
                loop {
                    match cursor.next_series(&mut samples) {
                        Ok(Some(labels)) => {
                            frames(at as u64, &labels, &samples, &mut |frame| {
                                out.extend_from_slice(frame);
                                writer.pause(out)
                            })?;
                        }
                        Ok(None) => break,
                        Err(error) => {
                            // The connection is cut: half an answer is none.
                            tracing::warn!(%error, "remote read broke off");
                            return ControlFlow::Break(());
                        }
                    }
                }
            }
        }
        ControlFlow::Continue(())
    });
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn malformed(why: Malformed) -> ApiError {
    ApiError::bad_data(format!("the request is no ReadRequest: {why}"))
}

/// The queries of a request, and whether chunks are wanted.
fn decode(body: &[u8]) -> Result<(Vec<Query>, bool), ApiError> {
    let mut queries = Vec::new();
    let mut accepted = Vec::new();
    let mut fields = Message::new(body);
    while let Some((field, value)) = fields.next().map_err(malformed)? {
        match field {
            1 if queries.len() >= QUERIES_MAX => {
                return Err(ApiError::bad_data(format!(
                    "a request has at most {QUERIES_MAX} queries"
                )));
            }
            1 => queries.push(query(value.bytes())?),
            2 => value.numbers(|n| accepted.push(n)).map_err(malformed)?,
            _ => {}
        }
    }
    // Who names none is old and knows samples.
    let first = accepted.into_iter().find(|kind| *kind <= STREAMED);
    Ok((queries, first == Some(STREAMED)))
}

fn query(bytes: &[u8]) -> Result<Query, ApiError> {
    let (mut start_ms, mut end_ms, mut matchers) = (0, 0, Vec::new());
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next().map_err(malformed)? {
        match field {
            1 => start_ms = value.number() as i64,
            2 => end_ms = value.number() as i64,
            3 => matchers.push(matcher(value.bytes())?),
            _ => {}
        }
    }
    Ok(Query {
        matchers,
        start_ms,
        end_ms,
    })
}

fn matcher(bytes: &[u8]) -> Result<Matcher, ApiError> {
    let (mut op, mut name, mut text) = (MatchOp::Equal, "", "");
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next().map_err(malformed)? {
        match field {
            1 => {
                op = match value.number() {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    other => {
                        let why = format!("a matcher has the unknown type {other}");
                        return Err(ApiError::bad_data(why));
                    }
                }
            }
            2 => name = value.text().map_err(malformed)?,
            3 => text = value.text().map_err(malformed)?,
            _ => {}
        }
    }
    Matcher::new(name, op, text).map_err(|why| ApiError::bad_data(why.to_string()))
}

fn select(reader: &dyn SeriesReader, queries: Vec<Query>) -> Result<Found, StoreError> {
    let queries = queries.into_iter();
    let found = queries.map(|query| {
        reader.select(&Selection {
            matchers: query.matchers,
            // Ours leave their start out.
            start_ms: query.start_ms.saturating_sub(1),
            end_ms: query.end_ms,
            series_max: SERIES_MAX,
            cursors_max: 1,
        })
    });
    found.collect()
}

/// A sample with its histogram, where it is one.
fn each(samples: &Samples) -> impl Iterator<Item = (i64, f64, Option<&Arc<Histogram>>)> {
    let mut histograms = samples.histograms.iter().peekable();
    let columns = samples.timestamps_ms.iter().zip(&samples.values);
    columns.enumerate().map(move |(at, (time_ms, value))| {
        let histogram = histograms.next_if(|(place, _)| *place == at);
        (*time_ms, *value, histogram.map(|(_, h)| h))
    })
}

fn write_labels(out: &mut Writer, labels: &Labels) {
    for label in labels {
        out.message(1, |inner| {
            inner.field(1, label.name.as_bytes());
            inner.field(2, label.value.as_bytes());
        });
    }
}

/// The answer as samples, packed.
fn samples(found: Found) -> Result<Vec<u8>, ApiError> {
    let mut out = Writer::default();
    let mut count = 0;
    for cursors in found {
        let mut result = Writer::default();
        for mut cursor in cursors {
            let mut samples = Samples::default();
            while let Some(labels) = cursor.next_series(&mut samples)? {
                count += samples.len();
                if count > SAMPLES_MAX {
                    return Err(ApiError::bad_data(format!(
                        "the answer has more than {SAMPLES_MAX} samples: accept streamed chunks, \
                         or ask for less"
                    )));
                }
                result.message(1, |series| {
                    write_labels(series, &labels);
                    for (time_ms, value, histogram) in each(&samples) {
                        match histogram {
                            Some(found) => remote::write_histogram(series, 4, time_ms, found),
                            None => remote::write_sample(series, 2, time_ms, value),
                        }
                    }
                });
            }
        }
        out.field(1, result.bytes());
    }
    let packed = snap::raw::Encoder::new().compress_vec(out.bytes());
    packed.map_err(|error| ApiError::internal(format!("cannot pack the answer: {error}")))
}

/// A chunk that is being written.
enum Open {
    None,
    Floats(Vec<(i64, f64)>),
    /// With its first and last time.
    Histograms(Box<histogram_chunk::Writer>, i64, i64),
}

impl Open {
    /// Finishes the chunk and adds it to a series.
    fn close(&mut self, series: &mut Writer) {
        let (start_ms, end_ms, encoding, data) = match std::mem::replace(self, Self::None) {
            Self::None => return,
            Self::Floats(floats) => {
                let time = |sample: Option<&(i64, f64)>| sample.map_or(0, |(time_ms, _)| *time_ms);
                let (start_ms, end_ms) = (time(floats.first()), time(floats.last()));
                (start_ms, end_ms, xor::ENCODING, xor::write(floats))
            }
            Self::Histograms(writer, start_ms, end_ms) => {
                let encoding = histogram_chunk::FLOAT_ENCODING;
                (start_ms, end_ms, encoding, writer.finish())
            }
        };
        series.message(2, |chunk| {
            chunk.number(1, start_ms as u64);
            chunk.number(2, end_ms as u64);
            chunk.number(3, u64::from(encoding));
            chunk.field(4, &data);
        });
    }
}

/// Hands over the frames of a series.
fn frames(
    query: u64,
    labels: &Labels,
    samples: &Samples,
    take: &mut impl FnMut(&[u8]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut chunks = Writer::default();
    let mut open = Open::None;
    for (time_ms, value, histogram) in each(samples) {
        let fits = match (&mut open, histogram) {
            (Open::Floats(floats), None) => {
                let fits = floats.len() < CHUNK_SAMPLES;
                if fits {
                    floats.push((time_ms, value));
                }
                fits
            }
            (Open::Histograms(writer, _, end_ms), Some(found)) => {
                let fits =
                    usize::from(writer.count()) < CHUNK_SAMPLES && writer.push(time_ms, found);
                if fits {
                    *end_ms = time_ms;
                }
                fits
            }
            _ => false,
        };
        if fits {
            continue;
        }
        open.close(&mut chunks);
        if chunks.bytes().len() >= FRAME_BYTES {
            take(&frame(query, labels, &chunks))?;
            chunks.clear();
        }
        open = match histogram {
            None => Open::Floats(vec![(time_ms, value)]),
            Some(found) => {
                let writer = Box::new(histogram_chunk::Writer::new(time_ms, found));
                Open::Histograms(writer, time_ms, time_ms)
            }
        };
    }
    open.close(&mut chunks);
    take(&frame(query, labels, &chunks))
}

fn frame(query: u64, labels: &Labels, chunks: &Writer) -> Vec<u8> {
    let mut series = Writer::default();
    write_labels(&mut series, labels);
    let mut series = series.into_bytes();
    series.extend_from_slice(chunks.bytes());
    let mut message = Writer::default();
    message.field(1, &series);
    message.number(2, query);
    let mut frame = Writer::default();
    frame.varint(message.bytes().len() as u64);
    let mut frame = frame.into_bytes();
    frame.extend_from_slice(&crc32c::crc32c(message.bytes()).to_be_bytes());
    frame.extend_from_slice(message.bytes());
    frame
}
