//! LogQL as a tree. `print.rs` writes it back as text, `parse.rs` reads it.

use model::Matcher;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Asks for lines.
    Log(LogExpr),
    /// Asks for numbers.
    Metric(MetricExpr),
}

/// `{app="x"} |= "error" | json`: which streams, and what becomes of their lines.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    /// The matchers in the braces, all of which must hold. A missing label is empty.
    pub selector: Vec<Matcher>,
    /// What is done with each line, in this order.
    pub stages: Vec<Stage>,
}

/// One step on the way of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// `|= "text"` and its kin.
    Line(LineFilter),
    /// `| json` or `| json a="x.y"`: fields of JSON become labels.
    Json(Vec<Extraction>),
    /// `| logfmt`: `key=value` pairs become labels.
    Logfmt {
        /// `--strict`: stop at what is no pair, with `__error__`.
        strict: bool,
        /// `--keep-empty`: keys without a value become labels too.
        keep_empty: bool,
        /// Which keys; all where there is none.
        extractions: Vec<Extraction>,
    },
    /// `| pattern "<ip> - <_>"`.
    Pattern(String),
    /// `| regexp "(?P<name>…)"`.
    Regexp(String),
    /// `| unpack`: what Promtail's pack stage packed.
    Unpack,
    /// `| decolorize`: takes terminal colours out of the line.
    Decolorize,
    /// `| line_format "{{.msg}}"`: rewrites the line.
    LineFormat(String),
    /// `| label_format a=b, c="{{.d}}"`: renames and makes labels.
    LabelFormat(Vec<LabelFormat>),
    /// `| status >= 500`.
    LabelFilter(LabelFilter),
    /// `| drop a, b="x"`.
    Drop(Vec<LabelChoice>),
    /// `| keep a, b="x"`.
    Keep(Vec<LabelChoice>),
}

/// How a line filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Matches,
    /// `!~`
    NotMatches,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::NotContains => "!=",
            Self::Matches => "|~",
            Self::NotMatches => "!~",
            Self::Pattern => "|>",
            Self::NotPattern => "!>",
        }
    }

    /// Whether a line that fits is left out.
    pub fn is_negative(self) -> bool {
        matches!(
            self,
            Self::NotContains | Self::NotMatches | Self::NotPattern
        )
    }
}

/// `|= "a" or "b"`: one of these must be in the line; with a negative operator none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFilter {
    /// How they are compared.
    pub op: LineOp,
    /// What is looked for; never empty.
    pub any: Vec<LineNeedle>,
}

/// What a line filter looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineNeedle {
    /// A text, a regular expression or a pattern, as the operator says.
    Text(String),
    /// `ip("10.0.0.0/8")`: an address within a range.
    Ip(String),
}

/// `name="expression"` of `json` and `logfmt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The label that it becomes.
    pub name: String,
    /// Where it is found; the same as the name where only that was written.
    pub from: String,
}

/// One part of `label_format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFormat {
    /// The label that is set.
    pub name: String,
    /// Where its value comes from.
    pub value: LabelValue,
}

/// Where `label_format` takes a value from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelValue {
    /// Another label, which is renamed.
    Label(String),
    /// A template.
    Template(String),
}

/// A label of `drop` and `keep`, or only that label with such a value.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelChoice {
    /// Whatever its value is.
    Name(String),
    /// Where the value fits.
    Matcher(Matcher),
}

/// How a label filter compares numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==` or `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }

    /// Whether it holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// A number as a label filter compares it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A plain number.
    Number(f64),
    /// A duration, nanoseconds.
    Duration(i64),
    /// A size, bytes.
    Bytes(u64),
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    /// Both hold.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// One of them holds.
    Or(Box<LabelFilter>, Box<LabelFilter>),
    /// The text of a label; a missing one is empty.
    Text(Matcher),
    /// The number in a label; a line without it is left out.
    Number {
        /// The label.
        name: String,
        /// How it is compared.
        op: Comparison,
        /// With what.
        value: Quantity,
    },
    /// The address in a label.
    Ip {
        /// The label.
        name: String,
        /// `!=`
        negated: bool,
        /// An address, `a-b`, or `a/bits`.
        range: String,
    },
}

/// `| unwrap duration(took)`, and the label filters behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    /// The label whose value is the sample.
    pub label: String,
    /// How it becomes a number.
    pub conversion: Conversion,
    /// Conditions on labels, `__error__` above all.
    pub filters: Vec<LabelFilter>,
}

/// How the text of a label becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// It is one.
    Number,
    /// `duration(…)` or `duration_seconds(…)`: `1m30s` is 90.
    Seconds,
    /// `bytes(…)`: `1kB` is 1000.
    Bytes,
}

/// `{…} | … [5m] offset 1h`
#[derive(Debug, Clone, PartialEq)]
pub struct LogRange {
    /// The lines.
    pub log: LogExpr,
    /// Where samples come from; `None`: each line is one.
    pub unwrap: Option<Unwrap>,
    /// How far back, nanoseconds; more than 0.
    pub range_ns: i64,
    /// How much earlier, nanoseconds; can be negative.
    pub offset_ns: i64,
}

/// `by (a, b)` or `without (a, b)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// `without`
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is LogQL's function of that name")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What becomes of the lines of a range.
    RangeOp {
        CountOverTime = "count_over_time",
        Rate = "rate",
        BytesOverTime = "bytes_over_time",
        BytesRate = "bytes_rate",
        SumOverTime = "sum_over_time",
        AvgOverTime = "avg_over_time",
        MinOverTime = "min_over_time",
        MaxOverTime = "max_over_time",
        StddevOverTime = "stddev_over_time",
        StdvarOverTime = "stdvar_over_time",
        QuantileOverTime = "quantile_over_time",
        FirstOverTime = "first_over_time",
        LastOverTime = "last_over_time",
        AbsentOverTime = "absent_over_time",
        RateCounter = "rate_counter",
    }
}

words! {
    /// What becomes of many series.
    VectorOp {
        Sum = "sum",
        Avg = "avg",
        Min = "min",
        Max = "max",
        Count = "count",
        Stddev = "stddev",
        Stdvar = "stdvar",
        Topk = "topk",
        Bottomk = "bottomk",
        ApproxTopk = "approx_topk",
        Sort = "sort",
        SortDesc = "sort_desc",
    }
}

words! {
    /// What stands between two expressions.
    BinaryOp {
        Or = "or",
        And = "and",
        Unless = "unless",
        Equal = "==",
        NotEqual = "!=",
        Greater = ">",
        GreaterOrEqual = ">=",
        Less = "<",
        LessOrEqual = "<=",
        Add = "+",
        Sub = "-",
        Mul = "*",
        Div = "/",
        Mod = "%",
        Pow = "^",
    }
}

impl VectorOp {
    /// Whether a number stands before the expression: `topk(5, …)`.
    pub fn takes_number(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }
}

impl BinaryOp {
    /// How strongly it binds; more is stronger.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }

    /// Whether it compares.
    pub fn comparison(self) -> Option<Comparison> {
        Some(match self {
            Self::Equal => Comparison::Equal,
            Self::NotEqual => Comparison::NotEqual,
            Self::Greater => Comparison::Greater,
            Self::GreaterOrEqual => Comparison::GreaterOrEqual,
            Self::Less => Comparison::Less,
            Self::LessOrEqual => Comparison::LessOrEqual,
            _ => return None,
        })
    }

    /// Whether it works on sets of series: `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Which series of two sides belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matching {
    /// `on (…)`: only these labels count. Else all but these, `ignoring (…)`.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
    /// On which side many may belong to one of the other.
    pub many: Option<Many>,
}

/// `group_left (…)` or `group_right (…)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many {
    /// `group_left`: there may be many on the left.
    pub left: bool,
    /// Labels that are taken over from the side with one.
    pub include: Vec<String>,
}

/// An expression that gives numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricExpr {
    /// `1.5`
    Number(f64),
    /// `vector(1.5)`: a series without labels.
    Vector(f64),
    /// `rate({…}[5m])`
    Range {
        /// What is done.
        op: RangeOp,
        /// `0.99` of `quantile_over_time(0.99, …)`.
        parameter: Option<f64>,
        /// With which lines.
        range: LogRange,
        /// Which labels stay.
        grouping: Option<Grouping>,
    },
    /// `sum by (app) (…)`
    Aggregate {
        /// What is done.
        op: VectorOp,
        /// `5` of `topk(5, …)`.
        parameter: Option<u64>,
        /// Of what.
        of: Box<MetricExpr>,
        /// Which labels stay.
        grouping: Option<Grouping>,
    },
    /// `label_replace(…, "dst", "$1", "src", "(.*)")`
    LabelReplace {
        /// Of what.
        of: Box<MetricExpr>,
        /// The label that is set.
        target: String,
        /// Its value, with `$1` for groups.
        replacement: String,
        /// The label that is looked at.
        source: String,
        /// What the whole of it must match.
        regex: String,
    },
    /// `a / b`
    Binary {
        /// What is done.
        op: BinaryOp,
        /// On the left.
        left: Box<MetricExpr>,
        /// On the right.
        right: Box<MetricExpr>,
        /// `bool`: a comparison gives 0 or 1.
        bool_modifier: bool,
        /// Which series belong together.
        matching: Matching,
    },
}
