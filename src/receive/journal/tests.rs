//! A journal through restarts, damage and a disk that is full.

use super::*;

fn frame(body: &[u8]) -> Frame {
    let mut bytes = vec![0; FRAME_BYTES];
    bytes.extend_from_slice(body);
    Frame::new(bytes)
}

fn append(journal: &mut Journal, bodies: &[&str]) -> u64 {
    let mut frames: Vec<Frame> = bodies.iter().map(|b| frame(b.as_bytes())).collect();
    journal.append(&mut frames, 5).expect("appends")
}

fn all(journal: &Journal, from: u64) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let read = journal.read(&mut Place::at(from), u64::MAX, |number, body| {
        found.push((number, String::from_utf8_lossy(body).into_owned()));
        Ok(())
    });
    assert_eq!(read.expect("reads"), Read::default());
    found
}

fn texts(journal: &Journal, from: u64) -> Vec<String> {
    all(journal, from).into_iter().map(|(_, t)| t).collect()
}

#[test]
fn records_survive_restarts_and_keep_their_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), 0).expect("opens");
    assert_eq!(append(&mut journal, &["a", "b"]), 1);
    assert_eq!(append(&mut journal, &["c"]), 3);
    drop(journal);
    let mut journal = Journal::open(folder.path(), 1).expect("again");
    assert_eq!(journal.last(), 3);
    assert_eq!(append(&mut journal, &["d"]), 4);
    let expected = [(2, "b"), (3, "c"), (4, "d")].map(|(n, t)| (n, t.to_owned()));
    assert_eq!(all(&journal, 2), expected);

    // The first file holds 1 to 3: it goes once 3 is committed.
    journal.drop_until(2);
    assert_eq!(journal.segments.len(), 2);
    journal.drop_until(3);
    assert_eq!(journal.segments.len(), 1);
    journal.drop_until(4);
    assert_eq!((journal.segments.len(), journal.bytes()), (0, 0));
    assert_eq!(append(&mut journal, &["e"]), 5);
    drop(journal);
    // A journal that is behind the store (or was taken away) never gives a number twice.
    let journal = Journal::open(folder.path(), 40).expect("again");
    assert_eq!((journal.last(), journal.segments.len()), (40, 0));
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), 0).expect("opens");
    append(&mut journal, &["a", "b", "c"]);
    let mut place = Place::at(1);
    let mut found = Vec::new();
    loop {
        let read = journal
            .read(&mut place, 1, |number, _| {
                found.push(number);
                Ok(())
            })
            .expect("reads");
        if !read.more {
            break;
        }
    }
    assert_eq!(found, [1, 2, 3]);
    // A record that is not taken comes again.
    let mut place = Place::at(2);
    let refused = journal.read(&mut place, u64::MAX, |number, _| match number {
        2 => Ok(()),
        _ => Err(StoreError::NoSpace("full".to_owned())),
    });
    assert!(refused.is_err());
    assert_eq!(place.number, 3);
    append(&mut journal, &["d"]);
    let mut found = Vec::new();
    let take = |number, _: &[u8]| {
        found.push(number);
        Ok(())
    };
    journal.read(&mut place, u64::MAX, take).expect("reads");
    assert_eq!(found, [3, 4]);
}

#[test]
fn every_cut_and_every_flipped_bit_keeps_the_records_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), 0).expect("opens");
    append(&mut journal, &["first", "second", "third"]);
    let path = journal.segments[0].path.clone();
    drop(journal);
    let whole = std::fs::read(&path).expect("reads");
    let mut ends = Vec::new();
    let mut end = 20;
    for body in ["first", "second", "third"] {
        end += FRAME_BYTES + body.len();
        ends.push(end);
    }
    for at in 20..whole.len() {
        let sound = ends.iter().filter(|end| **end <= at).count();
        std::fs::write(&path, &whole[..at]).expect("writes");
        let journal = Journal::open(folder.path(), 0).expect("opens");
        assert_eq!(texts(&journal, 1).len(), sound, "cut at {at}");

        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&path, &flipped).expect("writes");
        let journal = Journal::open(folder.path(), 0).expect("opens");
        assert_eq!(texts(&journal, 1).len(), sound, "flipped at {at}");
    }
}

#[test]
fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), 0).expect("opens");
    append(&mut journal, &["a"]);
    let path = journal.segments[0].path.clone();
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[4] = 9;
    let crc = crc32fast::hash(&bytes[..16]).to_le_bytes();
    bytes[16..20].copy_from_slice(&crc);
    std::fs::write(&path, &bytes).expect("writes");
    let error = Journal::open(folder.path(), 0).expect_err("refused");
    assert!(error.to_string().contains("newer Yagura"), "{error}");
}

#[test]
fn what_could_not_be_written_never_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::open(folder.path(), 0).expect("opens");
    append(&mut journal, &["a"]);
    // A file that refuses writes stands in for a full disk.
    let path = journal.segments[0].path.clone();
    journal.writer = Some(Writer::read_only(&path, journal.bytes()));
    let mut frames = [frame(b"lost")];
    journal.append(&mut frames, 5).expect_err("cannot write");
    assert_eq!(append(&mut journal, &["b"]), 2);
    assert_eq!(texts(&journal, 1), ["a", "b"]);
}
