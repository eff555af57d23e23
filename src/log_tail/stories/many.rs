//! Many files, and things in a log folder that are no files: nothing blocks, nothing is missed.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::World;
use crate::tail::LogTail;

const FILES: usize = 3_000;

#[test]
fn three_thousand_files_share_few_descriptors() {
    let mut world = World::with(|config| config.open_files_max = 64);
    for file in 0..FILES {
        world.append(&format!("{file:04}.log"), format!("{file:04} 0\n"));
    }
    world.step();
    for file in (0..FILES).step_by(3) {
        world.append(&format!("{file:04}.log"), format!("{file:04} 1\n"));
    }
    world.step();
    assert!(world.metrics.open_files.get() <= 64);
    assert_eq!(world.metrics.files.get(), FILES as i64);
    let mut texts = world.texts();
    texts.sort();
    let expected: Vec<String> = (0..FILES)
        .flat_map(|file| {
            let again = (file % 3 == 0).then(|| format!("{file:04} 1"));
            std::iter::once(format!("{file:04} 0")).chain(again)
        })
        .collect();
    assert_eq!(texts, expected);
    let tail = LogTail::new(
        world.config.clone(),
        std::sync::Arc::clone(&world.sink) as std::sync::Arc<dyn model::LogSink>,
        world.metrics.clone(),
    )
    .expect("good settings");
    let collector = tail.collector();
    assert_eq!(collector.open_files_max, 64);
    assert!(
        collector.notices[0].starts_with("all 64 log files that may be open"),
        "{:?}",
        collector.notices
    );
}

#[test]
fn pipes_devices_and_loops_of_links_are_passed_by() {
    let mut world = World::with(|config| {
        config.globs = vec![config.globs[0].replace("*.log", "**/*.log*")];
    });
    let mode = Mode::from_raw_mode(0o644);
    mknodat(CWD, world.path("pipe.log"), FileType::Fifo, mode, 0).expect("a pipe");
    mknodat(CWD, world.path("a.log.1.gz"), FileType::Fifo, mode, 0).expect("a pipe");
    symlink("/dev/zero", world.path("zero.log")).expect("a link");
    symlink("loop.log", world.path("loop.log")).expect("a link");
    symlink("nowhere", world.path("dangling.log")).expect("a link");
    fs::create_dir(world.path("folder.log")).expect("a folder");
    symlink("..", world.path("folder.log/up")).expect("a link");
    world.append("folder.log/b.log", "two\n");
    world.append("a.log", "one\n");
    world.step();
    world.stop(false);
    world.step();
    let mut texts = world.texts();
    texts.sort();
    assert_eq!(texts, ["one", "two"]);
    // A file that becomes a pipe under its name does not block either.
    world.remove("a.log");
    mknodat(CWD, world.path("a.log"), FileType::Fifo, mode, 0).expect("a pipe");
    world.step();
    assert_eq!(world.texts().len(), 2);
}
