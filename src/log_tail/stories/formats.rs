//! The test lines of containers' and texts' formats, from file to store.

use model::Level;

use super::World;
use crate::reading::{FormatChoice, ReadRule};

/// What is stored of a file with these lines: stream, level, time and text of each record.
fn stored(content: impl AsRef<[u8]>) -> Vec<(String, Level, String, Vec<u8>)> {
    stored_by(content, None)
}

fn stored_by(
    content: impl AsRef<[u8]>,
    format: Option<FormatChoice>,
) -> Vec<(String, Level, String, Vec<u8>)> {
    let mut world = World::with(|config| {
        config.read.push(ReadRule {
            files: vec!["/**/*.log".to_owned()],
            format,
            ..ReadRule::default()
        });
    });
    world.append("a.log", content);
    world.step();
    (world.sink.lines().into_iter())
        .map(|line| {
            let stream = line.labels.get("stream").unwrap_or_default().to_owned();
            let time = model::time::rfc3339_ns(line.time_ns);
            (stream, line.level, time, line.text)
        })
        .collect()
}

fn texts(content: impl AsRef<[u8]>) -> Vec<String> {
    (stored(content).into_iter())
        .map(|(_, _, _, text)| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

/// The only record of some lines.
fn only(content: impl AsRef<[u8]>) -> (String, String, Vec<u8>) {
    let mut stored = stored(content);
    assert_eq!(stored.len(), 1, "{stored:?}");
    let (stream, _, time, text) = stored.remove(0);
    (stream, time, text)
}

#[test]
fn cri() {
    // 1: full, 9: no line break at the end.
    let (stream, time, text) = only(
        "2026-03-01T10:00:00.123456789Z stdout F hello world\n\
         2026-03-01T10:00:04.0Z stdout F half",
    );
    assert_eq!((&*stream, &*text), ("stdout", &b"hello world"[..]));
    assert_eq!(time, "2026-03-01T10:00:00.123456789Z");
    // 2: partial.
    let mut records = stored(
        "2026-03-01T10:00:00.000000001Z stdout P aaa\n\
         2026-03-01T10:00:00.000000002Z stderr F err\n\
         2026-03-01T10:00:00.000000003Z stdout F bbb\n",
    );
    records.sort();
    assert_eq!((&*records[0].0, &*records[0].3), ("stderr", &b"err"[..]));
    assert_eq!((&*records[1].0, &*records[1].3), ("stdout", &b"aaabbb"[..]));
    assert_eq!(records[1].2, "2026-03-01T10:00:00.000000001Z");
    // 3: empty message.
    assert_eq!(only("2026-03-01T10:00:01Z stdout F \n").2, b"");
    assert_eq!(only("2026-03-01T10:00:01Z stdout F\n").2, b"");
    // 4: zone and short fraction.
    let (stream, time, _) = only("2026-03-01T11:00:00.5+01:00 stderr F x\n");
    assert_eq!(
        (&*stream, &*time),
        ("stderr", "2026-03-01T10:00:00.500000000Z")
    );
    // 5: more tags.
    let parts =
        "2026-03-01T10:00:02.0Z stdout P:foo part\n2026-03-01T10:00:02.0Z stdout F:foo end\n";
    assert_eq!(only(parts).2, b"partend");
    // 6: leading spaces and tabs.
    assert_eq!(
        only("2026-03-01T10:00:03.0Z stdout F   \tindented\n").2,
        b"  \tindented"
    );
    // 7: CR, NUL, invalid UTF-8.
    let odd = b"2026-03-01T10:00:03.0Z stdout F a\r\x00\xff\xfe\n";
    let first = b"2026-03-01T10:00:03.0Z stdout F {}\n".repeat(40);
    let records = stored([&first[..], &odd[..]].concat());
    assert_eq!(records[40].3, b"a\r\x00\xff\xfe");
    // 8: a bad line.
    assert_eq!(
        texts("2026-03-01T10:00:03.0Z stdout F {}\nnot a log line\n"),
        ["{}", "not a log line"]
    );
    // 22: a line of 300 KiB in parts.
    let part = "x".repeat(16 << 10);
    let long = (0..19)
        .map(|n| format!("2026-03-01T10:00:{n:02}Z stdout P {part}\n"))
        .collect::<Vec<_>>()
        .concat();
    let (_, _, text) = only(format!("{long}2026-03-01T10:00:20Z stdout F end\n"));
    assert_eq!(text.len(), 19 * part.len() + 3);
}

#[test]
fn docker() {
    // 10: full, 11: partial, 12: with attributes.
    let lines = r#"{"log":"hi\n","stream":"stdout","time":"2026-03-01T10:00:05.123456789Z"}
{"log":"one ","stream":"stdout","time":"2026-03-01T10:00:06.1Z"}
{"log":"two\n","stream":"stdout","time":"2026-03-01T10:00:06.2Z"}
{"log":"x\n","stream":"stderr","attrs":{"tag":"t"},"time":"2026-03-01T10:00:07Z"}
"#;
    let mut records = stored(lines);
    records.sort_by(|a, b| a.2.cmp(&b.2));
    let texts: Vec<&[u8]> = records.iter().map(|record| &*record.3).collect();
    assert_eq!(texts, [&b"hi"[..], b"one two", b"x"]);
    assert_eq!(records[1].2, "2026-03-01T10:00:06.100000000Z");
    assert_eq!(records[2].0, "stderr");
}

#[test]
fn traces_behind_an_envelope() {
    // 17 to 19, in a container's log.
    let cri = |lines: &[&str]| -> String {
        let lines = lines.iter();
        let lines = lines.map(|line| format!("2026-03-01T10:00:00Z stderr F {line}\n"));
        lines.collect::<Vec<_>>().concat()
    };
    let java = [
        "Exception in thread \"main\" java.lang.IllegalStateException: a",
        "\tat a.B.c(B.java:1)",
        "Caused by: java.io.IOException: b",
        "\t... 3 more",
    ];
    assert_eq!(texts(cri(&java)), [java.join("\n")]);
    assert_eq!(texts(java.join("\n") + "\n"), [java.join("\n")], "plain");
    let go = [
        "panic: boom",
        "",
        "goroutine 1 [running]:",
        "main.main()",
        "\t/x/main.go:3 +0x1",
        "exit status 2",
    ];
    assert_eq!(texts(cri(&go)), [go[..5].join("\n"), go[5].to_owned()]);
    let python = [
        "Traceback (most recent call last):",
        "  File \"a.py\", line 1, in <module>",
        "    f()",
        "ValueError: x",
    ];
    assert_eq!(texts(cri(&python)), [python.join("\n")]);
    let records = stored(cri(&python));
    assert_eq!((&*records[0].0, records[0].1), ("stderr", Level::Error));
}

#[test]
fn interleaved_outputs_are_joined_each_by_itself() {
    let lines = [
        "stdout F java.lang.Error: out",
        "stderr F java.lang.Error: err",
        "stdout F \tat o.A(O.java:1)",
        "stderr F \tat e.A(E.java:1)",
        "stdout F \tat o.B(O.java:2)",
        "stderr F next",
    ];
    let content = (lines.iter())
        .map(|line| format!("2026-03-01T10:00:00Z {line}\n"))
        .collect::<Vec<_>>()
        .concat();
    let mut texts = texts(content);
    texts.sort();
    assert_eq!(
        texts,
        [
            "java.lang.Error: err\n\tat e.A(E.java:1)",
            "java.lang.Error: out\n\tat o.A(O.java:1)\n\tat o.B(O.java:2)",
            "next",
        ]
    );
}

#[test]
fn texts_have_times_and_levels() {
    let check = |line: &str, time: &str, level: Level| {
        let records = stored(format!("{line}\n"));
        assert_eq!(records.len(), 1, "{line}");
        let (_, found, at, text) = &records[0];
        assert!(at.starts_with(time), "{line}: {at}");
        assert_eq!(
            (*found, text.as_slice()),
            (level, line.as_bytes()),
            "{line}"
        );
    };
    check(
        "2026-03-01T10:00:00.5+01:00 INFO x",
        "2026-03-01T09:00:00.5",
        Level::Info,
    );
    check(
        "2026/03/01 10:00:00 main.go:1: x",
        "2026-03-01T10:00:00",
        Level::Unknown,
    );
    check(
        "2026-03-01 10:00:00,123 ERROR [main] a.B - x",
        "2026-03-01T10:00:00.123",
        Level::Error,
    );
    check(
        "<11>1 2026-03-01T10:00:00Z host app - - - x",
        "2026-03-01T10:00:00",
        Level::Error,
    );
    check(
        "[2026-03-01 10:00:00] prod.WARNING: x",
        "2026-03-01T10:00:00",
        Level::Warn,
    );
    check("1772359200 x", "2026-03-01T10:00:00", Level::Unknown);
    check("1772359200123 x", "2026-03-01T10:00:00.123", Level::Unknown);
    check(
        "1772359200123456789 x",
        "2026-03-01T10:00:00.123456789",
        Level::Unknown,
    );
    check(
        r#"10.0.0.1 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 502 7 "-" "curl""#,
        "2026-03-01T10:00:00",
        Level::Error,
    );
    check(
        "ts=2026-03-01T10:00:00Z level=warn msg=x",
        "2026-03-01T10:00:00",
        Level::Warn,
    );
    check(
        r#"{"time":"2026-03-01T10:00:00Z","level":"debug","msg":"x"}"#,
        "2026-03-01T10:00:00",
        Level::Debug,
    );
}

#[test]
fn the_configuration_overrules_what_lines_look_like() {
    let json = "{\"level\":\"error\",\"msg\":\"x\"}\n";
    let levels = |format| stored_by(json, format)[0].1;
    assert_eq!(levels(None), Level::Error);
    assert_eq!(levels(Some(FormatChoice::Json)), Level::Error);
    assert_eq!(levels(Some(FormatChoice::Text)), Level::Unknown);
    let cri = "2026-03-01T10:00:00Z stdout F x\n";
    assert_eq!(
        stored_by(cri, Some(FormatChoice::Text))[0].3,
        cri.trim_end().as_bytes()
    );
    let docker = stored_by("no envelope\n", Some(FormatChoice::Docker));
    assert_eq!(
        (&*docker[0].0, &*docker[0].3),
        ("stdout", &b"no envelope"[..])
    );
}
