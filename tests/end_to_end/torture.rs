//! Writers that do to their files what writers do, a process that is killed again and again, and
//! every record found exactly once.
//!
//! - A container's log as the kubelet rotates it: renamed, the one before compressed (which frees
//!   inodes that the next files get), with lines in parts, stack traces, and stdout and stderr
//!   interleaved.
//! - A text log that is rotated as logrotate does, numbered and compressed.
//! - A text log that is copied and truncated. What is written between the copy and the truncation
//!   is destroyed by whoever truncates; this writer writes nothing in between, so that nothing
//!   may be missing, also where a file is filled, copied and truncated between two looks.
//! - At last, a log that is deleted while it is open. Not before: what a kill takes from memory is
//!   read again from the files, and a deleted one cannot be.
//!
//! `YAGURA_TORTURE_ROUNDS=50` makes it long.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::appliance::{Appliance, PATIENCE, Site};

const ROUNDS_DEFAULT: usize = 4;
/// Records between two rotations of a writer.
const ROTATE_EVERY: usize = 150;
/// The pause of a writer between two writes.
const PAUSE: Duration = Duration::from_millis(2);

/// Random numbers from a seed that is said, so that a failure can be repeated as far as threads
/// allow (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }
}

/// Appends as one write: a program's line is there as a whole or not yet.
fn write(path: &Path, text: &str) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("a log file");
    file.write_all(text.as_bytes()).expect("written");
}

/// Compresses beside and moves over, as the kubelet does; the plain file goes last.
fn gzip(path: &Path) {
    let temporary = with_ending(path, ".tmp");
    let packed = File::create(&temporary).expect("a file");
    let done = Command::new("gzip")
        .arg("-c")
        .arg(path)
        .stdout(packed)
        .status()
        .expect("gzip is there");
    assert!(done.success());
    fs::rename(&temporary, with_ending(path, ".gz")).expect("renamed");
    fs::remove_file(path).expect("removed");
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Now, as container runtimes write it.
fn stamp() -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    model::time::rfc3339_ns(since.as_nanos() as i64)
}

/// Writes until told to stop and returns the texts of its records.
trait Writer: Send {
    fn record(&mut self, n: usize) -> Vec<String>;
    fn rotate(&mut self, turn: usize);
}

/// A container whose log the kubelet rotates.
struct Kubelet {
    word: &'static str,
    file: PathBuf,
    before: Option<PathBuf>,
}

impl Writer for Kubelet {
    fn record(&mut self, n: usize) -> Vec<String> {
        let (word, time) = (self.word, stamp());
        let name = format!("{word} n{n:06}");
        match n % 7 {
            2 => {
                write(
                    &self.file,
                    &format!(
                        "{time} stdout P {name} in \n{time} stderr F {name} aside\n\
                         {time} stdout P two \n{time} stdout F parts\n"
                    ),
                );
                vec![format!("{name} in two parts"), format!("{name} aside")]
            }
            4 => {
                write(
                    &self.file,
                    &format!(
                        "{time} stderr F {name} java.lang.Error: x\n{time} stdout F {name} out\n\
                         {time} stderr F \tat a.B.c(B.java:1)\n{time} stderr F \tat a.B.d(B.java:2)\n"
                    ),
                );
                let trace = "\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)";
                vec![
                    format!("{name} java.lang.Error: x\n{trace}"),
                    format!("{name} out"),
                ]
            }
            _ => {
                write(&self.file, &format!("{time} stdout F {name} line\n"));
                vec![format!("{name} line")]
            }
        }
    }

    fn rotate(&mut self, turn: usize) {
        if let Some(before) = self.before.take() {
            gzip(&before);
        }
        let to = with_ending(&self.file, &format!(".20260301-{turn:06}"));
        fs::rename(&self.file, &to).expect("renamed");
        self.before = Some(to);
    }
}

/// A text log that logrotate renames by number and compresses but for the newest.
struct Numbered {
    word: &'static str,
    file: PathBuf,
    rotated: usize,
}

impl Writer for Numbered {
    fn record(&mut self, n: usize) -> Vec<String> {
        let text = format!("{} INFO {} n{n:06} line", stamp(), self.word);
        write(&self.file, &format!("{text}\n"));
        vec![text]
    }

    fn rotate(&mut self, _: usize) {
        let numbered = |n: usize| with_ending(&self.file, &format!(".{n}"));
        for n in (2..=self.rotated).rev() {
            let packed = |n| with_ending(&numbered(n), ".gz");
            fs::rename(packed(n), packed(n + 1)).expect("renamed");
        }
        if self.rotated > 0 {
            fs::rename(numbered(1), numbered(2)).expect("renamed");
            gzip(&numbered(2));
        }
        fs::rename(&self.file, numbered(1)).expect("renamed");
        self.rotated += 1;
    }
}

/// A text log that is copied and truncated.
struct CopyTruncate {
    word: &'static str,
    file: PathBuf,
}

impl Writer for CopyTruncate {
    fn record(&mut self, n: usize) -> Vec<String> {
        let text = format!("{} INFO {} n{n:06} line", stamp(), self.word);
        write(&self.file, &format!("{text}\n"));
        vec![text]
    }

    fn rotate(&mut self, turn: usize) {
        let copy = with_ending(&self.file, &format!(".{:08}", 20_260_000 + turn));
        fs::copy(&self.file, copy).expect("copied");
        let file = File::options().write(true).open(&self.file);
        file.and_then(|file| file.set_len(0)).expect("truncated");
    }
}

fn run(mut writer: Box<dyn Writer>, stop: &AtomicBool) -> Vec<String> {
    let mut expected = Vec::new();
    let (mut n, mut turn) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        expected.append(&mut writer.record(n));
        n += 1;
        if n % ROTATE_EVERY == 0 {
            turn += 1;
            writer.rotate(turn);
        }
        thread::sleep(PAUSE);
    }
    // Rotated files are looked for where the name is in use.
    expected.append(&mut writer.record(n));
    expected
}

/// The records with a word, with how often each is found.
fn found(yagura: &Appliance, word: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for record in yagura.logs(word, 100_000) {
        let text = record["message"].as_str().expect("a text");
        *found.entry(text.to_owned()).or_insert(0) += 1;
    }
    found
}

/// Waits until all of a writer's records are there, and checks that each is there once.
fn check(yagura: &Appliance, word: &str, expected: &[String]) {
    let deadline = Instant::now() + PATIENCE;
    let wanted: BTreeSet<&String> = expected.iter().collect();
    loop {
        let found = found(yagura, word);
        let missing: Vec<&String> = (expected.iter())
            .filter(|text| !found.contains_key(*text))
            .collect();
        let more: Vec<(&String, &usize)> = (found.iter())
            .filter(|(text, n)| **n != 1 || !wanted.contains(text))
            .collect();
        if missing.is_empty() && more.is_empty() {
            // Not by `println!`: the figures of a long run are wanted even where it passes.
            let _ = writeln!(
                std::io::stdout(),
                "{word}: {} records, each is there once",
                expected.len()
            );
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{word}: of {} records {} are missing, as {:?}; {} are there too often or in other \
             words, as {:?}; its log:\n{}",
            expected.len(),
            missing.len(),
            missing.iter().take(3).collect::<Vec<_>>(),
            more.len(),
            more.iter().take(3).collect::<Vec<_>>(),
            yagura.log()
        );
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn rotation_of_every_kind_through_kills_gives_each_record_once() {
    let rounds = std::env::var("YAGURA_TORTURE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS_DEFAULT);
    let seed = std::process::id().into();
    let mut dice = Dice(seed);
    let site = Site::new();
    let pod = "logs/shop_web-1_0c1/app";
    fs::create_dir_all(site.path(pod)).expect("a folder");
    let logs = site.path("logs").display().to_string();
    let globs = format!("logs: {{ files: [\"{logs}/*.log\", \"{logs}/*/*/*.log\"] }}\n");
    fs::write(site.path("yagura.yaml"), globs).expect("a configuration file");

    let stop = Arc::new(AtomicBool::new(false));
    let start = |writer: Box<dyn Writer>| {
        let stop = stop.clone();
        thread::spawn(move || run(writer, &stop))
    };
    let writers = [
        (
            "kubelet",
            start(Box::new(Kubelet {
                word: "kubelet",
                file: site.path(pod).join("0.log"),
                before: None,
            })),
        ),
        (
            "numbered",
            start(Box::new(Numbered {
                word: "numbered",
                file: site.path("logs/numbered.log"),
                rotated: 0,
            })),
        ),
        (
            "copied",
            start(Box::new(CopyTruncate {
                word: "copied",
                file: site.path("logs/copied.log"),
            })),
        ),
    ];
    for round in 0..rounds {
        let yagura = site.start();
        thread::sleep(Duration::from_millis(200 + dice.below(900)));
        // Now and then a clean end: then positions are committed, wherever they are.
        if dice.below(3) == 0 {
            yagura.signal("TERM");
            let status = yagura.wait();
            assert!(status.success(), "round {round}, seed {seed}: {status}");
        } else {
            yagura.kill();
        }
        thread::sleep(Duration::from_millis(dice.below(300)));
    }
    stop.store(true, Ordering::Relaxed);
    let written: Vec<(&str, Vec<String>)> = writers
        .into_iter()
        .map(|(word, writer)| (word, writer.join().expect("the writer ends")))
        .collect();
    let yagura = site.start();
    for (word, expected) in &written {
        check(&yagura, word, expected);
    }

    // Deleted while it is open: read to its end.
    let file = site.path("logs/deleted.log");
    let lines = |n: std::ops::Range<usize>| n.map(|n| format!("deleted n{n:06} line"));
    let text = |n| lines(n).fold(String::new(), |text, line| text + &line + "\n");
    write(&file, &text(0..10));
    yagura.wait_for("the first lines", |y| {
        (y.logs("deleted", 100).len() == 10).then_some(())
    });
    let mut open = File::options().append(true).open(&file).expect("opened");
    fs::remove_file(&file).expect("removed");
    open.write_all(text(10..3_000).as_bytes()).expect("written");
    drop(open);
    check(&yagura, "deleted", &lines(0..3_000).collect::<Vec<_>>());
    assert!(
        yagura.logs("\"yagura gap\"", 10).is_empty(),
        "nothing is missing, so nothing may be said to be; seed {seed}"
    );
    yagura.kill();
}
