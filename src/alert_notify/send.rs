//! Brings a message to a receiver: again and again where that may help, within a deadline.
//!
//! What may help: no answer, a broken connection, 5xx, and 429 after as long as `Retry-After`
//! asks for. Everything else is the receiver's final word.

use std::time::Duration;

use http_client::{Client, HttpClientError};
use model::time;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use tokio::time::{Instant, sleep, timeout_at};

use crate::mail;
use crate::receivers::{Call, Outgoing};

/// The wait after the first attempt that failed; each further wait is half as long again.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);

/// The longest wait between two attempts, unless the receiver asks for more.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// The longest time that a receiver can ask to be left alone; what asks for more is nonsense, and
/// the group's next turn comes long before.
const ASKED_MAX: Duration = Duration::from_hours(24);

/// The longest time for one attempt, unless the configuration says otherwise. A receiver that
/// takes longer is not likely to answer at all.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// So much of an answer is read and kept, bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// So much of an answer is repeated in a sentence, characters.
const ANSWER_SHOWN_CHARS: usize = 200;

/// What a receiver said to a message that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status or SMTP code, 0 where there is none.
    pub status: u16,
    /// The beginning of what it said, at most 4 KiB.
    pub text: String,
}

/// Why an attempt failed. The texts hold no address and no token.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) retry: bool,
    /// How long the receiver asked to be left alone.
    pub(crate) wait: Option<Duration>,
}

impl Failure {
    pub(crate) fn last(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: false,
            wait: None,
        }
    }

    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry: true,
            wait: None,
        }
    }
}

/// Sends until it is accepted, refused for good, or the deadline passes. `missed` is called with
/// each attempt that failed and is made again.
///
/// # Errors
/// A sentence without address or token.
pub(crate) async fn deliver(
    client: &std::sync::Arc<Client>,
    outgoing: &Outgoing,
    timeout: Option<Duration>,
    deadline: Instant,
    mut missed: impl FnMut(&str),
) -> Result<Answer, String> {
    let mut wait = BACKOFF_FIRST;
    let mut attempts = 1u32;
    // Requests that were accepted are not made again.
    let mut done = 0;
    loop {
        let limit = (Instant::now() + timeout.unwrap_or(ATTEMPT_TIMEOUT)).min(deadline);
        let attempt = attempt(client, outgoing, &mut done);
        let failure = match timeout_at(limit, attempt).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::passing("no answer in time"),
        };
        if !failure.retry {
            return Err(failure.message);
        }
        // One that asks for no pause at all would be asked without end.
        let pause = failure.wait.map_or(wait, |asked| asked.max(wait));
        if Instant::now() + pause >= deadline {
            return Err(format!(
                "{} (attempt {attempts}, given up until the group's next turn)",
                failure.message
            ));
        }
        missed(&failure.message);
        sleep(pause).await;
        wait = (wait * 3 / 2).min(BACKOFF_MAX);
        attempts += 1;
    }
}

/// Sends once, for a test.
///
/// # Errors
/// As [`deliver`].
pub(crate) async fn once(
    client: &std::sync::Arc<Client>,
    outgoing: &Outgoing,
    limit: Duration,
) -> Result<Answer, String> {
    match tokio::time::timeout(limit, attempt(client, outgoing, &mut 0)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(failure.message),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn attempt(
    client: &std::sync::Arc<Client>,
    outgoing: &Outgoing,
    done: &mut usize,
) -> Result<Answer, Failure> {
    match outgoing {
        Outgoing::Mail(mail) => mail::send(mail).await,
        Outgoing::Http(calls) => {
            let mut answer = Answer::default();
            for call in calls.iter().skip(*done) {
                answer = ask(client, call).await?;
                *done += 1;
            }
            Ok(answer)
        }
    }
}

async fn ask(client: &std::sync::Arc<Client>, call: &Call) -> Result<Answer, Failure> {
    let url = &call.url.0;
    let request = client.request(call.method.clone(), url).await;
    let mut request = request
        .map_err(|error| of_client(&error))?
        .header(CONTENT_TYPE, call.content_type);
    for (name, value) in &call.headers {
        request = request.header(*name, value.reveal());
    }
    let sent = request.body(call.body.clone()).send().await;
    let mut response = sent.map_err(|error| Failure {
        message: HttpClientError::of_request(&error, url).to_string(),
        retry: !error.is_builder() && !error.is_redirect(),
        wait: None,
    })?;
    let (status, wait) = (
        response.status(),
        retry_after(response.headers(), time::now_ms()),
    );
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // The status was said; a body that breaks off changes nothing.
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(ANSWER_BYTES_MAX);
    if status.is_success() {
        (call.accept)(&body).map_err(Failure::last)?;
        return Ok(Answer {
            status: status.as_u16(),
            text: printable(&body),
        });
    }
    Err(Failure {
        message: refusal(status, &body),
        retry: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        wait: wait.filter(|_| status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()),
    })
}

fn of_client(error: &HttpClientError) -> Failure {
    // Files of secrets may be mended while we wait.
    Failure::passing(error.to_string())
}

/// How long the header `Retry-After` asks to wait: seconds, or a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse::<f64>() {
        // More seconds than any clock counts are many.
        Ok(seconds) if seconds > ASKED_MAX.as_secs_f64() => ASKED_MAX,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            let ms = at.as_millisecond().saturating_sub(now_ms);
            Duration::from_millis(u64::try_from(ms).unwrap_or(0))
        }
    };
    Some(asked.min(ASKED_MAX))
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.collect::<String>().trim().to_owned()
}

fn refusal(status: StatusCode, answer: &[u8]) -> String {
    let text: String = printable(answer).chars().take(ANSWER_SHOWN_CHARS).collect();
    match text.as_str() {
        "" => format!("the receiver answered {status}"),
        text => format!("the receiver answered {status}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_a_date_and_nonsense_is_left_out() {
        let now_ms = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers, now_ms).map(|wait| wait.as_secs_f64())
        };
        for (text, expected) in [
            ("30", Some(30.0)),
            (" 1.5 ", Some(1.5)),
            ("0", Some(0.0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60.0)),
            ("Sun, 06 Nov 1994 07:00:00 GMT", Some(0.0)),
            ("Fri, 31 Dec 2100 23:59:59 GMT", Some(86_400.0)),
            ("99999999999999999999999999", Some(86_400.0)),
            ("9e18", Some(86_400.0)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(asked(text), expected, "{text:?}");
        }
    }
}
