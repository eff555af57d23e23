//! Memory: every line of /proc/meminfo.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host.files.proc("meminfo")?;
    for line in file.text.lines() {
        let Some((field, rest)) = line.split_once(':') else {
            return Err(file.malformed(format!("no colon in {line:?}")));
        };
        let mut words = rest.split_ascii_whitespace();
        let value = file.number(words.next())?;
        // `Active(anon)` becomes `Active_anon`.
        let field = field.replace('(', "_").replace(')', "");
        let (name, help, value) = match words.next() {
            Some("kB") => (
                format!("node_memory_{field}_bytes"),
                format!("{field} of /proc/meminfo, in bytes"),
                value * 1024.0,
            ),
            None => (
                format!("node_memory_{field}"),
                format!("{field} of /proc/meminfo, a count"),
                value,
            ),
            Some(unit) => return Err(file.malformed(format!("unknown unit {unit:?}"))),
        };
        page.gauge(&name, &help, value);
    }
    Ok(())
}
