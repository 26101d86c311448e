//! Which addresses the public internet cannot reach.
//!
//! The tables are IANA's registries of special-purpose addresses, read strictly: a network with a special meaning is
//! refused whole, even where a block within it is routed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that a URL must not lead to: address, length of the prefix, meaning.
const SPECIAL_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // The metadata services of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for documentation"),
    // A public address that answers only inside Azure, with data about the machine.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's own service"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::BROADCAST, 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The same for IPv6. An address that is in no row and not in `2000::/3` is reserved.
const SPECIAL_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (v6(0, 0, 0, 0xffff), 96, "an IPv4 address in IPv6 form"),
    (v6(0, 0, 0, 0), 96, "an IPv4 address in IPv6 form"),
    (v6(0x0064, 0xff9b, 0x0001, 0), 48, "a local translation to IPv4"),
    (v6(0x0100, 0, 0, 0), 64, "a discard address"),
    (v6(0x2001, 0, 0, 0), 32, "a Teredo tunnel"),
    (v6(0x2001, 0x0002, 0, 0), 48, "for benchmarks"),
    (v6(0x2001, 0, 0, 0), 23, "reserved"),
    (v6(0x2001, 0x0db8, 0, 0), 32, "for documentation"),
    (v6(0x2002, 0, 0, 0), 16, "a 6to4 tunnel"),
    (v6(0x3fff, 0, 0, 0), 20, "for documentation"),
    (v6(0xfc00, 0, 0, 0), 7, "private"),
    (v6(0xfe80, 0, 0, 0), 10, "link-local"),
    (v6(0xfec0, 0, 0, 0), 10, "private"),
    (v6(0xff00, 0, 0, 0), 8, "multicast"),
];

/// An IPv6 address from its first three groups and its sixth.
const fn v6(first: u16, second: u16, third: u16, sixth: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, 0, sixth, 0, 0)
}

/// The meaning of an address that the public internet cannot reach; `None` for a public one.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4
        .iter()
        .find(|(network, prefix, _)| (address.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0)
        .map(|(_, _, meaning)| *meaning)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    // Where a network has only IPv6, the name server gives public IPv4 hosts this prefix (NAT64).
    const TRANSLATED: Ipv6Addr = v6(0x0064, 0xff9b, 0, 0);
    if within(address, TRANSLATED, 96) {
        let [.., a, b, c, d] = address.octets();
        return special_v4(Ipv4Addr::new(a, b, c, d));
    }
    SPECIAL_V6
        .iter()
        .find(|(network, prefix, _)| within(address, *network, *prefix))
        .map(|(_, _, meaning)| *meaning)
        .or_else(|| (!within(address, v6(0x2000, 0, 0, 0), 3)).then_some("reserved"))
}

fn within(address: Ipv6Addr, network: Ipv6Addr, prefix: u32) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meaning(address: &str) -> Option<&'static str> {
        special(address.parse().unwrap())
    }

    #[test]
    fn every_special_network_is_refused_to_its_last_address() {
        for (address, expected) in [
            ("0.0.0.0", "unspecified"),
            ("0.255.255.255", "unspecified"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "shared by a carrier"),
            ("100.100.100.200", "shared by a carrier"),
            ("100.127.255.255", "shared by a carrier"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "reserved"),
            ("192.0.2.255", "for documentation"),
            ("192.88.99.1", "a 6to4 relay"),
            ("192.168.255.255", "private"),
            ("198.18.0.0", "for benchmarks"),
            ("198.19.255.255", "for benchmarks"),
            ("198.51.100.1", "for documentation"),
            ("203.0.113.1", "for documentation"),
            ("168.63.129.16", "a cloud's own service"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.254", "reserved"),
            ("255.255.255.255", "broadcast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "an IPv4 address in IPv6 form"),
            ("::8.8.8.8", "an IPv4 address in IPv6 form"),
            ("::ffff:127.0.0.1", "an IPv4 address in IPv6 form"),
            ("::ffff:8.8.8.8", "an IPv4 address in IPv6 form"),
            ("::ffff:0:10.0.0.1", "reserved"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b::169.254.169.254", "link-local"),
            ("64:ff9b:1::8.8.8.8", "a local translation to IPv4"),
            ("100::1", "a discard address"),
            ("2001::1", "a Teredo tunnel"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "a Teredo tunnel"),
            ("2001:2::1", "for benchmarks"),
            ("2001:10::1", "reserved"),
            ("2001:20::1", "reserved"),
            ("2001:db8::1", "for documentation"),
            ("2002:7f00:1::", "a 6to4 tunnel"),
            ("2002:a00:1::1", "a 6to4 tunnel"),
            ("3fff:fff::1", "for documentation"),
            ("4000::1", "reserved"),
            ("5f00::1", "reserved"),
            ("fc00::1", "private"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "private"),
            ("ff02::1", "multicast"),
        ] {
            assert_eq!(meaning(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn the_neighbours_of_special_networks_are_public() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "168.63.129.17",
            "223.255.255.255",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe:ffff::1",
        ] {
            assert_eq!(meaning(address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_public_that_the_standard_library_calls_special(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || special_v4(address).is_some(), "{address}");
        }

        #[test]
        fn an_address_is_judged_alike_in_its_translated_form(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let prefix = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).to_bits();
            let translated = Ipv6Addr::from_bits(prefix | u128::from(bits));
            prop_assert_eq!(special_v6(translated), special_v4(address));
        }
    }
}
