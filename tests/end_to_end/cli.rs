//! `yagura logs` and `yagura query`: what a person types in a terminal, and what a script makes of it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::appliance::{Appliance, PATIENCE, Site, append};

/// `yagura logs` with these arguments, asking this appliance.
fn command(yagura: &Appliance, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yagura"));
    command
        .arg("logs")
        .args(arguments)
        .env("YAGURA_URL", &yagura.address)
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

fn ask(yagura: &Appliance, arguments: &[&str]) -> Output {
    let output = command(yagura, arguments).output();
    output.expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn started() -> (Site, Appliance) {
    let site = Site::new();
    let yagura = site.start();
    append(
        &site.path("logs/app.log"),
        [
            "ERROR cannot open door".to_owned(),
            r#"{"level":"info","msg":"door open","who":"ann bee","n":3}"#.to_owned(),
            "WARN a \u{1b}[31mred\u{1b}[0m \u{7}bell".to_owned(),
        ],
    );
    yagura.wait_for("the lines", |y| (y.logs("*", 10).len() == 3).then_some(()));
    (site, yagura)
}

#[test]
fn lines_are_shown_and_the_status_tells_whether_there_are_any() {
    let (_site, yagura) = started();
    let found = ask(&yagura, &["door"]);
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    let lines: Vec<String> = stdout(&found).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].ends_with(" ERROR app.log ERROR cannot open door"),
        "oldest first: {lines:?}"
    );
    assert!(
        lines[1].ends_with(" INFO  app.log door open who=\"ann bee\" n=3"),
        "{lines:?}"
    );
    let red = stdout(&ask(&yagura, &["bell"]));
    assert!(red.ends_with("WARN a red \\u{7}bell\n"), "{red:?}");
    assert!(!red.contains('\u{1b}'), "no colours outside a terminal");

    let nothing = ask(&yagura, &["window"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stdout.is_empty() && nothing.stderr.is_empty());

    let raw = ask(&yagura, &["who:ann*", "-o", "raw"]);
    assert_eq!(
        stdout(&raw),
        "{\"level\":\"info\",\"msg\":\"door open\",\"who\":\"ann bee\",\"n\":3}\n"
    );
    let json = stdout(&ask(&yagura, &["-o", "json", "-n", "1", "level:error"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(json["message"], "ERROR cannot open door");
    let logfmt = stdout(&ask(&yagura, &["-o", "logfmt", "level:info"]));
    assert!(logfmt.contains(" message=\"door open\" "), "{logfmt}");
    assert!(logfmt.contains(" n=3"), "{logfmt}");
}

#[test]
fn mistakes_point_at_their_character_and_have_their_own_status() {
    let (_site, yagura) = started();
    let output = ask(&yagura, &["door", "level:eroor"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("yagura: not a level"), "{text}");
    assert_eq!(lines[1], "  door level:eroor");
    assert_eq!(lines[2], "             ^");
    assert_eq!(lines[3], "did you mean: door level:error");

    let output = ask(&yagura, &["--since", "yesterday", "door"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("from=yesterday"),
        "{}",
        stderr(&output)
    );

    let output = ask(&yagura, &["--url", "http://127.0.0.1:1", "door"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("Is it running?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (site, yagura) = started();
    append(
        &site.path("logs/app.log"),
        (0..5_000).map(|n| format!("many lines, this is number {n}, and it is not short")),
    );
    yagura.wait_for("many lines", |y| {
        (y.logs("many", 10_000).len() == 5_000).then_some(())
    });
    let mut child = command(&yagura, &["-n", "10000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut first).expect("a line");
    drop(reader);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
    assert!(first.contains("cannot open door"), "{first}");
}

/// A following `yagura logs` and the lines that it writes.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn new_lines_are_followed_also_over_a_restart_and_none_comes_twice() {
    let site = Site::new();
    let log = site.path("logs/app.log");
    let yagura = site.start();
    append(&log, ["before 1 wanted".to_owned(), "other".to_owned()]);
    yagura.wait_for("the first line", |y| {
        (y.logs("wanted", 10).len() == 1).then_some(())
    });
    let mut follower = Follower::start(command(&yagura, &["-f", "-o", "raw", "wanted"]));
    assert_eq!(follower.next(), "before 1 wanted");
    append(&log, ["new 2 wanted".to_owned(), "other".to_owned()]);
    assert_eq!(follower.next(), "new 2 wanted");

    // The same address again, as after an update.
    let port = yagura
        .address
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    yagura.signal("TERM");
    assert!(yagura.wait().success());
    append(&log, ["while away 3 wanted".to_owned()]);
    let again = site.start_at(&format!("127.0.0.1:{port}"));
    assert_eq!(follower.next(), "while away 3 wanted");
    append(&log, ["new 4 wanted".to_owned()]);
    assert_eq!(follower.next(), "new 4 wanted");
    drop(again);
    let _ = follower.child.kill();
    let mut said = String::new();
    let mut stderr = follower.child.stderr.take().expect("piped");
    stderr.read_to_string(&mut said).expect("text");
    assert!(said.contains("connected again"), "{said}");
    assert!(follower.lines.try_iter().next().is_none(), "no line twice");
}

#[test]
fn metrics_are_asked_on_the_command_line() {
    let site = Site::new();
    let yagura = site.start();
    let query = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_yagura"));
        let command = command.arg("query").args(arguments);
        let output = command.env("YAGURA_URL", &yagura.address).output();
        output.expect("the binary runs")
    };
    let sum = query(&["1 + 2"]);
    assert_eq!((stdout(&sum).as_str(), sum.status.code()), ("3\n", Some(0)));
    let line = query(&["--range", "1m", "--step", "10s", "vector(time())"]);
    assert!(stdout(&line).contains("▁▂▃▅▆▇█"), "{}", stdout(&line));
    let csv = query(&["-o", "csv", "--at", "2026-01-01T00:00:00Z", "vector(2)"]);
    assert_eq!(stdout(&csv), "time,value\r\n1767225600,2\r\n");
    let none = query(&["nobody_has_this"]);
    assert_eq!((stdout(&none).as_str(), none.status.code()), ("", Some(1)));
    let wrong = query(&["sum(rat(up))"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = stderr(&wrong);
    assert!(
        said.contains("did you mean \"rate\"") && said.contains("\n      ^\n"),
        "{said}"
    );
}
