//! What pipes are read as, how they are written back, and what is said about mistakes.

use proptest::prelude::*;

use crate::Query;

/// Reads `text` and writes it back; what is written is read as the same.
fn check(text: &str, expected: &str) {
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(query.text(), expected, "{text}");
    let again = Query::parse(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
    assert_eq!(again.text(), expected);
}

#[test]
fn pipes_are_read_and_written_in_one_way() {
    check("| stats count()", "* | stats count()");
    check("a|stats count", "a | stats count()");
    check("a || b | limit 5", "a or b | limit 5");
    check(
        "error | stats count() as n, p99(took) by (ns, time 5m)",
        "error | stats count() as n, p99(took) by (namespace, time 5m)",
    );
    check(
        "* | stats count(*) by status",
        "* | stats count() by (status)",
    );
    check("a | count() by (status)", "a | stats count() by (status)");
    check(
        "a | count by status, 1m",
        "a | stats count() by (status, time 1m)",
    );
    check(
        "a | stats by (_time:5m, app) count_uniq(user) as users",
        "a | stats count_distinct(user) as users by (time 5m, app)",
    );
    check(
        "a | stats count() by (time(1h))",
        "a | stats count() by (time 1h)",
    );
    check("a | stats count() by (time)", "a | stats count() by (time)");
    check("a | stats count() by ()", "a | stats count()");
    check(
        "a | stats quantile(0.999, took)",
        "a | stats quantile(0.999, took)",
    );
    check(
        "a | stats quantile(0.9, took), p99.9(took)",
        "a | stats p90(took), p99.9(took)",
    );
    check(
        "a | stats median(took) by \"odd name\"",
        "a | stats p50(took) by (\"odd name\")",
    );
    check(
        "a | stats sum(x), avg(x), min(x), max(x), first(x), last(x), count(x)",
        "a | stats sum(x), avg(x), min(x), max(x), first(x), last(x), count(x)",
    );
    check("a | top 5 path", "a | top 5 path");
    check("a | top by (path, method)", "a | top 10 path, method");
    check("a | rate", "a | rate");
    check("a | rate(1m) by (app)", "a | rate 1m by (app)");
    check("a | patterns", "a | patterns 10");
    check("a | patterns 20", "a | patterns 20");
    check("a | patterns new", "a | patterns new 10");
    check("a | patterns new 30m 5", "a | patterns new 30m 5");
    check("a | patterns 5 rare", "a | patterns rare 5");
    check(
        "a | parse \"took <took> ms <_>\" | where took > 100",
        "a | parse \"took <took> ms <_>\" | where took:>100",
    );
    check(
        "a | parse /u=(?P<u>\\w+)/ from msg",
        "a | parse /u=(?P<u>\\w+)/ from message",
    );
    check("a | json", "a | parse json");
    check("a | parse json payload", "a | parse json from payload");
    check(
        "a | logfmt from log | filter x:y",
        "a | parse logfmt from log | where x:y",
    );
    check("a | pattern \"<ip> <_>\"", "a | parse \"<ip> <_>\"");
    check("a | regexp \"(?P<x>a+)\"", "a | parse /(?P<x>a+)/");
    check(
        "a | extract \"x=<x>\" from req",
        "a | parse \"x=<x>\" from req",
    );
    check("a | keep b, d | head", "a | fields b, d | limit 10");
    check("a | fields (b, ns)", "a | fields b, namespace");
    check("a | drop b | delete d", "a | drop b | drop d");
    check("a | sort by (b desc, d)", "a | sort by (b desc, d)");
    check("a | order by b desc", "a | sort by (b desc)");
    check("a | sort by (b, d) desc", "a | sort by (b desc, d desc)");
    check("a | sort -b", "a | sort by (b desc)");
    check("a | uniq user", "a | uniq by (user)");
    check("a | uniq", "a | uniq by (message)");
    check("a | top path | uniq", "a | top 10 path | uniq");
    check(
        "a | stats count() as n by (b) | where n > 5 and b:x* | sort by (n desc) | limit 3",
        "a | stats count() as n by (b) | where n:>5 b:x* | sort by (n desc) | limit 3",
    );
    check(
        "a | stats count() as c by (ns) | where c > 5 | sort by (c desc)",
        "a | stats count() as \"c\" by (namespace) | where \"c\":>5 | sort by (\"c\" desc)",
    );
    check(
        "a | parse \"x <c>\" | where c:5",
        "a | parse \"x <c>\" | where \"c\":\"5\"",
    );
    check("a | STATS COUNT() BY (b)", "a | stats count() by (b)");
}

#[test]
fn comparisons_can_be_spaced() {
    check("status >= 500", "status:>=500");
    check("took >1.5s and x", "took:>1.5 x");
    check("level >= warn", "level:warn..");
    check("a > b", "a \">\" b");
    check("x = 5", "x \"=\" 5");
    check("| where status = 500", "* | where status:500");
    check("| where status == 500", "* | where status:500");
    check("| where status==500", "* | where status:500");
    check("| where user != \"ana b\"", "* | where -user:\"ana b\"");
    check("-status > 5", "-status:>5");
}

#[test]
fn a_bar_is_a_pipe_only_where_one_can_stand() {
    check("\"a | stats count()\"", "\"a | stats count()\"");
    check("/a|limit/", "/a|limit/");
    check("/a|b/|limit 3", "/a|b/ | limit 3");
    check("x:\"|\"|limit 3", "x:\"|\" | limit 3");
    check("x:5|limit 3", "x:5 | limit 3");
    check("(a or b)|limit 3", "a or b | limit 3");
    check("a* |limit 3", "a* | limit 3");
}

#[test]
fn mistakes_are_pointed_at_and_corrected() {
    let check = |text: &str, position: usize, part: &str, suggestion: Option<&str>| {
        let error = Query::parse(text).expect_err(text);
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{text}: {error}");
        if let Some(suggestion) = suggestion {
            let works = Query::parse(suggestion);
            assert!(works.is_ok(), "{text}: {suggestion}: {works:?}");
        }
    };
    // Names of pipes and functions.
    check(
        "a | stat count()",
        4,
        "stat is no pipe",
        Some("a | stats count()"),
    );
    check(
        "a | stat count",
        4,
        "stat is no pipe",
        Some("a | stats count"),
    );
    check("a | wher b", 4, "no pipe", Some("a | where b"));
    check("a | pattern", 4, "no pipe", Some("a | patterns"));
    check("a | grep b", 4, "no pipe", Some("a | where b"));
    check("a | select b", 4, "no pipe", Some("a | fields b"));
    check(
        "a | summarize count() by b",
        4,
        "no pipe",
        Some("a | stats count() by b"),
    );
    check("a | b", 4, "no pipe", Some("a or b"));
    check("error|warn", 5, "or between", Some("error or warn"));
    check("a | coutn()", 4, "no pipe", Some("a | stats count()"));
    check("a |", 2, "a pipe must follow", Some("a"));
    check("a | | limit 3", 4, "name of a pipe", None);
    check(
        "a | stats cuont()",
        10,
        "no function",
        Some("a | stats count()"),
    );
    check(
        "a | stats average(b)",
        10,
        "no function",
        Some("a | stats avg(b)"),
    );
    check("a | stats ()", 10, "no function", None);
    // Arguments.
    check(
        "a | stats",
        9,
        "is to be computed",
        Some("a | stats count()"),
    );
    check(
        "a | stats by (b)",
        16,
        "is to be computed",
        Some("a | stats by (b) count()"),
    );
    check(
        "a | stats sum b",
        10,
        "in brackets",
        Some("a | stats sum(b)"),
    );
    check("a | stats sum()", 14, "needs a field", None);
    check(
        "a | stats count(distinct b)",
        16,
        "count_distinct",
        Some("a | stats count_distinct(b)"),
    );
    check(
        "a | stats p999(b)",
        10,
        "more than 100",
        Some("a | stats p99.9(b)"),
    );
    check(
        "a | stats quantile(99, b)",
        19,
        "between 0 and 1",
        Some("a | stats quantile(0.99, b)"),
    );
    check(
        "a | stats quantile(b, 0.9)",
        19,
        "comes first",
        Some("a | stats quantile(0.9, b)"),
    );
    check("a | stats count( by b", 20, "not closed", None);
    check(
        "a | stats sum(b",
        15,
        "not closed",
        Some("a | stats sum(b)"),
    );
    check(
        "a | stats count() (b)",
        18,
        "by is missing",
        Some("a | stats count() by (b)"),
    );
    check(
        "a | stats count() b",
        18,
        "by is missing",
        Some("a | stats count() by b"),
    );
    check(
        "a | stats count() group by b",
        18,
        "instead of group by",
        Some("a | stats count() by b"),
    );
    check("a | stats count() by", 18, "must follow by", None);
    check(
        "a | stats count() by (b",
        21,
        "not closed",
        Some("a | stats count() by (b)"),
    );
    check(
        "a | stats count() by (b c)",
        24,
        "comma",
        Some("a | stats count() by (b, c)"),
    );
    check(
        "a | stats count() by (b) limit 5",
        25,
        "| is missing",
        Some("a | stats count() by (b) | limit 5"),
    );
    check(
        "a | stats count() by (b))",
        24,
        "closes nothing",
        Some("a | stats count() by (b)"),
    );
    check(
        "a | stats count() by (5min)",
        22,
        "not a duration",
        Some("a | stats count() by (5m)"),
    );
    check(
        "a | stats count(), count()",
        19,
        "two columns",
        Some("a | stats count(), count() as count2"),
    );
    check("a | stats count() as b by (b)", 23, "two columns", None);
    check("a | rate 1", 9, "not a duration", Some("a | rate 1m"));
    check("a | rate by (time 5m)", 9, "over time already", None);
    check("a | top", 4, "needs the name", None);
    check("a | top path 5", 13, "comes first", Some("a | top 5 path"));
    check("a | top 0 b", 8, "from 1 to", None);
    check("a | fields b c", 13, "comma", Some("a | fields b, c"));
    check("a | limit x", 4, "a number", None);
    check("a | sort", 4, "sort by is missing", None);
    check(
        "a | patterns nwe",
        13,
        "new with a duration",
        Some("a | patterns new"),
    );
    check("a | where", 4, "must follow", None);
    check("a | where x =", 12, "missing", None);
    // parse.
    check("a | parse", 9, "parse needs", None);
    check("a | parse jsn", 10, "parse needs", Some("a | parse json"));
    check(
        "a | parse x=<x>",
        10,
        "parse needs",
        Some("a | parse \"x=<x>\""),
    );
    check(
        "a | parse \"x=<x>",
        10,
        "not closed",
        Some("a | parse \"x=<x>\""),
    );
    check("a | parse \"<a><b>\"", 14, "side by side", None);
    check("a | parse \"took\"", 11, "no hole", None);
    check("a | parse \"<a> <a>\"", 15, "twice", None);
    check(
        "a | parse /a=(.*)/",
        10,
        "no group has a name",
        Some("a | parse /a=(?P<name>.*)/"),
    );
    check("a | parse /(?P<x>/", 10, "regular expression", None);
    // Names that cannot be there.
    check(
        "a | stats count() as n | where m > 5",
        31,
        "no column is called m",
        None,
    );
    check(
        "a | stats count() as errors by (b) | sort by (error desc)",
        46,
        "no column",
        Some("a | stats count() as errors by (b) | sort by (errors desc)"),
    );
    check(
        "a | stats count() | where level:error",
        26,
        "no column is called level",
        None,
    );
    check(
        "a | fields b | stats sum(c)",
        25,
        "fields kept only b",
        None,
    );
    check("a | drop b | where b:x", 19, "was dropped", None);
    check("a | top b | patterns", 12, "counts lines", None);
    check("a | top b | parse json", 12, "rows cannot be parsed", None);
    // Signs and other languages.
    check("status=>500", 6, ">=", Some("status>=500"));
    check(
        "a | where status=<500",
        16,
        "<=",
        Some("a | where status<=500"),
    );
    check("a |= \"b c\"", 2, "Loki", Some("a \"b c\""));
    check(
        "a | limit 5 |~ \"b.\"",
        12,
        "Loki",
        Some("a | limit 5 | where /b./"),
    );
    check("(a | limit 5)", 3, "cannot stand in brackets", None);
    check("a ||b", 2, "spaces around", Some("a or b"));
}

#[test]
fn only_a_filter_where_only_a_filter_can_be_used() {
    assert!(Query::parse_filter("a or b").is_ok());
    let error = Query::parse_filter("a or b | limit 5").expect_err("a pipe");
    assert_eq!(error.position, 7);
    assert_eq!(error.suggestion.as_deref(), Some("a or b"));
}

proptest! {
    #[test]
    fn never_panics_and_points_into_the_text(text in r#"(a )?(\| ?(stats|top|rate|patterns|parse|where|fields|drop|sort|limit|uniq|count|json|é) ?([a-c]|count\(|sum\(|p9|by|as|new|rare|from|time|5m|10|\(|\)|,| |"|<a>|/|=|>|-|é|\*){0,6}){0,3}"#) {
        match Query::parse(&text) {
            Err(error) => prop_assert!(error.position <= text.chars().count()),
            Ok(query) => {
                let written = query.text();
                let again = Query::parse(&written);
                prop_assert!(again.is_ok(), "{text:?} was written {written:?}: {again:?}");
                prop_assert_eq!(again.expect("checked").text(), written, "from {:?}", text);
            }
        }
    }
}

#[test]
fn the_examples_of_the_documentation_are_understood() {
    let text = include_str!("../../../docs/log-search.md");
    let examples: Vec<&str> = text
        .split("```query\n")
        .skip(1)
        .filter_map(|block| block.split("\n```").next())
        .collect();
    assert!(examples.len() >= 8, "{examples:?}");
    for example in examples {
        let query = Query::parse(example);
        assert!(query.is_ok(), "{example}: {query:?}");
    }
}
