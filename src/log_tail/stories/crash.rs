//! Whatever writers do and whenever the process dies: each line is stored exactly once.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::World;

/// What can happen next.
#[derive(Debug, Clone)]
enum Event {
    /// Whole lines are written to one of the files.
    Write { file: usize, lines: u8 },
    /// A line is written, the first so many bytes of it now and the rest at the file's next turn.
    WritePart { file: usize, bytes: usize },
    /// The file is renamed; a new one is made at the next write.
    Rotate { file: usize },
    /// The same in the middle of a look.
    RotateInLook { file: usize },
    /// The file is read and then truncated in place.
    CopyTruncate { file: usize },
    /// The collector looks and reads, and nothing is held back.
    Step,
    /// The collector looks and reads.
    Glance,
    /// The store commits.
    Commit,
    /// The process is killed and started again.
    Kill,
    /// The process is stopped and started again.
    Stop,
    /// Time passes.
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    let file = 0..2usize;
    prop_oneof![
        4 => (file.clone(), 1..6u8).prop_map(|(file, lines)| Event::Write { file, lines }),
        2 => (file.clone(), 0..30usize).prop_map(|(file, bytes)| Event::WritePart { file, bytes }),
        2 => file.clone().prop_map(|file| Event::Rotate { file }),
        2 => file.clone().prop_map(|file| Event::RotateInLook { file }),
        1 => file.prop_map(|file| Event::CopyTruncate { file }),
        3 => Just(Event::Step),
        3 => Just(Event::Glance),
        3 => Just(Event::Commit),
        2 => Just(Event::Kill),
        1 => Just(Event::Stop),
        1 => Just(Event::Wait),
    ]
}

/// A writer with a file of its own; odd lines are written in two parts, as runtimes do.
struct Writer {
    name: String,
    written: u32,
    /// The rest of a line that was begun.
    rest: Vec<u8>,
    rotations: u32,
    expected: Vec<String>,
}

impl Writer {
    fn new(file: usize) -> Self {
        Self {
            name: format!("{file}.log"),
            written: 0,
            rest: Vec::new(),
            rotations: 0,
            expected: Vec::new(),
        }
    }

    fn line(&mut self) -> Vec<u8> {
        let n = self.written;
        self.written += 1;
        let text = format!("{} line {n}", self.name);
        if n % 5 == 4 {
            // A record of three lines, with one of the other output in between.
            self.expected.push(format!("{text} aside"));
            self.expected.push(format!("{text}\n\tat a\n\tat b"));
            return format!(
                "2026-03-01T10:00:00.{n:09}Z stdout F {text}\n\
                 2026-03-01T10:00:00.{n:09}Z stdout F \tat a\n\
                 2026-03-01T10:00:00.{n:09}Z stderr F {text} aside\n\
                 2026-03-01T10:00:00.{n:09}Z stdout F \tat b\n"
            )
            .into_bytes();
        }
        let line = if n % 2 == 1 {
            let (a, b) = text.split_at(6);
            format!(
                "2026-03-01T10:00:00.{n:09}Z stdout P {a}\n\
                 2026-03-01T10:00:00.{n:09}Z stderr F {text} aside\n\
                 2026-03-01T10:00:00.{n:09}Z stdout F {b}\n"
            )
        } else {
            format!("2026-03-01T10:00:00.{n:09}Z stdout F {text}\n")
        };
        if n % 2 == 1 {
            self.expected.push(format!("{text} aside"));
        }
        self.expected.push(text);
        line.into_bytes()
    }

    fn rotate(&mut self, world: &World) {
        if world.path(&self.name).exists() {
            self.rotations += 1;
            let to = format!("{}.{}", self.name, self.rotations);
            world.rename(&self.name, &to);
        }
    }

    fn finish(&mut self, world: &World) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            world.append(&self.name, rest);
        }
    }
}

fn play(events: Vec<Event>) {
    let mut world = World::new();
    let mut writers = [Writer::new(0), Writer::new(1)];
    for event in events {
        match event {
            Event::Write { file, lines } => {
                let writer = &mut writers[file];
                writer.finish(&world);
                for _ in 0..lines {
                    let line = writer.line();
                    world.append(&writer.name, line);
                }
            }
            Event::WritePart { file, bytes } => {
                let writer = &mut writers[file];
                writer.finish(&world);
                let mut line = writer.line();
                writer.rest = line.split_off(bytes.min(line.len()));
                world.append(&writer.name, line);
            }
            Event::Rotate { file } => {
                let writer = &mut writers[file];
                writer.finish(&world);
                writer.rotate(&world);
            }
            Event::RotateInLook { file } => {
                let writer = &mut writers[file];
                writer.finish(&world);
                world.glance_while(|world| writer.rotate(world));
            }
            Event::CopyTruncate { file } => {
                let writer = &mut writers[file];
                writer.finish(&world);
                if world.path(&writer.name).exists() {
                    // What a truncation destroys before it is stored is gone for everyone.
                    world.step();
                    world.sink.commit();
                    world.truncate(&writer.name);
                }
            }
            Event::Step => world.step(),
            Event::Glance => world.glance(),
            Event::Commit => world.sink.commit(),
            Event::Kill => world.stop(true),
            Event::Stop => world.stop(false),
            Event::Wait => world.wait(30),
        }
    }
    for writer in &mut writers {
        writer.finish(&world);
        // Rotated files are looked for where the name is in use again.
        let line = writer.line();
        world.append(&writer.name, line);
    }
    world.step();
    world.stop(false);
    world.step();
    let stored = world.texts();
    for writer in writers {
        let of_writer: VecDeque<&String> = stored
            .iter()
            .filter(|text| text.starts_with(&writer.name))
            .collect();
        // Each output keeps its order; between them a record may wait for its next line.
        for aside in [false, true] {
            let of_output = |texts: &VecDeque<&String>| -> Vec<String> {
                (texts.iter())
                    .filter(|text| text.ends_with("aside") == aside)
                    .map(|text| (*text).clone())
                    .collect()
            };
            assert_eq!(
                of_output(&of_writer),
                of_output(&writer.expected.iter().collect())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_exactly_once_and_in_order(events in proptest::collection::vec(event(), 1..40)) {
        play(events);
    }
}
