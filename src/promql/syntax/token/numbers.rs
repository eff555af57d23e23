//! How far a number or a duration goes, whether it makes sense or not.

pub(super) fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How far something that may be a number goes, and whether it is one (as far as characters go).
pub(super) fn number_length(bytes: &[u8]) -> (usize, bool) {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or_default();
    let mut i = 0;
    let is_hex = byte(0) == b'0' && matches!(byte(1), b'x' | b'X');
    if is_hex {
        i = 2;
        if byte(i) == b'_' {
            i += 1;
        }
    }
    let is_digit = |b: u8| b.is_ascii_digit() || (is_hex && b.is_ascii_hexdigit());
    let (mut has_dot, mut has_exponent) = (false, false);
    if byte(i) == b'.' {
        has_dot = true;
        i += 1;
    }
    loop {
        match byte(i) {
            b if is_digit(b) => i += 1,
            b'.' => {
                i += 1;
                // A hexadecimal number has no fraction.
                if has_dot || is_hex || matches!(byte(i), b'_' | b'.') {
                    return (i, false);
                }
                has_dot = true;
            }
            b'e' | b'E' => {
                i += 1;
                if has_exponent {
                    return (i, false);
                }
                has_exponent = true;
                if matches!(byte(i), b'+' | b'-') {
                    i += 1;
                }
                if matches!(byte(i), b'.' | b'_' | b'e' | b'E' | 0) {
                    return (i, false);
                }
            }
            b'_' => {
                i += 1;
                if matches!(byte(i), b'.' | b'_' | b'e' | b'E' | 0) {
                    return (i, false);
                }
            }
            next => return (i, !is_alphanumeric(next)),
        }
    }
}

/// How far a duration goes whose first digits end at `i`; else how far it makes sense.
pub(super) fn duration_length(bytes: &[u8], mut i: usize) -> Result<usize, usize> {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or_default();
    let unit = |i: &mut usize, units: &[u8]| {
        if !units.contains(&byte(*i)) {
            return false;
        }
        *i += 1;
        // Of ms; what is no unit is found when the duration is read.
        *i += usize::from(byte(*i) == b's');
        true
    };
    if !unit(&mut i, b"smhdwy") {
        return Err((i + 1).min(bytes.len()));
    }
    while byte(i).is_ascii_digit() {
        while byte(i).is_ascii_digit() {
            i += 1;
        }
        if !unit(&mut i, b"smhdw") {
            return Err((i + 1).min(bytes.len()));
        }
    }
    if is_alphanumeric(byte(i)) {
        return Err(i + 1);
    }
    Ok(i)
}
