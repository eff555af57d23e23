//! Writes samples in the text format.

use std::fmt::Write as _;

/// A page under construction. Samples of a family follow its head at once.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Begins a family.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    /// Adds a sample to the family that was begun last.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (i, (label, value)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = if value.is_infinite() {
            let sign = if value > 0.0 { '+' } else { '-' };
            writeln!(self.text, " {sign}Inf")
        } else {
            writeln!(self.text, " {value}")
        };
    }

    /// A family of one gauge without labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// A family of one counter without labels.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// A family of one value of no known kind, without labels.
    pub(crate) fn untyped(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "untyped", help);
        self.sample(name, &[], value);
    }

    /// A family of gauges that differ in one label.
    pub(crate) fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.many(name, "gauge", help, label, samples);
    }

    /// A family of counters that differ in one label.
    pub(crate) fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.many(name, "counter", help, label, samples);
    }

    /// A family without samples is left out.
    fn many<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.family(name, kind, help);
        for (value_of_label, value) in samples {
            self.sample(name, &[(label, value_of_label)], value);
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_families() {
        let mut page = Page::default();
        page.family("a", "gauge", "Two\nlines");
        page.sample("a", &[("x", "q\"\\"), ("y", "z")], 1.5);
        page.sample("a", &[], f64::INFINITY);
        page.gauges("empty", "Not there", "x", []);
        assert_eq!(
            page.into_text(),
            "# HELP a Two\\nlines.\n# TYPE a gauge\na{x=\"q\\\"\\\\\",y=\"z\"} 1.5\na +Inf\n"
        );
    }
}
