//! What the page says where there is no line: why, and where lines are.
//!
//! 1. Nothing was ever stored: where lines come from.
//! 2. Nothing lies in the range: where the last line lies.
//! 3. The query rules everything out: which of its terms, and what finds something.

use std::sync::Arc;
use std::time::Duration;

use log_query::{Direction, FieldTest, Filter, Query, Search, Stop, terms, without_term};
use model::LogSourceState;

use super::link;
use crate::api::logs::StopOnDrop;
use crate::shell::Shell;
use crate::{Services, ask, humanize};

/// Terms of a query that are tried to be left out.
const TERMS_TRIED: usize = 5;

/// Explanations are not worth more time than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// Half of the window around the last line, milliseconds.
const AROUND_MS: i64 = 15 * 60_000;

/// Why there is nothing.
pub(super) struct Nothing {
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) ways: Vec<Way>,
}

/// A way out.
pub(super) struct Way {
    pub(super) text: String,
    pub(super) href: String,
    /// What is there, such as `1,204 lines`; may be empty.
    pub(super) note: String,
}

impl Nothing {
    /// Finds out why, within a few seconds.
    pub(super) async fn find(
        services: &Arc<Services>,
        shell: &Shell,
        q: &str,
        query: &Query,
    ) -> Self {
        let stats = services.logs.stats();
        if stats.lines == 0 {
            return Self::never(services);
        }
        let everything = matches!(query.filter, Filter::All);
        let in_range = if everything {
            Some(0)
        } else {
            count(services, shell, Query::all()).await
        };
        if in_range == Some(0) {
            return Self::not_in_range(shell, stats.newest_ns);
        }
        Self::filtered(services, shell, q, query, in_range).await
    }

    fn never(services: &Services) -> Self {
        let sources = (services.log_sources)();
        let following = sources
            .iter()
            .filter(|source| matches!(source.state, LogSourceState::Following))
            .count();
        let sentence = match sources.len() {
            0 => "No log file was found. Name some under logs: files: in the configuration, or \
                 let Yagura read /var/log."
                .to_owned(),
            n => format!(
                "{} known, {following} of them followed; the first line shows up here within \
                 seconds of being written.",
                humanize::things(n as u64, "log file is", "log files are")
            ),
        };
        Self {
            title: "No log line has arrived yet".to_owned(),
            sentence,
            ways: vec![Way {
                text: "Where logs come from".to_owned(),
                href: "/targets".to_owned(),
                note: String::new(),
            }],
        }
    }

    fn not_in_range(shell: &Shell, newest_ns: i64) -> Self {
        let newest_ms = newest_ns.div_euclid(1_000_000);
        let ago = humanize::ago_ms(shell.visit.now_ms - newest_ms);
        let (from, to) = (newest_ms - AROUND_MS, newest_ms + AROUND_MS);
        let utc = model::time::rfc3339_ms;
        Self {
            title: "Nothing was logged in this range".to_owned(),
            sentence: format!("The last line that is stored was written {ago}."),
            ways: vec![Way {
                text: "Go there".to_owned(),
                href: link(shell, &[("from", &utc(from)), ("to", &utc(to))]),
                note: String::new(),
            }],
        }
    }

    async fn filtered(
        services: &Arc<Services>,
        shell: &Shell,
        q: &str,
        query: &Query,
        in_range: Option<u64>,
    ) -> Self {
        let mut tries: Vec<(String, String)> = Vec::new();
        if let Some(text) = as_text(q, &query.filter) {
            tries.push((format!("as text: {text}"), text));
        }
        let all = terms(q);
        if all.len() > 1 {
            for term in all.iter().take(TERMS_TRIED) {
                tries.push((format!("without {term}"), without_term(q, term)));
            }
        }
        let counts = tries
            .iter()
            .map(|(_, text)| async { count(services, shell, Query::parse(text).ok()?).await });
        let counts = futures_util::future::join_all(counts).await;
        let mut ways: Vec<(u64, Way)> = tries
            .into_iter()
            .zip(counts)
            .filter_map(|((text, q), count)| {
                let count = count.filter(|n| *n > 0)?;
                let way = Way {
                    text,
                    href: link(shell, &[("q", &q)]),
                    note: humanize::things(count, "line", "lines"),
                };
                Some((count, way))
            })
            .collect();
        ways.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let mut ways: Vec<Way> = ways.into_iter().map(|(_, way)| way).collect();
        ways.push(Way {
            text: "without any filter".to_owned(),
            href: link(shell, &[("q", "")]),
            note: in_range.map_or(String::new(), |n| humanize::things(n, "line", "lines")),
        });
        if shell.range().span_ms() < 24 * 3_600_000 {
            ways.push(Way {
                text: "in the last 24 h".to_owned(),
                href: link(shell, &[("from", "now-24h"), ("to", "now")]),
                note: String::new(),
            });
        }
        Self {
            title: "No line fits".to_owned(),
            sentence: match in_range {
                Some(n) => format!(
                    "The search rules out {} in this range.",
                    match n {
                        1 => "the only line".to_owned(),
                        n => format!("all {} lines", humanize::count(n)),
                    }
                ),
                None => "The search rules out every line in this range.".to_owned(),
            },
            ways,
        }
    }
}

/// `host:8080` was read as a field; perhaps the text was meant.
fn as_text(q: &str, filter: &Filter) -> Option<String> {
    let Filter::Field {
        test: FieldTest::Equal(_) | FieldTest::Range(..),
        ..
    } = filter
    else {
        return None;
    };
    (!q.contains('"')).then(|| format!("\"{q}\""))
}

/// How many lines of the range a query finds; `None` when that takes too long.
async fn count(services: &Arc<Services>, shell: &Shell, query: Query) -> Option<u64> {
    let range = shell.range();
    let search = Search {
        query: Arc::new(query),
        start_ns: range.start_ns(),
        end_ns: range.end_ns(),
        direction: Direction::Backward,
        limit: 1,
        after: None,
        stop: Stop::default(),
    };
    let _guard = StopOnDrop(search.stop.clone());
    let step_ns = range.span_ms().saturating_mul(1_000_000).max(1);
    let buckets = ask::blocking(services, move |s| s.logs.histogram(&search, step_ns));
    let buckets = tokio::time::timeout(PATIENCE, buckets)
        .await
        .ok()?
        .ok()?
        .ok()?;
    Some(buckets.iter().flat_map(|bucket| bucket.counts).sum())
}
