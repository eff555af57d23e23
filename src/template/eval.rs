//! Walks a parsed template and writes its text, within bounds.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use crate::ast::{Command, Node, Operand, Parsed, Pipe, Source, Term};
use crate::html::Escaper;
use crate::value::{Bounded, Value};
use crate::{
    Env, NESTING_MAX, OUTPUT_BYTES_MAX, RenderError, STEPS_MAX, builtins, methods, parser,
};

/// How deep blocks, parentheses and named templates may nest while a template runs: what one
/// source may hold, and as much again for templates that call one another.
const EXECUTION_NESTING_MAX: usize = 2 * NESTING_MAX;

/// Fills a template in; where `html`, values are escaped for the place where they stand.
pub(crate) fn render(
    parsed: &Parsed,
    dot: &Value,
    variables: &[Value],
    env: &Env<'_>,
    html: bool,
) -> Result<String, RenderError> {
    let mut run = Run {
        parsed,
        env,
        out: Bounded::new(OUTPUT_BYTES_MAX),
        html: html.then(Escaper::new),
        source: parsed.root.source.clone(),
        variables: vec![(Arc::from(""), dot.clone())],
        frame: 0,
        steps: 0,
        depth: 0,
        last: 0..0,
    };
    for (i, name) in parsed.variables.iter().enumerate() {
        let value = variables.get(i).cloned().unwrap_or(Value::Nil);
        run.variables.push((name.clone(), value));
    }
    match run.nodes(&parsed.root.nodes, dot) {
        Ok(_) => Ok(run.out.text),
        Err(failure) => {
            // A failure leaves the source in which it happened.
            let (line, column) = parser::place(&run.source.text, failure.span.start);
            Err(RenderError {
                name: run.source.name.clone(),
                line,
                column,
                at: parser::excerpt(&run.source.text, &failure.span),
                message: failure.message,
            })
        }
    }
}

/// What went wrong, and in which part of the source.
struct Failure {
    span: Range<usize>,
    message: String,
}

fn fail<T>(span: &Range<usize>, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure {
        span: span.clone(),
        message: message.into(),
    })
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    parsed: &'a Parsed,
    env: &'a Env<'a>,
    out: Bounded,
    html: Option<Escaper>,
    /// What is being evaluated: places in messages are places in it.
    source: Arc<Source>,
    /// Variables by name, the innermost last; the empty name is `$`.
    variables: Vec<(Arc<str>, Value)>,
    /// Where the variables of the named template that runs begin; the ones before are hidden.
    frame: usize,
    steps: usize,
    /// Blocks, parentheses and named templates that are open.
    depth: usize,
    /// The part of the source that was evaluated last: the place of mistakes in plain text.
    last: Range<usize>,
}

impl Run<'_> {
    fn step(&mut self, span: &Range<usize>) -> Result<(), Failure> {
        self.steps += 1;
        self.last.clone_from(span);
        if self.steps > STEPS_MAX {
            return fail(span, format!("takes more than {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > EXECUTION_NESTING_MAX {
            let message = format!("nested deeper than {EXECUTION_NESTING_MAX} levels");
            return fail(&self.last, message);
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Failure> {
        self.deeper()?;
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    /// Like [`Run::nodes`], and variables that they declare end with them.
    fn scoped(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Failure> {
        let outer = self.variables.len();
        let flow = self.nodes(nodes, dot)?;
        self.variables.truncate(outer);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Failure> {
        match node {
            Node::Text(text) => {
                let span = self.last.clone();
                if let Some(html) = &mut self.html {
                    html.text(text);
                }
                self.write(&span, |out| out.write_str(text))?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.show(pipe, &value)?;
                }
            }
            Node::Branch {
                pipe,
                sets_dot,
                then,
                otherwise,
            } => {
                let outer = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let flow = if value.is_true() {
                    self.scoped(then, if *sets_dot { &value } else { dot })?
                } else {
                    self.scoped(otherwise, dot)?
                };
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::Range {
                pipe,
                body,
                otherwise,
            } => {
                let outer = self.variables.len();
                let flow = self.range(pipe, body, otherwise, dot)?;
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::Call {
                span,
                name,
                argument,
            } => self.call_template(span, name, argument.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    /// Writes the value of an action.
    fn show(&mut self, pipe: &Pipe, value: &Value) -> Result<(), Failure> {
        let Some(html) = &mut self.html else {
            return self.write(&span(pipe), |out| match value {
                Value::Nil => out.write_str("<no value>"),
                value => value.print(out),
            });
        };
        let text = match value {
            Value::Nil => String::new(),
            value => builtins::printed(value).or_else(|message| fail(&span(pipe), message))?,
        };
        // What the author escaped is not escaped twice.
        let escaped = pipe.commands.last().and_then(|command| {
            let first = command.operands.first()?;
            matches!(first.term, Term::Function(f) if f.name == "html").then_some(())
        });
        let text = match escaped {
            Some(()) => html.value(&Value::Html(Arc::from(text.as_str())), &text),
            None => html.value(value, &text),
        };
        self.write(&span(pipe), |out| out.write_str(&text))
    }

    fn write(
        &mut self,
        span: &Range<usize>,
        write: impl FnOnce(&mut Bounded) -> std::fmt::Result,
    ) -> Result<(), Failure> {
        write(&mut self.out).or_else(|_| fail(span, builtins::too_long()))
    }

    fn call_template(
        &mut self,
        span: &Range<usize>,
        name: &str,
        argument: Option<&Pipe>,
        dot: &Value,
    ) -> Result<(), Failure> {
        let argument = match argument {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        self.named(span, name, &argument)
    }

    /// Runs a named template with a value as its dot.
    fn named(&mut self, span: &Range<usize>, name: &str, dot: &Value) -> Result<(), Failure> {
        let parsed = self.parsed;
        let Some(body) = parsed.defined.get(name) else {
            return fail(span, format!("template {name:?} not defined"));
        };
        self.step(span)?;
        let (frame, outer) = (self.frame, self.variables.len());
        let source = std::mem::replace(&mut self.source, body.source.clone());
        self.frame = outer;
        self.variables.push((Arc::from(""), dot.clone()));
        self.nodes(&body.nodes, dot)?;
        self.variables.truncate(outer);
        self.frame = frame;
        self.source = source;
        Ok(())
    }

    /// `tmpl "name" value`: what a named template writes, as a value.
    fn captured(&mut self, span: &Range<usize>, args: &[Value]) -> Result<Value, Failure> {
        let [name, dot] = args else {
            return fail(span, "wrong number of args for tmpl: want 2");
        };
        let Some(name) = name.as_text() else {
            return fail(span, "the name of a template is a string");
        };
        let outer = std::mem::replace(&mut self.out, Bounded::new(OUTPUT_BYTES_MAX));
        let done = self.named(span, name, dot);
        let made = std::mem::replace(&mut self.out, outer);
        done?;
        Ok(Value::Html(Arc::from(made.text)))
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, Failure> {
        let mut values = Vec::new();
        let value = self.commands(pipe, dot)?;
        match &value {
            Value::List(list) => values.extend(
                list.iter()
                    .enumerate()
                    .map(|(i, v)| (Value::Int(i as i64), v.clone())),
            ),
            Value::Map(map) => {
                values.extend(map.iter().map(|(k, v)| (Value::Str(k.clone()), v.clone())));
            }
            Value::Pairs(pairs) => values.extend(
                (0i64..)
                    .zip(pairs.iter())
                    .map(|(i, pair)| (Value::Int(i), crate::value::pair(pair))),
            ),
            Value::Labels(labels) | Value::KeyValues(labels) => {
                values.extend(labels.iter().map(|label| {
                    (
                        Value::Str(label.name.clone()),
                        Value::Str(label.value.clone()),
                    )
                }));
            }
            Value::Int(count) => {
                let count = (*count).clamp(0, STEPS_MAX as i64);
                values.extend((0..count).map(|i| (Value::Int(i), Value::Int(i))));
            }
            Value::Nil => {}
            other => {
                let message = format!("range can't iterate over {}", other.type_name());
                return fail(&span(pipe), message);
            }
        }
        if values.is_empty() {
            return self.scoped(otherwise, dot);
        }
        for (key, value) in values {
            self.step(&span(pipe))?;
            let outer = self.variables.len();
            match pipe.variables.as_slice() {
                [] => {}
                [element] => self.set(pipe, element, value.clone()),
                [index, element, ..] => {
                    self.set(pipe, index, key);
                    self.set(pipe, element, value.clone());
                }
            }
            let flow = self.scoped(body, &value)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn set(&mut self, pipe: &Pipe, name: &Arc<str>, value: Value) {
        let frame = self.frame;
        let known = self.variables[frame..]
            .iter_mut()
            .rev()
            .find(|(n, _)| n == name);
        match known {
            Some((_, slot)) if !pipe.declares => *slot = value,
            _ => self.variables.push((name.clone(), value)),
        }
    }

    /// The value of a pipeline, which is also given to its variable.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Failure> {
        let value = self.commands(pipe, dot)?;
        if let Some(name) = pipe.variables.first() {
            self.set(pipe, name, value.clone());
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Failure> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Failure> {
        let Some((first, rest)) = command.operands.split_first() else {
            return Ok(Value::Nil);
        };
        if let (Term::Function(function), []) = (&first.term, first.fields.as_slice()) {
            return self.call(function, &command.span, rest, piped, dot);
        }
        if rest.is_empty() && piped.is_none() {
            return self.operand(first, dot);
        }
        // A method with arguments: the last field is its name.
        let Some((method, fields_before)) = first.fields.split_last() else {
            return fail(&command.span, "can't give argument to non-function");
        };
        let receiver = self.term(first, dot)?;
        let receiver = fields(receiver, fields_before, &first.span)?;
        let mut args = Vec::with_capacity(rest.len().min(64) + 1);
        for operand in rest {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(piped);
        let Some(answer) = methods::call(&receiver, method, &args) else {
            let kind = receiver.type_name();
            let message = format!("{method} is not a method of {kind} but has arguments");
            return fail(&first.span, message);
        };
        answer.or_else(|message| fail(&first.span, format!("error calling {method}: {message}")))
    }

    fn call(
        &mut self,
        function: &'static builtins::Function,
        span: &Range<usize>,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Failure> {
        self.step(span)?;
        let count = operands.len() + usize::from(piped.is_some());
        if !function.arguments.contains(&count) {
            let (min, max) = (function.arguments.start(), function.arguments.end());
            let wanted = if min == max {
                format!("{min}")
            } else {
                format!("at least {min}")
            };
            let name = function.name;
            return fail(
                span,
                format!("wrong number of args for {name}: want {wanted} got {count}"),
            );
        }
        // `and` stops at the first that is false, `or` at the first that is true.
        let decides = match function.name {
            "and" => Some(false),
            "or" => Some(true),
            _ => None,
        };
        let mut args = Vec::with_capacity(count.min(64));
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if decides == Some(value.is_true()) {
                return Ok(value);
            }
            args.push(value);
        }
        args.extend(piped);
        if function.name == "tmpl" {
            return self.captured(span, &args);
        }
        (function.call)(&args, self.env)
            .or_else(|message| fail(span, format!("error calling {}: {message}", function.name)))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Failure> {
        let value = self.term(operand, dot)?;
        fields(value, &operand.fields, &operand.span)
    }

    /// What an operand begins with, without the fields that hang on it.
    fn term(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Failure> {
        self.step(&operand.span)?;
        Ok(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => Value::Nil,
            Term::Bool(b) => Value::Bool(*b),
            Term::Int(i) => Value::Int(*i),
            Term::Float(f) => Value::Float(*f),
            Term::Str(s) => Value::Str(s.clone()),
            Term::Variable(name) => {
                let frame = self.frame;
                let found = self.variables[frame..]
                    .iter()
                    .rev()
                    .find(|(n, _)| n == name);
                match found {
                    Some((_, value)) => value.clone(),
                    None => return fail(&operand.span, format!("undefined variable: ${name}")),
                }
            }
            Term::Function(function) => self.call(function, &operand.span, &[], None, dot)?,
            Term::Pipe(pipe) => {
                self.deeper()?;
                let value = self.pipe(pipe, dot)?;
                self.depth -= 1;
                value
            }
        })
    }
}

/// Follows the fields, keys and methods without arguments that hang on an operand.
fn fields(mut value: Value, names: &[Arc<str>], span: &Range<usize>) -> Result<Value, Failure> {
    for name in names {
        // As in Go, a method comes before a key of the same name.
        if let Some(answer) = methods::call(&value, name, &[]) {
            value =
                answer.or_else(|message| fail(span, format!("error calling {name}: {message}")))?;
            continue;
        }
        value = match (value.field(name), &value) {
            (Some(value), _) => value,
            (None, Value::Nil) => {
                return fail(span, format!("nil data; no entry for key {name:?}"));
            }
            (None, value) => {
                let kind = value.type_name();
                return fail(span, format!("can't evaluate field {name} in type {kind}"));
            }
        };
    }
    Ok(value)
}

fn span(pipe: &Pipe) -> Range<usize> {
    let start = pipe.commands.first().map_or(0, |c| c.span.start);
    let end = pipe.commands.last().map_or(start, |c| c.span.end);
    start..end
}
