//! Which lines of a block hold a text? Answered from shapes and columns, without rebuilding a line.
//!
//! A line is a row of pieces: literals of its shape, and variables. What is sought stands
//!
//! 1. in a literal or a constant variable: then all lines of the shape hold it,
//! 2. inside one variable: the dictionary, the text frame or the typed values are looked through,
//! 3. or over several pieces ([`super::crossing`]): then columns must end, be or begin so.
//!
//! Nearly always that decides. Where a border between words depends on more than was looked at,
//! the rows are left open in the [`Verdict`].

use std::ops::Range;

use super::bytes::Corrupt;
use super::crossing::{self, Crossing, Edge, Kind, View};
use super::decode::Block;
use super::directory::{Piece, Shape, Stored};
use super::sought::Sought;
use super::verdict::Verdict;
use crate::bits::Bits;

impl Block {
    /// The rows that hold a text, where they are among `among` (none: all rows); of other rows the
    /// verdict says nothing.
    pub(crate) fn find(
        &mut self,
        sought: &Sought,
        among: Option<&Bits>,
    ) -> Result<Verdict, Corrupt> {
        let mut verdict = Verdict::none(self.len());
        self.find_in_odd(sought, &mut verdict)?;
        let mut is_done = self.shapes_without(among);
        self.find_in_fixed(sought, &mut is_done, &mut verdict);
        self.find_crossing(sought, &mut is_done, among, &mut verdict)?;
        if sought.fits_values && !is_done.iter().all(|done| *done) {
            self.find_in_dictionary(sought, &is_done, &mut verdict)?;
            self.find_in_texts(sought, &is_done, &mut verdict)?;
            self.find_in_typed(sought, &is_done, &mut verdict)?;
        }
        Ok(verdict)
    }

    /// Per shape, whether none of its rows is among these.
    fn shapes_without(&self, among: Option<&Bits>) -> Vec<bool> {
        let Some(among) = among else {
            return vec![false; self.shapes.len()];
        };
        self.shapes
            .iter()
            .map(|shape| !shape.rows.iter().any(|row| among.contains(*row as usize)))
            .collect()
    }

    fn find_in_odd(&mut self, sought: &Sought, verdict: &mut Verdict) -> Result<(), Corrupt> {
        if self.odd_rows.is_empty() {
            return Ok(());
        }
        let hits: Vec<bool> = self.odd_texts()?.iter().map(|t| sought.is_in(t)).collect();
        for (row, _) in self.odd_rows.iter().zip(hits).filter(|(_, hit)| *hit) {
            verdict.add(*row as usize, true);
        }
        Ok(())
    }

    /// Literals and constants all lie in the directory, which is looked through as one text.
    fn find_in_fixed(&self, sought: &Sought, is_done: &mut [bool], verdict: &mut Verdict) {
        let mut from = 0;
        while let Some(place) = sought.find_letters(&self.directory, from) {
            from = place.start + 1;
            let number = self
                .shapes
                .partition_point(|shape| shape.start() <= place.start);
            let Some(number) = number.checked_sub(1) else {
                continue;
            };
            let (Some(shape), Some(false)) = (self.shapes.get(number), is_done.get(number)) else {
                continue;
            };
            // Not what stands between the texts, and nothing that reaches over a mark.
            let Some((piece, text)) = fixed_piece_at(shape, &place) else {
                continue;
            };
            let edges = self.edges(sought, shape, |views| {
                (
                    crossing::edge_before(views, piece, place.start - text.start),
                    crossing::edge_after(views, piece, place.end - text.start),
                )
            });
            if edges != Edge::Blocked {
                let is_sure = edges == Edge::Free;
                shape
                    .rows
                    .iter()
                    .for_each(|row| verdict.add(*row as usize, is_sure));
                if is_sure && let Some(done) = is_done.get_mut(number) {
                    *done = true;
                }
            }
        }
    }

    /// The worse of the edges at both ends of a place, where the text needs them.
    fn edges(
        &self,
        sought: &Sought,
        shape: &Shape,
        edges: impl FnOnce(&[View<'_>]) -> (Edge, Edge),
    ) -> Edge {
        let (needs_before, needs_after) = sought.borders;
        if !needs_before && !needs_after {
            return Edge::Free;
        }
        let (before, after) = edges(&self.views(shape));
        let before = if needs_before { before } else { Edge::Free };
        let after = if needs_after { after } else { Edge::Free };
        match (before, after) {
            (Edge::Free, Edge::Free) => Edge::Free,
            (Edge::Blocked, _) | (_, Edge::Blocked) => Edge::Blocked,
            _ => Edge::Unknown,
        }
    }

    /// The pieces of a shape as a search sees them.
    pub(super) fn views<'a>(&'a self, shape: &'a Shape) -> Vec<View<'a>> {
        shape
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(range) => View::Fixed(self.fixed(range)),
                Piece::Column(number) => match shape.columns.get(*number).map(|c| &c.stored) {
                    Some(Stored::Constant(range)) => View::Fixed(self.fixed(range)),
                    Some(stored) => View::Variable(*number, kind_of(stored)),
                    None => View::Fixed(&[]),
                },
            })
            .collect()
    }

    fn find_crossing(
        &mut self,
        sought: &Sought,
        is_done: &mut [bool],
        among: Option<&Bits>,
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        for number in 0..self.shapes.len() {
            let (Some(shape), Some(done)) = (self.shapes.get(number), is_done.get_mut(number))
            else {
                continue;
            };
            if *done || !self.may_cross(sought, shape) {
                continue;
            }
            let views = self.views(shape);
            if !crossing::may_cross(sought, &views) {
                continue;
            }
            let Some(ways) = crossing::crossings(sought, &views) else {
                let rows = shape.rows.iter();
                rows.for_each(|row| verdict.add(*row as usize, false));
                continue;
            };
            if let Some(way) = ways.iter().find(|w| w.demands.is_empty() && w.is_sure) {
                let rows = shape.rows.iter();
                rows.for_each(|row| verdict.add(*row as usize, way.is_sure));
                *done = true;
                continue;
            }
            for way in ways {
                self.add_crossing(sought, number, &way, among, verdict)?;
            }
        }
        Ok(())
    }

    /// A glance at the edges of the literals: most texts cannot cross any border of a shape.
    fn may_cross(&self, sought: &Sought, shape: &Shape) -> bool {
        let may_touch = |range: &Range<usize>| {
            let text = self.fixed(range);
            let touches = |byte: Option<&u8>| byte.is_none_or(|byte| sought.has_byte(*byte));
            touches(text.first()) || touches(text.last())
        };
        shape.pieces.iter().any(|piece| match piece {
            Piece::Literal(range) => may_touch(range),
            // Between two literals; these tell.
            Piece::Column(_) => false,
        })
    }

    /// Adds the rows of a shape that satisfy the demands of a crossing.
    fn add_crossing(
        &mut self,
        sought: &Sought,
        number: usize,
        way: &Crossing,
        among: Option<&Bits>,
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        let Some(shape) = self.shapes.get(number) else {
            return Ok(());
        };
        let mut rows: Vec<u32> = (0..shape.rows.len() as u32)
            .filter(|index| {
                let row = shape.rows.get(*index as usize);
                among.is_none_or(|among| row.is_some_and(|row| among.contains(*row as usize)))
            })
            .collect();
        let mut doubtful = Vec::new();
        for (column, demand) in &way.demands {
            if rows.is_empty() {
                return Ok(());
            }
            let column = (number, *column);
            self.retain(sought, column, *demand, &mut rows, &mut doubtful)?;
        }
        let Some(shape) = self.shapes.get(number) else {
            return Ok(());
        };
        for index in rows {
            if let Some(row) = shape.rows.get(index as usize) {
                let is_sure = way.is_sure && !doubtful.contains(&index);
                verdict.add(*row as usize, is_sure);
            }
        }
        Ok(())
    }

    fn find_in_dictionary(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        // Where values end is only asked once it is in one.
        if sought.find_letters(self.dictionary_frame()?, 0).is_none() {
            return Ok(());
        }
        let (frame, ends) = self.dictionary()?;
        let hits = values_with(sought, frame, ends);
        if hits.is_empty() {
            return Ok(());
        }
        for number in undone(is_done) {
            let n_columns = self.shapes.get(number).map_or(0, |s| s.columns.len());
            for column in 0..n_columns {
                let Some(Stored::Dictionary { first, count, .. }) = self.stored(number, column)
                else {
                    continue;
                };
                let (first, count) = (*first, *count);
                let hits = within(&hits, first, count);
                if hits.is_empty() {
                    continue;
                }
                let mut wanted = [false; 256];
                for hit in hits {
                    if let Some(wanted) = wanted.get_mut(hit - first) {
                        *wanted = true;
                    }
                }
                self.prepare_column(number, column)?;
                let Some(shape) = self.shapes.get(number) else {
                    continue;
                };
                let Some(values) = shape.columns.get(column) else {
                    continue;
                };
                let is_sure = self.is_free(sought, shape, column);
                for (id, row) in Self::dictionary_ids(values).iter().zip(&shape.rows) {
                    if wanted[usize::from(*id)] {
                        verdict.add(*row as usize, is_sure);
                    }
                }
            }
        }
        Ok(())
    }

    fn find_in_texts(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        // Decompressing the text frame is most of the work: only if an open shape has such a column.
        let columns: Vec<(usize, usize, usize, usize)> = undone(is_done)
            .filter_map(|number| Some((number, self.shapes.get(number)?)))
            .flat_map(|(number, shape)| {
                let texts = shape.columns.iter().enumerate();
                texts.filter_map(move |(column, c)| match c.stored {
                    Stored::Text { first, .. } => Some((first, shape.rows.len(), number, column)),
                    _ => None,
                })
            })
            .collect();
        if columns.is_empty() {
            return Ok(());
        }
        if sought.find_letters(self.text_frame()?, 0).is_none() {
            return Ok(());
        }
        let (frame, ends) = self.texts()?;
        let hits = values_with(sought, frame, ends);
        for (first, n, number, column) in columns {
            let hits = within(&hits, first, n);
            if hits.is_empty() {
                continue;
            }
            if let Some(shape) = self.shapes.get(number) {
                let is_sure = self.is_free(sought, shape, column);
                for row in hits.iter().filter_map(|hit| shape.rows.get(hit - first)) {
                    verdict.add(*row as usize, is_sure);
                }
            }
        }
        Ok(())
    }

    /// Numbers, hex and timestamps, where what is sought looks like one.
    fn find_in_typed(
        &mut self,
        sought: &Sought,
        is_done: &[bool],
        verdict: &mut Verdict,
    ) -> Result<(), Corrupt> {
        let looks = sought.looks;
        if !looks.time && !looks.decimal && !looks.hex {
            return Ok(());
        }
        let in_hex = looks.hex && self.may_be_in_hex(sought)?;
        if !looks.time && !looks.decimal && !in_hex {
            return Ok(());
        }
        for number in undone(is_done) {
            let n_columns = self.shapes.get(number).map_or(0, |s| s.columns.len());
            for column in 0..n_columns {
                let hits = match self.stored(number, column) {
                    Some(Stored::Integer(_)) if looks.integer => {
                        self.find_in_written(sought, number, column)?
                    }
                    Some(Stored::Decimal(..)) if looks.decimal => {
                        self.find_in_written(sought, number, column)?
                    }
                    Some(Stored::Hex { width, .. })
                        if in_hex && sought.letters().len() <= width * 2 =>
                    {
                        self.find_in_hex(sought, number, column)?
                    }
                    Some(Stored::Time(..) | Stored::TimeConstant(..)) if looks.time => {
                        self.find_in_written(sought, number, column)?
                    }
                    _ => continue,
                };
                let Some(shape) = self.shapes.get(number).filter(|_| !hits.is_empty()) else {
                    continue;
                };
                let is_sure = self.is_free(sought, shape, column);
                for row in hits.iter().filter_map(|hit| shape.rows.get(*hit)) {
                    verdict.add(*row as usize, is_sure);
                }
            }
        }
        Ok(())
    }

    /// Whether words can begin and end at both ends of a column's values, as far as needed: then
    /// what stands in a value stands in the line.
    fn is_free(&self, sought: &Sought, shape: &Shape, column: usize) -> bool {
        let piece = shape
            .pieces
            .iter()
            .position(|piece| matches!(piece, Piece::Column(c) if *c == column));
        let Some(piece) = piece else {
            return false;
        };
        let edges = self.edges(sought, shape, |views| {
            (
                crossing::edge_before(views, piece, 0),
                crossing::edge_after(views, piece, 0),
            )
        });
        edges == Edge::Free
    }

    pub(super) fn stored(&self, shape: usize, column: usize) -> Option<&Stored> {
        Some(&self.shapes.get(shape)?.columns.get(column)?.stored)
    }
}

/// The literal or constant that holds a place of the directory: its number among the pieces,
/// and where it lies.
fn fixed_piece_at(shape: &Shape, place: &Range<usize>) -> Option<(usize, Range<usize>)> {
    shape.pieces.iter().enumerate().find_map(|(i, piece)| {
        let range = match piece {
            Piece::Literal(range) => range,
            Piece::Column(column) => match &shape.columns.get(*column)?.stored {
                Stored::Constant(range) => range,
                _ => return None,
            },
        };
        (range.start <= place.start && place.end <= range.end).then(|| (i, range.clone()))
    })
}

fn undone(is_done: &[bool]) -> impl Iterator<Item = usize> {
    let numbered = is_done.iter().enumerate();
    numbered.filter(|(_, done)| !**done).map(|(i, _)| i)
}

fn kind_of(stored: &Stored) -> Kind {
    match stored {
        Stored::Integer(_) => Kind::Integer,
        Stored::Decimal(..) => Kind::Decimal,
        Stored::Hex { .. } => Kind::Hex,
        Stored::Time(..) | Stored::TimeConstant(..) => Kind::Time,
        Stored::Constant(_) | Stored::Dictionary { .. } | Stored::Text { .. } => Kind::Any,
    }
}

/// Numbers of the values in a frame that hold the text, ascending.
pub(super) fn values_with(sought: &Sought, frame: &[u8], ends: &[u32]) -> Vec<usize> {
    let mut hits = Vec::new();
    let mut from = 0;
    let mut value = 0;
    while let Some(place) = sought.find(frame, from) {
        let rest = ends.get(value..).unwrap_or_default();
        value += rest.partition_point(|end| (*end as usize) < place.start);
        hits.push(value);
        // One hit per value is enough.
        match ends.get(value) {
            Some(end) => from = *end as usize + 1,
            None => break,
        }
    }
    hits
}

/// The part of ascending numbers that lies in `first..first + n`.
fn within(numbers: &[usize], first: usize, n: usize) -> &[usize] {
    let start = numbers.partition_point(|i| *i < first);
    let end = numbers.partition_point(|i| *i < first + n);
    numbers.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::encode::Encoder;
    use super::*;
    use crate::lines::Lines;
    use log_query::Needle;
    use model::Level;
    use proptest::prelude::*;

    fn block(texts: &[Vec<u8>]) -> Block {
        let mut lines = Lines::default();
        for (i, text) in texts.iter().enumerate() {
            let time_ns = 1_795_305_600_000_000_000 + i as i64 * 1_000_000_000;
            lines.push(time_ns, Level::Info, text);
        }
        let encoded = Encoder::new()
            .and_then(|mut e| e.encode(&lines))
            .expect("a block");
        Block::open(encoded.bytes).expect("it opens")
    }

    /// The verdict never says what is wrong; returns how many rows it left open.
    fn check(texts: &[Vec<u8>], sought: &Sought, shown: &str) -> usize {
        let mut block = block(texts);
        let verdict = block.find(sought, None).expect("a verdict");
        for (row, text) in texts.iter().enumerate() {
            let holds = sought.is_in(text);
            let line = String::from_utf8_lossy(text);
            assert!(
                holds || !verdict.sure.contains(row),
                "{shown:?} in {line:?}"
            );
            assert!(
                !holds || verdict.maybe.contains(row),
                "{shown:?} in {line:?}"
            );
        }
        verdict.open().count()
    }

    fn all_ways(text: &str) -> Vec<Sought> {
        [
            Needle::whole(text).map(|needle| Sought::needle(&needle)),
            Needle::prefix(text).map(|needle| Sought::needle(&needle)),
            Sought::in_any_case(text),
            Sought::exact(text.as_bytes()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn usual_texts_are_decided_without_lines() {
        let texts: Vec<Vec<u8>> = (0..200)
            .map(|i| {
                format!(
                    "at 10:00:{:02}.{:06} user={} id={:08x} took {}.5s kind=\"{}\" code {} ok {}ms",
                    i % 60,
                    i,
                    ["ann", "bob", "cy"][i % 3],
                    i * 7919,
                    i,
                    ["a b", "c-d"][i % 2],
                    5000 + i,
                    i % 7
                )
                .into_bytes()
            })
            .collect();
        for text in [
            "ann",
            "d",
            "took",
            "5077",
            "77",
            "000077",
            "0001ee",
            "nothing",
            "kind",
            "user=ann",
            "code 5077 ok",
            "kind=\"a b\"",
            "\" code 50",
            "=ann id=0",
            "7.5s",
            "10:00:07",
            "cy id",
            "b\" code",
            "1ee",
            "01e",
            "5",
            "ok 5ms",
            "CODE 5012",
            "001eef",
        ] {
            for sought in all_ways(text) {
                check(&texts, &sought, text);
            }
            let exact = Sought::exact(text.as_bytes()).expect("not empty");
            assert_eq!(check(&texts, &exact, text), 0, "{text}");
        }
        for word in [
            "ann", "took", "5077", "000077", "nothing", "kind", "user=ann", "0001eef0",
        ] {
            let needle = Needle::whole(word).expect("not empty");
            assert_eq!(check(&texts, &Sought::needle(&needle), word), 0, "{word}");
        }
    }

    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("error ".to_owned()),
            Just("a=ab ".to_owned()),
            Just("a=ba,".to_owned()),
            Just("\"a\":\"ab ba\",".to_owned()),
            Just("\"a\":\"a\\\"b\",".to_owned()),
            Just("\u{e9}".to_owned()),
            Just("=\u{c9}a\u{e9} ".to_owned()),
            Just("=a\u{e9}1".to_owned()),
            Just("\u{65e5}1\u{672c}".to_owned()),
            Just("\x1b[31mab\x1b[0m".to_owned()),
            Just("\x1b[31m1\x1b[0m".to_owned()),
            Just("\x1b[1m10:00:05".to_owned()),
            Just("\n".to_owned()),
            Just("\u{1}".to_owned()),
            (0u32..130).prop_map(|n| format!("{n}")),
            (0u32..130).prop_map(|n| format!("{n}ms ")),
            (0u32..130).prop_map(|n| format!("{n}m")),
            (0u32..130).prop_map(|n| format!("{n}.5 ")),
            (0u32..5).prop_map(|n| format!("id={:08x};", n * 0x0101_ab1f)),
            (0u32..3).prop_map(|n| format!("2026-11-22T00:00:0{n}.123Z ")),
            "[ab1 \"=:.]{1,3}",
        ];
        let raw = prop::collection::vec(any::<u8>(), 0..3);
        prop_oneof![
            9 => prop::collection::vec(piece, 0..5).prop_map(|p| p.concat().into_bytes()),
            1 => (prop::collection::vec("[ab1= \"]{1,3}", 0..3), raw)
                .prop_map(|(p, raw)| [p.concat().into_bytes(), raw].concat()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Some lines, each several times with its own numbers, so that every kind of column comes
        /// about; sought is a part of one of them, or something similar.
        #[test]
        fn verdicts_are_never_wrong(
            kinds in prop::collection::vec(any_line(), 1..6),
            repeats in 1usize..9,
            at in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
            len in 1usize..14,
            other in "[abé1 \"=:.]{1,4}",
        ) {
            let mut texts = Vec::new();
            for i in 0..repeats {
                for kind in &kinds {
                    // Digits are counted on, so that numbers differ from line to line.
                    let text: Vec<u8> = kind
                        .iter()
                        .map(|b| if *b == b'5' { b'0' + (i % 10) as u8 } else { *b })
                        .collect();
                    texts.push(text);
                }
            }
            let text = &texts[at.0.index(texts.len())];
            let shown = String::from_utf8_lossy(text).into_owned();
            let chars: Vec<char> = shown.chars().collect();
            let start = at.1.index(chars.len().max(1));
            let part: String = chars.iter().skip(start).take(len).collect();
            let turned: String = part.chars().flat_map(char::to_uppercase).collect();
            for text in [part, turned, other] {
                for sought in all_ways(&text) {
                    check(&texts, &sought, &text);
                }
            }
            let bytes = at.2.index(text.len().max(1));
            if let Some(sought) = text.get(bytes..(bytes + len).min(text.len())).and_then(Sought::exact) {
                check(&texts, &sought, "bytes");
            }
        }
    }
}
