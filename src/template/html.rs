//! Escaping by context, as Go's html/template does it: what a value may be is decided by where in
//! the page it stands.
//!
//! The text of the template is read along like a browser would read it, while it is written; a
//! value is escaped for the state in which it is met and never changes that state, because
//! nothing in it can end a tag, an attribute or a script.

use std::fmt::Write as _;

use crate::json;
use crate::value::Value;

/// What Go puts in the place of a value that is not safe where it stands.
const REFUSED: &str = "ZgotmplZ";

/// Attributes whose value is the address of something.
const URL_ATTRIBUTES: [&str; 14] = [
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "manifest",
    "poster",
    "src",
];

/// Elements whose content is no markup.
const RAW_ELEMENTS: [&str; 4] = ["script", "style", "textarea", "title"];

/// Where in a page the writing stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Text,
    /// Behind `<`.
    Open,
    TagName,
    /// Between attributes.
    Tag,
    AttributeName,
    /// Behind `=`.
    BeforeValue,
    /// In a value, with its quote.
    Value(Option<char>),
    Comment,
    /// In an element of [`RAW_ELEMENTS`].
    Raw,
}

/// Reads along and escapes.
#[derive(Debug)]
pub(crate) struct Escaper {
    state: State,
    /// The name of the tag that is open, lower case; of an end tag with its slash.
    tag: String,
    /// The name of the attribute that is open, lower case.
    attribute: String,
    /// The attribute's value so far, or the last characters of a comment or raw element.
    behind: String,
}

/// The most of an attribute, tag or raw text that is remembered, bytes.
const REMEMBERED_MAX: usize = 256;

impl Escaper {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Text,
            tag: String::new(),
            attribute: String::new(),
            behind: String::new(),
        }
    }

    /// Notes text of the template, which is written as it is.
    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.char(c);
        }
    }

    fn char(&mut self, c: char) {
        match self.state {
            State::Text => {
                if c == '<' {
                    self.state = State::Open;
                    self.tag.clear();
                }
            }
            State::Open | State::TagName => match c {
                '>' => self.tag_ends(),
                c if c.is_whitespace() && self.state == State::TagName => self.state = State::Tag,
                '/' if self.state == State::TagName && !self.tag.is_empty() => {
                    self.state = State::Tag;
                }
                c if c.is_ascii_alphanumeric() || matches!(c, '/' | '!' | '-') => {
                    self.state = State::TagName;
                    remember(&mut self.tag, c.to_ascii_lowercase());
                    if self.tag == "!--" {
                        self.state = State::Comment;
                        self.behind.clear();
                    }
                }
                _ => self.state = State::Text,
            },
            State::Tag => match c {
                '>' => self.tag_ends(),
                c if c.is_whitespace() || c == '/' => {}
                c => {
                    self.attribute.clear();
                    remember(&mut self.attribute, c.to_ascii_lowercase());
                    self.state = State::AttributeName;
                }
            },
            State::AttributeName => match c {
                '=' => {
                    self.state = State::BeforeValue;
                    self.behind.clear();
                }
                '>' => self.tag_ends(),
                c if c.is_whitespace() || c == '/' => self.state = State::Tag,
                c => remember(&mut self.attribute, c.to_ascii_lowercase()),
            },
            State::BeforeValue => match c {
                '"' | '\'' => self.state = State::Value(Some(c)),
                '>' => self.tag_ends(),
                c if c.is_whitespace() => {}
                c => {
                    self.state = State::Value(None);
                    remember(&mut self.behind, c);
                }
            },
            State::Value(quote) => match (quote, c) {
                (Some(quote), c) if c == quote => self.state = State::Tag,
                (None, '>') => self.tag_ends(),
                (None, c) if c.is_whitespace() => self.state = State::Tag,
                (_, c) => remember(&mut self.behind, c),
            },
            State::Comment => {
                self.slide(c);
                if self.behind.ends_with("-->") {
                    self.state = State::Text;
                }
            }
            State::Raw => {
                self.slide(c.to_ascii_lowercase());
                if c == '>' && self.behind.ends_with(&format!("</{}>", self.tag)) {
                    self.state = State::Text;
                }
            }
        }
    }

    /// Keeps the last characters only.
    fn slide(&mut self, c: char) {
        const SLIDE_BYTES: usize = 16;
        self.behind.push(c);
        while self.behind.len() > SLIDE_BYTES {
            self.behind.remove(0);
        }
    }

    fn tag_ends(&mut self) {
        self.behind.clear();
        self.state = if RAW_ELEMENTS.contains(&&*self.tag) {
            State::Raw
        } else {
            State::Text
        };
    }

    /// The text of a value, escaped for the place where it is written.
    pub(crate) fn value(&mut self, value: &Value, text: &str) -> String {
        match self.state {
            // The page ends its `<` here, or the value would be taken for a tag.
            State::Open => {
                self.state = State::Text;
                escape(text)
            }
            State::Text => match value {
                Value::Html(html) => html.to_string(),
                _ => escape(text),
            },
            State::Raw => match &*self.tag {
                "script" => json::script(value),
                "style" => css(text),
                _ => escape(text),
            },
            State::Comment => String::new(),
            State::TagName | State::Tag | State::AttributeName => name(text),
            State::BeforeValue | State::Value(_) => self.attribute(value, text),
        }
    }

    fn attribute(&mut self, value: &Value, text: &str) -> String {
        let unquoted = !matches!(self.state, State::Value(Some(_)));
        if self.state == State::BeforeValue {
            self.state = State::Value(None);
        }
        let attribute = self.attribute.as_str();
        let plain = if URL_ATTRIBUTES.contains(&attribute) {
            self.url(value, text)
        } else if attribute == "style" {
            css(text)
        } else if attribute.starts_with("on") {
            json::script(value)
        } else {
            text.to_owned()
        };
        // What follows is not the start of the value any more.
        remember(&mut self.behind, 'v');
        if unquoted {
            escape_unquoted(&plain)
        } else {
            escape(&plain)
        }
    }

    fn url(&self, value: &Value, text: &str) -> String {
        if self.behind.contains(['?', '#']) {
            return percent(text, false);
        }
        let safe = matches!(value, Value::Url(_)) || !self.behind.is_empty() || harmless(text);
        if safe {
            percent(text, true)
        } else {
            format!("#{REFUSED}")
        }
    }
}

fn remember(text: &mut String, c: char) {
    if text.len() < REMEMBERED_MAX {
        text.push(c);
    }
}

/// Whether an address leads to a page or a mailbox, not into a script.
fn harmless(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => ["http", "https", "mailto"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known)),
        _ => true,
    }
}

/// Percent-encodes what does not belong into a URL, and what separates its parts unless `whole`.
fn percent(text: &str, whole: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, byte) in text.bytes().enumerate() {
        let kept = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || whole && b"!#$&*+,/:;=?@[]".contains(&byte)
            || whole && byte == b'%' && is_escape(text.as_bytes().get(i + 1..i + 3));
        if kept {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

fn is_escape(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Values in styles: words, numbers and colours only.
fn css(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let odd = text.contains(|c: char| {
        matches!(
            c,
            '\0' | '"'
                | '\''
                | '('
                | ')'
                | '/'
                | ';'
                | '@'
                | '['
                | '\\'
                | ']'
                | '`'
                | '{'
                | '}'
                | '<'
                | '>'
        )
    });
    if odd || text.contains("--") || lower.contains("expression") || lower.contains("mozbinding") {
        return REFUSED.to_owned();
    }
    text.to_owned()
}

/// Names of tags and attributes that a template makes.
fn name(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        text.to_owned()
    } else {
        REFUSED.to_owned()
    }
}

fn escape(text: &str) -> String {
    crate::builtins::html_escape(text).replace('+', "&#43;")
}

fn escape_unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page up to `{}`, the value, and how it is written there.
    fn check(before: &str, value: &str, expected: &str) {
        let mut escaper = Escaper::new();
        escaper.text(before);
        let value = Value::str(value);
        let text = crate::builtins::printed(&value).expect("short");
        assert_eq!(escaper.value(&value, &text), expected, "{before}");
    }

    #[test]
    fn escapes_for_the_place() {
        let evil = "<b a=\"1\">'&+";
        let text = "&lt;b a=&#34;1&#34;&gt;&#39;&amp;&#43;";
        check("", evil, text);
        check("a < b <p>", evil, text);
        check("<p title='", evil, text);
        check("<p title=", "a b=c", "a&#32;b&#61;c");
        check("<title>", evil, text);
        check(
            "<a href=\"",
            "https://x/a b?q=1&r='",
            "https://x/a%20b?q=1&amp;r=%27",
        );
        check("<a href=\"", "javascript:alert(1)", "#ZgotmplZ");
        check("<a href=\"https://x/?q=", "a b&c/d", "a%20b%26c%2fd");
        check("<a href=\"https://x/", "javascript:1", "javascript:1");
        check("<script>var x = ", "</script>", "\"\\u003c/script\\u003e\"");
        check("<p onclick='", "a'b", "&#34;a\\u0027b&#34;");
        check("<p style=\"color: ", "red", "red");
        check("<p style=\"color: ", "red; x: url(y)", "ZgotmplZ");
        check("<p ", "onclick=x", "ZgotmplZ");
        check("<!-- ", "hidden", "");
        check("<!-- x --><p>", "<", "&lt;");
        check("<script>1</script><p>", "<", "&lt;");
        check("<br/>", "<", "&lt;");
    }

    #[test]
    fn what_is_html_stays_html() {
        let mut escaper = Escaper::new();
        let bold = Value::Html("<b>x</b>".into());
        assert_eq!(escaper.value(&bold, "<b>x</b>"), "<b>x</b>");
        escaper.text("<p title=\"");
        assert_eq!(escaper.value(&bold, "<b>"), "&lt;b&gt;");
    }
}
