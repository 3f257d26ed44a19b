//! How many connections there may be, in all and from one address.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The count; clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    admission: Admission,
    /// `None`: a proxy's, which stands for many.
    address: Option<IpAddr>,
}

impl Admission {
    /// For at most so many.
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, open: Arc::default() }
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
        drop(open);
        Some(Place { admission: self.clone(), address: None })
    }
}

impl Place {
    /// Counts for an address. False where that has too many.
    pub fn stand_for(&mut self, address: IpAddr) -> bool {
        let mut open = self.admission.open.lock();
        let count = open.by_address.entry(address).or_default();
        if *count >= self.admission.most_per_address {
            return false;
        }
        *count += 1;
        open.leave(self.address.replace(address));
        true
    }
}

impl Open {
    fn leave(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.all -= 1;
        open.leave(self.address);
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
