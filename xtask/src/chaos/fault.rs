//! The faults: how each is made, and when it is over.

use super::cluster::Cluster;
use super::dice::Dice;
use super::disk::SmallDisk;
use super::feed::Disturbance;
use super::load::Load;
use super::waiting::pass;
use super::wire::Wire;
use crate::services::OwnEngines;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A process of this role is killed, and started again at once.
    Kill(&'static str),
    /// The process is asked to end, and started again.
    Restart,
    /// The senders' sockets are reset in the middle of lines.
    Resets,
    /// The senders die in the middle of lines, and start again without a memory.
    Clients,
    /// Others send half of something and wait, and a sender reads no answers.
    Slow,
    /// The disk of the embedded log has no room for a while; every second time the process is killed meanwhile.
    FullDisk,
    /// One node of Kafka is killed, and started again after a while.
    KafkaNode,
    /// All of an engine is killed, and started again after a while.
    Outage(&'static str),
    /// One more processor joins and leaves again and again.
    Rebalance,
}

/// Where a fault can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One process on embedded stores.
    Embedded,
    /// The same, with the log on a small disk.
    SmallDisk,
    /// One process a role, on engines.
    Split,
}

/// A fault, where it happens, and how often where kills happen so often.
pub struct Listed {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// What goes wrong.
    pub fault: Fault,
    /// Where.
    pub place: Place,
    /// One in so many kills; 0 for an outage, of which a few say it all.
    share: u32,
}

const fn listed(name: &'static str, fault: Fault, place: Place, share: u32) -> Listed {
    Listed { name, fault, place, share }
}

/// All of them, in the order in which they happen.
pub const FAULTS: &[Listed] = &[
    listed("kill", Fault::Kill("all"), Place::Embedded, 1),
    listed("restart", Fault::Restart, Place::Embedded, 5),
    listed("resets", Fault::Resets, Place::Embedded, 5),
    listed("clients", Fault::Clients, Place::Embedded, 5),
    listed("slow", Fault::Slow, Place::Embedded, 10),
    listed("full-disk", Fault::FullDisk, Place::SmallDisk, 5),
    listed("kill-ingestion", Fault::Kill("ingestion"), Place::Split, 1),
    listed("kill-processor", Fault::Kill("processor"), Place::Split, 1),
    listed("kill-back", Fault::Kill("back"), Place::Split, 1),
    listed("kill-front", Fault::Kill("front"), Place::Split, 1),
    listed("split-resets", Fault::Resets, Place::Split, 5),
    listed("split-clients", Fault::Clients, Place::Split, 5),
    listed("rebalance", Fault::Rebalance, Place::Split, 10),
    listed("kafka-node", Fault::KafkaNode, Place::Split, 0),
    listed("kafka", Fault::Outage("kafka"), Place::Split, 0),
    listed("opensearch", Fault::Outage("opensearch"), Place::Split, 0),
    listed("mysql", Fault::Outage("mysql"), Place::Split, 0),
];

impl Listed {
    /// How often it happens where processes are killed so many times.
    pub fn times(&self, kills: u32) -> u32 {
        match self.share {
            0 => 1 + kills / 25,
            share => kills.div_ceil(share),
        }
    }
}

/// What faults happen to.
pub struct Victims<'a> {
    /// The processes.
    pub cluster: &'a mut Cluster,
    /// The senders.
    pub load: &'a Load,
    /// The engines that may be killed.
    pub engines: Option<&'a OwnEngines>,
    /// The disk that may be filled.
    pub disk: Option<&'a SmallDisk>,
    /// How long engines are away.
    pub outage: Duration,
    /// The how manieth time.
    pub time: u32,
}

/// Half-open peers at once.
const SLOW_PEERS: usize = 60;

impl Fault {
    /// Makes it happen; answers when it was over.
    ///
    /// # Errors
    /// Where something breaks that was not to.
    pub fn strike(self, of: Victims<'_>, dice: &mut Dice) -> anyhow::Result<Instant> {
        let Victims { cluster, load, outage, time, .. } = of;
        let engines = || of.engines.context("the engines are not ours to kill");
        match self {
            Self::Kill(role) => {
                let at =
                    *dice.one_of(&cluster.of_role(role)).with_context(|| format!("no process is {role}"))?;
                cluster.kill(at)?;
                cluster.launch(at)?;
                // Now and then while it starts, too.
                if dice.below(5) == 0 {
                    pass(dice.between(5, 250));
                    cluster.kill(at)?;
                    cluster.launch(at)?;
                }
            }
            Self::Restart => {
                cluster.stop(0)?;
                cluster.launch(0)?;
            }
            Self::Resets | Self::Clients => {
                let how = if self == Self::Resets { Disturbance::Reset } else { Disturbance::Forget };
                for _ in 0..5 {
                    load.disturb(how);
                    pass(dice.between(50, 400));
                }
            }
            Self::Slow => slow_peers(cluster, load)?,
            Self::FullDisk => {
                let disk = of.disk.context("there is no small disk")?;
                disk.fill()?;
                pass(dice.between(1_500, 4_000));
                cluster.expect_all_running()?;
                let kills = time % 2 == 0;
                if kills {
                    cluster.kill(0)?;
                }
                disk.free()?;
                if kills {
                    cluster.launch(0)?;
                }
            }
            Self::KafkaNode => {
                let nodes = engines()?.nodes("kafka")?;
                ensure!(nodes > 1, "Kafka has one node only");
                engines()?.kill("kafka", Some(dice.below(nodes)))?;
                pass(outage);
                engines()?.up("kafka")?;
            }
            Self::Outage(engine) => {
                engines()?.kill(engine, None)?;
                pass(outage);
                engines()?.up(engine)?;
            }
            Self::Rebalance => {
                let spare = cluster.spare().context("there is no spare processor")?;
                for turn in 0..4 {
                    cluster.launch(spare)?;
                    cluster.await_ready()?;
                    pass(dice.between(1_000, 4_000));
                    if turn % 2 == 0 {
                        cluster.stop(spare)?
                    } else {
                        cluster.kill(spare)?
                    }
                    pass(dice.between(500, 2_000));
                }
            }
        }
        Ok(Instant::now())
    }
}

/// Peers that say half of something and wait; meanwhile one sender reads nothing, and the others must go on.
fn slow_peers(cluster: &Cluster, load: &Load) -> anyhow::Result<()> {
    let door = *cluster.doors().first().context("nothing listens")?;
    let openings = [
        "HELLO {\"tok".to_owned(),
        format!("HELLO {{\"token\":\"{}\",\"source\":\"chaos-slow\"}}\n{{\"half\":", load.token),
        "2W".to_owned(),
    ];
    let mut peers = Vec::new();
    for opening in openings.iter().cycle().take(SLOW_PEERS) {
        let mut peer = Wire::open(door)?;
        peer.out.extend(opening.bytes());
        peer.send()?;
        peers.push(peer);
    }
    if let Some(feed) = load.feeds.first() {
        feed.disturb(Disturbance::Deaf(Duration::from_secs(2)));
    }
    for _ in 0..3 {
        load.await_beyond(&load.acknowledged(), Duration::from_secs(10))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_one_name() {
        let mut names: Vec<_> = FAULTS.iter().map(|listed| listed.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn each_fault_happens_as_often_as_is_fit() {
        fn check(name: &str, kills: u32, expect: u32) {
            let fault = FAULTS.iter().find(|fault| fault.name == name).expect("it is listed");
            assert_eq!(fault.times(kills), expect, "{name}");
        }
        check("kill", 50, 50);
        check("kill-back", 3, 3);
        check("restart", 50, 10);
        check("restart", 1, 1);
        check("kafka", 50, 3);
        check("kafka", 5, 1);
    }
}
