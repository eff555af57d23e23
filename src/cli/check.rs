//! `yagura check`: says what is wrong with files without starting anything.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::ServeArgs;
use crate::cli::rules::with_languages;
use crate::config::Config;

/// `yagura check config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The configuration file
    #[arg(required_unless_present = "prometheus_config")]
    file: Option<PathBuf>,
    /// Prometheus' own configuration file, in place of the section `prometheus`
    #[arg(long, value_name = "FILE")]
    prometheus_config: Option<PathBuf>,
}

/// Checks a configuration file and the files that it names, and says on standard output what is
/// in them.
pub(crate) fn check_config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let named = args.file.as_deref().or(args.prometheus_config.as_deref());
    let file = named.unwrap_or(Path::new("configuration"));
    // Where the mistakes of the section `prometheus` are.
    let prometheus_file = args.prometheus_config.as_deref().unwrap_or(file);
    let config = Config::load(&ServeArgs {
        config: args.file.clone(),
        prometheus_config: args.prometheus_config.clone(),
        ..ServeArgs::default()
    })?;
    let prometheus = &config.prometheus;
    let in_file = || prometheus_file.display().to_string();
    // As a start would find them.
    let _ = rustls::crypto::ring::default_provider().install_default();
    metric_scrape::check(&prometheus.global, &prometheus.scrape_configs).with_context(in_file)?;
    remote_write::check(&prometheus.remote_write).with_context(in_file)?;
    let rules = with_languages(|languages| {
        alert_rules::load(
            &config.prometheus.rule_files,
            &config.prometheus_dir,
            languages,
        )
    });
    for problem in &rules.problems {
        eprintln!("yagura: {problem}");
    }
    if !rules.problems.is_empty() {
        bail!(
            "{}: rule files have {} mistakes",
            file.display(),
            rules.problems.len()
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}: good (scrape jobs: {}, rules: {}{})",
        file.display(),
        config.prometheus.scrape_configs.len(),
        rules
            .groups
            .iter()
            .map(|group| group.rules.len())
            .sum::<usize>(),
        match config.logs.rules.len() {
            0 => String::new(),
            n => format!(", processing rules: {n}"),
        }
    )?;
    Ok(())
}
