//! Rules that can never fire: they need a metric, a label or a value that is not there. Named with
//! the nearest that is.

use model::{METRIC_NAME, MatchOp, Matcher, SeriesReader, StoreError};

/// A name is near enough from this likeness on (0 to 1): a letter or two apart.
const LIKENESS_MIN: f64 = 0.8;

/// The most names or values that are compared to find the nearest.
const COMPARED_MAX: usize = 50_000;

/// Something that an expression needs and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is, in a sentence: ``no metric `node_lod1` ``.
    pub what: String,
    /// The nearest that exists.
    pub nearest: Option<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// What is missing of one selector among the series of a time range; `None` where it selects
/// something.
///
/// # Errors
/// Those of the store.
pub(crate) fn missing(
    reader: &dyn SeriesReader,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
) -> Result<Option<Missing>, StoreError> {
    let exists = |matchers: &[Matcher]| {
        let (found, _) = reader.series(matchers, start_ms, end_ms, 1)?;
        Ok::<_, StoreError>(!found.is_empty())
    };
    if exists(matchers)? {
        return Ok(None);
    }
    let named = matchers
        .iter()
        .find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal);
    let Some(name) = named else {
        return Ok(Some(Missing {
            what: format!("no series has {}", shown(matchers)),
            nearest: None,
        }));
    };
    let metric = std::slice::from_ref(name);
    if !exists(metric)? {
        let names = reader.label_values(METRIC_NAME, &[], start_ms, end_ms)?;
        return Ok(Some(Missing {
            what: format!("no metric `{}`", name.value),
            nearest: nearest(&name.value, &names),
        }));
    }
    // The metric is there: which of the conditions rules everything out?
    for matcher in matchers.iter().filter(|m| &*m.name != METRIC_NAME) {
        if exists(&[name.clone(), matcher.clone()])? {
            continue;
        }
        let labels = reader.label_names(metric, start_ms, end_ms)?;
        if !labels.iter().any(|label| **label == *matcher.name) {
            return Ok(Some(Missing {
                what: format!("`{}` has no label `{}`", name.value, matcher.name),
                nearest: nearest(&matcher.name, &labels),
            }));
        }
        let values = reader.label_values(&matcher.name, metric, start_ms, end_ms)?;
        let near = match matcher.op {
            MatchOp::Equal => nearest(&matcher.value, &values),
            _ => None,
        };
        return Ok(Some(Missing {
            what: format!(
                "no series of `{}` has {}",
                name.value,
                shown(std::slice::from_ref(matcher))
            ),
            nearest: near,
        }));
    }
    Ok(Some(Missing {
        what: format!(
            "no series of `{}` has all of {}",
            name.value,
            shown(matchers)
        ),
        nearest: None,
    }))
}

fn shown(matchers: &[Matcher]) -> String {
    let shown: Vec<String> = matchers
        .iter()
        .filter(|m| &*m.name != METRIC_NAME)
        .map(ToString::to_string)
        .collect();
    format!("`{}`", shown.join(", "))
}

fn nearest(wanted: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .take(COMPARED_MAX)
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use model::Labels;
    use promql::memory::MemoryReader;
    use tokio_util::sync::CancellationToken;

    use crate::{PromqlQuery, RuleQuery};

    #[test]
    fn what_is_missing_is_named_with_the_nearest() {
        let mut reader = MemoryReader::new();
        for job in ["node", "api"] {
            let series = [
                ("__name__", "node_load1"),
                ("job", job),
                ("instance", "a:1"),
            ];
            reader.push(&Labels::from_pairs(series), 1_000, 1.0);
        }
        let query = PromqlQuery::new(
            Arc::default(),
            Arc::new(reader),
            Duration::from_mins(1),
            CancellationToken::new(),
        );
        let check = |expression: &str, expected: &[&str]| {
            let missing = query.missing(expression, 0, 2_000).expect("an answer");
            let shown: Vec<String> = missing.iter().map(ToString::to_string).collect();
            assert_eq!(shown, expected, "{expression}");
        };
        check("node_load1 > 5", &[]);
        check(
            "node_lod1 > 5",
            &["no metric `node_lod1`; did you mean `node_load1`?"],
        );
        check("quite_another_thing", &["no metric `quite_another_thing`"]);
        check(
            r#"node_load1{job="nodes"} > 5"#,
            &[r#"no series of `node_load1` has `job="nodes"`; did you mean `node`?"#],
        );
        check(
            r#"node_load1{instanc="a:1"} > 5"#,
            &["`node_load1` has no label `instanc`; did you mean `instance`?"],
        );
        check("absent(up) or nothing", &[]);
    }
}
