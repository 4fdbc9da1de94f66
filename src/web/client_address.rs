//! Which address a request comes from, when proxies stand in between.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The two ends of the connection that a request came by. The listener puts it into every
/// request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Who connected: the client or a proxy.
    pub peer: SocketAddr,
    /// Which of our addresses it connected to.
    pub local: SocketAddr,
}

/// Whom to believe about a client's address.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: Option<HeaderName>,
}

impl TrustedProxies {
    /// Believes `networks`, in `X-Forwarded-For` or in the one header named.
    pub fn new(networks: Vec<IpNet>, header: Option<HeaderName>) -> Self {
        Self { networks, header }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&address))
    }

    /// The client's address: the rightmost in `X-Forwarded-For` that is not a trusted proxy's. To
    /// the left of it stands what the client may have written itself.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        if let Some(name) = &self.header {
            let named = headers.get(name).and_then(|value| value.to_str().ok());
            return named.and_then(parse_address).unwrap_or(peer);
        }
        let mut nearest = peer;
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        for line in lines {
            let Ok(line) = line.to_str() else {
                return nearest;
            };
            for entry in line.rsplit(',') {
                // Something that is no address: nothing to the left of it can be placed.
                let Some(address) = parse_address(entry) else {
                    return nearest;
                };
                nearest = address;
                if !self.trusts(address) {
                    return address;
                }
            }
        }
        nearest
    }
}

/// Reads an address as proxies write it: bare, with a port, or in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// What a limit by address counts: one IPv4 address, or the /64 that one IPv6 subscriber has.
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &[&str], proxies: &TrustedProxies) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = peer.parse().unwrap();
        proxies.client_address(peer, &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let networks = ["127.0.0.0/8", "10.0.0.0/8"];
        let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
        let proxies = TrustedProxies::new(networks, None);
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // The client wrote the first one itself.
            ("127.0.0.1", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            (
                "127.0.0.1",
                &["192.0.2.66", "198.51.100.1, 10.1.1.1"],
                "198.51.100.1",
            ),
            ("127.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            ("127.0.0.1", &["198.51.100.1, nonsense"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            assert_eq!(
                address(peer, forwarded, &proxies),
                expected,
                "{forwarded:?}"
            );
        }
    }

    #[test]
    fn a_named_header_replaces_the_forwarding_chain() {
        let loopback = vec!["127.0.0.0/8".parse().unwrap()];
        let header = HeaderName::from_static("cf-connecting-ip");
        let proxies = TrustedProxies::new(loopback, Some(header));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "198.51.100.1".parse().unwrap());
        headers.insert("cf-connecting-ip", "192.0.2.7".parse().unwrap());
        let from = |peer: &str| {
            let peer = peer.parse().unwrap();
            proxies.client_address(peer, &headers).to_string()
        };
        assert_eq!(from("127.0.0.1"), "192.0.2.7");
        assert_eq!(from("203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn an_ipv6_subscriber_counts_once() {
        let key = |text: &str| limit_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }
}
