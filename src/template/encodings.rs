//! Base64 and percent-encoding for template functions.

/// What a percent-encoded text says; `+` is a space.
///
/// # Errors
/// A `%` without two hexadecimal digits behind it.
pub(crate) fn url_unescape(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                let value = digits
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u8::from_str_radix(d, 16).ok());
                let shown = String::from_utf8_lossy(after.get(..2).unwrap_or(after));
                out.push(value.ok_or_else(|| format!("invalid URL escape \"%{shown}\""))?);
                rest = after.get(2..).unwrap_or_default();
            }
            byte => out.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for i in 0..4 {
            let letter = BASE64.get((bits >> (18 - 6 * i) & 63) as usize);
            out.push(match letter {
                Some(letter) if i <= chunk.len() => char::from(*letter),
                _ => '=',
            });
        }
    }
    out
}

/// Reads base64 with padding; `None` for anything else.
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let trimmed = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - trimmed.len() > 2 {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in trimmed.bytes() {
        let six = BASE64.iter().position(|letter| *letter == byte)?;
        bits = (bits << 6 | six as u32) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}
