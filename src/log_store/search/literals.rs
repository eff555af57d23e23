//! What every line must hold that a regular expression matches.
//!
//! 1. The expression is taken apart into a row of parts that follow each other directly: texts,
//!    small sets of texts (`50[34]`, `(a|b)`), letters in both cases, and gaps (`.*`).
//! 2. Between gaps, neighbouring parts are multiplied out into few texts: a line must hold one of
//!    them. Each such list is a [`Clause`]; a line must satisfy all.
//! 3. Where nothing was left out, a line that satisfies the clause matches: the expression is but
//!    a way to write a text ([`Required::is_exact`]).

use log_query::{Regex, fold};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// More texts than this in a clause cost more than they rule out.
const TEXTS_MAX: usize = 16;

/// Clauses beyond these, the shortest, are left out.
const CLAUSES_MAX: usize = 4;

/// Shorter texts stand everywhere.
const TEXT_BYTES_MIN: usize = 2;

/// Repetitions up to this are written out.
const REPEATS_MAX: u32 = 8;

/// What lines must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Required {
    pub(crate) clauses: Vec<Clause>,
    /// Whether every line that satisfies the only clause matches.
    pub(crate) is_exact: bool,
}

/// One of these must stand in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) texts: Vec<Vec<u8>>,
    /// In any case; then the texts are UTF-8.
    pub(crate) any_case: bool,
}

impl Clause {
    /// The longer its shortest text, the more it rules out.
    fn worth(&self) -> usize {
        self.texts.iter().map(Vec::len).min().unwrap_or_default()
    }
}

/// A part of an expression.
#[derive(Debug, Clone)]
enum Part {
    /// One of these texts.
    Texts(Vec<Vec<u8>>),
    /// A letter in both cases.
    AnyCase(char),
    /// Nothing is known of what stands here.
    Gap,
    /// One of these stands somewhere in here, and nothing else is known.
    Within(Clause),
    /// A condition on the place, of no width.
    Place,
}

/// What lines must hold that an expression matches.
pub(crate) fn required(regex: &Regex) -> Required {
    // As the expression was compiled: on bytes, with Unicode classes.
    let mut parser = ParserBuilder::new().utf8(false).build();
    parser
        .parse(regex.as_str())
        .map(|hir| of(&hir))
        .unwrap_or_default()
}

fn of(hir: &Hir) -> Required {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let mut clauses = Vec::new();
    let mut run = Run::default();
    let mut is_exact = true;
    for part in &parts {
        match part {
            Part::Texts(texts) if run.can_take(texts.len()) => run.take(texts),
            Part::AnyCase(c) => run.take_any_case(*c),
            Part::Place => is_exact = false,
            part => {
                is_exact = false;
                clauses.extend(std::mem::take(&mut run).finish());
                match part {
                    Part::Texts(texts) => run.take(texts),
                    Part::Within(clause) => clauses.push(clause.clone()),
                    _ => {}
                }
            }
        }
    }
    is_exact &= run.is_exact();
    let before = clauses.len();
    clauses.extend(run.finish());
    is_exact &= before == 0 && clauses.len() == 1;
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.worth()));
    clauses.truncate(CLAUSES_MAX);
    Required { clauses, is_exact }
}

fn flatten(hir: &Hir, parts: &mut Vec<Part>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Look(_) => parts.push(Part::Place),
        HirKind::Literal(literal) => parts.push(Part::Texts(vec![literal.0.to_vec()])),
        HirKind::Class(class) => parts.push(of_class(class)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Concat(all) => all.iter().for_each(|hir| flatten(hir, parts)),
        HirKind::Repetition(repetition) => {
            if repetition.max == Some(repetition.min) && repetition.min <= REPEATS_MAX {
                (0..repetition.min).for_each(|_| flatten(&repetition.sub, parts));
                return;
            }
            if repetition.min > 0 {
                // Once at the front, once at the end; they may be the same.
                flatten(&repetition.sub, parts);
                parts.push(Part::Gap);
                flatten(&repetition.sub, parts);
            } else {
                parts.push(Part::Gap);
            }
        }
        HirKind::Alternation(any) => parts.push(of_alternatives(any)),
    }
}

fn of_class(class: &Class) -> Part {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let mut chars: Vec<char> = Vec::new();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                if range.len() + chars.len() > TEXTS_MAX {
                    return Part::Gap;
                }
                chars.extend(range.start()..=range.end());
            }
            texts.extend(chars.iter().map(|c| c.to_string().into_bytes()));
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                if range.len() + texts.len() > TEXTS_MAX {
                    return Part::Gap;
                }
                texts.extend((range.start()..=range.end()).map(|byte| vec![byte]));
                chars.extend((range.start()..=range.end()).map(char::from));
            }
        }
    }
    match chars.as_slice() {
        [] => Part::Gap,
        [a, b] if fold(*a) == fold(*b) && (a.is_ascii() || matches!(class, Class::Unicode(_))) => {
            Part::AnyCase(fold(*a))
        }
        _ => Part::Texts(texts),
    }
}

fn of_alternatives(any: &[Hir]) -> Part {
    let each: Vec<Required> = any.iter().map(of).collect();
    let is_exact = each.iter().all(|required| required.is_exact);
    // Of each alternative the clause that rules out most.
    let best: Option<Vec<Clause>> = each
        .into_iter()
        .map(|required| required.clauses.into_iter().next())
        .collect();
    let Some(best) = best else {
        return Part::Gap;
    };
    let any_case = best.iter().any(|clause| clause.any_case);
    let texts: Vec<Vec<u8>> = best.into_iter().flat_map(|clause| clause.texts).collect();
    let is_utf8 = texts.iter().all(|text| std::str::from_utf8(text).is_ok());
    if texts.len() > TEXTS_MAX || (any_case && !is_utf8) {
        return Part::Gap;
    }
    if is_exact && !any_case {
        Part::Texts(texts)
    } else {
        Part::Within(Clause { texts, any_case })
    }
}

/// Parts that follow each other directly, multiplied out.
#[derive(Debug, Clone, Default)]
struct Run {
    texts: Vec<Vec<u8>>,
    has_any_case: bool,
    /// Whether a letter must stand in one case.
    has_cased: bool,
}

impl Run {
    fn can_take(&self, n: usize) -> bool {
        self.texts.len().max(1) * n <= TEXTS_MAX
    }

    fn take(&mut self, more: &[Vec<u8>]) {
        let is_cased = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
        self.has_cased |= more.iter().flatten().any(is_cased);
        if self.texts.is_empty() {
            self.texts.push(Vec::new());
        }
        self.texts = self
            .texts
            .iter()
            .flat_map(|text| {
                more.iter()
                    .map(move |more| [text.as_slice(), more].concat())
            })
            .collect();
    }

    fn take_any_case(&mut self, c: char) {
        self.has_any_case = true;
        if self.texts.is_empty() {
            self.texts.push(Vec::new());
        }
        for text in &mut self.texts {
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Whether the texts say all.
    fn is_exact(&self) -> bool {
        !self.has_any_case || !self.has_cased
    }

    fn finish(self) -> Option<Clause> {
        let is_utf8 = || self.texts.iter().all(|t| std::str::from_utf8(t).is_ok());
        let clause = Clause {
            any_case: self.has_any_case,
            texts: self.texts.clone(),
        };
        let is_short = clause.worth() < TEXT_BYTES_MIN;
        (!is_short && (!clause.any_case || is_utf8())).then_some(clause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::{Filter, Needle, Query};
    use proptest::prelude::*;

    fn check(pattern: &str, expected: &[&[&str]], is_exact: bool) {
        let regex = Regex::new(pattern).expect(pattern);
        let required = required(&regex);
        let mut texts: Vec<Vec<String>> = required
            .clauses
            .iter()
            .map(|c| {
                let texts = c
                    .texts
                    .iter()
                    .map(|t| String::from_utf8_lossy(t).into_owned());
                texts.collect()
            })
            .collect();
        texts.sort();
        assert_eq!(texts, expected, "{pattern}");
        assert_eq!(required.is_exact, is_exact, "{pattern}");
    }

    #[test]
    fn expressions_tell_what_they_need() {
        check("3fa9c2", &[&["3fa9c2"]], true);
        check(
            "\"status\":50[34],.*\"id\":\"a[0-9]",
            &[
                &[
                    "\"id\":\"a0",
                    "\"id\":\"a1",
                    "\"id\":\"a2",
                    "\"id\":\"a3",
                    "\"id\":\"a4",
                    "\"id\":\"a5",
                    "\"id\":\"a6",
                    "\"id\":\"a7",
                    "\"id\":\"a8",
                    "\"id\":\"a9",
                ],
                &["\"status\":503,", "\"status\":504,"],
            ],
            false,
        );
        check("(refused|timed out)", &[&["refused", "timed out"]], true);
        check("^abc$", &[&["abc"]], false);
        check("(?i)time", &[&["time"]], true);
        check("(?i)fo.*ar", &[&["ar"], &["fo"]], false);
        check("ab{2}c", &[&["abbc"]], true);
        check("x(ab)+y", &[&["aby"], &["xab"]], false);
        check("[a-z]+", &[], false);
        check("a|bc", &[], false);
        check("(ab.*|cd.*)ef", &[&["ab", "cd"], &["ef"]], false);
        check("ab?", &[], false);
    }

    #[test]
    fn letters_with_three_forms_break_a_text() {
        // The long s and the Kelvin sign are other forms of s and k.
        let required = required(&Regex::new("(?i)ask").expect("valid"));
        assert!(!required.is_exact || required.clauses.iter().all(|c| c.texts.len() > 1));
    }

    fn is_satisfied(required: &Required, text: &[u8]) -> bool {
        required.clauses.iter().all(|clause| {
            clause.texts.iter().any(|wanted| {
                if clause.any_case {
                    let wanted = String::from_utf8(wanted.clone()).expect("UTF-8");
                    let needle = Needle::prefix(&wanted).expect("not empty");
                    needle.find_letters(text, 0).is_some()
                } else {
                    memchr::memmem::find(text, wanted).is_some()
                }
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_match_is_ruled_out(
            pattern in r"(\(\?i\))?(a|b|é|k|ab|[ab]|[a-c]|\.|\.\*|a\+|\(ab\|c\)|\(a\|b\*\)|b\{2\}|x\?|\^|\$|\\b){1,5}",
            text in "[abcékKAB\u{212a}]{0,12}",
        ) {
            if let Ok(Query { filter: Filter::Regex(regex), .. }) = Query::parse(&format!("/{pattern}/")) {
                let required = required(&regex);
                let satisfied = is_satisfied(&required, text.as_bytes());
                let matches = regex.is_match(text.as_bytes());
                prop_assert!(satisfied || !matches, "{required:?}");
                prop_assert!(!required.is_exact || satisfied == matches, "{required:?}");
            }
        }
    }
}
