//! A door for the fuzz target in `tests/fuzz`: from a file's bytes to records, without a file.
//! Only there with the feature `fuzzing`.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::content::When;
use crate::decode::Decoder;
use crate::lines::Splitter;
use crate::reading::{FormatChoice, Reading};

/// Lines are cut here, so that small inputs reach the limit, too.
const LINE_BYTES_MAX: usize = 512;

/// Reads bytes as a file of the format with this number (0: find it out), in chunks of this size,
/// and returns the records as (time, level, text).
pub fn read_file(bytes: &[u8], format: u8, chunk_bytes: usize) -> Vec<(i64, u8, Vec<u8>)> {
    let formats = [
        FormatChoice::Auto,
        FormatChoice::Cri,
        FormatChoice::Docker,
        FormatChoice::Json,
        FormatChoice::Logfmt,
        FormatChoice::Access,
        FormatChoice::Text,
    ];
    let reading = Reading {
        format: formats[usize::from(format) % formats.len()],
        ..Reading::default()
    };
    let when = When {
        now_ns: 1_795_451_910_000_000_000,
        written_ns: 1_795_451_900_000_000_000,
        elapsed: Duration::ZERO,
    };
    let mut splitter = Splitter::new(0, LINE_BYTES_MAX);
    let mut decoder = Decoder::new(LINE_BYTES_MAX, TimeZone::UTC, &reading);
    let mut records = Vec::new();
    let mut keep = |record: crate::decode::Record<'_>| {
        records.push((record.time_ns, record.level as u8, record.text.to_vec()));
        Ok::<(), std::convert::Infallible>(())
    };
    for chunk in bytes.chunks(chunk_bytes.max(1)) {
        let _ = splitter.feed(chunk, &mut |line| decoder.line(&line, when, &mut keep));
    }
    let _ = splitter.finish(&mut |line| decoder.line(&line, when, &mut keep));
    let _ = decoder.finish(when, &mut keep);
    records
}
