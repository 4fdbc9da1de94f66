//! Which addresses are special-use (RFC 6890, and the IANA registries that it founded), and which
//! of them the operator exempts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::FetchError;

/// What is not globally reachable of the IANA IPv4 Special-Purpose Address Registry, and multicast.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),       // this network
    v4([10, 0, 0, 0], 8),      // private use
    v4([100, 64, 0, 0], 10),   // shared by a provider's customers
    v4([127, 0, 0, 0], 8),     // loopback
    v4([169, 254, 0, 0], 16),  // link-local, and clouds' metadata
    v4([172, 16, 0, 0], 12),   // private use
    v4([192, 0, 0, 0], 24),    // protocols; its two anycast addresses serve no documents
    v4([192, 0, 2, 0], 24),    // documentation
    v4([192, 88, 99, 0], 24),  // 6to4 relays, deprecated
    v4([192, 168, 0, 0], 16),  // private use
    v4([198, 18, 0, 0], 15),   // benchmarks
    v4([198, 51, 100, 0], 24), // documentation
    v4([203, 0, 113, 0], 24),  // documentation
    v4([224, 0, 0, 0], 4),     // multicast
    v4([240, 0, 0, 0], 4),     // reserved, and broadcast
];

/// All that is assigned of IPv6 for the internet at large. What lies outside is loopback, local,
/// multicast or nobody's, but for the addresses that carry one of IPv4.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What is not globally reachable within it, by the IANA IPv6 Special-Purpose Address Registry.
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0], 23),     // protocols: Teredo, benchmarks, ORCHID …
    v6([0x2001, 0xdb8, 0], 32), // documentation
    v6([0x3fff, 0, 0], 20),     // documentation
];

/// IPv4 behind a translator (RFC 6052 §2.1): the address is in the last four bytes.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

/// IPv4 as a tunnel (RFC 3056 §2): the address follows the prefix.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c]: [u16; 3], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// Whether an address belongs to this machine, to a network of its own, or to nobody.
fn is_special_use(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => match carried(address) {
            Some(inner) => is_special_use(inner.into()),
            None => {
                !GLOBAL_UNICAST.contains(&address)
                    || SPECIAL_V6.iter().any(|net| net.contains(&address))
            }
        },
    }
}

/// The IPv4 address that a packet to this one ends at.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        Some(Ipv4Addr::new(a, b, c, d))
    } else if SIX_TO_FOUR.contains(&address) {
        let [_, _, a, b, c, d, ..] = address.octets();
        Some(Ipv4Addr::new(a, b, c, d))
    } else {
        None
    }
}

/// What is exempt from the ban on special-use addresses; nothing else is relaxed by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchAllow {
    hosts: Vec<String>,
    networks: Vec<IpNet>,
}

impl FetchAllow {
    /// Exempts hosts, wherever they are, and networks, whoever is in them.
    pub fn new(hosts: Vec<String>, networks: Vec<IpNet>) -> Self {
        Self { hosts, networks }
    }

    /// Holds all addresses of a host against the ban. One that is banned bans the others: whoever
    /// mixes them has nothing good in mind.
    pub(super) fn check(&self, host: &str, addresses: &[IpAddr]) -> Result<(), FetchError> {
        if self.hosts.iter().any(|h| h.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        let banned = addresses
            .iter()
            .find(|address| is_special_use(**address) && !self.exempts(**address));
        match banned {
            None => Ok(()),
            Some(address) => Err(FetchError::SpecialUse {
                host: host.to_owned(),
                address: *address,
            }),
        }
    }

    fn exempts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|net| net.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last address of each block, and what lies within.
    const SPECIAL: &str = "
        0.0.0.0 0.255.255.255
        10.0.0.0 10.255.255.255
        100.64.0.0 100.127.255.255
        127.0.0.0 127.0.0.1 127.255.255.255
        169.254.0.0 169.254.169.254 169.254.255.255
        172.16.0.0 172.31.255.255
        192.0.0.0 192.0.0.255
        192.0.2.0 192.0.2.255
        192.88.99.0 192.88.99.255
        192.168.0.0 192.168.255.255
        198.18.0.0 198.19.255.255
        198.51.100.0 198.51.100.255
        203.0.113.0 203.0.113.255
        224.0.0.0 239.255.255.255
        240.0.0.0 255.255.255.255
        :: ::1 ::10.0.0.1 ::8.8.8.8
        ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:169.254.169.254
        64:ff9b::127.0.0.1 64:ff9b::10.0.0.1
        64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff
        100:: 100::ffff:ffff:ffff:ffff 100:0:0:1::1
        1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:20::1
        2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
        2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
        2002:7f00:1:: 2002:a00:1::1 2002:c0a8:101::1
        3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff
        4000:: 5f00:: 5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        fe80::1 febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

    /// Their neighbours.
    const PUBLIC: &str = "
        1.0.0.0
        9.255.255.255 11.0.0.0
        100.63.255.255 100.128.0.0
        126.255.255.255 128.0.0.0
        169.253.255.255 169.255.0.0
        172.15.255.255 172.32.0.0
        191.255.255.255 192.0.1.0
        192.0.1.255 192.0.3.0
        192.88.98.255 192.88.100.0
        192.167.255.255 192.169.0.0
        198.17.255.255 198.20.0.0
        198.51.99.255 198.51.101.0
        203.0.112.255 203.0.114.0
        223.255.255.255
        ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
        2000:: 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff
        2001:200:: 2001:4860:4860::8888
        2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
        2606:4700::6810:84e5
        3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::";

    #[test]
    fn special_use_addresses_are_told_from_public_ones() {
        for special in SPECIAL.split_whitespace() {
            assert!(is_special_use(special.parse().unwrap()), "{special}");
        }
        for public in PUBLIC.split_whitespace() {
            assert!(!is_special_use(public.parse().unwrap()), "{public}");
        }
    }

    fn check(allow: &FetchAllow, host: &str, addresses: &[&str]) -> Option<String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let refused = allow.check(host, &addresses).err()?;
        assert!(refused.is_special_use());
        Some(refused.to_string())
    }

    #[test]
    fn one_banned_address_is_enough() {
        let nothing = FetchAllow::default();
        assert_eq!(check(&nothing, "a.example", &["8.8.8.8", "2606::1"]), None);
        assert_eq!(
            check(&nothing, "a.example", &["8.8.8.8", "10.0.0.1"]).unwrap(),
            "a.example resolves to 10.0.0.1, which is not a public address"
        );
        for (host, address) in [("10.0.0.1", "10.0.0.1"), ("[::1]", "::1")] {
            assert_eq!(
                check(&nothing, host, &[address]).unwrap(),
                format!("{host} is not a public address")
            );
        }
    }

    #[test]
    fn hosts_and_networks_are_exempt() {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        let allow = FetchAllow::new(vec!["intranet.example".to_owned()], networks.to_vec());
        for (host, addresses) in [
            ("intranet.example", &["127.0.0.1", "fe80::1"][..]),
            ("Intranet.Example", &["127.0.0.1"]),
            ("a.example", &["10.1.2.3", "fd00::1", "8.8.8.8"]),
            ("a.example", &["::ffff:10.1.2.3"]),
        ] {
            assert_eq!(check(&allow, host, addresses), None, "{host} {addresses:?}");
        }
        for (host, addresses) in [
            ("x.intranet.example", &["127.0.0.1"][..]),
            ("xintranet.example", &["127.0.0.1"]),
            ("a.example", &["10.1.2.3", "192.168.0.1"]),
        ] {
            assert!(check(&allow, host, addresses).is_some(), "{host}");
        }
    }
}
