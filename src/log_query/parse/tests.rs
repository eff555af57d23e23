//! What queries mean, and what is said of those that mean nothing.

use super::*;
use proptest::prelude::*;

#[test]
fn texts_that_look_like_syntax_are_words() {
    for text in [
        "12:30:05",
        "2026-11-23T12:30:05.123Z",
        "http://host:80/path?a=b&c=d",
        "https://host/",
        "10.0.0.1:8080",
        "[::1]:8080",
        "localhost:9090",
        "std::fmt",
        "C:\\temp",
        "main()",
        "connect(2)",
        "--verbose",
        "->",
        "-",
        "!",
        "don't",
        "'tis",
        "foo\"bar",
        "error:",
        "user@host:/x",
        "/var/log/syslog",
        "//",
        "a==b",
        "a=>b",
        "{}",
        "{\"a\":1}",
        "NOTE",
        "oracle",
        "sha256:0123",
        "$5",
        "50%",
        "é",
        ":",
        "::",
        "<nil>",
        "Или",
    ] {
        match Query::parse(text).map(|query| query.filter) {
            Ok(Filter::Word(needle)) => assert_eq!(&*needle, text),
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

#[test]
fn everything_is_found_by_nothing_and_star() {
    for text in ["", "  ", "*", "**", "\"\"", "(*)"] {
        let filter = Query::parse(text).expect(text).filter;
        assert!(matches!(filter, Filter::All), "{text:?} gave {filter:?}");
    }
}

#[test]
fn errors_point_and_suggest() {
    let check = |text: &str, position: usize, part: &str, suggestion: Option<&str>| {
        let error = Query::parse(text).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{text}: {error}");
    };
    check("é \"open", 2, "quote", Some("é \"open\""));
    check("a (b", 2, "not closed", Some("a (b)"));
    check("a) b", 1, "closes nothing", Some("a b"));
    check("a or", 2, "both sides", Some("a"));
    check("or", 0, "both sides", Some("\"or\""));
    check("OR a", 0, "both sides", Some("a"));
    check("a NOT", 2, "after it", Some("a"));
    check("a ()", 2, "nothing in these", Some("a"));
    check("( ) a", 0, "nothing in these", Some("a"));
    check("a (", 2, "nothing in these", Some("a"));
    check(") a", 0, "closes nothing", Some("a"));
    check(")", 0, "closes nothing", None);
    check("\"()\" ()", 5, "nothing in these", Some("\"()\""));
    check("error|warn", 5, "or between", Some("error or warn"));
    check("x error|warn", 7, "or between", Some("x (error or warn)"));
    check(
        "level:error|warn",
        11,
        "or between",
        Some("level:(error or warn)"),
    );
    check("level:erorr", 6, "not a level", Some("level:error"));
    check("level:wran", 6, "not a level", Some("level:warn"));
    check("level:40", 6, "not a level", None);
    check(
        "level:error..info",
        6,
        "worse than",
        Some("level:info..error"),
    );
    check(
        "level:>fatal",
        6,
        "no level is > fatal",
        Some("level:fatal"),
    );
    check("level: error", 5, "right after", Some("level:error"));
    check("ns:", 2, "right after", Some("ns:*"));
    check("(ns:) a", 3, "right after", Some("(ns:*) a"));
    check("ns: | count", 2, "right after", Some("ns:* | count"));
    check(
        "status:>=abc",
        7,
        "a number must follow",
        Some("status:abc"),
    );
    check("status:20..10", 7, "more than", Some("status:10..20"));
    check(
        "status:(500 503)",
        12,
        "two values",
        Some("status:(500 or 503)"),
    );
    check("status:!", 7, "missing", None);
    check("/a(/", 0, "regular expression", Some("\"a(\""));
    check("path:/[/", 5, "regular expression", Some("path:\"[\""));
    check("/a{1000}{1000}/", 0, "memory", Some("\"a{1000}{1000}\""));
    check(
        "{app=\"x\", ns!~\"a.*\"} |= \"y\"",
        0,
        "Loki",
        Some("app:\"x\" -ns:/^(a.*)$/"),
    );
}

#[test]
fn size_and_depth_are_bounded() {
    let long = "x".repeat(QUERY_CHARS_MAX + 1);
    let error = Query::parse(&long).expect_err("too long");
    assert_eq!(error.position, QUERY_CHARS_MAX);
    let deep = format!(
        "{}a{}",
        "(".repeat(GROUPS_DEEP_MAX + 1),
        ")".repeat(GROUPS_DEEP_MAX + 1)
    );
    assert!(Query::parse(&deep).is_err());
    assert!(Query::parse(&"(".repeat(QUERY_CHARS_MAX)).is_err());
    assert!(Query::parse(&format!("{}a", "!".repeat(GROUPS_DEEP_MAX + 1))).is_err());
    assert!(Query::parse(&"a ".repeat(TERMS_MAX)).is_ok());
    let error = Query::parse(&"a ".repeat(TERMS_MAX + 1)).expect_err("too many");
    assert_eq!(error.position, 2 * TERMS_MAX);
}

proptest! {
    #[test]
    fn never_panics_and_points_into_the_text(text in "\\PC{0,40}") {
        if let Err(error) = Query::parse(&text) {
            prop_assert!(error.position <= text.chars().count());
        }
    }

    #[test]
    fn never_panics_on_syntax(text in r#"([a-c]|é|or|and|NOT|level|ns|status|error|:|=|-|!|\(|\)|"|/|\*|\.\.|5|>|<| |\\|'|\||\{|\}|\[|,|~|\u3000){0,20}"#) {
        if let Err(error) = Query::parse(&text) {
            prop_assert!(error.position <= text.chars().count());
            if let Some(suggestion) = error.suggestion {
                prop_assert!(!suggestion.trim().is_empty());
            }
        }
    }

    #[test]
    fn quoted_text_is_found_as_it_is(text in "\\PC{1,20}") {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match Query::parse(&quoted).map(|query| query.filter) {
            Ok(Filter::Phrase(needle)) => prop_assert_eq!(&*needle, text.as_str()),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
