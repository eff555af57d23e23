//! HELP, TYPE and UNIT lines: what the families of a page mean.

use model::{MetricKind, MetricMetadata};

use super::line::unescape;
use super::{Format, excerpt, protobuf};

/// A line that begins with `#`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Comment<'a> {
    /// `# HELP name text`, text still escaped.
    Help(&'a str, &'a str),
    /// `# TYPE name kind`.
    Kind(&'a str, MetricKind),
    /// `# UNIT name unit`.
    Unit(&'a str, &'a str),
    /// `# EOF`.
    End,
    /// Any other remark.
    Remark,
}

/// Reads a line that begins with `#`.
pub(crate) fn read_comment(line: &[u8]) -> Result<Comment<'_>, String> {
    let line = std::str::from_utf8(line).map_err(|_| format!("not UTF-8: {}", excerpt(line)))?;
    let rest = line.trim_start_matches('#');
    let Some(rest) = rest.strip_prefix([' ', '\t']) else {
        return Ok(Comment::Remark);
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    if rest.trim_end() == "EOF" {
        return Ok(Comment::End);
    }
    let Some((word, rest)) = rest.split_once([' ', '\t']) else {
        return Ok(Comment::Remark);
    };
    if !matches!(word, "HELP" | "TYPE" | "UNIT") {
        return Ok(Comment::Remark);
    }
    let (name, text) = split_name(rest.trim_start_matches([' ', '\t']));
    match word {
        "HELP" => Ok(Comment::Help(name, text)),
        "UNIT" => Ok(Comment::Unit(name, text.trim())),
        _ => match kind(text.trim()) {
            Some(kind) => Ok(Comment::Kind(name, kind)),
            None => Err(format!(
                "{} is no metric type",
                excerpt(text.trim().as_bytes())
            )),
        },
    }
}

/// Splits `name text` or `"name in quotes" text`.
fn split_name(text: &str) -> (&str, &str) {
    if let Some((name, rest)) = text.strip_prefix('"').and_then(|t| t.split_once('"')) {
        return (name, rest.strip_prefix([' ', '\t']).unwrap_or(rest));
    }
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

fn kind(word: &str) -> Option<MetricKind> {
    Some(match word {
        "counter" => MetricKind::Counter,
        "gauge" => MetricKind::Gauge,
        "histogram" => MetricKind::Histogram,
        "gaugehistogram" => MetricKind::GaugeHistogram,
        "summary" => MetricKind::Summary,
        "info" => MetricKind::Info,
        "stateset" => MetricKind::StateSet,
        "unknown" | "untyped" => MetricKind::Unknown,
        _ => return None,
    })
}

/// Gathers the metadata of all families of a page. Lines that do not read as metadata are left
/// out here; whoever reads the page has complained about them.
///
/// OpenMetrics names a counter's family without `_total`; it is given here with it, as its
/// samples are named, so that a family has the same name in both formats.
pub fn families(page: &[u8], format: Format) -> Vec<(String, MetricMetadata)> {
    if format == Format::Protobuf {
        return protobuf::metadata(page);
    }
    let mut families: Vec<(String, MetricMetadata)> = Vec::new();
    for line in page
        .split(|b| *b == b'\n')
        .filter(|l| l.first() == Some(&b'#'))
    {
        let Ok(comment) = read_comment(line) else {
            continue;
        };
        let name = match comment {
            Comment::Help(name, _) | Comment::Kind(name, _) | Comment::Unit(name, _) => name,
            Comment::End | Comment::Remark => continue,
        };
        // Lines of one family follow one another.
        if families.last().is_none_or(|(last, _)| last != name) {
            families.push((name.to_owned(), MetricMetadata::default()));
        }
        let Some((_, metadata)) = families.last_mut() else {
            continue;
        };
        match comment {
            Comment::Help(_, text) => metadata.help = unescape(text).into(),
            Comment::Kind(_, kind) => metadata.kind = kind,
            Comment::Unit(_, unit) => metadata.unit = unit.into(),
            Comment::End | Comment::Remark => {}
        }
    }
    if format == Format::OpenMetrics {
        for (name, metadata) in &mut families {
            if metadata.kind == MetricKind::Counter && !name.ends_with("_total") {
                name.push_str("_total");
            }
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_comments() {
        let check = |line: &str, expected: Comment<'_>| {
            assert_eq!(read_comment(line.as_bytes()), Ok(expected), "{line}");
        };
        check("# HELP up Is it up?", Comment::Help("up", "Is it up?"));
        check("# HELP up", Comment::Help("up", ""));
        check(
            "#  TYPE  up   gauge ",
            Comment::Kind("up", MetricKind::Gauge),
        );
        check("# TYPE up gauge", Comment::Kind("up", MetricKind::Gauge));
        check(
            "# TYPE up untyped",
            Comment::Kind("up", MetricKind::Unknown),
        );
        check(
            "# TYPE \"a b\" gauge",
            Comment::Kind("a b", MetricKind::Gauge),
        );
        check("# UNIT up seconds", Comment::Unit("up", "seconds"));
        check("# EOF", Comment::End);
        check("#HELP up no", Comment::Remark);
        check("# made at noon", Comment::Remark);
        check("#", Comment::Remark);
        assert!(read_comment(b"# TYPE up house").is_err());
        assert!(read_comment(b"# \xff").is_err());
    }

    #[test]
    fn gathers_families() {
        let page = "# HELP a_total Line one\\nline two.\n# TYPE a_total counter\na_total 1\n\
                    # TYPE b gauge\nb 1\n";
        let got = families(page.as_bytes(), Format::Text);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].0, "a_total");
        assert_eq!(&*got[0].1.help, "Line one\nline two.");
        assert_eq!(got[0].1.kind, MetricKind::Counter);
        assert_eq!(got[1].1.kind, MetricKind::Gauge);
    }

    #[test]
    fn counters_of_openmetrics_are_named_like_their_samples() {
        let page = "# TYPE a counter\n# UNIT a seconds\na_total 1\n# EOF\n";
        let got = families(page.as_bytes(), Format::OpenMetrics);
        assert_eq!(got[0].0, "a_total");
        assert_eq!(&*got[0].1.unit, "seconds");
    }
}
