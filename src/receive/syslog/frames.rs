//! Where one message of a TCP stream ends and the next begins (RFC 6587): either each is preceded
//! by its length (`73 <34>1 …`), or each ends with a line break. Every message is looked at anew.

/// Digits of a length: a longer number is none.
const DIGITS_MAX: usize = 7;

/// Cuts a stream into messages.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Where the next message begins.
    start: usize,
    bytes_max: usize,
}

impl Frames {
    /// Messages of more bytes are handed out in parts.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            bytes_max,
        }
    }

    /// Where the next bytes of the stream go, at the end.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.start);
        self.start = 0;
        &mut self.buffer
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        // Line breaks between messages, and the NUL that some end them with.
        while matches!(self.buffer.get(self.start), Some(b'\n' | b'\r' | 0)) {
            self.start += 1;
        }
        let rest = self.buffer.get(self.start..)?;
        let (from, to, next) = match length(rest) {
            Some((digits, bytes)) => {
                let from = digits + 1;
                let to = from + bytes.min(self.bytes_max);
                if rest.len() < to {
                    return None;
                }
                (from, to, to)
            }
            None => match rest.iter().position(|b| matches!(b, b'\n' | 0)) {
                Some(end) => (0, end, end + 1),
                None if rest.len() >= self.bytes_max => (0, self.bytes_max, self.bytes_max),
                None => return None,
            },
        };
        let start = self.start;
        self.start += next;
        self.buffer.get(start + from..start + to)
    }

    /// What is left when the stream has ended: a message without its end.
    pub(super) fn rest(&mut self) -> &[u8] {
        let start = std::mem::replace(&mut self.start, self.buffer.len());
        self.buffer.get(start..).unwrap_or_default()
    }
}

/// `73 <`: how many digits, and the number that they are.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes.iter().take(DIGITS_MAX + 1);
    let digits = digits.take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS_MAX || bytes.first() == Some(&b'0') {
        return None;
    }
    // A line of text may begin with a number as well, a message begins with its priority.
    let is_length = bytes.get(digits) == Some(&b' ') && bytes.get(digits + 1) == Some(&b'<');
    let number = std::str::from_utf8(bytes.get(..digits)?).ok()?;
    is_length.then_some((digits, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(stream: &[u8], step: usize) -> Vec<String> {
        let mut frames = Frames::new(16);
        let mut found = Vec::new();
        for chunk in stream.chunks(step) {
            frames.buffer().extend_from_slice(chunk);
            while let Some(frame) = frames.next() {
                found.push(String::from_utf8_lossy(frame).into_owned());
            }
        }
        let rest = frames.rest();
        if !rest.is_empty() {
            found.push(String::from_utf8_lossy(rest).into_owned());
        }
        found
    }

    #[test]
    fn both_framings_in_any_portions() {
        let stream = b"<1>one\n<2>two\r\n\n6 <3>a\nb7 <4>abcd5 apples\n<5>end";
        for step in 1..stream.len() {
            assert_eq!(
                cut(stream, step),
                [
                    "<1>one", "<2>two\r", "<3>a\nb", "<4>abcd", "5 apples", "<5>end"
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn long_messages_come_in_parts() {
        let parts = cut(b"<1>456789abcdefghijk\n<2>x\n", 5);
        assert_eq!(parts, ["<1>456789abcdefg", "hijk", "<2>x"]);
    }

    proptest! {
        #[test]
        fn any_stream_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1usize..9) {
            let found: usize = cut(&bytes, step).len();
            prop_assert!(found <= bytes.len());
        }
    }
}
