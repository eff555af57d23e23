//! What was asked of the logs?
//!
//! A person's words become a checked [`Query`]; whoever keeps the lines answers it through
//! [`LogReader`]. The meaning of a query is defined here once, by [`Filter::matches`] on a single
//! line: a store may prune, reorder and read columns as it likes, its answer must be the one that
//! this function gives line by line. This room knows no store, no clock and no HTTP.
//!
//! The language: `words` that must all occur, `"a phrase"`, `-not`, `or`, parentheses,
//! `field:value`, `field:>=500`, `field:10..20`, `field:*`, `field:val*`, `field:/regex/`,
//! `field:(a or b)`, `level:error`, `level:warn..`, `/regex/`, `prefix*`. The empty query and `*`
//! mean every line. Behind the filter there can be pipes ([`Pipe`]): `| parse "took <took> ms"`,
//! `| where took > 100`, `| stats count(), p99(took) by (namespace, time 5m)`, `| top 10 path`,
//! `| rate 1m`, `| patterns new 30m`, `| fields a, b`, `| drop a`, `| sort by (a desc)`,
//! `| limit 10`, `| uniq by (a)`. By example: `docs/log-search.md`.
//!
//! [`logql`] is a second front end onto the same filter: Loki's language, for Grafana and logcli.

mod complete;
mod fields;
mod first_seen;
mod fold;
mod json;
mod logfmt;
pub mod logql;
mod look_back;
mod matches;
pub mod memory;
mod needle;
mod number;
mod parse;
mod pattern;
mod pipes;
mod plan;
mod query;
mod reader;
mod run;
mod term;
mod terms;
mod text;
mod value;
mod word;

pub use complete::{Completion, Expected, complete};
pub use fields::{DEPTH_MAX, FIELDS_MAX, Form, LineFields, is_envelope};
pub use fold::{Fold, NewFold, Row, Wanted};
pub use look_back::look_back;
pub use matches::LineView;
pub use needle::{
    CONTEXT_BYTES, Needle, fold, is_unspaced, is_word_char, letter_ends_at, letter_starts_at,
};
pub use number::parse_number;
pub use parse::{GROUPS_DEEP_MAX, QUERY_CHARS_MAX, REGEX_BYTES_MAX, TERMS_MAX, compile_regex};
pub use pattern::{PATTERN_CHARS_MAX, PLACEHOLDER, pattern, pattern_id, pattern_of};
pub use pipes::{HOLES_MAX, PIPES_MAX, ROWS_MAX, STATS_COLUMNS_MAX};
pub use plan::{
    Function, How, Key, Parse, Patterns, Pipe, SortKey, Stats, StatsColumn, TIME, TOP_DEFAULT,
    Template, Which,
};
pub use query::{Bound, FieldTest, Filter, LEVEL, MESSAGE, Query, QueryError};
pub use reader::{
    Bucket, Cursor, Direction, Facet, LogReader, LogStoreStats, Record, RecordHandler, Search,
    SearchSummary, Stop, Subscription, feed,
};
pub use regex::bytes::Regex;
pub use run::{
    Answer, Cell, DISTINCT_ERROR, DISTINCT_EXACT_MAX, GROUPS_BYTES_MAX, GROUPS_MAX, Kind, Line,
    LineHandler, PATTERNS_MAX, QUANTILE_ERROR, QUANTILE_EXACT_MAX, SORT_BYTES_MAX, STEPS_MAX,
    Shown, TREND_PARTS, Table, TableColumn, UNIQ_MAX, run,
};
pub use terms::{field_term, terms, with_term, without_term};
