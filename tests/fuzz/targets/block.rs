//! A damaged block or table of blocks with a right checksum: refused or read, never a panic.
//!
//! The first byte tells what the rest is. Odd: the bytes themselves. Even: so many damages (half
//! of it, three bytes each: place, place, value) and then lines, whose block is damaged: this
//! reaches deeper than any bytes would.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_store::fuzzing;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    if kind % 2 == 1 {
        fuzzing::read_block(rest);
        fuzzing::read_table(rest);
        return;
    }
    let Some((damages, text)) = rest.split_at_checked(usize::from(kind / 2 % 8) * 3) else {
        return;
    };
    let mut body = fuzzing::block_of(text);
    for damage in damages.chunks_exact(3) {
        let place = usize::from(damage[0]) | usize::from(damage[1]) << 8;
        let place = place % body.len();
        body[place] = body[place].wrapping_add(damage[2]);
    }
    fuzzing::read_block(&body);
});
