//! Bytes that wait in the queues of UDP sockets: /proc/net/{udp,udp6}.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let mut sums = Vec::new();
    for (name, ip) in [("udp", "v4"), ("udp6", "v6")] {
        let file = match host.files.net(name) {
            Ok(file) => file,
            // Without IPv6 the second file is not there.
            Err(_) if ip == "v6" => continue,
            Err(error) => return Err(error),
        };
        let (mut sending, mut received) = (0u64, 0u64);
        // The first line names the columns; the fifth is `tx_queue:rx_queue`, in hexadecimal.
        for line in file.text.lines().skip(1) {
            let queues = line
                .split_ascii_whitespace()
                .nth(4)
                .and_then(|word| word.split_once(':'))
                .and_then(|(tx, rx)| {
                    let hex = |text| u64::from_str_radix(text, 16).ok();
                    Some((hex(tx)?, hex(rx)?))
                });
            let Some((tx, rx)) = queues else {
                return Err(file.malformed(format!("no queues in {line:?}")));
            };
            sending = sending.saturating_add(tx);
            received = received.saturating_add(rx);
        }
        sums.push((ip, "tx", sending as f64));
        sums.push((ip, "rx", received as f64));
    }
    let name = "node_udp_queues";
    page.family(
        name,
        "gauge",
        "Bytes held in the queues of all UDP sockets, by IP version and direction",
    );
    for (ip, queue, bytes) in sums {
        page.sample(name, &[("ip", ip), ("queue", queue)], bytes);
    }
    Ok(())
}
