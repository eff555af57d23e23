//! Families of a page in the text format or OpenMetrics.
//!
//! A TYPE line says what the samples of a name mean, and a histogram's or summary's samples have
//! endings and labels of their own. What has no message in protobuf (info, state sets, gauge
//! histograms of OpenMetrics) becomes a gauge of the sample's name: the series are the same.

use std::collections::{HashMap, HashSet};

use model::{METRIC_NAME, MetricKind};
use wire::writer::Writer;

use super::{Family, FamilyKind, FamilyMetric, simple};
use crate::exposition::line::{self, TextExemplar};
use crate::exposition::metadata::{self, Comment};
use crate::exposition::{Format, PageError, excerpt, number};

/// Labels by name.
type OwnLabels = Vec<(String, String)>;

/// What comment lines say of a name.
#[derive(Debug, Default)]
struct Said {
    kind: Option<FamilyKind>,
    help: String,
    unit: String,
}

/// A family that is being gathered.
#[derive(Debug)]
struct Gathered {
    name: String,
    /// The name in comment lines.
    said_of: String,
    kind: FamilyKind,
    metrics: Vec<Parts>,
    /// Place in `metrics` by labels.
    by_labels: HashMap<OwnLabels, usize>,
}

/// The samples of one metric.
#[derive(Debug, Default)]
struct Parts {
    labels: OwnLabels,
    timestamp_ms: Option<i64>,
    value: Option<f64>,
    count: Option<f64>,
    sum: Option<f64>,
    /// Upper bounds or quantiles.
    steps: Vec<(f64, f64, Option<Vec<u8>>)>,
    /// Bits of those bounds: a page may have a million.
    seen: HashSet<u64>,
    exemplar: Option<Vec<u8>>,
}

/// Which part of its metric a sample is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Value,
    Count,
    Sum,
    /// A bucket or a quantile; the label that says which.
    Step(&'static str),
}

#[derive(Debug, Default)]
struct Gathering {
    twice: Twice,
    said: HashMap<String, Said>,
    families: Vec<Gathered>,
    by_name: HashMap<String, usize>,
}

/// What becomes of a sample that is there twice, and of lines that contradict others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Twice {
    /// The page is refused.
    #[default]
    Refused,
    /// The first one counts.
    LeftOut,
}

/// Reads all lines.
pub(super) fn read(page: &[u8], format: Format, twice: Twice) -> Result<Vec<Family>, PageError> {
    let mut gathering = Gathering {
        twice,
        ..Gathering::default()
    };
    let (mut ended, mut lines) = (false, 0);
    for text in page.split(|byte| *byte == b'\n') {
        lines += 1;
        let fail = |reason| PageError {
            line: lines,
            reason,
        };
        let text = text.trim_ascii_start();
        if text.is_empty() {
            continue;
        }
        if ended {
            return Err(fail(format!("{} after # EOF", excerpt(text))));
        }
        if text.first() == Some(&b'#') {
            let comment = metadata::read_comment(text).map_err(fail)?;
            ended = comment == Comment::End && format == Format::OpenMetrics;
            gathering.comment(&comment).map_err(fail)?;
        } else {
            gathering.sample(text, format).map_err(fail)?;
        }
    }
    if format == Format::OpenMetrics && !ended {
        return Err(PageError {
            line: lines,
            reason: "the page ends without # EOF: it was cut off".to_owned(),
        });
    }
    Ok(gathering.finish())
}

impl Gathering {
    fn comment(&mut self, comment: &Comment<'_>) -> Result<(), String> {
        match comment {
            Comment::Help(name, text) => {
                self.said(name).help = line::unescape(text).into_owned();
            }
            Comment::Unit(name, unit) => (*unit).clone_into(&mut self.said(name).unit),
            Comment::Kind(name, kind) => {
                let kind = of_model(*kind);
                if self.twice == Twice::LeftOut {
                    self.said(name).kind.get_or_insert(kind);
                    return Ok(());
                }
                if self.by_name.contains_key(*name) {
                    return Err(format!("the type of {name:?} comes after its samples"));
                }
                let said = self.said(name);
                if said.kind.is_some_and(|before| before != kind) {
                    return Err(format!("{name:?} has two types"));
                }
                said.kind = Some(kind);
            }
            Comment::End | Comment::Remark => {}
        }
        Ok(())
    }

    fn said(&mut self, name: &str) -> &mut Said {
        self.said.entry(name.to_owned()).or_default()
    }

    fn sample(&mut self, text: &[u8], format: Format) -> Result<(), String> {
        let (key, tail) = text.split_at(line::key_end(text)?);
        let mut labels: OwnLabels = Vec::new();
        let mut name = String::new();
        for (label, value) in line::read_key(key)? {
            if label == METRIC_NAME {
                name = value.into_owned();
            } else {
                labels.push((label.into_owned(), value.into_owned()));
            }
        }
        labels.sort_unstable();
        let tail = line::read_tail(tail, format)?;
        let (mut family, mut said_of, mut kind, mut part) = self.place(&name, format);
        let mut step = 0.0;
        if let Part::Step(wanted) = part {
            match take_step(&mut labels, &name, wanted) {
                Ok(found) => step = found,
                Err(why) if self.twice == Twice::Refused => return Err(why),
                Err(_) => {
                    (family, said_of) = (name.clone(), name.clone());
                    (kind, part) = (FamilyKind::Untyped, Part::Value);
                }
            }
        }
        let leave_out = self.twice == Twice::LeftOut;
        let family = self.family(family, said_of, kind);
        let at = *family.by_labels.entry(labels).or_insert_with_key(|labels| {
            family.metrics.push(Parts {
                labels: labels.clone(),
                ..Parts::default()
            });
            family.metrics.len() - 1
        });
        let Some(metric) = family.metrics.get_mut(at) else {
            return Ok(());
        };
        metric.timestamp_ms = tail.timestamp_ms.or(metric.timestamp_ms);
        let exemplar = tail.exemplar.as_ref().map(exemplar_message);
        let once = |place: &mut Option<f64>| {
            let twice = place.is_some();
            place.get_or_insert(tail.value);
            twice
        };
        let twice = match part {
            Part::Value => {
                if metric.value.is_none() {
                    metric.exemplar = exemplar;
                }
                once(&mut metric.value)
            }
            Part::Count => once(&mut metric.count),
            Part::Sum => once(&mut metric.sum),
            Part::Step(_) => {
                // Zero has two signs, and is one bound.
                let twice = !metric.seen.insert((step + 0.0).to_bits());
                if !twice {
                    metric.steps.push((step, tail.value, exemplar));
                }
                twice
            }
        };
        if twice && !leave_out {
            return Err(format!("{} is there twice", excerpt(key)));
        }
        Ok(())
    }

    /// The family of a sample's name, the name under which comments speak of it, its type, and
    /// which part of its metric the sample is.
    fn place(&self, name: &str, format: Format) -> (String, String, FamilyKind, Part) {
        let kind_of = |name: &str| self.said.get(name).and_then(|said| said.kind);
        for (suffix, part) in [
            ("_bucket", Part::Step("le")),
            ("_count", Part::Count),
            ("_sum", Part::Sum),
        ] {
            let Some(family) = name.strip_suffix(suffix) else {
                continue;
            };
            let kind = match kind_of(family) {
                Some(kind @ FamilyKind::Histogram) => kind,
                Some(kind @ FamilyKind::Summary) if suffix != "_bucket" => kind,
                _ => continue,
            };
            return (family.to_owned(), family.to_owned(), kind, part);
        }
        if format == Format::OpenMetrics
            && let Some(family) = name.strip_suffix("_total")
            && kind_of(family) == Some(FamilyKind::Counter)
        {
            let own = name.to_owned();
            return (own, family.to_owned(), FamilyKind::Counter, Part::Value);
        }
        let (kind, part) = match kind_of(name) {
            Some(FamilyKind::Summary) => (FamilyKind::Summary, Part::Step("quantile")),
            Some(FamilyKind::Histogram) | None => (FamilyKind::Untyped, Part::Value),
            Some(kind) => (kind, Part::Value),
        };
        (name.to_owned(), name.to_owned(), kind, part)
    }

    fn family(&mut self, name: String, said_of: String, kind: FamilyKind) -> &mut Gathered {
        let next = self.families.len();
        let at = *self.by_name.entry(name.clone()).or_insert(next);
        if at == next {
            self.families.push(Gathered {
                name,
                said_of,
                kind,
                metrics: Vec::new(),
                by_labels: HashMap::new(),
            });
        }
        &mut self.families[at]
    }

    fn finish(mut self) -> Vec<Family> {
        let families = std::mem::take(&mut self.families).into_iter();
        let families = families.map(|family| {
            let said = self.said.remove(&family.said_of).unwrap_or_default();
            let metrics = family.metrics.into_iter();
            Family {
                metrics: metrics.map(|parts| parts.finish(family.kind)).collect(),
                name: family.name,
                kind: family.kind,
                help: said.help,
                unit: said.unit,
            }
        });
        families.collect()
    }
}

impl Parts {
    fn finish(mut self, kind: FamilyKind) -> FamilyMetric {
        self.steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut out = Writer::default();
        let value = match kind {
            FamilyKind::Counter => {
                out.always_float(1, self.value.unwrap_or_default());
                if let Some(exemplar) = &self.exemplar {
                    out.field(2, exemplar);
                }
                out.into_bytes()
            }
            FamilyKind::Gauge | FamilyKind::Untyped => simple(self.value.unwrap_or_default()),
            FamilyKind::Summary => {
                out.number(1, self.count.unwrap_or_default() as u64);
                out.always_float(2, self.sum.unwrap_or_default());
                for (quantile, value, _) in &self.steps {
                    out.message(3, |out| {
                        out.always_float(1, *quantile);
                        out.always_float(2, *value);
                    });
                }
                out.into_bytes()
            }
            FamilyKind::Histogram | FamilyKind::GaugeHistogram => {
                // A histogram without a count has counted what its last bucket says.
                let last = self.steps.last().map(|(_, count, _)| *count);
                write_count(&mut out, (1, 4), self.count.or(last).unwrap_or_default());
                out.always_float(2, self.sum.unwrap_or_default());
                for (bound, count, exemplar) in &self.steps {
                    out.message(3, |out| {
                        write_count(out, (1, 4), *count);
                        out.always_float(2, *bound);
                        if let Some(exemplar) = exemplar {
                            out.field(3, exemplar);
                        }
                    });
                }
                out.into_bytes()
            }
        };
        FamilyMetric {
            labels: self.labels,
            timestamp_ms: self.timestamp_ms,
            value,
        }
    }
}

/// Takes the label that says which bucket or quantile a sample is out of its labels.
fn take_step(labels: &mut OwnLabels, name: &str, wanted: &str) -> Result<f64, String> {
    let at = labels.iter().position(|(label, _)| label == wanted);
    let at = at.ok_or_else(|| format!("a sample of {name:?} needs the label {wanted}"))?;
    let text = labels.get(at).map_or("", |(_, text)| &**text);
    let step = number::value(text.as_bytes());
    let step = step.ok_or_else(|| format!("{wanted}={text:?} of {name:?} is not a number"))?;
    labels.remove(at);
    Ok(step)
}

/// Writes a count as an integer where it is one, else as a float.
fn write_count(out: &mut Writer, (integer, float): (u32, u32), count: f64) {
    // 2^53: up to there every integer is a float.
    if count.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&count) {
        out.number(integer, count as u64);
    } else {
        out.always_float(float, count);
    }
}

fn exemplar_message(exemplar: &TextExemplar<'_>) -> Vec<u8> {
    let mut out = Writer::default();
    for (name, value) in &exemplar.labels {
        out.message(1, |out| {
            out.field(1, name.as_bytes());
            out.field(2, value.as_bytes());
        });
    }
    out.always_float(2, exemplar.value);
    if let Some(ms) = exemplar.timestamp_ms {
        out.message(3, |out| {
            out.number(1, ms.div_euclid(1000) as u64);
            out.number(2, (ms.rem_euclid(1000) * 1_000_000) as u64);
        });
    }
    out.into_bytes()
}

/// The type in protobuf that has the same series.
fn of_model(kind: MetricKind) -> FamilyKind {
    match kind {
        MetricKind::Counter => FamilyKind::Counter,
        MetricKind::Summary => FamilyKind::Summary,
        MetricKind::Histogram => FamilyKind::Histogram,
        MetricKind::Unknown => FamilyKind::Untyped,
        MetricKind::Gauge
        | MetricKind::GaugeHistogram
        | MetricKind::Info
        | MetricKind::StateSet => FamilyKind::Gauge,
    }
}
