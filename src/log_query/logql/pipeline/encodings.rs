//! Percent-encoding, base64 and times for the template functions: a few lines each, not worth a crate.

use std::fmt::Write;

pub(super) fn urlencode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(b as char),
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}

pub(super) fn urldecode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let pair = bytes.hex_pair();
        match (byte, pair) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(decoded)) => {
                out.push(decoded);
                bytes.nth(1);
            }
            (byte, _) => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Looks at the next two bytes without taking them.
trait HexPair {
    fn hex_pair(&self) -> Option<u8>;
}

impl HexPair for std::str::Bytes<'_> {
    fn hex_pair(&self) -> Option<u8> {
        let mut ahead = self.clone();
        let high = char::from(ahead.next()?).to_digit(16)?;
        let low = char::from(ahead.next()?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn base64_encode(text: &str) -> String {
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = BASE64.get((bits >> (18 - 6 * i) & 63) as usize).copied();
            out.push(match letter {
                Some(letter) if i <= chunk.len() => char::from(letter),
                _ => '=',
            });
        }
    }
    out
}

pub(super) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut n_bits) = (0u32, 0);
    for byte in text.trim().trim_end_matches('=').bytes() {
        let six = BASE64.iter().position(|b| *b == byte)? as u32;
        bits = bits << 6 | six;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits & 0xff) as u8);
        }
    }
    Some(out)
}

/// Formats a time by Go's reference time, `2006-01-02T15:04:05.000Z07:00`; in UTC.
pub(super) fn date(layout: &str, time_ns: i64) -> String {
    let shown = model::time::rfc3339_ns(time_ns);
    let part = |from: usize, to: usize| shown.get(from..to).unwrap_or_default().to_owned();
    let fraction = format!("{:09}", time_ns.rem_euclid(1_000_000_000));
    let parts: [(&str, String); 11] = [
        ("2006", part(0, 4)),
        ("Z07:00", "Z".to_owned()),
        ("-0700", "+0000".to_owned()),
        ("MST", "UTC".to_owned()),
        (".000000000", format!(".{fraction}")),
        (".000000", format!(".{}", &fraction[..6])),
        (".000", format!(".{}", &fraction[..3])),
        ("01", part(5, 7)),
        ("02", part(8, 10)),
        ("15", part(11, 13)),
        ("04", part(14, 16)),
    ];
    let mut out = String::new();
    let mut rest = layout;
    'text: while let Some(c) = rest.chars().next() {
        for (name, value) in &parts {
            if let Some(tail) = rest.strip_prefix(name) {
                out.push_str(value);
                rest = tail;
                continue 'text;
            }
        }
        if let Some(tail) = rest.strip_prefix("05") {
            out.push_str(&part(17, 19));
            rest = tail;
            continue;
        }
        out.push(c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}
