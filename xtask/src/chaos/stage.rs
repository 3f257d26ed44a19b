//! One set-up under load, and what the faults did to it.

use super::audit::{Audit, Found};
use super::cluster::Cluster;
use super::dice::Dice;
use super::disk::SmallDisk;
use super::fault::{Listed, Victims};
use super::load::Load;
use super::report::Row;
use super::waiting::pass;
use crate::services::OwnEngines;
use std::time::Duration;

/// Streams of one source each.
const STREAMS: usize = 3;

/// A set-up. The order of its parts is the order in which they end.
pub struct Stage {
    load: Load,
    cluster: Cluster,
    engines: Option<OwnEngines>,
    disk: Option<SmallDisk>,
    audit: Audit,
    /// How long engines are away.
    outage: Duration,
    /// How long a recovery may take.
    patience: Duration,
    round: u64,
    /// What was found wrong so far.
    known: Found,
}

impl Stage {
    /// Load on a cluster.
    ///
    /// # Errors
    /// Where no token can be made.
    pub fn new(
        cluster: Cluster,
        engines: Option<OwnEngines>,
        disk: Option<SmallDisk>,
        rate: u64,
        outage: Duration,
    ) -> anyhow::Result<Self> {
        let audit = Audit::new(cluster.api(), cluster.token("api", "chaos-audit")?)?;
        let patience = Duration::from_secs(if cluster.is_split() { 240 } else { 120 });
        let load = Load::start(&cluster, STREAMS, rate)?;
        let known = Found::default();
        Ok(Self { load, cluster, engines, disk, audit, outage, patience, round: 0, known })
    }

    /// Makes a fault happen so often; what went wrong stands in the row.
    pub fn suffer(&mut self, listed: &Listed, times: u32, dice: &mut Dice) -> Row {
        let mut row = Row { fault: listed.name, place: listed.place, ..Row::default() };
        let (lies, plain_sent) = (self.load.lies().len(), self.plain_sent());
        let plain = self.audit.plain().unwrap_or_default();
        let mut outcome = (1..=times).try_for_each(|time| self.round(listed, (time, times), dice, &mut row));
        if outcome.is_ok() {
            outcome = self.everything(&mut row);
        }
        if let Err(error) = outcome {
            row.broken.push(format!("{error:#}"));
        }
        row.broken.extend(self.load.lies().drain(lies..));
        match self.audit.plain() {
            Ok(now) => {
                row.plain_sent = self.plain_sent() - plain_sent;
                row.plain_stored = now.stored.saturating_sub(plain.stored);
                row.plain_twice = now.twice.saturating_sub(plain.twice);
            }
            Err(error) => row.broken.push(format!("{error:#}")),
        }
        row
    }

    fn plain_sent(&self) -> u64 {
        self.load.plain.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn round(
        &mut self,
        listed: &Listed,
        (time, times): (u32, u32),
        dice: &mut Dice,
        row: &mut Row,
    ) -> anyhow::Result<()> {
        self.round += 1;
        let round = self.round;
        self.load.begin(round);
        pass(dice.between(150, 1_000));
        let victims = Victims {
            cluster: &mut self.cluster,
            load: &self.load,
            engines: self.engines.as_ref(),
            disk: self.disk.as_ref(),
            outage: self.outage,
            time,
        };
        let over = listed.fault.strike(victims, dice)?;
        row.times += 1;
        let stood = self.load.acknowledged();
        self.cluster.await_ready()?;
        let ready = over.elapsed();
        self.load.await_beyond(&stood, self.patience)?;
        let acknowledges = over.elapsed();
        self.audit.await_total(round, self.load.acknowledged_of(round), self.patience)?;
        let caught_up = over.elapsed();
        self.load.settle(self.patience)?;
        self.cluster.expect_all_running()?;
        let all = self.load.acknowledged_of(round);
        row.acknowledged += all;
        // Where it does not come, the comparison says what is missing.
        let come = self.audit.await_total(round, all, self.patience);
        let mut found = self.audit.index(&self.load.feeds, Some(round))?;
        let sql = self.audit.sql(&self.load.feeds)?;
        // SQL's counts are of everything.
        found.uncounted = sql.uncounted.saturating_sub(self.known.uncounted);
        found.overcounted = sql.overcounted.saturating_sub(self.known.overcounted);
        if !found.is_clean() {
            found.examples.extend(sql.examples);
        }
        self.take(found, row);
        row.ready.push(ready);
        row.acknowledges.push(acknowledges);
        row.caught_up.push(caught_up);
        let seconds = |time: Duration| time.as_secs_f64();
        println!(
            "   {} {time}/{times}: {all} acknowledged; ready {:.2} s, acknowledges {:.2} s, lag 0 {:.2} s{}",
            listed.name,
            seconds(ready),
            seconds(acknowledges),
            seconds(caught_up),
            come.err().map_or(String::new(), |error| format!("; {error:#}")),
        );
        Ok(())
    }

    /// Once more all that was ever sent: a later fault must not take or repeat what an earlier one left.
    fn everything(&mut self, row: &mut Row) -> anyhow::Result<()> {
        let mut found = self.audit.index(&self.load.feeds, None)?;
        found.missing = found.missing.saturating_sub(self.known.missing);
        found.twice = found.twice.saturating_sub(self.known.twice);
        self.take(found, row);
        Ok(())
    }

    fn take(&mut self, found: Found, row: &mut Row) {
        self.known.missing += found.missing;
        self.known.twice += found.twice;
        self.known.uncounted += found.uncounted;
        self.known.overcounted += found.overcounted;
        if !found.is_clean() {
            row.broken
                .extend(found.examples.iter().map(|example| format!("round {}: {example}", self.round)));
        }
        row.missing += found.missing;
        row.twice += found.twice;
        row.uncounted += found.uncounted;
        row.overcounted += found.overcounted;
    }
}
