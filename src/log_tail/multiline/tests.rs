//! Which lines become one record. Each case is a stream of lines; `|` stands before every line
//! that begins a record.

use std::convert::Infallible;

use model::Level;
use proptest::prelude::*;

use super::*;

const SECOND_NS: i64 = 1_000_000_000;

/// Reads the lines of one output, one microsecond apart, and returns the records.
fn join(mode: &Mode, lines: &[&str]) -> Vec<(Level, String)> {
    let timed: Vec<(i64, &str)> = (0..).map(|n| n * 1000).zip(lines.iter().copied()).collect();
    join_timed(mode, &timed)
}

fn join_timed(mode: &Mode, lines: &[(i64, &str)]) -> Vec<(Level, String)> {
    let mut held = Held::default();
    let mut records = Vec::new();
    let mut give = |free: Free<'_>| {
        records.push((free.level, String::from_utf8_lossy(free.text).into_owned()));
        Ok::<_, Infallible>(())
    };
    for (start, (time_ns, line)) in lines.iter().enumerate() {
        let text = line.as_bytes();
        let mut has_time = |text: &[u8]| text.starts_with(b"2026-") || text.starts_with(b"[2026-");
        let fate = held.offer(mode, text, Some(*time_ns), Duration::ZERO, &mut has_time);
        if fate == Fate::Stands {
            let Ok(()) = held.release(&mut give);
            let head = Head {
                start: start as u64,
                time_ns: *time_ns,
                level: crate::level_detect::detect(text),
                timed: has_time(text),
                text,
            };
            held.hold(mode, &head, Duration::ZERO);
        }
    }
    let Ok(()) = held.release(&mut give);
    records
}

/// The text has a `|` where a record begins; the lines are those without it.
fn check(marked: &str) {
    let marked = marked.strip_prefix('\n').unwrap_or(marked);
    let lines: Vec<&str> = (marked.lines())
        .map(|line| line.strip_prefix('|').unwrap_or(line))
        .collect();
    let mut expected: Vec<String> = Vec::new();
    for line in marked.lines() {
        match (line.strip_prefix('|'), expected.last_mut()) {
            (Some(line), _) => expected.push(line.to_owned()),
            (None, Some(record)) => {
                record.push('\n');
                record.push_str(line);
            }
            (None, None) => panic!("the first line begins a record"),
        }
    }
    let records: Vec<String> = join(&Mode::BuiltIn, &lines)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(records, expected);
}

#[test]
fn java() {
    check(
        "
|Exception in thread \"main\" java.lang.IllegalStateException: a
\tat a.B.c(B.java:1)
Caused by: java.io.IOException: b
\t... 3 more
|2026-03-01 10:00:00 INFO next
|2026-03-01 10:00:01 ERROR a.B: failed
java.lang.RuntimeException: pq: deadlock detected
\tat com.acme.A.create(A.java:647)
\tSuppressed: java.lang.Exception: c
\t\tat com.acme.A.close(A.java:9)
Caused by: java.io.IOException
\tat com.acme.A.create(A.java:1)
|2026-03-01 10:00:02 INFO next
|java.lang.Error: not behind an error: it stands by itself
\tat x.Y.z(Y.java:1)",
    );
}

#[test]
fn log4j_lines_between_traces_stay_alone() {
    check(
        "
|java.lang.RuntimeException: a
\tat a.B.c(B.java:1)
|2026-03-01 10:00:00 INFO another thread breaks in
|\tat a.B.d(B.java:2)
\tat a.B.e(B.java:3)
|2026-03-01 10:00:00 WARN another one
|\tat a.B.f(B.java:4)
|2026-03-01 10:00:00 INFO next
  with a detail",
    );
}

#[test]
fn go() {
    check(
        "
|panic: boom

goroutine 1 [running]:
main.main()
\t/x/main.go:3 +0x1
|exit status 2
|panic: runtime error: invalid memory address or nil pointer dereference
\tpanic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x7f1a2c]

goroutine 4821 [running]:
net/http.(*conn).serve(0xc00003db44be5e, {0x1a2b3c0, 0xc03db44be5e})
\t/go/src/net/http.go:372 +0x03d
created by net/http.(*Server).Serve in goroutine 1
\t/go/src/net/http/server.go:3086 +0x5cb

goroutine 7 [chan receive, 2 minutes]:
main.work(...)
\t/x/main.go:9
|2026-03-01 10:00:00 http: panic serving 10.0.0.1:5: boom
goroutine 9 [running]:
panic({0x1, 0x2})
\t/go/src/runtime/panic.go:1 +0x1
|2026-03-01 10:00:00 dumping
|goroutine 1 [running]:
main.main()
\t/x/main.go:3 +0x1
|
|goroutines are a word like others",
    );
}

#[test]
fn two_goroutines_that_write_at_once_are_not_mixed() {
    check(
        "
|panic: boom

goroutine 1 [running]:
main.main()
|2026-03-01 10:00:00 INFO from another goroutine
|\t/x/main.go:3 +0x1
|main.run()
|2026-03-01 10:00:00 INFO next",
    );
}

#[test]
fn python() {
    check(
        "
|Traceback (most recent call last):
  File \"a.py\", line 1, in <module>
    f()
ValueError: x
|next
|ERROR:root:not timed, so the trace stands by itself
|Traceback (most recent call last):
  File \"a.py\", line 1, in <module>
    f()
    ^^^
a.b.Broken: x

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"b.py\", line 2, in g
KeyboardInterrupt
|2026-03-01 10:00:00 ERROR failed
Traceback (most recent call last):
  File \"b.py\", line 2, in g
ValueError: y
|
|a blank line behind a trace is one of its own",
    );
}

#[test]
fn ruby() {
    check(
        "
|a.rb:1:in `foo': boom (RuntimeError)
\tfrom a.rb:2:in `bar'
\tfrom a.rb:3:in `<main>'
|next
|app/models/order.rb:10:in 'pay'
app/controllers/orders.rb:20:in 'create'
|Traceback (most recent call last):
\t1: from a.rb:3:in `<main>'
a.rb:1:in `foo': boom (RuntimeError)
|next",
    );
}

#[test]
fn node() {
    check(
        "
|/app/x.js:10
    throw new Error('x')
    ^

Error: x
    at Object.<anonymous> (/app/x.js:10:9)
    at node:internal/main/run_main_module:23:47 {
  code: 'ENOENT'
}

Node.js v18.0.0
|TypeError: y is not a function
    at f (/app/y.js:1:2)
|next",
    );
}

#[test]
fn dot_net() {
    check(
        "
|Unhandled exception. System.InvalidOperationException: x
 ---> System.Exception: inner
   at A.B() in /src/A.cs:line 3
   --- End of inner exception stack trace ---
   at A.Main()
|fail: Microsoft.AspNetCore.Server.Kestrel[13]
      Connection id \"0HM\", Request id \"0HM:1\": an unhandled exception
|info: Microsoft.Hosting.Lifetime[0]
      Now listening",
    );
}

#[test]
fn rust() {
    check(
        "
|thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3 but the index is 99
stack backtrace:
   0: rust_begin_unwind
             at /rustc/1/library/std/src/panicking.rs:652:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
|next
|thread 'w' panicked at 'old form', src/main.rs:2:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
|thread 'w' panicked at src/main.rs:2:5:
|{\"level\":\"info\"}",
    );
}

#[test]
fn indented_lines_belong_to_a_line_that_is_indented_less() {
    check(
        "
|2026-03-01 10:00:00 INFO config
  a: 1
    b: 2
|next
|{
  \"a\": 1
}
|  a padded table
|  has equal lines
|2026-03-01 10:00:00 INFO main
|  INFO padded: begins a record
|   2026-03-01 10:00:00 so does a time
|}",
    );
}

#[test]
fn chatty_programs_are_left_alone() {
    check(
        "
|
|
|2026-03-01 10:00:00 INFO a
|2026-03-01 10:00:00 INFO b
|plain
|Caused by: nothing before it
|exit status 1
|main.main()
|KeyboardInterrupt
|note: a remark
|ValueError: behind a line that is no error
|stdout of a shell",
    );
}

#[test]
fn the_level_is_that_of_the_trace_where_the_line_says_none() {
    let level = |lines: &[&str]| join(&Mode::BuiltIn, lines)[0].0;
    assert_eq!(
        level(&["java.lang.Foo: x", "\tat a.B.c(B.java:1)"]),
        Level::Error
    );
    assert_eq!(
        level(&["Traceback (most recent call last):", "  File \"a\""]),
        Level::Error
    );
    assert_eq!(
        level(&["thread 'main' panicked at a.rs:1:1:", "x"]),
        Level::Fatal
    );
    assert_eq!(level(&["panic: boom"]), Level::Fatal);
    assert_eq!(level(&["a: 1", "  b: 2"]), Level::Unknown);
}

#[test]
fn lines_far_apart_do_not_belong_together() {
    let lines = [(0, "a"), (SECOND_NS, "  b"), (3 * SECOND_NS, "  c")];
    let texts: Vec<String> = join_timed(&Mode::BuiltIn, &lines)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["a\n  b", "  c"]);
}

#[test]
fn a_full_record_goes_on_in_another_one() {
    let line = format!("\tat {}", "x".repeat(1000));
    let lines: Vec<&str> = std::iter::once("java.lang.Error: x")
        .chain(std::iter::repeat_n(line.as_str(), 300))
        .collect();
    let records = join(&Mode::BuiltIn, &lines);
    assert_eq!(records.len(), 2);
    assert!(records[0].1.len() <= BYTES_MAX + FULL_MARK.len());
    assert!(
        records[0]
            .1
            .ends_with("[cut here: the record goes on in the next line]")
    );
    let frames: usize = records
        .iter()
        .map(|(_, text)| text.matches("\tat ").count())
        .sum();
    assert_eq!(frames, 300);
}

#[test]
fn a_record_is_due_soon_and_a_trace_a_little_later() {
    let mut held = Held::default();
    let head = |text| Head {
        start: 7,
        time_ns: 0,
        level: Level::Unknown,
        timed: false,
        text,
    };
    assert_eq!((held.due(), held.start()), (None, None));
    held.hold(&Mode::BuiltIn, &head(b"plain"), Duration::from_secs(1));
    assert_eq!(held.start(), Some(7));
    assert_eq!(held.due(), Some(Duration::from_secs(1) + PLAIN_QUIET));
    let mut never = |_: &[u8]| false;
    let later = Duration::from_secs(2);
    held.offer(&Mode::BuiltIn, b"  at x", None, later, &mut never);
    assert_eq!(held.due(), Some(later + TRACE_QUIET));
    held.offer(&Mode::BuiltIn, b"  at y", None, later * 3, &mut never);
    assert_eq!(
        held.due(),
        Some(Duration::from_secs(6)),
        "not held for ever"
    );
}

#[test]
fn own_patterns_and_none() {
    let own = Mode::Own(OwnPatterns {
        start: Some(regex::bytes::Regex::new("^BEGIN").expect("a pattern")),
        go_on: None,
    });
    let texts = |mode: &Mode, lines: &[&str]| -> Vec<String> {
        join(mode, lines)
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    };
    let lines = ["BEGIN a", "b", "", "BEGIN c"];
    assert_eq!(texts(&own, &lines), ["BEGIN a\nb\n", "BEGIN c"]);
    assert_eq!(texts(&Mode::Off, &["a", "  b"]), ["a", "  b"]);
}

proptest! {
    /// Joining moves line breaks and nothing else.
    #[test]
    fn every_line_comes_out_once_and_in_order(lines in proptest::collection::vec(
        "(\t|  )?(at |panic: |goroutine 1 \\[x\\]:|main.f\\(\\)|Traceback \\(most recent call last\\)|ValueError|Caused by: |thread 'a' panicked at b:|/a:1|[a-z ]{0,3})", 0..30)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let joined: Vec<String> = join(&Mode::BuiltIn, &lines).into_iter().map(|(_, t)| t).collect();
        prop_assert_eq!(joined.join("\n"), lines.join("\n"));
    }

    #[test]
    fn any_bytes_are_decided_about(
        head in proptest::collection::vec(any::<u8>(), 0..60),
        line in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut held = Held::default();
        let head = Head { start: 0, time_ns: 0, level: Level::Warn, timed: true, text: &head };
        held.hold(&Mode::BuiltIn, &head, Duration::ZERO);
        held.offer(&Mode::BuiltIn, &line, None, Duration::ZERO, &mut |_| true);
    }
}
