//! Speaks HTTP to a running Yagura: what `yagura logs`, `yagura query` and
//! `yagura rehearse` have in common.

use std::fmt;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Response, Url};
use serde::Deserialize;

/// An answer begins, and goes on, within this time; the server's own limit is two minutes.
const SILENCE_MAX: Duration = Duration::from_secs(150);

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Which Yagura is asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Server {
    /// Where Yagura is
    #[arg(
        long,
        env = "YAGURA_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9849"
    )]
    pub(super) url: String,
}

impl Server {
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url)
    }
}

/// How what is found is shown.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Colors {
    /// No colours, also on a terminal (NO_COLOR does the same)
    #[arg(long)]
    no_color: bool,
}

impl Colors {
    /// Whether standard output takes colours, unless they are not wanted.
    pub(super) fn wanted(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        !self.no_color
            && !is_set("NO_COLOR")
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            && io::stdout().is_terminal()
    }
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
            .user_agent(concat!("yagura-cli/", env!("CARGO_PKG_VERSION")))
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
        Ok(self.http.get(self.address(path, parameters)?))
    }

    /// As [`Client::get`], for what has a body.
    pub(super) fn post(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder, Failure> {
        Ok(self.http.post(self.address(path, parameters)?))
    }

    fn address(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self
            .base
            .join(path)
            .map_err(|error| Failure::Told(format!("cannot use --url: {error}")))?;
        url.query_pairs_mut().extend_pairs(parameters);
        Ok(url)
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
}

/// Runs a question to its end. The exit status is grep's: 0 something was found, 1 nothing was
/// found, 2 it could not be asked.
pub(super) fn run(question: impl Future<Output = Result<bool, Failure>>) -> ExitCode {
    // The one TLS stack of the process. A second call would fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("yagura: cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(question) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads has seen enough, as `head` has.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprint!("{failure}");
            ExitCode::from(2)
        }
    }
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
    fn addresses_are_checked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for url in ["", "127.0.0.1:9849", "ftp://x/"] {
            assert!(Client::new(url).is_err(), "{url}");
        }
        let client = Client::new("http://h:1/below").expect("an address");
        assert_eq!(client.base.as_str(), "http://h:1/below/");
    }
}
