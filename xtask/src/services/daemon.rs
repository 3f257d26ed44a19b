//! Servers in the background: started once, found again by their pid files, stopped only if we started them.

use crate::process::Run;
use anyhow::{Context, bail};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting step looks again.
const LOOK: Duration = Duration::from_millis(200);
/// How long a server may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// One server process and the folder that is its own: `pid`, `log`, and what the server keeps.
pub struct Daemon {
    home: PathBuf,
}

impl Daemon {
    /// The process of this folder.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into() }
    }

    /// The folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where both outputs of the server go.
    pub fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// The process that was started here, if it still runs.
    pub fn pid(&self) -> Option<u32> {
        let noted = fs::read_to_string(self.home.join("pid")).ok()?;
        let (pid, born) = noted.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        // Numbers of processes are used again: the same one was born at the same moment.
        (birth(pid)? == born).then_some(pid)
    }

    /// Starts the command, unless it runs; it outlives this program.
    pub fn start(&self, command: &mut Command) -> anyhow::Result<()> {
        if self.pid().is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.home)?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Not interrupted with us.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
        let pid = child.id();
        let born = birth(pid).context("the server ended at once")?;
        fs::write(self.home.join("pid"), format!("{pid} {born}\n"))?;
        Ok(())
    }

    /// Waits until the server answers; an error with the end of its log where it does not, or ended.
    pub fn await_health(&self, limit: Duration, healthy: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !healthy() {
            if self.pid().is_none() {
                bail!("it ended; the end of {}:\n{}", self.log().display(), self.last_lines(20));
            }
            if Instant::now() > deadline {
                let secs = limit.as_secs();
                bail!(
                    "it did not answer within {secs} s; the end of {}:\n{}",
                    self.log().display(),
                    self.last_lines(20)
                );
            }
            thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Asks the server to end, where it runs.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        self.pid().map_or(Ok(()), |pid| signal(pid, "TERM"))
    }

    /// Asks the server to end, and ends it where it does not; false where it did not run.
    pub fn stop(&self) -> anyhow::Result<bool> {
        let pid_file = self.home.join("pid");
        let Some(pid) = self.pid() else {
            // It ended by itself, or was asked to before.
            return Ok(fs::remove_file(pid_file).is_ok());
        };
        self.ask_to_end()?;
        let deadline = Instant::now() + PATIENCE;
        while self.pid().is_some() && Instant::now() < deadline {
            thread::park_timeout(LOOK);
        }
        if self.pid().is_some() {
            signal(pid, "KILL")?;
        }
        fs::remove_file(pid_file)?;
        Ok(true)
    }

    /// Ends the server without a warning, where it runs.
    pub fn kill(&self) -> anyhow::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        signal(pid, "KILL")?;
        let deadline = Instant::now() + PATIENCE;
        while self.pid().is_some() {
            if Instant::now() > deadline {
                bail!("process {pid} cannot be ended");
            }
            thread::park_timeout(LOOK);
        }
        Ok(fs::remove_file(self.home.join("pid"))?)
    }

    /// The end of the log.
    pub fn last_lines(&self, count: usize) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    Run::new("kill").arg(format!("-{name}")).arg(pid.to_string()).output().map(drop)
}

/// When a living process was born, in the system's own words.
fn birth(pid: u32) -> Option<String> {
    if !Path::new("/proc/self/stat").exists() {
        let born = Run::new("ps").args(["-o", "lstart=", "-p"]).arg(pid.to_string()).output().ok()?;
        return Some(born.trim().replace(' ', "_")).filter(|born| !born.is_empty());
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // proc(5): the state is field 3, the birth field 22.
    (state != "Z").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(name: &str) -> Daemon {
        let home = std::env::temp_dir().join(format!("qgx-daemon-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        Daemon::at(home)
    }

    #[test]
    fn is_started_once_found_again_and_stopped() {
        let first = daemon("once");
        assert!(!first.stop().expect("nothing to stop"), "it did not run");
        first.start(Command::new("sh").args(["-c", "echo up; exec sleep 60"])).expect("it starts");
        let pid = first.pid().expect("it runs");
        let again = Daemon::at(first.home());
        again.start(&mut Command::new("false")).expect("it runs already");
        assert_eq!(again.pid(), Some(pid));
        again.await_health(PATIENCE, || again.last_lines(1) == "up").expect("its output is logged");
        assert!(again.stop().expect("it stops"));
        assert_eq!(first.pid(), None);
        fs::remove_dir_all(first.home()).expect("the folder goes");
    }

    #[test]
    fn a_killed_one_is_gone_and_can_be_started_again() {
        let killed = daemon("killed");
        killed.kill().expect("nothing to kill");
        for _ in 0..2 {
            killed.start(Command::new("sh").args(["-c", "trap '' TERM; sleep 60"])).expect("it starts");
            assert!(killed.pid().is_some());
            killed.kill().expect("it is killed");
            assert_eq!(killed.pid(), None);
        }
        fs::remove_dir_all(killed.home()).expect("the folder goes");
    }

    #[test]
    fn tells_why_it_ended() {
        let dead = daemon("dead");
        dead.start(Command::new("sh").args(["-c", "echo no such luck; exec sleep 0.3"])).expect("it starts");
        let error = dead.await_health(PATIENCE, || false).expect_err("it is never healthy");
        assert!(error.to_string().contains("no such luck"), "{error}");
        fs::remove_dir_all(dead.home()).expect("the folder goes");
    }

    #[test]
    fn another_process_of_the_same_number_is_left_alone() {
        let other = daemon("other");
        fs::create_dir_all(other.home()).expect("a folder");
        fs::write(other.home().join("pid"), format!("{} 1\n", std::process::id())).expect("a pid file");
        assert_eq!(other.pid(), None);
        other.stop().expect("nothing to stop");
        fs::remove_dir_all(other.home()).expect("the folder goes");
    }
}
