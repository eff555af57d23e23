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
