//! Does this line go on with the record before it? Built in: what stack traces and panics of
//! Java, Go, Python, Ruby, Node, .NET and Rust look like, and indentation.
//!
//! A small state machine per record. Its rules are narrow on purpose: a line that is joined by
//! mistake is hidden inside another one, a line that is not joined only stands by itself.
//!
//! - An indented line belongs to a record whose first line is indented less, unless it begins
//!   with a time or a level of its own, as some loggers pad their lines.
//! - A line that is not indented belongs to it only where the trace's language says so: Java's
//!   `Caused by:`, the functions of a Go stack, Python's last line, the message of a Rust panic…
//! - An exception without a time right behind a warning or an error with one belongs to it: that
//!   is how loggers of Java and Python write the exception of an event.
//! - A blank line belongs to a trace only if the line behind it does.
//! - A line that breaks into a trace ends it, and what is left of the trace does not hang on to
//!   that line.
//!
//! Knows nothing about where lines come from and when.

use memchr::memmem;
use model::Level;

use crate::level_detect::name_level;

/// What a record is so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    /// An ordinary line.
    #[default]
    Plain,
    /// A warning or an error with a time of its own.
    Complaint,
    /// A line with indented ones behind it.
    Indented,
    /// What was indented is closed by a bracket: nothing more belongs to it.
    Closed,
    /// Frames whose first line is missing: another line broke into their trace.
    Orphan,
    /// An exception of Java, .NET or JavaScript.
    Exception,
    /// `panic: …`, the stack is to come.
    GoPanic,
    /// The stack of a goroutine.
    GoStack,
    /// A traceback of Python, or an old one of Ruby, without its last line.
    Python,
    /// With it.
    PythonEnd,
    /// `During handling of the above exception, another exception occurred:`
    PythonChain,
    /// `thread '…' panicked at …:`, the message is to come.
    RustPanic,
    Rust,
    /// Lines `file.rb:1:in 'x'`.
    Ruby,
    /// `/app/x.js:10`, the source line and the mark under it.
    NodeSource,
}

impl State {
    /// Whether lines of a trace are expected: then the record waits longer for them.
    pub(crate) fn is_trace(self) -> bool {
        !matches!(
            self,
            Self::Plain | Self::Complaint | Self::Indented | Self::Closed
        )
    }

    /// The level of a trace that does not say one.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::GoPanic | Self::RustPanic | Self::Rust => Level::Fatal,
            _ if self.is_trace() => Level::Error,
            _ => Level::Unknown,
        }
    }

    /// Whether a blank line may stand inside.
    fn may_hold_blank(self) -> bool {
        matches!(
            self,
            Self::GoPanic
                | Self::GoStack
                | Self::PythonEnd
                | Self::PythonChain
                | Self::NodeSource
                | Self::Exception
        )
    }
}

/// The record to which a line may belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) state: State,
    /// Its first line.
    pub(crate) head: &'a [u8],
    /// Whether the record came right behind an unfinished trace.
    pub(crate) broke_in: bool,
    /// Whether blank lines stand between it and the line.
    pub(crate) blank: bool,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It belongs to the record.
    Joins(State),
    /// A blank line: the line behind it decides.
    Blank,
    /// It is a record of its own.
    Stands,
}

/// Decides about a line behind a record. `has_time` says whether a text begins with a time.
pub(crate) fn next(
    before: &Before<'_>,
    line: &[u8],
    has_time: &mut dyn FnMut(&[u8]) -> bool,
) -> Next {
    let Some(&first) = line.first() else {
        return blank(before);
    };
    // Fast path: most lines are not indented and follow no trace.
    let indented = matches!(first, b' ' | b'\t');
    if !indented && matches!(before.state, State::Plain) && first != b'g' {
        return Next::Stands;
    }
    let joined = if indented {
        let text = line.trim_ascii_start();
        if text.is_empty() {
            return Next::Stands;
        }
        behind_indent(before, line, text, has_time)
    } else {
        at_margin(before, line, has_time)
    };
    joined.map_or(Next::Stands, Next::Joins)
}

fn blank(before: &Before<'_>) -> Next {
    if before.state.may_hold_blank() {
        Next::Blank
    } else {
        Next::Stands
    }
}

/// A line with spaces or tabs before its text.
fn behind_indent(
    before: &Before<'_>,
    line: &[u8],
    text: &[u8],
    has_time: &mut dyn FnMut(&[u8]) -> bool,
) -> Option<State> {
    let state = before.state;
    if state == State::Closed {
        return None;
    }
    if before.blank && !matches!(state, State::NodeSource | State::Exception) {
        return None;
    }
    if is_frame(text) {
        if matches!(state, State::Orphan | State::Exception) {
            return Some(state);
        }
        let is_plain = matches!(state, State::Plain | State::Complaint);
        if is_plain && before.broke_in && !names_error(before.head) {
            return None;
        }
    }
    let deeper = indent(line) > indent(before.head);
    // Go prints its nested panics behind a tab.
    let belongs = deeper || state == State::GoPanic;
    if !belongs || begins_record(text, has_time) {
        return None;
    }
    Some(match state {
        State::Plain | State::Complaint | State::Indented if is_frame(text) => State::Exception,
        State::Plain | State::Complaint => State::Indented,
        // The message of a Rust panic may be indented.
        State::RustPanic => State::Rust,
        other => other,
    })
}

/// A line that is not indented.
fn at_margin(
    before: &Before<'_>,
    line: &[u8],
    has_time: &mut dyn FnMut(&[u8]) -> bool,
) -> Option<State> {
    let starts = |what: &str| line.starts_with(what.as_bytes());
    let is_goroutine = || starts("goroutine ") && line.ends_with(b"]:");
    match before.state {
        State::Plain | State::Complaint if is_goroutine() => {
            memmem::find(before.head, b"panic").map(|_| State::GoStack)
        }
        State::Complaint if starts("Traceback (most recent call last)") => Some(State::Python),
        State::Complaint if is_exception(line) => Some(State::Exception),
        State::Plain | State::Complaint | State::Orphan | State::Closed => None,
        State::Indented => is_closing(line).then_some(if line.ends_with(b",") {
            State::Indented
        } else {
            State::Closed
        }),
        State::Exception if before.blank => starts("Node.js v").then_some(State::Exception),
        State::Exception => (starts("Caused by: ") || starts("Suppressed: ") || is_closing(line))
            .then_some(State::Exception),
        State::GoPanic if is_goroutine() => Some(State::GoStack),
        State::GoPanic => {
            (starts("[signal ") || (!before.blank && starts("panic: "))).then_some(State::GoPanic)
        }
        State::GoStack if before.blank => is_goroutine().then_some(State::GoStack),
        State::GoStack => is_go_function(line).then_some(State::GoStack),
        State::Python if is_ruby_frame(line) => Some(State::Ruby),
        State::Python => is_python_end(line).then_some(State::PythonEnd),
        State::PythonEnd => (before.blank
            && (starts("During handling of the above exception")
                || starts("The above exception was the direct cause")))
        .then_some(State::PythonChain),
        State::PythonChain => starts("Traceback (most recent call last)").then_some(State::Python),
        State::RustPanic => {
            let other = line.first() == Some(&b'{') || begins_record(line, has_time);
            (!other).then_some(State::Rust)
        }
        State::Rust => (starts("note: ") || starts("stack backtrace:")).then_some(State::Rust),
        State::Ruby => is_ruby_frame(line).then_some(State::Ruby),
        State::NodeSource => is_exception(line).then_some(State::Exception),
    }
}

/// What a record that begins with this line is. `timed`: the line has a time of its own.
pub(crate) fn begin(line: &[u8], timed: bool, level: Level) -> State {
    let starts = |what: &str| line.starts_with(what.as_bytes());
    let state = match line.first() {
        Some(b'p') if starts("panic: ") => State::GoPanic,
        Some(b'f') if starts("fatal error: ") => State::GoPanic,
        Some(b'g') if starts("goroutine ") && line.ends_with(b"]:") => State::GoStack,
        Some(b'T') if starts("Traceback (most recent call last)") => State::Python,
        Some(b't') if starts("thread '") && memmem::find(line, b" panicked at ").is_some() => {
            // Before Rust 1.73 the message stood in the same line.
            if line.ends_with(b":") {
                State::RustPanic
            } else {
                State::Rust
            }
        }
        Some(b'/' | b'f' | b'n') if is_node_source(line) => State::NodeSource,
        Some(b'E') if starts("Exception in thread ") => State::Exception,
        Some(b'U') if starts("Unhandled exception") || starts("Uncaught ") => State::Exception,
        Some(b' ' | b'\t') if is_frame(line.trim_ascii_start()) => State::Orphan,
        Some(byte) if !timed && byte.is_ascii_alphabetic() && is_ruby_frame(line) => State::Ruby,
        Some(byte) if !timed && byte.is_ascii_alphabetic() && is_exception(line) => {
            State::Exception
        }
        _ => State::Plain,
    };
    if state == State::Plain && timed && level >= Level::Warn {
        return State::Complaint;
    }
    state
}

/// Columns before the text; a tab counts as one, as only differences inside a record matter.
fn indent(line: &[u8]) -> usize {
    line.iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// Whether the text of an indented line begins a record of its own: loggers that pad the level.
fn begins_record(text: &[u8], has_time: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    match text.first() {
        Some(b'0'..=b'9' | b'[') => has_time(text),
        Some(b'A'..=b'Z') => {
            let length = text
                .iter()
                .take_while(|byte| byte.is_ascii_uppercase())
                .count();
            let word = &text[..length];
            let ends = matches!(text.get(length), Some(b' ' | b'\t' | b':' | b']'));
            (ends && name_level(word).is_some()) || has_time(text)
        }
        _ => false,
    }
}

/// A frame of a stack, without its indentation.
fn is_frame(text: &[u8]) -> bool {
    match text.first() {
        Some(b'a') => text.starts_with(b"at ") && text.len() > 3,
        Some(b'F') => text.starts_with(b"File \""),
        Some(b'f') => text.starts_with(b"from ") && memmem::find(text, b":in ").is_some(),
        Some(b'.') => text.starts_with(b"... ") && text.ends_with(b" more"),
        Some(b'/') => memmem::find(text, b".go:").is_some(),
        _ => false,
    }
}

/// Whether a text names an error, so that frames behind it are its own.
fn names_error(text: &[u8]) -> bool {
    [&b"xception"[..], b"rror", b"Throwable", b"panic"]
        .iter()
        .any(|word| memmem::find(text, word).is_some())
}

/// `java.lang.IllegalStateException: a`, `TypeError: x`, `com.acme.Failure$Error`: a name that
/// ends like those of exceptions, alone or with a colon behind it.
fn is_exception(line: &[u8]) -> bool {
    let length = line
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'))
        .count();
    let name = &line[..length];
    let ends = matches!(line.get(length), None | Some(b':' | b'\r'));
    ends && [&b"Exception"[..], b"Error", b"Throwable"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The last line of a Python traceback: `ValueError: x`, `a.b.Broken: x`, `KeyboardInterrupt`.
fn is_python_end(line: &[u8]) -> bool {
    let length = line
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
        .count();
    let starts = line
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    starts
        && match line.get(length) {
            None => true,
            Some(b':') => matches!(line.get(length + 1), None | Some(b' ')),
            Some(_) => false,
        }
}

/// A function of a Go stack: `main.main()`, `net/http.(*conn).serve(0xc000…, {0x1, 0x2})`,
/// `created by main.run in goroutine 1`.
fn is_go_function(line: &[u8]) -> bool {
    if line.starts_with(b"created by ") || line == b"...additional frames elided..." {
        return true;
    }
    if line.starts_with(b"panic(") {
        return line.ends_with(b")");
    }
    let Some(open) = memchr::memchr(b'(', line) else {
        return false;
    };
    let name = &line[..open];
    line.ends_with(b")") && name.contains(&b'.') && !name.contains(&b' ')
}

/// `app/models/order.rb:10:in 'pay'`.
fn is_ruby_frame(line: &[u8]) -> bool {
    let Some(at) = memmem::find(line, b":in ") else {
        return false;
    };
    let (place, quote) = (&line[..at], line.get(at + 4));
    let digits = place
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    digits > 0
        && place.len() > digits
        && place[place.len() - digits - 1] == b':'
        && !place.contains(&b' ')
        && matches!(quote, Some(b'`' | b'\''))
}

/// `/app/x.js:10`, `file:///app/x.mjs:10`, `node:internal/fs:20`.
fn is_node_source(line: &[u8]) -> bool {
    let digits = line
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let place = &line[..line.len() - digits];
    let named = place.starts_with(b"/") || line.starts_with(b"file:") || line.starts_with(b"node:");
    digits > 0 && named && place.ends_with(b":") && !place.contains(&b' ')
}

/// A bracket that ends what indented lines are inside of.
fn is_closing(line: &[u8]) -> bool {
    line.len() <= 3
        && matches!(line.first(), Some(b'}' | b']' | b')'))
        && line[1..]
            .iter()
            .all(|byte| matches!(byte, b'}' | b']' | b')' | b',' | b';' | b'\r'))
}
