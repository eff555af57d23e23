//! What can be typed: `yagura [serve]`, `yagura backup`, `yagura check`, `yagura import`,
//! `yagura logs`, `yagura query`, `yagura rehearse` and `yagura test`.

mod check;
mod client;
mod data;
mod import;
mod logs;
mod query;
mod rehearse;
mod rules;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub(crate) use check::{CheckConfigArgs, check_config};
pub(crate) use data::{BackupArgs, backup, check_data};
pub(crate) use import::{ImportArgs, import};
pub(crate) use logs::{LogsArgs, logs};
pub(crate) use query::{QueryArgs, query};
pub(crate) use rehearse::{RehearseArgs, rehearse_rules};
pub(crate) use rules::{CheckRulesArgs, TestRulesArgs, check_rules, test_rules};

/// Logs, metrics, alerts and dashboards of a small cluster or one machine, in one process.
#[derive(Debug, Parser)]
#[command(
    name = "yagura",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Collect, store, alert and serve the web interface (the default)
    Serve(ServeArgs),
    /// Search the logs of a running Yagura, or follow them
    Logs(LogsArgs),
    /// Ask a running Yagura for metrics with PromQL
    Query(QueryArgs),
    /// Copy all data, also while Yagura runs
    Backup(BackupArgs),
    /// Take over the history of another metric store, into the data folder of a stopped Yagura
    Import(ImportArgs),
    /// Check files without starting anything
    Check {
        #[command(subcommand)]
        what: CheckCommand,
    },
    /// Try something out on the kept history
    Rehearse {
        #[command(subcommand)]
        what: RehearseCommand,
    },
    /// Run unit tests
    Test {
        #[command(subcommand)]
        what: TestCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RehearseCommand {
    /// Say when the rules of a file would have fired, and which of them never can
    Rules(RehearseArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Run unit test files of rules, as `promtool test rules` does
    Rules(TestRulesArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// Check a configuration file and every file that it names
    Config(CheckConfigArgs),
    /// Verify a data folder that no Yagura has open, or a backup: every page, block and journal
    Data {
        /// The folder
        folder: PathBuf,
    },
    /// Check rule files, as `promtool check rules` does
    Rules(CheckRulesArgs),
}

/// What can be said on the command line or in the environment. A flag wins over the environment,
/// the environment over the configuration file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file (YAML)
    #[arg(long, env = "YAGURA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Prometheus' own configuration file, in place of the section `prometheus`
    #[arg(long, env = "YAGURA_PROMETHEUS_CONFIG", value_name = "FILE")]
    pub(crate) prometheus_config: Option<PathBuf>,
    /// Folder for all data [default: ./yagura-data]
    #[arg(long, env = "YAGURA_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:9849]
    #[arg(long, env = "YAGURA_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// What to log about itself, such as `debug` or `info,log_tail=debug`
    #[arg(long, env = "YAGURA_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// Turns a result into what a shell expects, with the whole chain of reasons on one line.
pub(crate) fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("yagura: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
