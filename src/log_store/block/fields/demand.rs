//! What a variable of a shape must not hold, so that lines are read as their sketch is.

use std::ops::Range;

use log_query::Form;

/// What a variable must not hold, so that its line is read as the sketch is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Anything will do.
    Nothing,
    /// A part of a number or bare word in JSON.
    Plain,
    /// A part of a value that ends at a space.
    Bare {
        /// Whether it stands behind a quote, so that it may be anything up to the next.
        quoted: bool,
        /// Whether brackets in it decide how much of the value counts.
        brackets: bool,
    },
    /// Outside of all values: it must not bring a pair of its own.
    NoPair { quoted: bool },
}

impl Demand {
    pub(super) fn forbids(&self, byte: u8) -> bool {
        match self {
            Self::Nothing => false,
            Self::Plain => !(byte.is_ascii_alphanumeric() || byte == b'.'),
            Self::Bare { .. } => byte.is_ascii_whitespace() || b"=>~\"()[]{},;".contains(&byte),
            Self::NoPair { .. } => byte == b'=',
        }
    }

    /// Whether `template` makes no variables that break it, but for line ends within lines.
    pub(super) fn is_met_by_template(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Plain => false,
            Self::Bare { quoted, brackets } => !quoted && !brackets,
            Self::NoPair { quoted } => !quoted,
        }
    }
}

/// Where a field stands in a sketch.
pub(super) struct Pair {
    /// Its value, where it stands there as it reads.
    pub(super) value: Option<Range<usize>>,
    /// Whether the value reads otherwise than it is written.
    pub(super) is_rewritten: bool,
}

impl Pair {
    pub(super) fn of(value: &str, text: &[u8]) -> Self {
        Self {
            is_rewritten: !value.is_empty() && place_in(value, text).is_none(),
            value: place_in(value, text),
        }
    }
}

/// Where a text lies within another of which it is a part; `None` for one that lies elsewhere in
/// memory, or is empty.
fn place_in(part: &str, text: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (!part.is_empty() && end <= text.len()).then_some(start..end)
}

/// A variable in a sketch.
pub(super) struct At<'a> {
    pub(super) text: &'a [u8],
    pub(super) form: Form,
    pub(super) hole: Range<usize>,
    pub(super) pairs: &'a [Pair],
    /// Whether any value reads otherwise than it is written: the variable may stand in it.
    pub(super) has_rewritten: bool,
}

impl At<'_> {
    /// What its values must not hold; `None` where a digit does not tell.
    pub(super) fn demand(&self) -> Option<Demand> {
        let holds =
            |span: &Range<usize>| span.start <= self.hole.start && self.hole.end <= span.end;
        let mut values = self.pairs.iter().filter_map(|pair| pair.value.as_ref());
        let before = |at: usize| at.checked_sub(1).and_then(|i| self.text.get(i)).copied();
        let quoted = before(self.hole.start) == Some(b'"');
        let Some(span) = values.find(|span| holds(span)) else {
            if self.form == Form::Json || self.has_rewritten {
                return None;
            }
            // A pair that begins in or before it would depend on it.
            let behind = self.text.get(self.hole.end..).unwrap_or_default();
            let mut word = behind.iter().take_while(|b| !b.is_ascii_whitespace());
            return (!word.any(|b| *b == b'=')).then_some(Demand::NoPair { quoted });
        };
        if before(span.start) == Some(b'"') {
            return Some(Demand::Nothing);
        }
        if self.form == Form::Json {
            let first = self.text.get(span.start)?;
            return (!matches!(first, b'{' | b'[')).then_some(Demand::Plain);
        }
        let behind = self.text.get(span.end..).unwrap_or_default();
        let mut left_out = behind.iter().take_while(|b| !b.is_ascii_whitespace());
        let brackets = left_out.any(|b| b")]}".contains(b));
        Some(Demand::Bare { quoted, brackets })
    }
}
