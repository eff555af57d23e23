//! `yagura rehearse rules FILE`: asks a running Yagura when the rules of a file would have fired,
//! and which of them never can.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::client::{self, Failure, Server};

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
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    data: Data,
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

/// Rehearses a file. The exit status: 0 it was rehearsed, 1 something is wrong with the file, 2 it
/// could not be asked.
pub(crate) fn rehearse_rules(args: &RehearseArgs) -> ExitCode {
    client::run(rehearse(args))
}

async fn rehearse(args: &RehearseArgs) -> Result<bool, Failure> {
    let told = |error: String| Failure::Told(error);
    model::duration::parse(&args.since).map_err(|error| told(format!("--since: {error}")))?;
    let file = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| told(format!("cannot read {file}: {error}")))?;
    let client = args.server.client()?;
    let start = format!("now-{}", args.since);
    let request = client
        .post(
            "api/v1/rules/rehearse",
            &[("start", &start), ("file", &file)],
        )?
        .header("content-type", "text/yaml")
        .body(text);
    let answer = client.send(request, "").await?;
    let answer = answer
        .bytes()
        .await
        .map_err(|error| client.unreachable(&error))?;
    let answer: Envelope = serde_json::from_slice(&answer).map_err(|error| {
        told(format!(
            "{} does not rehearse rules: {error}",
            args.server.url
        ))
    })?;
    let report = report(&answer.data, &args.since);
    let mut out = std::io::stdout();
    out.write_all(report.as_bytes()).map_err(Failure::Output)?;
    Ok(answer.data.problems.is_empty())
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
