//! From the text of a script to its commands.

use model::Labels;

use crate::sequence::{self, Line};

/// A command.
#[derive(Debug)]
pub(crate) enum Command {
    /// Forgets all series.
    Clear,
    /// Adds series with a sample every `gap_ms`, from time 0.
    Load {
        gap_ms: i64,
        lines: Vec<Line>,
        /// Also makes native histograms out of the classic ones.
        with_histograms: bool,
        /// Which series say since when they count (`@st`).
        starts: Starts,
    },
    /// Evaluates an expression.
    Eval(Box<Eval>),
}

/// Series that say since when they count.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// All that are loaded do.
    pub(crate) all: bool,
    /// These do.
    pub(crate) series: Vec<Labels>,
}

/// A case.
#[derive(Debug)]
pub(crate) struct Eval {
    /// Line of the script, from 1.
    pub(crate) line: usize,
    pub(crate) expr: String,
    pub(crate) when: When,
    pub(crate) expected: Vec<Line>,
    /// The number that a scalar expression must give.
    pub(crate) number: Option<f64>,
    pub(crate) text: Option<String>,
    /// The result is a range vector with these times.
    pub(crate) range_vector: Option<When>,
    pub(crate) ordered: bool,
    pub(crate) fails: Option<Pattern>,
    /// What the warnings must be: each of these among them, and no other.
    pub(crate) warns: Vec<Pattern>,
    pub(crate) informs: Vec<Pattern>,
    pub(crate) no_warning: bool,
    pub(crate) no_info: bool,
}

/// Times of a case, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    At(i64),
    Range {
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    },
}

/// What a message must be like.
#[derive(Debug)]
pub(crate) enum Pattern {
    Anything,
    Text(String),
    Regex(regex::Regex),
}

impl Pattern {
    /// Whether an error is as expected: ours may say more than is asked for.
    pub(crate) fn matches_error(&self, message: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(part) => message.contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }

    /// Whether a note is as expected, to the letter; its place at the end may be left out.
    pub(crate) fn matches_note(&self, message: &str) -> bool {
        let is_place = |end: &str| {
            let places = end.strip_suffix(')').and_then(|end| end.split_once(':'));
            places.is_some_and(|(line, column)| {
                line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok()
            })
        };
        let bare = match message.rsplit_once(" (") {
            Some((bare, end)) if is_place(end) => bare,
            _ => message,
        };
        match self {
            Self::Anything => true,
            Self::Text(text) => bare == text || message == text,
            Self::Regex(regex) => regex.is_match(bare) || regex.is_match(message),
        }
    }
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        i += 1;
        if line.is_empty() {
            continue;
        }
        let number = i;
        let mut block = Vec::new();
        while i < lines.len() && !lines[i].is_empty() && line != "clear" {
            block.push(lines[i]);
            i += 1;
        }
        let command =
            command(line, &block, number).map_err(|error| format!("line {number}: {error}"))?;
        commands.push(command);
    }
    Ok(commands)
}

fn command(line: &str, block: &[&str], number: usize) -> Result<Command, String> {
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match word {
        "clear" => Ok(Command::Clear),
        "load" | "load_with_nhcb" => load(time(rest.trim())?, block, word != "load"),
        _ if word.starts_with("eval") => eval(word, rest.trim(), block, number),
        _ => Err(format!("unknown command {word:?}")),
    }
}

fn load(gap_ms: i64, block: &[&str], with_histograms: bool) -> Result<Command, String> {
    let mut starts = Starts::default();
    let mut lines = Vec::new();
    for line in block {
        let first = line.split([' ', '\t']).next().unwrap_or_default();
        match first.strip_suffix("@st") {
            Some("") => starts.all = true,
            Some(series) => starts.series.push(sequence::parse(series)?.labels),
            None => lines.push(sequence::parse(line)?),
        }
    }
    Ok(Command::Load {
        gap_ms,
        lines,
        with_histograms,
        starts,
    })
}

fn eval(word: &str, rest: &str, block: &[&str], line: usize) -> Result<Command, String> {
    let (when, expr) = if let Some(rest) = rest.strip_prefix("instant") {
        let rest = rest.trim();
        let (at, expr) = match rest.strip_prefix("at ") {
            Some(rest) => split_word(rest)?,
            None => ("0", rest),
        };
        (When::At(time(at)?), expr)
    } else if let Some(rest) = rest.strip_prefix("range ") {
        range(rest)?
    } else {
        return Err(format!("eval of what? {rest:?}"));
    };
    let mut eval = Eval {
        line,
        expr: expr.trim().to_owned(),
        when,
        expected: Vec::new(),
        number: None,
        text: None,
        range_vector: None,
        ordered: word.ends_with("_ordered"),
        fails: word.ends_with("_fail").then_some(Pattern::Anything),
        warns: Vec::from_iter(word.ends_with("_warn").then_some(Pattern::Anything)),
        informs: Vec::from_iter(word.ends_with("_info").then_some(Pattern::Anything)),
        no_warning: false,
        no_info: false,
    };
    for line in block {
        if let Some(expectation) = line.strip_prefix("expect ") {
            expect(&mut eval, expectation.trim())?;
        } else if let Some(message) = line.strip_prefix("expected_fail_message ") {
            eval.fails = Some(Pattern::Text(message.trim().to_owned()));
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
            eval.fails = Some(self::pattern(&format!("regex:{pattern}"))?);
        } else if let Ok(number) = sequence::number(line) {
            eval.number = Some(number);
        } else {
            eval.expected.push(sequence::parse(line)?);
        }
    }
    Ok(Command::Eval(Box::new(eval)))
}

fn expect(eval: &mut Eval, text: &str) -> Result<(), String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "fail" => eval.fails = Some(pattern(rest)?),
        "warn" => eval.warns.push(pattern(rest)?),
        "info" => eval.informs.push(pattern(rest)?),
        "no_warn" => eval.no_warning = true,
        "no_info" => eval.no_info = true,
        "ordered" => eval.ordered = true,
        "string" => eval.text = Some(sequence::quoted(rest.trim())?.0),
        "range" => {
            let times = rest.trim().strip_prefix("vector ").unwrap_or(rest);
            eval.range_vector = Some(range(&format!("{times} "))?.0);
        }
        _ => return Err(format!("unknown expectation {text:?}")),
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let text = text.trim();
    if let Some(part) = text.strip_prefix("msg:") {
        return Ok(Pattern::Text(part.trim().to_owned()));
    }
    match text.strip_prefix("regex:") {
        Some(regex) => regex::Regex::new(regex.trim())
            .map(Pattern::Regex)
            .map_err(|error| error.to_string()),
        None => Ok(Pattern::Anything),
    }
}

/// Reads `from A to B step C`, followed by the rest.
fn range(text: &str) -> Result<(When, &str), String> {
    let rest = text.strip_prefix("from ").ok_or("no from")?;
    let (start, rest) = split_word(rest)?;
    let rest = rest.trim().strip_prefix("to ").ok_or("no to")?;
    let (end, rest) = split_word(rest)?;
    let rest = rest.trim().strip_prefix("step ").ok_or("no step")?;
    let (step, rest) = split_word(rest)?;
    let when = When::Range {
        start_ms: time(start)?,
        end_ms: time(end)?,
        step_ms: time(step)?,
    };
    Ok((when, rest))
}

fn split_word(text: &str) -> Result<(&str, &str), String> {
    text.trim()
        .split_once([' ', '\t'])
        .or(Some((text.trim(), "")))
        .ok_or_else(|| format!("a word is missing in {text:?}"))
}

/// Reads a duration or a number of seconds as milliseconds.
fn time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    model::duration::parse(text)
        .map(|duration| duration.as_millis() as i64)
        .map_err(|error| error.to_string())
}
