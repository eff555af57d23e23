//! The labels of a line on its way through the stages: those of its stream, and on top of them
//! what stages have set and taken away.

use model::{Labels, LabelsBuilder};

/// The level of a line, as Loki finds it out when it takes a line in.
pub(in crate::logql) const DETECTED_LEVEL: &str = "detected_level";

/// The label under which a stage says what it failed with.
pub(in crate::logql) const ERROR: &str = "__error__";

/// The label with the details of [`ERROR`].
pub(in crate::logql) const ERROR_DETAILS: &str = "__error_details__";

/// Behind the name of an extracted label that the stream has already.
const CLASH_SUFFIX: &str = "_extracted";

/// A line can get so many labels from stages; further ones are left out with `__error__`.
const CHANGES_MAX: usize = 512;

#[derive(Debug, Clone)]
struct Change {
    name: String,
    /// `None`: taken away.
    value: Option<String>,
}

/// The labels of one line.
#[derive(Debug, Clone)]
pub(in crate::logql) struct LineLabels<'a> {
    stream: &'a Labels,
    level: &'static str,
    changes: Vec<Change>,
    error: Option<(&'static str, String)>,
    /// Only these are of interest to anyone; all where there is none.
    wanted: Option<&'a [String]>,
}

impl<'a> LineLabels<'a> {
    pub(in crate::logql) fn new(
        stream: &'a Labels,
        level: model::Level,
        wanted: Option<&'a [String]>,
    ) -> Self {
        Self {
            stream,
            level: level.as_str(),
            changes: Vec::new(),
            error: None,
            wanted,
        }
    }

    fn changed(&self, name: &str) -> Option<&Change> {
        // A line has few of them, and the newest decides.
        self.changes.iter().rev().find(|change| change.name == name)
    }

    /// A label of the stream, or the level.
    fn base(&self, name: &str) -> Option<&str> {
        self.stream
            .get(name)
            .or_else(|| (name == DETECTED_LEVEL).then_some(self.level))
    }

    /// The value of a label.
    pub(in crate::logql) fn get(&self, name: &str) -> Option<&str> {
        match name {
            ERROR => return self.error.as_ref().map(|(kind, _)| *kind),
            ERROR_DETAILS => return self.error.as_ref().map(|(_, details)| details.as_str()),
            _ => {}
        }
        match self.changed(name) {
            Some(change) => change.value.as_deref(),
            None => self.base(name),
        }
    }

    /// Sets a label.
    pub(in crate::logql) fn set(&mut self, name: &str, value: &str) {
        self.change(name, Some(value.to_owned()));
    }

    /// Takes a label away.
    pub(in crate::logql) fn remove(&mut self, name: &str) {
        match name {
            ERROR | ERROR_DETAILS => self.error = None,
            name if self.get(name).is_some() => self.change(name, None),
            _ => {}
        }
    }

    fn change(&mut self, name: &str, value: Option<String>) {
        if let Some(change) = self.changes.iter_mut().find(|change| change.name == name) {
            change.value = value;
        } else if self.changes.len() < CHANGES_MAX {
            self.changes.push(Change {
                name: name.to_owned(),
                value,
            });
        } else {
            self.fail("LabelsLimitErr", || {
                format!("a line has more than {CHANGES_MAX} labels")
            });
        }
    }

    /// Sets a label that a parser found, under the name that it gets: the stream's own labels are
    /// never overwritten. With `keep_first` an extracted label that is there already stays.
    pub(in crate::logql) fn extract(&mut self, name: &str, value: &str, keep_first: bool) {
        let clash;
        let name = if self.base(name).is_some() {
            clash = format!("{name}{CLASH_SUFFIX}");
            clash.as_str()
        } else {
            name
        };
        if self
            .wanted
            .is_some_and(|wanted| !wanted.iter().any(|w| w == name))
        {
            return;
        }
        if keep_first && self.changed(name).is_some() {
            return;
        }
        self.set(name, value);
    }

    /// Whether a label that is found under this name would be of interest to anyone.
    pub(in crate::logql) fn wants(&self, name: &str) -> bool {
        self.wanted.is_none_or(|wanted| {
            wanted.iter().any(|w| {
                w == name
                    || w.strip_suffix(CLASH_SUFFIX)
                        .is_some_and(|start| start == name)
            })
        })
    }

    /// Notes that a stage failed; the first failure stays.
    pub(in crate::logql) fn fail(&mut self, kind: &'static str, details: impl FnOnce() -> String) {
        if self.error.is_none() {
            self.error = Some((kind, details()));
        }
    }

    /// What a stage failed with.
    pub(in crate::logql) fn error(&self) -> Option<&'static str> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }

    /// The labels of the stream that nothing has changed.
    pub(in crate::logql) fn of_stream(&self) -> Labels {
        if self.changes.is_empty() {
            return self.stream.clone();
        }
        self.stream.filtered(|name| self.changed(name).is_none())
    }

    /// The level, unless a stage took it away or set it anew.
    pub(in crate::logql) fn detected_level(&self) -> Option<&'static str> {
        let is_own = self.stream.get(DETECTED_LEVEL).is_none();
        (is_own && self.changed(DETECTED_LEVEL).is_none()).then_some(self.level)
    }

    /// What stages have set, errors included.
    pub(in crate::logql) fn parsed(&self) -> impl Iterator<Item = (&str, &str)> {
        let errors = self
            .error
            .iter()
            .flat_map(|(kind, details)| [(ERROR, *kind), (ERROR_DETAILS, details.as_str())]);
        self.changes
            .iter()
            .filter_map(|change| Some((change.name.as_str(), change.value.as_deref()?)))
            .filter(|(_, value)| !value.is_empty())
            .chain(errors)
    }

    /// Appends what tells these labels from others of the same stream.
    pub(in crate::logql) fn write_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.level.as_bytes());
        for change in &self.changes {
            out.extend_from_slice(change.name.as_bytes());
            match &change.value {
                Some(value) => {
                    out.push(0xfe);
                    out.extend_from_slice(value.as_bytes());
                }
                None => out.push(0xfd),
            }
            out.push(0xff);
        }
    }

    /// All names that have a value.
    pub(in crate::logql) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.stream.iter().map(|l| l.name.to_string()).collect();
        names.push(DETECTED_LEVEL.to_owned());
        names.extend(self.changes.iter().map(|change| change.name.clone()));
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.get(name).is_some());
        names
    }

    /// All labels in one set.
    pub(in crate::logql) fn all(&self) -> Labels {
        let mut out: LabelsBuilder = self.of_stream().to_builder();
        if let Some(level) = self.detected_level() {
            out.set(DETECTED_LEVEL, level);
        }
        for (name, value) in self.parsed() {
            out.set(name, value);
        }
        out.build()
    }
}
