//! The queue of runs in numbers, as they change: each process looks once a second, however many watch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{JobStatus, QueueName};
use crate::app::App;
use crate::domain::time::{Timestamp, now};
use crate::error::Result;
use crate::logs::lines::event;
use crate::services::{history, system};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of runs at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueState {
    /// Jobs that no worker has taken yet.
    #[specta(type = f64)]
    pub waiting: u64,
    /// Jobs that a worker has.
    #[specta(type = f64)]
    pub active: u64,
    /// Jobs that wait for their time.
    #[specta(type = f64)]
    pub delayed: u64,
    /// Jobs that completed and are kept to be looked at.
    #[specta(type = f64)]
    pub completed: u64,
    /// Jobs that failed and are kept to be looked at.
    #[specta(type = f64)]
    pub failed: u64,
    /// Worker processes seen in the last 30 seconds.
    #[specta(type = f64)]
    pub workers: u64,
    /// When the job that is taken next was added; null where none waits.
    pub oldest_waiting_at: Option<Timestamp>,
    /// No job is taken until an operator resumes the queue.
    pub is_paused: bool,
    /// When the last minute that `system.queueHistory` tells of was over; null where it tells of none.
    pub history_until: Option<Timestamp>,
}

/// Who looks for all that watch in this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watching(Arc<Mutex<Weak<Watched>>>);

/// What was seen last. The looking ends with the last of those who watch.
#[derive(Debug)]
struct Watched {
    latest: watch::Sender<QueueState>,
    _looking: DropGuard,
}

impl Watching {
    fn current(&self) -> MutexGuard<'_, Weak<Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As finished server-sent events: the present state, then each change. It does not end by itself. While Redis is away
/// nothing is sent.
pub async fn watch(app: &App) -> Result<BoxStream<'static, Result<Bytes>>> {
    let first = look(app).await?;
    let watched = join(app, first);
    let mut latest = watched.latest.subscribe();
    let events = async_stream::stream! {
        let _keeps_looking = watched;
        loop {
            let state = *latest.borrow_and_update();
            yield event(&state, now().as_millis().unsigned_abs());
            if latest.changed().await.is_err() {
                return;
            }
        }
    };
    Ok(events.boxed())
}

fn join(app: &App, first: QueueState) -> Arc<Watched> {
    let mut current = app.queue_watching.current();
    if let Some(watched) = current.upgrade() {
        show(&watched, first);
        return watched;
    }
    let stop = CancellationToken::new();
    let watched =
        Arc::new(Watched { latest: watch::Sender::new(first), _looking: stop.clone().drop_guard() });
    *current = Arc::downgrade(&watched);
    let looking = keep_looking(app.clone(), Arc::downgrade(&watched));
    app.tasks.spawn(async move {
        stop.run_until_cancelled(looking).await;
    });
    watched
}

async fn keep_looking(app: App, watched: Weak<Watched>) {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let seen = Box::pin(look(&app)).await;
        let Some(watched) = watched.upgrade() else { return };
        match seen {
            Ok(state) => show(&watched, state),
            Err(error) => tracing::debug!(error = error.chain(), "The watched queue cannot be read"),
        }
    }
}

fn show(watched: &Watched, state: QueueState) {
    watched.latest.send_if_modified(|latest| std::mem::replace(latest, state) != state);
}

async fn look(app: &App) -> Result<QueueState> {
    let (overviews, next, workers, history_until) = tokio::try_join!(
        app.queues.overviews(),
        app.jobs.next_added_at_ms(),
        system::workers(app),
        history::until(app),
    )?;
    let runs = overviews.iter().find(|overview| overview.name == QueueName::Pipelines);
    let count =
        |status: JobStatus| runs.and_then(|runs| runs.counts.get(status.as_str())).copied().unwrap_or(0);
    Ok(QueueState {
        waiting: count(JobStatus::Waiting) + count(JobStatus::Prioritized),
        active: count(JobStatus::Active),
        delayed: count(JobStatus::Delayed),
        completed: count(JobStatus::Completed),
        failed: count(JobStatus::Failed),
        workers,
        oldest_waiting_at: next.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp::from_millis),
        is_paused: runs.is_some_and(|runs| runs.is_paused),
        history_until,
    })
}
