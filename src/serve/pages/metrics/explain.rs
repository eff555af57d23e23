//! An expression as a tree: each part with the number of series that it gives, from the outside
//! in. A part that gives nothing says which of its conditions finds nothing.

use std::fmt::{self, Write as _};

use askama::filters::HtmlSafe;
use promql::{Explained, OutlineKind, ValueKind};

use super::explore;
use crate::html::{Escaped, Icon};
use crate::humanize;

/// A tree with the expression that it belongs to.
pub(super) struct Tree {
    expression: String,
    root: Explained,
}

impl Tree {
    pub(super) fn new(expression: &str, root: Explained) -> Self {
        Self {
            expression: expression.to_owned(),
            root,
        }
    }

    fn node(&self, f: &mut fmt::Formatter<'_>, node: &Explained) -> fmt::Result {
        let empty = node.series == Some(0);
        f.write_str(if empty {
            r#"<li class="none">"#
        } else {
            "<li>"
        })?;
        write!(
            f,
            r#"<div class="node"><a class="mono" href="{}" title="Ask for this part alone">{}</a><span class="kind">{}</span>"#,
            Escaped(&explore(part(&self.expression, node))),
            Escaped(&node.part.label),
            kind(node),
        )?;
        match node.series {
            Some(0) => write!(
                f,
                r#"<span class="state warn">{}no series</span>"#,
                Icon("warn")
            )?,
            Some(n) => write!(
                f,
                r#"<span class="n">{}</span>"#,
                humanize::things(n as u64, "series", "series")
            )?,
            None => {}
        }
        f.write_str("</div>")?;
        if let Some(missing) = &node.missing {
            write!(f, r#"<p class="why">{}"#, Escaped(&why(missing)))?;
            f.write_str("</p>")?;
        } else if empty && node.children.iter().all(|child| child.series != Some(0)) {
            write!(f, r#"<p class="why">{}</p>"#, Escaped(lost(node)))?;
        }
        if !node.children.is_empty() {
            f.write_str("<ul>")?;
            for child in &node.children {
                self.node(f, child)?;
            }
            f.write_str("</ul>")?;
        }
        f.write_str("</li>")
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"<ul class="tree">"#)?;
        self.node(f, &self.root)?;
        f.write_str("</ul>")
    }
}

impl HtmlSafe for Tree {}

/// The text of a part: as it was written where its place is known.
pub(super) fn part<'a>(expression: &'a str, node: &'a Explained) -> &'a str {
    let (start, end) = node.part.place;
    let byte = |chars: usize| {
        let mut places = expression.char_indices().map(|(at, _)| at);
        places.nth(chars).unwrap_or(expression.len())
    };
    let written = expression.get(byte(start)..byte(end)).unwrap_or_default();
    if written.is_empty() {
        &node.part.text
    } else {
        written
    }
}

fn kind(node: &Explained) -> &'static str {
    match (node.part.kind, node.part.gives) {
        (OutlineKind::Literal, ValueKind::Text) => "text",
        (OutlineKind::Literal, _) => "number",
        (OutlineKind::Selector, ValueKind::Matrix) => "samples over a range",
        (OutlineKind::Selector, _) => "newest samples",
        (OutlineKind::Subquery, _) => "asked again at each step of a range",
        (OutlineKind::Call, _) => "function",
        (OutlineKind::Aggregation, _) => "aggregation",
        (OutlineKind::Operator, _) => "operator",
        (OutlineKind::Sign, _) => "sign",
    }
}

/// Which condition finds nothing, and what would.
fn why(missing: &promql::Missing) -> String {
    let mut text = match (missing.label.as_str(), missing.condition.as_str()) {
        (_, "") => return "Its conditions exclude each other.".to_owned(),
        ("__name__", _) => "There is no such metric.".to_owned(),
        (_, condition) => format!("Nothing satisfies {condition}."),
    };
    if let Some(first) = missing.values.first() {
        let more = missing.values.len().saturating_sub(1);
        text.push_str(if missing.label == "__name__" {
            " The nearest is "
        } else {
            " There is "
        });
        text.push_str(first);
        if more > 0 {
            let _ = write!(text, ", and {more} more");
        }
        text.push('.');
    }
    text
}

/// Why a part gives nothing though all its parts do.
pub(super) fn lost(node: &Explained) -> &'static str {
    let operator = node.part.label.split(' ').next().unwrap_or_default();
    match (node.part.kind, operator) {
        (OutlineKind::Operator, "==" | "!=" | "<" | ">" | "<=" | ">=") => {
            "No series satisfies the comparison, or the labels of the two sides do not meet."
        }
        (OutlineKind::Operator, "and") => "No series of the left has a partner on the right.",
        (OutlineKind::Operator, "unless") => "Every series of the left has a partner on the right.",
        (OutlineKind::Operator, _) => {
            "The labels of the two sides do not meet: on (…) or ignoring (…) says which count."
        }
        (OutlineKind::Call, "rate" | "irate" | "increase" | "delta" | "deriv" | "idelta") => {
            "It needs two samples of a series at least: is the range longer than two scrapes?"
        }
        (OutlineKind::Selector, _) => "The series are there, but have no sample at this time.",
        _ => "It leaves nothing of what its parts give.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use promql::memory::MemoryReader;
    use promql::{Context, Engine};

    fn tree(expression: &str) -> String {
        let mut reader = MemoryReader::new();
        for instance in ["a", "<b>"] {
            let labels = Labels::from_pairs([("__name__", "up"), ("instance", instance)]);
            reader.push(&labels, 0, 1.0);
        }
        let explained = Engine::default()
            .explain(&reader, expression, 0, &Context::default())
            .expect(expression);
        Tree::new(expression, explained).to_string()
    }

    #[test]
    fn every_part_is_a_link_with_its_number_of_series() {
        let html = tree("sum(up) > 1");
        for part in [
            "?q=sum%28up%29\"",
            "?q=up\"",
            ">1 series<",
            ">2 series<",
            ">aggregation<",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn what_gives_nothing_says_why_and_is_no_markup() {
        let html = tree("up{instance=\"<i>\"} > 1");
        assert!(
            html.contains("Nothing satisfies instance=&quot;&lt;i&gt;&quot;"),
            "{html}"
        );
        assert!(
            html.contains("There is &lt;b&gt;") || html.contains("There is a"),
            "{html}"
        );
        assert!(!html.contains("<b>") && !html.contains("<i>"));
        assert!(tree("up > 5").contains("No series satisfies the comparison"));
        assert!(tree("upp").contains("The nearest is up."));
    }
}
