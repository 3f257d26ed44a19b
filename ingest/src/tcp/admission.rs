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
    address: IpAddr,
}

impl Admission {
    /// For at most so many.
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, open: Arc::default() }
    }

    /// A place for a connection, where there is one.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        if open.all >= self.most {
            return None;
        }
        let count = open.by_address.entry(address).or_default();
        if *count >= self.most_per_address {
            return None;
        }
        *count += 1;
        open.all += 1;
        Some(Place { admission: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
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
}
