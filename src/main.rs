//! Yagura: logs, metrics and alerts of one machine or a small cluster, in one process.

mod address;
mod alerting;
mod app;
mod backup;
mod budget;
mod cli;
mod config;
mod incidents;
mod inputs;
mod live;
mod log_counts;
mod plugs;
mod status;
mod tasks;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use cli::{CheckCommand, Cli, Command, RehearseCommand, TestCommand};

/// Returns memory to the system sooner and fragments less than the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Check {
            what: CheckCommand::Config(args),
        }) => cli::exit(cli::check_config(&args)),
        Some(Command::Check {
            what: CheckCommand::Data { folder },
        }) => cli::exit(cli::check_data(&folder)),
        Some(Command::Backup(args)) => cli::exit(cli::backup(&args)),
        Some(Command::Import(args)) => cli::exit(cli::import(&args)),
        Some(Command::Check {
            what: CheckCommand::Rules(args),
        }) => cli::check_rules(&args),
        Some(Command::Rehearse {
            what: RehearseCommand::Rules(args),
        }) => cli::rehearse_rules(&args),
        Some(Command::Test {
            what: TestCommand::Rules(args),
        }) => cli::test_rules(&args),
        Some(Command::Logs(args)) => cli::logs(&args),
        Some(Command::Query(args)) => cli::query(&args),
        Some(Command::Serve(args)) => cli::exit(app::run(&args)),
        None => cli::exit(app::run(&cli.serve)),
    }
}
