//! The lines around a line: what its container said before and after, its pod, its workload, its
//! node, or everybody, whatever the search was about.
//!
//! 1. The stream of the line is recognised by its fingerprint among those with lines at its time.
//! 2. Its labels say which scopes there are; each is a query.
//! 3. One search goes backward from the line and one forward, both behind its cursor, so that lines
//!    with the very same time are neither lost nor doubled.

use std::ops::ControlFlow;
use std::sync::Arc;

use log_query::{Cursor, Direction, LogReader, Query, Record, Search, Stop, field_term};
use model::{Labels, StoreError};

/// Lines on either side of a line, at most.
pub(super) const SIDE_MAX: usize = 500;

/// Labels that name what a line belongs to beyond its container.
const WORKLOAD_LABELS: [&str; 3] = ["app", "workload", "service"];

/// A line's name and time, as links carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    cursor: Cursor,
}

impl Place {
    /// Reads a time (RFC 3339) and an id (`0123456789abcdef-42`).
    pub(super) fn parse(time: &str, id: &str) -> Option<Self> {
        let (stream, sequence) = id.split_once('-')?;
        if stream.len() != 16 || !time.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            cursor: Cursor {
                time_ns: model::time::parse_ns(time, 0)?,
                stream: u64::from_str_radix(stream, 16).ok()?,
                sequence: sequence.parse().ok()?,
            },
        })
    }

    /// When the line was written, nanoseconds since 1970-01-01 UTC.
    pub(super) fn time_ns(self) -> i64 {
        self.cursor.time_ns
    }
}

/// Whose lines are wanted around a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// Its word in links: `container`, `pod`, `workload`, `node`, `all`.
    pub(super) name: &'static str,
    /// Its word on the page.
    pub(super) title: &'static str,
    /// The query that it is.
    pub(super) q: String,
}

/// A line and its neighbours, oldest first.
pub(super) struct Around {
    pub(super) scopes: Vec<Scope>,
    /// The scope that is shown.
    pub(super) scope: Scope,
    pub(super) before: Vec<Record>,
    /// `None`: it is no longer stored.
    pub(super) line: Option<Record>,
    pub(super) after: Vec<Record>,
    /// Whether there are more lines on either side.
    pub(super) more_before: bool,
    pub(super) more_after: bool,
}

/// What is wanted around a line.
pub(super) struct Wanted<'a> {
    pub(super) place: Place,
    /// A scope's name; another text means the narrowest.
    pub(super) scope: &'a str,
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) stop: Stop,
}

impl Around {
    /// Asks the store.
    pub(super) fn find(logs: &dyn LogReader, wanted: &Wanted<'_>) -> Result<Self, StoreError> {
        let cursor = wanted.place.cursor;
        let next_ns = cursor.time_ns.saturating_add(1);
        let labels = logs
            .streams(cursor.time_ns, next_ns)?
            .into_iter()
            .find(|labels| labels.fingerprint() == cursor.stream);
        let scopes = labels.as_ref().map_or_else(|| vec![everybody()], scopes);
        let scope = scopes
            .iter()
            .find(|scope| scope.name == wanted.scope)
            .or(scopes.first())
            .cloned()
            .unwrap_or_else(everybody);
        let search = |q: &str, direction, start_ns, end_ns, limit, after| Search {
            // A query that is made of labels can always be read; else everything fits.
            query: Arc::new(Query::parse(q).unwrap_or_else(|_| Query::all())),
            start_ns,
            end_ns,
            direction,
            limit,
            after,
            stop: wanted.stop.clone(),
        };
        let line = match scopes.first() {
            Some(own) if labels.is_some() => {
                let at = search(
                    &own.q,
                    Direction::Forward,
                    cursor.time_ns,
                    next_ns,
                    usize::MAX,
                    None,
                );
                this(logs, &at, cursor)?
            }
            _ => None,
        };
        let (mut before, more_before) = some(
            logs,
            &search(
                &scope.q,
                Direction::Backward,
                i64::MIN,
                next_ns,
                wanted.before,
                Some(cursor),
            ),
        )?;
        before.reverse();
        let (after, more_after) = some(
            logs,
            &search(
                &scope.q,
                Direction::Forward,
                cursor.time_ns,
                i64::MAX,
                wanted.after,
                Some(cursor),
            ),
        )?;
        Ok(Self {
            scopes,
            scope,
            before,
            line,
            after,
            more_before,
            more_after,
        })
    }
}

fn some(logs: &dyn LogReader, search: &Search) -> Result<(Vec<Record>, bool), StoreError> {
    let mut records = Vec::new();
    let summary = logs.search(search, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    })?;
    Ok((records, summary.limit_reached))
}

fn this(
    logs: &dyn LogReader,
    search: &Search,
    cursor: Cursor,
) -> Result<Option<Record>, StoreError> {
    let mut found = None;
    logs.search(search, &mut |record| {
        if record.sequence != cursor.sequence || record.labels.fingerprint() != cursor.stream {
            return ControlFlow::Continue(());
        }
        found = Some(record);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn everybody() -> Scope {
    Scope {
        name: "all",
        title: "All",
        q: String::new(),
    }
}

/// The scopes of a stream's lines, from the narrowest to all.
fn scopes(labels: &Labels) -> Vec<Scope> {
    let terms = |names: &[&str]| {
        let term = |name: &&str| labels.get(name).map(|value| field_term(name, value, false));
        names.iter().filter_map(term).collect::<Vec<_>>().join(" ")
    };
    let all_of = |names: &[&str]| names.iter().all(|name| labels.get(name).is_some());
    let own: Vec<String> = labels
        .iter()
        .map(|label| field_term(&label.name, &label.value, false))
        .collect();
    let title = match () {
        () if labels.get("container").is_some() => "Container",
        () if labels.get("unit").is_some() => "Unit",
        () if labels.get("file").is_some() => "File",
        () => "Stream",
    };
    let mut out = vec![Scope {
        name: "container",
        title,
        q: own.join(" "),
    }];
    let mut add = |name, title, q: String| out.push(Scope { name, title, q });
    if all_of(&["pod"]) {
        add("pod", "Pod", terms(&["namespace", "pod"]));
    }
    let named = WORKLOAD_LABELS
        .iter()
        .find(|name| labels.get(name).is_some());
    if let Some(name) = named {
        add("workload", "Workload", terms(&["namespace", name]));
    } else if let Some(workload) = labels.get("pod").and_then(workload) {
        let q = format!("{} pod:{workload}-*", terms(&["namespace"]));
        add("workload", "Workload", q.trim().to_owned());
    }
    for (label, title) in [("node", "Node"), ("host", "Host")] {
        if all_of(&[label]) {
            add("node", title, terms(&[label]));
            break;
        }
    }
    out.push(everybody());
    out
}

/// What a pod's name is without what its controllers added: `web` of `web-7d9c5b8f6c-x2k2z` and of
/// `web-0`. `None` where nothing was added.
fn workload(pod: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !pod.chars().all(plain) {
        return None;
    }
    let (rest, last) = pod.rsplit_once('-')?;
    let random = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len())
            // Kubernetes leaves vowels out of what it makes up.
            && part.chars().all(|c| c.is_ascii_digit() || !"aeiouy".contains(c))
    };
    if last.chars().all(|c| c.is_ascii_digit()) {
        return Some(rest);
    }
    if !random(last, 5..=5) {
        return None;
    }
    match rest.rsplit_once('-') {
        Some((name, hash)) if random(hash, 8..=10) => Some(name),
        _ => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_nonsense_is_not() {
        let place = Place::parse("2026-11-23T15:52:10.000000005Z", "00000000000000ff-7");
        let place = place.expect("a place");
        assert_eq!((place.cursor.stream, place.cursor.sequence), (255, 7));
        assert_eq!(place.time_ns() % 1_000, 5);
        for (time, id) in [
            ("now", "00000000000000ff-7"),
            ("2026-11-23T15:52:10Z", "ff-7"),
            ("2026-11-23T15:52:10Z", "00000000000000ff"),
            ("2026-11-23T15:52:10Z", "00000000000000ff--7"),
            ("2026-11-23T15:52:10Z", "<script>alert(1)-7"),
        ] {
            assert_eq!(Place::parse(time, id), None, "{time} {id}");
        }
    }

    #[test]
    fn scopes_widen() {
        let scopes = |pairs: &[(&'static str, &'static str)]| -> Vec<(&str, String)> {
            scopes(&Labels::from_pairs(pairs.iter().copied()))
                .into_iter()
                .map(|scope| (scope.title, scope.q))
                .collect()
        };
        let pod = [
            ("container", "web"),
            ("namespace", "shop"),
            ("node", "pi5 02"),
            ("pod", "web-7d9c5b8f6c-x2k2z"),
        ];
        let of = |title: &'static str, q: &str| (title, q.to_owned());
        assert_eq!(
            scopes(&pod),
            [
                of(
                    "Container",
                    "container:web namespace:shop node:\"pi5 02\" pod:web-7d9c5b8f6c-x2k2z"
                ),
                of("Pod", "namespace:shop pod:web-7d9c5b8f6c-x2k2z"),
                of("Workload", "namespace:shop pod:web-*"),
                of("Node", "node:\"pi5 02\""),
                of("All", ""),
            ]
        );
        let file = [("file", "/var/log/a.log"), ("host", "nas")];
        let titles: Vec<_> = scopes(&file).into_iter().map(|(title, _)| title).collect();
        assert_eq!(titles, ["File", "Host", "All"]);
    }

    #[test]
    fn pods_have_workloads() {
        let check =
            |pod: &str, expected: Option<&str>| assert_eq!(workload(pod), expected, "{pod}");
        check("web-7d9c5b8f6c-x2k2z", Some("web"));
        check("my-web-7d9c5b8f6c-x2k2z", Some("my-web"));
        check("postgres-0", Some("postgres"));
        check("node-exporter-x2k2z", Some("node-exporter"));
        check("standalone", None);
        check("my-thing", None);
        check("<b>-0", None);
    }
}
