//! From the labels on a page to the labels of a series: whose label wins, relabelling, limits.

use model::{Labels, LabelsBuilder, METRIC_NAME};

use crate::exposition::line::Pair;
use crate::relabel::Relabeler;

/// What a job says about its series.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeriesRules {
    pub(crate) honor_labels: bool,
    pub(crate) relabel: Relabeler,
    pub(crate) limits: LabelLimits,
    /// Names must be of letters, digits and underscores.
    pub(crate) legacy_names: bool,
}

/// Limits on one series' labels; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LabelLimits {
    pub(crate) labels: u64,
    pub(crate) name_bytes: u64,
    pub(crate) value_bytes: u64,
}

impl SeriesRules {
    /// Labels of a series, or `None` where relabelling drops it. An error fails the page.
    pub(crate) fn labels(
        &self,
        target: &Labels,
        pairs: &[Pair<'_>],
    ) -> Result<Option<Labels>, String> {
        if self.legacy_names {
            check_legacy(pairs)?;
        }
        let mut labels = LabelsBuilder::default();
        for (name, value) in pairs {
            labels.set(&**name, &**value);
        }
        if self.honor_labels {
            // An empty label on the page keeps the target's away: Pushgateway relies on it.
            let on_page = |name: &str| pairs.iter().any(|(n, _)| n == name);
            for label in target.iter().filter(|l| !on_page(&l.name)) {
                labels.set(label.name.clone(), label.value.clone());
            }
        } else {
            let clashes: Vec<_> = target
                .iter()
                .filter_map(|l| Some((l.name.clone(), labels.get(&l.name)?.to_owned())))
                .collect();
            for label in target {
                labels.set(label.name.clone(), label.value.clone());
            }
            add_exported(&mut labels, clashes);
        }
        if !self.relabel.apply(&mut labels) {
            return Ok(None);
        }
        let labels = labels.build();
        if labels.is_empty() {
            return Ok(None);
        }
        if labels.metric_name().is_none() {
            return Err(format!("relabelling leaves no metric name: {labels}"));
        }
        self.limits.check(&labels)?;
        Ok(Some(labels))
    }
}

/// Refuses names that `metric_name_validation_scheme: legacy` does not allow.
fn check_legacy(pairs: &[Pair<'_>]) -> Result<(), String> {
    let is_good = |name: &str, colon: bool| {
        let mut bytes = name.bytes();
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colon && b == b':');
        bytes.next().is_some_and(|b| good(b) && !b.is_ascii_digit()) && bytes.all(good)
    };
    for (name, value) in pairs {
        let (checked, colon) = if name == METRIC_NAME {
            (value, true)
        } else {
            (name, false)
        };
        if !is_good(checked, colon) {
            return Err(format!(
                "the name {checked:?} is not of letters, digits and underscores \
                 (metric_name_validation_scheme: legacy)"
            ));
        }
    }
    Ok(())
}

/// Gives labels of the page that clash with the target's a name that is free, shortest first.
fn add_exported(labels: &mut LabelsBuilder, mut clashes: Vec<(std::sync::Arc<str>, String)>) {
    clashes.sort_by_key(|(name, _)| name.len());
    for (name, value) in clashes {
        let mut exported = format!("exported_{name}");
        while labels.get(&exported).is_some() {
            exported.insert_str(0, "exported_");
        }
        labels.set(exported, value);
    }
}

impl LabelLimits {
    fn check(self, labels: &Labels) -> Result<(), String> {
        let over = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
        let metric = labels.metric_name().unwrap_or_default();
        if over(labels.len(), self.labels) {
            return Err(format!(
                "{metric} has {} labels, label_limit is {}",
                labels.len(),
                self.labels
            ));
        }
        for label in labels {
            if over(label.name.len(), self.name_bytes) {
                return Err(format!(
                    "{metric}: label name {:?} has {} bytes, label_name_length_limit is {}",
                    label.name,
                    label.name.len(),
                    self.name_bytes
                ));
            }
            if over(label.value.len(), self.value_bytes) {
                return Err(format!(
                    "{metric}: the value of label {:?} has {} bytes, label_value_length_limit is {}",
                    label.name,
                    label.value.len(),
                    self.value_bytes
                ));
            }
        }
        Ok(())
    }
}

/// Labels of one of the scrape's own series.
pub(crate) fn report_labels(target: &Labels, metric: &str) -> Labels {
    let mut labels = target.to_builder();
    labels.set(METRIC_NAME, metric);
    labels.build()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::relabel::RelabelConfig;

    fn labels(rules: &SeriesRules, page: &[(&str, &str)]) -> Result<String, String> {
        let target = Labels::from_pairs([("job", "j"), ("instance", "i")]);
        let pairs: Vec<Pair<'_>> = page
            .iter()
            .map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v)))
            .collect();
        let labels = rules.labels(&target, &pairs)?;
        Ok(labels.map_or_else(|| "dropped".to_owned(), |l| l.to_string()))
    }

    #[test]
    fn the_target_wins_unless_labels_are_honored() {
        let honor = SeriesRules {
            honor_labels: true,
            ..SeriesRules::default()
        };
        let check = |rules: &SeriesRules, page: &[(&str, &str)], expected: &str| {
            assert_eq!(labels(rules, page).as_deref(), Ok(expected));
        };
        let rules = SeriesRules::default();
        let page = [("__name__", "m"), ("job", "x"), ("a", "b")];
        check(
            &rules,
            &page,
            r#"m{a="b", exported_job="x", instance="i", job="j"}"#,
        );
        check(&honor, &page, r#"m{a="b", instance="i", job="x"}"#);
        let twice = [("__name__", "m"), ("job", "x"), ("exported_job", "y")];
        check(
            &rules,
            &twice,
            r#"m{exported_exported_job="x", exported_job="y", instance="i", job="j"}"#,
        );
        let empty = [("__name__", "m"), ("instance", "")];
        check(&rules, &empty, r#"m{instance="i", job="j"}"#);
        check(&honor, &empty, r#"m{job="j"}"#);
    }

    #[test]
    fn relabelling_comes_last_and_must_leave_a_name() {
        let rules = |action: &str, regex: &str| SeriesRules {
            relabel: Relabeler::new(&[RelabelConfig {
                action: Some(action.to_owned()),
                regex: Some(regex.to_owned()),
                source_labels: match action {
                    "drop" => vec!["__name__".to_owned()],
                    _ => Vec::new(),
                },
                ..RelabelConfig::default()
            }])
            .expect("good rules"),
            ..SeriesRules::default()
        };
        let page = [("__name__", "m")];
        assert_eq!(labels(&rules("drop", "m"), &page).as_deref(), Ok("dropped"));
        assert_eq!(
            labels(&rules("labeldrop", "job|instance"), &page).as_deref(),
            Ok("m")
        );
        assert_eq!(
            labels(&rules("labeldrop", ".*"), &page).as_deref(),
            Ok("dropped")
        );
        let error = labels(&rules("labeldrop", "__name__"), &page).expect_err("no name");
        assert!(error.contains("no metric name"), "{error}");
    }

    #[test]
    fn limits_name_what_is_over_them() {
        let check = |limits: LabelLimits, part: &str| {
            let rules = SeriesRules {
                limits,
                ..SeriesRules::default()
            };
            let error = labels(&rules, &[("__name__", "m"), ("name", "value")]).expect_err(part);
            assert!(error.contains(part), "{error}");
        };
        let none = LabelLimits::default();
        check(
            LabelLimits { labels: 3, ..none },
            "m has 4 labels, label_limit is 3",
        );
        check(
            LabelLimits {
                name_bytes: 7,
                ..none
            },
            "label_name_length_limit is 7",
        );
        check(
            LabelLimits {
                value_bytes: 4,
                ..none
            },
            "label_value_length_limit is 4",
        );
        let exact = LabelLimits {
            labels: 4,
            name_bytes: 8,
            value_bytes: 5,
        };
        let rules = SeriesRules {
            limits: exact,
            ..SeriesRules::default()
        };
        assert!(labels(&rules, &[("__name__", "m"), ("name", "value")]).is_ok());
    }
}
