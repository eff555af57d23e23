//! Takes a line apart into its shape (what stays the same from line to line) and its variables
//! (numbers, identifiers, quoted values, timestamps).
//!
//! What the tokenizer and the search rely on (`crate::tokens`): a run of ASCII letters, digits and
//! underscores is never cut between shape and variable, with two exceptions that they know,
//! timestamps and numbers with a unit (`12ms`: the number varies, the unit stays).

use memchr::memchr2;

use super::time_text::{self, is_word_byte};

/// Stands in a shape for a variable.
pub(crate) const VARIABLE: u8 = 1;
/// Stands in a shape for a timestamp; the byte after it is its [`time_text::TimeForm`].
pub(crate) const TIME: u8 = 2;

/// A variable of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Its text, as bytes of the line. Never empty, never with a line break in it.
    Text { start: u32, end: u32 },
    /// A timestamp's difference from the record's time.
    Time(i64),
}

/// Units that may follow a number without a space.
const UNITS: [&[u8]; 9] = [b"ms", b"s", b"us", b"ns", b"m", b"MB", b"kB", b"KB", b"GB"];

/// Whether a lower-cased word is a number with one of the units.
pub(crate) fn is_number_with_unit(word: &[u8]) -> bool {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, unit) = word.split_at(digits);
    !number.is_empty() && UNITS.iter().any(|u| u.eq_ignore_ascii_case(unit))
}

/// Whether a word may go on to become a number with one of the units.
pub(crate) fn begins_number_with_unit(word: &[u8]) -> bool {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = word.split_at(digits);
    !number.is_empty()
        && UNITS.iter().any(|u| {
            u.get(..rest.len())
                .is_some_and(|u| u.eq_ignore_ascii_case(rest))
        })
}

/// Whether a line holds bytes that mean something in shapes; it is then stored as it is.
pub(crate) fn is_odd(line: &[u8]) -> bool {
    memchr2(VARIABLE, TIME, line).is_some()
}

/// Takes a line apart. Appends to `shape` and `variables`; the line must not be
/// [odd](is_odd).
pub(crate) fn take_apart(
    line: &[u8],
    time_ns: i64,
    shape: &mut Vec<u8>,
    variables: &mut Vec<Variable>,
) {
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        if is_word_byte(byte) {
            at = take_word(line, at, time_ns, shape, variables);
        } else if byte == b'"' && opens_value(line, at) {
            shape.push(b'"');
            at = take_quoted(line, at + 1, shape, variables);
        } else if byte == 0x1b
            && let Some(codes) = colour_len(&line[at..])
        {
            at = take_coloured(line, at, codes, time_ns, shape, variables);
        } else {
            shape.push(byte);
            at += 1;
        }
    }
}

/// Takes the word that begins at `start` and returns where to go on.
fn take_word(
    line: &[u8],
    start: usize,
    time_ns: i64,
    shape: &mut Vec<u8>,
    variables: &mut Vec<Variable>,
) -> usize {
    let rest = &line[start..];
    let before = start.checked_sub(1).and_then(|i| line.get(i)).copied();
    if rest[0].is_ascii_digit()
        && let Some(found) = time_text::find(rest, time_ns)
    {
        shape.extend_from_slice(&[TIME, found.form.byte()]);
        variables.push(Variable::Time(found.difference));
        return start + found.len;
    }
    let mut word = rest.len();
    let mut digits = 0;
    for (i, byte) in rest.iter().enumerate() {
        if !is_word_byte(*byte) {
            word = i;
            break;
        }
        digits += usize::from(byte.is_ascii_digit());
    }
    let mut variable = |end: usize, shape: &mut Vec<u8>| {
        shape.push(VARIABLE);
        variables.push(Variable::Text {
            start: start as u32,
            end: end as u32,
        });
        end
    };
    if digits == 0 {
        if before == Some(b'=') {
            // The value of `key=value` up to a delimiter.
            let more = rest[word..].iter().position(|b| ends_bare_value(*b));
            return variable(more.map_or(line.len(), |n| start + word + n), shape);
        }
        shape.extend_from_slice(&rest[..word]);
        return start + word;
    }
    if digits == word {
        return variable(start + decimal_end(rest, word, before), shape);
    }
    let leading = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if leading > 0 && UNITS.contains(&&rest[leading..word]) {
        variable(start + leading, shape);
        shape.extend_from_slice(&rest[leading..word]);
        return start + word;
    }
    variable(start + word, shape)
}

/// Where a number ends that begins with `word` digits: behind its fraction where it has exactly
/// one (`12.5`, not `10.0.0.1`), which may be followed by a unit.
fn decimal_end(rest: &[u8], word: usize, before: Option<u8>) -> usize {
    if before == Some(b'.') || rest.get(word) != Some(&b'.') {
        return word;
    }
    let fraction = rest[word + 1..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    let end = word + 1 + fraction;
    let behind = rest.get(end..).unwrap_or_default();
    let unit = behind.iter().take_while(|b| is_word_byte(**b)).count();
    let another_dot =
        behind.first() == Some(&b'.') && behind.get(1).is_some_and(u8::is_ascii_digit);
    if fraction == 0 || another_dot || (unit > 0 && !UNITS.contains(&&behind[..unit])) {
        word
    } else {
        end
    }
}

/// Whether the quote at `at` opens a value: behind `=` or `:` (with a space at most).
fn opens_value(line: &[u8], at: usize) -> bool {
    match line.get(..at).unwrap_or_default() {
        [.., b'=' | b':'] | [.., b':', b' '] => true,
        [first, .., b' '] => *first != b'{',
        _ => false,
    }
}

/// Takes a quoted value up to its closing quote or the end of the line's first part; the closing
/// quote belongs to the shape.
fn take_quoted(
    line: &[u8],
    start: usize,
    shape: &mut Vec<u8>,
    variables: &mut Vec<Variable>,
) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    if rest.first().is_some_and(u8::is_ascii_digit) && time_text::find(rest, 0).is_some() {
        return start;
    }
    let mut end = 0;
    while let Some(byte) = rest.get(end) {
        match byte {
            b'"' | b'\n' => break,
            // A line break behind a backslash is one all the same.
            b'\\' if rest.get(end + 1).is_some_and(|b| *b != b'\n') => end += 2,
            _ => end += 1,
        }
    }
    let end = start + end.min(rest.len());
    if end > start {
        shape.push(VARIABLE);
        variables.push(Variable::Text {
            start: start as u32,
            end: end as u32,
        });
    }
    end
}

fn ends_bare_value(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b',' | b';' | b'}' | b']' | b')' | b'&' | b'"' | b'\\' | b'\n' | b'\t' | 0x1b
    )
}

/// Takes a terminal colour sequence (`ESC [ 31 m`) of so many bytes and the word directly behind it.
/// To a search the sequence's last letter is no part of that word, but it is one to those who look
/// at the word alone, so the two stay together in one variable. A timestamp stays apart
/// (`is_colour_and_time`).
fn take_coloured(
    line: &[u8],
    start: usize,
    codes: usize,
    time_ns: i64,
    shape: &mut Vec<u8>,
    variables: &mut Vec<Variable>,
) -> usize {
    let behind = line.get(start + codes..).unwrap_or_default();
    let word = behind.iter().take_while(|b| is_word_byte(**b)).count();
    let is_time = behind.first().is_some_and(u8::is_ascii_digit)
        && time_text::find(behind, time_ns).is_some();
    if word == 0 || is_time {
        shape.extend_from_slice(&line[start..start + codes]);
        return start + codes;
    }
    let end = start + codes + word;
    shape.push(VARIABLE);
    variables.push(Variable::Text {
        start: start as u32,
        end: end as u32,
    });
    end
}

/// Whether a lower-cased word may be the end of a colour sequence and the beginning of a timestamp
/// (`2m2026`, `m10`), which are kept apart, or the beginning of that.
pub(crate) fn is_colour_and_time(word: &[u8]) -> bool {
    let (codes, time) = match word.iter().position(|b| *b == b'm') {
        Some(m) => word.split_at(m + 1),
        None => return false,
    };
    codes
        .split_last()
        .is_some_and(|(_, codes)| codes.iter().all(u8::is_ascii_digit))
        && time.len() <= 4
        && time.iter().all(u8::is_ascii_digit)
}

/// Bytes of the terminal colour sequence at the start of a text.
pub(crate) fn colour_len(text: &[u8]) -> Option<usize> {
    let codes = text.strip_prefix(b"\x1b[")?;
    let n = codes
        .iter()
        .take_while(|b| b.is_ascii_digit() || **b == b';')
        .count();
    (codes.get(n) == Some(&b'm')).then_some(n + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape with `<…>` around variables and `<t>` for timestamps.
    fn check(line: &str, expected: &str) {
        let (mut shape, mut variables) = (Vec::new(), Vec::new());
        take_apart(line.as_bytes(), 0, &mut shape, &mut variables);
        let mut shown = String::new();
        let mut bytes = shape.iter();
        let mut next = variables.iter();
        while let Some(byte) = bytes.next() {
            match (*byte, *byte == VARIABLE || *byte == TIME) {
                (_, true) => match next.next().expect("as many variables as marks") {
                    Variable::Time(_) => {
                        bytes.next();
                        shown.push_str("<t>");
                    }
                    Variable::Text { start, end } => {
                        let text = &line[*start as usize..*end as usize];
                        shown.extend(["<", text, ">"]);
                    }
                },
                (byte, false) => shown.push(char::from(byte)),
            }
        }
        assert_eq!(shown, expected);
    }

    #[test]
    fn lines_come_apart_where_they_vary() {
        check(
            "GET /api/v1/orders/16483 took 12ms",
            "GET /api/<v1>/orders/<16483> took <12>ms",
        );
        check(
            "ip 10.0.0.1 load 0.75 x",
            "ip <10>.<0>.<0>.<1> load <0.75> x",
        );
        check("12.5s 3.25mm", "<12.5>s <3>.<25mm>");
        check("at 10:00:05.123 on 2026-11-22T10:00:05Z.", "at <t> on <t>.");
        check(
            r#"{"level":"info","n":5,"ts":"2026-11-22T10:00:05Z","msg":"a \"b\""}"#,
            r#"{"level":"<info>","n":<5>,"ts":"<t>","msg":"<a \"b\">"}"#,
        );
        check(
            "level=info path=/a/b?x=1 done",
            "level=<info> path=/a/b?x=<1> done",
        );
        check("\x1b[31merror\x1b[0m 7", "<\x1b[31merror>\x1b[0m <7>");
        check(
            "\x1b[2m2026-11-22T10:00:05Z\x1b[0m x",
            "\x1b[2m<t>\x1b[0m x",
        );
        check("msg=\"open", "msg=\"<open>");
        check("msg=\"a\\\nb 7", "msg=\"<a\\>\nb <7>");
        check("0x1f trace 0bad 007", "<0x1f> trace <0bad> <007>");
    }

    #[test]
    fn numbers_with_units_are_told() {
        for word in ["12ms", "5s", "1gb", "7m"] {
            assert!(is_number_with_unit(word.as_bytes()), "{word}");
        }
        for word in ["ms", "12", "12msx", "12x"] {
            assert!(!is_number_with_unit(word.as_bytes()), "{word}");
        }
        assert!(begins_number_with_unit(b"12"));
        assert!(begins_number_with_unit(b"12k"));
        assert!(!begins_number_with_unit(b"12x"));
        assert!(!begins_number_with_unit(b"k"));
    }
}
