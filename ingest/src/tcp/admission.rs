//! How many connections there may be, in all and of one client.

use domain::net::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The count; clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    most: usize,
    most_per_client: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// Of all: those that have not said who they are.
    strangers: usize,
    /// By [`network`].
    by_client: HashMap<IpAddr, usize>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    admission: Admission,
    /// `None`: a proxy's, which stands for many.
    client: Option<IpAddr>,
    stranger: bool,
}

/// Of all places, a fifth is for strangers; where they hold more, those that take their time are let go.
const STRANGERS: usize = 5;

impl Admission {
    /// For at most so many.
    pub fn new(most: usize, most_per_client: usize) -> Self {
        Self { most, most_per_client, open: Arc::default() }
    }

    /// A place for a connection, where there is one.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut place = self.enter_proxy()?;
        place.stand_for(address).then_some(place)
    }

    /// A place for a connection of a proxy: of whose address it is, is yet to be said.
    pub fn enter_proxy(&self) -> Option<Place> {
        let mut open = self.open.lock();
        if open.all >= self.most {
            return None;
        }
        open.all += 1;
        open.strangers += 1;
        drop(open);
        Some(Place { admission: self.clone(), client: None, stranger: true })
    }
}

impl Place {
    /// Counts for the client of an address. False where that has too many.
    pub fn stand_for(&mut self, address: IpAddr) -> bool {
        let client = network(address);
        let mut open = self.admission.open.lock();
        let count = open.by_client.entry(client).or_default();
        if *count >= self.admission.most_per_client {
            return false;
        }
        *count += 1;
        open.leave(self.client.replace(client));
        true
    }
}

impl Place {
    /// It is a stranger's no more.
    pub fn is_known(&mut self) {
        if std::mem::take(&mut self.stranger) {
            self.admission.open.lock().strangers -= 1;
        }
    }

    /// Whether strangers hold more than their share of all places.
    pub fn is_crowded(&self) -> bool {
        self.admission.open.lock().strangers > self.admission.most / STRANGERS
    }
}

impl Open {
    fn leave(&mut self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.is_known();
        let mut open = self.admission.open.lock();
        open.all -= 1;
        open.leave(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_come_back() {
        let admission = Admission::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = admission.enter(a).unwrap();
        let _second = admission.enter(a).unwrap();
        assert!(admission.enter(a).is_none());
        let _third = admission.enter(b).unwrap();
        assert!(admission.enter(b).is_none());
        drop(first);
        assert!(admission.enter(b).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let admission = Admission::new(9, 2);
        let mut places = Vec::new();
        let mut check = |address: &str, expect: bool| {
            let place = admission.enter(address.parse().unwrap());
            assert_eq!(place.is_some(), expect, "{address}");
            places.extend(place);
        };
        check("2001:db8::1", true);
        check("2001:db8::2", true);
        check("2001:db8::3", false);
        check("2001:db8:0:1::3", true);
        drop(places);
        assert!(admission.open.lock().by_client.is_empty());
    }

    #[test]
    fn strangers_have_a_share_of_the_places() {
        let admission = Admission::new(10, 10);
        let mut places: Vec<_> = (0..2).filter_map(|_| admission.enter_proxy()).collect();
        assert!(!places[0].is_crowded());
        places.extend(admission.enter_proxy());
        assert!(places[0].is_crowded());
        places[1].is_known();
        places[1].is_known();
        assert!(!places[0].is_crowded());
        drop(places);
        assert_eq!(admission.open.lock().strangers, 0);
    }

    #[test]
    fn a_proxy_stands_for_many() {
        let admission = Admission::new(3, 1);
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut places: Vec<_> = (0..3).filter_map(|_| admission.enter_proxy()).collect();
        assert!(admission.enter_proxy().is_none() && places.len() == 3);
        assert!(places[0].stand_for(a) && places[1].stand_for(b) && !places[2].stand_for(a));
        drop(places);
        assert!(admission.enter(a).is_some());
    }
}
