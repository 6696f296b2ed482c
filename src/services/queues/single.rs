//! What is done to one job. Where it is a run's, it is done to the run, and the job follows.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Changed, JobChange, JobStatus, NewJob, QueueName, Refusal, StoredJob, foreign, run_of};
use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::access;
use crate::services::runs::{self, RetryFrom, TriggerRun, Withdrawal};

/// A job further away than this is one that nobody remembers.
const DELAY_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) async fn change(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    id: &str,
    change: JobChange,
) -> Result<Changed, Refusal> {
    let job = app.queues.job(queue, id).await?;
    let run = match run_of(queue, id) {
        Some(run) => run_if_known(app, actor, &run).await?.map(|status| (run, status)),
        None => None,
    };
    if let (JobChange::Retry, Some((run, status))) = (change, &run) {
        // The queue may have forgotten the job: the run has not.
        return retry_run(app, actor, run, *status).await;
    }
    let job = job.ok_or(Refusal::NoJob)?;
    let run = run.map(|(run, _)| run);
    match change {
        JobChange::Retry => retry_job(app, queue, id).await?,
        JobChange::Remove => remove(app, actor, queue, &job, run.as_ref()).await?,
        JobChange::Promote => promote(app, actor, queue, id, run.as_ref()).await?,
        JobChange::EditData => return Err(Refusal::DataIsFixed),
        JobChange::Delay(at) => delay(app, actor, queue, id, run.as_ref(), at).await?,
        JobChange::Prioritize(priority) => app.queues.prioritize(queue, id, priority).await?,
        JobChange::RemoveUnprocessedChildren => {
            return match app.queues.remove_unprocessed_children(queue, id).await? {
                0 => Err(Refusal::NoUnprocessedChildren),
                count => Ok(Changed::Removed(count)),
            };
        }
    }
    Ok(Changed::Done)
}

pub(super) async fn run_if_known(app: &App, actor: &Actor, run: &RunId) -> Result<Option<RunStatus>> {
    match access::run(app, actor, run, Role::Operator).await {
        Ok(record) => Ok(Some(record.run.status)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A failed run from what failed, a succeeded one from the start.
async fn retry_run(app: &App, actor: &Actor, run: &RunId, status: RunStatus) -> Result<Changed, Refusal> {
    if !status.is_ended() {
        return Err(Refusal::NotRetriable { state: status.as_str().to_owned() });
    }
    runs::retry(app, actor, run, retry_from(status)).await?;
    Ok(Changed::Done)
}

pub(super) fn retry_from(status: RunStatus) -> RetryFrom {
    match status {
        RunStatus::Succeeded => RetryFrom::Start,
        _ => RetryFrom::Failed,
    }
}

async fn retry_job(app: &App, queue: QueueName, id: &str) -> Result<(), Refusal> {
    let state = app.queues.state(queue, id).await?;
    match JobStatus::parse(state) {
        Some(status @ (JobStatus::Completed | JobStatus::Failed)) => {
            Ok(app.queues.retry(queue, id, status).await?)
        }
        _ => Err(Refusal::NotRetriable { state: state.to_owned() }),
    }
}

/// Removes a finished job's record; a job that waits takes its run along.
async fn remove(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    job: &StoredJob,
    run: Option<&RunId>,
) -> Result<(), Refusal> {
    if let Some(scheduler) = &job.scheduler {
        let next = app.queues.scheduler(queue, scheduler).await?.and_then(|scheduler| scheduler.next_job());
        if next.as_ref() == Some(&job.id) {
            return Err(Refusal::BelongsToScheduler(scheduler.clone()));
        }
    }
    if app.queues.state(queue, &job.id).await? == JobStatus::Active.as_str() {
        return Err(Refusal::Active);
    }
    let Some(run) = run else { return foreign::remove(app, actor, queue, job).await };
    match runs::withdraw(app, actor, run).await? {
        Withdrawal::Ended => take_out(app, queue, &job.id).await,
        // Its job was hurried: a worker takes it in order to end the run.
        Withdrawal::Ending => Ok(()),
        Withdrawal::Held => Err(Refusal::Active),
    }
}

pub(super) async fn take_out(app: &App, queue: QueueName, id: &str) -> Result<(), Refusal> {
    match app.queues.remove(queue, id).await.map_err(Refusal::from) {
        // Somebody else was quicker.
        Ok(()) | Err(Refusal::NoJob) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Has a delayed job, and with it the next attempt of its run, begin now.
async fn promote(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    id: &str,
    run: Option<&RunId>,
) -> Result<(), Refusal> {
    if app.queues.state(queue, id).await? != JobStatus::Delayed.as_str() {
        return Err(Refusal::NotPromotable);
    }
    promote_delayed(app, actor, queue, id, run).await
}

pub(super) async fn promote_delayed(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    id: &str,
    run: Option<&RunId>,
) -> Result<(), Refusal> {
    // The run first: a worker that takes the job before it is due would put it back.
    if let Some(run) = run {
        runs::reschedule(app, actor, run, None).await?;
    }
    Ok(app.queues.promote(queue, id).await?)
}

async fn delay(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    id: &str,
    run: Option<&RunId>,
    at: Timestamp,
) -> Result<(), Refusal> {
    let state = app.queues.state(queue, id).await?;
    if state != JobStatus::Delayed.as_str() {
        return Err(Refusal::NotDelayed { state: state.to_owned() });
    }
    let delay = at.since(now());
    if DELAY_MAX < delay {
        return Err(Refusal::Failed(Error::invalid("runAt", "must be within a year")));
    }
    if let Some(run) = run {
        runs::reschedule(app, actor, run, (!delay.is_zero()).then_some(at)).await?;
    }
    Ok(app.queues.delay(queue, id, delay).await?)
}

/// Adds a job as any program would.
pub(super) async fn add(app: &App, queue: QueueName, job: NewJob) -> Result<Changed, Refusal> {
    let data = if job.data.is_null() { Value::Object(Map::new()) } else { job.data };
    let id = app.queues.add(queue, NewJob { data, ..job }).await?;
    added(app, queue, &id).await
}

/// Triggers a run, which has a job.
pub(super) async fn trigger(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    request: TriggerRun,
) -> Result<Changed, Refusal> {
    let run = runs::trigger(app, actor, request).await?;
    added(app, queue, run.id.as_str()).await
}

pub(super) async fn trigger_again(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    run: &RunId,
) -> Result<Changed, Refusal> {
    let run = access::run(app, actor, run, Role::Operator).await?.run;
    let request = TriggerRun {
        pipeline: run.pipeline_id.as_str().to_owned(),
        branch: run.branch,
        inputs: run.inputs,
        idempotency_key: None,
    };
    trigger(app, actor, queue, request).await
}

async fn added(app: &App, queue: QueueName, id: &str) -> Result<Changed, Refusal> {
    let job = super::job(app, queue, id).await?;
    let state = app.queues.state(queue, id).await?;
    Ok(Changed::Added { job: Box::new(job), state })
}
