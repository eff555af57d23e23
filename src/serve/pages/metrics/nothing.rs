//! Why an expression gives nothing: which selector finds no series, and what there is instead.

use model::{METRIC_NAME, Matcher};

use crate::Services;
use crate::time_range::TimeRange;

/// Names offered for one that does not exist.
const SIMILAR_MAX: usize = 5;

/// Why an expression gives nothing, for one of its selectors.
pub(super) struct Reason {
    pub(super) sentence: String,
    /// Metrics of a similar name.
    pub(super) similar: Vec<String>,
}

/// Looks at each selector of an expression that gives nothing.
pub(super) fn reasons(services: &Services, expression: &str, range: &TimeRange) -> Vec<Reason> {
    let Ok(expr) = services.engine.parse(expression) else {
        return Vec::new();
    };
    let exists = |matchers: &[Matcher]| {
        let found = services
            .series
            .series(matchers, range.from_ms, range.to_ms, 1);
        found.is_ok_and(|(series, _)| !series.is_empty())
    };
    let names = services
        .series
        .label_values(METRIC_NAME, &[], range.from_ms, range.to_ms)
        .unwrap_or_default();
    expr.selectors()
        .into_iter()
        .filter(|selector| !exists(&selector.matchers))
        .map(|selector| {
            let name = selector.metric_name().unwrap_or_default();
            if !name.is_empty()
                && names
                    .binary_search_by(|other| other.as_str().cmp(name))
                    .is_err()
            {
                let sentence = format!("There is no metric {name} in this range.");
                return Reason {
                    sentence,
                    similar: similar(name, &names),
                };
            }
            // Which condition alone leaves nothing?
            let of_name = |m: &&Matcher| &*m.name == METRIC_NAME;
            let culprit = selector
                .matchers
                .iter()
                .filter(|m| !of_name(m))
                .find(|matcher| {
                    let named = selector.matchers.iter().filter(of_name).cloned();
                    let pair: Vec<Matcher> = named.chain([(*matcher).clone()]).collect();
                    !exists(&pair)
                });
            let sentence = match culprit {
                Some(matcher) => format!("No series of {name} satisfies {matcher}."),
                None => format!("No series of {name} satisfies all conditions together."),
            };
            Reason {
                sentence,
                similar: Vec::new(),
            }
        })
        .collect()
}

/// Metrics whose names have the most in common with one that does not exist: parts between
/// underscores, weighed by their length.
pub(super) fn similar(name: &str, names: &[String]) -> Vec<String> {
    let name = name.to_lowercase();
    let parts: Vec<&str> = name.split('_').filter(|part| part.len() > 1).collect();
    let shared = |other: &str| -> usize {
        let other = other.to_lowercase();
        let found = parts.iter().filter(|part| other.contains(**part));
        found.map(|part| part.len()).sum()
    };
    let mut found: Vec<(usize, &String)> = names
        .iter()
        .map(|other| (shared(other), other))
        .filter(|(length, _)| *length > 0)
        .collect();
    found.sort_by(|a, b| (b.0, a.1.len(), a.1).cmp(&(a.0, b.1.len(), b.1)));
    let similar = found.into_iter().take(SIMILAR_MAX);
    similar.map(|(_, other)| other.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_share_parts() {
        let names = ["node_load1", "node_memory_MemTotal_bytes", "up"].map(str::to_owned);
        assert_eq!(
            similar("node_memory_total_bytes", &names)[0],
            "node_memory_MemTotal_bytes"
        );
        assert!(similar("zzz", &names).is_empty());
    }
}
