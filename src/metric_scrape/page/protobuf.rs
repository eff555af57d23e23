//! Pages in protobuf, family by family. The series of a metric are those that the text formats
//! would have: `_count`, `_sum`, `_bucket` and quantiles are made of one message.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::walk::Walk;
use super::{Content, Key, Value};
use crate::exposition::PageError;
use crate::exposition::histogram::HistogramMessage;
use crate::exposition::line::TextExemplar;
use crate::exposition::protobuf::{self, Families, Family, Kind, Metric};

/// Which series of a metric: the ending of its name, a label that it has beside the metric's own,
/// and a number that tells series with the same ending apart from others.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u64,
    suffix: &'static str,
    label: Option<(&'static str, f64)>,
}

impl Part {
    const ITSELF: Self = Self::new(0, "");
    const COUNT: Self = Self::new(1, "_count");
    const SUM: Self = Self::new(2, "_sum");
    /// Not the same series as a classic histogram's, though of the same name as a gauge's.
    const NATIVE: Self = Self::new(3, "");

    const fn new(number: u64, suffix: &'static str) -> Self {
        Self {
            number,
            suffix,
            label: None,
        }
    }

    fn quantile(quantile: f64) -> Self {
        Self {
            label: Some(("quantile", quantile)),
            ..Self::new(4, "")
        }
    }

    fn bucket(upper_bound: f64) -> Self {
        Self {
            label: Some(("le", upper_bound)),
            ..Self::new(5, "_bucket")
        }
    }
}

impl Walk<'_, '_> {
    /// Reads all families.
    pub(super) fn protobuf(&mut self, page: &[u8]) -> Result<(), PageError> {
        let mut families = Families::new(page);
        let mut last = String::new();
        loop {
            let family = families.next().map_err(|reason| PageError {
                line: 0,
                reason: match &*last {
                    "" => reason,
                    last => format!("after family {last:?}: {reason}"),
                },
            })?;
            let Some(family) = family else {
                return Ok(());
            };
            self.family(&family).map_err(|reason| PageError {
                line: 0,
                reason: format!("family {:?}: {reason}", family.name),
            })?;
            family.name.clone_into(&mut last);
        }
    }

    fn family(&mut self, family: &Family<'_>) -> Result<(), String> {
        let seed = xxh3_64(family.name.as_bytes()) ^ family.kind as u64;
        self.meaning(family, seed);
        for metric in family.metrics() {
            let metric = metric.map_err(|error| error.to_string())?;
            let (hash, len) = metric.labels_hash(seed);
            let key = Key {
                hash,
                len: (len + family.name.len()) as u32,
            };
            let metric = OfFamily {
                family,
                metric: &metric,
                key,
            };
            match family.kind {
                Kind::Counter | Kind::Gauge | Kind::Untyped => self.simple(&metric)?,
                Kind::Summary => self.summary(&metric)?,
                Kind::Histogram | Kind::GaugeHistogram => self.histogram(&metric)?,
            }
        }
        Ok(())
    }

    /// Notes whether what the family says about itself is news.
    fn meaning(&mut self, family: &Family<'_>, seed: u64) {
        let hash = xxh3_64_with_seed(family.help.as_bytes(), !seed);
        let hash = xxh3_64_with_seed(family.unit.as_bytes(), hash);
        let len = family.name.len() + family.help.len() + family.unit.len();
        let key = Key {
            hash,
            len: len as u32,
        };
        match self.find_next(key) {
            Some(index) => self.known_remark(index),
            None => self.new_remark(key, Some(family.kind.as_model())),
        }
    }

    /// The entry of a key, where there is one.
    fn find_next(&mut self, key: Key) -> Option<u32> {
        let next = self.pages.order.get(self.cursor).copied();
        match next {
            Some(index) if self.pages.entries[index as usize].key == key => {
                self.advance(index);
                Some(index)
            }
            _ => self.look_up(key),
        }
    }

    fn simple(&mut self, metric: &OfFamily<'_>) -> Result<(), String> {
        let read = protobuf::read_simple(metric.metric.body, metric.family.kind);
        let (number, exemplar) = read.map_err(|error| error.to_string())?;
        self.sample(metric, Part::ITSELF, number, exemplar)
    }

    fn summary(&mut self, metric: &OfFamily<'_>) -> Result<(), String> {
        let read = protobuf::read_summary(metric.metric.body);
        let summary = read.map_err(|error| error.to_string())?;
        self.sample(metric, Part::COUNT, summary.count as f64, None)?;
        self.sample(metric, Part::SUM, summary.sum, None)?;
        for (quantile, value) in summary.quantiles {
            self.sample(metric, Part::quantile(quantile), value, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, metric: &OfFamily<'_>) -> Result<(), String> {
        let wanted = self.options.histograms;
        let mut message =
            HistogramMessage::read(metric.metric.body).map_err(|error| error.to_string())?;
        let native = wanted.native && message.is_native();
        if native {
            let gauge = metric.family.kind == Kind::GaugeHistogram;
            let histogram = message.native(gauge, wanted.limits)?;
            let mut exemplars = std::mem::take(&mut message.exemplars);
            // Before native histograms had exemplars of their own, they stood with the buckets.
            if exemplars.is_empty() {
                let of_buckets = message.classic.iter();
                exemplars.extend(of_buckets.filter_map(|bucket| bucket.exemplar.clone()));
            }
            // Without a time nobody could tell whether one was there before, as in Prometheus.
            exemplars.retain(|exemplar| exemplar.timestamp_ms.is_some());
            exemplars.sort_by_key(|exemplar| exemplar.timestamp_ms);
            self.content(metric, Part::NATIVE, Value::Histogram(histogram), exemplars)?;
        }
        if native && (message.classic.is_empty() || !wanted.classic_always) {
            return Ok(());
        }
        // What cannot be converted stays what it is.
        if !native
            && wanted.custom_bounds
            && let Some(histogram) =
                message.with_custom_bounds(metric.family.kind == Kind::GaugeHistogram)
        {
            let of_buckets = message.classic.iter();
            let mut exemplars: Vec<_> = of_buckets.filter_map(|b| b.exemplar.clone()).collect();
            exemplars.retain(|exemplar| exemplar.timestamp_ms.is_some());
            exemplars.sort_by_key(|exemplar| exemplar.timestamp_ms);
            self.content(metric, Part::NATIVE, Value::Histogram(histogram), exemplars)?;
            if !wanted.classic_always {
                return Ok(());
            }
        }
        self.sample(metric, Part::COUNT, message.count, None)?;
        self.sample(metric, Part::SUM, message.sum, None)?;
        let mut has_infinity = false;
        for bucket in message.classic {
            has_infinity |= bucket.upper_bound == f64::INFINITY;
            let part = Part::bucket(bucket.upper_bound);
            self.sample(metric, part, bucket.count, bucket.exemplar)?;
        }
        if !has_infinity {
            let part = Part::bucket(f64::INFINITY);
            self.sample(metric, part, message.count, None)?;
        }
        Ok(())
    }

    fn sample(
        &mut self,
        metric: &OfFamily<'_>,
        part: Part,
        number: f64,
        exemplar: Option<TextExemplar<'_>>,
    ) -> Result<(), String> {
        let exemplars = exemplar.into_iter().collect();
        self.content(metric, part, Value::Float(number), exemplars)
    }

    fn content(
        &mut self,
        metric: &OfFamily<'_>,
        part: Part,
        value: Value,
        exemplars: Vec<TextExemplar<'_>>,
    ) -> Result<(), String> {
        let bits = part.label.map_or(0, |(_, number)| number.to_bits());
        let key = Key {
            hash: xxh3_64_with_seed(
                &bits.to_le_bytes(),
                metric.key.hash.wrapping_add(part.number),
            ),
            ..metric.key
        };
        let content = Content {
            value,
            timestamp_ms: metric.metric.timestamp_ms,
            exemplars,
        };
        if let Some(index) = self.find_next(key) {
            self.known_with_exemplars(index, content);
            return Ok(());
        }
        let name = metric.family.name;
        let pairs = metric.metric.pairs(name, part.suffix, part.label)?;
        self.new_sample(key, &pairs, content)
    }
}

/// A metric and where it stands.
struct OfFamily<'a> {
    family: &'a Family<'a>,
    metric: &'a Metric<'a>,
    /// Of family and labels; each of its series has its own.
    key: Key,
}
