//! Paging and swapping: the fields of /proc/vmstat that node_exporter shows by default.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("vmstat")?;
    for line in file.text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(field) = words.next() else {
            continue;
        };
        if is_shown(field) {
            let help = format!("What the kernel counted as {field} since boot (/proc/vmstat)");
            page.untyped(
                &format!("node_vmstat_{field}"),
                &help,
                file.number(words.next())?,
            );
        }
    }
    Ok(())
}

fn is_shown(field: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"]
        .iter()
        .any(|start| field.starts_with(start))
        || (field.starts_with("pg") && field.contains("fault"))
}
