//! Kernel and host name: /proc/sys/kernel.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let text = |file: &str| {
        let file = host.files.proc(&format!("sys/kernel/{file}"))?;
        Ok::<_, CollectError>(file.text.trim().to_owned())
    };
    // The kind of machine is in no file; it cannot differ from ours.
    let uname = rustix::system::uname();
    let labels = [
        ("domainname", &*text("domainname")?),
        ("machine", &uname.machine().to_string_lossy()),
        ("nodename", &text("hostname")?),
        ("release", &text("osrelease")?),
        ("sysname", &text("ostype")?),
        ("version", &text("version")?),
    ];
    let name = "node_uname_info";
    page.family(
        name,
        "gauge",
        "Kernel, host name and kind of machine as labels; the number is a constant 1",
    );
    page.sample(name, &labels, 1.0);
    Ok(())
}
