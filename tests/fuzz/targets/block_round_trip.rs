//! Any lines into a block and out again: the same bytes, times, levels and fields.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_store::fuzzing;

fuzz_target!(|text: &[u8]| fuzzing::round_trip(text));
