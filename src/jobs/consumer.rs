//! Taking jobs from the queue.
//!
//! What the crate leaves to us: a panic must not leave the job locked for ever; the channel of its events has
//! no bound, so it is always read; stack traces are stored by nobody else; a worker that cannot start because
//! Redis is away tries again.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bullmq::worker::WorkerEvent;
use bullmq::{Job, JobProgress, MetricsOptions, Worker, WorkerOptions};
use futures::FutureExt;
use futures::future::BoxFuture;
use redis::Script;
use tokio_util::sync::CancellationToken;

use crate::domain::run::Percent;
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::jobs::{COMPLETED_KEPT, FAILED_KEPT, QUEUE, connection_options, keep};
use crate::redis::Redis;

/// How long a job stays locked after its worker's last sign of life.
const LOCK_DURATION: Duration = Duration::from_secs(15);
const STALLED_INTERVAL: Duration = Duration::from_secs(4);
/// A stalled job is delivered again so many times; the run's row decides what that means.
const STALLED_COUNT_MAX: u32 = 1_000;
const RETRY_DELAY: Duration = Duration::from_millis(500);
const DRAIN_DELAY: Duration = Duration::from_secs(1);
/// Dashboards show how many jobs ended in each minute, so far back: two days.
const METRIC_MINUTES: usize = 2 * 24 * 60;
/// How long closing an idle worker may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);
/// Between two notes of a job's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Stack traces kept of a job, each within this bound.
const STACKTRACES_MAX: usize = 10;
const STACKTRACE_BYTES_MAX: usize = 4_096;

/// Notes why a job failed, if Redis still has the job: one that it has forgotten must not come back as a reason alone,
/// which nobody would take for missing.
static NOTE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 1 then
            redis.call('HSET', KEYS[1], 'stacktrace', ARGV[1], 'failedReason', ARGV[2])
        end
        ",
    )
});

/// A job that was taken.
#[derive(Debug)]
pub struct Delivery {
    job: Job,
}

/// What came of a delivery.
#[derive(Debug)]
pub enum Outcome {
    /// Finished.
    Done,
    /// Finished, with a result for whoever added the job.
    Answered(serde_json::Value),
    /// Failed; the queue delivers it again after its back-off.
    Retry(String),
    /// Failed for good.
    GiveUp(String),
    /// Not its time: the queue delivers it again then.
    Later(Timestamp),
    /// The process is stopping; the job stays where it is, for whoever takes it back.
    Leave,
}

/// What the queue has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Completed,
    Failed,
}

/// Works on deliveries.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Outcome>;

    /// The queue has taken note of the end of this job.
    fn settled(&self, job_id: String, settled: Settled) -> BoxFuture<'_, ()>;
}

/// The worker of this process.
pub struct Consumer {
    worker: Arc<Worker>,
}

impl Delivery {
    pub fn job_id(&self) -> &str {
        self.job.id()
    }

    /// When the job was added, by the clock of whoever did.
    pub fn added_at_ms(&self) -> u64 {
        self.job.timestamp()
    }

    pub fn data(&self) -> &serde_json::Value {
        self.job.data()
    }

    /// A handle that reports progress while the job is being worked on.
    pub fn reporter(&self) -> Reporter {
        Reporter { job: self.job.clone(), noted: None, noted_at: None }
    }
}

/// Reports a job's progress to the queue.
#[derive(Debug, Clone)]
pub struct Reporter {
    job: Job,
    noted: Option<Percent>,
    noted_at: Option<Instant>,
}

impl Reporter {
    /// For those who look at the queue, where it has changed, and at most once a second: to be told again and again. A
    /// failure is of no consequence.
    pub async fn progress(&mut self, progress: Percent) {
        let is_early = self.noted_at.is_some_and(|at| at.elapsed() < PROGRESS_INTERVAL);
        if is_early || self.noted == Some(progress) {
            return;
        }
        (self.noted, self.noted_at) = (Some(progress), Some(Instant::now()));
        let update = self.job.update_progress(JobProgress::Number(f64::from(progress.get())));
        if let Ok(Err(error)) = tokio::time::timeout(RETRY_DELAY, update).await {
            tracing::debug!(%error, "The job's progress was not noted");
        }
    }
}

impl Consumer {
    /// Starts to take jobs, up to `concurrency` at a time; tries until Redis is there or `shutdown`.
    pub async fn start(
        redis: Redis,
        name: &str,
        concurrency: usize,
        handler: Arc<dyn Handler>,
        shutdown: &CancellationToken,
    ) -> Option<Self> {
        let mut is_waiting = false;
        loop {
            let started = Worker::with_options(
                QUEUE,
                processor(redis.clone(), handler.clone()),
                options(&redis, name, concurrency),
            );
            let error = tokio::select! {
                () = shutdown.cancelled() => return None,
                started = started => match started {
                    Ok(worker) => return Some(Self { worker: Arc::new(worker) }),
                    Err(error) => error,
                },
            };
            if !is_waiting {
                is_waiting = true;
                tracing::warn!(%error, "The queue cannot be reached: runs wait until Redis is back");
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Reads the crate's events until `shutdown`; its owner runs it as a task.
    pub async fn watch(&self, handler: Arc<dyn Handler>, shutdown: CancellationToken) {
        while let Some(Some(event)) = shutdown.run_until_cancelled(self.worker.next_event()).await {
            match event {
                WorkerEvent::Completed { job_id, .. } => handler.settled(job_id, Settled::Completed).await,
                WorkerEvent::Failed { job_id, .. } => handler.settled(job_id, Settled::Failed).await,
                WorkerEvent::Error(error) => tracing::debug!(error, "The queue's worker reports an error"),
                _ => {}
            }
        }
    }

    /// Takes no further jobs.
    pub fn pause(&self) {
        self.worker.pause();
    }

    /// Takes no further jobs and lets go of the connections. Jobs that are being worked on are not waited for.
    pub async fn close(&self) {
        self.worker.pause();
        let timeout_ms = u64::try_from(CLOSE_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        if let Ok(Err(error)) = tokio::time::timeout(DRAIN_DELAY * 2, self.worker.close(timeout_ms)).await {
            tracing::debug!(%error, "The queue's worker did not close");
        }
    }
}

fn options(redis: &Redis, name: &str, concurrency: usize) -> WorkerOptions {
    WorkerOptions::new()
        .connection(connection_options(redis))
        .prefix(redis.prefix())
        .name(name)
        .concurrency(concurrency)
        .lock_duration(LOCK_DURATION)
        .stalled_interval(STALLED_INTERVAL)
        .max_stalled_count(STALLED_COUNT_MAX)
        .run_retry_delay(RETRY_DELAY)
        .drain_delay(DRAIN_DELAY)
        // For jobs that others add and say nothing of it.
        .remove_on_complete(keep(COMPLETED_KEPT))
        .remove_on_fail(keep(FAILED_KEPT))
        .metrics(MetricsOptions { max_data_points: METRIC_MINUTES })
        .skip_version_check()
}

fn processor(
    redis: Redis,
    handler: Arc<dyn Handler>,
) -> impl Fn(
    Job,
    bullmq::worker::CancellationToken,
) -> BoxFuture<'static, Result<serde_json::Value, bullmq::Error>>
+ Send
+ Sync
+ 'static {
    move |job, _token| {
        let (redis, handler) = (redis.clone(), handler.clone());
        Box::pin(async move {
            let delivery = Delivery { job: job.clone() };
            let outcome = AssertUnwindSafe(handler.handle(delivery)).catch_unwind().await;
            match outcome {
                Ok(Outcome::Done) => Ok(serde_json::Value::Null),
                Ok(Outcome::Answered(result)) => Ok(result),
                Ok(Outcome::Retry(reason)) => {
                    note_failure(&redis, job.id(), &reason).await;
                    Err(bullmq::Error::ProcessingError(reason))
                }
                Ok(Outcome::GiveUp(reason)) => {
                    note_failure(&redis, job.id(), &reason).await;
                    Err(bullmq::Error::Unrecoverable(reason))
                }
                Ok(Outcome::Later(at)) => delay(&job, at).await,
                Ok(Outcome::Leave) => std::future::pending().await,
                Err(_) => {
                    tracing::error!(job.id = job.id(), "Working on a job panicked, it is tried again");
                    delay(&job, now().plus(STALLED_INTERVAL)).await
                }
            }
        })
    }
}

async fn delay(job: &Job, at: Timestamp) -> Result<serde_json::Value, bullmq::Error> {
    let at_ms = u64::try_from(at.as_millis()).unwrap_or(0);
    job.move_to_delayed(at_ms).await?;
    Err(bullmq::Error::Delayed)
}

/// Stores what BullMQ's dashboards show of a failure, in BullMQ's own field.
async fn note_failure(redis: &Redis, job_id: &str, reason: &str) {
    let key = format!("{}:{QUEUE}:{job_id}", redis.prefix());
    let noted = async {
        let stored: Option<String> = redis.command(redis::cmd("HGET").arg(&key).arg("stacktrace")).await?;
        let mut traces: Vec<String> =
            stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut trace = reason.to_owned();
        trace.truncate(trace.floor_char_boundary(STACKTRACE_BYTES_MAX));
        traces.push(trace);
        let kept = traces.split_off(traces.len().saturating_sub(STACKTRACES_MAX));
        let text = serde_json::Value::from(kept).to_string();
        let mut call = NOTE.prepare_invoke();
        call.key(&key).arg(text).arg(reason);
        redis.script::<()>(&call).await
    };
    if let Err(error) = noted.await {
        let error: Error = error;
        tracing::debug!(error = error.chain(), "The reason of a job's failure was not stored");
    }
}
