//! File descriptors: as many as the system allows, and no more connections than they last for.

use crate::config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the stores, the log, the listeners.
const RESERVE: u64 = 512;

/// What macOS allows at most where its limit reads as none (`OPEN_MAX`, setrlimit(2) there).
const OPEN_MAX: u64 = 10_240;

/// Raises what this process may open to what it may at most, and answers how many that is; `None`: no limit.
pub fn raise() -> Option<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raise_to = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum });
    let least_of_both = maximum.map_or(OPEN_MAX, |most| most.min(OPEN_MAX));
    if let Err(error) = raise_to(maximum).or_else(|_| raise_to(Some(least_of_both))) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    getrlimit(Resource::Nofile).current
}

/// Lowers the limits of connections to what the descriptors last for: a store that cannot open a file would stand
/// still, and a flood of connections must not bring that about.
pub fn fit(config: &mut Config, most: Option<u64>) {
    let Some(most) = most else { return };
    let (tcp, http) = (config.ingestion.connections_max, config.web.connections_max);
    // There are two HTTP listeners for the public.
    let wanted = (tcp + 2 * http) as u64;
    let there = most.saturating_sub(RESERVE.min(most / 2));
    if wanted <= there {
        return;
    }
    let share = |count: usize| usize::try_from(count as u64 * there / wanted).unwrap_or(count).max(1);
    config.ingestion.connections_max = share(tcp);
    config.web.connections_max = share(http);
    tracing::warn!(
        open_files = most,
        ingest_connections_max = config.ingestion.connections_max,
        http_connections_max = config.web.connections_max,
        "the system allows too few open files for the connections that the settings allow: these hold now; raise the \
         limit (ulimit -n, LimitNOFILE=)"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Given;

    fn check(most: Option<u64>, tcp: usize, http: usize) {
        let env = [("HOME".to_owned(), "/home/qgx".to_owned())].into();
        let mut config = Config::load(&Given { env, ..Given::default() }).unwrap();
        config.ingestion.connections_max = 10_000;
        config.web.connections_max = 4_000;
        fit(&mut config, most);
        assert_eq!((config.ingestion.connections_max, config.web.connections_max), (tcp, http), "{most:?}");
    }

    #[test]
    fn connections_leave_descriptors_for_the_stores() {
        check(None, 10_000, 4_000);
        check(Some(1_048_576), 10_000, 4_000);
        check(Some(18_512), 10_000, 4_000);
        check(Some(9_512), 5_000, 2_000);
        check(Some(1_024), 284, 113);
        check(Some(0), 1, 1);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let most = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, most);
    }
}
