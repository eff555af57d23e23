//! Connection tracking: /proc/sys/net/netfilter, /proc/net/stat/nf_conntrack.

use crate::HostCollector;
use crate::files::{CollectError, Text};
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for (name, file, help) in [
        (
            "node_nf_conntrack_entries",
            "sys/net/netfilter/nf_conntrack_count",
            "Connections the kernel tracks now",
        ),
        (
            "node_nf_conntrack_entries_limit",
            "sys/net/netfilter/nf_conntrack_max",
            "Connections the kernel can track at most",
        ),
    ] {
        let file = host.files.proc(file)?;
        page.gauge(name, help, file.number(Some(file.text.trim()))?);
    }
    // Kernels may be built without it.
    match host.files.net("stat/nf_conntrack") {
        Ok(file) => add_statistics(&file, page),
        Err(_) => Ok(()),
    }
}

/// Columns of `stat/nf_conntrack` that node_exporter shows.
const STATISTICS: [(&str, &str); 8] = [
    ("found", "Lookups that found a tracked connection"),
    (
        "invalid",
        "Packets that fit no connection and could not start one",
    ),
    (
        "ignore",
        "Packets passed over because they had their connection already",
    ),
    ("insert", "Connections added to the table"),
    (
        "insert_failed",
        "Connections that could not be added to the table",
    ),
    ("drop", "Packets lost because tracking them failed"),
    (
        "early_drop",
        "Connections forgotten before their time because the table was full",
    ),
    (
        "search_restart",
        "Lookups begun anew because the table changed its size meanwhile",
    ),
];

/// A line of names, then a line of hexadecimal numbers per CPU, which are added up.
fn add_statistics(file: &Text, page: &mut Page) -> Result<(), CollectError> {
    let mut lines = file.text.lines();
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect();
    let mut sums = vec![0u64; names.len()];
    for line in lines {
        for (sum, word) in sums.iter_mut().zip(line.split_ascii_whitespace()) {
            let value = u64::from_str_radix(word, 16)
                .map_err(|_| file.malformed(format!("{word:?} is not hexadecimal")))?;
            *sum = sum.saturating_add(value);
        }
    }
    for (column, help) in STATISTICS {
        if let Some((_, sum)) = names.iter().zip(&sums).find(|(name, _)| **name == column) {
            let name = format!("node_nf_conntrack_stat_{column}");
            page.gauge(&name, help, *sum as f64);
        }
    }
    Ok(())
}
