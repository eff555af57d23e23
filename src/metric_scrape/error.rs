//! What can go wrong, in sentences for people.

use http_client::HttpClientError;
use model::StoreError;

use crate::config::Size;
use crate::exposition::PageError;

/// Why a configuration is refused or a scrape failed. [`std::fmt::Display`] is the sentence that
/// the targets page shows; [`ScrapeError::reason`] the word that is counted.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// A configuration that cannot work.
    #[error("{place}: {key}: {reason}")]
    Config {
        /// `job "name"` or `global`.
        place: String,
        /// The key at fault.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The target could not be reached, did not answer like an HTTP server, or the settings for
    /// asking it do not work.
    #[error(transparent)]
    Http(#[from] HttpClientError),
    /// The job has more targets than it may have.
    #[error("the job has {count} targets, target_limit is {limit}: none of them is scraped")]
    TargetLimit {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: u64,
    },
    /// No whole page within the timeout.
    #[error("no whole page within {}: {stage}", model::duration::format(*timeout))]
    Timeout {
        /// The timeout.
        timeout: std::time::Duration,
        /// How far it came.
        stage: String,
    },
    /// An answer other than 200.
    #[error("the target answered {status}{hint}")]
    Status {
        /// Code and words.
        status: String,
        /// What to look at, or nothing.
        hint: &'static str,
    },
    /// An answer that is no metrics page.
    #[error(
        "the target answered with {0}, which is no metrics page: is the path right? \
         (fallback_scrape_protocol: PrometheusText0.0.4 reads it all the same)"
    )]
    ContentType(String),
    /// More bytes than allowed.
    #[error("the page is larger than {0} (body_size_limit): cut off, nothing of it is stored")]
    BodyLimit(Size),
    /// Too many large pages at the same time.
    #[error("too many large pages at the same time ({0} are set aside for them): left out")]
    Busy(Size),
    /// A page that is not in its format.
    #[error("the page does not read: {0}")]
    Page(#[from] PageError),
    /// More samples than allowed.
    #[error("{kept} samples after relabelling, sample_limit is {limit}: nothing of it is stored")]
    SampleLimit {
        /// How many there are.
        kept: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A source inside the process could not answer.
    #[error("{0}")]
    Local(String),
    /// A source or the reading of its page panicked; the bug is ours.
    #[error("an internal error, please report it: {0}")]
    Panicked(String),
    /// The store did not take the samples.
    #[error("the samples could not be stored: {0}")]
    Store(#[from] StoreError),
}

impl ScrapeError {
    /// An error of a job's configuration; an empty job is the global section.
    pub fn config(job: &str, key: impl Into<String>, reason: impl Into<String>) -> Self {
        let place = match job {
            "" => "global".to_owned(),
            job => format!("job {job:?}"),
        };
        Self::Config {
            place,
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// One word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Http(HttpClientError::Credentials(_) | HttpClientError::Token { .. }) => {
                "credentials"
            }
            Self::Http(_) => "connection",
            Self::TargetLimit { .. } => "target_limit",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::ContentType(_) => "content_type",
            Self::BodyLimit(_) => "body_limit",
            Self::Busy(_) => "busy",
            Self::Page(_) => "page",
            Self::SampleLimit { .. } => "sample_limit",
            Self::Local(_) => "local",
            Self::Panicked(_) => "panic",
            Self::Store(_) => "store",
        }
    }
}
