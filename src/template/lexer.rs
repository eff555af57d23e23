//! Cuts a template into text and the tokens of its actions, with the place of each.

use std::ops::Range;
use std::sync::Arc;

/// A mistake at a byte of the source.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// What stands between `{{` and `}}`, and the text around.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Text outside actions, trimmed.
    Text(Arc<str>),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A function or keyword.
    Word(Arc<str>),
    /// `.name`
    Field(Arc<str>),
    /// `$name`, or the empty name for `$`.
    Variable(Arc<str>),
    /// A quoted or raw string, unquoted.
    Str(Arc<str>),
    Int(i64),
    Float(f64),
    Dot,
    Pipe,
    Left,
    Right,
    Comma,
    Declare,
    Assign,
    End,
}

/// A token with its place.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
    /// Whether white space stands before it: `a .b` are two operands, `a.b` is one.
    pub(crate) spaced: bool,
}

/// Cuts a template into tokens; the last is [`Kind::End`].
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer {
        source,
        at: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, start: usize, spaced: bool) {
        self.tokens.push(Token {
            kind,
            span: start..self.at,
            spaced,
        });
    }

    fn mistake<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake {
            at: at.min(self.source.len()),
            message: message.into(),
        })
    }

    fn run(&mut self) -> Result<(), Mistake> {
        let mut trim_start = false;
        loop {
            let rest = self.rest();
            let (text, action) = match rest.find("{{") {
                Some(at) => (&rest[..at], true),
                None => (rest, false),
            };
            let start = self.at;
            self.at += text.len();
            let trim_end = action && {
                let mut after = self.rest()[2..].chars();
                after.next() == Some('-') && after.next().is_some_and(is_space)
            };
            let text = if trim_start {
                text.trim_start_matches(is_space)
            } else {
                text
            };
            let text = if trim_end {
                text.trim_end_matches(is_space)
            } else {
                text
            };
            if !text.is_empty() {
                self.push(Kind::Text(Arc::from(text)), start, false);
            }
            if !action {
                self.push(Kind::End, self.at, false);
                return Ok(());
            }
            trim_start = self.action(trim_end)?;
        }
    }

    /// One `{{ … }}`; returns whether the text behind it is to be trimmed.
    fn action(&mut self, trimmed: bool) -> Result<bool, Mistake> {
        let open = self.at;
        self.at += if trimmed { 3 } else { 2 };
        if let Some(trim) = self.comment(open)? {
            return Ok(trim);
        }
        self.push(Kind::Open, open, false);
        loop {
            let before = self.at;
            self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
            let spaced = self.at > before;
            let start = self.at;
            let rest = self.rest();
            if spaced && rest.starts_with("-}}") {
                self.at += 3;
                self.push(Kind::Close, start, spaced);
                return Ok(true);
            }
            if rest.starts_with("}}") {
                self.at += 2;
                self.push(Kind::Close, start, spaced);
                return Ok(false);
            }
            let Some(first) = rest.chars().next() else {
                return self.mistake(open, "unclosed action: no }} follows");
            };
            let kind = self.token(first, rest)?;
            self.push(kind, start, spaced);
        }
    }

    /// `/* … */` as the whole of an action; `None` when it is something else.
    fn comment(&mut self, open: usize) -> Result<Option<bool>, Mistake> {
        let start = self.rest().trim_start_matches(is_space);
        if !start.starts_with("/*") {
            return Ok(None);
        }
        let Some(end) = start.find("*/") else {
            return self.mistake(open, "unclosed comment: no */ follows");
        };
        self.at = self.source.len() - start.len() + end + 2;
        let rest = self.rest();
        if rest.starts_with("}}") {
            self.at += 2;
            return Ok(Some(false));
        }
        let inner = rest.trim_start_matches(is_space);
        if inner.len() < rest.len() && inner.starts_with("-}}") {
            self.at = self.source.len() - inner.len() + 3;
            return Ok(Some(true));
        }
        self.mistake(self.at, "a comment must end with */}} or */ -}}")
    }

    fn token(&mut self, first: char, rest: &'a str) -> Result<Kind, Mistake> {
        let second = rest[first.len_utf8()..].chars().next();
        let single = |lexer: &mut Self, kind| {
            lexer.at += 1;
            Ok(kind)
        };
        match first {
            '|' => single(self, Kind::Pipe),
            '(' => single(self, Kind::Left),
            ')' => single(self, Kind::Right),
            ',' => single(self, Kind::Comma),
            '=' => single(self, Kind::Assign),
            ':' if second == Some('=') => {
                self.at += 2;
                Ok(Kind::Declare)
            }
            '"' => self.quoted(rest),
            '`' => match rest[1..].find('`') {
                Some(end) => {
                    self.at += end + 2;
                    Ok(Kind::Str(Arc::from(&rest[1..=end])))
                }
                None => self.mistake(self.at, "unterminated raw string: no ` follows"),
            },
            '\'' => self.character(rest),
            '$' => {
                let name = word(&rest[1..]);
                self.at += 1 + name.len();
                Ok(Kind::Variable(Arc::from(name)))
            }
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(rest),
            '.' => {
                let name = word(&rest[1..]);
                self.at += 1 + name.len();
                Ok(if name.is_empty() {
                    Kind::Dot
                } else {
                    Kind::Field(Arc::from(name))
                })
            }
            '0'..='9' | '+' | '-' => self.number(rest),
            c if is_word(c) => {
                let name = word(rest);
                self.at += name.len();
                Ok(Kind::Word(Arc::from(name)))
            }
            c => self.mistake(self.at, format!("unexpected character {c:?} in an action")),
        }
    }

    fn quoted(&mut self, rest: &str) -> Result<Kind, Mistake> {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(Kind::Str(Arc::from(text)));
                }
                '\n' => break,
                '\\' => match escape(&mut chars) {
                    Some(c) => text.push(c),
                    None => return self.mistake(self.at + at, "unknown escape in a string"),
                },
                c => text.push(c),
            }
        }
        self.mistake(self.at, "unterminated quoted string: no \" follows")
    }

    fn character(&mut self, rest: &str) -> Result<Kind, Mistake> {
        let mut chars = rest.char_indices().skip(1);
        let c = match chars.next() {
            Some((_, '\\')) => escape(&mut chars),
            Some((_, c)) if c != '\'' && c != '\n' => Some(c),
            _ => None,
        };
        match (c, chars.next()) {
            (Some(c), Some((end, '\''))) => {
                self.at += end + 1;
                Ok(Kind::Int(i64::from(u32::from(c))))
            }
            _ => self.mistake(self.at, "bad character constant: write 'x'"),
        }
    }

    fn number(&mut self, rest: &str) -> Result<Kind, Mistake> {
        let sign = usize::from(rest.starts_with(['+', '-']));
        let hex = rest[sign..].starts_with("0x") || rest[sign..].starts_with("0X");
        let mut end = sign;
        let mut previous = ' ';
        for c in rest[sign..].chars() {
            let exponent_sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E') && !hex;
            if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent_sign) {
                break;
            }
            previous = c;
            end += 1;
        }
        let digits = rest[..end].replace('_', "");
        let kind = if hex {
            let value = i64::from_str_radix(&digits[sign + 2..], 16).ok();
            value.map(|v| Kind::Int(if digits.starts_with('-') { -v } else { v }))
        } else if digits.contains(['.', 'e', 'E']) {
            let float = digits.parse::<f64>().ok();
            float.filter(|v| v.is_finite()).map(Kind::Float)
        } else {
            digits.parse::<i64>().ok().map(Kind::Int)
        };
        match kind {
            Some(kind) if end > sign => {
                self.at += end;
                Ok(kind)
            }
            _ => self.mistake(self.at, format!("bad number syntax: {:?}", &rest[..end])),
        }
    }
}

/// The character that an escape stands for, its backslash already read.
fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let (_, first) = chars.next()?;
    // Eight hexadecimal digits fill 32 bits exactly, so the fold cannot overflow.
    let mut code = |digits: usize| {
        (0..digits)
            .try_fold(0u32, |code, _| {
                Some((code << 4) | chars.next()?.1.to_digit(16)?)
            })
            .and_then(char::from_u32)
    };
    match first {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        '\\' | '"' | '\'' => Some(first),
        'x' => code(2),
        'u' => code(4),
        'U' => code(8),
        _ => None,
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The identifier at the start of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    &text[..end]
}
