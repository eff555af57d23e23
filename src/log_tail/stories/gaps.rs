//! Where lines are known to be missing, the stream says so, and nowhere else.

use std::fs;

use model::{Level, is_gap};

use super::World;

fn gaps(world: &World) -> Vec<String> {
    let texts = world.texts().into_iter();
    texts.filter(|text| is_gap(text.as_bytes())).collect()
}

const LINE: &str = "abcdefghijklmnopqrstuvwxyz 0123456789\n";

/// More than one chunk, so that a single turn leaves some of it.
fn much() -> String {
    LINE.repeat(20_000)
}

#[test]
fn a_truncation_with_unread_bytes_leaves_a_mark() {
    let mut world = World::new();
    world.append("a.log", much());
    world.glance_once();
    world.truncate("a.log");
    world.append("a.log", "new\n");
    world.step();
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("was truncated"), "{}", gaps[0]);
    // The line in which the chunk ended is missing as a whole.
    let left = much().len() - crate::follow::CHUNK_BYTES / LINE.len() * LINE.len();
    assert!(
        gaps[0].contains(&format!("at least {left} bytes")),
        "{}",
        gaps[0]
    );
    let lines = world.sink.lines();
    let at = (lines.iter())
        .position(|line| is_gap(&line.text))
        .expect("a gap");
    assert_eq!(lines[at].level, Level::Warn);
    assert_eq!(lines[at].labels, lines[at - 1].labels);
    assert_eq!(lines.last().expect("lines").text, b"new");
    let source = world.source("a.log");
    assert_eq!(source.losses[0].reason, "truncated");
    assert_eq!(source.losses[0].bytes, left as u64);
}

#[test]
fn a_copy_saves_what_the_truncation_cut_off() {
    let mut world = World::new();
    world.append("a.log", much());
    world.glance_once();
    fs::copy(world.path("a.log"), world.path("a.log.1")).expect("copied");
    world.truncate("a.log");
    world.append("a.log", "new\n");
    world.step();
    assert_eq!(gaps(&world), Vec::<String>::new());
    assert_eq!(world.texts().len(), 20_001);
}

#[test]
fn a_copy_tells_what_came_between_the_last_look_and_the_truncation() {
    let mut world = World::new();
    world.append("a.log", LINE.repeat(3));
    world.step();
    world.append("a.log", "never looked at\n");
    fs::copy(world.path("a.log"), world.path("a.log.1")).expect("copied");
    world.truncate("a.log");
    world.append("a.log", "new\n");
    world.step();
    world.step();
    let texts = world.texts();
    assert_eq!(texts.iter().filter(|t| *t == "never looked at").count(), 1);
    assert_eq!(texts.len(), 5, "{texts:?}");
    assert_eq!(gaps(&world), Vec::<String>::new());
    // A copy of what was read already holds nothing new.
    fs::copy(world.path("a.log"), world.path("a.log.2")).expect("copied");
    world.truncate("a.log");
    world.append("a.log", "last\n");
    world.step();
    world.step();
    assert_eq!(world.texts().len(), 6, "{:?}", world.texts());
}

#[test]
fn a_closed_file_that_is_deleted_leaves_a_mark() {
    let mut world = World::with(|config| config.open_files_max = 2);
    world.append("a.log", much());
    world.glance_once();
    for name in ["b.log", "c.log", "d.log"] {
        world.append(name, "x\n");
    }
    world.glance_once();
    world.remove("a.log");
    world.step();
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("a.log was deleted"), "{}", gaps[0]);
    assert!(gaps[0].contains("at least "), "{}", gaps[0]);
    assert_eq!(world.metrics.files_lost.get(), 1);
}

#[test]
fn an_open_file_that_is_deleted_is_read_to_its_end() {
    let mut world = World::new();
    world.append("a.log", much());
    world.glance_once();
    world.remove("a.log");
    world.step();
    assert_eq!(gaps(&world), Vec::<String>::new());
    assert_eq!(world.texts().len(), 20_000);
}

#[test]
fn what_was_rotated_away_while_nobody_looked_leaves_a_mark() {
    let mut world = World::new();
    world.append("a.log", "1\n");
    world.step();
    world.stop(false);
    world.append("a.log", "2\n");
    // Its number must not be given to the next file.
    fs::write(world.path("new"), "3\n").expect("written");
    world.rename("new", "a.log");
    world.step();
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("rotated away"), "{}", gaps[0]);
    assert!(gaps[0].contains("lines may be missing"), "{}", gaps[0]);
    world.stop(false);
    world.step();
    assert_eq!(world.texts().len(), 3, "said once");
}

#[test]
fn a_reused_number_with_a_smaller_file_leaves_a_mark() {
    let mut world = World::new();
    world.append("a.log", "first content of the file\n");
    world.step();
    world.stop(false);
    // The same inode: what is left of the old content is nothing.
    world.truncate("a.log");
    world.append("a.log", "new\n");
    world.step();
    let gaps = gaps(&world);
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].contains("truncated"), "{}", gaps[0]);
}

#[test]
fn deleted_pods_and_old_rotations_leave_no_mark() {
    let mut world = World::new();
    world.append("a.log", "1\n");
    world.append("b.log", "1\n");
    world.step();
    world.rename("b.log", "b.log.1");
    world.append("b.log", "2\n");
    world.step();
    world.wait(90);
    world.step();
    world.stop(false);
    world.remove("a.log");
    world.remove("b.log.1");
    world.step();
    assert_eq!(gaps(&world), Vec::<String>::new());
}

#[test]
fn refused_streams_are_counted_by_their_file() {
    let mut world = World::new();
    world.append("a.log", "one\ntwo\n");
    world.sink.refuse();
    world.step();
    let source = world.source("a.log");
    assert_eq!((source.lines_read, source.records_stored), (2, 0));
    assert_eq!(source.lines_dropped, 2);
    assert_eq!(source.losses[0].reason, "refused");
    assert_eq!(source.losses[0].bytes, 6);
}

#[test]
fn what_is_stored_is_counted_by_its_file() {
    let mut world = World::new();
    world.append("a.log", "one\n  goes on\ntwo\n");
    world.append("b.log", "x\n");
    world.step();
    let source = world.source("a.log");
    assert_eq!((source.lines_read, source.records_stored), (3, 2));
    assert_eq!(source.bytes_stored, "one\n  goes on".len() as u64 + 3);
    assert_eq!(world.source("b.log").records_stored, 1);
}

#[test]
fn a_log_that_is_written_faster_than_it_is_read_is_in_danger() {
    let mut world =
        World::with(|config| config.globs[0] = config.globs[0].replace("*.log", "*/*/*.log"));
    let folder = "shop_web-1_uid/app";
    fs::create_dir_all(world.path(folder)).expect("a folder");
    let file = format!("{folder}/0.log");
    for _ in 0..4 {
        world.append(&file, much().repeat(2));
        world.wait(5);
        // One chunk of 1.5 MB.
        world.glance_once();
    }
    let danger = world.source("0.log").danger;
    assert!(danger.contains("will be rotated away unread"), "{danger}");
    assert_eq!(world.metrics.files_endangered.get(), 1);
    world.step();
    world.wait(5);
    world.step();
    assert_eq!(world.source("0.log").danger, "");
    assert_eq!(world.metrics.files_endangered.get(), 0);
}
