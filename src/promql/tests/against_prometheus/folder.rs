//! Expressions of rule files and dashboards of others, and series that they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use model::{Labels, MatchOp, Matcher, stale_nan};
use promql::Engine;
use serde_json::Value;

use crate::data::Data;

/// Variables of dashboards that stand for a time; all others stand for a value.
const DURATIONS: [(&str, &str); 5] = [
    ("$__rate_interval", "4m"),
    ("$__interval", "2m"),
    ("$__range", "30m"),
    ("$interval", "3m"),
    ("$resolution", "1m"),
];

/// What a variable of a dashboard is set to.
const VALUE: &str = "one";

/// Expressions under `expr` in the YAML and JSON files of a folder and of those within.
pub(crate) fn expressions(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder that can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(expressions(&path));
            continue;
        }
        let name = path.display().to_string();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let read = || std::fs::read_to_string(&path).expect("a text");
        let tree: Value = match ending {
            Some("yaml" | "yml") => yaml::from_str(&read(), &name).expect("YAML"),
            Some("json") => serde_json::from_str(&read()).expect("JSON"),
            _ => continue,
        };
        collect(&tree, &mut found);
    }
    found
}

fn collect(tree: &Value, found: &mut BTreeSet<String>) {
    match tree {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" => {
                        found.insert(without_variables(text));
                    }
                    other => collect(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// `$name`, `${name}`, `${name:format}` and `[[name]]` replaced by a time or a value.
fn without_variables(text: &str) -> String {
    let mut text = text.to_owned();
    for (variable, duration) in DURATIONS {
        text = text.replace(variable, duration);
        text = text.replace(&format!("${{{}}}", &variable[1..]), duration);
    }
    let variable = regex::Regex::new(r"\$\{[^}]*\}|\[\[[^\]]*\]\]|\$[A-Za-z_]\w*").expect("right");
    variable.replace_all(&text, VALUE).into_owned()
}

/// What a made-up series does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    /// Few values, so that conditions of alerts hold now and then.
    Gauge,
    /// No two alike: which of equal series `topk` takes is not defined.
    Distinct,
}

/// Adds series for every selector of the expressions, so that they find something.
pub(crate) fn add_series(data: &mut Data, engine: &Engine, expressions: &BTreeSet<String>) {
    let mut made: BTreeMap<Labels, Kind> = BTreeMap::new();
    for expression in expressions {
        for selector in engine.selectors(expression).unwrap_or_default() {
            for labels in (0..3).filter_map(|copy| labels_for(&selector.matchers, copy)) {
                let name = labels.metric_name().unwrap_or_default();
                let counts = ["_total", "_count", "_sum", "_bucket"];
                let kind = made.entry(labels.clone()).or_insert(Kind::Gauge);
                if counts.iter().any(|ending| name.ends_with(ending)) {
                    *kind = Kind::Counter;
                } else if expression.contains("topk") {
                    *kind = Kind::Distinct;
                }
            }
        }
    }
    for (at, (labels, kind)) in made.into_iter().enumerate() {
        let pairs: Vec<(&str, &str)> = labels.iter().map(|l| (&*l.name, &*l.value)).collect();
        let mut total = 1e4 + at as f64 * 100.0;
        data.add(at as i64, &pairs, |scrape, dice| {
            total += dice.roll(1 + at as u64 % 50) as f64;
            match scrape {
                // Each at another time: it begins anew, is not there, or ends.
                _ if scrape as usize == 300 + at % 100 => total = 0.0,
                200..230 if at % 5 == 0 => return None,
                400 if at % 7 == 0 => return Some(stale_nan()),
                401.. if at % 7 == 0 => return None,
                _ => {}
            }
            let gauge = (dice.roll(4) + at as u64 % 3) as f64 / 2.0;
            Some(match kind {
                Kind::Counter => total,
                Kind::Gauge => gauge,
                Kind::Distinct => gauge + at as f64 / 1e6,
            })
        });
    }
}

/// Labels that satisfy all conditions, if they are easily found.
fn labels_for(matchers: &[Matcher], copy: usize) -> Option<Labels> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for name in [
        "instance",
        "pod",
        "namespace",
        "job",
        "cluster",
        "node",
        "container",
    ] {
        labels.insert(name.to_owned(), VALUE.to_owned());
    }
    labels.insert("pod".to_owned(), format!("{VALUE}{copy}"));
    for matcher in matchers {
        let mut candidates = vec![
            VALUE.to_owned(),
            format!("{VALUE}{copy}"),
            "200".to_owned(),
            "500".to_owned(),
            format!("dm-{copy}"),
            String::new(),
        ];
        // The names within a regular expression, cut at what is special there.
        candidates.extend(matcher.value.split(['|', '(', ')']).map(|part| {
            part.replace(".*", "x")
                .replace(".+", "y")
                .replace(['^', '$', '\\', '?'], "")
        }));
        if matcher.op == MatchOp::Equal {
            candidates = vec![matcher.value.to_string()];
        }
        candidates.retain(|candidate| {
            matchers
                .iter()
                .filter(|m| m.name == matcher.name)
                .all(|m| m.matches(candidate))
        });
        let value = candidates.get(copy % candidates.len().max(1))?;
        labels.insert(matcher.name.to_string(), value.clone());
    }
    let name = labels.get("__name__").filter(|name| !name.is_empty())?;
    if name.ends_with("_bucket") && !matchers.iter().any(|m| &*m.name == "le") {
        labels.insert("le".to_owned(), ["0.1", "1", "+Inf"][copy % 3].to_owned());
    }
    Some(Labels::from_pairs(labels))
}
