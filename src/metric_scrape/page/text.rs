//! Pages in the text format and OpenMetrics, line by line.

use model::MetricKind;
use xxhash_rust::xxh3::xxh3_64;

use super::walk::Walk;
use super::{Content, Key, Kind, Pages, Value};
use crate::exposition::line;
use crate::exposition::metadata::{self, Comment};
use crate::exposition::{Format, PageError, excerpt, number};

impl Walk<'_, '_> {
    /// Reads all lines.
    pub(super) fn text(&mut self, page: &[u8]) -> Result<(), PageError> {
        let format = self.options.format;
        let (mut at, mut line_number, mut ended) = (0, 0, false);
        // The type that the last TYPE line named.
        let mut kind = None;
        while at < page.len() {
            line_number += 1;
            let fail = |reason| PageError {
                line: line_number,
                reason,
            };
            // Fast path: the expected line.
            if let Some((index, key_end)) = self.pages.expected(page, at, self.cursor, kind) {
                self.advance(index);
                if let Kind::Remark(named) = self.kind(index) {
                    self.known_remark(index);
                    kind = named.or(kind);
                    at = key_end + 1;
                    continue;
                }
                if let Some((value, length)) = number::leading(&page[key_end + 1..]) {
                    let end = key_end + 1 + length;
                    if page.get(end).is_none_or(|b| *b == b'\n') {
                        self.known(index, Value::Float(value), None);
                        at = end + 1;
                        continue;
                    }
                }
                let end = line_end(page, key_end);
                let tail = line::read_tail(&page[key_end..end], format).map_err(fail)?;
                self.known_with_exemplars(index, tail.into());
                at = end + 1;
                continue;
            }
            // Slow path: a line that moved, is new, or says nothing.
            let end = line_end(page, at);
            let text = page[at..end].trim_ascii_start();
            at = end + 1;
            if text.is_empty() {
                continue;
            }
            if ended {
                return Err(fail(format!("{} after # EOF", excerpt(text))));
            }
            if text[0] == b'#' {
                let named = match metadata::read_comment(text).map_err(fail)? {
                    Comment::End => {
                        // Only OpenMetrics gives the remark a meaning.
                        ended = format == Format::OpenMetrics;
                        continue;
                    }
                    Comment::Remark => continue,
                    Comment::Kind(_, named) => Some(named),
                    Comment::Help(..) | Comment::Unit(..) => None,
                };
                kind = named.or(kind);
                // What a remark means does not depend on what stands before it.
                let key = key_of(text, None);
                match self.look_up(key) {
                    Some(index) => self.known_remark(index),
                    None => self.new_remark(key, named),
                }
                continue;
            }
            self.slow_line(text, kind).map_err(fail)?;
        }
        if format == Format::OpenMetrics && !ended {
            return Err(PageError {
                line: line_number,
                reason: "the page ends without # EOF: it was cut off".to_owned(),
            });
        }
        Ok(())
    }

    /// A line with a sample that was not expected here.
    fn slow_line(&mut self, text: &[u8], kind: Option<MetricKind>) -> Result<(), String> {
        let (text_key, tail) = text.split_at(line::key_end(text)?);
        let key = key_of(text_key, kind);
        if let Some(index) = self.look_up(key) {
            let tail = line::read_tail(tail, self.options.format)?;
            self.known_with_exemplars(index, tail.into());
            return Ok(());
        }
        let mut pairs = line::read_key(text_key)?;
        line::normalize(&mut pairs, kind);
        let tail = line::read_tail(tail, self.options.format)?;
        self.new_sample(key, &pairs, tail.into())
    }
}

impl Pages {
    /// The expected line, where the page goes on with it: its entry and where its key ends.
    #[inline]
    fn expected(
        &self,
        page: &[u8],
        at: usize,
        cursor: usize,
        kind: Option<MetricKind>,
    ) -> Option<(u32, usize)> {
        let index = *self.order.get(cursor)?;
        let entry = &self.entries[index as usize];
        let key_end = at + entry.key.len as usize;
        let (boundary, salt) = match entry.kind {
            Kind::Remark(_) => (b'\n', 0),
            _ => (b' ', salt(kind)),
        };
        // The boundary first: most lines of another length fail there, unhashed.
        let fits =
            *page.get(key_end)? == boundary && xxh3_64(&page[at..key_end]) ^ salt == entry.key.hash;
        fits.then_some((index, key_end))
    }
}

impl<'a> From<line::Tail<'a>> for Content<'a> {
    fn from(tail: line::Tail<'a>) -> Self {
        Self {
            value: Value::Float(tail.value),
            timestamp_ms: tail.timestamp_ms,
            exemplars: tail.exemplar.into_iter().collect(),
        }
    }
}

fn key_of(text: &[u8], kind: Option<MetricKind>) -> Key {
    Key {
        hash: xxh3_64(text) ^ salt(kind),
        len: text.len() as u32,
    }
}

/// Lines mean other series where the type of their family changes what their labels say: their
/// keys differ then.
#[inline]
fn salt(kind: Option<MetricKind>) -> u64 {
    match kind {
        Some(MetricKind::Histogram) => 0x517c_c1b7_2722_0a95,
        Some(MetricKind::Summary) => 0x2545_f491_4f6c_dd1d,
        _ => 0,
    }
}

fn line_end(page: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &page[at..]).map_or(page.len(), |length| at + length)
}
