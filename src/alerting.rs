//! `alerting` of Prometheus' configuration: Alertmanagers elsewhere that get the alerts of our
//! rules, instead of or beside the built-in one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alert_notify::{ExternalAlertmanager, Relabel};
use anyhow::{Context, bail};
use metric_scrape::config::StaticConfig;
use metric_scrape::relabel::{RelabelConfig, Relabeler};
use model::Labels;
use serde::{Deserialize, Serialize};

/// Prometheus' default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Where alerts are posted below a prefix.
const PATH: &str = "/api/v2/alerts";

/// The section as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerting {
    alert_relabel_configs: Vec<RelabelConfig>,
    alertmanagers: Vec<Alertmanagers>,
}

http_client::with_http_client_keys! {
    /// Some Alertmanagers that are asked in the same way. What finds them by other means than
    /// `static_configs` is refused by name.
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(crate) struct Alertmanagers {
        static_configs: Vec<StaticConfig>,
        relabel_configs: Vec<RelabelConfig>,
        alert_relabel_configs: Vec<RelabelConfig>,
        path_prefix: Option<String>,
        scheme: Option<String>,
        timeout: Option<String>,
        api_version: Option<String>,
    }
}

impl Alerting {
    /// Who gets alerts, checked. `external` are the labels that all alerts get.
    ///
    /// # Errors
    /// The key at fault.
    pub(crate) fn targets(
        &self,
        external: &Labels,
        dir: &Path,
    ) -> anyhow::Result<Vec<ExternalAlertmanager>> {
        let mut all = Vec::new();
        for (i, section) in self.alertmanagers.iter().enumerate() {
            let targets = self.section(section, external, dir);
            all.extend(targets.with_context(|| format!("alerting: alertmanagers[{i}]"))?);
        }
        Ok(all)
    }

    fn section(
        &self,
        section: &Alertmanagers,
        external: &Labels,
        dir: &Path,
    ) -> anyhow::Result<Vec<ExternalAlertmanager>> {
        if let Some(version) = section.api_version.as_deref().filter(|v| *v != "v2") {
            bail!("api_version {version:?} is not spoken here, only v2");
        }
        let timeout = match &section.timeout {
            None => TIMEOUT_DEFAULT,
            Some(text) => model::duration::parse(text).context("timeout")?,
        };
        let mut section = section.clone();
        section.http_files_in(dir);
        let http = section.http_client();
        http.check()?;
        let find = relabeler("relabel_configs", &section.relabel_configs)?;
        let general = relabeler("alert_relabel_configs", &self.alert_relabel_configs)?;
        let own = relabeler("alert_relabel_configs", &section.alert_relabel_configs)?;
        let external = external.clone();
        let relabel: Relabel = Arc::new(move |labels| {
            let mut builder = labels.to_builder();
            for label in &external {
                if builder.get(&label.name).is_none() {
                    builder.set(label.name.clone(), label.value.clone());
                }
            }
            (general.apply(&mut builder) && own.apply(&mut builder)).then(|| builder.build())
        });
        let prefix = section
            .path_prefix
            .as_deref()
            .unwrap_or("/")
            .trim_end_matches('/');
        let mut targets = Vec::new();
        for group in &section.static_configs {
            for address in &group.targets {
                let mut labels = Labels::from_pairs(
                    group
                        .labels
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str())),
                )
                .to_builder();
                labels.set("__address__", address.as_str());
                labels.set("__scheme__", section.scheme.as_deref().unwrap_or("http"));
                labels.set("__alerts_path__", format!("{prefix}{PATH}"));
                if !find.apply(&mut labels) {
                    continue;
                }
                let part = |name: &str| labels.get(name).unwrap_or_default().to_owned();
                targets.push(ExternalAlertmanager {
                    url: format!(
                        "{}://{}/{}",
                        part("__scheme__"),
                        part("__address__"),
                        part("__alerts_path__").trim_start_matches('/')
                    ),
                    http: http.clone(),
                    timeout,
                    relabel: relabel.clone(),
                });
            }
        }
        Ok(targets)
    }
}

fn relabeler(key: &str, configs: &[RelabelConfig]) -> anyhow::Result<Relabeler> {
    Relabeler::new(configs).map_err(|reason| anyhow::anyhow!("{key}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> anyhow::Result<Vec<ExternalAlertmanager>> {
        let alerting: Alerting = yaml::from_str(text, "p.yml")?;
        let external = Labels::from_pairs([("cluster", "c"), ("replica", "r")]);
        alerting.targets(&external, Path::new("."))
    }

    #[test]
    fn targets_have_addresses_and_alerts_their_labels() {
        let targets = targets(
            r"
alert_relabel_configs: [{regex: replica, action: labeldrop}]
alertmanagers:
- path_prefix: /am/
  scheme: https
  api_version: v2
  timeout: 3s
  basic_auth: {username: u, password: p}
  static_configs: [{targets: ['a:9093', 'b:9093']}]
  relabel_configs: [{source_labels: [__address__], regex: 'b.*', action: drop}]
  alert_relabel_configs: [{source_labels: [severity], regex: info, action: drop}]
",
        )
        .expect("they are good");
        let urls: Vec<&str> = targets.iter().map(|target| target.url.as_str()).collect();
        assert_eq!(urls, ["https://a:9093/am/api/v2/alerts"]);
        let sent =
            |severity: &str| (targets[0].relabel)(Labels::from_pairs([("severity", severity)]));
        let expected = Labels::from_pairs([("severity", "page"), ("cluster", "c")]);
        assert_eq!(sent("page"), Some(expected));
        assert_eq!(sent("info"), None);
    }

    #[test]
    fn what_is_not_spoken_is_named() {
        let error = |text: &str| format!("{:#}", targets(text).map(|_| ()).expect_err(text));
        assert!(error("{alertmanagers: [{api_version: v1}]}").contains("only v2"));
        assert!(error("{alertmanagers: [{dns_sd_configs: []}]}").contains("dns_sd_configs"));
    }
}
