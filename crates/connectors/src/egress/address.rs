//! Which addresses are the public internet. Everything else is refused unless a connector names the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why the egress guard refuses an address; `None` for public ones. The words complete "resolves to …, ".
pub(crate) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refusal_v4(v4),
        IpAddr::V6(v6) => refusal_v6(v6),
    }
}

fn refusal_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, d] = ip.octets();
    Some(match (a, b, c, d) {
        // Metadata services first: they deserve their name in the message.
        (169, 254, 169, 254 | 253) | (169, 254, 170, 2) | (168, 63, 129, 16) | (100, 100, 100, 200) => "a cloud metadata address",
        (0, ..) => "an unspecified address",
        (127, ..) => "a loopback address",
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => "a private address",
        (100, 64..=127, ..) => "a carrier-grade NAT address",
        (169, 254, ..) => "a link-local address",
        (192, 0, 0, _) | (192, 88, 99, _) | (198, 18..=19, ..) => "an address of special use",
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => "an address for documentation",
        (224..=239, ..) => "a multicast address",
        (240..=255, ..) => "a reserved address",
        _ => return None,
    })
}

fn refusal_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let s = ip.segments();
    if ip == Ipv6Addr::UNSPECIFIED {
        return Some("an unspecified address");
    }
    if ip == Ipv6Addr::LOCALHOST {
        return Some("a loopback address");
    }
    // Forms that carry an IPv4 address and reach it are judged by what they reach. On IPv6-only networks every
    // IPv4 host has such a NAT64 address.
    if let Some(v4) = ip.to_ipv4_mapped() {
        return refusal_v4(v4);
    }
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = ip.octets();
        return refusal_v4(Ipv4Addr::new(a, b, c, d));
    }
    Some(match s[0] {
        0xfd00 if s[1] == 0x0ec2 => "a cloud metadata address",
        0xfc00..=0xfdff => "a unique-local address",
        0xfe80..=0xfebf => "a link-local address",
        0xfec0..=0xfeff => "a site-local address",
        0xff00..=0xffff => "a multicast address",
        // Teredo, ORCHID, benchmarking and the rest of 2001::/23.
        0x2001 if s[1] < 0x0200 => "an address of special use",
        0x2001 if s[1] == 0x0db8 => "an address for documentation",
        0x3fff if s[1] < 0x1000 => "an address for documentation",
        // Tunnels that reach an IPv4 address no one looked at.
        0x2002 => "a 6to4 address",
        // IPv4-compatible forms, local NAT64, discard prefixes: nothing outside 2000::/3 is the public internet.
        0x2000..=0x3fff => return None,
        _ => "an address outside the public internet",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_not_public_is_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.3",
            "169.254.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.88.99.1",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "fc00::1",
            "fd12::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "5f00::1",
        ] {
            assert!(refusal(text.parse().unwrap()).is_some(), "{text} must be refused");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.1",
            "169.253.1.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(refusal(text.parse().unwrap()), None, "{text} is public");
        }
    }

    proptest::proptest! {
        /// An IPv4 address gains nothing by being written as IPv6.
        #[test]
        fn mapped_forms_are_judged_like_the_address(n: u32) {
            let v4 = Ipv4Addr::from(n);
            proptest::prop_assert_eq!(refusal(IpAddr::V6(v4.to_ipv6_mapped())).is_some(), refusal(IpAddr::V4(v4)).is_some());
        }
    }
}
