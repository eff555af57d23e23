//! Asks a running Yagura for log lines over HTTP.

use std::io;

use reqwest::Response;
use serde::Deserialize;

use super::record::{Answer, Piece, Record, Table};
use super::show::Show;
use super::{Output, copy};
pub(super) use crate::cli::client::{Client, Failure};

/// A line of an answer is not longer: lines are cut at 1 MB, and JSON escapes grow sixfold.
const LINE_BYTES_MAX: usize = 32 << 20;

/// The last line of an answer that ends early is not longer.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) query: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) limit: usize,
}

impl Client {
    /// Lines or a table, whatever the query gives.
    pub(super) async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let limit = question.limit.to_string();
        let request = self.get(
            "api/v1/logs/query",
            &[
                ("q", question.query.as_str()),
                ("from", &question.from),
                ("to", &question.to),
                ("limit", &limit),
                ("text", "1"),
            ],
        )?;
        let mut response = self.send(request, &question.query).await?;
        if is_json(&response) {
            return self.table(response).await.map(Answer::Table);
        }
        let mut records = Vec::new();
        let mut lines = Lines::default();
        while let Some(line) = lines.next(self, &mut response).await? {
            match Piece::parse(&line) {
                Some(Piece::Line(record)) => records.push(*record),
                Some(Piece::Error(error)) => return Err(Failure::Told(error)),
                Some(Piece::Skipped(_)) | None => {}
            }
        }
        Ok(Answer::Lines(records))
    }

    async fn table(&self, response: Response) -> Result<Table, Failure> {
        #[derive(Deserialize)]
        struct Envelope {
            data: Table,
        }
        let body = response.bytes().await;
        let body = body.map_err(|error| self.unreachable(&error))?;
        let envelope: Envelope = serde_json::from_slice(&body)
            .map_err(|error| Failure::Told(format!("cannot read the answer: {error}")))?;
        Ok(envelope.data)
    }

    /// Streams every line of the time range to the output; whether there were any.
    pub(super) async fn export<W: io::Write>(
        &self,
        question: &Question,
        output: Output,
        out: &mut Show<W>,
    ) -> Result<bool, Failure> {
        let mut parameters = vec![
            ("q", question.query.as_str()),
            ("from", &question.from),
            ("to", &question.to),
            ("text", "1"),
        ];
        match output {
            Output::Raw => parameters.push(("format", "raw")),
            Output::Json => parameters.push(("format", "ndjson")),
            Output::Logfmt => parameters.push(("format", "logfmt")),
            Output::Table => {}
        }
        let request = self.get("api/v1/logs/export", &parameters)?;
        let mut response = self.send(request, &question.query).await?;
        let mut found = false;
        if output != Output::Table {
            let mut end = Vec::new();
            while let Some(piece) = self.chunk(&mut response).await? {
                found |= !piece.is_empty();
                copy(out.writer(), &piece)?;
                end.extend_from_slice(&piece);
                end.drain(..end.len().saturating_sub(ERROR_BYTES_MAX));
            }
            if let Some(error) = error_at(&end) {
                out.flush()?;
                return Err(Failure::Told(format!("the answer ends early: {error}")));
            }
        } else if is_json(&response) {
            let table = self.table(response).await?;
            found = !table.rows.is_empty();
            out.table(&table)?;
        } else {
            let mut lines = Lines::default();
            while let Some(line) = lines.next(self, &mut response).await? {
                match Piece::parse(&line) {
                    Some(Piece::Line(record)) => {
                        found = true;
                        out.record(&record)?;
                    }
                    Some(Piece::Error(error)) => return Err(Failure::Told(error)),
                    Some(Piece::Skipped(_)) | None => {}
                }
            }
        }
        out.flush()?;
        Ok(found)
    }

    async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Failure> {
        let piece = response.chunk().await;
        let piece = piece.map_err(|error| self.unreachable(&error))?;
        Ok(piece.map(|bytes| bytes.to_vec()))
    }
}

/// What an answer's last line says when it is about an error.
fn error_at(end: &[u8]) -> Option<String> {
    let end = String::from_utf8_lossy(end);
    let last = end.lines().last()?;
    match Piece::parse(last) {
        Some(Piece::Error(error)) => Some(error),
        _ => last.strip_prefix("# error: ").map(str::to_owned),
    }
}

/// A whole JSON answer, not lines of JSON.
fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

/// Cuts an answer into lines as it comes.
#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// Bytes of `waiting` that were given out or hold no line break.
    at: usize,
}

impl Lines {
    async fn next(
        &mut self,
        client: &Client,
        response: &mut Response,
    ) -> Result<Option<String>, Failure> {
        loop {
            let rest = self.waiting.get(self.at..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line =
                    String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
                self.at += end + 1;
                return Ok(Some(line));
            }
            self.waiting.drain(..self.at);
            self.at = 0;
            if self.waiting.len() > LINE_BYTES_MAX {
                return Err(Failure::Told(format!(
                    "the answer has a line of more than {LINE_BYTES_MAX} bytes"
                )));
            }
            let Some(piece) = client.chunk(response).await? else {
                let last = std::mem::take(&mut self.waiting);
                let last = String::from_utf8_lossy(&last).into_owned();
                return Ok((!last.is_empty()).then_some(last));
            };
            self.waiting.extend_from_slice(&piece);
        }
    }
}

/// The ids of lines that were shown last, to know them again.
pub(super) fn ids(records: &[Record]) -> impl Iterator<Item = &str> {
    records.iter().map(|record| record.line.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_ends_early_says_so_at_its_end() {
        let check = |end: &str, expected: Option<&str>| {
            assert_eq!(error_at(end.as_bytes()).as_deref(), expected, "{end}");
        };
        check("a\n{\"error\":\"late\"}\n", Some("late"));
        check("a\n# error: late\n", Some("late"));
        check("# error: early\nb\n", None);
        check("", None);
    }
}
