//! `info(v, {…})`: adds labels of info metrics (`target_info` and its like) to the series of the
//! same instance and job.
//!
//! 1. The second argument says which info metrics (by `__name__`, otherwise `target_info`), which
//!    of their labels are wanted, and what these must be like.
//! 2. Of several info series of one name for one instance and job, that with the newest sample
//!    counts at each step.
//! 3. A series gets the wanted labels that it does not have. Without any info series it stays as
//!    it is if all conditions would hold for empty labels, and is left out otherwise.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME, MatchOp, Matcher};
use rustc_hash::FxHashMap;

use super::Args;
use crate::column::{Column, Series, Slot, Vector};
use crate::grid::Grid;
use crate::leaf::{Leaf, Source};
use crate::query::{Query, execution};
use crate::syntax::{Expr, Extent, Node, Selector};
use crate::value::QueryError;

/// The labels by which info series and others find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info metric where none is named.
const TARGET_INFO: &str = "target_info";

/// The info metrics where it is only said which ones are not meant.
const ANY_INFO: &str = ".+_info";

/// What is asked of info metrics.
struct Asked {
    /// Conditions on their names.
    names: Vec<Matcher>,
    /// Conditions on the labels that are wanted; none means all labels, without conditions.
    data: Vec<Matcher>,
}

/// The series of the first argument with the labels that info metrics know of them.
pub(super) fn info(query: &Query<'_>, args: &Args<'_>, grid: &Grid) -> Result<Vector, QueryError> {
    let base = args.expr_of(0)?;
    let vector = query.vector(base, grid)?;
    let asked = asked(args)?;
    let named = |labels: &Labels| {
        let name = labels.metric_name().unwrap_or_default();
        asked.names.iter().all(|matcher| matcher.matches(name))
    };
    // Info metrics themselves are not enriched.
    let enriched: Vec<&Labels> = vector
        .series
        .iter()
        .map(|series| &series.labels)
        .filter(|labels| !named(labels))
        .collect();
    let infos = info_series(query, base, &asked, &enriched, grid)?;
    let mut by_identity: FxHashMap<Labels, Vec<usize>> = FxHashMap::default();
    for (index, info) in infos.iter().enumerate() {
        let identity = identity(&info.labels);
        by_identity.entry(identity).or_default().push(index);
    }
    let mut result = Vector {
        series: Vec::new(),
        ordered: false,
        lease: query.hold(0, 0)?,
    };
    for series in vector.series {
        if named(&series.labels) {
            result.lease.grow(1, series.column.slots())?;
            result.series.push(series);
            continue;
        }
        let candidates = by_identity.get(&identity(&series.labels));
        let candidates: Vec<&Series> = candidates
            .into_iter()
            .flatten()
            .filter_map(|index| infos.get(*index))
            .collect();
        enrich(&asked, &series, &candidates, args.expr.place, &mut result)?;
    }
    result.merge_same_labels()?;
    Ok(result)
}

/// Reads the second argument.
fn asked(args: &Args<'_>) -> Result<Asked, QueryError> {
    let matchers = match args.args.get(1).map(|arg| (&arg.node, arg.place)) {
        None => Vec::new(),
        Some((Node::Selector(selector), _)) => selector.matchers.clone(),
        Some((_, place)) => {
            return Err(execution(
                "info takes a label selector such as {version=~\".+\"} as its second argument",
                place,
            ));
        }
    };
    let (mut names, data): (Vec<Matcher>, Vec<Matcher>) = matchers
        .into_iter()
        .partition(|matcher| &*matcher.name == METRIC_NAME);
    if names.is_empty() {
        names.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
    } else if !names
        .iter()
        .any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex))
    {
        // Only what is not meant was said.
        let any = Matcher::new(METRIC_NAME, MatchOp::Regex, ANY_INFO);
        names.push(any.map_err(|error| execution(error.to_string(), args.expr.place))?);
    }
    Ok(Asked { names, data })
}

/// The labels by which a series finds its info series.
fn identity(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

/// The info series that could matter, with the times of their samples as values.
fn info_series(
    query: &Query<'_>,
    base: &Expr,
    asked: &Asked,
    enriched: &[&Labels],
    grid: &Grid,
) -> Result<Vec<Series>, QueryError> {
    let mut matchers = asked.names.clone();
    matchers.extend(asked.data.iter().cloned());
    let mut is_any = false;
    for name in IDENTIFYING {
        let mut values: Vec<&str> = enriched.iter().filter_map(|l| l.get(name)).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            continue;
        }
        is_any = true;
        let escaped: Vec<String> = values.iter().map(|v| regex::escape(v)).collect();
        let matcher = Matcher::new(name, MatchOp::Regex, escaped.join("|").as_str());
        matchers.push(matcher.map_err(|error| execution(error.to_string(), base.place))?);
    }
    if !is_any {
        return Ok(Vec::new());
    }
    // Looked at when the series themselves are.
    let first = base.selectors().first().copied();
    let selector = Selector {
        matchers,
        is_named: false,
        offset: first.map(|s| s.offset.clone()).unwrap_or_default(),
        at: first.and_then(|s| s.at),
        extent: Extent::Plain,
    };
    let mut times = Leaf::new(&selector, Source::Timestamp).collect(query, grid)?;
    let values = Leaf::new(&selector, Source::Value).collect(query, grid)?;
    if let Some(series) = values
        .series
        .iter()
        .find(|s| !s.column.histograms.is_empty())
    {
        return Err(execution(
            format!(
                "this should be an info metric, with float samples: {}",
                series.labels
            ),
            base.place,
        ));
    }
    Ok(std::mem::take(&mut times.series))
}

/// Adds a series with the labels of its info series, which may change from step to step.
fn enrich(
    asked: &Asked,
    series: &Series,
    candidates: &[&Series],
    place: Option<usize>,
    result: &mut Vector,
) -> Result<(), QueryError> {
    let keeps_bare = asked.data.iter().all(|matcher| matcher.matches(""));
    let steps = series.column.values.len();
    let mut by_labels: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut last: Option<(Vec<usize>, Labels)> = None;
    for step in 0..steps {
        let slot = series.column.slot(step);
        if slot == Slot::Absent {
            continue;
        }
        let newest = newest(candidates, step, place)?;
        if newest.is_empty() && !keeps_bare {
            continue;
        }
        let labels = match &last {
            Some((known, labels)) if *known == newest => labels.clone(),
            _ => {
                let chosen: Vec<&Labels> = newest
                    .iter()
                    .filter_map(|index| candidates.get(*index))
                    .map(|info| &info.labels)
                    .collect();
                added(asked, &series.labels, &chosen, place)?
            }
        };
        let next = result.series.len();
        let index = *by_labels.entry(labels.clone()).or_insert(next);
        if index == next {
            result.lease.grow(1, series.column.slots())?;
            result.series.push(Series {
                labels: labels.clone(),
                drops_name: series.drops_name,
                column: Column::absent(steps),
            });
        }
        result.series[index].column.set(step, slot);
        last = Some((newest, labels));
    }
    Ok(())
}

/// The newest info series of each name at a step.
fn newest(
    candidates: &[&Series],
    step: usize,
    place: Option<usize>,
) -> Result<Vec<usize>, QueryError> {
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, info) in candidates.iter().enumerate() {
        if !info.column.is_present(step) {
            continue;
        }
        let name = info.labels.metric_name().unwrap_or_default();
        let time = |index: usize| candidates[index].column.values[step];
        match newest.get(name) {
            Some(other) if time(*other) > time(index) => {}
            Some(other) if time(*other) == time(index) => {
                return Err(execution(
                    format!(
                        "found duplicate series for info metric: existing {}, new {}",
                        candidates[*other].labels, info.labels
                    ),
                    place,
                ));
            }
            _ => {
                newest.insert(name, index);
            }
        }
    }
    Ok(newest.into_values().collect())
}

/// The labels of a series with those of its info series.
fn added(
    asked: &Asked,
    base: &Labels,
    infos: &[&Labels],
    place: Option<usize>,
) -> Result<Labels, QueryError> {
    let mut more: BTreeMap<&str, &str> = BTreeMap::new();
    for label in infos.iter().flat_map(|labels| labels.iter()) {
        let name = &*label.name;
        let is_wanted =
            asked.data.is_empty() || asked.data.iter().any(|matcher| &*matcher.name == name);
        if name == METRIC_NAME || !is_wanted {
            continue;
        }
        if base.get(name).is_some() {
            continue;
        }
        if more
            .insert(name, &label.value)
            .is_some_and(|other| *other != *label.value)
        {
            return Err(execution(format!("conflicting label: {name}"), place));
        }
    }
    let mut builder = base.to_builder();
    for (name, value) in more {
        builder.set(name, value);
    }
    Ok(builder.build())
}
