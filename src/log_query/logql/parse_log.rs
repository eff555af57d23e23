//! Reads selectors, stages and label filters.

use model::{MatchOp, Matcher};

use super::ast::{
    Comparison, Extraction, LabelChoice, LabelFilter, LabelFormat, LabelValue, LineFilter,
    LineNeedle, LineOp, LogExpr, Quantity, Stage,
};
use super::error::ParseError;
use super::lex::Token;
use super::parse::{Parser, Result};
use super::pipeline;
use super::re2;

/// The stages that begin with a word.
const STAGE_WORDS: &[&str] = &[
    "json",
    "logfmt",
    "pattern",
    "regexp",
    "unpack",
    "decolorize",
    "line_format",
    "label_format",
    "drop",
    "keep",
    "unwrap",
];

impl Parser<'_> {
    /// `{…}` and all its stages.
    pub(super) fn log(&mut self) -> Result<LogExpr> {
        let selector = self.selector()?;
        let mut stages = Vec::new();
        while let Some(stage) = self.stage()? {
            stages.push(stage);
        }
        Ok(LogExpr { selector, stages })
    }

    /// `{app="x", pod=~"y.*"}`
    pub(super) fn selector(&mut self) -> Result<Vec<Matcher>> {
        self.need_sign("{")?;
        let mut matchers = Vec::new();
        while !self.take_sign("}") {
            let name = self.need_name("a label or }")?;
            let Some(op) = self.match_op() else {
                return Err(self.unexpected("=, !=, =~ or !~"));
            };
            matchers.push(self.matcher(&name, op)?);
            if !self.take_sign(",") && !self.is_sign("}") {
                return Err(self.unexpected(", or }"));
            }
        }
        Ok(matchers)
    }

    /// The operator of a matcher, passed over.
    fn match_op(&mut self) -> Option<MatchOp> {
        let op = match self.peek() {
            Token::Sign("=") => MatchOp::Equal,
            Token::Sign("!=") => MatchOp::NotEqual,
            Token::Sign("=~") => MatchOp::Regex,
            Token::Sign("!~") => MatchOp::NotRegex,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    fn matcher(&mut self, name: &str, op: MatchOp) -> Result<Matcher> {
        let place = self.place().start;
        let value = self.need_text("a string")?;
        Matcher::new(name, op, value)
            .map_err(|error| ParseError::at(self.text, place, error.to_string()))
    }

    /// The next stage, where there is one.
    pub(super) fn stage(&mut self) -> Result<Option<Stage>> {
        let op = match self.peek() {
            Token::Sign("|=") => LineOp::Contains,
            Token::Sign("!=") => LineOp::NotContains,
            Token::Sign("|~") => LineOp::Matches,
            Token::Sign("!~") => LineOp::NotMatches,
            Token::Sign("|>") => LineOp::Pattern,
            Token::Sign("!>") => LineOp::NotPattern,
            Token::Sign("|") => {
                self.at += 1;
                return self.piped().map(Some);
            }
            _ => return Ok(None),
        };
        // `{…} != "x"` is a line filter; `rate(…) != 1` is none and never comes here.
        self.at += 1;
        self.line_filter(op).map(Stage::Line).map(Some)
    }

    fn line_filter(&mut self, op: LineOp) -> Result<LineFilter> {
        let mut any = vec![self.line_needle(op)?];
        while self.is_word("or") {
            self.at += 1;
            any.push(self.line_needle(op)?);
        }
        Ok(LineFilter { op, any })
    }

    fn line_needle(&mut self, op: LineOp) -> Result<LineNeedle> {
        let place = self.place().start;
        if self.is_word("ip") {
            self.at += 1;
            self.need_sign("(")?;
            let place = self.place().start;
            let range = self.need_text("an address or a range of addresses")?;
            self.need_sign(")")?;
            if !matches!(op, LineOp::Contains | LineOp::NotContains) {
                let message = "ip(…) stands behind |= and != only";
                return Err(ParseError::at(self.text, place, message));
            }
            pipeline::check_ip(&range)
                .map_err(|reason| ParseError::at(self.text, place, reason))?;
            return Ok(LineNeedle::Ip(range));
        }
        let text = self.need_text("a string")?;
        let checked = match op {
            LineOp::Matches | LineOp::NotMatches => re2::for_lines(&text).map(|_| ()),
            LineOp::Pattern | LineOp::NotPattern => pipeline::check_line_pattern(&text),
            LineOp::Contains | LineOp::NotContains => Ok(()),
        };
        checked.map_err(|reason| ParseError::at(self.text, place, reason))?;
        Ok(LineNeedle::Text(text))
    }

    /// A stage behind its `|`.
    fn piped(&mut self) -> Result<Stage> {
        let start = self.place();
        let word = match self.peek() {
            Token::Name(name) => name.clone(),
            Token::Sign("(") => return self.label_filter().map(Stage::LabelFilter),
            Token::Text(_) => {
                // `|"x"` and `| "x"`: the operator is missing.
                let error = self.unexpected("a stage or a label filter");
                let bar = self
                    .text
                    .get(..start.start)
                    .and_then(|t| t.rfind('|'))
                    .unwrap_or(start.start);
                return Err(error.instead(self.text, bar..start.start, "|= "));
            }
            _ => return Err(self.unexpected("a stage or a label filter")),
        };
        // A label of the same name as a stage: `| pattern="x"`, `| drop != 3`.
        let compares = matches!(
            self.peek_at(1),
            Token::Sign("=" | "!=" | "=~" | "!~" | "==" | ">" | ">=" | "<" | "<=")
        );
        let before_line_filter = matches!(self.peek_at(1), Token::Sign("!=" | "!~"))
            && matches!(word.as_str(), "json" | "logfmt" | "unpack" | "decolorize");
        if compares && !before_line_filter {
            return self.label_filter().map(Stage::LabelFilter);
        }
        self.at += 1;
        match word.as_str() {
            "json" => Ok(Stage::Json(self.extractions(pipeline::check_json_path)?)),
            "logfmt" => self.logfmt(),
            "pattern" => {
                let text = self.checked_text("a pattern", pipeline::check_pattern)?;
                Ok(Stage::Pattern(text))
            }
            "regexp" => {
                let text = self.checked_text("a regular expression", pipeline::check_regexp)?;
                Ok(Stage::Regexp(text))
            }
            "unpack" => Ok(Stage::Unpack),
            "decolorize" => Ok(Stage::Decolorize),
            "line_format" => {
                let text = self.checked_text("a template", pipeline::check_template)?;
                Ok(Stage::LineFormat(text))
            }
            "label_format" => self.label_format(),
            "drop" => self.label_choices().map(Stage::Drop),
            "keep" => self.label_choices().map(Stage::Keep),
            "unwrap" => Err(ParseError::at(
                self.text,
                start.start,
                "unwrap makes numbers of lines and stands in a function such as \
                 sum_over_time({…} | unwrap took [5m])",
            )),
            word => {
                let near = STAGE_WORDS
                    .iter()
                    .map(|known| (strsim::jaro_winkler(known, word), *known))
                    .filter(|(similar, _)| *similar > 0.85)
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                let message = format!(
                    "syntax error: unexpected {word}: neither a stage nor a label filter \
                     ({word} needs a comparison, such as {word}=\"…\")"
                );
                let error = ParseError::at(self.text, start.start, message);
                Err(match near {
                    Some((_, known)) => error.instead(self.text, start, known),
                    None => error,
                })
            }
        }
    }

    fn checked_text(
        &mut self,
        what: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String> {
        let place = self.place().start;
        let text = self.need_text(what)?;
        check(&text).map_err(|reason| ParseError::at(self.text, place, reason))?;
        Ok(text)
    }

    fn logfmt(&mut self) -> Result<Stage> {
        let (mut strict, mut keep_empty) = (false, false);
        while let Token::Flag(flag) = self.peek() {
            match flag.as_str() {
                "strict" => strict = true,
                "keep-empty" => keep_empty = true,
                _ => return Err(self.unexpected("--strict or --keep-empty")),
            }
            self.at += 1;
        }
        let extractions = self.extractions(|_| Ok(()))?;
        Ok(Stage::Logfmt {
            strict,
            keep_empty,
            extractions,
        })
    }

    /// `a, b="path"`, or nothing.
    fn extractions(
        &mut self,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Vec<Extraction>> {
        let mut out = Vec::new();
        while let Token::Name(name) = self.peek() {
            // Words that go on with the expression around: `[5m] or …`, `offset`.
            let name = name.clone();
            if out.is_empty() && matches!(name.as_str(), "or" | "and" | "unless" | "offset") {
                break;
            }
            let place = self.place().start;
            self.at += 1;
            let from = if self.take_sign("=") {
                self.checked_text("a string", &check)?
            } else {
                check(&name).map_err(|reason| ParseError::at(self.text, place, reason))?;
                name.clone()
            };
            out.push(Extraction { name, from });
            if !self.take_sign(",") {
                break;
            }
            if !matches!(self.peek(), Token::Name(_)) {
                return Err(self.unexpected("a label"));
            }
        }
        Ok(out)
    }

    fn label_format(&mut self) -> Result<Stage> {
        let mut out: Vec<LabelFormat> = Vec::new();
        loop {
            let place = self.place().start;
            let name = self.need_name("a label")?;
            if out.iter().any(|format| format.name == name) {
                let message = format!(
                    "multiple label name '{name}' not allowed in a single format operation: \
                     write a second label_format"
                );
                return Err(ParseError::at(self.text, place, message));
            }
            self.need_sign("=")?;
            let value = match self.peek() {
                Token::Name(from) => {
                    let from = from.clone();
                    self.at += 1;
                    LabelValue::Label(from)
                }
                _ => LabelValue::Template(
                    self.checked_text("a label or a template", pipeline::check_template)?,
                ),
            };
            out.push(LabelFormat { name, value });
            if !self.take_sign(",") {
                return Ok(Stage::LabelFormat(out));
            }
        }
    }

    fn label_choices(&mut self) -> Result<Vec<LabelChoice>> {
        let mut out = Vec::new();
        loop {
            let name = self.need_name("a label")?;
            out.push(match self.match_op() {
                Some(op) => LabelChoice::Matcher(self.matcher(&name, op)?),
                None => LabelChoice::Name(name),
            });
            if !self.take_sign(",") {
                return Ok(out);
            }
        }
    }

    /// `a="x" and (b > 5 or c >= 1s)`: `or` binds weaker than `and`, a comma, or nothing at all.
    pub(super) fn label_filter(&mut self) -> Result<LabelFilter> {
        self.descend()?;
        let mut left = self.label_filters_all()?;
        while self.take_word("or") {
            let right = self.label_filters_all()?;
            left = LabelFilter::Or(Box::new(left), Box::new(right));
        }
        self.ascend();
        Ok(left)
    }

    fn label_filters_all(&mut self) -> Result<LabelFilter> {
        let mut left = self.one_label_filter()?;
        loop {
            let goes_on = self.take_word("and") || self.take_sign(",");
            let compares = matches!(
                self.peek_at(1),
                Token::Sign("=" | "!=" | "=~" | "!~" | "==" | ">" | ">=" | "<" | "<=")
            );
            let next = matches!(self.peek(), Token::Name(name) if name != "or") && compares
                || self.is_sign("(");
            if !goes_on && !next {
                return Ok(left);
            }
            let right = self.one_label_filter()?;
            left = LabelFilter::And(Box::new(left), Box::new(right));
        }
    }

    fn one_label_filter(&mut self) -> Result<LabelFilter> {
        if self.take_sign("(") {
            let inner = self.label_filter()?;
            self.need_sign(")")?;
            return Ok(inner);
        }
        let name = self.need_name("a label")?;
        let op = match self.peek() {
            Token::Sign(sign @ ("=" | "!=" | "=~" | "!~" | "==" | ">" | ">=" | "<" | "<=")) => {
                *sign
            }
            _ => return Err(self.unexpected("=, !=, =~, !~, ==, >, >=, < or <=")),
        };
        let sign_place = self.place();
        self.at += 1;
        if matches!(op, "=" | "!=") && self.is_word("ip") && *self.peek_at(1) == Token::Sign("(") {
            self.at += 2;
            let range = self.checked_text("an address", pipeline::check_ip)?;
            self.need_sign(")")?;
            let negated = op == "!=";
            return Ok(LabelFilter::Ip {
                name,
                negated,
                range,
            });
        }
        let comparison = match op {
            "=" | "==" => Some(Comparison::Equal),
            "!=" => Some(Comparison::NotEqual),
            ">" => Some(Comparison::Greater),
            ">=" => Some(Comparison::GreaterOrEqual),
            "<" => Some(Comparison::Less),
            "<=" => Some(Comparison::LessOrEqual),
            _ => None,
        };
        let negative =
            self.is_sign("-") && matches!(self.peek_at(1), Token::Number(_) | Token::Duration(_));
        let quantity = match self.peek_at(usize::from(negative)) {
            Token::Number(number) => {
                Some(Quantity::Number(if negative { -number } else { *number }))
            }
            Token::Duration(ns) => Some(Quantity::Duration(if negative { -ns } else { *ns })),
            Token::Bytes(bytes) => Some(Quantity::Bytes(*bytes)),
            _ => None,
        };
        if let (Some(op), Some(value)) = (comparison, quantity) {
            self.at += 1 + usize::from(negative);
            return Ok(LabelFilter::Number { name, op, value });
        }
        let op = match op {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            "=~" => MatchOp::Regex,
            "!~" => MatchOp::NotRegex,
            "==" => {
                let error = ParseError::at(
                    self.text,
                    sign_place.start,
                    "== compares numbers: texts are compared with =",
                );
                return Err(error.instead(self.text, sign_place, "="));
            }
            _ => return Err(self.unexpected("a number, a duration or a size")),
        };
        self.matcher(&name, op).map(LabelFilter::Text)
    }
}
