//! From a job and an address to a target: labels, URL, interval, and what becomes of its answer.
//!
//! Order, as in Prometheus: labels of the list, then `job`, `__scrape_interval__`,
//! `__scrape_timeout__`, `__metrics_path__`, `__scheme__`, `__param_*` where not set; relabelling;
//! then the URL is made of what the labels say now, `instance` is the address where not set, and
//! other labels with `__` go.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http_client::Clients;
use model::{DroppedTarget, Labels, LabelsBuilder, RelabelStep};
use url::Url;

use crate::ScrapeError;
use crate::config::{GlobalConfig, ScrapeConfig, Size, ValidationScheme};
use crate::discovery::{TargetGroup, at};
use crate::http::JobClient;
use crate::local::LocalSource;
use crate::page::{Histograms, Timestamps};
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
    pub(crate) histograms: Histograms,
    /// Most samples after relabelling.
    pub(crate) samples_max: Option<usize>,
    /// Three more series about each scrape are wanted.
    pub(crate) extra_metrics: bool,
}

impl TargetSpec {
    /// Whether a page of this target means the same as under another specification.
    pub(crate) fn reads_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
            && self.labels == other.labels
            && self.timestamps == other.timestamps
            && self.histograms == other.histograms
    }

    /// Whether nothing at all differs.
    fn is_same(&self, other: &Self) -> bool {
        self.reads_like(other)
            && self.name == other.name
            && self.discovered == other.discovered
            && self.interval == other.interval
            && self.timeout == other.timeout
    }
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
    /// It is not asked, since its job has too many targets.
    OverLimit {
        count: usize,
        limit: u64,
    },
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

/// Dropped targets of a job that are kept to be shown, where the configuration does not say
/// fewer. All of them are counted.
const DROPPED_KEPT_MAX: usize = 1_000;

/// What a job's keys mean for its targets: checked once, used whenever targets are found.
pub(crate) struct Job {
    global: GlobalConfig,
    pub(crate) config: ScrapeConfig,
    client: Arc<JobClient>,
    relabel: Relabeler,
    rules: Arc<SeriesRules>,
}

/// The targets of a job.
#[derive(Default)]
pub(crate) struct JobTargets {
    pub(crate) targets: Vec<Arc<TargetSpec>>,
    /// Those that relabelling drops, up to a limit.
    pub(crate) dropped: Vec<DroppedTarget>,
    /// How many those are without the limit.
    pub(crate) dropped_count: usize,
    /// What is wrong with targets that cannot be asked, each a sentence.
    pub(crate) problems: Vec<String>,
}

impl Job {
    /// Checks what a job says about its targets and series.
    pub(crate) fn new(
        global: &GlobalConfig,
        config: &ScrapeConfig,
        clients: &Clients,
    ) -> Result<Self, ScrapeError> {
        let wrong =
            |key: &'static str, why: String| ScrapeError::config(&config.job_name, key, why);
        let relabel =
            Relabeler::new(&config.relabel_configs).map_err(|why| wrong("relabel_configs", why))?;
        let rules = SeriesRules {
            honor_labels: config.honor_labels,
            relabel: Relabeler::new(&config.metric_relabel_configs)
                .map_err(|why| wrong("metric_relabel_configs", why))?,
            limits: LabelLimits {
                labels: config.label_limit.unwrap_or(global.label_limit),
                name_bytes: config
                    .label_name_length_limit
                    .unwrap_or(global.label_name_length_limit),
                value_bytes: config
                    .label_value_length_limit
                    .unwrap_or(global.label_value_length_limit),
            },
            legacy_names: config.validation_scheme(global) == ValidationScheme::Legacy,
        };
        Ok(Self {
            client: Arc::new(JobClient::of_job(clients, global, config)),
            relabel,
            rules: Arc::new(rules),
            global: global.clone(),
            config: config.clone(),
        })
    }

    /// What relabelling does to a target with these labels, rule by rule.
    pub(crate) fn relabel_steps(&self, discovered: &Labels) -> Vec<RelabelStep> {
        self.relabel.steps(discovered)
    }

    /// The targets of the job: those that it lists itself, and those of `groups`. One that was
    /// there before in the same form is the one of `before`.
    pub(crate) fn targets(
        &self,
        groups: &[Arc<Vec<TargetGroup>>],
        before: &[Arc<TargetSpec>],
    ) -> JobTargets {
        let before: HashMap<&str, &Arc<TargetSpec>> =
            before.iter().map(|spec| (&*spec.name, spec)).collect();
        let mut out = JobTargets::default();
        let mut names = HashSet::new();
        let listed = self.config.static_configs.iter().flat_map(|group| {
            let targets = group.targets.iter().cloned();
            targets.map(move |address| (&group.labels, at(address)))
        });
        let found = groups.iter().flat_map(|groups| groups.iter());
        let found = found.flat_map(|group| {
            let targets = group.targets.iter().cloned();
            targets.map(move |target| (&group.labels, target))
        });
        for (group, target) in listed.chain(found) {
            // A target's own labels win over those of its group.
            let labels = group.iter().filter(|(name, _)| !target.contains_key(*name));
            let labels = labels.chain(&target);
            let discovered = discovered_labels(&self.global, &self.config, labels);
            let mut labels = discovered.to_builder();
            if let Some(rule) = self.relabel.dropped_by(&mut labels) {
                out.dropped_count += 1;
                if out.dropped.len() < self.dropped_kept_max() {
                    out.dropped.push(DroppedTarget {
                        scrape_pool: self.config.job_name.clone(),
                        discovered_labels: discovered,
                        rule,
                    });
                }
                continue;
            }
            let address = target.get("__address__");
            match one(self, discovered, labels) {
                Ok(spec) if names.insert(spec.name.clone()) => {
                    let same = before.get(&*spec.name).filter(|old| old.is_same(&spec));
                    out.targets
                        .push(same.map_or_else(|| Arc::new(spec), |old| (*old).clone()));
                }
                // The same target from two lists is one target.
                Ok(_) => {}
                Err(why) => {
                    let address = address.map(String::as_str).unwrap_or_default();
                    out.problems.push(format!("target {address:?}: {why}"));
                }
            }
        }
        let limit = self.config.target_limit.unwrap_or(self.global.target_limit);
        let count = out.targets.len();
        if limit > 0 && count as u64 > limit {
            for spec in &mut out.targets {
                *spec = Arc::new(spec.over_limit(count, limit));
            }
        }
        out
    }

    fn dropped_kept_max(&self) -> usize {
        match self
            .config
            .keep_dropped_targets
            .unwrap_or(self.global.keep_dropped_targets)
        {
            0 => DROPPED_KEPT_MAX,
            limit => usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(DROPPED_KEPT_MAX),
        }
    }
}

fn discovered_labels<'a>(
    global: &GlobalConfig,
    job: &ScrapeConfig,
    own: impl Iterator<Item = (&'a String, &'a String)>,
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
    for (name, value) in own {
        labels.set(&**name, &**value);
    }
    labels.build()
}

fn one(of: &Job, discovered: Labels, labels: LabelsBuilder) -> Result<TargetSpec, String> {
    let (global, job) = (&of.global, &of.config);
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
            client: of.client.clone(),
            body_bytes_max: match job.body_size_limit.unwrap_or(global.body_size_limit) {
                Size(0) => BODY_BYTES_MAX_DEFAULT,
                Size(bytes) => bytes,
            },
        },
        rules: of.rules.clone(),
        extra_metrics: job
            .extra_scrape_metrics
            .or(global.extra_scrape_metrics)
            .unwrap_or(false),
        timestamps: if job.honor_timestamps.unwrap_or(true) {
            Timestamps::Honor {
                track_staleness: job.track_timestamps_staleness,
            }
        } else {
            Timestamps::Ignore
        },
        histograms: job.histograms(global),
        samples_max: match job.sample_limit.unwrap_or(global.sample_limit) {
            0 => None,
            limit => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
        },
    })
}

/// Checks jobs down to the targets that they list themselves, without asking anyone.
///
/// # Errors
/// `Config` names job and key.
pub fn check(global: &GlobalConfig, configs: &[ScrapeConfig]) -> Result<(), ScrapeError> {
    crate::config::check(global, configs)?;
    for config in configs {
        let targets = Job::new(global, config, &Clients::default())?.targets(&[], &[]);
        if let Some(problem) = targets.problems.first() {
            let (job, key) = (&config.job_name, "static_configs");
            return Err(ScrapeError::config(job, key, problem));
        }
    }
    Ok(())
}

impl TargetSpec {
    /// The same target, which is not asked.
    fn over_limit(&self, count: usize, limit: u64) -> Self {
        Self {
            name: self.name.clone(),
            pool: self.pool.clone(),
            discovered: self.discovered.clone(),
            labels: self.labels.clone(),
            shown_url: self.shown_url.clone(),
            rules: self.rules.clone(),
            source: Source::OverLimit { count, limit },
            ..*self
        }
    }
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

    fn targets(job: &str) -> Result<Vec<Arc<TargetSpec>>, String> {
        let global = GlobalConfig::default();
        let job: ScrapeConfig = serde_saphyr::from_str(job).map_err(|error| error.to_string())?;
        let job = Job::new(&global, &job, &Clients::default()).map_err(|e| e.to_string())?;
        let targets = job.targets(&[], &[]);
        match targets.problems.first() {
            Some(problem) => Err(problem.clone()),
            None => Ok(targets.targets),
        }
    }

    fn url(target: &TargetSpec) -> &str {
        match &target.source {
            Source::Http { url, .. } => url.as_str(),
            Source::Local(_) | Source::OverLimit { .. } => "",
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
