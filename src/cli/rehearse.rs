//! `yagura rehearse rules FILE`: asks a running Yagura when the rules of a file would have fired,
//! and which of them never can.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;

/// The server's own limit is two minutes.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// So many times of one rule are written out.
const SHOWN_MAX: usize = 20;

/// What can be said behind `yagura rehearse rules`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RehearseArgs {
    /// A rule file
    file: PathBuf,
    /// How far back, such as 7d
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    since: String,
    /// Address of the Yagura that has the history
    #[arg(
        long,
        env = "YAGURA_URL",
        default_value = "http://127.0.0.1:9849",
        value_name = "URL"
    )]
    url: String,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    step: f64,
    problems: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    firings: Vec<Firing>,
    cut: bool,
    pending_max: usize,
    never_fires: Vec<Missing>,
    last_error: String,
}

#[derive(Debug, Deserialize)]
struct Missing {
    text: String,
}

#[derive(Debug, Deserialize)]
struct Firing {
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
    from: String,
    to: Option<String>,
    receivers: Vec<String>,
}

/// Rehearses a file; fails where something is wrong with it.
pub(crate) fn rehearse_rules(args: &RehearseArgs) -> ExitCode {
    // Only fails where one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(ask(args)));
    match done {
        Ok((report, good)) => {
            let written = std::io::stdout().write_all(report.as_bytes());
            if good && written.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("yagura: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(args: &RehearseArgs) -> anyhow::Result<(String, bool)> {
    model::duration::parse(&args.since).context("--since")?;
    let file = args.file.display().to_string();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    let mut url = reqwest::Url::parse(&args.url).context("--url")?;
    url.set_path("/api/v1/rules/rehearse");
    url.query_pairs_mut()
        .append_pair("start", &format!("now-{}", args.since))
        .append_pair("file", &file);
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
    let answer = client
        .post(url)
        .header("content-type", "text/yaml")
        .body(text)
        .send()
        .await
        .with_context(|| format!("no Yagura answers at {}", args.url))?;
    let status = answer.status();
    let body = answer.bytes().await.context("the answer broke off")?;
    let envelope: Envelope = serde_json::from_slice(&body)
        .with_context(|| format!("{} answered {status} with something else", args.url))?;
    match (envelope.data, envelope.error) {
        (Some(data), _) => Ok((report(&data, &args.since), data.problems.is_empty())),
        (None, Some(error)) => bail!("{error}"),
        (None, None) => bail!("{} answered {status} and nothing else", args.url),
    }
}

fn report(data: &Data, since: &str) -> String {
    // Writing to a string cannot fail.
    let mut out = String::new();
    for problem in &data.problems {
        let _ = writeln!(out, "{problem}");
    }
    let _ = writeln!(out, "over {since}, evaluated every {} s:", data.step);
    for rule in &data.rules {
        let _ = write!(out, "\n{}: ", rule.name);
        let _ = match (rule.kind.as_str(), rule.firings.len(), rule.cut) {
            ("recording", ..) => writeln!(out, "records"),
            (_, 0, _) if !rule.never_fires.is_empty() => writeln!(out, "can never fire"),
            (_, 0, _) if rule.pending_max > 0 => {
                writeln!(out, "would not have fired (it was pending for a while)")
            }
            (_, 0, _) => writeln!(out, "would not have fired"),
            (_, 1, false) => writeln!(out, "would have fired once"),
            (_, n, cut) => {
                let more = if cut { "more than " } else { "" };
                writeln!(out, "would have fired {more}{n} times")
            }
        };
        for missing in &rule.never_fires {
            let _ = writeln!(out, "  {}", missing.text);
        }
        if !rule.last_error.is_empty() {
            let _ = writeln!(out, "  error: {}", rule.last_error);
        }
        for firing in rule.firings.iter().take(SHOWN_MAX) {
            let to = firing.to.as_deref().unwrap_or("now, and it goes on");
            let labels = firing
                .labels
                .iter()
                .filter(|(name, _)| *name != "alertname");
            let labels: Vec<String> = labels.map(|(n, v)| format!("{n}={v:?}")).collect();
            let told = match firing.receivers.as_slice() {
                [] => String::new(),
                receivers => format!("  -> {}", receivers.join(", ")),
            };
            let _ = writeln!(
                out,
                "  {} to {to}  {{{}}}{told}",
                firing.from,
                labels.join(", ")
            );
            if let Some(summary) = firing.annotations.get("summary") {
                let _ = writeln!(out, "      {summary}");
            }
        }
        if rule.firings.len() > SHOWN_MAX {
            let _ = writeln!(out, "  … and {} more", rule.firings.len() - SHOWN_MAX);
        }
    }
    out
}
