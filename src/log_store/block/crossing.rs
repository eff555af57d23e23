//! Where can a text stand that reaches over several pieces of a shape?
//!
//! 1. Most shapes are ruled out by a glance at the first and last bytes of their literals: what
//!    crosses a border between pieces has a byte at each side of it.
//! 2. Of the others every place is followed letter by letter: literals must agree, and each
//!    variable on the way gets a demand (ends so, is so, begins so).
//! 3. At both ends the borders of words are looked at, as far as the pieces tell.

use log_query::{CONTEXT_BYTES, letter_ends_at, letter_starts_at};

use super::sought::{Eaten, Sought};

/// A shape with more places than this is looked at line by line.
const CROSSINGS_MAX: usize = 32;

/// Steps that are taken to find them at most.
const STEPS_MAX: usize = 4096;

/// A piece of a shape as a search sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View<'a> {
    /// The same bytes in every line.
    Fixed(&'a [u8]),
    /// The variable in this column.
    Variable(usize, Kind),
}

/// Which letters the values of a column consist of. None of them is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Decimal,
    Hex,
    Time,
    Any,
}

/// What the value in a column must be like, by numbers of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Ends with the letters before this one. Where a border is needed before them, the edge is
    /// the one before the value.
    Ends(usize, Option<Edge>),
    /// Is the letters from one to another, exclusive.
    Is(usize, usize),
    /// Begins with the letters from this one on. Where a border is needed behind them, the edge is
    /// the one behind the value.
    Begins(usize, Option<Edge>),
}

/// Whether a value is as demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    No,
    Perhaps,
    Yes,
}

impl Demand {
    /// Whether a value is as demanded.
    pub(super) fn met(self, sought: &Sought, value: &[u8]) -> Met {
        match self {
            Self::Is(from, to) if sought.eat(from, value) == Eaten::Upto(to) => Met::Yes,
            Self::Is(..) => Met::No,
            Self::Begins(from, edge) => match (sought.eat(from, value), edge) {
                (Eaten::All(_), None) => Met::Yes,
                (Eaten::All(end), Some(edge)) if end == value.len() => edge.into(),
                (Eaten::All(end), Some(_)) => {
                    edge_ahead(value.get(end..).unwrap_or_default(), false).into()
                }
                _ => Met::No,
            },
            Self::Ends(k, edge) => match (sought.start_of_end(value, k), edge) {
                (None, _) => Met::No,
                (Some(_), None) => Met::Yes,
                (Some(0), Some(edge)) => edge.into(),
                (Some(start), Some(_)) => {
                    edge_behind(value.get(..start).unwrap_or_default(), false).into()
                }
            },
        }
    }
}

impl From<Edge> for Met {
    fn from(edge: Edge) -> Self {
        match edge {
            Edge::Free => Self::Yes,
            Edge::Unknown => Self::Perhaps,
            Edge::Blocked => Self::No,
        }
    }
}

/// A way for the text to stand in a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crossing {
    /// What columns must be like; none: it stands in every line.
    pub(super) demands: Vec<(usize, Demand)>,
    /// Whether lines that satisfy these hold the text for sure.
    pub(super) is_sure: bool,
}

/// Whether a border between words is at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Free,
    Blocked,
    Unknown,
}

impl Kind {
    fn holds(self, c: char) -> bool {
        match self {
            Self::Integer => c.is_ascii_digit(),
            Self::Decimal => c.is_ascii_digit() || c == '.',
            Self::Hex => matches!(c, '0'..='9' | 'a'..='f'),
            Self::Time => {
                c.is_ascii_digit()
                    || matches!(c, '-' | ':' | '.' | ',' | ' ' | 'T' | 't' | 'Z' | 'z')
            }
            Self::Any => !matches!(c, '\n' | '\u{1}' | '\u{2}'),
        }
    }

    /// Whether values begin and end with a letter or digit.
    fn is_word_at_ends(self) -> bool {
        self != Self::Any
    }
}

/// Whether the text may cross a border between pieces. Sees only the edges of fixed pieces.
pub(super) fn may_cross(sought: &Sought, views: &[View<'_>]) -> bool {
    if sought.letters().len() < 2 {
        return false;
    }
    let is_possible = |byte: Option<&u8>| byte.is_none_or(|byte| sought.has_byte(*byte));
    views.windows(2).any(|pair| {
        let left = match pair {
            [View::Fixed(text), _] => is_possible(text.last()),
            _ => true,
        };
        let right = match pair {
            [_, View::Fixed(text)] => is_possible(text.first()),
            _ => true,
        };
        left && right
    })
}

/// All ways for the text to reach over several pieces; `None`: too many to tell.
pub(super) fn crossings(sought: &Sought, views: &[View<'_>]) -> Option<Vec<Crossing>> {
    let mut walk = Walk {
        sought,
        views,
        found: Vec::new(),
        steps: 0,
        demands: Vec::new(),
    };
    let n = sought.letters().len();
    for (piece, view) in views.iter().enumerate() {
        match view {
            View::Fixed(text) => {
                // The text's first part is shorter than the needle, in bytes of up to 4 a letter.
                for start in text.len().saturating_sub((n - 1) * 4)..text.len() {
                    if !text.get(start).is_some_and(|byte| sought.has_byte(*byte)) {
                        continue;
                    }
                    match sought.eat(0, text.get(start..).unwrap_or_default()) {
                        Eaten::Upto(i) => {
                            let edge = edge(sought.borders.0, || edge_before(views, piece, start));
                            walk.go_on(piece + 1, i, edge)?;
                        }
                        Eaten::Unknown => return None,
                        Eaten::No | Eaten::All(_) => {}
                    }
                }
            }
            View::Variable(column, kind) => {
                for k in 1..n {
                    if !sought.letters().get(k - 1).is_some_and(|c| kind.holds(*c)) {
                        break;
                    }
                    // Its border is inside the variable or before it: the demand says.
                    let edge = sought.borders.0.then(|| edge_before(views, piece, 0));
                    walk.demands.push((*column, Demand::Ends(k, edge)));
                    walk.go_on(piece + 1, k, Edge::Free)?;
                    walk.demands.pop();
                }
            }
        }
    }
    Some(walk.found)
}

struct Walk<'a> {
    sought: &'a Sought,
    views: &'a [View<'a>],
    found: Vec<Crossing>,
    steps: usize,
    demands: Vec<(usize, Demand)>,
}

impl Walk<'_> {
    /// Follows the letters from number `i` on into a piece. `None` when it gets too much.
    fn go_on(&mut self, piece: usize, i: usize, before: Edge) -> Option<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return None;
        }
        let views = self.views;
        let n = self.sought.letters().len();
        match views.get(piece) {
            None => {}
            Some(View::Fixed(text)) => match self.sought.eat(i, text) {
                Eaten::No => {}
                Eaten::Unknown => return None,
                Eaten::Upto(i) => self.go_on(piece + 1, i, before)?,
                Eaten::All(end) => {
                    let after = edge(self.sought.borders.1, || edge_after(views, piece, end));
                    self.finish(before, after)?;
                }
            },
            Some(View::Variable(column, kind)) => {
                for j in i + 1..=n {
                    if !self
                        .sought
                        .letters()
                        .get(j - 1)
                        .is_some_and(|c| kind.holds(*c))
                    {
                        break;
                    }
                    if j == n {
                        let needs_border = self.sought.borders.1;
                        let edge = needs_border.then(|| edge_after(views, piece, 0));
                        self.demands.push((*column, Demand::Begins(i, edge)));
                        self.finish(before, Edge::Free)?;
                    } else {
                        self.demands.push((*column, Demand::Is(i, j)));
                        self.go_on(piece + 1, j, before)?;
                    }
                    self.demands.pop();
                }
            }
        }
        Some(())
    }

    fn finish(&mut self, before: Edge, after: Edge) -> Option<()> {
        if before == Edge::Blocked || after == Edge::Blocked {
            return Some(());
        }
        if self.found.len() >= CROSSINGS_MAX {
            return None;
        }
        self.found.push(Crossing {
            demands: self.demands.clone(),
            is_sure: before == Edge::Free && after == Edge::Free,
        });
        Some(())
    }
}

/// The edge at one end of the text, which is of no interest where no border is needed.
fn edge(is_needed: bool, edge: impl FnOnce() -> Edge) -> Edge {
    if is_needed { edge() } else { Edge::Free }
}

/// Whether a word can begin at a place in a piece.
pub(super) fn edge_before(views: &[View<'_>], piece: usize, start: usize) -> Edge {
    if let Some(View::Fixed(text)) = views.get(piece)
        && start > 0
    {
        return edge_behind(text.get(..start).unwrap_or_default(), piece == 0);
    }
    for (at, view) in views.iter().enumerate().take(piece).rev() {
        match view {
            View::Fixed([]) => {}
            View::Fixed(text) => return edge_behind(text, at == 0),
            View::Variable(_, kind) if kind.is_word_at_ends() => return Edge::Blocked,
            View::Variable(..) => return Edge::Unknown,
        }
    }
    Edge::Free
}

/// Whether a word can begin behind a text, which may be the beginning of the line.
fn edge_behind(text: &[u8], is_line_start: bool) -> Edge {
    let is_told = is_line_start
        || text.len() >= CONTEXT_BYTES
        || matches!(text.last(), Some(last) if last.is_ascii() && *last != b'm');
    match (is_told, letter_ends_at(text, text.len())) {
        (false, _) => Edge::Unknown,
        (true, false) => Edge::Free,
        (true, true) => Edge::Blocked,
    }
}

/// Whether a word can end before a text, which may be the end of the line.
fn edge_ahead(text: &[u8], is_line_end: bool) -> Edge {
    let is_told = is_line_end || text.len() >= 4 || text.first().is_some_and(u8::is_ascii);
    match (is_told, letter_starts_at(text, 0)) {
        (false, _) => Edge::Unknown,
        (true, false) => Edge::Free,
        (true, true) => Edge::Blocked,
    }
}

/// Whether a word can end at a place in a piece; behind a variable at any place.
pub(super) fn edge_after(views: &[View<'_>], piece: usize, end: usize) -> Edge {
    let last = views.len().saturating_sub(1);
    if let Some(View::Fixed(text)) = views.get(piece)
        && end < text.len()
    {
        return edge_ahead(text.get(end..).unwrap_or_default(), piece == last);
    }
    for (at, view) in views.iter().enumerate().skip(piece + 1) {
        match view {
            View::Fixed([]) => {}
            View::Fixed(text) => return edge_ahead(text, at == last),
            View::Variable(_, kind) if kind.is_word_at_ends() => return Edge::Blocked,
            View::Variable(..) => return Edge::Unknown,
        }
    }
    Edge::Free
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::Needle;

    #[test]
    fn texts_are_followed_over_pieces() {
        let views = [
            View::Fixed(b"{\"status\":"),
            View::Variable(0, Kind::Integer),
            View::Fixed(b",\"trace\":\""),
            View::Variable(1, Kind::Hex),
            View::Fixed(b"\"}"),
        ];
        let check = |text: &str, expected: &[&[(usize, Demand)]]| {
            let sought = Sought::exact(text.as_bytes()).expect("not empty");
            let found = crossings(&sought, &views).expect("not too many");
            let demands: Vec<_> = found.iter().map(|c| &c.demands[..]).collect();
            assert_eq!(demands, expected, "{text}");
            assert!(found.iter().all(|c| c.is_sure));
            assert!(found.is_empty() || may_cross(&sought, &views), "{text}");
        };
        check("\"status\":503,", &[&[(0, Demand::Is(9, 12))]]);
        check(
            "3,\"trace\":\"a0",
            &[&[(0, Demand::Ends(1, None)), (1, Demand::Begins(11, None))]],
        );
        check("\"trace\":\"g", &[]);
        check("ab\"}", &[&[(1, Demand::Ends(2, None))]]);
        check("status", &[]);
        check("503", &[]);
    }

    #[test]
    fn borders_are_told_where_pieces_tell_them() {
        let views = [
            View::Fixed(b"took "),
            View::Variable(0, Kind::Integer),
            View::Fixed(b"ms to "),
            View::Variable(1, Kind::Any),
        ];
        assert_eq!(edge_before(&views, 0, 0), Edge::Free);
        assert_eq!(edge_before(&views, 0, 1), Edge::Blocked);
        assert_eq!(edge_before(&views, 1, 0), Edge::Free);
        assert_eq!(edge_before(&views, 2, 0), Edge::Blocked);
        assert_eq!(edge_after(&views, 0, 4), Edge::Free);
        assert_eq!(edge_after(&views, 0, 5), Edge::Blocked);
        assert_eq!(edge_after(&views, 1, 0), Edge::Blocked);
        assert_eq!(edge_after(&views, 2, 6), Edge::Unknown);
        assert_eq!(edge_after(&views, 3, 0), Edge::Free);
        let needle = Sought::needle(&Needle::whole("took 7").expect("not empty"));
        let found = crossings(&needle, &views).expect("not too many");
        let demand = Demand::Begins(5, Some(Edge::Blocked));
        assert_eq!(found[0].demands, [(0, demand)]);
        // Behind the 7 a digit follows, or the unit, which is no border either.
        assert_eq!(demand.met(&needle, b"7"), Met::No);
        assert_eq!(demand.met(&needle, b"77"), Met::No);
        assert_eq!(demand.met(&needle, b"7."), Met::Yes);
        assert_eq!(demand.met(&needle, b"7\xc3"), Met::Perhaps);
    }
}
