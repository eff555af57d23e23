//! Rotated files that were compressed while nobody looked: each line once, in order.

use std::fmt::Write;
use std::fs;

use super::{World, gzipped};

/// Numbered lines with times of now, as a runtime writes them.
pub(super) fn lines(numbers: std::ops::Range<u32>) -> String {
    let mut text = String::new();
    for n in numbers {
        let time = model::time::rfc3339_ns(model::time::now_ns());
        let _ = writeln!(text, "{time} stdout F line {n}");
    }
    text
}

pub(super) fn expected(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| format!("line {n}")).collect()
}

#[test]
fn rotations_of_the_kubelet_while_nobody_looked_are_read_in_order() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.step();
    world.stop(false);
    world.append("0.log", lines(10..20));
    // Three rotations; the last file stays plain until the next.
    for (stamp, start) in [("100000", 20), ("100010", 30), ("100020", 40)] {
        let to = format!("0.log.20260301-{stamp}");
        world.rename("0.log", &to);
        if stamp != "100020" {
            world.gzip(&to);
        }
        world.append("0.log", lines(start..start + 10));
    }
    world.step();
    assert_eq!(world.texts(), expected(0..50));
    assert_eq!(world.metrics.packed_files.get(), 2);
    world.stop(false);
    world.append("0.log", lines(50..60));
    world.step();
    assert_eq!(world.texts(), expected(0..60), "and not again");
    assert!(world.sink.texts().iter().all(|text| !text.contains("gap")));
}

#[test]
fn a_crash_in_the_middle_of_a_compressed_file_goes_on_there() {
    let mut world = World::with(|config| config.line_bytes_max = 1024);
    world.append("0.log", lines(0..10));
    world.step();
    world.stop(false);
    // Larger than a chunk.
    world.append("0.log", lines(10..20_000));
    world.rename("0.log", "0.log.20260301-100000");
    world.gzip("0.log.20260301-100000");
    world.append("0.log", lines(20_000..20_010));
    // What was read before is unpacked and dropped first.
    world.glance_once();
    world.glance_once();
    world.sink.commit();
    let read = world.texts().len();
    assert!((11..20_000).contains(&read), "{read}");
    world.glance_once();
    world.stop(true);
    assert_eq!(world.texts().len(), read);
    world.step();
    let mut texts = world.texts();
    texts.sort_by_key(|text| text[5..].parse::<u32>().expect("a number"));
    assert_eq!(texts, expected(0..20_010));
}

#[test]
fn a_closed_file_that_is_compressed_before_it_was_read_is_read_on() {
    let mut world = World::with(|config| config.open_files_max = 2);
    world.append("a.log", lines(0..8_000));
    world.glance_once();
    for name in ["b.log", "c.log", "d.log"] {
        world.append(name, "x\n");
    }
    // One more turn for each closes the first.
    world.glance_once();
    world.rename("a.log", "a.log.1");
    world.gzip("a.log.1");
    world.step();
    world.step();
    let numbered: Vec<String> = (world.texts().into_iter())
        .filter(|text| text.starts_with("line"))
        .collect();
    assert_eq!(numbered, expected(0..8_000));
}

#[test]
fn logrotate_compresses_at_once_and_what_was_read_is_not_read_again() {
    let mut world = World::new();
    world.append("x.log", lines(0..10));
    world.step();
    world.rename("x.log", "x.log.1");
    world.append("x.log", "");
    world.step();
    world.wait(90);
    world.step();
    world.gzip("x.log.1");
    world.step();
    world.stop(false);
    world.step();
    assert_eq!(world.texts(), expected(0..10));
    // Numbered: the highest is the oldest.
    world.stop(false);
    world.append("x.log", lines(10..20));
    world.rename("x.log.1.gz", "x.log.2.gz");
    world.rename("x.log", "x.log.1");
    world.gzip("x.log.1");
    world.append("x.log", lines(20..30));
    world.step();
    assert_eq!(world.texts(), expected(0..30));
}

#[test]
fn a_copy_that_was_compressed_holds_what_a_truncation_cut_off() {
    let mut world = World::new();
    world.append("x.log", lines(0..10));
    world.step();
    world.stop(false);
    world.append("x.log", lines(10..20));
    let copied = fs::read(world.path("x.log")).expect("read");
    fs::write(world.path("x.log.1.gz"), gzipped(&copied)).expect("written");
    world.truncate("x.log");
    world.append("x.log", lines(20..30));
    world.step();
    let mut texts = world.texts();
    texts.sort_by_key(|text| text[5..].parse::<u32>().expect("a number"));
    assert_eq!(texts, expected(0..30));
}

#[test]
fn damage_is_said_in_the_stream_and_the_rest_goes_on() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.step();
    world.stop(false);
    world.append("0.log", lines(10..5_000));
    let content = fs::read(world.path("0.log")).expect("read");
    let mut packed = gzipped(&content);
    packed.truncate(packed.len() / 2);
    world.remove("0.log");
    let path = world.path("0.log.20260301-100000.gz");
    fs::write(&path, packed).expect("written");
    // It is not being written any more.
    let file = fs::File::options().write(true).open(&path).expect("opened");
    let minute = std::time::Duration::from_mins(1);
    file.set_modified(std::time::SystemTime::now() - minute)
        .expect("set");
    world.append("0.log", lines(5_000..5_010));
    world.step();
    world.stop(false);
    world.step();
    let texts = world.texts();
    let gaps: Vec<usize> = (texts.iter().enumerate())
        .filter(|(_, text)| model::is_gap(text.as_bytes()))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(gaps.len(), 1, "said once");
    assert!(texts[gaps[0]].contains("is damaged"), "{}", texts[gaps[0]]);
    assert_eq!(texts[..gaps[0] - 1], expected(0..gaps[0] as u32 - 1));
    assert!(gaps[0] > 1000, "what is before the damage is read");
    assert_eq!(texts[gaps[0] + 1..], expected(5_000..5_010));
}

#[test]
fn a_kill_before_anything_was_committed_reads_what_was_compressed_since() {
    let mut world = World::with(|config| config.since_ns = Some(model::time::now_ns()));
    world.append("0.log", lines(0..10));
    world.step();
    world.rename("0.log", "0.log.20260301-100000");
    world.append("0.log", lines(10..20));
    world.step();
    world.stop(true);
    world.rename("0.log", "0.log.20260301-100010");
    world.gzip("0.log.20260301-100000");
    world.append("0.log", lines(20..30));
    world.step();
    assert_eq!(world.texts(), expected(0..30));
}

#[test]
fn the_name_may_be_free_while_the_collector_starts() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.step();
    world.stop(false);
    for (stamp, start) in [("100000", 10), ("100010", 20), ("100020", 30)] {
        let to = format!("0.log.20260301-{stamp}");
        world.rename("0.log", &to);
        world.gzip(&to);
        if stamp != "100020" {
            world.append("0.log", lines(start..start + 10));
        }
    }
    // Between the rename and the next line.
    world.step();
    world.append("0.log", lines(30..40));
    world.step();
    let mut texts = world.texts();
    texts.sort_by_key(|text| text[5..].parse::<u32>().expect("a number"));
    assert_eq!(texts, expected(0..40));
    world.stop(false);
    world.step();
    assert_eq!(world.texts().len(), 40);
}
