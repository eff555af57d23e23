//! What selectors, line filters and stages make of lines.

use std::collections::BTreeMap;

use model::{Labels, Level};
use proptest::prelude::*;

use super::{Lines, S};
use crate::logql::{Entry, Expr, LogRequest, logs, parse};
use crate::reader::{Direction, Stop};

fn ask(lines: &Lines, query: &str, limit: usize, direction: Direction) -> Vec<Entry> {
    let Expr::Log(log) = parse(query).unwrap_or_else(|error| panic!("{query}: {error}")) else {
        panic!("{query} asks for numbers");
    };
    let request = LogRequest {
        start_ns: 0,
        end_ns: i64::MAX,
        direction,
        limit,
        stop: Stop::default(),
    };
    logs(lines, &log, &request).expect(query).0
}

/// The lines that a query leaves of these.
fn left(texts: &[&str], query: &str) -> Vec<String> {
    let found = ask(&Lines::of(texts), query, 1000, Direction::Forward);
    found.into_iter().map(|entry| entry.line).collect()
}

/// The labels that stages make of a line, as text.
fn made(text: &str, stages: &str) -> String {
    let query = format!("{{app=\"a\"}} {stages}");
    let found = ask(&Lines::of(&[text]), &query, 10, Direction::Forward);
    let entry = found
        .first()
        .unwrap_or_else(|| panic!("{query} leaves {text} out"));
    let parsed: BTreeMap<&str, &str> = entry
        .parsed
        .iter()
        .filter(|l| &*l.name != "__error_details__")
        .map(|l| (&*l.name, &*l.value))
        .collect();
    let parsed: Vec<String> = parsed.iter().map(|(k, v)| format!("{k}={v}")).collect();
    parsed.join(" ")
}

#[test]
fn line_filters_are_exact() {
    let lines = [
        "an Error of disk",
        "an error of disks",
        "myerror",
        "10.0.0.7:80 ok",
        "2 + 2 = 4",
    ];
    let check = |query: &str, expected: &[usize]| {
        let expected: Vec<&str> = expected.iter().map(|i| lines[*i]).collect();
        assert_eq!(left(&lines, query), expected, "{query}");
    };
    check(r#"{app="a"} |= "error""#, &[1, 2]);
    check(r#"{app="a"} |= "Error of d""#, &[0]);
    check(r#"{app="a"} |= "error of disk""#, &[1]);
    check(r#"{app="a"} |= "rror" != " of ""#, &[2]);
    check(r#"{app="a"} |= "+ 2 =""#, &[4]);
    check(
        r#"{app="a"} |= "" | json | drop __error__"#,
        &[0, 1, 2, 3, 4],
    );
    check(r#"{app="a"} |= "disks" or "my""#, &[1, 2]);
    check(r#"{app="a"} != "disks" or "my""#, &[0, 3, 4]);
    check(r#"{app="a"} |~ "(?i)ERROR""#, &[0, 1, 2]);
    check(r#"{app="a"} |~ "e.ror" !~ "^an""#, &[2]);
    check(r#"{app="a"} |= ip("10.0.0.0/24")"#, &[3]);
    check(r#"{app="a"} != ip("10.0.0.0/24") |= "ok""#, &[]);
    check(r#"{app="a"} |> "<_> of <_>""#, &[0, 1]);
    check(r#"{app="a"} |> "an <_> of disk""#, &[0]);
    check(r#"{app="a"} !> "an <_>" |= "r""#, &[2]);
    check(r#"{app="b"}"#, &[]);
    check(r#"{app=~"a|b", nothing=""} |= "4""#, &[4]);
    check(r#"{app!~"a.*"}"#, &[]);
    check(r#"{level="info"} |= "4""#, &[4]);
    check(r#"{detected_level=~"warn|error"}"#, &[]);
}

#[test]
fn parsers_make_labels() {
    let json = r#"{"app":"z","msg":"a \"b\"","n":1.5,"ok":true,"no":null,"l":[1,{"x":"y"}],"http":{"status-code":200,"8k":"v"},"msg":"second"}"#;
    assert_eq!(
        made(json, "| json"),
        r#"app_extracted=z http_8k=v http_status_code=200 msg=a "b" n=1.5 ok=true"#
    );
    assert_eq!(
        made(
            json,
            r#"| json code="http[\"status-code\"]", y="l[1].x", all="http", none="l[9]""#
        ),
        r#"all={"status-code":200,"8k":"v"} code=200 y=y"#
    );
    assert_eq!(made("no json", "| json"), "__error__=JSONParserErr");
    assert_eq!(made(r#"{"a":1"#, "| json"), "__error__=JSONParserErr a=1");
    assert_eq!(
        made(
            r#"level=warn msg="a b" took=1.5s empty= x.y=1 app=q word"#,
            "| logfmt"
        ),
        "app_extracted=q level=warn msg=a b took=1.5s x_y=1"
    );
    assert_eq!(made("a=1 b=", "| logfmt --keep-empty | b=``"), "a=1");
    assert_eq!(
        made("a=1 =2 b=3", "| logfmt --strict"),
        "__error__=LogfmtParserErr a=1"
    );
    assert_eq!(made("a=1 =2 b=3", "| logfmt"), "a=1 b=3");
    assert_eq!(made("a=1 b=2", r#"| logfmt x="b""#), "x=2");
    assert_eq!(
        made(
            "10.0.0.1 - - [x y] \"GET /p HTTP/1.1\" 200 12",
            "| pattern `<ip> - - [<_>] \"<method> <path> <_>\" <status> <_>`"
        ),
        "ip=10.0.0.1 method=GET path=/p status=200"
    );
    assert_eq!(made("a - b", "| pattern `x<a> - <b>`"), "");
    assert_eq!(
        made("GET /p", r"| regexp `(?P<m>\w+) (?P<p>\S+)`"),
        "m=GET p=/p"
    );
    assert_eq!(
        made(r#"{"pod":"q","_entry":"the line","n":1}"#, "| unpack"),
        "pod_extracted=q"
    );
    assert_eq!(
        left(
            &[r#"{"_entry":"the line"}"#],
            r#"{app="a"} | unpack |= "the""#
        ),
        ["the line"]
    );
}

#[test]
fn label_filters_compare_texts_numbers_durations_and_sizes() {
    let lines = [
        "status=500 took=1.5s size=20KB addr=10.1.1.1 m=GET",
        "status=200 took=20ms size=1KiB addr=11.1.1.1 m=POST",
        "status=abc took=x",
    ];
    let check = |filter: &str, expected: &[usize]| {
        let query = format!("{{app=\"a\"}} | logfmt | {filter}");
        let expected: Vec<&str> = expected.iter().map(|i| lines[*i]).collect();
        assert_eq!(left(&lines, &query), expected, "{query}");
    };
    check(r#"status="500""#, &[0]);
    check(r#"status!="500""#, &[1, 2]);
    check("m=~`G.*`", &[0]);
    check("m=~`G`", &[]);
    // What is no number stays, with an error that can be filtered.
    check("status >= 500", &[0, 2]);
    check(r#"status >= 500 | __error__="""#, &[0]);
    check("status == 200", &[1, 2]);
    check(r#"took > 1s | __error__="""#, &[0]);
    check(r#"size >= 10KB | __error__="""#, &[0]);
    check("size < 2KB", &[1]);
    check("nothing > 1", &[]);
    check(r#"addr=ip("10.0.0.0/8")"#, &[0]);
    check(r#"addr!=ip("10.0.0.0/8")"#, &[1]);
    check(r#"status="500" or m="POST""#, &[0, 1]);
    check(r#"status="500", m="POST""#, &[]);
    check(r#"(status="200" or status="500") and m="GET""#, &[0]);
    check(r#"detected_level="info" and pod="p" and m="GET""#, &[0]);
    check("status != -1 | __error__=`LabelFilterErr`", &[2]);
}

#[test]
fn lines_and_labels_are_rewritten() {
    let check = |text: &str, stages: &str, expected: &str| {
        let query = format!("{{app=\"a\"}} {stages}");
        assert_eq!(left(&[text], &query), [expected], "{query}");
    };
    check(
        "a=1 b=x",
        "| logfmt | line_format `{{.b}}-{{.a}}-{{.none}}`",
        "x-1-",
    );
    check("a=1", "| logfmt | line_format `{{.a}}`", "1");
    check(
        "a=hello",
        "| logfmt | line_format `{{ .a | ToUpper | trunc 3 }}{{ if eq .app \"a\" }}!{{ end }}`",
        "HEL!",
    );
    check(
        "x",
        "| line_format `{{ __line__ }} at {{ __timestamp__ | date \"15:04:05\" }}`",
        "x at 00:00:01",
    );
    check(
        "x",
        "| line_format `{{ add 1 2 3 }} {{ div 7 2 }} {{ mulf 1.5 2 }} {{ printf \"%05d\" 7 }}`",
        "6 3 3 00007",
    );
    check(
        "p=/a/b?c=d%20e",
        "| logfmt | line_format `{{ regexReplaceAll \"(/a)(/b).*\" .p \"$2$1\" }} {{ .p | urldecode }}`",
        "/b/a /a/b?c=d e",
    );
    check(
        "x",
        "| line_format `{{ \"abc\" | b64enc }} {{ \"YWJj\" | b64dec }} {{ alignRight 3 \"x\" }}`",
        "YWJj abc   x",
    );
    check("\u{1b}[31mred\u{1b}[0m", "| decolorize", "red");
    check("\u{1b}[31mre\u{1b}[0md", "| decolorize |= `red`", "red");
    check(
        r#"{"a":"[{\"n\":1},{\"n\":2.5}]"}"#,
        "| json | line_format `{{ range $i, $x := fromJson .a }}{{ $i }}:{{ $x.n }} {{ end }}`",
        "0:1 1:2.5 ",
    );
    // A template that fails leaves the line as it was, with an error.
    check("x", "| line_format `{{ b64dec \"?\" }}y`", "x");
    assert_eq!(
        made("x", "| line_format `{{ b64dec \"?\" }}y`"),
        "__error__=TemplateFormatErr"
    );
}

#[test]
fn labels_are_formatted_dropped_and_kept() {
    assert_eq!(
        made("a=1 b=2", "| logfmt | label_format c=a, d=`{{.b}}!`"),
        "b=2 c=1 d=2!"
    );
    assert_eq!(made("a=1 b=2", "| logfmt | drop a"), "b=2");
    assert_eq!(made("a=1 b=2", "| logfmt | drop a=`2`, b=`2`"), "a=1");
    assert_eq!(made("a=1 b=2", "| logfmt | keep b"), "b=2");
    assert_eq!(made("x", "| json | drop __error__, __error_details__"), "");
    let lines = Lines::of(&["a=1"]);
    let entry = &ask(
        &lines,
        r#"{app="a"} | logfmt | keep a"#,
        9,
        Direction::Forward,
    )[0];
    assert_eq!(entry.labels(), Labels::from_pairs([("a", "1")]));
    let entry = &ask(
        &lines,
        r#"{app="a"} | label_format pod=app"#,
        9,
        Direction::Forward,
    )[0];
    assert_eq!(
        entry.labels(),
        Labels::from_pairs([("pod", "a"), ("detected_level", "info")])
    );
}

#[test]
fn levels_of_lines_are_labels_that_can_be_selected() {
    let mut lines = Lines::of(&["fine"]);
    let app = Labels::from_pairs([("app", "a")]);
    lines.add(&app, Level::Error, 9 * S, "broken");
    let own = Labels::from_pairs([("app", "a"), ("level", "ERROR")]);
    lines.add(&own, Level::Info, 10 * S, "own");
    let check = |query: &str, expected: &[&str]| {
        let found = ask(&lines, query, 10, Direction::Forward);
        let texts: Vec<&str> = found.iter().map(|e| e.line.as_str()).collect();
        assert_eq!(texts, expected, "{query}");
    };
    check(r#"{level="error"}"#, &["broken"]);
    check(r#"{level="ERROR"}"#, &["own"]);
    check(r#"{level=~"error|ERROR"}"#, &["broken", "own"]);
    check(r#"{app="a", level!="error"}"#, &["fine", "own"]);
    check(r#"{detected_level="info"}"#, &["fine", "own"]);
    check(r#"{app="a"} | detected_level="error""#, &["broken"]);
}

#[test]
fn limits_hold_behind_the_stages_and_over_pages() {
    let texts: Vec<String> = (0..3_000).map(|i| format!("n={i} m={}", i % 7)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let lines = Lines::of(&texts);
    let found = ask(
        &lines,
        r#"{app="a"} | logfmt | m="3""#,
        300,
        Direction::Forward,
    );
    assert_eq!(found.len(), 300);
    assert!(found.windows(2).all(|w| w[0].time_ns < w[1].time_ns));
    assert_eq!(found[299].line, "n=2096 m=3");
    let found = ask(
        &lines,
        r#"{app="a"} | logfmt | m="3""#,
        1,
        Direction::Backward,
    );
    assert_eq!(found[0].line, "n=2999 m=3");
    assert_eq!(ask(&lines, r#"{app="a"}"#, 7, Direction::Backward).len(), 7);
}

#[test]
fn huge_lines_are_bounded() {
    let huge = "x".repeat(1 << 20);
    let texts = vec![huge.as_str(); 70];
    let lines = Lines::of(&texts);
    let Ok(Expr::Log(log)) = parse(r#"{app="a"}"#) else {
        panic!("no log query");
    };
    let request = |limit| LogRequest {
        start_ns: 0,
        end_ns: i64::MAX,
        direction: Direction::Forward,
        limit,
        stop: Stop::default(),
    };
    assert_eq!(logs(&lines, &log, &request(50)).expect("50 MB").0.len(), 50);
    let error = logs(&lines, &log, &request(70)).expect_err("70 MB");
    assert!(error.to_string().contains("ask for fewer"), "{error}");
}

proptest! {
    /// A regular expression says the same as an equality and is not looked for beforehand.
    #[test]
    fn what_is_looked_for_beforehand_leaves_no_line_out(
        texts in proptest::collection::vec(
            r#"(\{"(a|pod)":"([b-d]|\\u0062){0,2}"(,"n":[1-3])?\}|(a|pod)=[b-d]{0,2}( n=[1-3])?|a="\\\\[bc]"|[bc] [bc])"#,
            1..6,
        ),
        value in "[b-d]{1,2}",
        parser in proptest::sample::select(vec![
            "json", "logfmt", "json a", "pattern `<a> <b>`", "regexp `(?P<a>[bc]+)`",
        ]),
        shape in proptest::sample::select(vec![
            "a{op}\"V\"", "a{op}\"V\" and n{op}\"1\"", "a{op}\"V\" or n{op}\"1\"",
            "pod{op}\"V\" or pod_extracted{op}\"V\"", "detected_level{op}\"info\" and a{op}\"V\"",
        ]),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let filter = |op: &str| shape.replace("{op}", op).replace('V', &value);
        let query = |op: &str| format!("{{app=\"a\"}} | {parser} | {}", filter(op));
        prop_assert_eq!(left(&texts, &query("=")), left(&texts, &query("=~")), "{}", query("="));
    }

    #[test]
    fn any_line_passes_all_stages(text in "[ -~\u{e9}\u{1b}]{0,80}", json in r#"\{("[a-c\\"]{0,3}":("x"|1|null|\[1,2|\{"a":2\}|tru|,)){0,4}[,}]{0,2}"#) {
        for stages in [
            "| json", "| json a=\"b[0].c\"", "| logfmt", "| logfmt --strict --keep-empty", "| unpack",
            "| decolorize", "| pattern `<a> <_> <b>`", "| regexp `(?P<a>.)`",
            "| logfmt | a > 5 or b < 1s | label_format a=b, c=`{{.a | trunc 3}}`",
            "|= ip(\"10.0.0.0/8\")", "|> \"<_> a <_>\"",
        ] {
            left(&[&text, &json], &format!("{{app=\"a\"}} {stages}"));
        }
    }
}
