//! Any bytes as a log file: the first byte chooses the format, the second the size of chunks. How
//! the file is cut into chunks must not matter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_tail::fuzzing::read_file;

fuzz_target!(|input: &[u8]| {
    let [format, chunk_bytes, bytes @ ..] = input else {
        return;
    };
    let in_chunks = read_file(bytes, *format, usize::from(*chunk_bytes));
    let at_once = read_file(bytes, *format, usize::MAX);
    assert_eq!(in_chunks, at_once);
});
