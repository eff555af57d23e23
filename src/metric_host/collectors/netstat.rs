//! Protocol counters: /proc/net/{netstat,snmp,snmp6}, of which node_exporter shows these by
//! default.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    for name in ["netstat", "snmp"] {
        let file = host.files.net(name)?;
        let mut lines = file.text.lines();
        // A line of names, then a line of values, both beginning with the protocol.
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((protocol, names)), Some((again, values))) =
                (names.split_once(':'), values.split_once(':'))
            else {
                return Err(file.malformed(format!("no colon in {names:?}")));
            };
            if protocol != again {
                return Err(file.malformed(format!("values of {again} after names of {protocol}")));
            }
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                add(page, protocol, name, file.number(Some(value))?);
            }
        }
    }
    // Without IPv6 the file is not there.
    if let Ok(file) = host.files.net("snmp6") {
        for line in file.text.lines() {
            let mut words = line.split_ascii_whitespace();
            // `Ip6InOctets 12`
            if let Some(word) = words.next()
                && let Some(six) = word.find('6')
            {
                let (protocol, name) = word.split_at(six + 1);
                add(page, protocol, name, file.number(words.next())?);
            }
        }
    }
    Ok(())
}

fn add(page: &mut Page, protocol: &str, name: &str, value: f64) {
    if is_shown(protocol, name) {
        let metric = format!("node_netstat_{protocol}_{name}");
        page.untyped(
            &metric,
            &format!("What the kernel keeps as {name} for {protocol}"),
            value,
        );
    }
}

fn is_shown(protocol: &str, name: &str) -> bool {
    if matches!(name, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => name == "Forwarding",
        "Ip6" | "IpExt" => matches!(name, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(name, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(
                    name,
                    "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop"
                )
        }
        "Tcp" => matches!(
            name,
            "ActiveOpens"
                | "InSegs"
                | "OutSegs"
                | "OutRsts"
                | "PassiveOpens"
                | "RetransSegs"
                | "CurrEstab"
        ),
        "Udp" | "Udp6" => matches!(
            name,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}
