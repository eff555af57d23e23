//! From the configuration as written to the one that the dispatcher works by: every value is
//! checked once, here, and a mistake names its key and, where it is known, its line.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use model::{MatchOp, Matcher};

use crate::config::{
    Authorization, Config, HttpConfig, Receiver, SecretSource, UrlSource, Webhook, http_url,
};
use crate::config_file::{Mistake, Raw, RawHttp, RawInhibit, RawRoute, RawWebhook};
use crate::matchers;
use crate::route::{GroupBy, InhibitRule, Route};
use crate::secret::Secret;

/// How deep routes may nest.
const ROUTE_DEPTH_MAX: usize = 64;

/// Checks a configuration as it was written.
pub(crate) fn check(raw: Raw) -> Result<Config, Mistake> {
    raw.refuse()?;
    let global = raw.global.unwrap_or_default();
    global.refuse()?;
    let http = global
        .http_config
        .map(http_config)
        .transpose()?
        .unwrap_or_default();
    let mut receivers = BTreeMap::new();
    for receiver in raw.receivers {
        receiver.refuse()?;
        let name: Arc<str> = Arc::from(receiver.name);
        if name.is_empty() {
            return Err(Mistake::from("a receiver needs a name".to_owned()));
        }
        let named = |mistake: Mistake| Mistake {
            line: mistake.line,
            message: format!("receiver {name:?}: {}", mistake.message),
        };
        let webhooks = receiver
            .webhook_configs
            .into_iter()
            .map(|hook| webhook(hook, &http))
            .collect::<Result<_, _>>()
            .map_err(named)?;
        if receivers
            .insert(name.clone(), Receiver { webhooks })
            .is_some()
        {
            return Err(Mistake::from(format!("receiver {name:?} is there twice")));
        }
    }
    let root = raw
        .route
        .ok_or_else(|| "the key `route` is missing".to_owned())?;
    let defaults = Config::silent();
    let mut resolve_timeout = defaults.resolve_timeout;
    if let Some(text) = &global.resolve_timeout {
        resolve_timeout =
            model::duration::parse(text).map_err(|error| format!("resolve_timeout: {error}"))?;
    }
    Ok(Config {
        resolve_timeout,
        route: root_route(root, &defaults.route, &receivers)?,
        receivers,
        inhibit_rules: raw
            .inhibit_rules
            .into_iter()
            .map(inhibit_rule)
            .collect::<Result<_, _>>()?,
    })
}

fn root_route(
    raw: RawRoute,
    defaults: &Route,
    receivers: &BTreeMap<Arc<str>, Receiver>,
) -> Result<Route, Mistake> {
    let fail = |message: &str| Err(Mistake::from(message.to_owned()));
    if raw.receiver.as_deref().unwrap_or_default().is_empty() {
        return fail("the root route needs a receiver");
    }
    if !(raw.r#match.is_empty() && raw.match_re.is_empty() && raw.matchers.is_empty()) {
        return fail("the root route takes all alerts, it must not have matchers");
    }
    if raw.r#continue {
        return fail("the root route is the last, it must not have continue");
    }
    route(raw, defaults, None, receivers, 0)
}

/// Checks a route and those below it; `above` is what it inherits, `place` its number among its
/// siblings (none for the root).
fn route(
    raw: RawRoute,
    above: &Route,
    place: Option<usize>,
    receivers: &BTreeMap<Arc<str>, Receiver>,
    depth: usize,
) -> Result<Route, Mistake> {
    raw.refuse()?;
    if depth > ROUTE_DEPTH_MAX {
        return Err(Mistake::from(format!(
            "routes nest deeper than {ROUTE_DEPTH_MAX}"
        )));
    }
    let receiver = match raw.receiver.filter(|name| !name.is_empty()) {
        Some(name) => known(&name, receivers)?,
        None => above.receiver.clone(),
    };
    let matchers = all_matchers(&raw.r#match, &raw.match_re, &raw.matchers)?;
    let shown = matchers::display(&matchers);
    let time = |key: &str, text: Option<String>, inherited: i64, may_be_zero: bool| {
        let Some(text) = text else {
            return Ok(inherited);
        };
        let parsed = model::duration::parse(&text).map_err(|error| format!("{key}: {error}"))?;
        let ms = i64::try_from(parsed.as_millis()).unwrap_or(i64::MAX / 4);
        if ms == 0 && !may_be_zero {
            return Err(Mistake::from(format!("{key} cannot be zero")));
        }
        Ok(ms)
    };
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
        goes_on: raw.r#continue,
        routes: Vec::new(),
    };
    route.routes = raw
        .routes
        .into_iter()
        .enumerate()
        .map(|(i, child)| self::route(child, &route, Some(i), receivers, depth + 1))
        .collect::<Result<_, _>>()?;
    Ok(route)
}

/// The receiver of a name.
fn known(name: &str, receivers: &BTreeMap<Arc<str>, Receiver>) -> Result<Arc<str>, Mistake> {
    if let Some((known, _)) = receivers.get_key_value(name) {
        return Ok(known.clone());
    }
    let near = yaml::nearest(name, receivers.keys().map(|k| &**k));
    let hint = near.map_or(String::new(), |n| format!(", did you mean {n:?}?"));
    Err(Mistake::from(format!(
        "a route names the receiver {name:?}, which is not defined{hint}"
    )))
}

fn group_by(names: Vec<String>) -> Result<GroupBy, Mistake> {
    let count = names.len();
    if names.iter().any(|name| name == "...") {
        if count > 1 {
            return Err(Mistake::from(
                "group_by: `...` means all labels and stands alone".to_owned(),
            ));
        }
        return Ok(GroupBy::All);
    }
    let set: BTreeSet<Arc<str>> = names.into_iter().map(Arc::from).collect();
    if set.len() < count {
        return Err(Mistake::from("group_by: a label is there twice".to_owned()));
    }
    Ok(GroupBy::Labels(set))
}

fn all_matchers(
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
    texts: &[String],
) -> Result<Vec<Matcher>, Mistake> {
    let mut all = Vec::new();
    for (map, op) in [(equal, MatchOp::Equal), (regex, MatchOp::Regex)] {
        for (name, value) in map {
            let matcher = Matcher::new(name.as_str(), op, value.as_str());
            all.push(matcher.map_err(|error| error.to_string())?);
        }
    }
    for text in texts {
        all.extend(matchers::parse(text)?);
    }
    Ok(all)
}

fn inhibit_rule(raw: RawInhibit) -> Result<InhibitRule, Mistake> {
    raw.refuse()?;
    let rule = InhibitRule {
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
    };
    if rule.source.is_empty() || rule.target.is_empty() {
        return Err(Mistake::from(
            "an inhibit rule needs source_matchers and target_matchers".to_owned(),
        ));
    }
    Ok(rule)
}

fn webhook(raw: RawWebhook, global: &HttpConfig) -> Result<Webhook, Mistake> {
    raw.refuse()?;
    let url = match (raw.url, raw.url_file) {
        (Some(url), None) => UrlSource::Given(http_url(url.expose())?),
        (None, Some(file)) => UrlSource::File(file),
        _ => {
            return Err(Mistake::from(
                "a webhook needs either url or url_file".to_owned(),
            ));
        }
    };
    let timeout = raw
        .timeout
        .map(|text| model::duration::parse(&text).map_err(|error| format!("timeout: {error}")))
        .transpose()?;
    Ok(Webhook {
        url,
        send_resolved: raw.send_resolved.unwrap_or(true),
        max_alerts: raw.max_alerts,
        http: raw
            .http_config
            .map_or_else(|| Ok(global.clone()), http_config)?,
        timeout: timeout.filter(|t| !t.is_zero()),
    })
}

fn http_config(raw: RawHttp) -> Result<HttpConfig, Mistake> {
    raw.refuse()?;
    let mut ways = HashSet::new();
    let mut authorization = None;
    if let Some(basic) = raw.basic_auth {
        basic.refuse()?;
        ways.insert("basic_auth");
        let password = one_of("password", basic.password, basic.password_file)?;
        authorization = Some(Authorization::Basic(basic.username, password));
    }
    if let Some(scheme) = raw.authorization {
        scheme.refuse()?;
        ways.insert("authorization");
        let name = scheme.r#type.unwrap_or_else(|| "Bearer".to_owned());
        let credentials = one_of("credentials", scheme.credentials, scheme.credentials_file)?;
        authorization = Some(Authorization::Scheme(name, credentials));
    }
    if raw.bearer_token.is_some() || raw.bearer_token_file.is_some() {
        ways.insert("bearer_token");
        let token = one_of("bearer_token", raw.bearer_token, raw.bearer_token_file)?;
        authorization = Some(Authorization::Scheme("Bearer".to_owned(), token));
    }
    if ways.len() > 1 {
        return Err(Mistake::from(
            "http_config: use one of basic_auth, authorization and bearer_token".to_owned(),
        ));
    }
    Ok(HttpConfig {
        authorization,
        follow_redirects: raw.follow_redirects.unwrap_or(true),
    })
}

fn one_of(
    key: &str,
    given: Option<Secret>,
    file: Option<PathBuf>,
) -> Result<SecretSource, Mistake> {
    match (given, file) {
        (Some(secret), None) => Ok(SecretSource::Given(secret)),
        (None, Some(file)) => Ok(SecretSource::File(file)),
        _ => Err(Mistake::from(format!("write either {key} or {key}_file"))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_usual_configuration_is_read() {
        let config = Config::parse(
            r"
global:
  resolve_timeout: 1m
  http_config: {authorization: {credentials: s3cret-token}}
route:
  receiver: hook
  group_by: [alertname, job]
  group_wait: 500ms
  group_interval: 2m
  repeat_interval: 1h
  routes:
  - matchers: ['severity=info']
    receiver: quiet
receivers:
- name: hook
  webhook_configs:
  - url: http://example.com/s3cret-path
    max_alerts: 10
  - url_file: /etc/hook
    send_resolved: false
    http_config: {basic_auth: {username: u, password: s3cret-word}}
- name: quiet
inhibit_rules:
- source_matchers: [severity=critical]
  target_match: {severity: warning}
  equal: [alertname]
",
            "am.yml",
        )
        .expect("a configuration");
        assert_eq!(config.resolve_timeout, Duration::from_mins(1));
        let child = &config.route.routes[0];
        assert_eq!(
            (child.group_wait_ms, child.group_interval_ms),
            (500, 120_000)
        );
        assert_eq!(config.receivers["hook"].webhooks.len(), 2);
        assert!(config.receivers["quiet"].webhooks.is_empty());
        assert_eq!(config.inhibit_rules.len(), 1);
        let shown = format!("{config:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, expected: &str| {
            let error = Config::parse(text, "am.yml").expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        let with = |receiver: &str| {
            format!("route: {{receiver: r}}\nreceivers:\n- name: r\n  {receiver}\n")
        };
        check(
            &with("slack_configs: [{channel: x}]"),
            "am.yml:4: slack_configs is not supported yet",
        );
        check(&with("webhok_configs: []"), "am.yml:4:");
        check(
            &with("webhok_configs: []"),
            "did you mean `webhook_configs`?",
        );
        check(
            &with("webhook_configs: [{}]"),
            "receiver \"r\": a webhook needs either url or url_file",
        );
        check(
            &with("webhook_configs: [{url: 'ftp://s3cret@x'}]"),
            "must begin with http",
        );
        check(
            &with("webhook_configs: [{url: 'http://x', http_config: {tls_config: {ca_file: x}}}]"),
            "tls_config is not supported yet",
        );
        check(
            &with("webhook_configs: [{url: 'http://x', http_config: {basic_auth: {username: u}}}]"),
            "either password or password_file",
        );
        check(
            "global: {smtp_from: x}\nroute: {receiver: r}\n",
            "smtp_from is not supported yet",
        );
        check("receivers: [{name: r}]\n", "`route` is missing");
        check("route: {}\n", "needs a receiver");
        check(
            "route: {receiver: hok}\nreceivers: [{name: hook}]\n",
            "did you mean \"hook\"?",
        );
        check(
            "route: {receiver: r, matchers: [a=b]}\nreceivers: [{name: r}]\n",
            "must not have matchers",
        );
        check(
            "route: {receiver: r, continue: true}\nreceivers: [{name: r}]\n",
            "must not have continue",
        );
        check(
            "route: {receiver: r, group_by: [a, a]}\nreceivers: [{name: r}]\n",
            "there twice",
        );
        check(
            "route: {receiver: r, group_by: [a, '...']}\nreceivers: [{name: r}]\n",
            "stands alone",
        );
        check(
            "route: {receiver: r, group_interval: 0s}\nreceivers: [{name: r}]\n",
            "group_interval cannot be zero",
        );
        check(
            "route: {receiver: r, group_wait: soon}\nreceivers: [{name: r}]\n",
            "group_wait: not a duration",
        );
        check(
            "route: {receiver: r}\nreceivers: [{name: r}, {name: r}]\n",
            "there twice",
        );
        check(
            "route: {receiver: r, routes: [{matchers: ['a']}]}\nreceivers: [{name: r}]\n",
            "cannot read matcher",
        );
        check(
            "route: {receiver: r, mute_time_intervals: [x]}\nreceivers: [{name: r}]\n",
            "mute_time_intervals is not supported yet",
        );
    }

    #[test]
    fn no_message_repeats_an_address() {
        for url in ["ftp://s3cret", "s3cret", "http://", "http://[s3cret"] {
            let error = Config::webhook(url).expect_err(url).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let config = Config::webhook("http://127.0.0.1:9999/hook").expect("a webhook");
        assert_eq!(config.receivers["webhook"].webhooks.len(), 1);
    }

    #[test]
    fn it_may_stand_inside_another_file() {
        #[derive(Debug, Deserialize)]
        struct Outer {
            alertmanager: Config,
        }
        let good = "alertmanager:\n  route: {receiver: r}\n  receivers: [{name: r}]\n";
        let outer: Outer = yaml::from_str(good, "y.yaml").expect("a configuration");
        assert_eq!(&*outer.alertmanager.route.receiver, "r");
        let bad = good.replace("{name: r}", "{name: r, email_configs: []}");
        let error = yaml::from_str::<Outer>(&bad, "y.yaml").expect_err("refused");
        let text = error.to_string();
        assert!(
            text.contains("email_configs is not supported yet (line 3)"),
            "{text}"
        );
    }
}
