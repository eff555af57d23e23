//! `yagura import`: history of another metric store moves into the data folder of a Yagura that
//! does not run. (A running one takes the JSON lines of `/api/v1/import`.)

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use metric_import::{Report, json_lines, prometheus, text};
use metric_scrape::exposition::{Format, line};
use metric_store::{Imported, MetricStore};
use model::{Labels, time};

use crate::cli::ServeArgs;
use crate::config::Config;

/// An import alone on a machine may have more memory than a store among other parts.
const MEMORY_BYTES: u64 = 1 << 30;
/// History has the series of weeks.
const SERIES_MAX: usize = 2_000_000;
/// What is looked at to tell OpenMetrics from Prometheus' text.
const TAIL_BYTES: u64 = 64;

/// Takes over the history of another metric store
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Importing the same twice changes nothing. Samples older than storage.metrics are left out:\nraise it first, or the next clean-up would drop them."
)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// A Prometheus data folder (blocks and write-ahead log), a snapshot, or one block
    Prometheus {
        /// The folder, such as /var/lib/prometheus/metrics2
        folder: PathBuf,
    },
    /// JSON lines as VictoriaMetrics' /api/v1/export writes them
    Vm {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Prometheus text or OpenMetrics with timestamps
    Text {
        /// The file
        file: PathBuf,
    },
}

/// Imports and says on standard output what came of it.
pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.serve)?;
    let folder = config.data.join("metrics");
    let now_ms = time::now_ms();
    let metrics = metric_store::Metrics::new(&mut prometheus_client::registry::Registry::default());
    let store = MetricStore::open(
        &folder,
        metric_store::Config {
            retention: config.storage.metrics,
            disk_bytes_max: config.storage.disk,
            memory_bytes_max: MEMORY_BYTES,
            series_max: SERIES_MAX,
            ..metric_store::Config::default()
        },
        metrics,
        now_ms,
    )
    .context(
        "cannot open the metric store (a running Yagura takes JSON lines at /api/v1/import)",
    )?;
    let mut total = Imported::default();
    let mut take = |part| {
        total += store.import(part, now_ms)?;
        Ok(())
    };
    let report = match &args.what {
        What::Prometheus { folder } => {
            let oldest_ms = now_ms.saturating_sub(config.storage.metrics.as_millis() as i64);
            let options = prometheus::Options {
                window_ms: store.window_ms(),
                oldest_ms,
            };
            prometheus::read(folder, &options, &mut take)?
        }
        What::Vm { file } if file == Path::new("-") => {
            json_lines::read(std::io::stdin().lock(), &mut take)?
        }
        What::Vm { file } => json_lines::read(open(file)?, &mut take)?,
        What::Text { file } => {
            let format = format_of(file)?;
            let mut lines = line::Lines::new(format);
            let parse = |text: &str| {
                let read = lines.read(text.as_bytes())?;
                Ok(read.map(|(pairs, value, time_ms)| (Labels::from_pairs(pairs), value, time_ms)))
            };
            text::read(open(file)?, parse, &mut take)?
        }
    };
    store.close().context("cannot close the metric store")?;
    tell(&total, &report)?;
    if total.samples + total.known == 0 {
        bail!("nothing was imported");
    }
    Ok(())
}

fn open(file: &Path) -> anyhow::Result<impl BufRead> {
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    Ok(BufReader::with_capacity(1 << 20, opened))
}

/// Only OpenMetrics ends in `# EOF`.
fn format_of(file: &Path) -> anyhow::Result<Format> {
    use std::os::unix::fs::FileExt;
    let context = || format!("cannot read {}", file.display());
    let opened = File::open(file).with_context(context)?;
    let length = opened.metadata().with_context(context)?.len();
    let mut tail = vec![0; TAIL_BYTES.min(length) as usize];
    opened
        .read_exact_at(&mut tail, length.saturating_sub(TAIL_BYTES))
        .with_context(context)?;
    Ok(Format::of_page(&String::from_utf8_lossy(&tail)))
}

fn tell(total: &Imported, report: &Report) -> anyhow::Result<()> {
    for notice in &report.notices {
        eprintln!("yagura: {notice}");
    }
    if report.more_notices > 0 {
        eprintln!("yagura: … and {} notices more", report.more_notices);
    }
    if total.unstorable > 0 {
        eprintln!(
            "yagura: {} native histograms are inconsistent or too large and were left out",
            total.unstorable
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "imported {} samples (there already: {}, too old or in the future: {}, left out: {})",
        total.samples,
        total.known,
        total.out_of_range,
        report.left_out + total.unstorable
    )?;
    Ok(())
}
