//! `yagura backup DIR` copies all data, `yagura check data DIR` verifies a data folder or a copy.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use log_store::LogStore;
use metric_store::MetricStore;
use model::time;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use state_store::StateStore;

use super::ServeArgs;
use crate::backup::{Backup, PartialFolder, SNAPSHOTS, is_unfinished};
use crate::config::Config;

/// A copy of a large store takes minutes.
const COPY_WITHIN: Duration = Duration::from_hours(2);

/// `yagura backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where the copy goes; the folder must not exist
    folder: PathBuf,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Copies the data folder: asks the Yagura that has it open, or reads it itself when none has.
pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.serve)?;
    let metrics = config.data.join("metrics");
    if !metrics.is_dir() {
        bail!(
            "{} holds no data: name the folder with --data",
            config.data.display()
        );
    }
    if metric_store::is_in_use(&metrics)? {
        // Now, and not when the copy is made.
        if args.folder.exists() {
            bail!(
                "{} exists: choose a folder that does not",
                args.folder.display()
            );
        }
        let name = ask_for_snapshot(&config.listen)?;
        let made = config.data.join(SNAPSHOTS).join(name);
        take_over(&made, &args.folder)?;
    } else {
        open(&config)?.copy_to(&args.folder)?;
    }
    writeln!(
        std::io::stdout(),
        "{}: a copy of all data; see `yagura check data {0}`",
        args.folder.display()
    )?;
    Ok(())
}

fn open(config: &Config) -> anyhow::Result<Backup> {
    let (data, registry) = (&config.data, &mut Registry::default());
    let metrics = MetricStore::open(
        &data.join("metrics"),
        metric_store::Config {
            retention: config.storage.metrics,
            ..metric_store::Config::default()
        },
        metric_store::Metrics::new(registry),
        time::now_ms(),
    )?;
    let logs = LogStore::open(
        &data.join("logs"),
        log_store::Config::default(),
        log_store::Metrics::new(registry),
        time::now_ns(),
    )?;
    Ok(Backup {
        data: data.clone(),
        metrics: Arc::new(metrics),
        logs: Arc::new(logs),
        state: Arc::new(StateStore::open(data.join("state.db"))?),
    })
}

/// What the API answers.
#[derive(Debug, Deserialize)]
struct Answer {
    data: Option<Snapshot>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    name: String,
}

fn ask_for_snapshot(listen: &str) -> anyhow::Result<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let url = format!("http://{}/api/v1/admin/tsdb/snapshot", reachable(listen));
    let ask = async {
        let client = reqwest::Client::builder().timeout(COPY_WITHIN).build()?;
        let response = client.post(&url).send().await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::Ok((status, text))
    };
    let (status, text) = runtime
        .block_on(ask)
        .with_context(|| format!("cannot ask the running Yagura at {url}"))?;
    let answer = serde_json::from_str::<Answer>(&text).ok();
    match answer {
        Some(Answer {
            data: Some(made), ..
        }) if is_plain(&made.name) => Ok(made.name),
        Some(Answer {
            error: Some(error), ..
        }) => bail!("{url} says: {error}"),
        _ => bail!("{url} answers {status} and no name of a copy"),
    }
}

/// A name that stays within its folder.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.chars().all(plain)
}

/// The wildcard address means this machine.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "", port)) => format!("127.0.0.1:{port}"),
        _ => listen.to_owned(),
    }
}

/// Moves a copy to where it is wanted, also to another file system.
fn take_over(made: &Path, folder: &Path) -> anyhow::Result<()> {
    if fs::rename(made, folder).is_ok() {
        return Ok(());
    }
    let partial = PartialFolder::beside(folder)?;
    copy_folder(made, partial.path())
        .with_context(|| format!("cannot copy {} to {}", made.display(), folder.display()))?;
    partial.finish(folder)?;
    fs::remove_dir_all(made).with_context(|| format!("cannot remove {}", made.display()))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::File::open(&target)?.sync_all()?;
        }
    }
    fs::File::open(to)?.sync_all()
}

/// Verifies a data folder that no Yagura has open, and says on standard output what is in it.
pub(crate) fn check_data(folder: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut problems = Vec::new();
    if is_unfinished(folder) {
        bail!(
            "{} is a copy that was cut short, or is still being made: make another one",
            folder.display()
        );
    }
    let metrics = folder.join("metrics");
    if !metrics.join("meta.db").is_file() {
        bail!(
            "{} is no data folder: metrics/meta.db is missing",
            folder.display()
        );
    }
    let report = metric_store::check(&metrics)?;
    writeln!(
        out,
        "metrics: {} samples of {} series in {} segments ({} pages), {} samples in {} journals",
        report.samples,
        report.series,
        report.segments,
        report.pages,
        report.journal_samples,
        report.journals
    )?;
    problems.extend(report.problems);
    if report.problems_more > 0 {
        problems.push(format!("metrics: {} problems more", report.problems_more));
    }
    let logs = folder.join("logs");
    if logs.is_dir() {
        let report = LogStore::verify(&logs)?;
        writeln!(
            out,
            "logs: {} lines in {} blocks of {} partitions",
            report.lines, report.blocks, report.partitions
        )?;
        problems.extend(report.problems);
    }
    let state = folder.join("state.db");
    if state.is_file() {
        let found = StateStore::open(&state)?.check()?;
        let said = if found.is_empty() { "sound" } else { "damaged" };
        writeln!(out, "state: {said}")?;
        problems.extend(found.into_iter().map(|what| format!("state.db: {what}")));
    }
    for problem in &problems {
        writeln!(out, "  {problem}")?;
    }
    if !problems.is_empty() {
        bail!("{}: {} problems", folder.display(), problems.len());
    }
    writeln!(out, "{}: good", folder.display())?;
    Ok(())
}
