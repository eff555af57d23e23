//! Writes LogQL in one fixed way; parsed again it gives the same tree.

use std::fmt::{self, Display, Formatter, Write};

use model::{MatchOp, Matcher};

use super::ast::{
    Conversion, Expr, Extraction, Grouping, LabelChoice, LabelFilter, LabelFormat, LabelValue,
    LineFilter, LineNeedle, LogExpr, LogRange, Matching, MetricExpr, Quantity, Stage, Unwrap,
};
use super::units;

/// A string in double quotes with Go's escapes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn matcher(matcher: &Matcher) -> String {
    format!(
        "{}{}{}",
        matcher.name,
        matcher.op.as_str(),
        quoted(&matcher.value)
    )
}

fn joined<T>(f: &mut Formatter<'_>, items: &[T], show: impl Fn(&T) -> String) -> fmt::Result {
    let all: Vec<String> = items.iter().map(show).collect();
    f.write_str(&all.join(", "))
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        joined(f, &self.selector, matcher)?;
        f.write_char('}')?;
        for stage in &self.stages {
            write!(f, " {stage}")?;
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(filter) => filter.fmt(f),
            Self::Json(extractions) => {
                f.write_str("| json")?;
                extracted(f, extractions)
            }
            Self::Logfmt {
                strict,
                keep_empty,
                extractions,
            } => {
                f.write_str("| logfmt")?;
                if *strict {
                    f.write_str(" --strict")?;
                }
                if *keep_empty {
                    f.write_str(" --keep-empty")?;
                }
                extracted(f, extractions)
            }
            Self::Pattern(pattern) => write!(f, "| pattern {}", quoted(pattern)),
            Self::Regexp(regexp) => write!(f, "| regexp {}", quoted(regexp)),
            Self::Unpack => f.write_str("| unpack"),
            Self::Decolorize => f.write_str("| decolorize"),
            Self::LineFormat(template) => write!(f, "| line_format {}", quoted(template)),
            Self::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                joined(f, formats, |LabelFormat { name, value }| match value {
                    LabelValue::Label(from) => format!("{name}={from}"),
                    LabelValue::Template(template) => format!("{name}={}", quoted(template)),
                })
            }
            Self::LabelFilter(filter) => write!(f, "| {filter}"),
            Self::Drop(choices) => chosen(f, "drop", choices),
            Self::Keep(choices) => chosen(f, "keep", choices),
        }
    }
}

fn extracted(f: &mut Formatter<'_>, extractions: &[Extraction]) -> fmt::Result {
    if extractions.is_empty() {
        return Ok(());
    }
    f.write_char(' ')?;
    joined(f, extractions, |Extraction { name, from }| {
        format!("{name}={}", quoted(from))
    })
}

fn chosen(f: &mut Formatter<'_>, word: &str, choices: &[LabelChoice]) -> fmt::Result {
    write!(f, "| {word} ")?;
    joined(f, choices, |choice| match choice {
        LabelChoice::Name(name) => name.clone(),
        LabelChoice::Matcher(m) => matcher(m),
    })
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.op.as_str())?;
        for (i, needle) in self.any.iter().enumerate() {
            if i > 0 {
                f.write_str(" or ")?;
            }
            match needle {
                LineNeedle::Text(text) => f.write_str(&quoted(text))?,
                LineNeedle::Ip(range) => write!(f, "ip({})", quoted(range))?,
            }
        }
        Ok(())
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let side = |f: &mut Formatter<'_>, side: &Self| match side {
            Self::And(..) | Self::Or(..) => write!(f, "({side})"),
            side => side.fmt(f),
        };
        match self {
            Self::And(left, right) => {
                side(f, left)?;
                f.write_str(" and ")?;
                side(f, right)
            }
            Self::Or(left, right) => {
                side(f, left)?;
                f.write_str(" or ")?;
                side(f, right)
            }
            Self::Text(m) => f.write_str(&matcher(m)),
            Self::Number { name, op, value } => {
                write!(f, "{name} {} ", op.as_str())?;
                match value {
                    Quantity::Number(number) => f.write_str(&number_text(*number)),
                    Quantity::Duration(ns) => f.write_str(&units::write_duration(*ns)),
                    Quantity::Bytes(bytes) => f.write_str(&units::write_bytes(*bytes)),
                }
            }
            Self::Ip {
                name,
                negated,
                range,
            } => {
                let op = if *negated {
                    MatchOp::NotEqual
                } else {
                    MatchOp::Equal
                };
                write!(f, "{name}{}ip({})", op.as_str(), quoted(range))
            }
        }
    }
}

/// A number as LogQL reads it: no exponent where that can be avoided.
pub(super) fn number_text(number: f64) -> String {
    if number.is_infinite() {
        // Only a literal beyond what a float can hold becomes one.
        return if number > 0.0 { "1e999" } else { "-1e999" }.to_owned();
    }
    format!("{number}")
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.conversion {
            Conversion::Number => write!(f, "| unwrap {}", self.label)?,
            Conversion::Seconds => write!(f, "| unwrap duration({})", self.label)?,
            Conversion::Bytes => write!(f, "| unwrap bytes({})", self.label)?,
        }
        for filter in &self.filters {
            write!(f, " | {filter}")?;
        }
        Ok(())
    }
}

impl Display for LogRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        write!(f, " [{}]", units::write_duration(self.range_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", units::write_duration(self.offset_ns))?;
        }
        Ok(())
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.without { "without" } else { "by" };
        write!(f, "{word} ({})", self.labels.join(", "))
    }
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&number_text(*number)),
            Self::Vector(number) => write!(f, "vector({})", number_text(*number)),
            Self::Range {
                op,
                parameter,
                range,
                grouping,
            } => {
                write!(f, "{}(", op.as_str())?;
                if let Some(parameter) = parameter {
                    write!(f, "{}, ", number_text(*parameter))?;
                }
                write!(f, "{range})")?;
                match grouping {
                    Some(grouping) => write!(f, " {grouping}"),
                    None => Ok(()),
                }
            }
            Self::Aggregate {
                op,
                parameter,
                of,
                grouping,
            } => {
                f.write_str(op.as_str())?;
                if let Some(grouping) = grouping {
                    write!(f, " {grouping} ")?;
                }
                f.write_char('(')?;
                if let Some(parameter) = parameter {
                    write!(f, "{parameter}, ")?;
                }
                write!(f, "{of})")
            }
            Self::LabelReplace {
                of,
                target,
                replacement,
                source,
                regex,
            } => write!(
                f,
                "label_replace({of}, {}, {}, {}, {})",
                quoted(target),
                quoted(replacement),
                quoted(source),
                quoted(regex)
            ),
            Self::Binary {
                op,
                left,
                right,
                bool_modifier,
                matching,
            } => {
                let side = |f: &mut Formatter<'_>, side: &Self| match side {
                    Self::Binary { .. } => write!(f, "({side})"),
                    side => side.fmt(f),
                };
                side(f, left)?;
                write!(f, " {}", op.as_str())?;
                if *bool_modifier {
                    f.write_str(" bool")?;
                }
                matching.fmt(f)?;
                f.write_char(' ')?;
                side(f, right)
            }
        }
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.on {
            write!(f, " on ({})", self.labels.join(", "))?;
        } else if !self.labels.is_empty() || self.many.is_some() {
            write!(f, " ignoring ({})", self.labels.join(", "))?;
        }
        if let Some(many) = &self.many {
            let word = if many.left {
                "group_left"
            } else {
                "group_right"
            };
            write!(f, " {word} ({})", many.include.join(", "))?;
        }
        Ok(())
    }
}
