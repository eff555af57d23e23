//! Writes tables: aligned for people, or for programs.

use std::fmt::Write;

use serde_json::Value;

use super::record::{Table, text};
use super::show::{bare_name, quoted, safe};

/// A cell is cut for people beyond so many characters; programs get it whole.
const CELL_CHARS_MAX: usize = 100;

/// Columns under their names, numbers to the right.
pub(super) fn aligned(table: &Table, color: bool) -> String {
    let shown = |(i, value): (usize, &Value)| {
        if table.types.get(i).is_some_and(|kind| kind == "counts") {
            return sparkline(value);
        }
        let cell = safe(&text(value)).replace(['\n', '\t'], " ");
        match cell.char_indices().nth(CELL_CHARS_MAX) {
            Some((end, _)) => format!("{}…", cell.get(..end).unwrap_or_default()),
            None => cell,
        }
    };
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().enumerate().map(shown).collect())
        .collect();
    let names: Vec<String> = table.columns.iter().map(|name| safe(name)).collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let column = cells.iter().filter_map(|row| row.get(i));
            let widest = column.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(name.chars().count())
        })
        .collect();
    let to_the_right: Vec<bool> = (0..names.len())
        .map(|i| {
            let mut column = table.rows.iter().filter_map(|row| row.get(i));
            column.all(|value| value.is_number() || value.is_null())
        })
        .collect();
    let mut out = String::new();
    let mut line = |cells: &[String], is_head: bool| {
        let mut text = String::new();
        for (i, width) in widths.iter().enumerate() {
            let cell = cells.get(i).map_or("", String::as_str);
            let gap = if i == 0 { "" } else { "  " };
            let _ = match to_the_right.get(i) {
                Some(true) => write!(text, "{gap}{cell:>width$}"),
                _ => write!(text, "{gap}{cell:<width$}"),
            };
        }
        let text = text.trim_end();
        let _ = if is_head && color {
            writeln!(out, "\x1b[1m{text}\x1b[0m")
        } else {
            writeln!(out, "{text}")
        };
    };
    line(&names, true);
    for row in &cells {
        line(row, false);
    }
    out
}

/// Counts over time as bars of eighths; the largest is full.
fn sparkline(counts: &Value) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let counts: Vec<u64> = match counts {
        Value::Array(all) => all.iter().filter_map(Value::as_u64).collect(),
        _ => Vec::new(),
    };
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &u64| match count {
        0 => ' ',
        count => {
            let eighth = (u128::from(*count) * 8).div_ceil(u128::from(most)) as usize;
            BARS.get(eighth.saturating_sub(1)).copied().unwrap_or('█')
        }
    };
    counts.iter().map(bar).collect()
}

/// An object per row.
pub(super) fn json(table: &Table) -> String {
    let mut out = String::new();
    for row in &table.rows {
        let pairs = table.columns.iter().zip(row);
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
            .collect();
        let _ = writeln!(out, "{{{}}}", pairs.join(","));
    }
    out
}

/// Cells between tabs, without a head.
pub(super) fn tabs(table: &Table) -> String {
    let mut out = String::new();
    for row in &table.rows {
        let cells = row
            .iter()
            .map(|value| text(value).replace(['\n', '\t'], " "));
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("\t"));
    }
    out
}

/// `key=value` pairs.
pub(super) fn logfmt(table: &Table) -> String {
    let mut out = String::new();
    for row in &table.rows {
        let pairs = table.columns.iter().zip(row);
        let pairs = pairs.map(|(name, value)| format!("{}={}", bare_name(name), quoted(value)));
        let _ = writeln!(out, "{}", pairs.collect::<Vec<_>>().join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        Table {
            columns: vec!["path".to_owned(), "count".to_owned()],
            types: Vec::new(),
            notes: Vec::new(),
            rows: vec![
                vec![json!("/a\tb"), json!(1200)],
                vec![json!("/longer/path"), json!(7)],
                vec![Value::Null, json!(1)],
            ],
        }
    }

    #[test]
    fn tables_in_four_ways() {
        assert_eq!(
            aligned(&table(), false),
            "path          count\n/a b           1200\n/longer/path      7\n                  1\n"
        );
        assert_eq!(sparkline(&json!([0, 1, 4, 8])), " ▁▄█");
        assert!(aligned(&table(), true).starts_with("\x1b[1mpath"));
        assert_eq!(
            json(&table()).lines().next(),
            Some(r#"{"path":"/a\tb","count":1200}"#)
        );
        assert_eq!(tabs(&table()), "/a b\t1200\n/longer/path\t7\n\t1\n");
        assert_eq!(
            logfmt(&table()),
            "path=\"/a\\tb\" count=1200\npath=/longer/path count=7\npath=\"\" count=1\n"
        );
    }
}
