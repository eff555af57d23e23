//! The graph of an alert's expression: its value over time, what it is compared with as a line,
//! and bands for when the alert was pending and when it fired. Drawn by the server: the page is
//! opened from a phone more often than from a desk.

use std::fmt::{self, Write as _};
use std::time::Instant;

use alert_evidence::Curve;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::{Labels, METRIC_NAME, Matcher};
use promql::Value;

use crate::chart::ticks;
use crate::html::Escaped;
use crate::{Services, ask, humanize};

/// Lines of a graph; the page says how many there are.
pub(super) const LINES_MAX: usize = 8;

/// A selector of PromQL.
pub(super) fn selector(matchers: &[Matcher]) -> String {
    let all: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", all.join(","))
}

/// Where an alert stood: nothing, pending, firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Band {
    #[default]
    Nothing,
    Pending,
    Firing,
}

impl Band {
    fn class(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Pending => "band pending",
            Self::Firing => "band firing",
        }
    }
}

/// Where an alert stood over time, from the series that its rule writes. A slot shows the worst of
/// its time.
pub(super) fn bands(
    services: &Services,
    labels: &Labels,
    start_ms: i64,
    step_ms: i64,
    count: usize,
) -> Vec<Band> {
    let mut bands = vec![Band::Nothing; count];
    let mut matchers = vec![Matcher::equal(METRIC_NAME, "ALERTS")];
    let own = labels.iter();
    matchers.extend(own.map(|l| Matcher::equal(l.name.clone(), l.value.clone())));
    let window_s = (step_ms / 1_000).max(1);
    let asked = format!("max_over_time({}[{window_s}s])", selector(&matchers));
    let steps = ask::Steps {
        start_ms,
        step_ms,
        count,
    };
    let deadline = Instant::now() + services.query_timeout;
    let answer = ask::range(services, &asked, steps, deadline);
    let Ok(Value::Matrix(found)) = answer.map(|answer| answer.value) else {
        return bands;
    };
    for series in found {
        // Another alert may have the same labels and more.
        if series
            .labels
            .filtered(|name| name != "alertstate" && name != METRIC_NAME)
            != *labels
        {
            continue;
        }
        let band = match series.labels.get("alertstate") {
            Some("firing") => Band::Firing,
            _ => Band::Pending,
        };
        for time in &series.samples.timestamps_ms {
            let slot = usize::try_from((time - start_ms) / step_ms);
            if let Some(cell) = slot.ok().and_then(|slot| bands.get_mut(slot)) {
                *cell = band.max(*cell);
            }
        }
    }
    bands
}

/// Runs of equal bands: from slot, length.
fn runs(bands: &[Band]) -> Vec<(usize, usize, Band)> {
    let mut runs: Vec<(usize, usize, Band)> = Vec::new();
    for (slot, band) in bands.iter().enumerate() {
        match runs.last_mut() {
            Some((_, length, last)) if last == band => *length += 1,
            _ => runs.push((slot, 1, *band)),
        }
    }
    runs.retain(|(_, _, band)| *band != Band::Nothing);
    runs
}

/// A graph.
pub(super) struct Graph {
    pub(super) start_ms: i64,
    pub(super) step_ms: i64,
    /// One value per slot and line.
    pub(super) lines: Vec<Vec<Option<f64>>>,
    pub(super) bands: Vec<Band>,
    pub(super) threshold: Option<(String, f64)>,
    pub(super) zone: TimeZone,
    /// What it shows, for those who do not see it.
    pub(super) label: String,
}

impl Graph {
    /// Of one alert's curve.
    pub(super) fn of(curve: &Curve, bands: Vec<Band>, zone: TimeZone) -> Self {
        let there: Vec<f64> = curve.values.iter().flatten().copied().collect();
        let mut label = match there.last() {
            Some(last) => format!(
                "the value ends at {}, between {} and {}",
                humanize::value(*last),
                humanize::value(there.iter().copied().fold(f64::INFINITY, f64::min)),
                humanize::value(there.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            ),
            None => "no value".to_owned(),
        };
        if let Some((operator, value)) = &curve.threshold {
            let _ = write!(
                label,
                "; the alert is for {operator} {}",
                humanize::value(*value)
            );
        }
        Self {
            start_ms: curve.start_ms,
            step_ms: curve.step_ms,
            lines: vec![curve.values.clone()],
            bands,
            threshold: curve.threshold.clone(),
            zone,
            label,
        }
    }

    /// Lowest and highest value of the axis, the threshold included.
    fn bounds(&self) -> (f64, f64) {
        let values = self.lines.iter().flatten().flatten().copied();
        let all = values.chain(self.threshold.iter().map(|(_, value)| *value));
        let (min, max) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
            (min.min(value), max.max(value))
        });
        match () {
            () if min > max => (0.0, 1.0),
            () if min >= 0.0 && min < max / 2.0 => (0.0, max * 1.06),
            () if max <= 0.0 && max > min / 2.0 => (min * 1.06, 0.0),
            () => {
                let margin = if max > min {
                    max - min
                } else {
                    max.abs().max(1.0)
                } * 0.08;
                (min - margin, max + margin)
            }
        }
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Height of the lines in their own units.
        const HEIGHT: f64 = 100.0;
        /// Parts of the whole, in percent: below the lines stand the times.
        const BELOW: f64 = 11.0;
        let (min, max) = self.bounds();
        let part = |value: f64| ((value - min) / (max - min)).clamp(0.0, 1.0);
        let percent = |value: f64| 2.0 + (1.0 - part(value)) * (98.0 - BELOW);
        write!(
            f,
            r#"<svg class="drawing" role="img" aria-label="{}">"#,
            Escaped(&self.label)
        )?;
        let slots = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = slots.max(2) - 1;
        write!(
            f,
            r#"<svg x="0" y="2%" width="100%" height="{}%" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none">"#,
            98.0 - BELOW
        )?;
        for (from, length, band) in runs(&self.bands) {
            write!(
                f,
                r#"<rect class="{}" x="{from}" y="0" width="{length}" height="{HEIGHT}"/>"#,
                band.class()
            )?;
        }
        f.write_str("</svg>")?;
        for tick in ticks(min, max, 4.0) {
            let y = percent(tick);
            write!(
                f,
                r#"<line class="grid" x1="0" x2="100%" y1="{y:.2}%" y2="{y:.2}%"/><text x="2" y="{y:.2}%" dy="-3">{}</text>"#,
                humanize::value(tick)
            )?;
        }
        let end_ms = self.start_ms + self.step_ms * width as i64;
        let form = match end_ms - self.start_ms {
            span if span > 2 * 86_400_000 => "%b %-d",
            _ => "%H:%M",
        };
        for i in 1..5 {
            let time_ms = self.start_ms + (end_ms - self.start_ms) * i / 5;
            let text = Timestamp::from_millisecond(time_ms).map(|time| {
                let local = time.to_zoned_datetime(self.zone.clone());
                local.strftime(form).to_string()
            });
            write!(
                f,
                r#"<text x="{}%" y="99%" text-anchor="middle">{}</text>"#,
                i * 20,
                text.unwrap_or_default()
            )?;
        }
        write!(
            f,
            r#"<svg x="0" y="2%" width="100%" height="{}%" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none">"#,
            98.0 - BELOW
        )?;
        for (number, line) in self.lines.iter().enumerate() {
            let mut path = String::new();
            let mut pen = 'M';
            for (x, value) in line.iter().enumerate() {
                let Some(value) = value.filter(|value| value.is_finite()) else {
                    pen = 'M';
                    continue;
                };
                let _ = write!(path, "{pen}{x} {:.2}", (1.0 - part(value)) * HEIGHT);
                // A lone point has no length; it is drawn one step wide.
                if pen == 'M' && line.get(x + 1).copied().flatten().is_none() {
                    path.push_str("h1");
                }
                pen = 'L';
            }
            write!(
                f,
                r#"<path class="c{} d0" d="{path}"/>"#,
                number % LINES_MAX
            )?;
        }
        f.write_str("</svg>")?;
        if let Some((operator, value)) = &self.threshold {
            let y = percent(*value);
            write!(
                f,
                r#"<line class="limit" x1="0" x2="100%" y1="{y:.2}%" y2="{y:.2}%"/><text class="limit" x="99.5%" y="{y:.2}%" dy="-4" text-anchor="end">{} {}</text>"#,
                Escaped(operator),
                humanize::value(*value)
            )?;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Graph {}

/// A strip of bands.
pub(super) struct Strip {
    pub(super) bands: Vec<Band>,
    pub(super) label: String,
}

impl fmt::Display for Strip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"<svg class="strip" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">"#,
            self.bands.len().max(1),
            Escaped(&self.label)
        )?;
        for (from, length, band) in runs(&self.bands) {
            write!(
                f,
                r#"<rect class="{}" x="{from}" y="0" width="{length}" height="10"/>"#,
                band.class()
            )?;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Strip {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_become_runs_and_the_threshold_is_within_the_picture() {
        use Band::{Firing, Nothing, Pending};
        assert_eq!(
            runs(&[Nothing, Pending, Pending, Firing, Nothing, Firing]),
            [(1, 2, Pending), (3, 1, Firing), (5, 1, Firing)]
        );
        let curve = Curve {
            start_ms: 0,
            step_ms: 60_000,
            values: vec![Some(1.0), None, Some(2.0)],
            threshold: Some((">".to_owned(), 40.0)),
        };
        let graph = Graph::of(&curve, vec![Nothing, Firing, Firing], TimeZone::UTC);
        assert!(graph.bounds().1 > 40.0);
        let svg = graph.to_string();
        assert!(
            svg.contains("&gt; 40") && svg.contains("band firing"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && svg.contains("the alert is for &gt; 40"));
    }
}
