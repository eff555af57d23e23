//! Is this a text file? A look at the first bytes, before anything of it is stored.

/// Beginnings of formats that hold no NUL byte early on, or whose name says more than "binary".
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "compressed (gzip): only text files are read"),
    (b"\xfd7zXZ\0", "compressed (xz): only text files are read"),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed (zstd): only text files are read",
    ),
    (b"BZh", "compressed (bzip2): only text files are read"),
    (b"LPKSHHRH", "a systemd journal: only text files are read"),
    (
        b"SQLite format 3\0",
        "an SQLite database: only text files are read",
    ),
];

/// Of text in any usual encoding, fewer bytes than one in this many are control characters.
const CONTROL_SHARE: usize = 8;

/// Why a file that begins like this is no text, or `None` where it is one.
pub(crate) fn not_text(start: &[u8]) -> Option<&'static str> {
    if let Some((_, reason)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(reason);
    }
    if memchr::memchr(0, start).is_some() {
        return Some("a binary file (it holds NUL bytes): only text files are read");
    }
    let is_control = |byte: &&u8| matches!(byte, 1..=8 | 11 | 14..=26 | 28..=31 | 127);
    let controls = start.iter().filter(is_control).count();
    (controls * CONTROL_SHARE > start.len())
        .then_some("a binary file (it is full of control characters): only text files are read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_passes_and_binary_does_not() {
        for text in [
            &b"plain\n"[..],
            b"",
            "größe\n".as_bytes(),
            b"\xff\xfe latin\xe9\n",
            b"\x1b[31mred\x1b[0m\n",
        ] {
            assert_eq!(not_text(text), None, "{}", String::from_utf8_lossy(text));
        }
        for binary in [
            &b"\0\0\0\0"[..],
            b"\x1f\x8b\x08\x01",
            b"LPKSHHRH\x01",
            b"\x07\x01\x02\x03ab",
        ] {
            assert!(not_text(binary).is_some(), "{binary:?}");
        }
    }
}
