//! From a job and an address to a target: labels, URL, interval, and what becomes of its answer.
//!
//! Order, as in Prometheus: labels of the list, then `job`, `__scrape_interval__`,
//! `__scrape_timeout__`, `__metrics_path__`, `__scheme__`, `__param_*` where not set; relabelling;
//! then the URL is made of what the labels say now, `instance` is the address where not set, and
//! other labels with `__` go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, LabelsBuilder};
use url::Url;

use crate::ScrapeError;
use crate::config::{GlobalConfig, ScrapeConfig, Size};
use crate::http::JobClient;
use crate::local::LocalSource;
use crate::page::Timestamps;
use crate::relabel::Relabeler;
use crate::series::{LabelLimits, SeriesRules};

/// Largest page where the configuration sets no limit. The largest pages in the wild (cAdvisor,
/// kube-state-metrics of big clusters) have some 30 MB.
pub const BODY_BYTES_MAX_DEFAULT: u64 = 64 << 20;

/// Everything that a scrape loop must know about its target.
#[derive(Debug)]
pub(crate) struct TargetSpec {
    /// Unique in the process and the same after a restart: the store's name for it.
    pub(crate) name: String,
    /// The job of the configuration.
    pub(crate) pool: String,
    /// Labels before relabelling.
    pub(crate) discovered: Labels,
    /// Labels that its series get.
    pub(crate) labels: Labels,
    /// Its address as people see it.
    pub(crate) shown_url: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) source: Source,
    pub(crate) rules: Arc<SeriesRules>,
    pub(crate) timestamps: Timestamps,
    /// Most samples after relabelling.
    pub(crate) samples_max: Option<usize>,
}

/// Where its pages come from.
#[derive(Debug)]
pub(crate) enum Source {
    Http {
        url: Url,
        client: Arc<JobClient>,
        body_bytes_max: u64,
    },
    Local(LocalSource),
}

/// Says what is wrong with an address, `host:port`.
pub(crate) fn check_address(address: &str) -> Result<(), String> {
    if address.is_empty() {
        return Err("a target needs an address".to_owned());
    }
    if address.contains('/') {
        return Err(format!(
            "{address:?} is not host:port (scheme and metrics_path are keys of their own)"
        ));
    }
    if Url::parse(&format!("http://{address}")).is_err() || address.contains(['@', '?', '#']) {
        return Err(format!("{address:?} is not host:port"));
    }
    Ok(())
}

/// Makes the targets of a job. Those that relabelling drops are left out.
pub(crate) fn of_job(
    global: &GlobalConfig,
    job: &ScrapeConfig,
    client: &Arc<JobClient>,
) -> Result<Vec<Arc<TargetSpec>>, ScrapeError> {
    let wrong = |key: &'static str, why: String| ScrapeError::config(&job.job_name, key, why);
    let relabel = Relabeler::new(&job.relabel_configs).map_err(|w| wrong("relabel_configs", w))?;
    let rules = Arc::new(SeriesRules {
        honor_labels: job.honor_labels,
        relabel: Relabeler::new(&job.metric_relabel_configs)
            .map_err(|why| wrong("metric_relabel_configs", why))?,
        limits: LabelLimits {
            labels: job.label_limit.unwrap_or(global.label_limit),
            name_bytes: job
                .label_name_length_limit
                .unwrap_or(global.label_name_length_limit),
            value_bytes: job
                .label_value_length_limit
                .unwrap_or(global.label_value_length_limit),
        },
    });
    let mut targets = Vec::new();
    for group in &job.static_configs {
        for address in &group.targets {
            let discovered = discovered_labels(global, job, &group.labels, address);
            let mut labels = discovered.to_builder();
            if !relabel.apply(&mut labels) {
                continue;
            }
            let spec = one(global, job, client, &rules, discovered, labels)
                .map_err(|why| wrong("static_configs", format!("target {address:?}: {why}")))?;
            targets.push(Arc::new(spec));
        }
    }
    Ok(targets)
}

fn discovered_labels(
    global: &GlobalConfig,
    job: &ScrapeConfig,
    group: &BTreeMap<String, String>,
    address: &str,
) -> Labels {
    let mut labels = LabelsBuilder::default();
    labels.set("job", &*job.job_name);
    let interval = model::duration::format(job.scrape_interval(global));
    labels.set("__scrape_interval__", interval);
    let timeout = model::duration::format(job.scrape_timeout(global));
    labels.set("__scrape_timeout__", timeout);
    let path = job.metrics_path.as_deref().unwrap_or("/metrics");
    labels.set("__metrics_path__", path);
    labels.set("__scheme__", job.scheme.as_deref().unwrap_or("http"));
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set(format!("__param_{name}"), &**first);
        }
    }
    // What the list says wins over what the job says.
    for (name, value) in group {
        labels.set(&**name, &**value);
    }
    labels.set("__address__", address);
    labels.build()
}

fn one(
    global: &GlobalConfig,
    job: &ScrapeConfig,
    client: &Arc<JobClient>,
    rules: &Arc<SeriesRules>,
    discovered: Labels,
    labels: LabelsBuilder,
) -> Result<TargetSpec, String> {
    let labels = labels.build();
    let label = |name: &str| labels.get(name).unwrap_or_default();
    let address = label("__address__").to_owned();
    check_address(&address)?;
    let duration = |name: &str| {
        model::duration::parse(label(name)).map_err(|error| format!("label {name}: {error}"))
    };
    let interval = duration("__scrape_interval__")?;
    let timeout = duration("__scrape_timeout__")?;
    if interval.is_zero() || timeout.is_zero() || timeout > interval {
        return Err(
            "interval and timeout must be above 0, the timeout at most the interval".into(),
        );
    }
    let url = url_of(job, &labels, &address)?;
    let mut own = labels.filtered(|name| !name.starts_with("__")).to_builder();
    if own.get("instance").is_none() {
        own.set("instance", address);
    }
    let own = own.build();
    let mut shown = url.clone();
    // Parameters may carry tokens; the labels show those that are meant to be seen.
    shown.set_query(None);
    let identity = Labels::from_pairs([("url", url.as_str()), ("labels", &own.to_string())]);
    Ok(TargetSpec {
        name: format!(
            "scrape/{}/{shown}#{:016x}",
            job.job_name,
            identity.fingerprint()
        ),
        pool: job.job_name.clone(),
        discovered,
        labels: own,
        shown_url: shown.into(),
        interval,
        timeout,
        source: Source::Http {
            url,
            client: client.clone(),
            body_bytes_max: match job.body_size_limit.unwrap_or(global.body_size_limit) {
                Size(0) => BODY_BYTES_MAX_DEFAULT,
                Size(bytes) => bytes,
            },
        },
        rules: rules.clone(),
        timestamps: if job.honor_timestamps.unwrap_or(true) {
            Timestamps::Honor {
                track_staleness: job.track_timestamps_staleness,
            }
        } else {
            Timestamps::Ignore
        },
        samples_max: match job.sample_limit.unwrap_or(global.sample_limit) {
            0 => None,
            limit => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        },
    })
}

/// The URL to ask, made of the labels after relabelling.
fn url_of(job: &ScrapeConfig, labels: &Labels, address: &str) -> Result<Url, String> {
    let scheme = labels.get("__scheme__").unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("scheme {scheme:?} is neither http nor https"));
    }
    let mut url = Url::parse(&format!("{scheme}://{address}"))
        .map_err(|error| format!("{address:?} is not host:port: {error}"))?;
    url.set_path(labels.get("__metrics_path__").unwrap_or("/metrics"));
    let mut params: BTreeMap<String, Vec<String>> = job.params.clone();
    for label in labels {
        if let Some(name) = label.name.strip_prefix("__param_") {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => *first = label.value.to_string(),
                None => values.push(label.value.to_string()),
            }
        }
    }
    if !params.is_empty() {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Clients;

    fn targets(job: &str) -> Result<Vec<Arc<TargetSpec>>, String> {
        let global = GlobalConfig::default();
        let job: ScrapeConfig = serde_saphyr::from_str(job).map_err(|error| error.to_string())?;
        let client = Clients::default().of_job(&global, &job);
        of_job(&global, &job, &client).map_err(|error| error.to_string())
    }

    fn url(target: &TargetSpec) -> &str {
        match &target.source {
            Source::Http { url, .. } => url.as_str(),
            Source::Local(_) => "",
        }
    }

    #[test]
    fn builds_labels_and_urls() {
        let targets = targets(
            "{job_name: j, static_configs: [{targets: ['h:1', '[::1]:2', noport], labels: {env: p}}]}",
        )
        .expect("good targets");
        assert_eq!(targets.len(), 3);
        assert_eq!(url(&targets[0]), "http://h:1/metrics");
        assert_eq!(
            targets[0].labels.to_string(),
            r#"{env="p", instance="h:1", job="j"}"#
        );
        assert_eq!(targets[0].discovered.get("__scrape_timeout__"), Some("10s"));
        assert_eq!(url(&targets[1]), "http://[::1]:2/metrics");
        assert_eq!(targets[2].labels.get("instance"), Some("noport"));
        assert_ne!(targets[0].name, targets[1].name);
    }

    #[test]
    fn relabelling_decides_about_everything() {
        let targets = targets(
            "job_name: probe
metrics_path: /probe
params: {module: [http], token: [s3cret, two]}
static_configs: [{targets: ['https://a.example/x?y=1', 'drop.me']}]
relabel_configs:
- {source_labels: [__address__], regex: drop.*, action: drop}
- {source_labels: [__address__], target_label: __param_target}
- {source_labels: [__param_target], target_label: instance}
- {target_label: __address__, replacement: 'prober:9115'}
- {target_label: __scrape_interval__, replacement: 5m}
- {target_label: __tmp, replacement: x}
",
        );
        let targets = targets.expect("good targets");
        assert_eq!(targets.len(), 1);
        assert_eq!(
            url(&targets[0]),
            "http://prober:9115/probe?module=http&target=https%3A%2F%2Fa.example%2Fx%3Fy%3D1\
             &token=s3cret&token=two"
        );
        assert_eq!(
            targets[0].labels.to_string(),
            r#"{instance="https://a.example/x?y=1", job="probe"}"#
        );
        assert_eq!(targets[0].interval, Duration::from_mins(5));
        for shown in [&targets[0].shown_url, &targets[0].name] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn refuses_addresses_that_are_none() {
        let check = |job: &str, part: &str| {
            let error = targets(job).expect_err(job);
            assert!(error.contains(part), "{error}");
        };
        check(
            "{job_name: j, static_configs: [{targets: ['h:1/metrics']}]}",
            "not host:port",
        );
        check(
            "{job_name: j, static_configs: [{targets: ['h:99999']}]}",
            "not host:port",
        );
        check(
            "{job_name: j, static_configs: [{targets: ['me:pw@h:1']}]}",
            "not host:port",
        );
        check(
            "{job_name: j, static_configs: [{targets: [h], labels: {__scheme__: ftp}}]}",
            "neither http nor https",
        );
        check(
            "{job_name: j, static_configs: [{targets: [h], labels: {__scrape_timeout__: 5m}}]}",
            "at most the interval",
        );
    }
}
