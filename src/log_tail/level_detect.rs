//! Finds the level that a line without fields gives: by words, by bytes, in its first part only.
//!
//! A level is a word in a place where loggers put one: in capitals (`ERROR`), in brackets
//! (`[warn]`, `[core:error]`, `<Info>`), before a colon at the start of the message (`error: …`),
//! between tabs or bars, as the first word behind a time; a letter before klog's date (`E0102`)
//! or behind Android's numbers (`1702  2395 D`); a syslog priority (`<3>`). The same words in
//! running text mean nothing, and HTTP status codes are no levels.

use model::Level;

/// Loggers write the level before this; further on it is text.
const SEARCH_BYTES_MAX: usize = 160;

/// The level of a line that is neither JSON nor logfmt, or [`Level::Unknown`].
pub(crate) fn detect(line: &[u8]) -> Level {
    if line.first() == Some(&b'<')
        && let Some(level) = priority(line)
    {
        return level;
    }
    if let Some(level) = klog(line) {
        return level;
    }
    words(line.get(..SEARCH_BYTES_MAX).unwrap_or(line))
}

/// `<34>`: the severity is the number modulo eight.
fn priority(line: &[u8]) -> Option<Level> {
    let digits = line[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) || line.get(digits + 1) != Some(&b'>') {
        return None;
    }
    let number = line[1..=digits]
        .iter()
        .fold(0u32, |value, byte| value * 10 + u32::from(byte - b'0'));
    // 23 facilities of eight severities each.
    if number >= 192 {
        return None;
    }
    Some(match number % 8 {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    })
}

/// `E0102 03:04:05`.
fn klog(line: &[u8]) -> Option<Level> {
    let [letter, date @ ..] = line else {
        return None;
    };
    let level = letter_level(*letter)?;
    let date = date.get(..5)?;
    (date[..4].iter().all(u8::is_ascii_digit) && date[4] == b' ').then_some(level)
}

fn letter_level(letter: u8) -> Option<Level> {
    Some(match letter {
        b'V' => Level::Trace,
        b'D' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        _ => return None,
    })
}

/// Goes through the words of the text and asks of each whether it is a level in its place.
fn words(text: &[u8]) -> Level {
    let mut at = 0;
    // Numbers seen before the first word, for "first word behind a time" and for Android.
    let mut numbers = 0u32;
    let mut words = 0u32;
    while let Some(&byte) = text.get(at) {
        if byte == 0x1b {
            at = after_escape(text, at);
            continue;
        }
        if !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let length = text[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let word = &text[at..at + length];
        if word.iter().any(u8::is_ascii_digit) {
            numbers += 1;
        } else {
            let place = Place {
                before: &text[..at],
                after: &text[at + length..],
                numbers,
                words,
            };
            if let Some(level) = word_level(word, &place) {
                return level;
            }
            words += 1;
        }
        at += length;
    }
    Level::Unknown
}

/// Skips a colour sequence: `ESC [ … letter`.
fn after_escape(text: &[u8], at: usize) -> usize {
    let parameters = text[at + 1..]
        .iter()
        .take_while(|byte| matches!(byte, b'[' | b';' | b'0'..=b'9'))
        .count();
    (at + 1 + parameters + 1).min(text.len())
}

/// What stands around a word.
struct Place<'a> {
    before: &'a [u8],
    after: &'a [u8],
    numbers: u32,
    words: u32,
}

impl Place<'_> {
    fn previous(&self) -> Option<u8> {
        self.before.last().copied()
    }

    fn next(&self) -> Option<u8> {
        self.after.first().copied()
    }

    /// `[warn]`, `[ warn ]`, `[core:error]`, `<Info>`, `(debug)`, `|info|`, tabs on both sides.
    fn enclosed(&self) -> bool {
        let open = trim_end_spaces(self.before).last().copied();
        let close = trim_start_spaces(self.after).first().copied();
        match (open, close) {
            (Some(b'['), Some(b']' | b':'))
            | (Some(b'<'), Some(b'>'))
            | (Some(b'('), Some(b')'))
            | (Some(b'|'), Some(b'|')) => true,
            (Some(b':'), Some(b']')) => self.next() == Some(b']') && self.previous() == Some(b':'),
            _ => self.previous() == Some(b'\t') && matches!(self.next(), None | Some(b'\t')),
        }
    }

    /// `error: …` where a message begins: at the start, behind a time, a tag, a bracket.
    fn heads_message(&self) -> bool {
        self.next() == Some(b':')
            && matches!(self.after.get(1), None | Some(b' ' | b'\t'))
            && match trim_end_spaces(self.before).last() {
                None => true,
                Some(byte) => {
                    byte.is_ascii_digit() || matches!(byte, b':' | b']' | b')' | b'>' | b'-' | b'|')
                }
            }
    }

    /// A word in capitals that stands alone, not in a path, a quotation or a name.
    fn stands_alone(&self) -> bool {
        let open = matches!(
            self.previous(),
            None | Some(
                b' ' | b'\t' | b'[' | b'(' | b'<' | b'|' | b':' | b'=' | b'.' | b'*' | b'-' | b'm'
            )
        );
        let close = matches!(
            self.next(),
            None | Some(
                b' ' | b'\t' | b']' | b')' | b'>' | b'|' | b':' | b',' | b';' | b'*' | b'\r' | 0x1b
            )
        ) || self.after.starts_with(b" -");
        open && close
    }
}

fn trim_end_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ');
    &text[..end.map_or(0, |at| at + 1)]
}

fn trim_start_spaces(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b' ');
    &text[start.unwrap_or(text.len())..]
}

fn word_level(word: &[u8], place: &Place<'_>) -> Option<Level> {
    if let [letter] = word {
        // Android: time, process and thread numbers, then one letter.
        let android = place.words == 0
            && place.numbers >= 3
            && place.previous() == Some(b' ')
            && matches!(place.next(), Some(b' ' | b'/'));
        return android.then(|| letter_level(*letter)).flatten();
    }
    let level = name_level(word)?;
    let capitals = word.iter().all(u8::is_ascii_uppercase);
    // PostgreSQL's `LOG:` and words that are as often something else in capitals.
    let ambiguous = matches!(
        word,
        b"LOG" | b"FINE" | b"FINER" | b"FINEST" | b"VERBOSE" | b"ALERT" | b"INFORMATION"
    );
    let first_behind_time =
        place.words == 0 && place.numbers >= 2 && place.previous() == Some(b' ');
    let is_level = place.enclosed()
        || place.heads_message()
        || (capitals && !ambiguous && place.stands_alone())
        || (first_behind_time && matches!(place.next(), Some(b' ' | b'\t' | b':')))
        || (capitals && place.next() == Some(b':'));
    is_level.then_some(level)
}

/// The level with this name, in any case. Most words are no levels: told by length and first
/// letter before anything is compared.
pub(crate) fn name_level(word: &[u8]) -> Option<Level> {
    if !(3..=13).contains(&word.len()) {
        return None;
    }
    let first = word.first()?.to_ascii_lowercase();
    if !b"acdefilnpstvw".contains(&first) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The level that a field gives: a name, one letter, or a number as pino and bunyan write it
/// (10 to 60) or syslog (0 to 7).
pub(crate) fn field_level(value: &[u8]) -> Option<Level> {
    match value {
        [letter] if letter.is_ascii_alphabetic() => letter_level(letter.to_ascii_uppercase()),
        [digit @ b'0'..=b'7'] => priority(&[b'<', *digit, b'>']),
        [b'0'..=b'9', ..] => {
            let number: u32 = std::str::from_utf8(value).ok()?.parse().ok()?;
            Some(match number {
                10..=19 => Level::Trace,
                20..=29 => Level::Debug,
                30..=39 => Level::Info,
                40..=49 => Level::Warn,
                50..=59 => Level::Error,
                60..=69 => Level::Fatal,
                _ => return None,
            })
        }
        name => name_level(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_levels_where_loggers_put_them() {
        let check = |line: &str, level: Level| assert_eq!(detect(line.as_bytes()), level, "{line}");
        check("2024-01-02 03:04:05,678 ERROR [main] a.B: x", Level::Error);
        check(
            "2015-07-29 17:41:44,747 - WARN  [QuorumPeer] - x",
            Level::Warn,
        );
        check("[Sun Dec 04 04:47:44 2005] [error] mod_jk", Level::Error);
        check(
            "[Wed Oct 11 14:32:52 2000] [core:warn] [pid 1] x",
            Level::Warn,
        );
        check("2024/01/02 03:04:05 [emerg] 1#1: x", Level::Fatal);
        check("E0102 03:04:05.678901 1 a.go:1] x", Level::Error);
        check("<3>disk failed", Level::Error);
        check("<34>Jan 12 03:04:05 su: failed", Level::Fatal);
        check("error: cannot open", Level::Error);
        check("Jan  2 03:04:05 h postfix/smtp[1]: warning: x", Level::Warn);
        check("2024-01-02T03:04:05Z info starting", Level::Info);
        check("2024-01-02T03:04:05Z\tdebug\tserver.go:1\tx", Level::Debug);
        check("2024-01-02 03:04:05.678 UTC [1] LOG:  ready", Level::Info);
        check("2024-01-02 03:04:05.678 UTC [1] FATAL:  no", Level::Fatal);
        check("[2024-01-02 03:04:05] production.ERROR: x", Level::Error);
        check("\x1b[32mINFO\x1b[0m starting", Level::Info);
        check(
            "03-17 16:13:38.811  1702  2395 D WindowManager: x",
            Level::Debug,
        );
        check("panic: boom", Level::Fatal);
        check("INFO:root:message", Level::Info);
        check("[ WARN ] x", Level::Warn);
        check("081109 203615 148 INFO dfs.DataNode: x", Level::Info);
    }

    #[test]
    fn running_text_and_status_codes_are_no_levels() {
        let check = |line: &str| assert_eq!(detect(line.as_bytes()), Level::Unknown, "{line}");
        check("");
        check("there was an error in the text");
        check("no error: all is well");
        check(r#"10.0.0.1 - - [02/Jan/2024:03:04:05 +0000] "TRACE /error HTTP/1.1" 500 1"#);
        check("GET /ERROR HTTP/1.1 503");
        check("my_ERROR_count 5");
        check("an information desk");
        check("\tat com.example.Error.info(Error.java:1)");
    }

    #[test]
    fn fields_hold_names_letters_and_numbers() {
        let check =
            |value: &str, level| assert_eq!(field_level(value.as_bytes()), level, "{value}");
        check("warning", Some(Level::Warn));
        check("Information", Some(Level::Info));
        check("30", Some(Level::Info));
        check("60", Some(Level::Fatal));
        check("3", Some(Level::Error));
        check("E", Some(Level::Error));
        check("500", None);
        check("", None);
        check("high", None);
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            detect(&line);
            field_level(&line);
        }

        #[test]
        fn never_panics_near_a_level(line in "[<\\[ \x1b0-9;m]{0,6}[EWIerowan]{0,7}[\\]>: \t]{0,3}") {
            detect(line.as_bytes());
        }
    }
}
