//! From the configuration as written to the one that the dispatcher works by: every value is
//! checked once, here, and a mistake names its key and, where it is known, its line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_client::HttpClientConfig;
use model::{MatchOp, Matcher};
use yaml::Spanned;

use crate::config::{Config, Receiver};
use crate::config_file::{Draft, Mistake, RawGlobal, RawInhibit, RawReceiver, RawRoute};
use crate::matchers;
use crate::message::Wording;
use crate::receivers::{Channel, Integration, Way};
use crate::route::{GroupBy, InhibitRule, Route};
use crate::shown;
use crate::time_interval::{Named, RawNamed, TimeInterval};

/// How deep routes may nest.
const ROUTE_DEPTH_MAX: usize = 64;

fn mistake(message: impl Into<String>) -> Mistake {
    Mistake {
        line: 0,
        message: message.into(),
    }
}

fn at<T>(spanned: &Spanned<T>, message: impl Into<String>) -> Mistake {
    Mistake {
        line: spanned.referenced.line(),
        message: message.into(),
    }
}

/// Checks a configuration as it was written; relative names of files start in `dir`.
pub(crate) fn check(draft: Draft, dir: &Path) -> Result<Config, Mistake> {
    let original = shown::yaml(&draft);
    let mut warnings = Vec::new();
    for (key, is_there) in [
        ("tracing", draft.tracing.is_some()),
        ("event_recorder", draft.event_recorder.is_some()),
    ] {
        if is_there {
            warnings.push(format!(
                "`{key}` of the Alertmanager configuration has no effect here"
            ));
        }
    }
    let mut global = draft.global;
    global_files_in(&mut global, dir);
    let wording = Wording::load(&draft.templates, dir)?;
    let http = checked_http(
        global.http_config.clone().unwrap_or_default(),
        dir,
        "global",
    )?;
    let time_intervals = named(
        draft
            .mute_time_intervals
            .iter()
            .chain(&draft.time_intervals),
    )?;

    let mut tree = Tree {
        receivers: BTreeMap::new(),
        unsupported: BTreeMap::new(),
        time_intervals: &time_intervals,
    };
    for raw in draft.receivers {
        let name: Arc<str> = Arc::from(raw.name.as_str());
        if name.is_empty() {
            return Err(mistake("a receiver needs a name"));
        }
        if let Some(kind) = unsupported(&raw) {
            tree.unsupported.insert(name.clone(), kind);
        }
        let context = Building {
            global: &global,
            http: &http,
            dir,
            wording: &wording,
        };
        let receiver = context
            .receiver(raw, &mut warnings)
            .map_err(|message| mistake(format!("receiver {name:?}: {message}")))?;
        if tree.receivers.insert(name.clone(), receiver).is_some() {
            return Err(mistake(format!("receiver {name:?} is there twice")));
        }
    }
    let root = draft
        .route
        .ok_or_else(|| mistake("the key `route` is missing"))?;
    let defaults = Config::silent();
    let mut resolve_timeout = defaults.resolve_timeout;
    if let Some(text) = &global.resolve_timeout {
        resolve_timeout =
            model::duration::parse(text).map_err(|error| format!("resolve_timeout: {error}"))?;
    }
    let route = tree.root(root, &defaults.route)?;
    let receivers = tree.receivers;
    let inhibit_rules = draft.inhibit_rules.into_iter().map(inhibit_rule);
    Ok(Config {
        resolve_timeout,
        route,
        receivers,
        inhibit_rules: inhibit_rules.collect::<Result<_, _>>()?,
        time_intervals,
        wording,
        original,
        warnings,
    })
}

fn global_files_in(global: &mut RawGlobal, dir: &Path) {
    for file in [
        &mut global.smtp_auth_password_file,
        &mut global.smtp_auth_secret_file,
        &mut global.slack_api_url_file,
        &mut global.slack_app_token_file,
        &mut global.opsgenie_api_key_file,
        &mut global.telegram_bot_token_file,
    ] {
        crate::receivers::start_in(dir, file);
    }
    if let Some(tls) = &mut global.smtp_tls_config {
        for file in [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file] {
            crate::receivers::start_in(dir, file);
        }
    }
}

fn checked_http(
    mut http: HttpClientConfig,
    dir: &Path,
    place: &str,
) -> Result<HttpClientConfig, Mistake> {
    http.http_files_in(dir);
    http.check()
        .map_err(|wrong| mistake(format!("{place}: http_config: {wrong}")))?;
    Ok(http)
}

fn named<'a>(raw: impl Iterator<Item = &'a RawNamed>) -> Result<Named, Mistake> {
    let mut named = Named::new();
    for interval in raw {
        let name = &interval.name;
        if name.is_empty() {
            return Err(mistake("a time interval needs a name"));
        }
        let parts = interval.time_intervals.iter().map(TimeInterval::check);
        let parts = parts
            .collect::<Result<_, _>>()
            .map_err(|error| mistake(format!("time interval {name:?}: {error}")))?;
        if named.insert(Arc::from(name.as_str()), parts).is_some() {
            return Err(mistake(format!("time interval {name:?} is there twice")));
        }
    }
    Ok(named)
}

/// The first kind of a receiver that Yagura does not send to.
fn unsupported(raw: &RawReceiver) -> Option<&'static str> {
    [
        ("incidentio_configs", raw.incidentio_configs.is_empty()),
        ("jira_configs", raw.jira_configs.is_empty()),
        ("mattermost_configs", raw.mattermost_configs.is_empty()),
        ("msteams_configs", raw.msteams_configs.is_empty()),
        ("rocketchat_configs", raw.rocketchat_configs.is_empty()),
        ("sns_configs", raw.sns_configs.is_empty()),
        ("victorops_configs", raw.victorops_configs.is_empty()),
        ("webex_configs", raw.webex_configs.is_empty()),
        ("wechat_configs", raw.wechat_configs.is_empty()),
    ]
    .into_iter()
    .find_map(|(kind, is_empty)| (!is_empty).then_some(kind))
}

/// What receivers are made with.
struct Building<'a> {
    global: &'a RawGlobal,
    http: &'a HttpClientConfig,
    dir: &'a Path,
    wording: &'a Wording,
}

impl Building<'_> {
    fn receiver(&self, raw: RawReceiver, warnings: &mut Vec<String>) -> Result<Receiver, String> {
        let mut integrations = Vec::new();
        if raw.slack_configs.iter().any(|slack| slack.update_message) {
            warnings.push(format!(
                "receiver {:?}: `update_message` has no effect: each notification is a new Slack message",
                raw.name
            ));
        }
        self.add(raw.webhook_configs, &mut integrations)?;
        self.add(raw.email_configs, &mut integrations)?;
        self.add(raw.pagerduty_configs, &mut integrations)?;
        self.add(raw.opsgenie_configs, &mut integrations)?;
        self.add(raw.slack_configs, &mut integrations)?;
        self.add(raw.pushover_configs, &mut integrations)?;
        self.add(raw.telegram_configs, &mut integrations)?;
        self.add(raw.discord_configs, &mut integrations)?;
        self.add(raw.msteamsv2_configs, &mut integrations)?;
        self.add(raw.ntfy_configs, &mut integrations)?;
        self.add(raw.gotify_configs, &mut integrations)?;
        Ok(Receiver { integrations })
    }

    fn add<W: Way + Into<Channel>>(
        &self,
        ways: Vec<W>,
        integrations: &mut Vec<Integration>,
    ) -> Result<(), String> {
        for (index, mut way) in ways.into_iter().enumerate() {
            let named = |error: String| format!("{}_configs[{index}]: {error}", W::KIND);
            way.files_in(self.dir);
            way.complete(self.global).map_err(named)?;
            let http = match way.http() {
                None => self.http.clone(),
                Some(http) => checked_http(http.clone(), self.dir, "receiver")
                    .map_err(|error| named(error.message))?,
            };
            let timeout = way.timeout().map(model::duration::parse).transpose();
            let timeout = timeout.map_err(|error| named(format!("timeout: {error}")))?;
            let integration = Integration {
                kind: W::KIND,
                index,
                send_resolved: way.send_resolved().unwrap_or(W::SEND_RESOLVED),
                timeout: timeout.filter(|timeout| *timeout > Duration::ZERO),
                http,
                channel: way.into(),
            };
            for (key, text) in integration.channel.texts() {
                let parsed = self.wording.parse(key, text);
                parsed.map_err(|error| named(format!("{key}: {error}")))?;
            }
            integrations.push(integration);
        }
        Ok(())
    }
}

/// What routes may name.
struct Tree<'a> {
    receivers: BTreeMap<Arc<str>, Receiver>,
    /// Receivers of kinds that Yagura does not send to, and the kind.
    unsupported: BTreeMap<Arc<str>, &'static str>,
    time_intervals: &'a Named,
}

impl Tree<'_> {
    fn root(&self, raw: RawRoute, defaults: &Route) -> Result<Route, Mistake> {
        if raw
            .receiver
            .as_ref()
            .is_none_or(|name| name.value.is_empty())
        {
            return Err(mistake("the root route needs a receiver"));
        }
        if !(raw.r#match.is_empty() && raw.match_re.is_empty() && raw.matchers.is_empty()) {
            return Err(mistake(
                "the root route takes all alerts, it must not have matchers",
            ));
        }
        for (key, intervals) in [
            ("mute_time_intervals", &raw.mute_time_intervals),
            ("active_time_intervals", &raw.active_time_intervals),
        ] {
            if let Some(first) = intervals.first() {
                return Err(at(first, format!("the root route must not have {key}")));
            }
        }
        if raw.r#continue {
            return Err(mistake(
                "the root route is the last, it must not have continue",
            ));
        }
        self.route(raw, defaults, None, 0)
    }

    /// Checks a route and those below it; `above` is what it inherits, `place` its number among
    /// its siblings (none for the root).
    fn route(
        &self,
        raw: RawRoute,
        above: &Route,
        place: Option<usize>,
        depth: usize,
    ) -> Result<Route, Mistake> {
        if depth > ROUTE_DEPTH_MAX {
            return Err(mistake(format!(
                "routes nest deeper than {ROUTE_DEPTH_MAX}"
            )));
        }
        let receiver = match raw.receiver.filter(|name| !name.value.is_empty()) {
            Some(name) => self.known(&name)?,
            None => above.receiver.clone(),
        };
        let matchers = all_matchers(&raw.r#match, &raw.match_re, &raw.matchers)?;
        let shown = matchers::display(&matchers);
        let mut route = Route {
            id: place.map_or_else(|| shown.clone(), |i| format!("{}/{shown}/{i}", above.id)),
            key: place.map_or_else(|| shown.clone(), |_| format!("{}/{shown}", above.key)),
            matchers,
            receiver,
            group_by: raw
                .group_by
                .map_or_else(|| Ok(above.group_by.clone()), group_by)?,
            group_wait_ms: time("group_wait", raw.group_wait, above.group_wait_ms, true)?,
            group_interval_ms: time(
                "group_interval",
                raw.group_interval,
                above.group_interval_ms,
                false,
            )?,
            repeat_interval_ms: time(
                "repeat_interval",
                raw.repeat_interval,
                above.repeat_interval_ms,
                false,
            )?,
            // Of all settings only these are not inherited.
            mute: self.intervals(raw.mute_time_intervals)?,
            active: self.intervals(raw.active_time_intervals)?,
            goes_on: raw.r#continue,
            routes: Vec::new(),
        };
        let children = raw.routes.into_iter().enumerate();
        route.routes = children
            .map(|(i, child)| self.route(child, &route, Some(i), depth + 1))
            .collect::<Result<_, _>>()?;
        Ok(route)
    }

    /// The receiver of a name.
    fn known(&self, name: &Spanned<String>) -> Result<Arc<str>, Mistake> {
        if let Some(kind) = self.unsupported.get(name.value.as_str()) {
            return Err(at(
                name,
                format!(
                    "a route leads to the receiver {:?}, which has {kind}: Yagura cannot send there. It can send by webhook, email, slack, pagerduty, opsgenie, telegram, discord, msteamsv2, pushover, ntfy and gotify",
                    name.value
                ),
            ));
        }
        if let Some((known, _)) = self.receivers.get_key_value(name.value.as_str()) {
            return Ok(known.clone());
        }
        let near = yaml::nearest(&name.value, self.receivers.keys().map(|k| &**k));
        let hint = near.map_or(String::new(), |n| format!(", did you mean {n:?}?"));
        Err(at(
            name,
            format!(
                "a route names the receiver {:?}, which is not defined{hint}",
                name.value
            ),
        ))
    }

    fn intervals(&self, names: Vec<Spanned<String>>) -> Result<Vec<Arc<str>>, Mistake> {
        let known =
            |name: Spanned<String>| match self.time_intervals.get_key_value(name.value.as_str()) {
                Some((known, _)) => Ok(known.clone()),
                None => Err(at(
                    &name,
                    format!(
                        "a route names the time interval {:?}, which is not defined",
                        name.value
                    ),
                )),
            };
        names.into_iter().map(known).collect()
    }
}

fn time(
    key: &str,
    text: Option<String>,
    inherited: i64,
    may_be_zero: bool,
) -> Result<i64, Mistake> {
    let Some(text) = text else {
        return Ok(inherited);
    };
    let parsed = model::duration::parse(&text).map_err(|error| format!("{key}: {error}"))?;
    let ms = i64::try_from(parsed.as_millis()).unwrap_or(i64::MAX / 4);
    if ms == 0 && !may_be_zero {
        return Err(mistake(format!("{key} cannot be zero")));
    }
    Ok(ms)
}

fn group_by(names: Vec<String>) -> Result<GroupBy, Mistake> {
    let count = names.len();
    if names.iter().any(|name| name == "...") {
        if count > 1 {
            return Err(mistake("group_by: `...` means all labels and stands alone"));
        }
        return Ok(GroupBy::All);
    }
    if names.iter().any(String::is_empty) {
        return Err(mistake("group_by: a label has no name"));
    }
    let set: BTreeSet<Arc<str>> = names.into_iter().map(Arc::from).collect();
    if set.len() < count {
        return Err(mistake("group_by: a label is there twice"));
    }
    Ok(GroupBy::Labels(set))
}

fn all_matchers(
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
    texts: &[Spanned<String>],
) -> Result<Vec<Matcher>, Mistake> {
    let mut all = Vec::new();
    for (name, value) in equal {
        all.push(Matcher::equal(name.as_str(), value.as_str()));
    }
    for (name, value) in regex {
        // Alertmanager writes the anchors out, and they show in the keys of groups.
        let anchored = format!("^(?:{value})$");
        let matcher = Matcher::new(name.as_str(), MatchOp::Regex, anchored);
        all.push(matcher.map_err(|error| error.to_string())?);
    }
    for text in texts {
        all.extend(matchers::parse(&text.value).map_err(|error| at(text, error))?);
    }
    Ok(all)
}

fn inhibit_rule(raw: RawInhibit) -> Result<InhibitRule, Mistake> {
    Ok(InhibitRule {
        source: all_matchers(
            &raw.source_match,
            &raw.source_match_re,
            &raw.source_matchers,
        )?,
        target: all_matchers(
            &raw.target_match,
            &raw.target_match_re,
            &raw.target_matchers,
        )?,
        equal: raw.equal.into_iter().map(Arc::from).collect(),
    })
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
