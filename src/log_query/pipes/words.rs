//! The words of the pipes: ours, those of LogsQL and LogQL that mean the same, and those of SQL,
//! SPL and KQL that are answered with ours.

/// The pipes, in the order in which they are named to people.
pub(crate) const PIPES: &[&str] = &[
    "stats", "top", "rate", "patterns", "parse", "where", "fields", "drop", "sort", "limit", "uniq",
];

/// What `stats` can compute.
pub(crate) const FUNCTIONS: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "quantile",
    "p50",
    "p90",
    "p95",
    "p99",
    "median",
    "count_distinct",
    "first",
    "last",
];

/// Other spellings that are understood.
const SAME: &[(&str, &str)] = &[
    ("filter", "where"),
    ("keep", "fields"),
    ("delete", "drop"),
    ("del", "drop"),
    ("rm", "drop"),
    ("order", "sort"),
    ("head", "limit"),
    ("extract", "parse"),
    ("extract_regexp", "regexp"),
    ("unpack_json", "json"),
    ("unpack_logfmt", "logfmt"),
];

/// How LogsQL and LogQL call a `parse` of one kind.
const PARSERS: &[&str] = &["json", "logfmt", "pattern", "regexp"];

/// Other spellings of functions that are understood.
const SAME_FUNCTIONS: &[(&str, &str)] = &[("count_uniq", "count_distinct"), ("mean", "avg")];

/// Words of other languages, with ours.
const OTHERS: &[(&str, &str)] = &[
    ("select", "fields"),
    ("project", "fields"),
    ("table", "fields"),
    ("grep", "where"),
    ("search", "where"),
    ("having", "where"),
    ("regex", "parse"),
    ("rex", "parse"),
    ("extend", "parse"),
    ("unpack", "parse"),
    ("summarize", "stats"),
    ("aggregate", "stats"),
    ("group", "stats"),
    ("timechart", "rate"),
    ("chart", "stats"),
    ("dedup", "uniq"),
    ("distinct", "uniq"),
    ("take", "limit"),
    ("first", "limit"),
    ("last", "limit"),
    ("tail", "limit"),
    ("rare", "patterns rare"),
    ("cluster", "patterns"),
    ("average", "avg"),
    ("dc", "count_distinct"),
    ("uniq", "count_distinct"),
    ("unique", "count_distinct"),
    ("distinct_count", "count_distinct"),
    ("count_unique", "count_distinct"),
    ("percentile", "quantile"),
    ("earliest", "first"),
    ("latest", "last"),
    ("any", "last"),
    ("total", "sum"),
    ("minimum", "min"),
    ("maximum", "max"),
];

/// Names that are so alike (Jaro-Winkler) are taken for a slip of the finger.
const SIMILAR: f64 = 0.8;

/// Our spelling of a pipe's name; any other name stays.
pub(crate) fn resolve_pipe(name: &str) -> &str {
    SAME.iter()
        .find(|(other, _)| *other == name)
        .map_or(name, |(_, ours)| ours)
}

/// Whether a pipe is called so, in any case.
pub(crate) fn is_pipe(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ours = resolve_pipe(&lower);
    PIPES.contains(&ours) || PARSERS.contains(&ours) || lower == "count"
}

/// Our spelling of a function's name; any other name stays.
pub(crate) fn resolve_function(name: &str) -> &str {
    SAME_FUNCTIONS
        .iter()
        .find(|(other, _)| *other == name)
        .map_or(name, |(_, ours)| ours)
}

/// Whether `stats` knows it.
pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&resolve_function(name)) || percent(name).is_some()
}

/// The number in `p99` and `p99.9`, whatever it is.
pub(crate) fn percent(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let starts = digits.starts_with(|c: char| c.is_ascii_digit());
    let only = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    (starts && only).then(|| digits.parse().ok()).flatten()
}

/// What a word of another language is called here.
pub(crate) fn ours(name: &str) -> Option<&'static str> {
    OTHERS
        .iter()
        .find(|(other, ours)| *other == name && !FUNCTIONS.contains(ours))
        .map(|(_, ours)| *ours)
}

/// What a function of another language is called here.
pub(crate) fn our_function(name: &str) -> Option<&'static str> {
    OTHERS
        .iter()
        .find(|(other, ours)| *other == name && FUNCTIONS.contains(ours))
        .map(|(_, ours)| *ours)
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Of short names a single slip changes too much for Jaro-Winkler.
    let similar = |known: &str| {
        if strsim::osa_distance(name, known) <= 1 && name.chars().count() > 1 {
            1.0
        } else {
            strsim::jaro_winkler(name, known)
        }
    };
    names
        .map(|known| (similar(known), known))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
