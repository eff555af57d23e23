//! A queue is written, read, filled and damaged.

use super::*;

fn labels(id: u32) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", id.to_string())])
}

fn add(queue: &mut Queue, time_ms: i64, ids: std::ops::Range<u32>) {
    let samples: Vec<_> = ids.map(|id| (id, time_ms as f64 + f64::from(id))).collect();
    queue
        .floats(time_ms, &samples, |id| Some(labels(id)))
        .expect("writes");
}

#[test]
fn what_is_written_is_read_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
    add(&mut queue, 1000, 0..3);
    add(&mut queue, 2000, 0..2);
    let exemplar = Item::Exemplar(Exemplar {
        labels: Labels::from_pairs([("trace_id", "t")]),
        value: 0.5,
        timestamp_ms: 2001,
    });
    queue
        .item(2, &exemplar, |id| Some(labels(id)))
        .expect("writes");
    let histogram = Item::Histogram(2002, std::sync::Arc::new(Histogram::default()));
    queue
        .item(7, &histogram, |id| Some(labels(id)))
        .expect("writes");
    let (items, position, damaged) = queue.read(3).expect("reads");
    assert_eq!((items.len(), damaged), (3, 0));
    queue.commit(position).expect("commits");
    drop(queue);
    let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
    add(&mut queue, 3000, 1..2);
    let (items, ..) = queue.read(100).expect("reads");
    let expected = vec![
        (labels(0), Item::Float(2000, 2000.0)),
        (labels(1), Item::Float(2000, 2001.0)),
        (labels(2), exemplar),
        (labels(7), histogram),
        (labels(1), Item::Float(3000, 3001.0)),
    ];
    assert_eq!(items, expected);
    let (items, ..) = queue.read(100).expect("reads");
    assert!(items.is_empty());
    add(&mut queue, 4000, 1..2);
    assert_eq!(queue.read(100).expect("reads").0.len(), 1);
}

#[test]
fn a_full_queue_loses_the_oldest_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut queue = Queue::open(dir.path(), 0).expect("opens");
    for time_ms in 0..300 {
        add(&mut queue, time_ms, 0..5_000);
    }
    assert!(
        queue.bytes() <= 2 * FILE_BYTES + (1 << 17),
        "{}",
        queue.bytes()
    );
    let dropped = queue.take_dropped();
    let mut read = 0;
    loop {
        let (items, position, damaged) = queue.read(100_000).expect("reads");
        assert_eq!(damaged, 0);
        if items.is_empty() {
            break;
        }
        read += items.len() as u64;
        queue.commit(position).expect("commits");
    }
    assert_eq!(read + dropped, 300 * 5_000);
    assert!(dropped > 0);
    assert_eq!(queue.files.len(), 1, "what was sent is deleted");
}

#[test]
fn damage_costs_a_file_at_most() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
    add(&mut queue, 1000, 0..100);
    add(&mut queue, 2000, 0..100);
    drop(queue);
    let path = dir.path().join("0000000001.queue");
    let mut bytes = fs::read(&path).expect("reads");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
    add(&mut queue, 3000, 0..100);
    let (items, _, damaged) = queue.read(1000).expect("reads");
    assert_eq!((items.len(), damaged), (200, 1));
}

#[test]
fn what_was_sent_is_not_dropped_when_its_file_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut queue = Queue::open(dir.path(), 0).expect("opens");
    let mut written = 0u64;
    for _ in 0..20 {
        add(&mut queue, written as i64, 0..5_000);
        written += 5_000;
    }
    let (items, position, _) = queue.read(20_000).expect("reads");
    queue.commit(position).expect("commits");
    let read = items.len() as u64;
    // After a restart nobody remembers how much each file holds.
    drop(queue);
    let mut queue = Queue::open(dir.path(), 0).expect("opens");
    let first = queue.files.front().map(|file| file.number);
    for _ in 0..300 {
        add(&mut queue, written as i64, 0..5_000);
        written += 5_000;
    }
    assert_ne!(queue.files.front().map(|file| file.number), first);
    let dropped = queue.take_dropped();
    assert!(dropped > 0);
    let (items, ..) = queue.read(usize::MAX).expect("reads");
    assert_eq!(read + dropped + items.len() as u64, written);
}

#[test]
fn whoever_reads_after_another_begins_with_what_has_not_arrived() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut queue = Queue::open(dir.path(), 1 << 30).expect("opens");
    add(&mut queue, 1000, 0..10);
    let (first, ..) = queue.read(100).expect("reads");
    queue.rewind();
    let (again, position, _) = queue.read(100).expect("reads");
    assert_eq!(first, again);
    queue.commit(position).expect("commits");
    queue.rewind();
    assert!(queue.read(100).expect("reads").0.is_empty());
}
