//! Under which address do people reach us? It stands in front of every link that a message carries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::bail;
use reqwest::Url;

/// Where this machine asks; an address for documentation, to which nothing is sent.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Checks the `external_url` of the configuration.
///
/// # Errors
/// A sentence with the key.
pub(crate) fn check(url: &str) -> anyhow::Result<Url> {
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                bail!(
                    "external_url: {url} has a path: Yagura's pages begin at the root of its address"
                );
            }
            Ok(url)
        }
        _ => bail!("external_url: {url:?} is no address, write https://yagura.example.org"),
    }
}

/// The address in links, without a slash at its end: the configured one, else that of this machine
/// in its network.
pub(crate) fn external_url(configured: Option<&str>, listening: SocketAddr) -> String {
    match configured {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", in_network(listening, own_address)),
    }
}

/// The host that a browser names when it follows such a link.
pub(crate) fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// An address to ask on this machine where it listens on all of them.
pub(crate) fn local(listening: SocketAddr) -> SocketAddr {
    in_network(listening, || None)
}

fn in_network(listening: SocketAddr, own: impl FnOnce() -> Option<IpAddr>) -> SocketAddr {
    let mut address = listening;
    if address.ip().is_unspecified() {
        address.set_ip(own().unwrap_or(Ipv4Addr::LOCALHOST.into()));
    }
    address
}

/// The address that this machine shows to others; `None` without a network.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_people_are() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 9849));
        let here = SocketAddr::from(([127, 0, 0, 1], 9849));
        let own = || Some(IpAddr::from([10, 0, 0, 7]));
        assert_eq!(in_network(everywhere, own).to_string(), "10.0.0.7:9849");
        assert_eq!(
            in_network(everywhere, || None).to_string(),
            "127.0.0.1:9849"
        );
        assert_eq!(in_network(here, own), here);
        assert_eq!(
            external_url(Some("https://y.example/"), here),
            "https://y.example"
        );
        assert_eq!(external_url(None, here), "http://127.0.0.1:9849");
        assert_eq!(host_of("https://y.example:1"), Some("y.example".to_owned()));
    }

    #[test]
    fn an_address_that_leads_nowhere_is_refused() {
        check("https://y.example:8443").expect("an address");
        for url in [
            "y.example",
            "ftp://y.example",
            "http://",
            "https://y.example/below",
            "",
        ] {
            let error = check(url).expect_err(url);
            assert!(error.to_string().contains("external_url"), "{error}");
        }
    }
}
