//! The states of runs, as they change: each process reads a run once per change, whatever the number of
//! those who watch it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunState};
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::logs::lines::event;
use crate::redis::wakeups::{Listener, Wakeups};
use crate::services::waiting::Waiting;
use crate::store::{self, Store};

/// How often a run is read without a notice, which may be lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// The runs that are watched in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct States {
    store: Store,
    logs: Logs,
    wakeups: Wakeups,
    waiting: Waiting,
    tasks: TaskTracker,
    watched: Arc<Mutex<HashMap<RunId, Weak<Watched>>>>,
}

/// A run that is being watched. Watching ends with the last clone.
#[derive(Debug)]
pub struct Watched {
    latest: watch::Sender<Snapshot>,
    _reader: DropGuard,
}

/// A run as its row has it, and its state with the number of lines brought up to date.
#[derive(Debug)]
struct Reading {
    run: Run,
    state: RunState,
}

/// The state of a run, and the same as a finished server-sent event.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub state: Arc<RunState>,
    pub event: Bytes,
}

impl Snapshot {
    fn of(state: RunState) -> Result<Self> {
        let event = event(&state, state.version)?;
        Ok(Self { state: Arc::new(state), event })
    }

    /// The number of the log's last line, once no line follows.
    pub fn end_n(&self) -> Option<u64> {
        self.state.status.is_ended().then_some(self.state.lines)
    }
}

impl Watched {
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.latest.subscribe()
    }

    /// A version never goes back, and is sent once; again only where the reason is another, which is no part of the row.
    fn show(&self, snapshot: Snapshot) {
        self.latest.send_if_modified(|latest| {
            let (known, new) = (&latest.state, &snapshot.state);
            let is_news =
                known.version < new.version || (known.version == new.version && known.reason != new.reason);
            if is_news {
                *latest = snapshot;
            }
            is_news
        });
    }
}

/// The channel on which each change of a run is announced.
pub fn channel(run: &RunId) -> String {
    format!("run:{run}")
}

impl States {
    pub fn new(store: Store, logs: Logs, wakeups: Wakeups, waiting: Waiting, tasks: TaskTracker) -> Self {
        Self { store, logs, wakeups, waiting, tasks, watched: Arc::default() }
    }

    /// Begins to watch a run, or joins those who do. `NotFound`.
    pub async fn watch(&self, run: &RunId) -> Result<Arc<Watched>> {
        let known = self.watched().get(run).and_then(Weak::upgrade);
        if let Some(watched) = known {
            let has_ended = watched.latest.borrow().state.status.is_ended();
            if has_ended {
                // It may have begun again a moment ago, and an end that is past must not end what follows.
                watched.show(self.snapshot(&self.read(run).await?)?);
            }
            return Ok(watched);
        }
        let first = self.snapshot(&self.read(run).await?)?;
        let mut all = self.watched();
        if let Some(watched) = all.get(run).and_then(Weak::upgrade) {
            return Ok(watched);
        }
        let stop = CancellationToken::new();
        let watched =
            Arc::new(Watched { latest: watch::Sender::new(first), _reader: stop.clone().drop_guard() });
        all.insert(run.clone(), Arc::downgrade(&watched));
        let reader = self.clone().follow(run.clone(), Arc::downgrade(&watched));
        let states = self.clone();
        let run = run.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(reader).await;
            let mut all = states.watched();
            if all.get(&run).is_some_and(|watched| watched.strong_count() == 0) {
                all.remove(&run);
            }
        });
        Ok(watched)
    }

    /// Runs that are being watched at present.
    pub fn count(&self) -> usize {
        self.watched().len()
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, run: &RunId) -> Result<Reading> {
        let record = store::runs::find(&self.store, run).await?;
        let record = record.ok_or_else(|| Error::not_found("run", run))?;
        let mut state = record.state();
        if !state.status.is_ended() {
            self.count_lines(&mut state).await;
        }
        Ok(Reading { run: record.run, state })
    }

    /// As it is shown: with the reason that holds at this moment.
    fn snapshot(&self, Reading { run, state }: &Reading) -> Result<Snapshot> {
        let mut state = state.clone();
        if let Some(reason) = self.waiting.reason(run) {
            state.reason = Some(reason);
        }
        Snapshot::of(state)
    }

    /// Brings the number of lines up to date, which the row has only from time to time. Without Redis the
    /// status is still worth showing.
    async fn count_lines(&self, state: &mut RunState) {
        if let Ok(Some(head)) = self.logs.head(&state.run_id).await
            && state.lines < head.last_n
        {
            state.lines = head.last_n;
            state.last_line_at = head.last_line_at;
        }
    }

    async fn follow(self, run: RunId, watched: Weak<Watched>) {
        let mut listener = self.wakeups.listen(&channel(&run)).await;
        let mut is_failing = false;
        let mut is_first = true;
        let mut reading = None;
        loop {
            // What changed between the first read and the listening was not noticed.
            if !std::mem::take(&mut is_first) {
                self.wait(&mut listener, reading.as_ref(), &watched).await;
            }
            let Some(watched) = watched.upgrade() else { return };
            let read = self.read(&run).await.and_then(|reading| Ok((self.snapshot(&reading)?, reading)));
            match read {
                Ok((snapshot, read)) => {
                    is_failing = false;
                    watched.show(snapshot);
                    reading = Some(read);
                }
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(run.id = %run, error = error.chain(), "A watched run cannot be read, trying again");
                }
                Err(_) => {}
            }
        }
    }

    /// Waits until the run is to be read again; meanwhile a reason that changes is shown.
    async fn wait(&self, listener: &mut Listener, reading: Option<&Reading>, watched: &Weak<Watched>) {
        let mut installation = self.waiting.subscribe();
        let mut notice = std::pin::pin!(listener.wait(LOOK_INTERVAL));
        loop {
            tokio::select! {
                _ = &mut notice => return,
                Ok(()) = installation.changed() => {}
            }
            if let (Some(reading), Some(watched)) = (reading, watched.upgrade())
                && !reading.state.status.is_ended()
                && let Ok(snapshot) = self.snapshot(reading)
            {
                watched.show(snapshot);
            }
        }
    }
}
