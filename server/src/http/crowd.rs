//! How many connections one client has.

use domain::net::network;
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The connections of a listener, by client.
pub struct Crowd {
    most: usize,
    exempt: Arc<[IpNet]>,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; given back when dropped.
pub struct Place(Option<(Arc<Crowd>, IpAddr)>);

impl Crowd {
    /// At most so many for each client, but any number for these networks, behind which are many clients.
    pub fn new(most: usize, exempt: Arc<[IpNet]>) -> Arc<Self> {
        Arc::new(Self { most, exempt, counts: Mutex::default() })
    }

    /// A place for one more; `None` where the client has enough.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&peer)) {
            return Some(Place(None));
        }
        let client = network(peer);
        let mut counts = self.counts.lock();
        let count = counts.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place(Some((Arc::clone(self), client))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((crowd, client)) = self.0.take() else { return };
        let mut counts = crowd.counts.lock();
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_and_proxies_any_number() {
        let crowd = Crowd::new(2, ["10.0.0.0/8".parse().unwrap()].into());
        let mut places = Vec::new();
        let mut check = |peer: &str, expect: bool| {
            let place = crowd.enter(peer.parse().unwrap());
            assert_eq!(place.is_some(), expect, "{peer}");
            places.extend(place);
        };
        check("192.0.2.1", true);
        check("::ffff:192.0.2.1", true);
        check("192.0.2.1", false);
        check("192.0.2.2", true);
        check("2001:db8::1", true);
        check("2001:db8::2", true);
        check("2001:db8::3", false);
        check("2001:db8:0:1::3", true);
        for _ in 0..9 {
            check("10.1.2.3", true);
        }
        drop(places);
        assert!(crowd.counts.lock().is_empty());
    }
}
