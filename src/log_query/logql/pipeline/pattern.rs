//! `| pattern "<ip> - <_>"`, and the patterns of the line filters `|>` and `!>`.

use super::labels::LineLabels;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A capture; `None` for `<_>`.
    Capture(Option<String>),
}

/// A pattern that has been checked: captures and literals take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    fn parts(text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once('<') {
            literal.push_str(before);
            let name = tail.split_once('>').map(|(name, _)| name).filter(|name| {
                !name.is_empty()
                    && !name.starts_with(|c: char| c.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            let Some(name) = name else {
                literal.push('<');
                rest = tail;
                continue;
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
            rest = tail.get(name.len() + 1..).unwrap_or_default();
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        parts
    }

    fn checked(text: &str) -> Result<Self, String> {
        let parts = Self::parts(text);
        if parts
            .windows(2)
            .any(|w| matches!(w, [Part::Capture(_), Part::Capture(_)]))
        {
            return Err(format!(
                "found consecutive capture in {text:?}: something must stand between two captures"
            ));
        }
        Ok(Self(parts))
    }

    /// The pattern of a parser: it captures something, and nothing twice.
    pub(super) fn parser(text: &str) -> Result<Self, String> {
        let pattern = Self::checked(text)?;
        let mut names: Vec<&String> = pattern
            .0
            .iter()
            .filter_map(|part| match part {
                Part::Capture(name) => name.as_ref(),
                Part::Literal(_) => None,
            })
            .collect();
        if names.is_empty() {
            return Err(format!(
                "at least one capture is required in {text:?}, such as <name>"
            ));
        }
        names.sort_unstable();
        if let Some([twice, _]) = names.windows(2).find_map(|w| match w {
            [a, b] if a == b => Some([*a, *b]),
            _ => None,
        }) {
            return Err(format!("duplicate capture name ({twice})"));
        }
        Ok(pattern)
    }

    /// The pattern of a line filter: it captures nothing by name.
    pub(super) fn filter(text: &str) -> Result<Self, String> {
        let pattern = Self::checked(text)?;
        let named = pattern
            .0
            .iter()
            .any(|part| matches!(part, Part::Capture(Some(_))));
        if named {
            return Err(format!(
                "a line filter captures nothing by name: write <_> in {text:?}"
            ));
        }
        Ok(pattern)
    }

    /// Whether the whole of a line has this form.
    pub(super) fn matches(&self, line: &str) -> bool {
        let mut rest = line;
        let mut open = false;
        let last = self.0.len().saturating_sub(1);
        for (i, part) in self.0.iter().enumerate() {
            match part {
                Part::Capture(_) => open = true,
                Part::Literal(text) => {
                    let end = match (open, i == last) {
                        (true, true) => rest.ends_with(text.as_str()).then_some(rest.len()),
                        (true, false) => rest.find(text.as_str()).map(|at| at + text.len()),
                        (false, _) => rest.starts_with(text.as_str()).then_some(text.len()),
                    };
                    let Some(end) = end else { return false };
                    rest = rest.get(end..).unwrap_or_default();
                    open = false;
                }
            }
        }
        open || rest.is_empty()
    }

    /// Sets labels from the captures. Where the line does not go on as the pattern does, the last
    /// capture takes the rest, as Loki has it.
    pub(super) fn extract(&self, line: &str, labels: &mut LineLabels<'_>) {
        let mut rest = line;
        let mut parts = self.0.iter().peekable();
        if let Some(Part::Literal(text)) = parts.peek() {
            let Some(tail) = rest.strip_prefix(text.as_str()) else {
                return;
            };
            rest = tail;
            parts.next();
        }
        while let Some(part) = parts.next() {
            let Part::Capture(name) = part else { continue };
            let (value, tail) = match parts.peek() {
                Some(Part::Literal(text)) => match rest.split_once(text.as_str()) {
                    Some((value, tail)) => (value, Some(tail)),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Some(name) = name {
                labels.extract(name, value, false);
            }
            let Some(tail) = tail else { return };
            rest = tail;
        }
    }
}
