//! Open files of the whole machine: /proc/sys/fs/file-nr.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("sys/fs/file-nr")?;
    let mut words = file.text.split_ascii_whitespace();
    let allocated = file.number(words.next())?;
    // Between them: files allocated and not used, always 0 since Linux 2.6.
    let maximum = file.number(words.nth(1))?;
    page.gauge(
        "node_filefd_allocated",
        "Open file handles of the whole machine",
        allocated,
    );
    page.gauge(
        "node_filefd_maximum",
        "File handles the whole machine may open",
        maximum,
    );
    Ok(())
}
