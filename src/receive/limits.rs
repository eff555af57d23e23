//! The bounds of one request.

/// How much one request may bring. What is beyond a bound is refused with a sentence or, where
/// that loses less, cut with a mark and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it was sent. Default 16 MiB: the largest batches that the usual senders
    /// make by default are 10 MB (Vector).
    pub body_bytes_max: usize,
    /// Bytes of a body when it is uncompressed. Default 32 MiB.
    pub inflated_bytes_max: usize,
    /// Bytes of text that the lines of a request make, fields written out. Default 64 MiB.
    pub text_bytes_max: usize,
    /// Lines of a request. Default 200,000.
    pub lines_max: usize,
    /// Label sets of a request. Default 5,000.
    pub streams_max: usize,
    /// Bytes of a line; what is longer is cut with a mark. Default 1 MiB, as in files.
    pub line_bytes_max: usize,
    /// Labels of a stream. Default 32.
    pub labels_max: usize,
    /// Bytes of a label's name. Default 256.
    pub label_name_bytes_max: usize,
    /// Bytes of a label's value. Default 2,048, as in Loki.
    pub label_value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            inflated_bytes_max: 32 << 20,
            text_bytes_max: 64 << 20,
            lines_max: 200_000,
            streams_max: 5_000,
            line_bytes_max: 1 << 20,
            labels_max: 32,
            label_name_bytes_max: 256,
            label_value_bytes_max: 2_048,
        }
    }
}
