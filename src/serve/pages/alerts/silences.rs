//! `/alerts/silences`: what people asked to be quiet about. Forms make, change and end silences,
//! with or without script; the number of alerts that one would hit is counted before it is made.

use std::sync::Arc;

use alert_notify::{Silence, SilenceState, parse_matchers};
use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Labels, Matcher};

use super::off;
use crate::pages::settings::own_path;
use crate::request::{Params, Visit};
use crate::shell::{Page, Shell, render};
use crate::{Services, humanize};

/// Silences that are over and shown.
const EXPIRED_MAX: usize = 50;

/// Silences of one list; the rest is counted.
const ROWS_MAX: usize = 500;

/// Alerts named as examples of what a silence would hit.
const EXAMPLES_MAX: usize = 5;

/// The longest silence that the form takes, milliseconds: a year.
const LONGEST_MS: i64 = 366 * 86_400_000;

/// What is in the form.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// Of the silence that is changed; else empty.
    pub(super) id: String,
    /// A matcher per line.
    pub(super) matchers: String,
    /// `2h`
    pub(super) duration: String,
    pub(super) comment: String,
    pub(super) author: String,
    /// Where to go afterwards.
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "alert_silences.html")]
struct SilencesPage {
    shell: Shell,
    draft: Draft,
    /// What the draft would hit, where that was asked.
    hits: Option<Hits>,
    error: String,
    lists: Vec<List>,
    /// Whether somebody came to make or change one.
    is_open: bool,
}

struct List {
    title: &'static str,
    rows: Vec<Row>,
    more: usize,
}

struct Row {
    id: String,
    state: SilenceState,
    matchers: Vec<String>,
    starts_at_ms: i64,
    /// `2 h 10 m`, until it begins or ends; since it ended.
    remains: String,
    ends_at_ms: i64,
    author: String,
    comment: String,
    hits: usize,
}

/// What matchers would hit.
pub(super) struct Hits {
    pub(super) count: usize,
    pub(super) examples: Vec<String>,
}

/// Matchers that mean exactly these labels, a line each.
pub(super) fn matchers_text(labels: &Labels) -> String {
    let line = |label: &model::Label| {
        let value = label.value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{}=\"{}\"", label.name, value.replace('\n', "\\n"))
    };
    labels.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads matchers, one or several per line.
fn read(text: &str) -> Result<Vec<Matcher>, String> {
    let mut all = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        all.extend(parse_matchers(line)?);
    }
    if all.is_empty() {
        return Err("write at least one matcher, as namespace=\"media\"".to_owned());
    }
    Ok(all)
}

fn hits(services: &Services, matchers: &[Matcher]) -> Hits {
    let found = services.notifier.matching(matchers);
    let name = |view: &alert_notify::AlertView| {
        let text = view.alert.annotations.get("summary");
        text.or_else(|| view.alert.labels.get("alertname"))
            .unwrap_or_default()
            .to_owned()
    };
    Hits {
        count: found.len(),
        examples: found.iter().take(EXAMPLES_MAX).map(name).collect(),
    }
}

/// Draws the page: `?edit=ID` with a silence in the form, `?matchers=…` with these.
pub(super) async fn page(State(services): State<Arc<Services>>, visit: Visit) -> Response {
    let params = &visit.params;
    let mut draft = Draft::of(params);
    let edit = params.text("edit").to_owned();
    let mut error = String::new();
    if !edit.is_empty() {
        match services.notifier.silence(&edit) {
            Ok(silence) => draft = Draft::change(&silence, visit.now_ms),
            Err(refusal) => error = refusal.to_string(),
        }
    }
    if draft.author.is_empty() {
        visit.choice("author").clone_into(&mut draft.author);
    }
    draw(&services, visit, draft, error, StatusCode::OK).await
}

async fn draw(
    services: &Arc<Services>,
    visit: Visit,
    mut draft: Draft,
    mut error: String,
    status: StatusCode,
) -> Response {
    let now_ms = visit.now_ms;
    let asked = draft.matchers.clone();
    let (silences, draft_hits) = off(services, move |services| {
        let count = |silence: Silence| {
            let hits = if silence.state_at(now_ms) == SilenceState::Expired {
                0
            } else {
                services.notifier.matching(&silence.matchers).len()
            };
            (silence, hits)
        };
        let silences: Vec<(Silence, usize)> = services
            .notifier
            .silences()
            .into_iter()
            .map(count)
            .collect();
        let wanted = !asked.trim().is_empty();
        let hits = wanted.then(|| read(&asked).map(|matchers| hits(services, &matchers)));
        (silences, hits)
    })
    .await
    .unwrap_or_default();
    let hits = match draft_hits {
        Some(Ok(hits)) => Some(hits),
        Some(Err(sentence)) => {
            if error.is_empty() {
                error = sentence;
            }
            None
        }
        None => None,
    };
    if draft.duration.is_empty() {
        "2h".clone_into(&mut draft.duration);
    }
    let list = |title, state, max: usize| {
        let mut own: Vec<Row> = silences
            .iter()
            .filter(|(silence, _)| silence.state_at(now_ms) == state)
            .map(|(silence, hits)| Row::new(silence, *hits, now_ms))
            .collect();
        match state {
            SilenceState::Active => own.sort_by_key(|row| row.ends_at_ms),
            SilenceState::Pending => own.sort_by_key(|row| row.starts_at_ms),
            SilenceState::Expired => own.sort_by_key(|row| -row.ends_at_ms),
        }
        let more = own.len().saturating_sub(max);
        own.truncate(max);
        List {
            title,
            rows: own,
            more,
        }
    };
    let lists = vec![
        list("In force", SilenceState::Active, ROWS_MAX),
        list("To come", SilenceState::Pending, ROWS_MAX),
        list("Over", SilenceState::Expired, EXPIRED_MAX),
    ];
    let mut shell = Shell::new(services, visit, Page::Alerts);
    "Silences".clone_into(&mut shell.title);
    let is_open = !draft.matchers.is_empty() || !error.is_empty();
    let mut response = render(&SilencesPage {
        shell,
        draft,
        hits,
        error,
        lists,
        is_open,
    });
    *response.status_mut() = status;
    response
}

/// `POST /alerts/silences`: makes or changes one. What is wrong is told above the form, which
/// keeps what was written.
pub(super) async fn save(
    State(services): State<Arc<Services>>,
    visit: Visit,
    body: Bytes,
) -> Response {
    let form = Params::parse(&String::from_utf8_lossy(&body));
    let draft = Draft::of(&form);
    let silence = match draft.silence(visit.now_ms) {
        Ok(silence) => silence,
        Err(error) => {
            return draw(&services, visit, draft, error, StatusCode::BAD_REQUEST).await;
        }
    };
    let done = off(&services, move |services| {
        services.notifier.set_silence(silence)
    })
    .await;
    match done {
        Some(Ok(_)) => {
            let mut response = see(if draft.back.is_empty() {
                "/alerts/silences"
            } else {
                own_path(&draft.back)
            });
            remember(&mut response, &draft.author);
            response
        }
        Some(Err(error)) => {
            let error = error.to_string();
            draw(&services, visit, draft, error, StatusCode::BAD_REQUEST).await
        }
        None => {
            let error = "making the silence failed".to_owned();
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            draw(&services, visit, draft, error, status).await
        }
    }
}

/// `POST /alerts/silences/expire`: ends one.
pub(super) async fn expire(
    State(services): State<Arc<Services>>,
    visit: Visit,
    body: Bytes,
) -> Response {
    let form = Params::parse(&String::from_utf8_lossy(&body));
    let id = form.text("id").to_owned();
    let back = match form.text("back") {
        "" => "/alerts/silences".to_owned(),
        back => own_path(back).to_owned(),
    };
    let done = off(&services, move |services| {
        services.notifier.expire_silence(&id)
    })
    .await;
    match done {
        Some(Err(error)) => {
            let error = error.to_string();
            draw(
                &services,
                visit,
                Draft::default(),
                error,
                StatusCode::CONFLICT,
            )
            .await
        }
        Some(Ok(())) | None => see(&back),
    }
}

fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/alerts/silences"));
    response.headers_mut().insert(header::LOCATION, path);
    response
}

/// Keeps who makes silences in this browser, so that the name is typed once.
fn remember(response: &mut Response, author: &str) {
    let value: String = url::form_urlencoded::byte_serialize(author.as_bytes()).collect();
    let cookie = format!("yagura_author={value}; Path=/; Max-Age=31536000; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

impl Draft {
    fn of(params: &Params) -> Self {
        let text = |name| params.text(name).to_owned();
        Self {
            id: text("id"),
            matchers: text("matchers"),
            duration: text("duration"),
            comment: text("comment"),
            author: text("author"),
            back: text("back"),
        }
    }

    /// The form that changes a silence: it goes on for as long as it had still to go.
    fn change(silence: &Silence, now_ms: i64) -> Self {
        let rest_ms = (silence.ends_at_ms - now_ms.max(silence.starts_at_ms)).max(60_000);
        let minutes = (rest_ms + 59_999) / 60_000;
        let lines = silence.matchers.iter().map(ToString::to_string);
        Self {
            id: silence.id.clone(),
            matchers: lines.collect::<Vec<_>>().join("\n"),
            duration: format!("{minutes}m"),
            comment: silence.comment.clone(),
            author: silence.created_by.clone(),
            back: String::new(),
        }
    }

    /// The silence that the form means, from now on.
    fn silence(&self, now_ms: i64) -> Result<Silence, String> {
        let matchers = read(&self.matchers)?;
        let bad = || {
            format!(
                "cannot read the duration {:?}: write 30m, 2h, 1d or 1w",
                self.duration
            )
        };
        let duration = model::duration::parse(&self.duration).map_err(|_| bad())?;
        let ms = i64::try_from(duration.as_millis()).map_err(|_| bad())?;
        if ms == 0 || ms > LONGEST_MS {
            return Err("a silence lasts between a moment and a year".to_owned());
        }
        Ok(Silence {
            id: self.id.clone(),
            matchers,
            starts_at_ms: now_ms,
            ends_at_ms: now_ms + ms,
            updated_at_ms: 0,
            created_by: self.author.clone(),
            comment: self.comment.clone(),
        })
    }
}

impl SilencesPage {
    /// Whether there is nothing to show.
    fn is_bare(&self) -> bool {
        self.lists.iter().all(|list| list.rows.is_empty())
    }
}

impl Row {
    fn new(silence: &Silence, hits: usize, now_ms: i64) -> Self {
        let state = silence.state_at(now_ms);
        let remains_ms = match state {
            SilenceState::Active => silence.ends_at_ms - now_ms,
            SilenceState::Pending => silence.starts_at_ms - now_ms,
            SilenceState::Expired => now_ms - silence.ends_at_ms,
        };
        let span = humanize::span_ms(remains_ms);
        Self {
            id: silence.id.clone(),
            state,
            matchers: silence.matchers.iter().map(ToString::to_string).collect(),
            starts_at_ms: silence.starts_at_ms,
            ends_at_ms: silence.ends_at_ms,
            remains: match state {
                SilenceState::Active => format!("{span} left"),
                SilenceState::Pending => format!("in {span}"),
                SilenceState::Expired => format!("{span} ago"),
            },
            author: silence.created_by.clone(),
            comment: silence.comment.clone(),
            hits,
        }
    }

    fn is_over(&self) -> bool {
        self.state == SilenceState::Expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_silence_or_a_sentence() {
        let draft = |matchers: &str, duration: &str| Draft {
            matchers: matchers.to_owned(),
            duration: duration.to_owned(),
            ..Draft::default()
        };
        let made = draft("a=\"b\"\r\nc=~\"d|e\", f!=g\n", "2h").silence(1_000);
        let made = made.expect("a silence");
        assert_eq!(made.matchers.len(), 3);
        assert_eq!(made.ends_at_ms, 1_000 + 7_200_000);
        for (matchers, duration) in [
            ("", "2h"),
            ("a=b", "soon"),
            ("a=b", "0s"),
            ("a=b", "9y"),
            ("a", "1h"),
        ] {
            assert!(
                draft(matchers, duration).silence(0).is_err(),
                "{matchers} {duration}"
            );
        }
    }

    #[test]
    fn an_alerts_own_matchers_read_back() {
        let labels = Labels::from_pairs([("alertname", "A \"b\" \\ c"), ("path", "/x\ny")]);
        let matchers = read(&matchers_text(&labels)).expect("matchers");
        assert!(matchers.iter().all(|m| m.matches_labels(&labels)));
        assert_eq!(matchers.len(), 2);
    }
}
