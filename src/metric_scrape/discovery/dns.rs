//! `dns_sd_configs`: records that list targets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{Discovery, DiscoveryTask, Found, TargetGroup, TargetLabels};
use crate::config::{DnsSdConfig, RecordKind};

/// Records that one name may have; the rest is left out and said.
const RECORDS_MAX: usize = 10_000;

/// Targets in the domain name system.
pub(super) struct DnsDiscovery {
    config: DnsSdConfig,
}

impl DnsDiscovery {
    pub(super) fn new(config: DnsSdConfig) -> Self {
        Self { config }
    }

    async fn look_up(&self, resolver: &TokioResolver, name: &str) -> Result<TargetGroup, String> {
        let kind = match self.config.kind {
            RecordKind::Srv => RecordType::SRV,
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
            RecordKind::Mx => RecordType::MX,
            RecordKind::Ns => RecordType::NS,
        };
        let cannot = |why: String| format!("cannot look up the {kind} records of {name}: {why}");
        let found = match resolver.lookup(name, kind).await {
            Ok(found) => found,
            // A name without records is an answer: it has no targets now.
            Err(error) if error.is_no_records_found() => return Ok(group(name, Vec::new())),
            Err(error) => return Err(cannot(error.to_string())),
        };
        let port = self.config.port.unwrap_or_default();
        let targets: Vec<TargetLabels> = found
            .answers()
            .iter()
            .filter_map(|record| target(name, &record.data, port))
            .collect();
        if targets.len() > RECORDS_MAX {
            return Err(cannot(format!("there are more than {RECORDS_MAX}")));
        }
        Ok(group(name, targets))
    }
}

fn group(name: &str, targets: Vec<TargetLabels>) -> TargetGroup {
    TargetGroup {
        targets,
        labels: TargetLabels::from([("__meta_dns_name".to_owned(), name.to_owned())]),
    }
}

/// The labels that a record gives; none for a kind that was not asked for (an alias, say).
pub(super) fn target(name: &str, data: &RData, port: u16) -> Option<TargetLabels> {
    let mut labels = TargetLabels::new();
    let mut set = |label: &str, value: String| {
        labels.insert(format!("__meta_dns_{label}"), value);
    };
    // Prometheus shows the dot at the end of names in labels, and keeps it out of addresses.
    let bare = |name: String| name.trim_end_matches('.').to_owned();
    let of_ip = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    };
    let address = match data {
        RData::SRV(record) => {
            let host = record.target.to_string();
            set("srv_record_target", host.clone());
            set("srv_record_port", record.port.to_string());
            format!("{}:{}", bare(host), record.port)
        }
        RData::MX(record) => {
            let host = record.exchange.to_string();
            set("mx_record_target", host.clone());
            format!("{}:{port}", bare(host))
        }
        RData::NS(record) => {
            let host = record.0.to_string();
            set("ns_record_target", host.clone());
            format!("{}:{port}", bare(host))
        }
        RData::A(record) => of_ip(IpAddr::V4(record.0)),
        RData::AAAA(record) => of_ip(IpAddr::V6(record.0)),
        _ => return None,
    };
    set("name", name.to_owned());
    labels.insert("__address__".to_owned(), address);
    Some(labels)
}

impl Discovery for DnsDiscovery {
    fn name(&self) -> String {
        format!("dns {}", self.config.names.join(", "))
    }

    fn run(self: Arc<Self>, found: Found) -> DiscoveryTask {
        Box::pin(async move {
            let interval = self.config.refresh_interval();
            let mut groups: BTreeMap<&str, TargetGroup> = BTreeMap::new();
            loop {
                let mut failure = String::new();
                match resolver() {
                    Ok(resolver) => {
                        for name in &self.config.names {
                            match self.look_up(&resolver, name).await {
                                Ok(group) => {
                                    groups.insert(name, group);
                                }
                                Err(error) => failure = error,
                            }
                        }
                    }
                    Err(error) => failure = error,
                }
                found.set_partly(groups.values().cloned().collect(), failure);
                tokio::time::sleep(interval.max(Duration::from_secs(1))).await;
            }
        })
    }
}

/// A resolver as the system is set up now: `/etc/resolv.conf` may change.
fn resolver() -> Result<TokioResolver, String> {
    let builder = TokioResolver::builder_tokio()
        .map_err(|error| format!("cannot read the system's DNS settings: {error}"))?;
    builder
        .build()
        .map_err(|error| format!("cannot use the system's DNS settings: {error}"))
}
