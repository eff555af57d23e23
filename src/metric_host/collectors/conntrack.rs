//! Connection tracking: /proc/sys/net/netfilter, /proc/net/stat/nf_conntrack.

use crate::HostCollector;
use crate::files::{CollectError, Text};
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for (name, file, help) in [
        (
            "node_nf_conntrack_entries",
            "sys/net/netfilter/nf_conntrack_count",
            "Number of currently allocated flow entries for connection tracking",
        ),
        (
            "node_nf_conntrack_entries_limit",
            "sys/net/netfilter/nf_conntrack_max",
            "Maximum size of connection tracking table",
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
    ("found", "Number of searched entries which were successful"),
    ("invalid", "Number of packets seen which can not be tracked"),
    (
        "ignore",
        "Number of packets seen which are already connected to a conntrack entry",
    ),
    ("insert", "Number of entries inserted into the list"),
    (
        "insert_failed",
        "Number of entries for which list insertion was attempted but failed",
    ),
    ("drop", "Number of packets dropped due to conntrack failure"),
    (
        "early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached",
    ),
    (
        "search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes",
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
