//! Reads range aggregations: `rate({…} | … [5m] offset 1h)`, in any of the orders that Loki knows.

use super::ast::{Conversion, Grouping, LogExpr, LogRange, MetricExpr, RangeOp, Stage, Unwrap};
use super::error::ParseError;
use super::lex::Token;
use super::parse::{Parser, Result};

/// A range of which the duration may still follow: `(range, offset)` in nanoseconds.
type OpenRange = (LogRange, Option<(i64, i64)>);

impl Parser<'_> {
    pub(super) fn range_aggregation(&mut self, op: RangeOp) -> Result<MetricExpr> {
        let start = self.place().start;
        self.at += 1;
        let mut grouping = self.grouping()?;
        if grouping.is_some() {
            // Loki has it behind only; the slip is common and its meaning plain.
            let message = format!("write by (…) behind the brackets of {}(…)", op.as_str());
            return Err(ParseError::at(self.text, start, message));
        }
        self.need_sign("(")?;
        let wants_number = op == RangeOp::QuantileOverTime;
        let parameter = match self.peek() {
            Token::Number(_) | Token::Sign("-" | "+") => {
                let place = self.place().start;
                let number = self.signed_number()?;
                self.need_sign(",")?;
                if !wants_number {
                    let message = format!(
                        "parameter {number} not supported for operation {}",
                        op.as_str()
                    );
                    return Err(ParseError::at(self.text, place, message));
                }
                Some(number)
            }
            _ if wants_number => {
                return Err(self.unexpected("the quantile, as in quantile_over_time(0.99, …)"));
            }
            _ => None,
        };
        let range = self.log_range()?;
        self.need_sign(")")?;
        let behind = self.place().start;
        grouping = self.grouping()?;
        self.check_range(op, &range, grouping.as_ref(), start, behind)?;
        Ok(MetricExpr::Range {
            op,
            parameter,
            range,
            grouping,
        })
    }

    /// What Loki refuses: `unwrap` where it means nothing or lacks, groupings of sums.
    fn check_range(
        &self,
        op: RangeOp,
        range: &LogRange,
        grouping: Option<&Grouping>,
        start: usize,
        behind: usize,
    ) -> Result<()> {
        use RangeOp as R;
        let name = op.as_str();
        if let Some(grouping) = grouping
            && !matches!(
                op,
                R::AvgOverTime
                    | R::MinOverTime
                    | R::MaxOverTime
                    | R::StddevOverTime
                    | R::StdvarOverTime
                    | R::QuantileOverTime
                    | R::FirstOverTime
                    | R::LastOverTime
            )
        {
            let text = self.text.get(start..behind).unwrap_or_default().trim_end();
            let end = self.place().start;
            let message = format!("grouping not allowed for {name} aggregation: sum what it gives");
            let part = start..end;
            return Err(ParseError::at(self.text, behind, message).instead(
                self.text,
                part,
                format!("sum {grouping} ({text}) {}", "").trim_end(),
            ));
        }
        match (op, &range.unwrap) {
            (R::CountOverTime | R::BytesOverTime | R::BytesRate, Some(_)) => {
                let message = format!("invalid aggregation {name} with unwrap");
                Err(ParseError::at(self.text, start, message))
            }
            (
                R::CountOverTime | R::BytesOverTime | R::BytesRate | R::Rate | R::AbsentOverTime,
                _,
            )
            | (_, Some(_)) => Ok(()),
            (_, None) => Err(ParseError::at(
                self.text,
                start,
                format!(
                    "invalid aggregation {name} without unwrap: say which label holds the number, \
                     as in {name}({{…}} | logfmt | unwrap took [5m])"
                ),
            )),
        }
    }

    /// `{…} | … [5m] offset 1h`, in any of the orders that Loki knows.
    fn log_range(&mut self) -> Result<LogRange> {
        self.descend()?;
        if self.is_sign("(") {
            self.at += 1;
            let mut range = self.log_range_open()?;
            self.need_sign(")")?;
            // The range may stand inside or outside of the brackets.
            if range.1.is_none() {
                range.1 = self.range_and_offset()?;
            }
            self.ascend();
            return self.whole_range(range);
        }
        let range = self.log_range_open()?;
        self.ascend();
        self.whole_range(range)
    }

    fn whole_range(&self, (mut parts, range): OpenRange) -> Result<LogRange> {
        let Some((range_ns, offset_ns)) = range else {
            return Err(self.unexpected("a range such as [5m]"));
        };
        parts.range_ns = range_ns;
        parts.offset_ns = offset_ns;
        Ok(parts)
    }

    fn log_range_open(&mut self) -> Result<OpenRange> {
        if self.is_sign("(") {
            self.descend()?;
            self.at += 1;
            let mut inner = self.log_range_open()?;
            self.need_sign(")")?;
            self.ascend();
            if inner.1.is_none() {
                inner.1 = self.range_and_offset()?;
            }
            return Ok(inner);
        }
        if !self.is_sign("{") {
            return Err(self.unexpected("a selector such as {app=\"x\"}"));
        }
        let selector = self.selector()?;
        let mut range = self.range_and_offset()?;
        let mut stages = Vec::new();
        let mut unwrap: Option<Unwrap> = None;
        loop {
            if self.is_sign("|") && matches!(self.peek_at(1), Token::Name(n) if n == "unwrap") {
                if unwrap.is_some() {
                    return Err(self.error_here("a range has one unwrap only"));
                }
                self.at += 2;
                unwrap = Some(self.unwrap()?);
                continue;
            }
            let place = self.place().start;
            let Some(stage) = self.stage()? else { break };
            match (&mut unwrap, stage) {
                (None, stage) => stages.push(stage),
                (Some(unwrap), Stage::LabelFilter(filter)) => unwrap.filters.push(filter),
                (Some(_), _) => {
                    return Err(ParseError::at(
                        self.text,
                        place,
                        "behind unwrap only label filters can stand: put this before it",
                    ));
                }
            }
        }
        if range.is_none() {
            range = self.range_and_offset()?;
        }
        let parts = LogRange {
            log: LogExpr { selector, stages },
            unwrap,
            range_ns: 0,
            offset_ns: 0,
        };
        Ok((parts, range))
    }

    /// What is unwrapped, behind the word.
    fn unwrap(&mut self) -> Result<Unwrap> {
        let name = self.need_name("a label")?;
        let conversion = match name.as_str() {
            _ if !self.is_sign("(") => None,
            "duration" | "duration_seconds" => Some(Conversion::Seconds),
            "bytes" => Some(Conversion::Bytes),
            _ => {
                self.at -= 1;
                return Err(self.unexpected("duration(…), duration_seconds(…) or bytes(…)"));
            }
        };
        let (label, conversion) = match conversion {
            None => (name, Conversion::Number),
            Some(conversion) => {
                self.need_sign("(")?;
                let label = self.need_name("a label")?;
                self.need_sign(")")?;
                (label, conversion)
            }
        };
        Ok(Unwrap {
            label,
            conversion,
            filters: Vec::new(),
        })
    }

    /// `[5m] offset 1h`, in nanoseconds, where it stands here.
    fn range_and_offset(&mut self) -> Result<Option<(i64, i64)>> {
        if !self.take_sign("[") {
            return Ok(None);
        }
        let range_ns = match *self.peek() {
            Token::Duration(ns) if ns > 0 => ns,
            Token::Number(number) => {
                let with = format!("{number}s");
                let error = self.unexpected("a duration with its unit");
                return Err(error.instead(self.text, self.place(), &with));
            }
            _ => return Err(self.unexpected("a duration such as 5m")),
        };
        self.at += 1;
        if self.is_sign(":") || matches!(self.peek(), Token::Name(n) if n.starts_with(':')) {
            return Err(self.error_here("LogQL has no subqueries"));
        }
        self.need_sign("]")?;
        let mut offset_ns = 0;
        if self.take_word("offset") {
            let negative = self.take_sign("-");
            let Token::Duration(ns) = *self.peek() else {
                return Err(self.unexpected("a duration such as 1h"));
            };
            self.at += 1;
            offset_ns = if negative { -ns } else { ns };
        }
        Ok(Some((range_ns, offset_ns)))
    }
}
