//! Whom a network address stands for, wherever clients are counted.

use std::net::{IpAddr, Ipv6Addr};

/// The client of an address: itself in IPv4 (also where IPv6 maps it, RFC 4291 §2.5.5.2), the first address of its /64 in
/// IPv6, of which one subscriber has all.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let check = |address: &str, expect: &str| {
            assert_eq!(network(address.parse().unwrap()).to_string(), expect, "{address}");
        };
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8::1", "2001:db8::");
        check("2001:db8::ffff:2", "2001:db8::");
        check("2001:db8:0:1::1", "2001:db8:0:1::");
        check("::1", "::");
    }
}
