//! Appends on their way to the committer.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use store::broker::{BrokerError, NewRecord};
use tokio::sync::oneshot;

/// What a record costs in memory beside its payload, about.
pub const RECORD_COST: usize = 64;

/// One call of append.
pub struct Job {
    /// In order.
    pub records: Vec<NewRecord>,
    /// What it takes of the budget.
    pub cost: usize,
    /// Who waits.
    pub done: oneshot::Sender<Result<(), BrokerError>>,
}

/// What the committer does next.
pub enum Work {
    /// Writes these.
    Commit(Vec<Job>),
    /// Starts a new segment, so that the present one can go, and answers.
    Roll(oneshot::Sender<()>),
    /// Removes what may go.
    Trim,
}

/// When a batch is closed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The shortest time from one commit to the next.
    pub linger: Duration,
    /// So much is committed without lingering.
    pub enough: usize,
    /// No more than this in one commit, unless one call alone is more.
    pub most: usize,
}

/// The queue between appenders and the committer of a topic.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    cost: usize,
    rolls: VecDeque<oneshot::Sender<()>>,
    trim: bool,
    closing: bool,
    /// What the committer waits for: it is woken once, not at every append.
    wake_at: usize,
}

impl Queue {
    /// Appends a job; gives it back where the queue is closed.
    pub fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(job);
        }
        state.cost += job.cost;
        state.jobs.push_back(job);
        if state.cost >= state.wake_at {
            state.wake_at = usize::MAX;
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Asks for a new segment. The receiver fails where the queue is closed.
    pub fn roll(&self) -> oneshot::Receiver<()> {
        let (done, rolled) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.closing {
            state.rolls.push_back(done);
            self.changed.notify_one();
        }
        rolled
    }

    /// Asks for the removal of what may go.
    pub fn trim(&self) {
        let mut state = self.state.lock();
        if !state.trim {
            state.trim = true;
            self.changed.notify_one();
        }
    }

    /// Takes no more jobs; what is queued is still done.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// Waits for work; `None` when closed and everything is done. A first job after a pause is handed out at once:
    /// the linger is counted from the last commit, so that it only ever gathers what comes in quick succession.
    pub fn next(&self, pace: Pace, last_commit: Instant) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(done) = state.rolls.pop_front() {
                return Some(Work::Roll(done));
            }
            if std::mem::take(&mut state.trim) {
                return Some(Work::Trim);
            }
            let due = last_commit + pace.linger;
            let over = state.closing || state.cost >= pace.enough || Instant::now() >= due;
            if state.jobs.is_empty() {
                if state.closing {
                    return None;
                }
                state.wake_at = 0;
                self.changed.wait(&mut state);
            } else if over {
                return Some(Work::Commit(state.take(pace.most)));
            } else {
                state.wake_at = pace.enough;
                self.changed.wait_until(&mut state, due);
            }
        }
    }
}

impl State {
    fn take(&mut self, most: usize) -> Vec<Job> {
        let mut taken = Vec::new();
        let mut cost = 0;
        while let Some(job) = self.jobs.front() {
            if !taken.is_empty() && cost + job.cost > most {
                break;
            }
            cost += job.cost;
            taken.extend(self.jobs.pop_front());
        }
        self.cost -= cost;
        taken
    }
}

/// The bytes that may wait, over all topics.
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// One of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Takes `cost` where there is room. When nothing waits, anything fits: a record larger than the budget must
    /// pass as well.
    pub fn take(&self, cost: usize) -> bool {
        let room = |used: usize| (used == 0 || used + cost <= self.limit).then_some(used + cost);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok()
    }

    /// Gives back.
    pub fn release(&self, cost: usize) {
        self.used.fetch_sub(cost, Ordering::AcqRel);
    }

    /// What is taken.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}
