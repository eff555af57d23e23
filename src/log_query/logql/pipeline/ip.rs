//! `ip("10.0.0.0/8")`: addresses in lines and labels.

use std::net::IpAddr;

/// Addresses from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IpRange {
    from: IpAddr,
    to: IpAddr,
}

impl IpRange {
    /// Reads `10.0.0.1`, `10.0.0.1-10.0.0.9`, `10.0.0.0/8`, and the same with IPv6.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("{text:?} is neither an address, nor a range a-b, nor a network a/bits");
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
            let bits: u32 = bits.trim().parse().map_err(|_| bad())?;
            return network(address, bits).ok_or_else(bad);
        }
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let from: IpAddr = from.trim().parse().map_err(|_| bad())?;
        let to: IpAddr = to.trim().parse().map_err(|_| bad())?;
        if from > to || from.is_ipv4() != to.is_ipv4() {
            return Err(bad());
        }
        Ok(Self { from, to })
    }

    /// Whether it contains this address; a text that is none is in no range.
    pub(super) fn contains(self, text: &str) -> bool {
        text.trim()
            .parse()
            .is_ok_and(|address: IpAddr| self.from <= address && address <= self.to)
    }

    /// Whether an address of the range stands somewhere in a line.
    pub(super) fn is_in(self, line: &str) -> bool {
        let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
        line.split(|c: char| !is_part(c)).any(|word| {
            let plain = word.trim_matches(['.', ':']);
            self.contains(word)
                || self.contains(plain)
                // 10.0.0.1:80
                || plain.split_once(':').is_some_and(|(host, _)| self.contains(host))
        })
    }
}

fn network(address: IpAddr, bits: u32) -> Option<IpRange> {
    Some(match address {
        IpAddr::V4(v4) => {
            let low = u32::MAX.checked_shr(bits).unwrap_or(0);
            let base = u32::from(v4) & !low;
            (bits <= 32).then_some(IpRange {
                from: IpAddr::V4(base.into()),
                to: IpAddr::V4((base | low).into()),
            })?
        }
        IpAddr::V6(v6) => {
            let low = u128::MAX.checked_shr(bits).unwrap_or(0);
            let base = u128::from(v6) & !low;
            (bits <= 128).then_some(IpRange {
                from: IpAddr::V6(base.into()),
                to: IpAddr::V6((base | low).into()),
            })?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_addresses() {
        let check = |range: &str, text: &str, expected| {
            let range = IpRange::parse(range).expect(range);
            assert_eq!(range.is_in(text), expected, "{text}");
        };
        check("10.0.0.0/8", "GET from 10.42.0.7:8080 done", true);
        check("10.0.0.0/8", "GET from 11.42.0.7", false);
        check("192.168.1.1-192.168.1.9", "192.168.1.5", true);
        check("192.168.1.1", "at 192.168.1.1.", true);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("2001:db8::/32", "peer 2001:db8::1 up", true);
        for bad in ["", "10.0.0", "10.0.0.0/33", "10.0.0.9-10.0.0.1"] {
            assert!(IpRange::parse(bad).is_err(), "{bad}");
        }
    }
}
