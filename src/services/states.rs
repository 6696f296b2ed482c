//! The states of runs, as they change: each process reads a run once per change, whatever the number of
//! those who watch it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::domain::ids::RunId;
use crate::domain::run::RunState;
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::logs::lines::put_event;
use crate::redis::wakeups::Wakeups;
use crate::store::{self, Store};

/// How often a run is read without a notice, which may be lost.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// The runs that are watched in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct States {
    store: Store,
    logs: Logs,
    wakeups: Wakeups,
    tasks: TaskTracker,
    watched: Arc<Mutex<HashMap<RunId, Weak<Watched>>>>,
}

/// A run that is being watched. Watching ends with the last clone.
#[derive(Debug)]
pub struct Watched {
    latest: watch::Sender<Snapshot>,
    _reader: DropGuard,
}

/// The state of a run, and the same as a finished server-sent event.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub state: Arc<RunState>,
    pub event: Bytes,
}

impl Snapshot {
    fn of(state: RunState) -> Result<Self> {
        let json =
            serde_json::to_vec(&state).map_err(|error| Error::internal("encoding a run's state", error))?;
        let mut event = BytesMut::with_capacity(json.len() + 32);
        put_event(&mut event, &json, state.version.to_string().as_bytes());
        Ok(Self { state: Arc::new(state), event: event.freeze() })
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

    /// A version never goes back, and is sent once.
    fn show(&self, snapshot: Snapshot) {
        self.latest.send_if_modified(|latest| {
            let is_news = latest.state.version < snapshot.state.version;
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
    pub fn new(store: Store, logs: Logs, wakeups: Wakeups, tasks: TaskTracker) -> Self {
        Self { store, logs, wakeups, tasks, watched: Arc::default() }
    }

    /// Begins to watch a run, or joins those who do. `NotFound`.
    pub async fn watch(&self, run: &RunId) -> Result<Arc<Watched>> {
        let known = self.watched().get(run).and_then(Weak::upgrade);
        if let Some(watched) = known {
            let has_ended = watched.latest.borrow().state.status.is_ended();
            if has_ended {
                // It may have begun again a moment ago, and an end that is past must not end what follows.
                watched.show(self.read(run).await?);
            }
            return Ok(watched);
        }
        let first = self.read(run).await?;
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

    async fn read(&self, run: &RunId) -> Result<Snapshot> {
        let record = store::runs::find(&self.store, run).await?;
        let mut state = record.ok_or_else(|| Error::not_found("run", run))?.state();
        if !state.status.is_ended() {
            self.count_lines(&mut state).await;
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
        loop {
            // What changed between the first read and the listening was not noticed.
            if !std::mem::take(&mut is_first) {
                listener.wait(LOOK_INTERVAL).await;
            }
            let Some(watched) = watched.upgrade() else { return };
            match self.read(&run).await {
                Ok(snapshot) => {
                    is_failing = false;
                    watched.show(snapshot);
                }
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(run.id = %run, error = error.chain(), "A watched run cannot be read, trying again");
                }
                Err(_) => {}
            }
        }
    }
}
