//! Reads the pipes that make rows: `stats`, `top`, `rate`, `patterns`.

use crate::parse::Parser;
use crate::pipes::leading_word;
use crate::pipes::scope::Scope;
use crate::pipes::words::{self, FUNCTIONS, nearest, our_function};
use crate::plan::percent_name;
use crate::plan::{Function, Key, Patterns, Pipe, Stats, StatsColumn, TIME, TOP_DEFAULT, Which};
use crate::query::QueryError;

/// Columns that one `stats` computes: each costs memory in every group.
pub const STATS_COLUMNS_MAX: usize = 32;

/// A step of time is at least so wide: as fine as counts are kept, and as people read.
const STEP_NS_MIN: i64 = 1_000_000;

impl Parser<'_> {
    /// `stats count() as n, p99(took) by (namespace, time 5m)`, behind its name or, where it is
    /// left out, at the first function.
    pub(super) fn stats(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        self.skip_space();
        let mut by = Vec::new();
        // LogsQL has the groups first.
        if leading_word(self.rest()).eq_ignore_ascii_case("by") {
            by = self.by(scope)?;
            self.skip_space();
        }
        let mut columns: Vec<StatsColumn> = Vec::new();
        loop {
            let at = self.at;
            if self.at_end_of_pipe() {
                let name = self.text.get(start..at).unwrap_or_default().trim_end();
                return Err(self.error(
                    at.min(start + name.len()),
                    "what is to be computed is missing, such as count() or avg(took)",
                    self.replaced(start + name.len()..at, " count() "),
                ));
            }
            let function = self.function(scope)?;
            self.skip_space();
            let name = if self.eat_word("as") {
                self.skip_space();
                let (name, _) = self.new_name("the name of the column")?;
                self.made.push(name.clone());
                name
            } else {
                function.column()
            };
            let key = by.iter().any(|key: &Key| key.column() == name);
            if key || columns.iter().any(|column| column.name == name) {
                let suggestion = self.replaced(self.at..self.at, &format!(" as {name}2"));
                return Err(self.error(
                    at,
                    format!("two columns are called {name}: name one of them with as"),
                    suggestion,
                ));
            }
            columns.push(StatsColumn { name, function });
            if columns.len() > STATS_COLUMNS_MAX {
                return Err(self.error(
                    at,
                    format!("more than {STATS_COLUMNS_MAX} columns in one stats"),
                    None,
                ));
            }
            self.skip_space();
            if !self.eat(',') {
                break;
            }
            self.skip_space();
        }
        if by.is_empty() {
            self.refuse_missing_by()?;
            if leading_word(self.rest()).eq_ignore_ascii_case("by") {
                let at = self.at;
                by = self.by(scope)?;
                for key in &by {
                    if columns.iter().any(|column| column.name == key.column()) {
                        return Err(self.error(
                            at,
                            format!(
                                "two columns are called {}: name the computed one with as",
                                key.column()
                            ),
                            None,
                        ));
                    }
                }
            }
        }
        if scope.is_table()
            && let Some(Key::Time(_)) = by.iter().find(|key| matches!(key, Key::Time(_)))
        {
            return Err(self.error(
                start,
                "rows have no time any more: group by time in the first stats",
                None,
            ));
        }
        Ok(Pipe::Stats(Stats { columns, by }))
    }

    /// `count() (status)`, `count() group by status`, `count() status`.
    fn refuse_missing_by(&self) -> Result<(), QueryError> {
        let at = self.at;
        let word = leading_word(self.rest());
        let message = "by is missing before the fields to group by";
        if word.eq_ignore_ascii_case("group") {
            let rest = self.rest().get(word.len()..).unwrap_or_default();
            let gap = rest.len() - rest.trim_start().len();
            let suggestion = leading_word(rest.trim_start())
                .eq_ignore_ascii_case("by")
                .then(|| self.replaced(at..at + word.len() + gap, ""))
                .flatten();
            return Err(self.error(at, "write by instead of group by", suggestion));
        }
        let is_name = !word.is_empty() && !words::is_pipe(word) && !word.eq_ignore_ascii_case("by");
        if self.peek() == Some('(') || is_name {
            return Err(self.error(at, message, self.replaced(at..at, "by ")));
        }
        Ok(())
    }

    /// `count()`, `count(f)`, `quantile(0.9, f)`; the brackets of `count()` can be left out.
    fn function(&mut self, scope: &Scope) -> Result<Function, QueryError> {
        let at = self.at;
        let typed = function_name(self.rest()).to_owned();
        let lower = typed.to_ascii_lowercase();
        let name = words::resolve_function(&lower);
        let place = at..at + typed.len();
        if !words::is_function(name) {
            let meant = our_function(&lower).or_else(|| nearest(&lower, FUNCTIONS.iter().copied()));
            return Err(self.error(
                at,
                format!(
                    "{} is no function: there are {}",
                    if typed.is_empty() { "this" } else { &typed },
                    FUNCTIONS.join(", ")
                ),
                meant.and_then(|meant| self.replaced(place, meant)),
            ));
        }
        self.at += typed.len();
        if let Some(percent) = words::percent(name)
            && !(0.0..=100.0).contains(&percent)
        {
            // `p999` is how many write p99.9.
            let digits = name.get(1..).unwrap_or_default();
            let (two, rest) = digits.split_at_checked(2).unwrap_or((digits, ""));
            return Err(self.error(
                at,
                format!("{name} is more than 100 %"),
                self.replaced(place, &format!("p{two}.{rest}")),
            ));
        }
        let space = self.at;
        self.skip_space();
        if !self.eat('(') {
            self.at = space;
            if name == "count" {
                return Ok(Function::Count(None));
            }
            return Err(self.no_brackets(name, place));
        }
        let function = self.arguments(name, at, scope)?;
        self.skip_space();
        if !self.eat(')') {
            let suggestion = self
                .at_end_of_pipe()
                .then(|| self.replaced(self.at..self.at, ")"));
            return Err(self.error(
                self.at,
                format!("the bracket of {name}( is not closed, or it has too many fields"),
                suggestion.flatten(),
            ));
        }
        Ok(function)
    }

    /// `sum took`.
    fn no_brackets(&self, name: &str, place: std::ops::Range<usize>) -> QueryError {
        let rest = self.rest().trim_start();
        let gap = self.rest().len() - rest.len();
        let field = leading_word(rest);
        let suggestion = (!field.is_empty() && !field.eq_ignore_ascii_case("by"))
            .then(|| {
                self.replaced(
                    place.start..self.at + gap + field.len(),
                    &format!("{name}({field})"),
                )
            })
            .flatten();
        self.error(
            place.start,
            format!("{name} needs a field in brackets, such as {name}(took)"),
            suggestion,
        )
    }

    fn arguments(&mut self, name: &str, at: usize, scope: &Scope) -> Result<Function, QueryError> {
        self.skip_space();
        if name == "count" {
            if self.eat('*') || self.peek() == Some(')') {
                return Ok(Function::Count(None));
            }
            // `count(distinct user)` is SQL.
            if leading_word(self.rest()).eq_ignore_ascii_case("distinct") {
                let open = self.at;
                let rest = self.rest().get("distinct".len()..).unwrap_or_default();
                let gap = rest.len() - rest.trim_start().len();
                if gap > 0 && !rest.trim_start().starts_with(')') {
                    return Err(self.error(
                        open,
                        "different values are counted by count_distinct(field)",
                        self.replaced(at..open + "distinct".len() + gap, "count_distinct("),
                    ));
                }
            }
            return Ok(Function::Count(Some(self.field(scope)?)));
        }
        if name == "count_distinct" {
            let mut fields = vec![self.field(scope)?];
            loop {
                self.skip_space();
                if !self.eat(',') {
                    return Ok(Function::CountDistinct(fields));
                }
                self.skip_space();
                fields.push(self.field(scope)?);
            }
        }
        if name == "quantile" {
            let q = self.quantile()?;
            return Ok(Function::Quantile(q, self.field(scope)?));
        }
        if self.peek() == Some(')') {
            return Err(self.error(
                self.at,
                format!("{name} needs a field, such as {name}(took)"),
                None,
            ));
        }
        let field = self.field(scope)?;
        Ok(match name {
            "sum" => Function::Sum(field),
            "avg" => Function::Avg(field),
            "min" => Function::Min(field),
            "max" => Function::Max(field),
            "first" => Function::First(field),
            "last" => Function::Last(field),
            "median" => Function::Quantile(0.5, field),
            // The rest is `p` and a number from 0 to 100.
            name => Function::Quantile(words::percent(name).unwrap_or(50.0) / 100.0, field),
        })
    }

    /// The number of `quantile(0.99, f)` and the comma behind it.
    fn quantile(&mut self) -> Result<f64, QueryError> {
        let start = self.at;
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let typed = rest.get(..end).unwrap_or_default();
        let q: Option<f64> = typed.parse().ok();
        let place = start..start + end;
        match q {
            Some(q) if (0.0..=1.0).contains(&q) => {
                self.at += end;
                self.skip_space();
                if self.eat(',') {
                    self.skip_space();
                    return Ok(q);
                }
                Err(self.error(self.at, "a comma and a field must follow", None))
            }
            Some(q) => Err(self.error(
                start,
                "a quantile lies between 0 and 1, such as 0.99",
                (q <= 100.0)
                    .then(|| self.replaced(place, &format!("{}", q / 100.0)))
                    .flatten(),
            )),
            None => {
                // `quantile(took, 0.99)` has them the other way round.
                let inside = rest.split(')').next().unwrap_or_default();
                let turned = inside.split_once(',').and_then(|(field, q)| {
                    q.trim().parse::<f64>().ok()?;
                    let with = format!("{}, {}", q.trim(), field.trim());
                    self.replaced(start..start + inside.len(), &with)
                });
                Err(self.error(
                    start,
                    "the quantile comes first: quantile(0.99, field)",
                    turned,
                ))
            }
        }
    }

    /// `by (a, b)`, `by a, b`, at `by`.
    fn by(&mut self, scope: &Scope) -> Result<Vec<Key>, QueryError> {
        let start = self.at;
        self.eat_word("by");
        self.skip_space();
        let open = self.at;
        let brackets = self.eat('(');
        let mut keys: Vec<Key> = Vec::new();
        loop {
            self.skip_space();
            if self.at_end_of_pipe() || self.peek() == Some(')') {
                if brackets && self.peek() == Some(')') && keys.is_empty() {
                    // `by ()` is everything in one group, as in PromQL.
                    self.at += 1;
                    return Ok(keys);
                }
                return Err(self.error(start, "fields must follow by, such as by (status)", None));
            }
            let at = self.at;
            let key = self.key(scope)?;
            if keys.iter().any(|known| known.column() == key.column()) {
                return Err(self.error(at, format!("{} stands twice in by", key.column()), None));
            }
            keys.push(key);
            self.skip_space();
            if !self.eat(',') {
                break;
            }
        }
        if brackets && !self.eat(')') {
            return Err(self.not_closed(open));
        }
        Ok(keys)
    }

    fn key(&mut self, scope: &Scope) -> Result<Key, QueryError> {
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Ok(Key::Time(Some(self.step()?)));
        }
        let start = self.at;
        let (name, range) = self.name("a field")?;
        if name != TIME && name != "_time" {
            self.check_name(&name, range, scope)?;
            return Ok(Key::Field(name));
        }
        if scope.is_table() && name == TIME && self.check_name(TIME, range, scope).is_ok() {
            return Ok(Key::Field(name));
        }
        let after = self.at;
        let bracket = self.eat('(');
        if !bracket && !self.eat(':') {
            self.skip_space();
        }
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            let step = self.step()?;
            if bracket && !self.eat(')') {
                return Err(self.not_closed(start + TIME.len()));
            }
            return Ok(Key::Time(Some(step)));
        }
        if self.at > after && bracket {
            return Err(self.error(self.at, "a step must follow, such as 5m", None));
        }
        self.at = after;
        Ok(Key::Time(None))
    }

    /// A duration, nanoseconds.
    fn step(&mut self) -> Result<i64, QueryError> {
        let start = self.at;
        let word = leading_word(self.rest());
        let step = model::duration::parse(word)
            .ok()
            .and_then(|step| i64::try_from(step.as_nanos()).ok())
            .filter(|step| *step >= STEP_NS_MIN);
        let Some(step) = step else {
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            let unit = word.get(digits.len()..).unwrap_or_default();
            let meant = match unit.to_ascii_lowercase().as_str() {
                "min" | "mins" | "minute" | "minutes" | "" => Some("m"),
                "sec" | "secs" | "second" | "seconds" => Some("s"),
                "hr" | "hour" | "hours" => Some("h"),
                "day" | "days" => Some("d"),
                _ => None,
            };
            let suggestion = meant.filter(|_| !digits.is_empty()).and_then(|unit| {
                self.replaced(start..start + word.len(), &format!("{digits}{unit}"))
            });
            return Err(self.error(
                start,
                "not a duration: write a number and a unit, such as 30s, 5m or 1h",
                suggestion,
            ));
        };
        self.at += word.len();
        Ok(step)
    }

    /// `top 10 path`, `top 10 by (path, method)`.
    pub(super) fn top(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        self.skip_space();
        let n = self.optional_count()?;
        self.skip_space();
        let before = self.at;
        let fields = self.names_of("top", start, scope)?;
        self.skip_space();
        if n.is_none() && self.peek().is_some_and(|c| c.is_ascii_digit()) {
            let number = leading_word(self.rest());
            let names = self
                .text
                .get(before..self.at)
                .unwrap_or_default()
                .trim_end();
            let turned =
                self.replaced(before..self.at + number.len(), &format!("{number} {names}"));
            return Err(self.error(self.at, "the number comes first: top 10 field", turned));
        }
        Ok(Pipe::Top {
            n: n.unwrap_or(TOP_DEFAULT),
            fields,
        })
    }

    /// `rate`, `rate 1m`, `rate 1m by (a)`.
    pub(super) fn rate(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        if scope.is_table() {
            return Err(self.only_of_lines("rate", start));
        }
        self.skip_space();
        // `rate()` and `rate(1m)` look like a function, as it is one elsewhere.
        let bracket = self.eat('(');
        let mut step_ns = None;
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            step_ns = Some(self.step()?);
        }
        if bracket && !self.eat(')') {
            return Err(self.error(
                self.at,
                "rate counts lines: write rate 1m, or rate 1m by (field)",
                None,
            ));
        }
        self.skip_space();
        self.refuse_missing_by()?;
        let mut by = Vec::new();
        if leading_word(self.rest()).eq_ignore_ascii_case("by") {
            let at = self.at;
            for key in self.by(scope)? {
                match key {
                    Key::Field(name) => by.push(name),
                    Key::Time(_) => {
                        return Err(self.error(
                            at,
                            "rate is over time already: write the step right behind it, as in \
                             rate 5m",
                            None,
                        ));
                    }
                }
            }
        }
        Ok(Pipe::Rate { step_ns, by })
    }

    /// `patterns`, `patterns 20`, `patterns new`, `patterns new 30m`, `patterns rare 10`.
    pub(super) fn patterns(&mut self, start: usize, scope: &Scope) -> Result<Pipe, QueryError> {
        if scope.is_table() {
            return Err(self.only_of_lines("patterns", start));
        }
        let mut n = None;
        let mut which = Which::Frequent;
        loop {
            self.skip_space();
            let at = self.at;
            let word = leading_word(self.rest()).to_owned();
            let is_count = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
            match (which, word.to_ascii_lowercase().as_str()) {
                (Which::Frequent, "new") => {
                    self.at += word.len();
                    which = Which::New(None);
                }
                (Which::Frequent, "rare") => {
                    self.at += word.len();
                    which = Which::Rare;
                }
                (_, _) if is_count && n.is_none() => n = self.optional_count()?,
                (Which::New(None), w) if w.starts_with(|c: char| c.is_ascii_digit()) => {
                    which = Which::New(Some(self.step()?));
                }
                (_, "") => break,
                (_, lower) => {
                    if words::is_pipe(lower) {
                        break;
                    }
                    let meant = nearest(lower, ["new", "rare"].into_iter());
                    return Err(self.error(
                        at,
                        "behind patterns can stand a number, rare, or new with a duration, as in \
                         patterns new 30m",
                        meant.and_then(|meant| self.replaced(at..at + word.len(), meant)),
                    ));
                }
            }
        }
        Ok(Pipe::Patterns(Patterns {
            n: n.unwrap_or(TOP_DEFAULT),
            which,
        }))
    }

    fn only_of_lines(&self, pipe: &str, start: usize) -> QueryError {
        self.error(
            start,
            format!("{pipe} counts lines, and here are rows already: write it before them"),
            None,
        )
    }
}

/// Letters, digits, underscores, and the point in `p99.9`.
fn function_name(text: &str) -> &str {
    let word = leading_word(text);
    if words::percent(word).is_some()
        && let Some(rest) = text
            .get(word.len()..)
            .and_then(|rest| rest.strip_prefix('.'))
    {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        return text.get(..word.len() + 1 + digits).unwrap_or(word);
    }
    word
}

/// How `quantile(q, …)` is written shortest, such that it is read as the same number.
pub(super) fn quantile_call(q: f64, field: &str) -> String {
    let short = percent_name(q);
    match words::percent(&short) {
        Some(percent) if percent / 100.0 == q => format!("{short}({field})"),
        _ => format!("quantile({q}, {field})"),
    }
}
