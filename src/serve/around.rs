//! The lines around a line: what its container said before and after, its pod, its workload, its
//! node, or everybody, whatever the search was about. The page, its script and the public API ask
//! here.
//!
//! 1. The stream of the line is recognised by its fingerprint among those with lines at its time.
//! 2. Its labels say which scopes there are; each is a filter on labels.
//! 3. One search goes backward from the line and one forward, both behind its cursor, so that lines
//!    with the very same time are neither lost nor doubled.

use std::ops::ControlFlow;
use std::sync::Arc;

use log_query::{Cursor, Direction, Filter, LogReader, Query, Record, Search, Stop, field_term};
use model::{Labels, MatchOp, Matcher, StoreError};

/// Lines on either side of a line, at most: some screens full.
pub(crate) const SIDE_MAX: usize = 500;

/// Labels that name what a line belongs to beyond its container.
const WORKLOAD_LABELS: [&str; 3] = ["app", "workload", "service"];

/// Kubernetes makes random ends of these: no vowels, and no digits that look like them.
const RANDOM: &str = "b-df-hj-np-tv-xz24-9";

/// A line's name for ever: its stream's fingerprint and its number in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineId {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
}

impl LineId {
    /// Reads `0123456789abcdef-42`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stream, sequence) = text.split_once('-')?;
        // Numbers are read with a sign too.
        let plain = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
        if !plain(stream) || !plain(sequence) {
            return None;
        }
        Some(Self {
            stream: u64::from_str_radix(stream, 16).ok()?,
            sequence: sequence.parse().ok()?,
        })
    }

    /// Its place in the order of all lines.
    pub(crate) fn at(self, time_ns: i64) -> Cursor {
        Cursor {
            time_ns,
            stream: self.stream,
            sequence: self.sequence,
        }
    }
}

/// Whose lines are wanted around a line.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Its word in links and answers: `container`, `pod`, `workload`, `node`, `all`.
    pub(crate) name: &'static str,
    /// Its word on the page.
    pub(crate) title: &'static str,
    /// What the labels of its lines must be.
    matchers: Vec<Matcher>,
}

impl Scope {
    fn everybody() -> Self {
        Self {
            name: "all",
            title: "All",
            matchers: Vec::new(),
        }
    }

    fn query(&self) -> Arc<Query> {
        let labels = self.matchers.iter().cloned().map(Filter::Label);
        Arc::new(Query::of(match labels.len() {
            0 => Filter::All,
            _ => Filter::And(labels.collect()),
        }))
    }

    /// The query in words.
    pub(crate) fn q(&self) -> String {
        let term = |matcher: &Matcher| match matcher.op {
            MatchOp::Regex => format!("{}:/^{}$/", matcher.name, matcher.value),
            _ => field_term(&matcher.name, &matcher.value, false),
        };
        self.matchers.iter().map(term).collect::<Vec<_>>().join(" ")
    }
}

/// A line and its neighbours, oldest first.
pub(crate) struct Around {
    /// Those that the line has, the narrowest first.
    pub(crate) scopes: Vec<Scope>,
    /// The scope that is shown.
    pub(crate) scope: Scope,
    pub(crate) before: Vec<Record>,
    /// `None`: it is no longer stored.
    pub(crate) line: Option<Record>,
    pub(crate) after: Vec<Record>,
    /// Whether there are more lines on either side.
    pub(crate) more_before: bool,
    pub(crate) more_after: bool,
}

/// What is wanted around a line.
pub(crate) struct Wanted<'a> {
    pub(crate) place: Cursor,
    /// A scope's name; one that the line does not have means the narrowest.
    pub(crate) scope: &'a str,
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) stop: Stop,
}

impl Around {
    /// Asks the store.
    pub(crate) fn find(logs: &dyn LogReader, wanted: &Wanted<'_>) -> Result<Self, StoreError> {
        let place = wanted.place;
        let end_ns = place.time_ns.saturating_add(1);
        let labels = stream(logs, place.stream, place.time_ns, end_ns)?;
        let scopes = match &labels {
            Some(labels) => scopes(labels),
            None => vec![Scope::everybody()],
        };
        let scope = scopes
            .iter()
            .find(|scope| scope.name == wanted.scope)
            .or(scopes.first())
            .cloned()
            .unwrap_or_else(Scope::everybody);
        let id = LineId {
            stream: place.stream,
            sequence: place.sequence,
        };
        let line = match labels {
            Some(labels) => {
                let range = (place.time_ns, end_ns);
                of_stream(logs, &labels, id, range, &wanted.stop)?
            }
            None => None,
        };
        let side = |direction, start_ns, end_ns, limit: usize| {
            let search = Search {
                query: scope.query(),
                start_ns,
                end_ns,
                direction,
                // One more tells whether there are more.
                limit: limit.saturating_add(1),
                after: Some(place),
                stop: wanted.stop.clone(),
            };
            let mut records = Vec::new();
            logs.search(&search, &mut |record| {
                records.push(record);
                ControlFlow::Continue(())
            })?;
            let more = records.len() > limit;
            records.truncate(limit);
            Ok::<_, StoreError>((records, more))
        };
        let (mut before, more_before) = side(Direction::Backward, i64::MIN, end_ns, wanted.before)?;
        let (after, more_after) = side(Direction::Forward, place.time_ns, i64::MAX, wanted.after)?;
        before.reverse();
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

/// The place of a line whose time is not known: its whole stream is searched. `None`: it is no
/// longer stored.
pub(crate) fn place(
    logs: &dyn LogReader,
    id: LineId,
    stop: &Stop,
) -> Result<Option<Cursor>, StoreError> {
    let Some(labels) = stream(logs, id.stream, i64::MIN, i64::MAX)? else {
        return Ok(None);
    };
    let line = of_stream(logs, &labels, id, (i64::MIN, i64::MAX), stop)?;
    Ok(line.map(|line| id.at(line.time_ns)))
}

/// The labels of the stream with this fingerprint, where it has lines in this time.
fn stream(
    logs: &dyn LogReader,
    fingerprint: u64,
    start_ns: i64,
    end_ns: i64,
) -> Result<Option<Labels>, StoreError> {
    let streams = logs.streams(start_ns, end_ns)?;
    let mut streams = streams.into_iter();
    Ok(streams.find(|labels| labels.fingerprint() == fingerprint))
}

/// A line of a stream.
fn of_stream(
    logs: &dyn LogReader,
    labels: &Labels,
    id: LineId,
    (start_ns, end_ns): (i64, i64),
    stop: &Stop,
) -> Result<Option<Record>, StoreError> {
    let own = Scope {
        matchers: labels.iter().map(equal).collect(),
        ..Scope::everybody()
    };
    let search = Search {
        query: own.query(),
        start_ns,
        end_ns,
        direction: Direction::Backward,
        limit: usize::MAX,
        after: None,
        stop: stop.clone(),
    };
    let mut found = None;
    logs.search(&search, &mut |record| {
        // Another stream can have these labels and more.
        if record.sequence != id.sequence || record.labels.fingerprint() != id.stream {
            return ControlFlow::Continue(());
        }
        found = Some(record);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn equal(label: &model::Label) -> Matcher {
    Matcher::equal(label.name.clone(), label.value.clone())
}

/// The scopes of a stream's lines, from the narrowest to all.
fn scopes(labels: &Labels) -> Vec<Scope> {
    let has = |name: &str| labels.get(name).is_some();
    let some = |names: &[&str]| -> Vec<Matcher> {
        let named = labels.iter().filter(|label| names.contains(&&*label.name));
        named.map(equal).collect()
    };
    let (title, own) = match () {
        // What it writes to standard error is its word too, and may be a stream of its own.
        () if has("container") && has("pod") => {
            ("Container", some(&["namespace", "pod", "container"]))
        }
        () if has("container") => ("Container", labels.iter().map(equal).collect()),
        () if has("unit") => ("Unit", labels.iter().map(equal).collect()),
        () if has("file") => ("File", labels.iter().map(equal).collect()),
        () => ("Stream", labels.iter().map(equal).collect()),
    };
    let mut out = Vec::new();
    let mut add = |name, title, matchers| {
        out.push(Scope {
            name,
            title,
            matchers,
        });
    };
    add("container", title, own);
    if has("pod") {
        // A pod of the host's own has no namespace.
        add("pod", "Pod", some(&["namespace", "pod"]));
    }
    if let Some(name) = WORKLOAD_LABELS.into_iter().find(|name| has(name)) {
        add("workload", "Workload", some(&["namespace", name]));
    } else if let Some(pods) = labels.get("pod").and_then(workload)
        && let Ok(pods) = Matcher::new("pod", MatchOp::Regex, pods)
    {
        let mut matchers = some(&["namespace"]);
        matchers.push(pods);
        add("workload", "Workload", matchers);
    }
    if has("node") {
        add("node", "Node", some(&["node"]));
    } else if has("host") {
        add("node", "Host", some(&["host"]));
    }
    out.push(Scope::everybody());
    out
}

/// A regular expression of the names of all pods of a pod's workload: they differ in what its
/// controllers added, as in `web-7d9c5b8f6c-x2k2z` and `db-0`. `None` where nothing was added.
fn workload(pod: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !pod.chars().all(plain) {
        return None;
    }
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let random = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        let unlike = |c: char| !"aeiouy013.".contains(c);
        lengths.contains(&part.len()) && part.chars().all(unlike)
    };
    // Nothing else in such a name means something to a regular expression.
    let literal = |name: &str| name.replace('.', "\\.");
    let (name, last) = pod.rsplit_once('-')?;
    if number(last) {
        return Some(format!("{}-[0-9]+", literal(name)));
    }
    if !random(last, 5..=5) {
        return None;
    }
    let end = format!("-[{RANDOM}]{{5}}");
    Some(match name.rsplit_once('-') {
        // A template's hash: a deployment.
        Some((name, hash)) if random(hash, 6..=10) => {
            format!("{}-[{RANDOM}]{{6,10}}{end}", literal(name))
        }
        // The minute of a job: a cron job.
        Some((name, minute)) if minute.len() >= 8 && number(minute) => {
            format!("{}-[0-9]+{end}", literal(name))
        }
        _ => format!("{}{end}", literal(name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_nonsense_is_not() {
        let id = LineId::parse("00000000000000ff-7").expect("an id");
        assert_eq!((id.stream, id.sequence), (255, 7));
        for text in [
            "",
            "00000000000000ff",
            "ff--7",
            "+ff-7",
            "ff-+7",
            "<script>alert(1)-7",
        ] {
            assert_eq!(LineId::parse(text), None, "{text}");
        }
    }

    fn scopes_of(pairs: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
        scopes(&Labels::from_pairs(pairs.iter().copied()))
            .into_iter()
            .map(|scope| (scope.title, scope.q()))
            .collect()
    }

    #[test]
    fn scopes_widen() {
        let of = |title: &'static str, q: &str| (title, q.to_owned());
        assert_eq!(
            scopes_of(&[
                ("container", "web"),
                ("namespace", "shop"),
                ("node", "pi5 02"),
                ("pod", "db-0"),
                ("stream", "stderr"),
            ]),
            [
                of("Container", "container:web namespace:shop pod:db-0"),
                of("Pod", "namespace:shop pod:db-0"),
                of("Workload", "namespace:shop pod:/^db-[0-9]+$/"),
                of("Node", "node:\"pi5 02\""),
                of("All", ""),
            ]
        );
        let titles = |pairs| -> Vec<_> {
            let scopes: Vec<(&str, String)> = scopes_of(pairs);
            scopes.into_iter().map(|(title, _)| title).collect()
        };
        let file = [("file", "/var/log/a.log"), ("host", "nas")];
        assert_eq!(titles(&file), ["File", "Host", "All"]);
        let app = [("app", "web"), ("unit", "web.service")];
        assert_eq!(titles(&app), ["Unit", "Workload", "All"]);
    }

    #[test]
    fn words_and_filter_of_a_scope_say_the_same() {
        let labels = Labels::from_pairs([("namespace", "n"), ("pod", "web-7d9c5b8f6c-x2k2z")]);
        for scope in scopes(&labels) {
            let query = Query::parse(&scope.q()).expect("valid");
            for (pod, text) in [("web-66c4d4f9bb-qqxbz", "a"), ("web-0", "b")] {
                let labels = Labels::from_pairs([("namespace", "n"), ("pod", pod)]);
                let line = log_query::LineView::new(&labels, model::Level::Info, text.as_bytes());
                assert_eq!(
                    query.filter.matches(&line),
                    scope.query().filter.matches(&line),
                    "{} of {pod}",
                    scope.name
                );
            }
        }
    }

    #[test]
    fn pods_of_a_workload_are_told_by_their_names() {
        let check = |pod: &str, same: &str, other: &str| {
            let pods = workload(pod).expect(pod);
            let matcher = Matcher::new("pod", MatchOp::Regex, pods).expect(pod);
            assert!(matcher.matches(pod), "{pod}");
            assert!(matcher.matches(same), "{pod}: {same}");
            assert!(!matcher.matches(other), "{pod}: {other}");
        };
        check(
            "web-7d9c5b8f6c-x2k2z",
            "web-66c4d4f9bb-qqxbz",
            "web-api-7d9c5b8f6c-x2k2z",
        );
        check("db-0", "db-12", "db-x-0");
        check("fluent-bit-x2k2z", "fluent-bit-zz54x", "fluent-x2k2z");
        check(
            "backup-29340120-x2k2z",
            "backup-29340180-zz54x",
            "backup-x2k2z",
        );
        check("a.b-0", "a.b-1", "axb-0");
        for alone in ["standalone", "my-thing", "<b>-0"] {
            assert_eq!(workload(alone), None, "{alone}");
        }
    }
}
