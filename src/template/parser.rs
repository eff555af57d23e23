//! From tokens to the tree: blocks, pipelines, operands; unknown functions, undeclared variables
//! and blocks without end are found here, not at three in the morning.

use std::ops::Range;
use std::sync::Arc;

use crate::ast::{Body, Command, Defined, Node, Operand, Parsed, Pipe, Source, Term};
use crate::builtins::Function;
use crate::lexer::{Kind, Mistake, Token, tokens};
use crate::{NESTING_MAX, ParseError, SOURCE_BYTES_MAX, builtins};

/// Parses a template; what it defines is added to `defined`, which it may call.
pub(crate) fn parse(
    name: &str,
    source: &str,
    variables: &[&str],
    more: &'static [Function],
    defined: Defined,
) -> Result<Parsed, ParseError> {
    let failed = |mistake: Mistake| {
        let (line, column) = place(source, mistake.at);
        ParseError {
            name: name.to_owned(),
            line,
            column,
            message: mistake.message,
        }
    };
    if source.len() > SOURCE_BYTES_MAX {
        return Err(failed(Mistake {
            at: 0,
            message: format!("longer than {SOURCE_BYTES_MAX} bytes"),
        }));
    }
    let variables: Vec<Arc<str>> = variables.iter().map(|v| Arc::from(*v)).collect();
    let mut parser = Parser {
        tokens: tokens(source).map_err(failed)?,
        next: 0,
        depth: 0,
        loops: 0,
        scope: variables.clone(),
        more,
        source: Arc::new(Source {
            name: name.to_owned(),
            text: Arc::from(source),
        }),
        defined,
    };
    let (root, stop) = parser.block().map_err(failed)?;
    if let Stop::Keyword(word, at) = stop {
        return Err(failed(Mistake {
            at,
            message: format!("unexpected {{{{{word}}}}}: no block is open here"),
        }));
    }
    Ok(Parsed {
        root: Body {
            source: parser.source,
            nodes: root,
        },
        defined: parser.defined,
        variables,
    })
}

/// Line and column (in characters) of a byte, from 1.
pub(crate) fn place(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// What ended a block.
enum Stop {
    /// The end of the template.
    End,
    /// `end` or `else`, with its place; the token behind it is next.
    Keyword(&'static str, usize),
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// How many `range` blocks are open.
    loops: usize,
    /// Variables that exist here, without `$`.
    scope: Vec<Arc<str>>,
    /// Functions beside Go's and Prometheus'; they come first.
    more: &'static [Function],
    source: Arc<Source>,
    defined: Defined,
}

type Parse<T> = Result<T, Mistake>;

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is `End` and is never passed.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn mistake<T>(&self, message: impl Into<String>) -> Parse<T> {
        Err(Mistake {
            at: self.peek().span.start,
            message: message.into(),
        })
    }

    fn deeper(&mut self) -> Parse<()> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.mistake(format!("nested deeper than {NESTING_MAX} levels"));
        }
        Ok(())
    }

    fn close(&mut self, after: &str) -> Parse<()> {
        if self.peek().kind == Kind::Close {
            self.next += 1;
            return Ok(());
        }
        self.mistake(format!("expected }}}} after {after}"))
    }

    /// Nodes up to `end`, `else` or the end of the template. Variables that it declares end
    /// with it.
    fn block(&mut self) -> Parse<(Vec<Node>, Stop)> {
        self.deeper()?;
        let outer = self.scope.len();
        let mut nodes = Vec::new();
        let stop = loop {
            let token = self.take();
            match token.kind {
                Kind::End => break Stop::End,
                Kind::Text(text) => nodes.push(Node::Text(text)),
                Kind::Open => {
                    let at = self.peek().span.start;
                    let word = match &self.peek().kind {
                        Kind::Word(word) => word.clone(),
                        _ => Arc::from(""),
                    };
                    match &*word {
                        "end" => {
                            self.next += 1;
                            self.close("end")?;
                            break Stop::Keyword("end", at);
                        }
                        "else" => {
                            self.next += 1;
                            break Stop::Keyword("else", at);
                        }
                        _ => nodes.extend(self.action(&word, at)?),
                    }
                }
                _ => {
                    self.next -= 1;
                    return self.mistake("unexpected token");
                }
            }
        };
        self.scope.truncate(outer);
        self.depth -= 1;
        Ok((nodes, stop))
    }

    fn action(&mut self, word: &str, at: usize) -> Parse<Option<Node>> {
        match word {
            "if" | "with" | "range" => {
                self.next += 1;
                self.control(word, at).map(Some)
            }
            "break" | "continue" => {
                if self.loops == 0 {
                    return self.mistake(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                self.next += 1;
                self.close(word)?;
                Ok(Some(if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                }))
            }
            "define" => {
                self.next += 1;
                let name = self.name("define")?;
                self.close("the name")?;
                self.define(name, at)?;
                Ok(None)
            }
            "template" | "block" => {
                self.next += 1;
                let name = self.name(word)?;
                let argument = match self.peek().kind {
                    Kind::Close => None,
                    _ => Some(self.pipe(false)?),
                };
                let span = at..self.peek().span.start;
                self.close("the template's argument")?;
                if word == "block" {
                    self.define(name.clone(), at)?;
                }
                Ok(Some(Node::Call {
                    span,
                    name,
                    argument,
                }))
            }
            _ => {
                let pipe = self.pipe(true)?;
                self.close("the action")?;
                Ok(Some(Node::Action(pipe)))
            }
        }
    }

    fn name(&mut self, word: &str) -> Parse<Arc<str>> {
        let token = self.peek().clone();
        let Kind::Str(name) = token.kind else {
            return self.mistake(format!("expected a quoted name after {word}"));
        };
        self.next += 1;
        Ok(name)
    }

    /// The body of a `define`, which sees no variables but `$`.
    fn define(&mut self, name: Arc<str>, at: usize) -> Parse<()> {
        let scope = std::mem::take(&mut self.scope);
        let loops = std::mem::take(&mut self.loops);
        let (body, stop) = self.block()?;
        self.scope = scope;
        self.loops = loops;
        match stop {
            Stop::Keyword("end", _) => {
                let body = Body {
                    source: self.source.clone(),
                    nodes: body,
                };
                add(&mut self.defined, name, body);
                Ok(())
            }
            stop => Err(unclosed("define", at, &stop)),
        }
    }

    /// `if`, `with` and `range`, their word already read, up to their `end`.
    fn control(&mut self, word: &str, at: usize) -> Parse<Node> {
        self.deeper()?;
        let outer = self.scope.len();
        let pipe = self.pipe(true)?;
        if pipe.variables.len() > 1 && word != "range" {
            return self.mistake(format!("{word} sets one variable at most"));
        }
        self.close(word)?;
        self.loops += usize::from(word == "range");
        let (body, stop) = self.block()?;
        self.loops -= usize::from(word == "range");
        let otherwise = match stop {
            Stop::Keyword("else", else_at) => self.otherwise(word, else_at)?,
            Stop::Keyword(..) => Vec::new(),
            Stop::End => return Err(unclosed(word, at, &stop)),
        };
        self.scope.truncate(outer);
        self.depth -= 1;
        Ok(if word == "range" {
            Node::Range {
                pipe,
                body,
                otherwise,
            }
        } else {
            Node::Branch {
                pipe,
                sets_dot: word == "with",
                then: body,
                otherwise,
            }
        })
    }

    /// What follows `else`: another `if` or `with`, or a block up to `end`.
    fn otherwise(&mut self, word: &str, at: usize) -> Parse<Vec<Node>> {
        let chained = match &self.peek().kind {
            Kind::Word(next) if word != "range" && (&**next == "if" || &**next == "with") => {
                Some(next.clone())
            }
            _ => None,
        };
        if let Some(next) = chained {
            self.next += 1;
            return self.control(&next, at).map(|node| vec![node]);
        }
        self.close("else")?;
        match self.block()? {
            (nodes, Stop::Keyword("end", _)) => Ok(nodes),
            (_, stop) => Err(unclosed("else", at, &stop)),
        }
    }

    /// A pipeline up to `}}` or `)`, which is left to be read.
    fn pipe(&mut self, may_set: bool) -> Parse<Pipe> {
        self.deeper()?;
        let (variables, declares) = if may_set {
            self.assignment()?
        } else {
            (Vec::new(), false)
        };
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            if !commands.is_empty() && !takes_arguments(&command.operands[0]) {
                return Err(Mistake {
                    at: command.span.start,
                    message: "only a function or method can follow | in a pipeline".to_owned(),
                });
            }
            commands.push(command);
            if self.peek().kind != Kind::Pipe {
                break;
            }
            self.next += 1;
        }
        // As in Go, a variable exists from behind its own pipeline on.
        if declares {
            self.scope.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipe {
            variables,
            declares,
            commands,
        })
    }

    /// `$x :=`, `$x =`, `$i, $x :=`, or nothing.
    fn assignment(&mut self) -> Parse<(Vec<Arc<str>>, bool)> {
        let kind = |i: usize| self.tokens.get(self.next + i).map(|t| &t.kind);
        let (names, operator) = match (kind(0), kind(1), kind(2), kind(3)) {
            (Some(Kind::Variable(a)), Some(op @ (Kind::Declare | Kind::Assign)), ..) => {
                (vec![a.clone()], op.clone())
            }
            (
                Some(Kind::Variable(a)),
                Some(Kind::Comma),
                Some(Kind::Variable(b)),
                Some(op @ (Kind::Declare | Kind::Assign)),
            ) => (vec![a.clone(), b.clone()], op.clone()),
            _ => return Ok((Vec::new(), false)),
        };
        if operator == Kind::Assign {
            for name in &names {
                self.known(name)?;
            }
        } else if names.iter().any(|name| name.is_empty()) {
            return self.mistake("a variable needs a name behind $");
        }
        self.next += names.len() * 2;
        Ok((names, operator == Kind::Declare))
    }

    fn known(&self, name: &Arc<str>) -> Parse<()> {
        if name.is_empty() || self.scope.contains(name) {
            return Ok(());
        }
        self.mistake(format!("undefined variable \"${name}\""))
    }

    fn command(&mut self) -> Parse<Command> {
        let start = self.peek().span.start;
        let mut operands: Vec<Operand> = Vec::new();
        while let Some(operand) = self.operand()? {
            if let Some(last) = operands.last() {
                let touching = last.span.end == operand.span.start;
                if touching {
                    return Err(Mistake {
                        at: operand.span.start,
                        message: "a space is missing between two operands".to_owned(),
                    });
                }
            }
            operands.push(operand);
        }
        let Some(first) = operands.first() else {
            return self.mistake("a value is missing here");
        };
        if operands.len() > 1 && !takes_arguments(first) {
            return Err(Mistake {
                at: operands[1].span.start,
                message: "only a function or method takes arguments".to_owned(),
            });
        }
        let end = operands.last().map_or(start, |o| o.span.end);
        Ok(Command {
            span: start..end,
            operands,
        })
    }

    /// One operand with the fields that hang on it; `None` at `|`, `)`, `}}`.
    fn operand(&mut self) -> Parse<Option<Operand>> {
        let token = self.peek().clone();
        let term = match &token.kind {
            Kind::Dot => Term::Dot,
            Kind::Field(name) => {
                self.next += 1;
                let mut fields = vec![name.clone()];
                let end = self.fields(token.span.end, &mut fields);
                return Ok(Some(Operand {
                    span: token.span.start..end,
                    term: Term::Dot,
                    fields,
                }));
            }
            Kind::Variable(name) => {
                self.known(name)?;
                Term::Variable(name.clone())
            }
            Kind::Str(text) => Term::Str(text.clone()),
            Kind::Int(value) => Term::Int(*value),
            Kind::Float(value) => Term::Float(*value),
            Kind::Word(word) => match &**word {
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                "nil" => Term::Nil,
                name => match builtins::find(name, self.more) {
                    Some(function) => Term::Function(function),
                    None => return self.mistake(format!("function {name:?} not defined")),
                },
            },
            Kind::Left => {
                self.next += 1;
                let pipe = self.pipe(false)?;
                if self.peek().kind != Kind::Right {
                    return self.mistake("unclosed parenthesis");
                }
                Term::Pipe(Box::new(pipe))
            }
            _ => return Ok(None),
        };
        let mut end = self.take().span.end;
        let mut fields = Vec::new();
        if matches!(term, Term::Variable(_) | Term::Pipe(_) | Term::Function(_)) {
            end = self.fields(end, &mut fields);
        }
        Ok(Some(Operand {
            span: token.span.start..end,
            term,
            fields,
        }))
    }

    /// `.a.b` directly behind an operand; returns where they end.
    fn fields(&mut self, mut end: usize, fields: &mut Vec<Arc<str>>) -> usize {
        loop {
            let token = self.peek();
            let (Kind::Field(name), false) = (&token.kind, token.spaced) else {
                return end;
            };
            fields.push(name.clone());
            end = token.span.end;
            self.next += 1;
        }
    }
}

/// Whether an operand may be a function or a method.
fn takes_arguments(operand: &Operand) -> bool {
    matches!(operand.term, Term::Function(_)) || !operand.fields.is_empty()
}

/// Adds a named template. As in Go the last one counts, but one that prints nothing takes nobody's
/// place.
pub(crate) fn add(defined: &mut Defined, name: Arc<str>, body: Body) {
    if !body.is_blank() || !defined.contains_key(&name) {
        defined.insert(name, Arc::new(body));
    }
}

fn unclosed(word: &str, at: usize, stop: &Stop) -> Mistake {
    match stop {
        Stop::End => Mistake {
            at,
            message: format!("{word} has no {{{{end}}}}"),
        },
        Stop::Keyword(other, at) => Mistake {
            at: *at,
            message: format!("unexpected {{{{{other}}}}} in {word}"),
        },
    }
}

/// The part of a source that a span names, shortened for messages.
pub(crate) fn excerpt(source: &str, span: &Range<usize>) -> String {
    const CHARS_MAX: usize = 40;
    let text = source.get(span.clone()).unwrap_or_default().trim_end();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
