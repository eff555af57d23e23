//! The data of a line chart as the page carries it, and its drawing for those without script.
//!
//! The page embeds the columns as JSON; the script draws them with uPlot in the place of the SVG.
//! Both take their colours from the palette of the style sheet by number.

mod drawing;
pub(crate) mod heat;

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use model::{Label, Labels, METRIC_NAME};
use promql::RangeSeries;
use serde::Serialize;

use self::drawing::Drawing;
pub(crate) use self::drawing::ticks;
use crate::ask::Steps;
use crate::humanize;

/// Colours of the palette.
const COLORS: usize = 8;

/// Dash patterns: solid, 6-3, 2-2; beyond them series are grey.
const DASHES: usize = 3;

/// Significant digits that leave the process: more than any screen shows.
const DIGITS: i32 = 5;

/// A chart over time.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) steps: Steps,
    pub(crate) series: Vec<Line>,
    /// Labels that all series have in common.
    pub(crate) common: Vec<Label>,
    /// Whether the series stand on each other instead of beside each other.
    pub(crate) stacked: bool,
}

/// One series of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What tells it from the others.
    pub(crate) labels: Vec<Label>,
    /// Number in the palette.
    pub(crate) color: usize,
    /// Number of the dash pattern; `DASHES` for grey.
    pub(crate) dash: usize,
    /// One value per step, `NaN` for a gap.
    pub(crate) values: Vec<f64>,
    /// The last value that is there.
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

impl Line {
    /// Its labels in one breath; `value` where it has none.
    pub(crate) fn name(&self) -> String {
        let parts: Vec<String> = self
            .labels
            .iter()
            .map(|label| format!("{}={}", label.name, label.value))
            .collect();
        if parts.is_empty() {
            "value".to_owned()
        } else {
            parts.join(" ")
        }
    }

    /// Classes of its drawing.
    pub(crate) fn class(&self) -> String {
        if self.dash >= DASHES {
            "rest".to_owned()
        } else {
            format!("c{} d{}", self.color, self.dash)
        }
    }
}

/// What the script gets.
#[derive(Serialize)]
struct Columns {
    start: f64,
    step: f64,
    count: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stacked: bool,
    series: Vec<Column>,
}

#[derive(Serialize)]
struct Column {
    name: String,
    color: usize,
    dash: usize,
    values: Vec<Option<f64>>,
}

impl Chart {
    /// Lays out series over steps. Those that stand highest at the end come first.
    pub(crate) fn new(steps: Steps, series: &[RangeSeries]) -> Self {
        let common = common_labels(series);
        let paint = paints(series);
        let mut lines: Vec<Line> = series
            .iter()
            .zip(paint)
            .map(|(series, (color, dash))| {
                let values = steps.column(&series.samples);
                let there = || values.iter().copied().filter(|value| value.is_finite());
                let (sum, count) =
                    there().fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
                Line {
                    labels: own_labels(&series.labels, &common),
                    color,
                    dash,
                    last: there().next_back().unwrap_or(f64::NAN),
                    min: there().fold(f64::NAN, f64::min),
                    max: there().fold(f64::NAN, f64::max),
                    mean: sum / f64::from(count),
                    values,
                }
            })
            .collect();
        lines.sort_by(|a, b| b.last.total_cmp(&a.last));
        Self {
            steps,
            series: lines,
            common,
            stacked: false,
        }
    }

    /// The same with the series on each other, the first at the bottom.
    pub(crate) fn stacked(self) -> Self {
        Self {
            stacked: true,
            ..self
        }
    }

    /// The columns as JSON that may stand in a `<script type="application/json">`.
    pub(crate) fn json(&self) -> Json {
        let columns = Columns {
            start: self.steps.start_ms as f64 / 1000.0,
            step: self.steps.step_ms as f64 / 1000.0,
            count: self.steps.count,
            stacked: self.stacked,
            series: self
                .series
                .iter()
                .map(|line| Column {
                    name: line.name(),
                    color: line.color,
                    dash: line.dash,
                    values: line
                        .values
                        .iter()
                        .map(|v| v.is_finite().then(|| shortened(*v)))
                        .collect(),
                })
                .collect(),
        };
        Json(serde_json::to_string(&columns).unwrap_or_default())
    }

    /// The chart as a drawing.
    pub(crate) fn drawing<'a>(&'a self, zone: &'a TimeZone) -> Drawing<'a> {
        Drawing::new(self, zone)
    }

    /// What the chart shows, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let count = humanize::things(self.series.len() as u64, "series", "series");
        let Some(first) = self.series.first() else {
            return count;
        };
        format!(
            "{count}; the highest at the end is {} with {}, between {} and {}",
            first.name(),
            humanize::value(first.last),
            humanize::value(first.min),
            humanize::value(first.max)
        )
    }
}

/// Labels that all series have, with the same value.
pub(crate) fn common_labels<'a>(series: impl IntoIterator<Item = &'a RangeSeries>) -> Vec<Label> {
    let mut all = series.into_iter().map(|series| &series.labels);
    let Some(first) = all.next() else {
        return Vec::new();
    };
    let mut common: Vec<Label> = first.iter().cloned().collect();
    for labels in all {
        common.retain(|label| labels.get(&label.name) == Some(&label.value));
    }
    common
}

/// A series' labels without those in common; all of them where nothing else is left, and never
/// nothing where there is a name.
fn own_labels(labels: &Labels, common: &[Label]) -> Vec<Label> {
    let own: Vec<Label> = labels
        .iter()
        .filter(|label| !common.contains(label))
        .cloned()
        .collect();
    if !own.is_empty() {
        return own;
    }
    let all = || labels.iter().cloned();
    let named: Vec<Label> = all().filter(|label| &*label.name != METRIC_NAME).collect();
    if named.is_empty() {
        all().collect()
    } else {
        named
    }
}

/// A colour and a dash for each series. The colour comes from the labels, so that a pod has the
/// same one everywhere, unless another series of the chart has it already.
fn paints(series: &[RangeSeries]) -> Vec<(usize, usize)> {
    let mut taken = [[false; COLORS]; DASHES];
    series
        .iter()
        .map(|series| {
            let wanted = (series.labels.fingerprint() % COLORS as u64) as usize;
            for (dash, row) in taken.iter_mut().enumerate() {
                for shift in 0..COLORS {
                    let color = (wanted + shift) % COLORS;
                    if !row[color] {
                        row[color] = true;
                        return (color, dash);
                    }
                }
            }
            (0, DASHES)
        })
        .collect()
}

/// A value with the digits that a screen can show.
fn shortened(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powi(DIGITS - 1 - value.abs().log10().floor() as i32);
    let short = (value * scale).round() / scale;
    if short.is_finite() { short } else { value }
}

/// JSON within HTML: what could end the element or begin another is escaped.
pub(crate) struct Json(String);

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['<', '>', '&']) {
            match part.strip_suffix(['<', '>', '&']) {
                Some(plain) => {
                    let last = part.as_bytes().last().copied().unwrap_or_default();
                    write!(f, "{plain}\\u{last:04x}")?;
                }
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

impl HtmlSafe for Json {}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Samples;

    const STEPS: Steps = Steps {
        start_ms: 0,
        step_ms: 1000,
        count: 3,
    };

    fn series(pairs: &[(&str, &str)], values: &[f64]) -> RangeSeries {
        RangeSeries {
            labels: Labels::from_pairs(pairs.iter().copied()),
            samples: Samples {
                timestamps_ms: (0..values.len() as i64).map(|i| i * 1000).collect(),
                values: values.to_vec(),
                ..Samples::default()
            },
        }
    }

    #[test]
    fn series_are_named_by_what_tells_them_apart() {
        let chart = Chart::new(
            STEPS,
            &[
                series(
                    &[("__name__", "up"), ("job", "a"), ("instance", "x")],
                    &[1.0],
                ),
                series(
                    &[("__name__", "up"), ("job", "a"), ("instance", "y")],
                    &[2.0, 3.0],
                ),
            ],
        );
        let names: Vec<String> = chart.series.iter().map(Line::name).collect();
        assert_eq!(
            names,
            ["instance=y", "instance=x"],
            "the highest at the end first"
        );
        assert_eq!(chart.common.len(), 2);
        let first = chart.series.first().expect("a line");
        assert_eq!(
            (first.last, first.min, first.max, first.mean),
            (3.0, 2.0, 3.0, 2.5)
        );
        let lone = Chart::new(STEPS, &[series(&[], &[1.0])]);
        assert_eq!(
            lone.series.first().map(Line::name).as_deref(),
            Some("value")
        );
    }

    #[test]
    fn colours_are_used_up_before_dashes_and_then_grey() {
        let many: Vec<RangeSeries> = (0..30)
            .map(|i| series(&[("i", &i.to_string())], &[1.0]))
            .collect();
        let paints = paints(&many);
        for dash in 0..DASHES {
            let mut colors: Vec<usize> = paints
                .iter()
                .filter(|(_, d)| *d == dash)
                .map(|(c, _)| *c)
                .collect();
            colors.sort_unstable();
            assert_eq!(colors, (0..COLORS).collect::<Vec<_>>());
        }
        assert_eq!(paints.iter().filter(|(_, dash)| *dash == DASHES).count(), 6);
    }

    #[test]
    fn json_cannot_leave_its_element() {
        let hostile = "</script><script>alert(1)</script>&amp;";
        let chart = Chart::new(
            STEPS,
            &[
                series(&[("a", hostile)], &[1.234_567_89, f64::INFINITY]),
                series(&[("a", "b")], &[0.0]),
            ],
        );
        let json = chart.json().to_string();
        assert!(!json.contains(['<', '>', '&']));
        let read: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
        let lines = read["series"].as_array().expect("an array");
        let line = lines
            .iter()
            .find(|line| line["name"] != "a=b")
            .expect("the hostile one");
        assert_eq!(line["name"], format!("a={hostile}"));
        assert_eq!(line["values"], serde_json::json!([1.2346, null, null]));
    }

    #[test]
    fn drawings_have_gaps_and_no_nonsense() {
        let chart = Chart::new(STEPS, &[series(&[], &[1.0, f64::NAN, 3.0])]);
        let svg = chart.drawing(&TimeZone::UTC).to_string();
        assert!(
            svg.contains("d=\"M0 ") && svg.matches('M').count() == 2,
            "{svg}"
        );
        for (min, max) in [(0.0, 0.0), (5.0, 5.0), (-1e300, 1e300), (f64::NAN, 1.0)] {
            let chart = Chart::new(STEPS, &[series(&[], &[min, max])]);
            let svg = chart.drawing(&TimeZone::UTC).to_string();
            assert!(
                !svg.contains("NaN") && !svg.contains("inf"),
                "{min} {max}: {svg}"
            );
        }
        let lines = [&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 1.0]].map(|values| series(&[], values));
        let svg = Chart::new(STEPS, &lines).stacked();
        let svg = svg.drawing(&TimeZone::UTC).to_string();
        assert!(svg.contains("<path class=\"area c") && !svg.contains("NaN"));
    }
}
