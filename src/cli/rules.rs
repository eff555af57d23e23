//! `yagura check rules` and `yagura test rules`: rule files and their unit tests, with promtool's
//! report and exit status, without starting anything.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alert_rules::{GroupSpec, Languages, LogQuery, PromqlQuery, RuleOutput, RuleSpec, unit_test};
use clap::Args;
use tokio_util::sync::CancellationToken;

/// The exit status for findings that are no errors, asked for with `--lint-fatal`; promtool's.
const LINT_FATAL: u8 = 3;

/// The largest unit test file, bytes.
const TEST_FILE_BYTES_MAX: u64 = 8 << 20;

/// What can be said behind `yagura check rules`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckRulesArgs {
    /// Rule files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to look for beyond errors: all, duplicate-rules, none
    #[arg(long, default_value = "duplicate-rules", value_name = "LINT")]
    lint: String,
    /// Exit with 3 where something was found that is no error
    #[arg(long)]
    lint_fatal: bool,
}

/// What can be said behind `yagura test rules`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TestRulesArgs {
    /// Unit test files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    run: Vec<String>,
    /// Only say what failed
    #[arg(long)]
    quiet: bool,
}

/// Calls `f` with languages that only check: there is nothing to read.
pub(crate) fn with_languages<T>(f: impl FnOnce(Languages<'_>) -> T) -> T {
    let metrics = PromqlQuery::new(
        Arc::default(),
        Arc::new(promql::memory::MemoryReader::new()),
        Duration::ZERO,
        CancellationToken::new(),
    );
    let lines = Arc::new(log_query::memory::MemoryReader::new(Vec::new()));
    let logs = LogQuery::new(lines, Duration::ZERO);
    f(Languages {
        metrics: &metrics,
        logs: &logs,
    })
}

/// `yagura check rules FILE…`
pub(crate) fn check_rules(args: &CheckRulesArgs) -> ExitCode {
    let lint = match args.lint.as_str() {
        "all" | "duplicate-rules" => true,
        "none" => false,
        other => {
            eprintln!("yagura: --lint {other:?} is not known: write all, duplicate-rules or none");
            return ExitCode::FAILURE;
        }
    };
    let (mut failed, mut linted) = (false, false);
    for file in &args.files {
        let mut report = format!("Checking {}\n", file.display());
        let pattern = [file.display().to_string()];
        let loaded =
            with_languages(|languages| alert_rules::load(&pattern, Path::new(""), languages));
        let rules: usize = loaded.groups.iter().map(|group| group.rules.len()).sum();
        if loaded.problems.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(report, "  SUCCESS: {rules} rules found");
            let found = if lint {
                duplicates(&loaded.groups)
            } else {
                String::new()
            };
            linted |= !found.is_empty();
            report.push_str(&found);
        } else {
            failed = true;
            report.push_str("  FAILED:\n");
            for problem in &loaded.problems {
                let _ = writeln!(report, "  {problem}");
            }
        }
        report.push('\n');
        if std::io::stdout().write_all(report.as_bytes()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    match (failed, linted && args.lint_fatal) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(LINT_FATAL),
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Rules that make the same series: which value comes out is a matter of luck.
fn duplicates(groups: &[GroupSpec]) -> String {
    type Identity<'a> = (bool, &'a str, Vec<(&'a str, &'a str)>);
    fn identity(rule: &RuleSpec) -> Identity<'_> {
        let labels = rule
            .labels
            .iter()
            .map(|(name, text)| (&**name, &*text.source));
        let recording = rule.output == RuleOutput::Recording;
        (recording, &rule.name, labels.collect())
    }
    let mut rules: Vec<Identity<'_>> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .map(|rule| identity(rule))
        .collect();
    rules.sort();
    let mut twice: Vec<&Identity<'_>> = rules
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a == b => Some(a),
            _ => None,
        })
        .collect();
    twice.dedup();
    if twice.is_empty() {
        return String::new();
    }
    let mut out = format!("{} duplicate rule(s) found.\n", twice.len());
    for (_, name, labels) in twice {
        let _ = writeln!(out, "Metric: {name}\nLabel(s):");
        for (label, value) in labels {
            let _ = writeln!(out, "\t{label}: {value}");
        }
    }
    out.push_str("Might cause inconsistency while recording expressions\n");
    out
}

/// `yagura test rules FILE…`
pub(crate) fn test_rules(args: &TestRulesArgs) -> ExitCode {
    let mut failed = false;
    for file in &args.files {
        let failures = match read(file) {
            Ok(text) => {
                let folder = file.parent().unwrap_or(Path::new(""));
                unit_test::run(&file.display().to_string(), &text, folder, &args.run)
            }
            Err(error) => vec![error],
        };
        failed |= !failures.is_empty();
        if args.quiet && failures.is_empty() {
            continue;
        }
        let mut report = format!("Unit Testing:  {}\n", file.display());
        if failures.is_empty() {
            report.push_str("  SUCCESS\n");
        } else {
            report.push_str("  FAILED:\n");
            for failure in &failures {
                let _ = writeln!(report, "    {failure}");
            }
        }
        report.push('\n');
        if std::io::stdout().write_all(report.as_bytes()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn read(file: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    let bytes = std::fs::metadata(file).map_err(cannot)?.len();
    if bytes > TEST_FILE_BYTES_MAX {
        return Err(format!(
            "{} has {bytes} bytes, the limit is {TEST_FILE_BYTES_MAX}",
            file.display()
        ));
    }
    std::fs::read_to_string(file).map_err(cannot)
}
