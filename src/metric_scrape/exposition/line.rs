//! Reads one sample line exactly: its name and labels, its value and timestamp. The slow path: a
//! line comes here when it is seen for the first time.
//!
//! A line is `key value [timestamp] [# exemplar]`, and a key is `name`, `name{label="value",…}` or
//! `{"name in quotes", label="value",…}`. Label names may be quoted too (UTF-8 names).

use std::borrow::Cow;

use model::{METRIC_NAME, MetricKind};

use super::metadata::{self, Comment};
use super::{Format, excerpt, number};

/// An exemplar as a page writes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextExemplar<'a> {
    /// Its own labels.
    pub labels: Vec<Pair<'a>>,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since 1970-01-01 UTC, where it says.
    pub timestamp_ms: Option<i64>,
}

/// What follows a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tail<'a> {
    pub(crate) value: f64,
    /// Milliseconds since 1970-01-01 UTC, where it says.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) exemplar: Option<TextExemplar<'a>>,
}

/// Name and value of a label as a page writes it, escapes resolved.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A sample line: its labels, its value, and its time in milliseconds where it has one.
pub type SampleLine<'a> = (Vec<Pair<'a>>, f64, Option<i64>);

/// Reads a page line by line, for those who want nothing but its samples.
#[derive(Debug, Clone)]
pub struct Lines {
    format: Format,
    /// The type that the last TYPE line named.
    kind: Option<MetricKind>,
}

impl Lines {
    /// Before the first line of a page.
    pub fn new(format: Format) -> Self {
        Self { format, kind: None }
    }

    /// Reads the next line; nothing where it is a comment.
    ///
    /// # Errors
    /// What is wrong with it, a sentence without an end.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<Option<SampleLine<'a>>, String> {
        if line.first() == Some(&b'#') {
            if let Comment::Kind(_, kind) = metadata::read_comment(line)? {
                self.kind = Some(kind);
            }
            return Ok(None);
        }
        let (key, tail) = line.split_at(key_end(line)?);
        let tail = read_tail(tail, self.format)?;
        let mut pairs = read_key(key)?;
        normalize(&mut pairs, self.kind);
        Ok(Some((pairs, tail.value, tail.timestamp_ms)))
    }
}

/// Writes the bounds of histograms' buckets and the quantiles of summaries one way, as Prometheus
/// 3 does: `le="1"` and `le="1.0"` are the same series.
pub(crate) fn normalize(pairs: &mut [Pair<'_>], kind: Option<MetricKind>) {
    let wanted = match kind {
        Some(MetricKind::Histogram) => "le",
        Some(MetricKind::Summary) => "quantile",
        _ => return,
    };
    for (name, text) in pairs.iter_mut().filter(|(name, _)| name != METRIC_NAME) {
        if name == wanted
            && let Some(number) = number::value(text.as_bytes())
        {
            *text = number::label_text(number).into();
        }
    }
}

/// Finds where the key of a sample line ends, without looking closely at what it holds.
pub(crate) fn key_end(line: &[u8]) -> Result<usize, String> {
    let name_end = memchr::memchr3(b'{', b' ', b'\t', line).unwrap_or(line.len());
    let rest = &line[name_end..];
    let blanks = rest.len() - skip_blanks(rest).len();
    // The text format allows blanks between a name and its braces.
    if rest.get(blanks) != Some(&b'{') {
        return Ok(name_end);
    }
    let mut at = name_end + blanks + 1;
    loop {
        let tail = line.get(at..).unwrap_or_default();
        let Some(next) = memchr::memchr2(b'"', b'}', tail) else {
            return Err("labels are not closed by } on this line".to_owned());
        };
        at += next + 1;
        if tail[next] == b'}' {
            return Ok(at);
        }
        at += quoted_end(&line[at..])? + 1;
    }
}

/// Where the quote is that ends a text which began before `bytes`.
fn quoted_end(bytes: &[u8]) -> Result<usize, String> {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += next;
        if bytes[at] == b'"' {
            return Ok(at);
        }
        at += 2;
    }
    Err("a quoted text is not closed on this line".to_owned())
}

/// Reads a key into pairs, the metric's name first as `__name__`.
pub(crate) fn read_key(key: &[u8]) -> Result<Vec<Pair<'_>>, String> {
    let key = std::str::from_utf8(key).map_err(|_| format!("not UTF-8: {}", excerpt(key)))?;
    let mut pairs = Vec::new();
    let name_len = key
        .bytes()
        .take_while(|b| is_name_byte(*b) || *b == b':')
        .count();
    let (name, rest) = key.split_at(name_len);
    if !name.is_empty() {
        if name.as_bytes()[0].is_ascii_digit() {
            return Err(format!(
                "a metric name cannot begin with a digit: {}",
                excerpt(key.as_bytes())
            ));
        }
        pairs.push((Cow::Borrowed(METRIC_NAME), Cow::Borrowed(name)));
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    if !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('{').and_then(|r| r.strip_suffix('}')) else {
            return Err(format!(
                "a metric name is expected, not {}",
                excerpt(key.as_bytes())
            ));
        };
        read_labels(inner, &mut pairs)?;
    }
    match pairs.first() {
        Some((first, name)) if first == METRIC_NAME && !name.is_empty() => {}
        _ => return Err(format!("no metric name: {}", excerpt(key.as_bytes()))),
    }
    check_pairs(&pairs)?;
    Ok(pairs)
}

/// Refuses pairs that name a label twice.
pub(crate) fn check_pairs(pairs: &[Pair<'_>]) -> Result<(), String> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!("label {:?} is there twice", twice[0])),
        None => Ok(()),
    }
}

/// Reads what stands between braces: `a="b", "c d"="e"`, and `"the name"` once.
fn read_labels<'a>(mut rest: &'a str, pairs: &mut Vec<Pair<'a>>) -> Result<(), String> {
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(());
        }
        let (name, quoted, tail) = read_name(rest)?;
        rest = tail.trim_start_matches([' ', '\t']);
        if let Some(tail) = rest.strip_prefix('=') {
            let tail = tail.trim_start_matches([' ', '\t']);
            let Some(tail) = tail.strip_prefix('"') else {
                return Err(format!(
                    "label {name:?} needs a value in quotes, not {}",
                    excerpt(tail.as_bytes())
                ));
            };
            let end = quoted_end(tail.as_bytes())?;
            pairs.push((name, unescape(&tail[..end])));
            rest = &tail[end + 1..];
        } else if quoted && pairs.is_empty() {
            pairs.push((Cow::Borrowed(METRIC_NAME), name));
        } else {
            return Err(format!(
                "= is expected after label {name:?}, not {}",
                excerpt(rest.as_bytes())
            ));
        }
        rest = rest.trim_start_matches([' ', '\t']);
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None if rest.is_empty() => return Ok(()),
            None => {
                return Err(format!(
                    ", or }} is expected after a label, not {}",
                    excerpt(rest.as_bytes())
                ));
            }
        }
    }
}

/// Reads a label name, bare or quoted, and says which; returns what follows.
fn read_name(text: &str) -> Result<(Cow<'_, str>, bool, &str), String> {
    if let Some(tail) = text.strip_prefix('"') {
        let end = quoted_end(tail.as_bytes())?;
        let name = unescape(&tail[..end]);
        if name.is_empty() {
            return Err("an empty name".to_owned());
        }
        return Ok((name, true, &tail[end + 1..]));
    }
    let len = text.bytes().take_while(|b| is_name_byte(*b)).count();
    if len == 0 || text.as_bytes()[0].is_ascii_digit() {
        return Err(format!(
            "a label name is expected, not {}",
            excerpt(text.as_bytes())
        ));
    }
    Ok((Cow::Borrowed(&text[..len]), false, &text[len..]))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Resolves `\\`, `\"` and `\n`; other backslashes stay, as in Prometheus.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some(c @ ('\\' | '"')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

/// Reads what follows a key: value, timestamp, exemplar.
pub(crate) fn read_tail(tail: &[u8], format: Format) -> Result<Tail<'_>, String> {
    let (word, rest) = next_word(tail);
    if word.is_empty() {
        return Err("no value".to_owned());
    }
    let value = number::value(word).ok_or_else(|| format!("{} is not a number", excerpt(word)))?;
    let mut read = Tail {
        value,
        ..Tail::default()
    };
    let (word, after) = next_word(rest);
    if word.is_empty() {
        return Ok(read);
    }
    let mut rest = rest;
    if word != b"#" {
        let timestamp_ms = match format {
            Format::OpenMetrics => number::timestamp_s(word),
            Format::Text | Format::Protobuf => number::timestamp_ms(word),
        };
        read.timestamp_ms =
            Some(timestamp_ms.ok_or_else(|| format!("{} is not a timestamp", excerpt(word)))?);
        rest = after;
    }
    let rest = skip_blanks(rest);
    match (rest.first(), format) {
        (None, _) => {}
        (Some(b'#'), Format::OpenMetrics) => {
            let exemplar = read_exemplar(skip_blanks(&rest[1..]));
            read.exemplar = Some(exemplar.map_err(|why| format!("bad exemplar: {why}"))?);
        }
        _ => {
            return Err(format!(
                "the line should end after the value, not go on with {}",
                excerpt(rest)
            ));
        }
    }
    Ok(read)
}

/// Reads an exemplar, `{labels} value [timestamp]`.
fn read_exemplar(text: &[u8]) -> Result<TextExemplar<'_>, String> {
    if text.first() != Some(&b'{') {
        return Err(format!("{{ is expected, not {}", excerpt(text)));
    }
    let mut exemplar = TextExemplar::default();
    let end = key_end(text)?;
    let inner = std::str::from_utf8(&text[1..end - 1])
        .map_err(|_| format!("not UTF-8: {}", excerpt(text)))?;
    read_labels(inner, &mut exemplar.labels)?;
    let (word, rest) = next_word(&text[end..]);
    exemplar.value =
        number::value(word).ok_or_else(|| format!("{} is not a number", excerpt(word)))?;
    let (word, rest) = next_word(rest);
    if !word.is_empty() {
        exemplar.timestamp_ms = number::timestamp_s(word);
        if exemplar.timestamp_ms.is_none() || !skip_blanks(rest).is_empty() {
            return Err(format!("{} is not a timestamp", excerpt(word)));
        }
    }
    Ok(exemplar)
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    &bytes[blanks..]
}

/// The next word and what follows it; an empty word at the end.
fn next_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = skip_blanks(bytes);
    let end = memchr::memchr2(b' ', b'\t', bytes).unwrap_or(bytes.len());
    bytes.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, String> {
        let end = key_end(text.as_bytes())?;
        let pairs = read_key(&text.as_bytes()[..end])?;
        Ok(pairs
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect::<Vec<_>>()
            .join(","))
    }

    #[test]
    fn reads_keys() {
        let check = |line: &str, expected: &str| {
            assert_eq!(key(line).as_deref(), Ok(expected), "{line}");
        };
        check("up 1", r#"__name__="up""#);
        check("a:b\t1", r#"__name__="a:b""#);
        check(r#"x{a="b"} 1"#, r#"__name__="x",a="b""#);
        check(r#"x { a = "b" , c="" ,} 1"#, r#"__name__="x",a="b",c="""#);
        check("x{} 1", r#"__name__="x""#);
        check(
            r#"x{a="}\" \\ \n \d"} 1"#,
            r#"__name__="x",a="}\" \\ \n \\d""#,
        );
        check(r#"{"my.name"} 1"#, r#"__name__="my.name""#);
        check(
            r#"{"my name",a="b","c.d"="e"} 1"#,
            r#"__name__="my name",a="b",c.d="e""#,
        );
    }

    #[test]
    fn bounds_of_buckets_are_written_one_way() {
        let mut lines = Lines::new(Format::Text);
        let mut le = |line: &str| {
            let read = lines.read(line.as_bytes()).expect("a good line");
            read.map(|(pairs, ..)| pairs[1].1.to_string())
        };
        assert_eq!(le("h_bucket{le=\"1\"} 1 5").as_deref(), Some("1"));
        assert_eq!(le("# TYPE h histogram"), None);
        assert_eq!(le("h_bucket{le=\"1\"} 1 5").as_deref(), Some("1.0"));
        assert_eq!(le("# HELP s x"), None);
        assert_eq!(le("# TYPE s summary"), None);
        assert_eq!(le("s{quantile=\".5\"} 1 5").as_deref(), Some("0.5"));
        assert!(lines.read(b"# TYPE s house").is_err());
    }

    #[test]
    fn refuses_broken_keys_in_words() {
        let check = |line: &str, expected: &str| {
            let error = key(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        };
        check("", "no metric name");
        check("9x 1", "digit");
        check("<html>", "a metric name is expected");
        check("x{a=\"b\" 1", "not closed");
        check("x{a=\"b} 1", "not closed");
        check("x{a=b} 1", "needs a value in quotes");
        check("x{a} 1", "= is expected");
        check("x{\"y\"} 1", "= is expected");
        check("x{a=\"1\" b=\"2\"} 1", ", or } is expected");
        check("x{a=\"1\",a=\"2\"} 1", "twice");
        check("x{__name__=\"y\"} 1", "twice");
        check("{a=\"b\"} 1", "no metric name");
        check("x{\"\"=\"b\"} 1", "an empty name");
        assert!(
            read_key(b"x{a=\"\xff\"}")
                .expect_err("bytes")
                .contains("UTF-8")
        );
    }

    #[test]
    fn reads_tails() {
        let check = |tail: &str, format, expected: Result<(f64, Option<i64>), &str>| match (
            read_tail(tail.as_bytes(), format),
            expected,
        ) {
            (Ok(got), Ok(expected)) => {
                assert_eq!((got.value, got.timestamp_ms), expected, "{tail}");
            }
            (Err(got), Err(part)) => assert!(got.contains(part), "{tail}: {got}"),
            (got, _) => panic!("{tail}: {got:?}"),
        };
        let (text, open) = (Format::Text, Format::OpenMetrics);
        check(" 1", text, Ok((1.0, None)));
        check(
            "\t 1.5  1395066363000 ",
            text,
            Ok((1.5, Some(1_395_066_363_000))),
        );
        check(" 1 2.5", open, Ok((1.0, Some(2500))));
        check(" 1 # {trace_id=\"a b\"} 0.67", open, Ok((1.0, None)));
        check(" 1 3 # {} 0.67 1520879607.789", open, Ok((1.0, Some(3000))));
        check("", text, Err("no value"));
        check(" one", text, Err("\"one\" is not a number"));
        check(" 1\r", text, Err("not a number"));
        check(" 1 2.5", text, Err("not a timestamp"));
        check(" 1 2 3", text, Err("should end after the value"));
        check(" 1 # {a=\"b\"} 1", text, Err("should end after the value"));
        check(" 1 # a", open, Err("bad exemplar"));
        check(" 1 # {a=\"b\"}", open, Err("bad exemplar"));
        check(" 1 # {a=\"b\"} 1 2 3", open, Err("bad exemplar"));
    }

    #[test]
    fn reads_exemplars() {
        let tail = b" 1 3 # {trace_id=\"a b\"} 0.67 1520879607.789";
        let tail = read_tail(tail, Format::OpenMetrics).expect("a good tail");
        let exemplar = tail.exemplar.expect("an exemplar");
        assert_eq!(exemplar.labels, [("trace_id".into(), "a b".into())]);
        assert_eq!(exemplar.value, 0.67);
        assert_eq!(exemplar.timestamp_ms, Some(1_520_879_607_789));
    }
}
