//! Fills in the labels and annotations of one result of a rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, LabelsBuilder, METRIC_NAME};
use promql::{Point, Value as Answered};
use template::{Env, Sample, Value};

use crate::query::RuleQuery;
use crate::spec::Text;

/// What all templates of an evaluation share.
pub(crate) struct Expander<'a> {
    /// Answers `query`.
    pub(crate) query: &'a dyn RuleQuery,
    /// The time at which `query` and `now` are answered.
    pub(crate) time_ms: i64,
    pub(crate) external_labels: &'a Labels,
    pub(crate) external_url: &'a str,
}

/// Texts that are set on a label set: text by name, templates filled in.
type Texts = [(Arc<str>, Text)];

impl Expander<'_> {
    /// The labels of an alert: those of the sample without its name, those of the rule, and
    /// `alertname`. Its annotations.
    pub(crate) fn alert(
        &self,
        name: &Arc<str>,
        labels: &Texts,
        annotations: &Texts,
        point: &Point,
    ) -> (Labels, Labels) {
        let filled = Filled::new(self, point);
        let mut builder = point.labels.to_builder();
        builder.remove(METRIC_NAME);
        filled.set(labels, &mut builder);
        builder.set("alertname", name.clone());
        let mut texts = LabelsBuilder::default();
        filled.set(annotations, &mut texts);
        (builder.build(), texts.build())
    }

    /// The annotations of an alert of which only the labels are known: it is over, and its value
    /// is gone with it.
    pub(crate) fn texts_of_ended(&self, annotations: &Texts, labels: &Labels) -> Labels {
        let point = Point {
            labels: labels.filtered(|name| name != "alertname"),
            timestamp_ms: self.time_ms,
            value: f64::NAN,
            histogram: None,
        };
        let mut texts = LabelsBuilder::default();
        Filled::new(self, &point).set(annotations, &mut texts);
        texts.build()
    }

    fn answer(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let answer = self
            .query
            .instant(expression, self.time_ms)
            .map_err(|error| error.to_string())?;
        match answer.value {
            Answered::Vector(points) => Ok(points
                .into_iter()
                .map(|point| Sample {
                    labels: point.labels,
                    value: point.value,
                })
                .collect()),
            Answered::Scalar { value, .. } => Ok(vec![Sample {
                labels: Labels::empty(),
                value,
            }]),
            // Prometheus hands a text on as a label that only `strvalue` knows.
            Answered::String { value, .. } => Ok(vec![Sample {
                labels: Labels::from_pairs([("__value__", value.as_str())]),
                value: 0.0,
            }]),
            Answered::Matrix(_) => Err("query result is not a vector or scalar".to_owned()),
        }
    }
}

/// The labels of a recorded series: those of the sample, those of the rule (no templates in a
/// recording rule, as in Prometheus), and the new name.
pub(crate) fn recorded(name: &Arc<str>, labels: &Texts, point: &Point) -> Labels {
    let mut builder = point.labels.to_builder();
    for (key, text) in labels {
        builder.set(key.clone(), text.source.clone());
    }
    builder.set(METRIC_NAME, name.clone());
    builder.build()
}

/// The data of one result, as templates see it.
struct Filled<'a> {
    expander: &'a Expander<'a>,
    dot: Value,
    variables: [Value; 4],
}

impl<'a> Filled<'a> {
    fn new(expander: &'a Expander<'a>, point: &Point) -> Self {
        let variables = [
            Value::Labels(point.labels.clone()),
            Value::Labels(expander.external_labels.clone()),
            Value::str(expander.external_url),
            Value::Float(point.value),
        ];
        let dot: BTreeMap<Arc<str>, Value> = ["Labels", "ExternalLabels", "ExternalURL", "Value"]
            .map(Arc::from)
            .into_iter()
            .zip(variables.iter().cloned())
            .collect();
        Self {
            expander,
            dot: Value::Map(Arc::new(dot)),
            variables,
        }
    }

    fn set(&self, texts: &Texts, builder: &mut LabelsBuilder) {
        for (key, text) in texts {
            if text.template.is_constant() {
                builder.set(key.clone(), text.source.clone());
            } else {
                builder.set(key.clone(), self.text(text));
            }
        }
    }

    /// A text filled in; an error becomes the text, for an alert without its words is better than
    /// none.
    fn text(&self, text: &Text) -> String {
        let env = Env {
            now_ms: self.expander.time_ms,
            external_url: self.expander.external_url,
            query: &|expression| self.expander.answer(expression),
            more: &[],
        };
        text.template
            .render(&self.dot, &self.variables, &env)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}
