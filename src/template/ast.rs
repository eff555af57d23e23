//! What a template is once it is parsed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A template with its named parts.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) root: Body,
    /// What `define` and `block` defined, here and in the files that it was parsed with.
    pub(crate) defined: Defined,
    /// Names of the variables that exist from the start.
    pub(crate) variables: Vec<Arc<str>>,
}

/// Named templates.
pub(crate) type Defined = HashMap<Arc<str>, Arc<Body>>;

/// A text of templates, as written.
#[derive(Debug)]
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
}

/// Nodes and where they were read.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) source: Arc<Source>,
    pub(crate) nodes: Vec<Node>,
}

impl Body {
    /// Whether it prints nothing: white space and definitions only.
    pub(crate) fn is_blank(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
    }
}

/// One piece of a template, in the order in which they are printed.
#[derive(Debug)]
pub(crate) enum Node {
    /// Printed as it is.
    Text(Arc<str>),
    /// `{{ pipeline }}`; prints its value unless it sets a variable.
    Action(Pipe),
    /// `{{ if }}` and `{{ with }}`; with sets the dot.
    Branch {
        pipe: Pipe,
        sets_dot: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{ range }}`.
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{ template "name" pipeline }}`.
    Call {
        span: Range<usize>,
        name: Arc<str>,
        argument: Option<Pipe>,
    },
    /// `{{ break }}`
    Break,
    /// `{{ continue }}`
    Continue,
}

/// `a | b | c`, which may set variables.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// Variables that are set, without `$`: one, or index and element in `range`.
    pub(crate) variables: Vec<Arc<str>>,
    /// `:=` rather than `=`.
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Command>,
}

/// An operand, or a function with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) span: Range<usize>,
    /// At least one.
    pub(crate) operands: Vec<Operand>,
}

/// A value as written, with its place in the source.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) span: Range<usize>,
    pub(crate) term: Term,
    /// `.a.b` after the term.
    pub(crate) fields: Vec<Arc<str>>,
}

/// What an operand begins with.
#[derive(Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Variable(Arc<str>),
    Function(&'static crate::builtins::Function),
    Pipe(Box<Pipe>),
}
