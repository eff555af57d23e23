//! Sockets in use: /proc/net/sockstat and sockstat6.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Memory of sockets is counted in pages.
const PAGE_BYTES: fn() -> usize = rustix::param::page_size;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let four = host.files.net("sockstat")?;
    // Without IPv6 the second file is not there.
    let six = host.files.net("sockstat6").ok();
    for file in std::iter::once(&four).chain(six.as_ref()) {
        for line in file.text.lines() {
            // `TCP: inuse 4 orphan 0 tw 3 alloc 17 mem 1`
            let Some((protocol, rest)) = line.split_once(':') else {
                return Err(file.malformed(format!("no colon in {line:?}")));
            };
            let mut words = rest.split_ascii_whitespace();
            while let Some(name) = words.next() {
                let value = file.number(words.next())?;
                let help = match name {
                    "mem" => format!("Memory held for {protocol} sockets, in pages"),
                    _ => format!("{protocol} sockets, the kernel's figure {name}"),
                };
                page.gauge(&format!("node_sockstat_{protocol}_{name}"), &help, value);
                if name == "mem" {
                    let bytes = value * PAGE_BYTES() as f64;
                    let help = format!("Memory held for {protocol} sockets, in bytes");
                    page.gauge(&format!("node_sockstat_{protocol}_mem_bytes"), &help, bytes);
                }
            }
        }
    }
    Ok(())
}
