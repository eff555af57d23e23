//! Templates against what Go and Prometheus print for them.

use std::sync::Arc;

use model::Labels;
use proptest::prelude::*;

use super::*;

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", "0"), ("b", "x y"), ("a", "1")])
}

fn answer(expression: &str) -> Result<Vec<Sample>, String> {
    match expression {
        "up" => Ok([("b", 1.0), ("a", 0.5)]
            .map(|(instance, value)| Sample {
                labels: Labels::from_pairs([("instance", instance)]),
                value,
            })
            .to_vec()),
        "none" => Ok(Vec::new()),
        other => Err(format!("cannot parse {other}")),
    }
}

fn render(source: &str, value: f64) -> Result<String, String> {
    let template =
        Template::parse("test", source, &RULE_VARIABLES).map_err(|error| error.to_string())?;
    let env = Env {
        now_ms: 1_500,
        external_url: "http://yagura.example/base",
        query: &answer,
        more: &[],
    };
    let variables = [
        Value::Labels(labels()),
        Value::Labels(Labels::from_pairs([("cluster", "c1")])),
        Value::str(env.external_url),
        Value::Float(value),
    ];
    let dot = Value::Map(Arc::new(
        ["Labels", "ExternalLabels", "ExternalURL", "Value"]
            .map(Arc::from)
            .into_iter()
            .zip(variables.clone())
            .collect(),
    ));
    template
        .render(&dot, &variables, &env)
        .map_err(|error| error.to_string())
}

#[test]
fn prints_what_prometheus_prints() {
    let check = |source: &str, value: f64, expected: &str| {
        assert_eq!(render(source, value).as_deref(), Ok(expected), "{source}");
    };
    check("plain }} text", 0.0, "plain }} text");
    check("{{ $labels }}", 0.0, "map[__name__:m a:1 b:x y i:0]");
    check(
        "{{$labels.a}}/{{ $labels.nope }}/{{.Labels.i}}",
        0.0,
        "1//0",
    );
    check("{{ $value }} {{ .Value }}", 1e6, "1e+06 1e+06");
    check(
        "{{ $externalLabels.cluster }} {{ $externalURL }}",
        0.0,
        "c1 http://yagura.example/base",
    );
    check(
        "{{ externalURL }} {{ pathPrefix }} {{ now }}",
        0.0,
        "http://yagura.example/base /base 1.5",
    );
    check("{{ $value | humanize }}", 123_456.789, "123.5k");
    check("{{ humanizePercentage $value }}", 0.1, "10%");
    check("{{ $value | humanizeDuration }}", 3_661.0, "1h 1m 1s");
    check(
        "{{ $value | humanizeTimestamp }}",
        3_661.0,
        "1970-01-01 01:01:01 +0000 UTC",
    );
    check("{{ printf \"%.2f\" $value }}%", 123_456.789, "123456.79%");
    check("{{ $value | printf \"%.0f\" }}", 0.5, "0");
    check(
        "{{ title \"abc dEf\" }} {{ \"aB\" | toUpper }} {{ toLower \"aB\" }}",
        0.0,
        "Abc DEf AB ab",
    );
    check(
        "{{ if gt $value 1.0 }}high{{ else if eq $value 1.0 }}one{{ else }}low{{ end }}",
        1.0,
        "one",
    );
    check(
        "{{ with query \"up\" }}{{ . | first | value }}{{ end }}",
        0.0,
        "1",
    );
    check(
        "{{ with query \"none\" }}x{{ else }}nothing{{ end }}",
        0.0,
        "nothing",
    );
    check(
        "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}",
        0.0,
        "a=0.5 b=1 ",
    );
    check(
        "{{ range $i, $s := query \"up\" }}{{ $i }}{{ label \"instance\" $s }}{{ end }}",
        0.0,
        "0b1a",
    );
    check(
        "{{ range $k, $v := $labels }}{{ if eq $k \"b\" }}{{ continue }}{{ end }}{{ $v }}{{ end }}",
        0.0,
        "m10",
    );
    check("{{ range $labels }}{{ . }}{{ break }}{{ end }}", 0.0, "m");
    check("{{ range 3 }}{{ . }}{{ end }}", 0.0, "012");
    check(
        "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}",
        0.0,
        "2",
    );
    check(
        "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}",
        0.0,
        "1",
    );
    check("a {{- /* why */ -}} b {{ \"c\" -}}  \n d", 0.0, "ab cd");
    check("{{ reReplaceAll \"(.*)-x\" \"${1}!\" \"a-x\" }}", 0.0, "a!");
    check("{{ if match \"^a+$\" \"aaa\" }}yes{{ end }}", 0.0, "yes");
    check(
        "{{ define \"t\" }}<{{ .arg0 }}{{ $.arg1 }}>{{ end }}{{ template \"t\" args 1 \"x\" }}",
        0.0,
        "<1x>",
    );
    check("{{ block \"b\" $value }}[{{ . }}]{{ end }}", 2.0, "[2]");
    check(
        "{{ and 1 0 2 }}{{ or 0 \"x\" }}{{ not true }}",
        0.0,
        "0xfalse",
    );
    check(
        "{{ len $labels }}{{ len \"äb\" }}{{ index $labels \"a\" }}",
        0.0,
        "431",
    );
    check("{{ (query \"up\" | first).Labels.instance }}", 0.0, "b");
    check("{{ query \"up\" | first }}", 0.0, "{map[instance:b] 1}");
    check(
        "{{ `raw \\n` }}{{ 'a' }}{{ 0x10 }}{{ -1.5e3 }}",
        0.0,
        "raw \\n9716-1500",
    );
    check(
        "{{ print 1 2 \"a\" }}{{ \"a b&\" | urlquery }}",
        0.0,
        "1 2aa+b%26",
    );
    check(
        "{{ \"<x>\" | html }} {{ graphLink \"up\" }}",
        0.0,
        "&lt;x&gt; /graph?g0.expr=up&g0.tab=0",
    );
    check(
        "{{ humanize \"1000\" }} {{ \"a:1\" | stripPort }}",
        0.0,
        "1k a",
    );
    check("{{ nil | eq nil }}", 0.0, "true");
    check(
        "{{ (toTime $value).Format \"Jan _2 15:04\" }} {{ toDuration $value }}",
        3_661.5,
        "Jan  1 01:01 1h1m1.5s",
    );
    check(
        "{{ $value | toTime }} {{ (toTime $value).Year }} {{ (toDuration $value).Minutes }}",
        90.0,
        "1970-01-01 00:01:30 +0000 UTC 1970 1.5",
    );
    check(
        "{{ define \"t\" }}<{{ . }}>{{ end }}{{ tmpl \"t\" 1 }}{{ safeHtml \"<b>\" }}",
        0.0,
        "<1><b>",
    );
    check(
        "{{ parseDuration \"1h30m\" | humanizeDuration }}",
        0.0,
        "1h 30m 0s",
    );
}

#[test]
fn mistakes_have_a_place_and_a_name() {
    let check = |source: &str, expected: &str| {
        let error = render(source, 1e20).expect_err(source);
        assert!(error.contains(expected), "{source}: {error}");
    };
    check(
        "a\n {{ nope 1 }}",
        "template: test:2:5: function \"nope\" not defined",
    );
    check("{{ $nope }}", "undefined variable \"$nope\"");
    check("{{ if true }}x", "if has no {{end}}");
    check("{{ end }}", "unexpected {{end}}");
    check("{{ $value", "unclosed action");
    check("{{ \"x }}", "unterminated quoted string");
    check("{{ }}", "a value is missing");
    check("{{ 1 2 }}", "only a function or method takes arguments");
    check("{{ $value | 5 }}", "only a function or method can follow |");
    check("{{ break }}", "outside {{range}}");
    check(
        "{{ $x := 1 }}{{ define \"t\" }}{{ $x }}{{ end }}",
        "undefined variable \"$x\"",
    );
    check("{{ template \"t\" }}", "template \"t\" not defined");
    check("{{ gt $value 5 }}", "write 5.0 instead of 5");
    check(
        "{{ humanizeTimestamp $value }}",
        "error calling humanizeTimestamp: 1e+20 cannot be",
    );
    check(
        "{{ query \"none\" | first }}",
        "first() called on vector with no elements",
    );
    check("{{ query \"bad(\" }}", "cannot parse bad(");
    check(
        "{{ humanize }}",
        "wrong number of args for humanize: want 1 got 0",
    );
    check("{{ $value.x }}", "can't evaluate field x in type float64");
    check(
        "{{ $labels.a.b }}",
        "<$labels.a.b>: can't evaluate field b in type string",
    );
    check("{{ match \"(\" \"\" }}", "regular expression");
    check("{{ toUpper 1 }}", "expected string; got int");
    check(
        "{{ range 1.5 }}{{ end }}",
        "range can't iterate over float64",
    );
}

#[test]
fn runaway_templates_stop_at_a_limit() {
    let check = |source: &str, expected: &str| {
        let error = render(source, 0.0).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    };
    let doubling = format!(
        "{{{{ $x := \"0123456789\" }}}}{}",
        "{{ $x = print $x $x }}".repeat(20)
    );
    check(&doubling, "bytes of text");
    check(
        "{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}",
        "steps",
    );
    check("{{ range 150000 }}0123456789{{ end }}", "bytes of text");
    check(
        "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
        "nested deeper",
    );
    check(&"{{ if true }}".repeat(10_000), "nested deeper");
    check(
        &format!("{{{{ {} }}}}", "(".repeat(10_000)),
        "nested deeper",
    );
    let nested = format!(
        "{{{{ define \"t\" }}}}{}{{{{ template \"t\" }}}}{}{{{{ end }}}}{{{{ template \"t\" }}}}",
        "{{ if true }}".repeat(25),
        "{{ end }}".repeat(25)
    );
    check(&nested, "nested deeper");
    check(
        "{{ $x := 1 }}{{ range 100000 }}{{ $x = args $x }}{{ end }}",
        "nested too deeply",
    );
    check("{{ printf \"%1000000d%1000000d\" 1 1 }}", "bytes of text");
    check(&"x".repeat(SOURCE_BYTES_MAX + 1), "longer than");
}

#[test]
fn plain_text_is_told_from_templates() {
    let constant = |source: &str| {
        Template::parse("t", source, &[])
            .expect("a template")
            .is_constant()
    };
    assert!(constant("warning"));
    assert!(constant(""));
    assert!(!constant("{{ 1 }}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_panics_on_any_text(source in "(?s).{0,200}") {
        let _ = render(&source, 1.5);
    }

    #[test]
    fn never_panics_on_what_looks_like_a_template(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("{{"), Just("}}"), Just(" -}}"), Just("{{- "), Just("if "), Just("range "),
                Just("with "), Just("end"), Just("else "), Just("$x := "), Just("$x"), Just("."),
                Just("$labels.a"), Just("$value "), Just("| "), Just("printf \"%5.2f%s%q\" "),
                Just("index "), Just("slice "), Just("query \"up\" "), Just("first "), Just("("),
                Just(")"), Just("eq "), Just("1 "), Just("-3 "), Just("args "), Just("'x' "),
                Just("\"ä\" "), Just("template \"t\" "), Just("toTime $value"), Just(".Format \"2006\" "), Just("tmpl \"t\" "),
                Just("toDuration $value"), Just(".Round 7 "), Just(".Add "), Just("safeHtml "), Just("define \"t\""), Just("humanize "),
            ],
            0..24,
        ),
        value in any::<f64>(),
    ) {
        let _ = render(&pieces.concat(), value);
        let _ = render(&format!("{{{{ {} }}}}", pieces.concat()), value);
    }

    #[test]
    fn floats_read_back_as_the_same_number(value in any::<f64>()) {
        let printed = render("{{ $value }}", value).expect("a value");
        let back: f64 = printed.parse().expect("a float");
        prop_assert!(back == value || (back.is_nan() && value.is_nan()));
    }
}
