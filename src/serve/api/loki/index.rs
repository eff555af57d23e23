//! `/loki/api/v1/index/stats`, `/index/volume`, `/index/volume_range` and `/patterns`: how much
//! there is of what. Each is one pass of the store with a fold.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use log_query::logql::{self, Expr, LogPlan};
use log_query::{Direction, Fold, PLACEHOLDER, Query, Row, Search, SearchSummary, Stop, Wanted};
use model::{Labels, Level, StoreError};
use serde_json::json;

use super::{Asked, Refusal, json};
use crate::api::logs::StopOnDrop;
use crate::{Services, ask};

/// Series of a volume when the request does not say, as in Loki.
const VOLUMES_DEFAULT: usize = 100;

/// Most series of a volume.
const VOLUMES_MAX: usize = 5_000;

/// Groups that one thread counts: streams, values of labels, or patterns, times steps.
const GROUPS_MAX: usize = 100_000;

/// Most steps of a volume over time or of patterns.
const STEPS_MAX: i64 = 11_000;

/// Patterns of an answer, the most frequent ones: more than anybody reads.
const PATTERNS_MAX: usize = 300;

/// How Loki writes what differs from line to line.
const LOKI_PLACEHOLDER: &str = "<_>";

/// What lines are counted under, and what is counted.
#[derive(Clone)]
enum Counting {
    /// Lines per stream.
    Streams,
    /// Bytes per set of these labels; all labels where there is none.
    Series(Vec<String>),
    /// Bytes per label name, whatever the value.
    Names(Vec<String>),
    /// Lines per pattern.
    Patterns,
}

/// The groups of a line: labels, or a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Group {
    Labels(Labels),
    Text(String),
}

struct Count {
    what: Counting,
    /// Width of a step; `None`: all time is one.
    step_ns: Option<i64>,
    groups: HashMap<Group, BTreeMap<i64, u64>>,
    n_groups: usize,
}

impl Count {
    fn new(what: Counting, step_ns: Option<i64>) -> Self {
        Self {
            what,
            step_ns,
            groups: HashMap::new(),
            n_groups: 0,
        }
    }

    fn add(&mut self, group: Group, time_ns: i64, n: u64) {
        let step = self.step_ns.map_or(0, |step| time_ns.div_euclid(step));
        let steps = self.groups.entry(group).or_default();
        let before = steps.len();
        *steps.entry(step).or_default() += n;
        self.n_groups += steps.len() - before;
    }

    fn count(&mut self, labels: &Labels, time_ns: i64, n: u64, pattern: &str) {
        let names = match &self.what {
            Counting::Streams => return self.add(Group::Labels(labels.clone()), time_ns, n),
            Counting::Patterns => return self.add(Group::Text(pattern.to_owned()), time_ns, n),
            Counting::Series(names) => {
                let labels = if names.is_empty() {
                    labels.clone()
                } else {
                    labels.filtered(|name| names.iter().any(|n| n == name))
                };
                return self.add(Group::Labels(labels), time_ns, n);
            }
            Counting::Names(names) => names.clone(),
        };
        for label in labels {
            if names.is_empty() || names.iter().any(|name| **name == *label.name) {
                self.add(Group::Text(label.name.to_string()), time_ns, n);
            }
        }
    }
}

impl Fold for Count {
    fn line(&mut self, row: &Row<'_>) {
        let n = match self.what {
            Counting::Streams | Counting::Patterns => 1,
            Counting::Series(_) | Counting::Names(_) => row.text.len() as u64,
        };
        self.count(row.labels, row.time_ns, n, row.pattern);
    }

    fn lines(&mut self, labels: &Labels, _: Level, time_ns: i64, count: u64) {
        self.count(labels, time_ns, count, "");
    }

    fn merge(&mut self, other: Box<dyn Fold>) {
        let Ok(other) = other.into_any().downcast::<Self>() else {
            return;
        };
        for (group, steps) in other.groups {
            let known = self.groups.entry(group).or_default();
            let before = known.len();
            for (step, n) in steps {
                *known.entry(step).or_default() += n;
            }
            self.n_groups += known.len() - before;
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn refusal(&self) -> Option<String> {
        (self.n_groups > GROUPS_MAX).then(|| {
            format!("more than {GROUPS_MAX} groups: narrow the selector, or widen the step")
        })
    }
}

/// A question to the store, with the fold that answers it.
struct Pass {
    search: Search,
    wanted: Wanted,
    what: Counting,
    step_ns: Option<i64>,
}

impl Pass {
    fn new(query: Arc<Query>, span: (i64, i64), what: Counting, step_ns: Option<i64>) -> Self {
        let wanted = Wanted {
            text: matches!(what, Counting::Series(_) | Counting::Names(_)),
            pattern: matches!(what, Counting::Patterns),
            // Where only lines per stream are counted, whole minutes do.
            grain_ns: matches!(what, Counting::Streams).then_some(60_000_000_000),
            ..Wanted::default()
        };
        Self {
            search: Search {
                query,
                start_ns: span.0,
                end_ns: span.1,
                direction: Direction::Forward,
                limit: usize::MAX,
                after: None,
                stop: Stop::default(),
            },
            wanted,
            what,
            step_ns,
        }
    }

    async fn run(self, services: &Arc<Services>) -> Result<(Count, SearchSummary), Refusal> {
        let _guard = StopOnDrop(self.search.stop.clone());
        let (fold, summary) = ask::blocking(services, move |services| {
            let new = || -> Box<dyn Fold> { Box::new(Count::new(self.what.clone(), self.step_ns)) };
            services.logs.fold(&self.search, &self.wanted, &new)
        })
        .await??;
        if let Some(reason) = fold.refusal() {
            return Err(StoreError::Limit(reason).into());
        }
        match fold.into_any().downcast::<Count>() {
            Ok(count) => Ok((*count, summary)),
            Err(_) => Err(Refusal::bad("the store gave another fold back")),
        }
    }
}

/// Streams, blocks, lines and bytes that a selector is about: what Grafana shows before a query
/// is run. Bytes are reckoned from the lines and their mean length in the whole store.
pub(super) async fn stats(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let span = asked.span_ns()?;
    let query = Arc::new(logql::selector_query(&asked.selector()?));
    let pass = Pass::new(query, span, Counting::Streams, None);
    let (count, summary) = pass.run(&services).await?;
    let lines: u64 = count.groups.values().flat_map(BTreeMap::values).sum();
    let store = services.logs.stats();
    let bytes = u128::from(lines) * u128::from(store.text_bytes) / u128::from(store.lines.max(1));
    let body = json!({
        "streams": count.groups.len(),
        "chunks": summary.blocks_read,
        "entries": lines,
        "bytes": u64::try_from(bytes).unwrap_or(u64::MAX),
    });
    Ok(json::response(body.to_string().into_bytes()))
}

/// What of a volume is asked for.
struct Volume {
    query: Arc<Query>,
    span: (i64, i64),
    what: Counting,
    limit: usize,
    /// Whether the groups are names of labels.
    by_name: bool,
}

impl Volume {
    fn of(asked: &Asked) -> Result<Self, Refusal> {
        let selector = asked.selector()?;
        let targets: Vec<String> = asked
            .text("targetLabels")
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let by_name = match asked.text("aggregateBy") {
            "" | "series" => false,
            "labels" => true,
            other => {
                return Err(Refusal::bad(format!(
                    "invalid aggregateBy {other:?}: write series or labels"
                )));
            }
        };
        // Without a word on labels those of the selector make the series, as in Loki.
        let names: Vec<String> = if targets.is_empty() {
            let named: HashSet<&str> = selector.iter().map(|m| &*m.name).collect();
            named.into_iter().map(str::to_owned).collect()
        } else {
            targets
        };
        Ok(Self {
            query: Arc::new(logql::selector_query(&selector)),
            span: asked.span_ns()?,
            what: if by_name {
                Counting::Names(names)
            } else {
                Counting::Series(names)
            },
            limit: asked.limit("limit", VOLUMES_DEFAULT, VOLUMES_MAX)?,
            by_name,
        })
    }

    async fn run(
        self,
        services: &Arc<Services>,
        step_ns: Option<i64>,
    ) -> Result<Vec<(serde_json::Value, BTreeMap<i64, u64>)>, Refusal> {
        let (limit, by_name) = (self.limit, self.by_name);
        let pass = Pass::new(self.query, self.span, self.what, step_ns);
        let (count, _) = pass.run(services).await?;
        let mut groups: Vec<_> = count.groups.into_iter().collect();
        let total = |steps: &BTreeMap<i64, u64>| steps.values().sum::<u64>();
        groups.sort_by(|a, b| total(&b.1).cmp(&total(&a.1)).then_with(|| a.0.cmp(&b.0)));
        groups.truncate(limit);
        let shown = groups.into_iter().map(|(group, steps)| {
            let metric = match group {
                Group::Labels(labels) => labels
                    .iter()
                    .map(|l| (l.name.to_string(), json!(&*l.value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
                Group::Text(name) if by_name => json!({ name: "" }),
                Group::Text(text) => json!({ "pattern": text }),
            };
            (metric, steps)
        });
        Ok(shown.collect())
    }
}

/// Bytes per series, the largest first; `query`, `start`, `end`, `limit`, `targetLabels`,
/// `aggregateBy`.
pub(super) async fn volume(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let volume = Volume::of(&asked)?;
    let end_s = volume.span.1 as f64 / 1e9;
    let result: Vec<_> = volume
        .run(&services, None)
        .await?
        .into_iter()
        .map(|(metric, steps)| {
            let bytes: u64 = steps.values().sum();
            json!({"metric": metric, "value": [end_s, bytes.to_string()]})
        })
        .collect();
    Ok(json::success(&json!({
        "resultType": "vector", "result": result, "stats": {},
    })))
}

/// The same per step.
pub(super) async fn volume_range(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let volume = Volume::of(&asked)?;
    let step_ns = checked_step(&asked, volume.span)?;
    let result: Vec<_> = volume
        .run(&services, Some(step_ns))
        .await?
        .into_iter()
        .map(|(metric, steps)| {
            let values: Vec<_> = steps
                .iter()
                .map(|(step, bytes)| json!([step_s(*step, step_ns), bytes.to_string()]))
                .collect();
            json!({"metric": metric, "values": values})
        })
        .collect();
    Ok(json::success(&json!({
        "resultType": "matrix", "result": result, "stats": {},
    })))
}

/// The begin of a step in seconds.
fn step_s(step: i64, step_ns: i64) -> f64 {
    step.saturating_mul(step_ns) as f64 / 1e9
}

fn checked_step(asked: &Asked, span: (i64, i64)) -> Result<i64, Refusal> {
    let step_ns = asked.step_ns(span.0, span.1)?;
    if span.1.saturating_sub(span.0) / step_ns > STEPS_MAX {
        return Err(Refusal::bad(format!(
            "exceeded maximum resolution of {STEPS_MAX} points per time series. Try increasing \
             the value of the step parameter"
        )));
    }
    Ok(step_ns)
}

/// Shapes of lines with counts over time; `query` with line filters, `start`, `end`, `step`.
pub(super) async fn patterns(
    State(services): State<Arc<Services>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let span = asked.span_ns()?;
    let Expr::Log(log) = logql::parse(asked.text("query"))? else {
        return Err(Refusal::bad(
            "patterns are those of lines: write a log query",
        ));
    };
    let plan = LogPlan::new(&log)?;
    if !plan.is_pushed_down() {
        return Err(Refusal::bad(
            "patterns take a selector and line filters, no other stages",
        ));
    }
    let step_ns = checked_step(&asked, span)?;
    let pass = Pass::new(plan.query(), span, Counting::Patterns, Some(step_ns));
    let (count, _) = pass.run(&services).await?;
    let mut found: Vec<_> = count.groups.into_iter().collect();
    let total = |steps: &BTreeMap<i64, u64>| steps.values().sum::<u64>();
    found.sort_by(|a, b| total(&b.1).cmp(&total(&a.1)).then_with(|| a.0.cmp(&b.0)));
    found.truncate(PATTERNS_MAX);
    let data: Vec<_> = found
        .into_iter()
        .filter_map(|(group, steps)| match group {
            Group::Text(pattern) => {
                let samples: Vec<_> = steps
                    .iter()
                    .map(|(step, n)| json!([step.saturating_mul(step_ns) / 1_000_000_000, n]))
                    .collect();
                let pattern = pattern.replace(PLACEHOLDER, LOKI_PLACEHOLDER);
                Some(json!({"pattern": pattern, "samples": samples}))
            }
            Group::Labels(_) => None,
        })
        .collect();
    Ok(json::success(&json!(data)))
}
