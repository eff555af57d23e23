//! Asks a running Yagura over HTTP.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::{Response, Url};
use serde::Deserialize;

use super::record::{Answer, Piece, Record, Table};
use super::show::Show;
use super::{Output, copy};

/// An answer begins, and goes on, within this time; the server's own limit is two minutes.
const SILENCE_MAX: Duration = Duration::from_secs(150);

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

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

/// Why there is no answer. Its text is what is written to standard error, line breaks included.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The query or another parameter cannot be understood.
    #[error("{0}")]
    Mistake(Mistake),
    #[error("yagura: {0}\n")]
    Told(String),
    #[error("yagura: cannot write: {0}\n")]
    Output(io::Error),
}

/// What a Yagura says to a question that it cannot answer.
#[derive(Debug, Deserialize)]
pub(super) struct Mistake {
    error: String,
    /// The character that is at fault, from 0.
    position: Option<usize>,
    suggestion: Option<String>,
    #[serde(skip)]
    query: String,
}

/// The message, the query with a caret under the character, the correction.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match &self.suggestion {
            Some(meant) => {
                let tail = format!(" (did you mean: {meant})");
                self.error.strip_suffix(&tail).unwrap_or(&self.error)
            }
            None => &self.error,
        };
        writeln!(f, "yagura: {message}")?;
        if let Some(position) = self.position {
            let one_line: String = self.query.chars().map(on_one_line).collect();
            writeln!(f, "  {one_line}\n  {:position$}^", "")?;
        }
        if let Some(meant) = &self.suggestion {
            writeln!(f, "did you mean: {meant}")?;
        }
        Ok(())
    }
}

fn on_one_line(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Speaks to one Yagura.
pub(super) struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let told = |reason: String| Failure::Told(format!("cannot use --url {url}: {reason}"));
        let mut base = Url::parse(url).map_err(|error| told(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(told("write http://HOST:PORT".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("yagura-logs/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENCE_MAX)
            // A WebSocket begins as HTTP/1.1.
            .http1_only()
            .build()
            .map_err(|error| told(error.to_string()))?;
        Ok(Self { base, http })
    }

    /// A request to an address below the base.
    pub(super) fn get(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let mut url = self
            .base
            .join(path)
            .map_err(|error| Failure::Told(format!("cannot use --url: {error}")))?;
        url.query_pairs_mut().extend_pairs(parameters);
        Ok(self.http.get(url))
    }

    /// Sends a request; what is no success is a failure.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        query: &str,
    ) -> Result<Response, Failure> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() || status == reqwest::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        match serde_json::from_str::<Mistake>(&body) {
            Ok(mistake) => Err(Failure::Mistake(Mistake {
                query: query.to_owned(),
                ..mistake
            })),
            Err(_) => Err(Failure::Told(format!(
                "{} answers {status}: is that a Yagura?",
                self.base
            ))),
        }
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let hint = if error.is_connect() {
            ". Is it running? --url or YAGURA_URL names another address"
        } else {
            ""
        };
        Failure::Told(format!(
            "cannot ask Yagura at {}: {reason}{hint}",
            self.base
        ))
    }

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
    fn a_mistake_points_at_its_character() {
        let json = r#"{"status":"error","errorType":"bad_data","error":"not a level at character 7 (did you mean: level:error x)","position":6,"suggestion":"level:error x"}"#;
        let mistake = Mistake {
            query: "level:eroor\tx".to_owned(),
            ..serde_json::from_str(json).expect("a mistake")
        };
        assert_eq!(
            mistake.to_string(),
            "yagura: not a level at character 7\n  level:eroor x\n        ^\ndid you mean: level:error x\n"
        );
        let plain: Mistake = serde_json::from_str(r#"{"error":"too many"}"#).expect("a mistake");
        assert_eq!(plain.to_string(), "yagura: too many\n");
    }

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

    #[test]
    fn addresses_are_checked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for url in ["", "127.0.0.1:9849", "ftp://x/"] {
            assert!(Client::new(url).is_err(), "{url}");
        }
        let client = Client::new("http://h:1/below").expect("an address");
        assert_eq!(client.base.as_str(), "http://h:1/below/");
    }
}
