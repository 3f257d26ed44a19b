//! Who is trusted without a token, as ingestion looks it up: read once after each change, whole.

use domain::{SourceKey, TenantId};
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct TrustSet {
    /// Another number after each change.
    pub generation: u64,
    /// Whose client certificates are believed.
    pub authorities: Vec<TrustedAuthority>,
    /// Certificates that are good no more: SHA-256, hex.
    pub revoked: HashSet<String>,
    /// No two of different tenants overlap; the narrower before the wider.
    rules: Vec<TrustedNetwork>,
}

/// An authority of a tenant's client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Whose.
    pub tenant: TenantId,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// A network whose connections speak for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedNetwork {
    /// Which addresses.
    pub network: IpNet,
    /// Whose.
    pub tenant: TenantId,
    /// Binds them to a source.
    pub source: Option<SourceKey>,
}

impl TrustSet {
    /// Of these rules, in any order.
    pub fn new(
        generation: u64,
        authorities: Vec<TrustedAuthority>,
        revoked: HashSet<String>,
        mut rules: Vec<TrustedNetwork>,
    ) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.network.prefix_len()));
        Self { generation, authorities, revoked, rules }
    }

    /// The narrowest rule that an address falls under.
    pub fn rule_of(&self, address: IpAddr) -> Option<&TrustedNetwork> {
        let address = address.to_canonical();
        self.rules.iter().find(|rule| rule.network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_counts() {
        let rule = |network: &str, source: &str| TrustedNetwork {
            network: network.parse().unwrap(),
            tenant: TenantId::new("t_a").unwrap(),
            source: SourceKey::new(source).ok(),
        };
        let rules =
            vec![rule("10.0.0.0/8", "wide"), rule("10.1.2.3/32", "one"), rule("2001:db8::/32", "six")];
        let set = TrustSet::new(1, vec![], HashSet::new(), rules);
        let check = |address: &str, expect: &str| {
            let found = set.rule_of(address.parse().unwrap());
            let source = found.and_then(|rule| rule.source.as_ref()).map(SourceKey::as_str);
            assert_eq!(source.unwrap_or_default(), expect, "{address}");
        };
        check("10.9.9.9", "wide");
        check("10.1.2.3", "one");
        check("::ffff:10.1.2.3", "one");
        check("2001:db8:1::1", "six");
        check("11.0.0.1", "");
        check("::10.1.2.3", "");
    }
}
