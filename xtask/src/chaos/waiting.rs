//! Waiting for what others do.

use anyhow::bail;
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting step looks again.
const LOOK: Duration = Duration::from_millis(20);

/// Lets a time pass, as load or an outage goes on meanwhile.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Asks until the answer is yes; answers how long that took.
///
/// # Errors
/// Where it does not come in time, with the last reason; where the question itself fails for good.
pub fn until(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Result<(), String>>,
) -> anyhow::Result<Duration> {
    let start = Instant::now();
    loop {
        let Err(reason) = ask()? else { return Ok(start.elapsed()) };
        if start.elapsed() > limit {
            bail!("{what} did not come within {} s: {reason}", limit.as_secs());
        }
        pass(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_no_longer_than_is_said_and_tells_why() {
        let mut asked = 0;
        until("the third", Duration::from_secs(60), || {
            asked += 1;
            Ok(if asked == 3 { Ok(()) } else { Err("not yet".to_owned()) })
        })
        .expect("it comes");
        let error = until("never", Duration::ZERO, || Ok(Err("no".to_owned()))).expect_err("it never comes");
        assert_eq!(error.to_string(), "never did not come within 0 s: no");
        assert!(until("broken", Duration::ZERO, || bail!("broken")).is_err());
    }
}
