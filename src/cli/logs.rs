//! `yagura logs`: asks a running Yagura for log lines and shows them, or follows them.
//!
//! `logs/ask.rs` speaks HTTP, `logs/record.rs` reads what comes back, `logs/show.rs` and
//! `logs/table.rs` write it, `logs/follow.rs` keeps up with new lines. Documented in `docs/cli.md`.
//!
//! The exit status is for scripts, as grep's: 0 something was found, 1 nothing was found, 2 it
//! could not be asked.

mod ask;
mod follow;
mod record;
mod show;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use log_query::{Pipe, Query};

use super::client::{self, Colors, Server};
use ask::{Client, Failure, Question};
use record::Answer;
use show::Show;

/// Lines that are shown when nothing is said.
const LINES_DEFAULT: usize = 1_000;

/// Lines that are shown before new ones are followed, when nothing is said: a screen's beginning.
const LINES_BEFORE_FOLLOWING: usize = 10;

/// Searches the logs of a running Yagura
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 lines were found, 1 none were found, 2 it could not be asked.\n\
    A query that begins with a minus goes behind `--`: yagura logs -- '-level:debug timeout'"
)]
pub(crate) struct LogsArgs {
    /// What to look for, as in the search field; nothing: every line
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Go on with new lines as they arrive
    #[arg(short, long)]
    follow: bool,
    /// From when: a duration before now (90s, 1h, 2d), a time (RFC 3339), or now-1h
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Until when, written as for --since
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        conflicts_with = "follow"
    )]
    until: String,
    /// At most so many lines, the newest [default: 1000; with --follow 10]
    #[arg(short = 'n', long, value_name = "LINES")]
    limit: Option<usize>,
    /// Every line of the time range, oldest first, streamed
    #[arg(long, visible_alias = "export", conflicts_with_all = ["follow", "limit"])]
    all: bool,
    /// How to write lines
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    colors: Colors,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Output {
    /// For people: time, level, source, message, fields; tables aligned
    #[default]
    Table,
    /// One JSON object per line
    Json,
    /// The line as it was written, nothing else
    Raw,
    /// key=value pairs
    Logfmt,
}

/// Runs the command.
pub(crate) fn logs(args: &LogsArgs) -> ExitCode {
    client::run(run(args))
}

/// Whether something was found.
async fn run(args: &LogsArgs) -> Result<bool, Failure> {
    let client = Client::new(&args.server.url)?;
    let question = Question {
        query: args.query.join(" "),
        from: time(&args.since),
        to: time(&args.until),
        limit: args.limit.unwrap_or(if args.follow {
            LINES_BEFORE_FOLLOWING
        } else {
            LINES_DEFAULT
        }),
    };
    let mut out = Show::new(args.output, args.colors.wanted(), io::stdout().lock());
    if args.follow {
        return follow::follow(&client, &question, &mut out).await;
    }
    if args.all {
        return client.export(&question, args.output, &mut out).await;
    }
    let answer = client.ask(&question).await?;
    let found = match &answer {
        Answer::Lines(records) => {
            if is_sorted(&question.query) {
                for record in records {
                    out.record(record)?;
                }
            } else {
                // The newest come first; people read downwards.
                for record in records.iter().rev() {
                    out.record(record)?;
                }
            }
            !records.is_empty()
        }
        Answer::Table(table) => {
            out.table(table)?;
            out.flush()?;
            for note in &table.notes {
                eprintln!("yagura: {note}");
            }
            !table.rows.is_empty()
        }
    };
    out.flush()?;
    if let Answer::Lines(records) = &answer
        && records.len() >= question.limit
        && args.limit.is_none()
    {
        eprintln!(
            "yagura: these are the newest {LINES_DEFAULT} lines; -n shows another number, --all all"
        );
    }
    Ok(found)
}

/// Whether the query itself says the order of lines.
fn is_sorted(query: &str) -> bool {
    let sorts = |pipe: &Pipe| matches!(pipe, Pipe::Sort(_));
    Query::parse(query).is_ok_and(|query| query.pipes.iter().any(sorts))
}

/// `1h` means an hour ago; everything else the server understands.
fn time(text: &str) -> String {
    match model::duration::parse(text) {
        Ok(_) => format!("now-{text}"),
        Err(_) => text.to_owned(),
    }
}

/// Writes to standard output what does not fit the usual way.
fn copy(out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    out.write_all(bytes).map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_can_say_the_order() {
        assert!(is_sorted("error | sort by (took desc)"));
        assert!(!is_sorted("error sort"));
        assert!(!is_sorted("level:eroor"));
    }

    #[test]
    fn durations_are_before_now() {
        let check = |text: &str, expected: &str| assert_eq!(time(text), expected);
        check("1h", "now-1h");
        check("1h30m", "now-1h30m");
        check("now-2d", "now-2d");
        check("now", "now");
        check("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z");
    }
}
