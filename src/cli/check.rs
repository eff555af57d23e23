//! `yagura check`: says what is wrong with files without starting anything.

use std::io::Write;
use std::path::Path;

use anyhow::bail;

use crate::cli::ServeArgs;
use crate::cli::rules::with_languages;
use crate::config::Config;

/// Checks a configuration file and the files that it names, and says on standard output what is
/// in them.
pub(crate) fn check_config(file: &Path) -> anyhow::Result<()> {
    let args = ServeArgs {
        config: Some(file.to_owned()),
        ..ServeArgs::default()
    };
    let config = Config::load(&args)?;
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
