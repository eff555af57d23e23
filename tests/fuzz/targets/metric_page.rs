//! A damaged page, directory or journal of the metric store with a right checksum: refused or
//! read, never a panic, and never more samples than were asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metric_store::fuzzing;

fuzz_target!(|input: &[u8]| {
    let Some(([kind, low, high], rest)) = input.split_first_chunk::<3>() else {
        return;
    };
    match kind % 3 {
        0 => {
            let count = usize::from(*low) | usize::from(*high & 31) << 8;
            if let Ok(samples) = fuzzing::read_chunk(rest, count) {
                assert_eq!(samples.values.len(), count);
            }
        }
        1 => {
            fuzzing::read_directory(rest);
        }
        _ => {
            fuzzing::read_journal(rest);
        }
    }
});
