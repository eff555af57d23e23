//! Sources inside the process: the host collector, Yagura's own metrics.
//!
//! They answer with a page and are otherwise targets like any other. Their closures may
//! block, so they run on a blocking thread; a panic there fails the scrape and nothing else. One
//! that hangs is given up on time and not called again before it has come back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, LabelsBuilder};
use tokio::task::JoinHandle;

use crate::ScrapeError;
use crate::exposition::Format;
use crate::page::{Histograms, Timestamps};
use crate::series::SeriesRules;
use crate::target::{Source, TargetSpec};

/// Answers with a page, or says in a sentence why it cannot.
#[derive(Clone)]
pub struct LocalSource(pub Arc<dyn Fn() -> Result<LocalPage, String> + Send + Sync>);

/// A page of a local source.
#[derive(Debug, Clone)]
pub struct LocalPage {
    /// What it says.
    pub body: Vec<u8>,
    /// How it says it.
    pub format: Format,
}

impl From<String> for LocalPage {
    /// A page in the text format or, with `# EOF` at its end, OpenMetrics.
    fn from(text: String) -> Self {
        Self {
            format: Format::of_page(&text),
            body: text.into_bytes(),
        }
    }
}

impl fmt::Debug for LocalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalSource")
    }
}

/// A target inside the process.
#[derive(Debug, Clone)]
pub struct LocalTarget {
    /// Label `job`.
    pub job: String,
    /// Label `instance`.
    pub instance: String,
    /// Asked every so often.
    pub interval: Duration,
    /// Labels of the page win over job and instance.
    pub honor_labels: bool,
    /// What is asked.
    pub source: LocalSource,
}

/// A source is given up after this time, or its interval where that is less.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(10);

impl LocalTarget {
    /// Whether another one is the same down to the closure.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.job == other.job
            && self.instance == other.instance
            && self.interval == other.interval
            && self.honor_labels == other.honor_labels
            && Arc::ptr_eq(&self.source.0, &other.source.0)
    }

    pub(crate) fn spec(&self) -> TargetSpec {
        let labels = Labels::from_pairs([("job", &*self.job), ("instance", &*self.instance)]);
        let mut discovered: LabelsBuilder = labels.to_builder();
        discovered.set("__address__", &*self.instance);
        TargetSpec {
            name: format!("local/{}/{}", self.job, self.instance),
            pool: self.job.clone(),
            discovered: discovered.build(),
            labels,
            shown_url: format!("built-in:{}", self.job),
            interval: self.interval,
            timeout: LOCAL_TIMEOUT.min(self.interval),
            source: Source::Local(self.source.clone()),
            rules: Arc::new(SeriesRules {
                honor_labels: self.honor_labels,
                ..SeriesRules::default()
            }),
            timestamps: Timestamps::Honor {
                track_staleness: false,
            },
            histograms: Histograms {
                native: true,
                ..Histograms::default()
            },
            samples_max: None,
            extra_metrics: false,
        }
    }
}

/// Calls local sources, never one twice at the same time.
#[derive(Debug, Default)]
pub(crate) struct LocalCaller {
    hanging: Option<JoinHandle<Result<LocalPage, String>>>,
}

impl LocalCaller {
    /// Asks a source for its page.
    pub(crate) async fn call(
        &mut self,
        source: &LocalSource,
        timeout: Duration,
    ) -> Result<(Vec<u8>, Format), ScrapeError> {
        if self.hanging.take_if(|task| task.is_finished()).is_none() && self.hanging.is_some() {
            return Err(ScrapeError::Local(
                "the source has not come back from the call before".to_owned(),
            ));
        }
        let closure = source.0.clone();
        let mut task = tokio::task::spawn_blocking(move || closure());
        match tokio::time::timeout(timeout, &mut task).await {
            Ok(Ok(Ok(page))) => Ok((page.body, page.format)),
            Ok(Ok(Err(why))) => Err(ScrapeError::Local(why)),
            Ok(Err(error)) => Err(ScrapeError::Panicked(panic_text(error))),
            Err(_) => {
                self.hanging = Some(task);
                Err(ScrapeError::Timeout {
                    timeout,
                    stage: "the source has not answered".to_owned(),
                })
            }
        }
    }
}

/// What a task said when it panicked.
pub(crate) fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else {
        return "it was stopped".to_owned();
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no reason given".to_owned())
}
