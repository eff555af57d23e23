//! Why an expression gives nothing: which part of it is the first to be empty, which condition
//! finds no series, and what there is instead.

use model::METRIC_NAME;
use promql::Explained;

use super::explain::{Tree, lost, part};
use crate::Services;
use crate::time_range::TimeRange;

/// Names offered for one that does not exist.
const SIMILAR_MAX: usize = 6;

/// Why an expression gives nothing.
pub(super) struct Nothing {
    /// One for each place where something is lost.
    pub(super) reasons: Vec<Reason>,
    pub(super) tree: Tree,
}

/// A place where something is lost.
pub(super) struct Reason {
    pub(super) sentence: String,
    /// What there is instead, with the expression that asks for it.
    pub(super) instead: Vec<(String, String)>,
}

/// Finds the innermost parts of an expression that give nothing.
pub(super) fn explained(
    services: &Services,
    expression: &str,
    root: Explained,
    range: &TimeRange,
) -> Nothing {
    let names = services
        .series
        .label_values(METRIC_NAME, &[], range.from_ms, range.to_ms)
        .unwrap_or_default();
    let mut reasons = Vec::new();
    walk(expression, &root, &names, &mut reasons);
    if reasons.is_empty() {
        // A series that began after the last point, or was there only between two.
        reasons.push(Reason {
            sentence: "It gives something at the end of the range, but at none of the points of \
                       the graph yet: the table shows it, and so does a shorter range."
                .to_owned(),
            instead: Vec::new(),
        });
    }
    Nothing {
        reasons,
        tree: Tree::new(expression, root),
    }
}

fn walk(expression: &str, node: &Explained, names: &[String], reasons: &mut Vec<Reason>) {
    let before = reasons.len();
    for child in &node.children {
        walk(expression, child, names, reasons);
    }
    if node.series == Some(0) && reasons.len() == before {
        reasons.push(reason(expression, node, names));
    }
}

fn reason(expression: &str, node: &Explained, names: &[String]) -> Reason {
    let text = part(expression, node);
    let Some(missing) = &node.missing else {
        return Reason {
            sentence: format!("{text}: {}", lost(node)),
            instead: Vec::new(),
        };
    };
    let name = (node.part.selector.as_ref()).and_then(|selector| selector.metric_name());
    let name = name.unwrap_or_default();
    if missing.label == METRIC_NAME {
        let similar = similar(name, names);
        let values = if similar.is_empty() {
            missing.values.clone()
        } else {
            similar
        };
        return Reason {
            sentence: format!("There is no metric {name} in this range."),
            instead: instead(expression, text, name, values, str::to_owned),
        };
    }
    let sentence = match missing.condition.as_str() {
        "" => format!("No series of {name} satisfies all conditions together."),
        condition if missing.values.is_empty() => {
            format!(
                "No series of {name} has a label {}: {condition}.",
                missing.label
            )
        }
        condition => format!("No series of {name} satisfies {condition}."),
    };
    let label = &missing.label;
    Reason {
        sentence,
        instead: instead(
            expression,
            text,
            &missing.condition,
            missing.values.clone(),
            |value| format!("{label}={value:?}"),
        ),
    }
}

/// Values that exist, each with the expression that has it in the place of the wrong one. Where
/// that is written otherwise than we would, the value alone is what there is to ask for.
fn instead(
    expression: &str,
    text: &str,
    wrong: &str,
    values: Vec<String>,
    write: impl Fn(&str) -> String,
) -> Vec<(String, String)> {
    values
        .into_iter()
        .take(SIMILAR_MAX)
        .map(|value| {
            let right = write(&value);
            let corrected = if !wrong.is_empty() && text.contains(wrong) {
                expression.replacen(text, &text.replacen(wrong, &right, 1), 1)
            } else {
                String::new()
            };
            (right, corrected)
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

    #[test]
    fn what_exists_takes_the_place_of_what_does_not() {
        let found = instead(
            "sum(up{job=\"nod\"}) / 2",
            "up{job=\"nod\"}",
            "job=\"nod\"",
            vec!["node".to_owned()],
            |value| format!("job={value:?}"),
        );
        assert_eq!(found[0].1, "sum(up{job=\"node\"}) / 2");
        let written_otherwise = instead(
            "up{job='nod'}",
            "up{job='nod'}",
            "job=\"nod\"",
            vec!["node".to_owned()],
            str::to_owned,
        );
        assert_eq!(written_otherwise[0], ("node".to_owned(), String::new()));
    }
}
