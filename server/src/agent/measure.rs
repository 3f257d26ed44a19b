//! What the machine is doing: processors, memory, disks, network, load, and its busiest processes.

use bytes::Bytes;
use domain::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Instant;
use sysinfo::{Disks, Networks, ProcessRefreshKind, ProcessesToUpdate, System};

/// The busiest processes are told about at every so many-th measurement.
const PROCESSES_EVERY: u64 = 6;
/// How many of them.
const PROCESSES: usize = 5;
/// File systems beyond this are left out.
const DISKS: usize = 16;

/// The machine, with what rates are computed against.
pub struct Machine {
    system: System,
    disks: Disks,
    networks: Networks,
    last: Instant,
    count: u64,
}

impl Machine {
    /// Takes the base line.
    ///
    /// # Errors
    /// Where this system cannot be measured.
    pub fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            system,
            disks: Disks::new_with_refreshed_list()?,
            networks: Networks::new_with_refreshed_list()?,
            last: Instant::now(),
            count: 0,
        })
    }

    /// Measures; a line for the machine and, now and then, one for each busy process.
    pub fn measure(&mut self) -> Vec<Bytes> {
        let ts = Timestamp::now();
        let elapsed = self.last.elapsed().as_secs_f64().max(0.001);
        self.last = Instant::now();
        let mut figures = Map::new();
        figures.insert("ts".to_owned(), json!(ts));
        figures.insert("kind".to_owned(), json!("metric"));
        self.processors(&mut figures);
        self.memory(&mut figures);
        self.file_systems(&mut figures);
        self.network(&mut figures, elapsed);
        let mut lines = vec![line(figures)];
        if self.count.is_multiple_of(PROCESSES_EVERY) {
            lines.extend(self.processes(ts));
        }
        self.count += 1;
        lines
    }

    fn processors(&mut self, figures: &mut Map<String, Value>) {
        self.system.refresh_cpu_usage();
        figures.insert("cpu.percent".to_owned(), rounded(f64::from(self.system.global_cpu_usage())));
        figures.insert("cpu.count".to_owned(), json!(self.system.cpus().len()));
        if let Ok(load) = System::load_average() {
            for (name, value) in [("load.1m", load.one), ("load.5m", load.five), ("load.15m", load.fifteen)] {
                figures.insert(name.to_owned(), rounded(value));
            }
        }
        if let Ok(uptime) = System::uptime() {
            figures.insert("uptime_secs".to_owned(), json!(uptime));
        }
    }

    fn memory(&mut self, figures: &mut Map<String, Value>) {
        self.system.refresh_memory();
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        let used = total.saturating_sub(available);
        figures.insert("memory.total_bytes".to_owned(), json!(total));
        figures.insert("memory.used_bytes".to_owned(), json!(used));
        figures.insert("memory.percent".to_owned(), percent(used, total));
        if self.system.total_swap() > 0 {
            figures.insert("swap.used_bytes".to_owned(), json!(self.system.used_swap()));
        }
    }

    fn file_systems(&mut self, figures: &mut Map<String, Value>) {
        self.disks.refresh(true);
        let mut seen = Vec::new();
        for disk in self.disks.iter().filter(|disk| disk.total_space() > 0) {
            let name = mount_name(&disk.mount_point().to_string_lossy());
            if seen.len() >= DISKS || seen.contains(&name) {
                continue;
            }
            let used = disk.total_space().saturating_sub(disk.available_space());
            figures.insert(format!("disk.{name}.used_bytes"), json!(used));
            figures.insert(format!("disk.{name}.percent"), percent(used, disk.total_space()));
            seen.push(name);
        }
    }

    fn network(&mut self, figures: &mut Map<String, Value>, elapsed: f64) {
        self.networks.refresh(true);
        let others = self.networks.iter().filter(|(name, _)| !name.to_string_lossy().starts_with("lo"));
        let (received, sent) = others.fold((0_u64, 0_u64), |(received, sent), (_, network)| {
            (received.saturating_add(network.received()), sent.saturating_add(network.transmitted()))
        });
        figures.insert("network.received_bytes_per_sec".to_owned(), rounded(received as f64 / elapsed));
        figures.insert("network.sent_bytes_per_sec".to_owned(), rounded(sent as f64 / elapsed));
    }

    fn processes(&mut self, ts: Timestamp) -> Vec<Bytes> {
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let mut busiest: Vec<_> = self.system.processes().values().collect();
        busiest.retain(|process| process.thread_kind().is_none());
        busiest.sort_by(|a, b| b.cpu_usage().total_cmp(&a.cpu_usage()).then(b.memory().cmp(&a.memory())));
        busiest
            .into_iter()
            .take(PROCESSES)
            .map(|process| {
                let mut figures = Map::new();
                figures.insert("ts".to_owned(), json!(ts));
                // No metric: many processes share these names, and their mixture charts nothing.
                figures.insert("kind".to_owned(), json!("event"));
                figures.insert("process.name".to_owned(), json!(process.name().to_string_lossy()));
                figures.insert("process.pid".to_owned(), json!(process.pid().as_u32()));
                figures.insert("process.cpu_percent".to_owned(), rounded(f64::from(process.cpu_usage())));
                figures.insert("process.memory_bytes".to_owned(), json!(process.memory()));
                line(figures)
            })
            .collect()
    }
}

fn line(figures: Map<String, Value>) -> Bytes {
    serde_json::to_vec(&Value::Object(figures)).unwrap_or_default().into()
}

fn rounded(value: f64) -> Value {
    json!((value * 100.0).round() / 100.0)
}

fn percent(part: u64, whole: u64) -> Value {
    rounded(if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 })
}

/// A mount point as part of a field's name: `/` is `root`, `/var/lib` is `var_lib`.
fn mount_name(mount: &str) -> String {
    let name: String = mount
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' })
        .take(60)
        .collect();
    if name.is_empty() { "root".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_one_metric_of_many_numbers() {
        let lines = Machine::new().unwrap().measure();
        let first: Value = serde_json::from_slice(&lines[0]).unwrap();
        assert_eq!(first["kind"], "metric");
        assert!(first["memory.used_bytes"].as_u64().unwrap() > 0, "{first}");
        assert!((0.0..=100.0).contains(&first["memory.percent"].as_f64().unwrap()), "{first}");
        assert!(first.get("message").is_none());
    }

    #[test]
    fn mount_points_become_names() {
        fn check(mount: &str, expect: &str) {
            assert_eq!(mount_name(mount), expect);
        }
        check("/", "root");
        check("/var/lib", "var_lib");
        check("/데이터", "데이터");
    }
}
