//! What is done to all jobs of a kind: in bounded slices, one such action per queue and kind at a time. Whoever asked
//! waits for it for a while; it goes on without them, until it is done or the server stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use super::single::{promote_delayed, retry_from, run_if_known};
use super::{Changed, JobStatus, QueueName, Refusal, run_of};
use crate::app::App;
use crate::domain::run::RunStatus;
use crate::domain::time::now;
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::jobs::queues::{Brief, Refused, SLICE};
use crate::services::runs::{self, Withdrawal};

/// So long an answer is waited for, below the time after which proxies commonly give up.
const WAIT_MAX: Duration = Duration::from_secs(25);
/// Jobs that are worked on at once.
const AT_ONCE: usize = 8;
/// So long canceled runs are waited for: twice as long as their steps have by default to end by themselves.
const LET_GO_MAX: Duration = Duration::from_secs(20);
const LET_GO_LOOK: Duration = Duration::from_millis(100);
/// Younger jobs are not cleaned away.
const GRACE_MS: u64 = 5_000;

/// What has been done so far.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    skipped: AtomicU64,
}

/// What became of a job.
enum Fate {
    Done,
    Skipped,
}

impl Tally {
    fn count(&self, fate: &Fate) {
        let counter = match fate {
            Fate::Done => &self.done,
            Fate::Skipped => &self.skipped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn retried(&self) -> Changed {
        let (done, skipped) = (self.done.load(Ordering::Relaxed), self.skipped.load(Ordering::Relaxed));
        Changed::Retried { retried: done, skipped }
    }
}

/// Who does it, to which queue.
struct Doer {
    app: App,
    actor: Actor,
    queue: QueueName,
    tally: Arc<Tally>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Retry(JobStatus),
    Promote,
    Clean(JobStatus),
    Empty,
    Obliterate,
}

impl Work {
    const fn kind(self) -> &'static str {
        match self {
            Self::Retry(_) => "retry",
            Self::Promote => "promote",
            Self::Clean(_) => "clean",
            Self::Empty => "empty",
            Self::Obliterate => "obliterate",
        }
    }
}

/// What is done to each of many jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Retry,
    Promote,
    CancelRun,
}

/// Tries finished jobs again: runs that were canceled, and what is on its way already, are left out.
pub(super) async fn retry_all(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    status: Option<JobStatus>,
) -> Result<Changed, Refusal> {
    let Some(status @ (JobStatus::Completed | JobStatus::Failed)) = status else {
        return Err(Refusal::StatusNotRetriable);
    };
    let tally = run(app, actor, queue, Work::Retry(status)).await?;
    Ok(tally.retried())
}

pub(super) async fn promote_all(app: &App, actor: &Actor, queue: QueueName) -> Result<Changed, Refusal> {
    run(app, actor, queue, Work::Promote).await.map(|_| Changed::Done)
}

/// Removes jobs that nothing has happened to for a while.
pub(super) async fn clean(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    status: JobStatus,
) -> Result<Changed, Refusal> {
    run(app, actor, queue, Work::Clean(status)).await.map(|_| Changed::Done)
}

/// Removes what waits to be taken; what is delayed stays.
pub(super) async fn empty(app: &App, actor: &Actor, queue: QueueName) -> Result<Changed, Refusal> {
    run(app, actor, queue, Work::Empty).await.map(|_| Changed::Done)
}

/// Removes everything, and what is set for the queue. Runs that workers have are canceled, and their workers end
/// them.
pub(super) async fn obliterate(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    force: bool,
) -> Result<Changed, Refusal> {
    app.queues.look_again().await;
    let overviews = app.queues.overviews().await?;
    if !overviews.iter().any(|overview| overview.name == queue && overview.is_paused) {
        return Err(Refusal::NotPaused);
    }
    if !force && 0 < app.queues.count(queue, JobStatus::Active).await? {
        return Err(Refusal::HasActiveJobs);
    }
    run(app, actor, queue, Work::Obliterate).await.map(|_| Changed::Done)
}

/// Does the work as a task of the process, unless the same is going on. What has been done when it is done, or when
/// nobody waits for it any more.
async fn run(app: &App, actor: &Actor, queue: QueueName, work: Work) -> Result<Arc<Tally>, Refusal> {
    let claim = app.queues.claim(queue, work.kind()).ok_or(Refusal::Busy)?;
    let tally = Arc::new(Tally::default());
    let doer = Doer { app: app.clone(), actor: actor.clone(), queue, tally: Arc::clone(&tally) };
    let task = app.tasks.spawn(async move {
        let _claim = claim;
        let shutdown = doer.app.shutdown.clone();
        let outcome = shutdown.run_until_cancelled(doer.carry_out(work)).await;
        if let Some(Err(error)) = &outcome {
            let error = error.chain();
            tracing::warn!(queue = queue.as_str(), ?work, error, "Not all jobs of a queue were done");
        }
        outcome
    });
    match tokio::time::timeout(WAIT_MAX, task).await {
        Ok(Ok(Some(outcome))) => outcome.map(|()| tally).map_err(Refusal::from),
        Ok(Ok(None)) => Err(Error::unavailable("server", "it stops").into()),
        Ok(Err(error)) => Err(Error::internal("doing something to all jobs of a queue", error).into()),
        // It goes on.
        Err(_) => Ok(tally),
    }
}

impl Doer {
    async fn carry_out(&self, work: Work) -> Result<()> {
        match work {
            Work::Retry(status) => self.each(status, Act::Retry).await,
            Work::Promote => self.each(JobStatus::Delayed, Act::Promote).await,
            Work::Clean(status @ (JobStatus::Completed | JobStatus::Failed)) => {
                self.clear_finished(status, GRACE_MS).await
            }
            // Workers have them, or jobs that do wait for them.
            Work::Clean(JobStatus::Active | JobStatus::WaitingChildren) => Ok(()),
            Work::Clean(status) => {
                let before = u64::try_from(now().as_millis()).unwrap_or(0).saturating_sub(GRACE_MS);
                self.sweep(status, |job| job.touched_at <= before).await
            }
            Work::Empty => {
                self.sweep(JobStatus::Waiting, |_| true).await?;
                self.sweep(JobStatus::Prioritized, |_| true).await
            }
            Work::Obliterate => self.obliterate().await,
        }
    }

    async fn obliterate(&self) -> Result<()> {
        let queues = &self.app.queues;
        for scheduler in queues.schedulers(self.queue).await? {
            queues.remove_scheduler(self.queue, &scheduler.id).await?;
        }
        self.each(JobStatus::Active, Act::CancelRun).await?;
        self.until_workers_let_go().await?;
        use JobStatus::{Active, Completed, Delayed, Failed, Prioritized, Waiting, WaitingChildren};
        // Of the active jobs, those that are nobody's run.
        for status in [Active, Waiting, Prioritized, Delayed, WaitingChildren] {
            self.sweep(status, |_| true).await?;
        }
        for status in [Completed, Failed] {
            self.clear_finished(status, 0).await?;
        }
        queues.forget(self.queue).await
    }

    /// Waits for the canceled runs to end, so that the records that their jobs leave go with the others. One whose steps
    /// take longer leaves its record.
    async fn until_workers_let_go(&self) -> Result<()> {
        let end = Instant::now() + LET_GO_MAX;
        while Instant::now() < end {
            let active = self.app.queues.slice(self.queue, JobStatus::Active, 0).await?;
            if !active.iter().any(|job| run_of(self.queue, &job.id).is_some()) {
                return Ok(());
            }
            tokio::time::sleep(LET_GO_LOOK).await;
        }
        Ok(())
    }

    /// Goes through the jobs that there are now, each once. Those that stay where they are are passed over.
    async fn each(&self, status: JobStatus, act: Act) -> Result<()> {
        let mut left = self.app.queues.count(self.queue, status).await?;
        let mut skip = 0;
        while 0 < left {
            let mut slice = self.app.queues.slice(self.queue, status, skip).await?;
            if slice.is_empty() {
                return Ok(());
            }
            slice.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left = left.saturating_sub(slice.len() as u64);
            let acts = slice.into_iter().map(|job| self.act(act, status, job));
            let mut fates = stream::iter(acts).buffer_unordered(AT_ONCE);
            while let Some(fate) = fates.next().await {
                let fate = fate?;
                self.tally.count(&fate);
                skip += u64::from(matches!(fate, Fate::Skipped));
            }
        }
        Ok(())
    }

    async fn act(&self, act: Act, status: JobStatus, job: Brief) -> Result<Fate> {
        match act {
            Act::Retry => self.retry(&job, status).await,
            Act::Promote => self.promote(&job).await,
            Act::CancelRun => self.cancel_run(&job).await,
        }
    }

    async fn retry(&self, job: &Brief, status: JobStatus) -> Result<Fate> {
        if let Some(run) = run_of(self.queue, &job.id)
            && let Some(status) = run_if_known(&self.app, &self.actor, &run).await?
        {
            if status == RunStatus::Canceled {
                return Ok(Fate::Skipped);
            }
            return match runs::retry(&self.app, &self.actor, &run, retry_from(status)).await {
                Ok(_) => Ok(Fate::Done),
                Err(Error::Conflict(_)) => Ok(Fate::Skipped),
                Err(error) => Err(error),
            };
        }
        fate(self.app.queues.retry(self.queue, &job.id, status).await)
    }

    async fn promote(&self, job: &Brief) -> Result<Fate> {
        let run = run_of(self.queue, &job.id);
        match promote_delayed(&self.app, &self.actor, self.queue, &job.id, run.as_ref()).await {
            // Nobody's run: the job alone.
            Err(Refusal::Failed(Error::NotFound { .. })) => {
                fate(self.app.queues.promote(self.queue, &job.id).await)
            }
            Ok(()) => Ok(Fate::Done),
            Err(Refusal::Failed(error @ (Error::Unavailable { .. } | Error::Internal { .. }))) => Err(error),
            Err(_) => Ok(Fate::Skipped),
        }
    }

    /// Takes jobs that wait out of the queue, and ends their runs.
    async fn sweep(&self, status: JobStatus, is_wanted: impl Fn(&Brief) -> bool) -> Result<()> {
        let queues = &self.app.queues;
        let mut left = queues.count(self.queue, status).await?;
        let mut skip = 0;
        while 0 < left {
            let slice = queues.slice(self.queue, status, skip).await?;
            if slice.is_empty() {
                return Ok(());
            }
            let looked_at = slice.len() as u64;
            left = left.saturating_sub(looked_at);
            let wanted = slice.into_iter().filter(|job| !job.is_scheduled && is_wanted(job));
            let mut ended = stream::iter(wanted).map(|job| self.end(job)).buffer_unordered(AT_ONCE);
            let (mut alone, mut related) = (Vec::new(), Vec::new());
            while let Some(job) = ended.next().await {
                match job? {
                    Some(job) if job.has_relatives => related.push(job.id),
                    Some(job) => alone.push(job.id),
                    None => {}
                }
            }
            let mut removed = queues.remove_slice(self.queue, status, skip, &alone).await?;
            for id in related {
                match queues.remove(self.queue, &id).await {
                    Ok(()) => removed += 1,
                    Err(Refused::Failed(error)) => return Err(error),
                    Err(_) => {}
                }
            }
            skip += looked_at.saturating_sub(removed);
        }
        Ok(())
    }

    /// Ends the run of a job that waits, so that the job can go. None: it has to stay.
    async fn end(&self, job: Brief) -> Result<Option<Brief>> {
        let Some(run) = run_of(self.queue, &job.id) else { return Ok(Some(job)) };
        match runs::withdraw(&self.app, &self.actor, &run).await {
            Ok(Withdrawal::Ended) | Err(Error::NotFound { .. }) => Ok(Some(job)),
            Ok(Withdrawal::Ending | Withdrawal::Held) | Err(Error::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The job stays with its worker.
    async fn cancel_run(&self, job: &Brief) -> Result<Fate> {
        let Some(run) = run_of(self.queue, &job.id) else { return Ok(Fate::Skipped) };
        match runs::cancel(&self.app, &self.actor, &run).await {
            Ok(_) | Err(Error::NotFound { .. } | Error::Conflict(_)) => Ok(Fate::Skipped),
            Err(error) => Err(error),
        }
    }

    async fn clear_finished(&self, status: JobStatus, grace_ms: u64) -> Result<()> {
        loop {
            let removed = self.app.queues.clean_slice(self.queue, status, grace_ms).await?;
            if removed < u64::from(SLICE) {
                return Ok(());
            }
        }
    }
}

/// A job that went on by itself is none of ours any more.
fn fate(outcome: Result<(), Refused>) -> Result<Fate> {
    match outcome {
        Ok(()) => Ok(Fate::Done),
        Err(Refused::Failed(error)) => Err(error),
        Err(_) => Ok(Fate::Skipped),
    }
}
