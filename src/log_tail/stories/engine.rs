//! What happens to log files, one story each, with a clock of ours.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use model::{Level, LogSourceState};

use super::World;
use crate::config::Start;

#[test]
fn lines_are_read_as_they_come_and_an_unfinished_one_waits() {
    let mut world = World::new();
    world.append("a.log", "one\ntwo\nhal");
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
    world.step();
    world.append("a.log", "f\n");
    world.step();
    assert_eq!(world.texts(), ["one", "two", "half"]);
    let source = world.source("a.log");
    assert_eq!(source.state, LogSourceState::Following);
    assert_eq!((source.lines_read, source.lag_bytes), (3, 0));
}

#[test]
fn a_file_that_comes_later_is_found() {
    let mut world = World::new();
    world.step();
    world.append("later.log", "one\n");
    world.step();
    assert_eq!(world.texts(), ["one"]);
}

#[test]
fn rotation_by_rename_reads_the_old_file_to_its_end_first() {
    let mut world = World::new();
    world.append("a.log", "1\n");
    world.step();
    world.append("a.log", "2\n");
    world.rename("a.log", "a.log.1");
    world.append("a.log", "4\n");
    world.append("a.log.1", "3\n");
    world.step();
    assert_eq!(world.texts(), ["1", "2", "3", "4"]);
    world.append("a.log.1", "late\n");
    world.step();
    assert_eq!(world.texts().last().map(String::as_str), Some("late"));
    assert_eq!(world.metrics.rotations.get(), 1);
    let labels: std::collections::HashSet<_> = world
        .sink
        .lines()
        .into_iter()
        .map(|line| line.labels)
        .collect();
    assert_eq!(
        labels.len(),
        1,
        "one stream, whatever the file is called now"
    );
}

#[test]
fn rotation_within_the_patterns_reads_nothing_twice() {
    let mut world = World::with(|config| config.globs[0].push('*'));
    world.append("a.log", "1\n");
    world.step();
    for round in 2..6 {
        let _ = fs::rename(world.path("a.log.1"), world.path("a.log.2"));
        world.rename("a.log", "a.log.1");
        world.append("a.log", format!("{round}\n"));
        world.step();
    }
    assert_eq!(world.texts(), ["1", "2", "3", "4", "5"]);
    world.stop(false);
    world.step();
    assert_eq!(world.texts().len(), 5);
}

#[test]
fn kubelets_rotation_with_gzip_of_the_one_before() {
    let mut world = World::new();
    let mut expected = Vec::new();
    for round in 0..5 {
        for line in 0..3 {
            world.append(
                "0.log",
                format!("2026-03-01T10:00:0{round}.{line}Z stdout F {round}-{line}\n"),
            );
            expected.push(format!("{round}-{line}"));
        }
        if round > 0 {
            let before = format!("0.log.20260301-10000{}", round - 1);
            fs::write(world.path(&format!("{before}.gz")), b"\x1f\x8b...").expect("written");
            world.remove(&before);
        }
        // Every other file is renamed before anyone has seen it.
        if round % 2 == 0 {
            world.step();
        }
        world.rename("0.log", &format!("0.log.20260301-10000{round}"));
        world.append("0.log", "");
        world.step();
    }
    assert_eq!(world.texts(), expected);
    world.wait(10);
    world.step();
    world.wait(10);
    world.step();
    assert_eq!(
        world.sink.n_checkpoints(),
        2,
        "the live file and the last rotated one; files that are gone are forgotten"
    );
}

#[test]
fn files_rotated_away_before_anything_was_committed_are_read_again() {
    let mut world = World::new();
    for round in 0..4 {
        world.append("a.log", format!("{round}\n"));
        world.step();
        for older in (1..=round).rev() {
            let _ = fs::rename(
                world.path(&format!("a.log.{older}")),
                world.path(&format!("a.log.{}", older + 1)),
            );
        }
        world.rename("a.log", "a.log.1");
    }
    world.append("a.log", "4\n");
    world.stop(true);
    assert_eq!(world.texts(), Vec::<String>::new());
    world.step();
    assert_eq!(world.texts(), ["0", "1", "2", "3", "4"]);
    world.stop(false);
    world.step();
    assert_eq!(world.texts().len(), 5);
}

#[test]
fn old_rotated_files_and_copies_are_left_alone() {
    let mut world = World::new();
    world.append("a.log.7", "from before our time\n");
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    let file = fs::File::options().append(true).open(world.path("a.log.7"));
    file.and_then(|file| file.set_modified(old))
        .expect("dated back");
    world.append("a.log", "one\n");
    world.step();
    fs::copy(world.path("a.log"), world.path("a.log.bak1")).expect("copied");
    world.rename("a.log", "a.log.1");
    world.append("a.log", "two\n");
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
}

#[test]
fn what_copytruncate_took_away_while_nobody_looked_is_read_from_the_copy() {
    let mut world = World::new();
    world.append("a.log", "one\n");
    world.step();
    world.stop(false);
    world.append("a.log", "two\n");
    fs::copy(world.path("a.log"), world.path("a.log.1")).expect("copied");
    world.truncate("a.log");
    world.append("a.log", "three\n");
    world.step();
    assert_eq!(world.texts(), ["one", "two", "three"]);
    world.stop(false);
    world.step();
    assert_eq!(world.texts().len(), 3);
}

#[test]
fn copytruncate_starts_again_at_the_beginning() {
    let mut world = World::new();
    world.append("a.log", "first\nsecond\n");
    world.step();
    world.truncate("a.log");
    world.append("a.log", "3\n");
    world.step();
    assert_eq!(world.texts(), ["first", "second", "3"]);
    // Rewritten beyond the old position between two looks: the head tells.
    world.truncate("a.log");
    world.append("a.log", "longer than ever before\n");
    world.step();
    assert_eq!(
        world.texts().last().map(String::as_str),
        Some("longer than ever before")
    );
    assert_eq!(world.metrics.truncations.get(), 2);
}

#[test]
fn a_hole_left_by_a_truncation_is_skipped() {
    let mut world = World::new();
    let mut file = fs::File::create(world.path("a.log")).expect("created");
    file.write_all(b"before, quite a long line\n")
        .expect("written");
    world.step();
    // The writer does not append: it goes on where it was, behind a hole.
    file.set_len(0).expect("truncated");
    file.seek(SeekFrom::Start(26)).expect("sought");
    file.write_all(b"after\n").expect("written");
    world.step();
    assert_eq!(world.texts(), ["before, quite a long line", "after"]);
    assert_eq!(world.metrics.nul_bytes.get(), 26);
}

#[test]
fn a_file_replaced_by_rename_is_a_new_file() {
    let mut world = World::new();
    world.append("a.log", "old\n");
    world.step();
    world.append("a.log", "old end\n");
    world.append("new", "new\n");
    world.rename("new", "a.log");
    world.step();
    assert_eq!(world.texts(), ["old", "old end", "new"]);
    world.wait(10);
    world.step();
    assert_eq!(world.sink.n_checkpoints(), 1);
    assert_eq!(world.metrics.files_gone.get(), 1);
}

#[test]
fn a_file_deleted_while_open_is_read_to_its_end_and_forgotten() {
    let mut world = World::new();
    world.append("a.log", "one\n");
    world.step();
    let mut writer = fs::OpenOptions::new()
        .append(true)
        .open(world.path("a.log"))
        .expect("opened");
    world.remove("a.log");
    writer.write_all(b"two\n").expect("written");
    world.step();
    writer.write_all(b"last words").expect("written");
    world.wait(4);
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
    world.wait(10);
    world.step();
    assert_eq!(
        world.texts(),
        ["one", "two", "last words"],
        "no line break will come"
    );
    assert_eq!(world.sink.n_checkpoints(), 0);
    assert!(world.statuses.read().is_empty());
    assert_eq!(world.metrics.open_files.get(), 0);
}

#[test]
fn a_reused_inode_is_not_taken_for_the_old_file() {
    let mut world = World::new();
    world.append("a.log", "the old file, with more bytes\n");
    world.step();
    world.stop(false);
    // Written in place: the inode is the same, and so would be one that the system reused.
    fs::write(
        world.path("a.log"),
        "the new file\nand more\nand more\nand more\n",
    )
    .expect("written");
    world.step();
    assert!(model::is_gap(world.texts()[1].as_bytes()));
    assert_eq!(
        world.texts()[2..],
        ["the new file", "and more", "and more", "and more"]
    );
    assert_eq!(world.sink.n_checkpoints(), 1);
}

#[test]
fn links_are_followed_and_two_names_are_one_file() {
    let mut world = World::new();
    world.append("real", "one\n");
    symlink(world.path("real"), world.path("link.log")).expect("linked");
    symlink(world.path("real"), world.path("again.log")).expect("linked");
    world.step();
    world.append("real", "two\n");
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
    // The link leads to another file now.
    world.append("other", "three\n");
    for link in ["link.log", "again.log"] {
        world.remove(link);
        symlink(world.path("other"), world.path(link)).expect("linked");
    }
    world.append("real", "late\n");
    world.step();
    let mut texts = world.texts();
    texts[2..].sort();
    assert_eq!(texts, ["one", "two", "late", "three"]);
}

#[test]
fn a_renamed_file_is_found_again_after_a_restart_and_read_first() {
    let mut world = World::new();
    world.append("a.log", "1\n2\n");
    world.step();
    world.stop(false);
    world.append("a.log", "3\n");
    world.rename("a.log", "a.log.1");
    world.append("a.log", "4\n");
    world.step();
    assert_eq!(world.texts(), ["1", "2", "3", "4"]);
}

#[test]
fn a_crash_between_the_parts_of_lines_loses_and_doubles_nothing() {
    let line = |n: u32, stream: &str, tag: &str, text: &str| {
        format!("2026-03-01T10:00:00.{n:09}Z {stream} {tag} {text}\n")
    };
    let parts = [
        line(1, "stdout", "P", "aa"),
        line(2, "stderr", "F", "err 1"),
        line(3, "stderr", "P", "err "),
        line(4, "stdout", "P", "bb"),
        line(5, "stdout", "F", "cc"),
        line(6, "stderr", "F", "2"),
        line(7, "stdout", "F", "dd"),
    ];
    for cut in 0..=parts.len() {
        let mut world = World::new();
        world.append("a.log", parts[..cut].concat());
        world.step();
        world.sink.commit();
        world.append("a.log", parts[cut..].concat());
        world.step();
        world.stop(true);
        world.step();
        world.stop(false);
        world.step();
        let of = |output: &str| -> Vec<String> {
            (world.sink.lines().iter())
                .filter(|line| line.labels.get("stream") == Some(output))
                .map(|line| String::from_utf8_lossy(&line.text).into_owned())
                .collect()
        };
        assert_eq!(of("stderr"), ["err 1", "err 2"], "cut {cut}");
        assert_eq!(of("stdout"), ["aabbcc", "dd"], "cut {cut}");
        let mut times: Vec<i64> = world
            .sink
            .lines()
            .iter()
            .map(|line| line.time_ns % 1_000_000_000)
            .collect();
        times.sort_unstable();
        assert_eq!(
            times,
            [1, 2, 3, 7],
            "a joined line has the time of its first part"
        );
    }
}

#[test]
fn a_huge_line_is_cut_with_a_mark_and_the_file_goes_on() {
    let mut world = World::new();
    let mut text = vec![b'x'; 10 << 20];
    text.extend_from_slice(b"\nnext\n");
    world.append("a.log", &text);
    world.step();
    let texts = world.texts();
    assert_eq!(texts.len(), 2);
    assert!(
        texts[0].ends_with("x …[cut, 9437184 bytes]"),
        "{}",
        &texts[0][texts[0].len() - 40..]
    );
    assert_eq!(texts[1], "next");
    assert_eq!(world.metrics.lines_cut.get(), 1);
    assert_eq!(world.metrics.cut_bytes.get(), 9 << 20);
}

#[test]
fn invalid_utf8_and_carriage_returns_pass_through() {
    let mut world = World::new();
    world.append(
        "a.log",
        b"latin \xe9\xff\r\n2026-03-01T10:00:03Z stdout F x\xfe\n",
    );
    world.step();
    let texts: Vec<Vec<u8>> = world
        .sink
        .lines()
        .into_iter()
        .map(|line| line.text)
        .collect();
    assert_eq!(texts, [b"latin \xe9\xff\r".to_vec(), b"x\xfe".to_vec()]);
}

#[test]
fn a_binary_file_is_refused_with_a_sentence_and_looked_at_again_when_it_changes() {
    let mut world = World::new();
    world.append("b.log", b"\x7fELF\0\0\0\0binary");
    world.step();
    world.append("b.log", b"\0\0");
    world.step();
    assert_eq!(world.texts(), Vec::<String>::new());
    let LogSourceState::Failed(reason) = world.source("b.log").state else {
        panic!("not refused: {:?}", world.source("b.log"));
    };
    assert!(reason.starts_with("a binary file"), "{reason}");
    fs::write(world.path("b.log"), "text after all\n").expect("written");
    world.step();
    assert_eq!(world.texts(), ["text after all"]);
}

#[test]
fn a_file_without_permission_says_what_to_do_and_is_tried_again() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new();
    world.append("a.log", "one\n");
    let mode = |mode| fs::set_permissions(world.path("a.log"), fs::Permissions::from_mode(mode));
    mode(0o000).expect("changed");
    if fs::File::open(world.path("a.log")).is_ok() {
        // The superuser reads everything.
        return;
    }
    world.step();
    let LogSourceState::Failed(reason) = world.source("a.log").state else {
        panic!("not refused");
    };
    assert!(reason.starts_with("permission denied"), "{reason}");
    fs::set_permissions(world.path("a.log"), fs::Permissions::from_mode(0o644)).expect("changed");
    world.step();
    assert_eq!(world.texts(), ["one"]);
}

#[test]
fn more_files_than_may_be_open_are_read_in_turn() {
    let mut world = World::with(|config| config.open_files_max = 4);
    for file in 0..30 {
        world.append(&format!("{file:02}.log"), format!("{file:02} 0\n"));
    }
    world.step();
    assert_eq!(world.texts().len(), 30);
    assert!(
        world.metrics.open_files.get() <= 4,
        "{}",
        world.metrics.open_files.get()
    );
    assert_eq!(world.metrics.open_files_bound_reached.get(), 26);
    for file in 0..30 {
        world.append(&format!("{file:02}.log"), format!("{file:02} 1\n"));
    }
    // Closed files that are renamed are found again by their inode.
    world.rename("03.log", "03.log.1");
    world.step();
    let mut texts = world.texts();
    texts.sort();
    let expected: Vec<String> = (0..30)
        .flat_map(|file| [format!("{file:02} 0"), format!("{file:02} 1")])
        .collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_sink_that_takes_nothing_makes_the_file_wait() {
    let mut world = World::new();
    world.append("a.log", "one\ntwo\n");
    world.sink.fail(2);
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
    let reason = crate::Reason { reason: "no_space" };
    assert_eq!(world.metrics.store_retries.get_or_create(&reason).get(), 2);
}

#[test]
fn starting_at_the_end_reads_only_what_is_new() {
    let mut world = World::with(|config| config.start = Start::End);
    world.append("a.log", "old\nhal");
    world.step();
    world.append("a.log", "f\nnew\n");
    world.append("b.log", "a later file is read from its beginning\n");
    world.step();
    let mut texts = world.texts();
    texts.sort();
    assert_eq!(
        texts,
        ["a later file is read from its beginning", "half", "new"]
    );
    world.stop(false);
    world.append("a.log", "newer\n");
    world.step();
    assert_eq!(world.texts().len(), 4);
}

#[test]
fn files_that_the_configuration_names_no_more_keep_their_position() {
    let mut world = World::new();
    world.append("a.log", "one\n");
    world.step();
    world.stop(false);
    let globs = std::mem::replace(&mut world.config.globs, vec!["/nowhere/*.log".to_owned()]);
    world.step();
    world.stop(false);
    world.config.globs = globs;
    world.append("a.log", "two\n");
    world.step();
    assert_eq!(world.texts(), ["one", "two"]);
}

#[test]
fn levels_times_and_labels_reach_the_store() {
    let mut world = World::with(|config| {
        config.host = Some("n1".to_owned());
        config.globs[0] = config.globs[0].replace("*.log", "*/*/*.log");
    });
    let folder = world.path("shop_cart-1_uid/cart");
    fs::create_dir_all(&folder).expect("created");
    world.append(
        "shop_cart-1_uid/cart/0.log",
        "2026-03-01T10:00:00.5Z stderr F {\"level\":\"error\",\"msg\":\"x\"}\n",
    );
    world.step();
    let line = &world.sink.lines()[0];
    assert_eq!(line.level, Level::Error);
    assert_eq!(line.time_ns, 1_772_359_200_500_000_000);
    assert_eq!(
        line.labels.to_string(),
        r#"{container="cart", namespace="shop", node="n1", pod="cart-1", stream="stderr"}"#
    );
    let source = world.source("0.log");
    assert_eq!(source.format, "cri");
    assert_eq!(source.last_line_ns, line.time_ns);
}
