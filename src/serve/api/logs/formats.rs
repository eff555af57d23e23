//! Answers as text: lines and tables as NDJSON, JSON, CSV, raw text or logfmt.
//!
//! | `format` | lines | a table |
//! |---|---|---|
//! | `ndjson` (lines when nothing is said) | an object each, see `record.rs` | `{"columns": [{"name": "status", "type": "text"}, …], "stepMs": …, "notes": […]}`, then an object for each row |
//! | `json` (tables when nothing is said) | `{"status": "success", "data": {"lines": […]}}` | `{"status": "success", "data": {"columns": ["status", …], "types": ["text", …], "rows": [["500", 12], …], "stepMs": …, "notes": […]}}` |
//! | `csv` | `time,level,labels,message`, or what `\| fields` names | a head and the rows |
//! | `raw` | the lines as they were written | cells between tabs |
//! | `logfmt` | `time=… level=… ` labels, fields, message | `column=value` |
//!
//! Types are `text`, `count` (an integer), `number`, `time` (RFC 3339) and `counts` (integers for
//! equal parts of the time range). `stepMs` is there where the column `time` has the starts of
//! steps. `notes` are sentences that a reader of the figures has to know.

use std::fmt::Write as _;

use log_query::{Cell, LEVEL, Line, LineFields, MESSAGE, Shown, TIME, Table};
use serde_json::{Value, json};

use super::record::LineJson;
use crate::api::error::ApiError;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ndjson,
    Json,
    Csv,
    Raw,
    Logfmt,
}

impl Format {
    /// The format of this name.
    pub(crate) fn parse(name: &str) -> Result<Self, ApiError> {
        Ok(match name {
            "ndjson" => Self::Ndjson,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "raw" | "text" => Self::Raw,
            "logfmt" => Self::Logfmt,
            other => {
                return Err(ApiError::bad_data(format!(
                    "cannot use format={other}: write ndjson, json, csv, raw or logfmt"
                )));
            }
        })
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Raw | Self::Logfmt => "text/plain; charset=utf-8",
        }
    }
}

/// Writes the lines of one answer, one after the other.
pub(crate) struct LineWriter {
    pub(crate) format: Format,
    /// Which fields the query shows.
    pub(crate) shown: Shown,
    /// Whether the line as it was written is wanted too.
    pub(crate) with_text: bool,
    /// Whether nothing was written yet.
    pub(crate) is_empty: bool,
}

/// Columns of CSV where the query names none.
const CSV_COLUMNS: [&str; 4] = [TIME, LEVEL, "labels", MESSAGE];

impl LineWriter {
    /// What stands before the first line.
    pub(crate) fn head(&self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.extend_from_slice(br#"{"status":"success","data":{"lines":["#),
            Format::Csv => {
                let names: Vec<String> = match &self.shown.only {
                    Some(only) => only.iter().map(|name| csv(name)).collect(),
                    None => CSV_COLUMNS.map(str::to_owned).to_vec(),
                };
                out.extend_from_slice(names.join(",").as_bytes());
                out.push(b'\n');
            }
            Format::Ndjson | Format::Raw | Format::Logfmt => {}
        }
    }

    /// One line.
    pub(crate) fn line(&mut self, line: &Line, out: &mut Vec<u8>) {
        let object = LineJson {
            line,
            shown: &self.shown,
            with_text: self.with_text,
        };
        match self.format {
            Format::Ndjson => object.write_line(out),
            Format::Json => {
                if !self.is_empty {
                    out.push(b',');
                }
                object.write_line(out);
            }
            Format::Raw => {
                out.extend_from_slice(&line.record.text);
                out.push(b'\n');
            }
            Format::Csv => {
                let cell = |name: &str| match name {
                    "labels" if self.shown.only.is_none() => csv(&line.record.labels.to_string()),
                    name => csv(&line.value(name).unwrap_or_default()),
                };
                let cells: Vec<String> = match &self.shown.only {
                    Some(only) => only.iter().map(|name| cell(name)).collect(),
                    None => CSV_COLUMNS.iter().map(|name| cell(name)).collect(),
                };
                out.extend_from_slice(cells.join(",").as_bytes());
                out.push(b'\n');
            }
            Format::Logfmt => {
                out.extend_from_slice(self.logfmt(line).as_bytes());
                out.push(b'\n');
            }
        }
        self.is_empty = false;
    }

    /// What stands behind the last line; with the reason where the answer ends early.
    pub(crate) fn tail(&self, error: Option<&str>, out: &mut Vec<u8>) {
        match (self.format, error) {
            (Format::Json, None) => out.extend_from_slice(b"]}}\n"),
            (Format::Json, Some(error)) => {
                let _ = std::io::Write::write_fmt(
                    out,
                    format_args!("]}},\"error\":{}}}\n", Value::from(error)),
                );
            }
            (Format::Ndjson, Some(error)) => {
                out.extend_from_slice(json!({"error": error}).to_string().as_bytes());
                out.push(b'\n');
            }
            (Format::Csv | Format::Raw | Format::Logfmt, Some(error)) => {
                let _ = std::io::Write::write_fmt(out, format_args!("# error: {error}\n"));
            }
            (_, None) => {}
        }
    }

    fn logfmt(&self, line: &Line) -> String {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if let Some(only) = &self.shown.only {
            for name in only {
                pairs.push((name.clone(), line.value(name).unwrap_or_default()));
            }
            return logfmt(&pairs);
        }
        let record = &line.record;
        pairs.push((TIME.to_owned(), model::time::rfc3339_ns(record.time_ns)));
        pairs.push((LEVEL.to_owned(), record.level.to_string()));
        for label in &record.labels {
            pairs.push((label.name.to_string(), label.value.to_string()));
        }
        pairs.push((MESSAGE.to_owned(), line.value(MESSAGE).unwrap_or_default()));
        let fields = LineFields::of(&record.text);
        let own = fields
            .without_message()
            .map(|(n, v)| (n.to_owned(), v.to_owned()));
        for (name, value) in line.found.iter().cloned().chain(own) {
            if !pairs.iter().any(|(known, _)| *known == name) {
                pairs.push((name, value));
            }
        }
        pairs.retain(|(name, _)| !self.shown.dropped.contains(name));
        logfmt(&pairs)
    }
}

/// A whole table.
pub(crate) fn table(table: &Table, format: Format) -> Vec<u8> {
    let names = || table.columns.iter().map(|column| column.name.as_str());
    let step_ms = table.step_ns.map(|step| step / 1_000_000);
    let mut out = String::new();
    match format {
        Format::Json => {
            let types: Vec<_> = table.columns.iter().map(|c| c.kind.as_str()).collect();
            let rows: Vec<Vec<Value>> = table
                .rows
                .iter()
                .map(|row| row.iter().map(value).collect())
                .collect();
            let data = json!({
                "columns": names().collect::<Vec<_>>(),
                "types": types,
                "rows": rows,
                "stepMs": step_ms,
                "notes": table.notes,
            });
            out = json!({"status": "success", "data": data}).to_string();
            out.push('\n');
        }
        Format::Ndjson => {
            let columns: Vec<Value> = table
                .columns
                .iter()
                .map(|column| json!({"name": column.name, "type": column.kind.as_str()}))
                .collect();
            let head = json!({"columns": columns, "stepMs": step_ms, "notes": table.notes});
            let _ = writeln!(out, "{head}");
            for row in &table.rows {
                let cells = names().zip(row);
                let pairs: Vec<String> = cells
                    .map(|(name, cell)| format!("{}:{}", Value::from(name), value(cell)))
                    .collect();
                let _ = writeln!(out, "{{{}}}", pairs.join(","));
            }
        }
        Format::Csv => {
            let head: Vec<String> = names().map(csv).collect();
            let _ = writeln!(out, "{}", head.join(","));
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(|cell| csv(&cell.text())).collect();
                let _ = writeln!(out, "{}", cells.join(","));
            }
        }
        Format::Raw => {
            for row in &table.rows {
                let cells: Vec<String> = row
                    .iter()
                    .map(|cell| cell.text().replace(['\n', '\t'], " "))
                    .collect();
                let _ = writeln!(out, "{}", cells.join("\t"));
            }
        }
        Format::Logfmt => {
            for row in &table.rows {
                let pairs: Vec<(String, String)> = names()
                    .zip(row)
                    .map(|(name, cell)| (name.to_owned(), cell.text().into_owned()))
                    .collect();
                let _ = writeln!(out, "{}", logfmt(&pairs));
            }
        }
    }
    out.into_bytes()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Missing => Value::Null,
        Cell::Count(n) => (*n).into(),
        // What is not finite has no place in JSON: null.
        Cell::Number(number) => (*number).into(),
        Cell::Counts(counts) => counts.clone().into(),
        Cell::Text(_) | Cell::Time(_) => cell.text().into(),
    }
}

/// A cell of CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe.
fn csv(text: &str) -> String {
    let formula = text.starts_with(['=', '@', '\t', '\r'])
        || (text.starts_with(['+', '-']) && text.parse::<f64>().is_err());
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn logfmt(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(' ');
        }
        let name = name.replace(|c: char| c.is_whitespace() || matches!(c, '=' | '"'), "_");
        let plain = !value.is_empty()
            && !value
                .contains(|c: char| c.is_whitespace() || c.is_control() || "\"=\\".contains(c));
        let _ = if plain {
            write!(out, "{name}={value}")
        } else {
            write!(out, "{name}={}", Value::from(value.as_str()))
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_query::{Kind, TableColumn};

    fn example() -> Table {
        let column = |name: &str, kind| TableColumn {
            name: name.to_owned(),
            kind,
        };
        Table {
            columns: vec![
                column("path", Kind::Text),
                column("count", Kind::Count),
                column("trend", Kind::Counts),
            ],
            rows: vec![
                vec![
                    Cell::Text("/a,\"b".to_owned()),
                    Cell::Count(3),
                    Cell::Counts(vec![1, 2]),
                ],
                vec![Cell::Missing, Cell::Count(1), Cell::Counts(vec![])],
            ],
            step_ns: None,
            notes: vec!["1 more value".to_owned()],
            ..Table::default()
        }
    }

    fn check(format: Format, expected: &str) {
        let text = String::from_utf8(table(&example(), format)).expect("UTF-8");
        assert_eq!(text, expected, "{format:?}");
    }

    #[test]
    fn tables_in_every_format() {
        check(
            Format::Ndjson,
            "{\"columns\":[{\"name\":\"path\",\"type\":\"text\"},{\"name\":\"count\",\"type\":\"count\"},{\"name\":\"trend\",\"type\":\"counts\"}],\"notes\":[\"1 more value\"],\"stepMs\":null}\n{\"path\":\"/a,\\\"b\",\"count\":3,\"trend\":[1,2]}\n{\"path\":null,\"count\":1,\"trend\":[]}\n",
        );
        check(
            Format::Csv,
            "path,count,trend\n\"/a,\"\"b\",3,\"1,2\"\n,1,\n",
        );
        check(Format::Raw, "/a,\"b\t3\t1,2\n\t1\t\n");
        check(
            Format::Logfmt,
            "path=\"/a,\\\"b\" count=3 trend=1,2\npath=\"\" count=1 trend=\"\"\n",
        );
        let json: Value = serde_json::from_slice(&table(&example(), Format::Json)).expect("JSON");
        assert_eq!(json["data"]["columns"][1], "count");
        assert_eq!(json["data"]["types"][2], "counts");
        assert_eq!(json["data"]["rows"][0][1], 3);
        assert_eq!(json["data"]["rows"][1][0], Value::Null);
    }

    #[test]
    fn a_cell_of_csv_is_no_formula() {
        assert_eq!(csv("=1+1"), "'=1+1");
        assert_eq!(csv("-5"), "-5");
        assert_eq!(csv("-cmd"), "'-cmd");
    }
}
