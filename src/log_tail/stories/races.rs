//! Files that are renamed and compressed in the middle of a look, or with hardly anything known of
//! them: each line once.

use std::io::Write;

use super::World;
use super::packed::{expected, lines};

fn check(world: &World, n: u32) {
    let mut texts = world.texts();
    texts.sort_by_key(|text| text.get(5..).and_then(|n| n.parse::<u32>().ok()));
    assert_eq!(texts, expected(0..n));
}

#[test]
fn a_new_file_that_is_renamed_in_the_middle_of_a_look_is_read_once() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.step();
    world.rename("0.log", "0.log.20260301-100000");
    world.append("0.log", lines(10..20));
    world.glance_while(|world| {
        world.rename("0.log", "0.log.20260301-100010");
        world.append("0.log", lines(20..30));
    });
    world.step();
    world.step();
    check(&world, 30);
    world.stop(false);
    world.step();
    check(&world, 30);
}

#[test]
fn so_is_one_whose_name_stays_free() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.glance_while(|world| world.rename("0.log", "0.log.20260301-100000"));
    world.step();
    world.append("0.log", lines(10..20));
    world.step();
    check(&world, 20);
}

#[test]
fn a_new_file_that_is_moved_in_the_middle_of_a_look_and_then_deleted_is_read() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    // Not to the name of a rotated file: it is found by its inode.
    world.glance_while(|world| {
        world.rename("0.log", "old");
        world.append("0.log", lines(10..20));
    });
    world.remove("old");
    world.append("0.log", lines(20..30));
    world.step();
    check(&world, 30);
}

#[test]
fn a_new_file_that_is_compressed_in_the_middle_of_a_look_is_read() {
    let mut world = World::new();
    world.append("1.log", "line 0\n");
    world.step();
    world.append("0.log", lines(1..10));
    world.glance_while(|world| {
        world.rename("0.log", "0.log.1");
        world.gzip("0.log.1");
    });
    world.append("0.log", lines(10..20));
    world.step();
    check(&world, 20);
}

#[test]
fn files_that_come_and_are_compressed_between_two_looks_are_read_in_order() {
    for at_start in [true, false] {
        let mut world = World::new();
        world.append("0.log", lines(0..10));
        if !at_start {
            world.step();
        }
        // At the start: the name is taken by another file while the first look goes on.
        world.glance_while(|world| {
            world.rename("0.log", "0.log.1");
            world.append("0.log", lines(10..20));
        });
        for (turn, start) in [20, 30, 40].into_iter().enumerate() {
            for n in (1..turn + 2).rev() {
                if n == 1 {
                    world.rename("0.log.1", "0.log.2");
                    world.gzip("0.log.2");
                } else {
                    world.rename(&format!("0.log.{n}.gz"), &format!("0.log.{}.gz", n + 1));
                }
            }
            world.rename("0.log", "0.log.1");
            world.append("0.log", lines(start..start + 10));
        }
        world.step();
        world.step();
        assert_eq!(world.texts(), expected(0..50), "at the start: {at_start}");
    }
}

#[test]
fn compressed_files_that_were_read_are_not_read_again() {
    for text in ["plain text", "2026-03-01 10:00:00 INFO line"] {
        let mut world = World::new();
        for turn in 0..4 {
            for n in (1..turn).rev() {
                world.rename(&format!("a.log.{n}.gz"), &format!("a.log.{}.gz", n + 1));
            }
            if turn > 0 {
                world.rename("a.log", "a.log.1");
                world.gzip("a.log.1");
            }
            world.append("a.log", format!("{text} {turn}\n{text} {turn} more\n"));
            world.step();
            world.wait(3600);
            world.step();
        }
        assert_eq!(world.texts().len(), 8, "{text}");
    }
}

#[test]
fn a_position_behind_one_short_line_is_found_in_the_compressed_file() {
    // What is known of the file is its first line: once handed over, once held back.
    for waits in [true, false] {
        let mut world = World::new();
        world.append("0.log", lines(0..10));
        world.step();
        world.rename("0.log", "0.log.20260301-100000");
        world.append("0.log", lines(10..11));
        if waits {
            world.step();
        } else {
            world.glance();
        }
        world.stop(false);
        world.append("0.log", lines(11..160));
        world.gzip("0.log.20260301-100000");
        world.rename("0.log", "0.log.20260301-100010");
        world.append("0.log", lines(160..310));
        world.gzip("0.log.20260301-100010");
        world.rename("0.log", "0.log.20260301-100020");
        world.append("0.log", lines(310..311));
        world.step();
        check(&world, 311);
        world.stop(false);
        world.append("0.log", lines(311..320));
        world.step();
        check(&world, 320);
    }
}

#[test]
fn a_file_of_one_line_that_is_open_while_it_is_compressed_is_read_once() {
    let mut world = World::new();
    world.append("0.log", lines(0..1));
    world.glance();
    world.stop(false);
    world.rename("0.log", "0.log.20260301-100000");
    // The name is free, so that compressed files are looked for when it is in use again.
    world.glance();
    let path = world.path("0.log.20260301-100000");
    let mut open = std::fs::File::options()
        .append(true)
        .open(path)
        .expect("opened");
    open.write_all(lines(1..150).as_bytes()).expect("written");
    world.gzip("0.log.20260301-100000");
    world.append("0.log", lines(150..160));
    world.step();
    world.step();
    check(&world, 160);
}

/// Copies and truncates, as logrotate's copytruncate does.
fn copy_and_truncate(world: &World, copy: &str) {
    std::fs::copy(world.path("0.log"), world.path(copy)).expect("copied");
    world.truncate("0.log");
}

/// Time passes that the file system's clock notices.
fn tick(world: &World) {
    let mut n = 0;
    let time = |n| {
        let path = world.path(&format!("tick{n}"));
        std::fs::write(&path, "x").expect("written");
        let modified = std::fs::metadata(&path).and_then(|found| found.modified());
        std::fs::remove_file(&path).expect("removed");
        modified.expect("a time")
    };
    let before = time(0);
    while time(n) == before {
        n += 1;
    }
}

#[test]
fn contents_that_are_copied_and_cut_off_between_two_turns_are_read_from_their_copies() {
    // The file is followed: half read, read to its end, or just truncated.
    for (read, empty) in [(5, false), (10, false), (10, true)] {
        let mut world = World::new();
        world.append("0.log", lines(0..read));
        world.glance();
        world.append("0.log", lines(read..10));
        copy_and_truncate(&world, "0.log.1");
        if empty {
            world.glance();
        }
        world.append("0.log", lines(10..160));
        copy_and_truncate(&world, "0.log.2");
        world.append("0.log", lines(160..170));
        copy_and_truncate(&world, "0.log.3");
        world.append("0.log", lines(170..180));
        for _ in 0..2 {
            world.step();
            world.step();
            check(&world, 180);
            world.stop(false);
        }
        // What was read is not read again where a truncation comes later.
        world.step();
        tick(&world);
        copy_and_truncate(&world, "0.log.4");
        world.append("0.log", lines(180..190));
        world.step();
        world.step();
        check(&world, 190);
    }
}

#[test]
fn so_are_those_that_come_and_go_in_the_middle_of_the_first_look() {
    let mut world = World::new();
    world.append("0.log", lines(0..10));
    world.glance_while(|world| {
        copy_and_truncate(world, "0.log.1");
        world.append("0.log", lines(10..20));
    });
    world.step();
    check(&world, 20);
}

#[test]
fn so_are_those_that_come_and_go_around_a_restart() {
    for killed in [false, true] {
        let mut world = World::new();
        world.append("0.log", lines(0..10));
        world.step();
        world.sink.commit();
        copy_and_truncate(&world, "0.log.1");
        world.glance();
        world.stop(killed);
        // Nothing is known of the live file but what it was before.
        tick(&world);
        world.append("0.log", lines(10..20));
        copy_and_truncate(&world, "0.log.2");
        world.append("0.log", lines(20..30));
        world.glance_while(|world| {
            copy_and_truncate(world, "0.log.3");
            world.append("0.log", lines(30..40));
            copy_and_truncate(world, "0.log.4");
        });
        world.append("0.log", lines(40..50));
        world.step();
        world.step();
        check(&world, 50);
        world.stop(killed);
        world.step();
        check(&world, 50);
    }
}

#[test]
fn copies_of_what_was_read_are_left_alone_however_many_there_are() {
    let mut world = World::new();
    for n in 0..6 {
        world.append("0.log", lines(n * 10..n * 10 + 10));
        world.step();
        world.step();
        copy_and_truncate(&world, &format!("0.log.{n}"));
        if n % 2 == 0 {
            world.step();
            // Even where hardly anything is known of the live file.
            world.stop(false);
        }
    }
    world.append("0.log", lines(60..70));
    world.step();
    world.step();
    check(&world, 70);
}
