//! `yagura query`: asks a running Yagura with PromQL and shows the answer: values now, or with
//! `--range` values over time, each series with a sparkline.
//!
//! `query/answer.rs` reads the answer, `query/write.rs` writes it. Documented in `docs/cli.md`.
//!
//! The exit status is for scripts, as grep's: 0 something was found, 1 nothing was found, 2 it
//! could not be asked.

mod answer;
mod write;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::client::{self, Colors, Failure, Server};
use answer::Answer;

/// Points per series of a range when nothing is said: as wide as a sparkline may become.
const POINTS: u64 = 60;

/// Asks a running Yagura for metrics with PromQL
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 something was found, 1 nothing was found, 2 it could not be asked.\n\
    An expression that begins with a minus goes behind `--`: yagura query -- '-up'"
)]
pub(crate) struct QueryArgs {
    /// The expression
    #[arg(value_name = "EXPR")]
    expression: String,
    /// Values over so much time before --at (1h, 2d) instead of at one moment
    #[arg(long, value_name = "DURATION")]
    range: Option<String>,
    /// Time from one value to the next, with --range [default: a sixtieth of it]
    #[arg(long, value_name = "DURATION", requires = "range")]
    step: Option<String>,
    /// When: a duration before now (90s, 1h, 2d), a time (RFC 3339), or now-1h
    #[arg(long, value_name = "TIME", default_value = "now")]
    at: String,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    colors: Colors,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Output {
    /// For people: labels and values, with --range sparklines
    #[default]
    Table,
    /// The answer as Prometheus' API writes it
    Json,
    /// Labels, time and value, a line per sample
    Csv,
}

/// Runs the command.
pub(crate) fn query(args: &QueryArgs) -> ExitCode {
    client::run(run(args))
}

/// Whether something was found.
async fn run(args: &QueryArgs) -> Result<bool, Failure> {
    let client = args.server.client()?;
    let at = moment(&args.at)?;
    let expression = args.expression.as_str();
    let request = match &args.range {
        None => {
            let at = seconds(at);
            client.get("api/v1/query", &[("query", expression), ("time", &at)])?
        }
        Some(range) => {
            let range_ms = duration_ms("--range", range)?;
            let step_ms = match &args.step {
                Some(step) => duration_ms("--step", step)?,
                None => (range_ms / POINTS).max(1_000).next_multiple_of(1_000),
            };
            let start = at.saturating_sub_unsigned(range_ms);
            client.get(
                "api/v1/query_range",
                &[
                    ("query", expression),
                    ("start", &seconds(start)),
                    ("end", &seconds(at)),
                    ("step", &seconds(i64::try_from(step_ms).unwrap_or(i64::MAX))),
                ],
            )?
        }
    };
    let response = client.send(request, expression).await?;
    let body = response.bytes().await;
    let body = body.map_err(|error| client.unreachable(&error))?;
    let answer = Answer::parse(&body)
        .map_err(|error| Failure::Told(format!("cannot read the answer: {error}")))?;
    for note in answer.warnings.iter().chain(&answer.infos) {
        eprintln!("yagura: {note}");
    }
    let text = match args.output {
        Output::Table => write::table(&answer.data, args.colors.wanted()),
        Output::Json => format!("{}\n", String::from_utf8_lossy(&body).trim_end()),
        Output::Csv => write::csv(&answer.data),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).map_err(Failure::Output)?;
    out.flush().map_err(Failure::Output)?;
    Ok(!answer.data.is_empty())
}

/// Milliseconds since 1970-01-01 UTC; `1h` means an hour ago.
fn moment(text: &str) -> Result<i64, Failure> {
    let written = match model::duration::parse(text) {
        Ok(_) => format!("now-{text}"),
        Err(_) => text.to_owned(),
    };
    let now_ns = model::time::now_ms().saturating_mul(1_000_000);
    let found = model::time::parse_ns(&written, now_ns).map(|ns| ns.div_euclid(1_000_000));
    found.ok_or_else(|| {
        Failure::Told(format!(
            "cannot read --at {text}: write 1h for an hour ago, now, or 2026-08-22T01:10Z"
        ))
    })
}

fn duration_ms(flag: &str, text: &str) -> Result<u64, Failure> {
    let told = |reason: String| Failure::Told(format!("cannot read {flag} {text}: {reason}"));
    let duration = model::duration::parse(text).map_err(|error| told(error.to_string()))?;
    match u64::try_from(duration.as_millis()) {
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err(told("it must be longer than nothing".to_owned())),
    }
}

/// Milliseconds as the API takes them: seconds with three digits.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |text: &str| moment(text).expect(text);
        assert_eq!(at("2026-11-23T10:00:00Z"), 1_795_428_000_000);
        assert!((at("now") - at("1h") - 3_600_000).abs() < 60_000);
        assert!(moment("yesterday").is_err());
        assert_eq!(duration_ms("--step", "1m30s").expect("a duration"), 90_000);
        assert!(duration_ms("--step", "0s").is_err() && duration_ms("--step", "x").is_err());
        assert_eq!(seconds(-1), "-1.999");
        assert_eq!(seconds(1_500), "1.500");
    }
}
