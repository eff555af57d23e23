//! Takes the compression off a body, within a bound: a small body cannot become a large one.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::Refused;

/// What a body that says "framed snappy" begins with.
const SNAPPY_FRAMED: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// An inflated body is expected to be so many times as large, for its first allocation.
const GROWTH_EXPECTED: usize = 4;

/// How a body is compressed: the values of `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Plain,
    /// `gzip`, of one or several members.
    Gzip,
    /// `deflate`: zlib, or what some senders mistake for it, bare deflate.
    Deflate,
    /// `snappy`: one block, or the framed format.
    Snappy,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// Reads the header's value; without the header a body is plain.
    ///
    /// # Errors
    /// `Unsupported` for any other value, chains of encodings included.
    pub fn parse(header: Option<&str>) -> Result<Self, Refused> {
        let word = header.unwrap_or_default().trim();
        Ok(match word.to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Plain,
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "snappy" | "x-snappy-framed" => Self::Snappy,
            "zstd" => Self::Zstd,
            _ => {
                return Err(Refused::Unsupported(format!(
                    "the content encoding {word:?} is not understood: use gzip, deflate, snappy, \
                     zstd or none"
                )));
            }
        })
    }
}

/// Returns the body without its compression; a plain one is not copied.
///
/// # Errors
/// `TooLarge` beyond `bytes_max`, `Bad` where the compression is damaged.
pub fn inflate(
    body: &[u8],
    encoding: Encoding,
    bytes_max: usize,
) -> Result<Cow<'_, [u8]>, Refused> {
    let inflated = match encoding {
        Encoding::Plain if body.len() > bytes_max => return Err(too_large(bytes_max)),
        Encoding::Plain => return Ok(Cow::Borrowed(body)),
        Encoding::Gzip => read("gzip", MultiGzDecoder::new(body), body, bytes_max)?,
        Encoding::Deflate if is_zlib(body) => {
            read("deflate", ZlibDecoder::new(body), body, bytes_max)?
        }
        Encoding::Deflate => read("deflate", DeflateDecoder::new(body), body, bytes_max)?,
        Encoding::Snappy if body.starts_with(SNAPPY_FRAMED) => read(
            "snappy",
            snap::read::FrameDecoder::new(body),
            body,
            bytes_max,
        )?,
        Encoding::Snappy => snappy_block(body, bytes_max)?,
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
                .map_err(|error| damaged("zstd", &error))?;
            // Frames may ask for a window of gigabytes; 8 MiB is what the format recommends.
            decoder
                .window_log_max(23)
                .map_err(|error| damaged("zstd", &error))?;
            read("zstd", decoder, body, bytes_max)?
        }
    };
    Ok(Cow::Owned(inflated))
}

/// One block of snappy says its size at its beginning, so that nothing is allocated in vain.
fn snappy_block(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refused> {
    let size = snap::raw::decompress_len(body).map_err(|error| damaged("snappy", &error))?;
    if size > bytes_max {
        return Err(too_large(bytes_max));
    }
    snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| damaged("snappy", &error))
}

fn read(name: &str, decoder: impl Read, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refused> {
    let expected = body.len().saturating_mul(GROWTH_EXPECTED).min(bytes_max);
    let mut out = Vec::with_capacity(expected);
    decoder
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| damaged(name, &error))?;
    if out.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(out)
}

/// A zlib header: method 8, and a check that makes the first two bytes a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
        }
        _ => false,
    }
}

fn damaged(name: &str, error: &dyn std::fmt::Display) -> Refused {
    Refused::Bad(format!("the body is no sound {name}: {error}"))
}

fn too_large(bytes_max: usize) -> Refused {
    Refused::TooLarge(format!(
        "the body is larger than {} when it is uncompressed: send smaller batches, or raise \
         receive.inflated_body",
        model::bytes::format(bytes_max as u64)
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    fn packed(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Plain => text.to_vec(),
            Encoding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
                out.write_all(text).expect("packs");
                out.finish().expect("packs")
            }
            Encoding::Deflate => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
                out.write_all(text).expect("packs");
                out.finish().expect("packs")
            }
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(text).expect("packs"),
            Encoding::Zstd => zstd::encode_all(text, 1).expect("packs"),
        }
    }

    const ALL: [Encoding; 5] = [
        Encoding::Plain,
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Snappy,
        Encoding::Zstd,
    ];

    #[test]
    fn every_encoding_comes_back() {
        let text = b"a line that is sent again and again\n".repeat(100);
        for encoding in ALL {
            let packed = packed(encoding, &text);
            assert_eq!(
                inflate(&packed, encoding, MAX).expect("inflates"),
                text,
                "{encoding:?}"
            );
        }
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&text).expect("packs");
        let bare = bare.finish().expect("packs");
        assert_eq!(
            inflate(&bare, Encoding::Deflate, MAX).expect("inflates"),
            text
        );
        let mut framed = snap::write::FrameEncoder::new(Vec::new());
        framed.write_all(&text).expect("packs");
        let framed = framed.into_inner().expect("packs");
        assert_eq!(
            inflate(&framed, Encoding::Snappy, MAX).expect("inflates"),
            text
        );
    }

    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        let zeros = vec![0; MAX + 1];
        for encoding in ALL {
            let refused = inflate(&packed(encoding, &zeros), encoding, MAX).expect_err("too large");
            assert!(matches!(refused, Refused::TooLarge(_)), "{encoding:?}");
        }
        // A block of snappy that says it has 4 GiB.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let refused = inflate(&lie, Encoding::Snappy, MAX).expect_err("too large");
        assert!(matches!(refused, Refused::TooLarge(_)), "{refused}");
    }

    #[test]
    fn only_known_encodings_are_taken() {
        assert_eq!(Encoding::parse(None), Ok(Encoding::Plain));
        assert_eq!(Encoding::parse(Some(" GZIP ")), Ok(Encoding::Gzip));
        for word in ["br", "gzip, snappy"] {
            let refused = Encoding::parse(Some(word)).expect_err("unknown");
            assert!(refused.to_string().contains(word), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for encoding in ALL {
                let _ = inflate(&bytes, encoding, 1 << 16);
            }
        }
    }
}
