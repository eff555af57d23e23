//! `/federate`: the newest sample of each series that a selector of `match[]` finds, as text
//! format 0.0.4 with timestamps, so that another Prometheus can scrape a part of this one.
//!
//! As Prometheus does it: each family is `untyped`, a series without the label `instance` gets an
//! empty one (so that `honor_labels` does not give it the federation's), and what has ended by a
//! stale marker is left out. Native histograms have no text form and are left out, which a comment
//! line tells.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::{
    Labels, Matcher, Samples, Selection, SeriesReader, StoreError, is_histogram, is_stale,
};

use super::Form;
use crate::api::error::ApiError;
use crate::{Services, ask};

/// Most series of one answer.
const SERIES_MAX: usize = 500_000;

/// `match[]` (any number; without one there is nothing to tell).
pub(super) async fn federate(
    State(services): State<Arc<Services>>,
    form: Form,
) -> Result<Response, ApiError> {
    let selectors = form.selectors()?;
    let text = ask::blocking(&services, move |services| {
        let lookback_ms = services.engine.options().lookback_ms;
        let now_ms = model::time::now_ms();
        let newest = newest(&*services.series, &selectors, now_ms, lookback_ms)?;
        Ok::<_, StoreError>(exposition(&newest))
    })
    .await??;
    let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// By labels: time in milliseconds and value.
type Newest = BTreeMap<Labels, (i64, f64)>;

fn newest(
    reader: &dyn SeriesReader,
    selectors: &[Vec<Matcher>],
    now_ms: i64,
    lookback_ms: i64,
) -> Result<Newest, StoreError> {
    let mut newest = Newest::new();
    for matchers in selectors {
        let cursors = reader.select(&Selection {
            matchers: matchers.clone(),
            start_ms: now_ms - lookback_ms,
            end_ms: now_ms,
            series_max: SERIES_MAX,
            cursors_max: 1,
        })?;
        for mut cursor in cursors {
            let mut samples = Samples::default();
            while let Some(labels) = cursor.next_series(&mut samples)? {
                let last = samples.timestamps_ms.last().zip(samples.values.last());
                if let Some((time_ms, value)) = last
                    && !is_stale(*value)
                {
                    newest.insert(labels, (*time_ms, *value));
                }
            }
        }
    }
    Ok(newest)
}

fn exposition(newest: &Newest) -> String {
    // Labels are ordered by all of their labels; families must stand together.
    let mut families: BTreeMap<&str, Vec<(&Labels, i64, f64)>> = BTreeMap::new();
    let mut histograms = 0;
    for (labels, (time_ms, value)) in newest {
        if is_histogram(*value) {
            histograms += 1;
        } else if let Some(name) = labels.metric_name() {
            let family = families.entry(name).or_default();
            family.push((labels, *time_ms, *value));
        }
    }
    let mut out = String::new();
    for (name, all) in families {
        let name_text = if is_plain_name(name) {
            name.to_owned()
        } else {
            quoted(name)
        };
        // A String takes everything: writing to it cannot fail.
        let _ = writeln!(out, "# TYPE {name_text} untyped");
        for (labels, time_ms, value) in all {
            series(&mut out, name, labels);
            let _ = writeln!(out, " {} {time_ms}", number(value));
        }
    }
    if histograms > 0 {
        let _ = writeln!(
            out,
            "# {histograms} native histograms are left out: they have no text form"
        );
    }
    out
}

fn series(out: &mut String, name: &str, labels: &Labels) {
    let mut parts = Vec::new();
    if is_plain_name(name) {
        out.push_str(name);
    } else {
        parts.push(quoted(name));
    }
    let mut instance = false;
    for label in labels.iter().filter(|l| *l.name != *model::METRIC_NAME) {
        instance |= &*label.name == "instance";
        let key = if is_plain_label(&label.name) {
            label.name.to_string()
        } else {
            quoted(&label.name)
        };
        parts.push(format!("{key}={}", quoted(&label.value)));
    }
    if !instance {
        parts.push("instance=\"\"".to_owned());
    }
    let _ = write!(out, "{{{}}}", parts.join(","));
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_plain_label(name: &str) -> bool {
    is_plain_name(name) && !name.contains(':')
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn number(value: f64) -> String {
    let mut out = Vec::new();
    super::json::write_value(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stand_together_and_odd_names_are_quoted() {
        let mut newest = Newest::new();
        let mut put = |pairs: &[(&str, &str)], value: f64| {
            newest.insert(Labels::from_pairs(pairs.iter().copied()), (1_500, value));
        };
        put(&[("__name__", "up"), ("a", "1"), ("instance", "x")], 1.0);
        put(&[("__name__", "up"), ("z", "q\"\\\n")], f64::INFINITY);
        put(&[("__name__", "my.metric"), ("my.label", "v")], 0.5);
        put(&[("__name__", "h")], model::histogram_nan());
        let expected = concat!(
            "# TYPE \"my.metric\" untyped\n",
            "{\"my.metric\",\"my.label\"=\"v\",instance=\"\"} 0.5 1500\n",
            "# TYPE up untyped\n",
            "up{a=\"1\",instance=\"x\"} 1 1500\n",
            "up{z=\"q\\\"\\\\\\n\",instance=\"\"} +Inf 1500\n",
            "# 1 native histograms are left out: they have no text form\n",
        );
        assert_eq!(exposition(&newest), expected);
    }
}
