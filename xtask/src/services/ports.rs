//! Ports on loopback, kept for the next start.

use anyhow::Context;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// How far apart the places are that are tried.
const STEP: u16 = 100;

/// The first of `count` ports in a row: those noted in the folder, where they are still free, else from `preferred` on.
pub fn settle(home: &Path, preferred: u16, count: u16) -> anyhow::Result<u16> {
    let noted = noted(home);
    let places = (0..20).map(|place| preferred + place * STEP);
    let base = noted.into_iter().chain(places).find(|base| (*base..*base + count).all(is_free));
    let base = base.with_context(|| format!("no {count} free ports in a row from {preferred} on"))?;
    fs::create_dir_all(home)?;
    fs::write(home.join("port"), base.to_string())?;
    Ok(base)
}

/// The ports of the last start.
pub fn noted(home: &Path) -> Option<u16> {
    fs::read_to_string(home.join("port")).ok()?.trim().parse().ok()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over_and_the_choice_is_kept() {
        let home = std::env::temp_dir().join(format!("qgx-ports-{}", std::process::id()));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let preferred = taken.local_addr().expect("an address").port();
        if preferred > u16::MAX - 20 * STEP - 3 {
            return;
        }
        let base = settle(&home, preferred, 3).expect("there are free ports");
        assert_ne!(base, preferred);
        drop(taken);
        assert_eq!(settle(&home, preferred, 3).expect("they are free still"), base);
        fs::remove_dir_all(&home).expect("the folder goes");
    }
}
