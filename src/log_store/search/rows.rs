//! Hands rows to a fold with just those parts that it wants: labels and levels, fields and patterns
//! from columns, and the text only where a column does not tell or the fold wants it.

use log_query::{Fold, LEVEL, LineView, MESSAGE, Row, Wanted, pattern};
use model::StoreError;

use super::opened::{Lines, Opened};
use super::plan::OfStream;
use crate::bits::Bits;
use crate::block::fields::{ABSENT, ASK, FieldColumn, Wanted as WantedField};

/// Where the value of a wanted field comes from.
enum Origin {
    Level,
    Label(String),
    /// A column; the sentence, where it says that there is none, is the whole text.
    Column(FieldColumn, bool),
    /// The line itself, which is read.
    Line,
}

/// Hands over rows one by one.
pub(crate) fn fold_rows(
    wanted: &Wanted,
    of_stream: OfStream<'_>,
    opened: &mut Opened<'_>,
    rows: &Bits,
    fold: &mut dyn Fold,
) -> Result<(), StoreError> {
    opened.prepare_times()?;
    opened.prepare_levels()?;
    let labels = of_stream.labels;
    let origins: Vec<Origin> = wanted
        .fields
        .iter()
        .map(|name| match (name.as_str(), labels.get(name)) {
            (LEVEL, _) => Ok(Origin::Level),
            (_, Some(value)) => Ok(Origin::Label(value.to_owned())),
            (name, None) => {
                let is_message = name == MESSAGE;
                let field = if is_message {
                    WantedField::Message
                } else {
                    WantedField::First(name)
                };
                let column = column(opened, field, rows)?;
                Ok(match column {
                    Some(column) => Origin::Column(column, is_message),
                    None => Origin::Line,
                })
            }
        })
        .collect::<Result<_, StoreError>>()?;
    let mut patterns = None;
    if wanted.pattern {
        opened.with_block(|block| {
            patterns = Some(block.patterns(rows)?);
            Ok(())
        })?;
    }
    let mut text = Vec::new();
    for row in rows.iter() {
        let number = |column: &FieldColumn| column.numbers.get(row).copied().unwrap_or(ASK);
        let asks_line = |origin: &Origin| match origin {
            Origin::Level | Origin::Label(_) => false,
            Origin::Line => true,
            Origin::Column(column, is_message) => match number(column) {
                ASK => true,
                ABSENT => *is_message,
                _ => false,
            },
        };
        let of_column = patterns.as_ref().and_then(|column| {
            let number = column.numbers.get(row).copied().unwrap_or(ASK);
            column.patterns.get(number as usize)
        });
        let asks_pattern = wanted.pattern && of_column.is_none();
        if wanted.text || asks_pattern || origins.iter().any(asks_line) {
            opened.text(row, &mut text)?;
        }
        let level = opened.level(row);
        let view = LineView::new(labels, level, &text);
        let message = origins
            .iter()
            .zip(&wanted.fields)
            .any(|(origin, name)| name == MESSAGE && asks_line(origin))
            .then(|| view.message());
        let values: Vec<Option<&str>> = origins
            .iter()
            .zip(&wanted.fields)
            .map(|(origin, name)| match origin {
                Origin::Level => Some(level.as_str()),
                Origin::Label(value) => Some(value.as_str()),
                origin if asks_line(origin) => match name.as_str() {
                    MESSAGE => message.as_deref(),
                    name => view.fields().values(name).next(),
                },
                Origin::Column(column, _) => column
                    .values
                    .get(number(column) as usize)
                    .map(String::as_str),
                Origin::Line => None,
            })
            .collect();
        let of_line = asks_pattern.then(|| pattern(&view));
        fold.line(&Row {
            labels,
            time_ns: opened.time(row),
            level,
            text: if wanted.text { &text } else { &[] },
            values: &values,
            pattern: of_column
                .or(of_line.as_ref())
                .map(String::as_str)
                .unwrap_or_default(),
        });
    }
    Ok(())
}

/// A field of these rows as a column; `None` for lines that are not in a block.
fn column(
    opened: &mut Opened<'_>,
    wanted: WantedField<'_>,
    rows: &Bits,
) -> Result<Option<FieldColumn>, StoreError> {
    if matches!(opened.lines, Lines::Open(_)) {
        return Ok(None);
    }
    let mut column = None;
    opened.with_block(|block| {
        column = Some(block.field(wanted, rows)?);
        Ok(())
    })?;
    Ok(column)
}
