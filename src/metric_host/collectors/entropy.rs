//! Entropy of the random number generator: /proc/sys/kernel/random.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for (name, file, help) in [
        (
            "node_entropy_available_bits",
            "sys/kernel/random/entropy_avail",
            "Randomness the kernel has ready, in bits",
        ),
        (
            "node_entropy_pool_size_bits",
            "sys/kernel/random/poolsize",
            "Randomness the kernel's pool can hold, in bits",
        ),
    ] {
        let file = host.files.proc(file)?;
        page.gauge(name, help, file.number(Some(file.text.trim()))?);
    }
    Ok(())
}
