//! What can be changed, who may, and that it is put on record.

use super::{
    JobStatus, NewJob, QueueName, RateLimit, Refusal, Schedule, StoredJob, bulk, is_read_only, queue, single,
};
use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::ids::RunId;
use crate::domain::time::Timestamp;
use crate::domain::token::{Actor, Role};
use crate::error::Error;
use crate::services::audit;
use crate::services::runs::TriggerRun;

/// What is to be done to a queue, or to something in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Pause,
    Resume,
    /// In the queue of runs, it is what another program's job is: a worker triggers the run.
    Add(NewJob),
    /// Adds the job of a run.
    Trigger(TriggerRun),
    /// The same as a run was triggered with.
    TriggerAgain(RunId),
    /// None: another status than those of finished jobs.
    RetryAll(Option<JobStatus>),
    PromoteAll,
    /// None: a status that there is not, of which nothing is removed.
    Clean(Option<JobStatus>),
    Concurrency(u64),
    RateLimit(Option<RateLimit>),
    ReleaseRateLimit,
    Empty,
    Obliterate {
        force: bool,
    },
    EditScheduler(String, Schedule),
    RunScheduler(String),
    RemoveScheduler(String),
    Job(String, JobChange),
}

/// What is to be done to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobChange {
    Retry,
    Remove,
    Promote,
    EditData,
    Delay(Timestamp),
    Prioritize(u32),
    RemoveUnprocessedChildren,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    Done,
    Added { job: Box<StoredJob>, state: &'static str },
    Retried { retried: u64, skipped: u64 },
    Removed(u64),
}

impl Change {
    /// What an audit trail calls it.
    const fn action(&self) -> &'static str {
        match self {
            Self::Pause => "queues.pause",
            Self::Resume => "queues.resume",
            Self::Add(_) | Self::Trigger(_) | Self::TriggerAgain(_) => "jobs.add",
            Self::RetryAll(_) => "queues.retry",
            Self::PromoteAll => "queues.promote",
            Self::Clean(_) => "queues.clean",
            Self::Concurrency(_) => "queues.setConcurrency",
            Self::RateLimit(_) => "queues.setRateLimit",
            Self::ReleaseRateLimit => "queues.releaseRateLimit",
            Self::Empty => "queues.empty",
            Self::Obliterate { .. } => "queues.obliterate",
            Self::EditScheduler(..) => "schedulers.update",
            Self::RunScheduler(_) => "schedulers.run",
            Self::RemoveScheduler(_) => "schedulers.remove",
            Self::Job(_, JobChange::Retry) => "jobs.retry",
            Self::Job(_, JobChange::Remove) => "jobs.remove",
            Self::Job(_, JobChange::Promote) => "jobs.promote",
            Self::Job(_, JobChange::EditData) => "jobs.editData",
            Self::Job(_, JobChange::Delay(_)) => "jobs.delay",
            Self::Job(_, JobChange::Prioritize(_)) => "jobs.prioritize",
            Self::Job(_, JobChange::RemoveUnprocessedChildren) => "jobs.removeUnprocessedChildren",
        }
    }

    const fn role(&self) -> Role {
        match self {
            Self::Pause
            | Self::Resume
            | Self::Add(_)
            | Self::Trigger(_)
            | Self::TriggerAgain(_)
            | Self::RetryAll(_)
            | Self::PromoteAll
            | Self::Job(..) => Role::Operator,
            Self::Clean(_)
            | Self::Concurrency(_)
            | Self::RateLimit(_)
            | Self::ReleaseRateLimit
            | Self::Empty
            | Self::Obliterate { .. }
            | Self::EditScheduler(..)
            | Self::RunScheduler(_)
            | Self::RemoveScheduler(_) => Role::Admin,
        }
    }

    fn deed(&self, name: QueueName, outcome: &Result<Changed, Refusal>) -> Deed {
        let action = self.action();
        let deed = match outcome {
            Ok(Changed::Retried { retried, skipped }) => {
                Deed::done(action).saying(format!("retried {retried}, left out {skipped}"))
            }
            Ok(_) => Deed::done(action),
            Err(Refusal::Failed(Error::Unavailable { dependency, .. })) => {
                Deed::failed(action, format!("{dependency} is unavailable"))
            }
            Err(Refusal::Failed(error @ Error::Internal { .. })) => Deed::failed(action, error.to_string()),
            Err(Refusal::Failed(error)) => Deed::refused(action, error.to_string()),
            Err(Refusal::ReadOnly) => Deed::refused(action, "viewers only look"),
            Err(refusal) => Deed::refused(action, format!("{refusal:?}")),
        };
        let name = name.as_str();
        match self {
            Self::Job(id, _) => deed.to("job", format!("{name}/{id}")),
            Self::EditScheduler(id, _) | Self::RunScheduler(id) | Self::RemoveScheduler(id) => {
                deed.to("scheduler", format!("{name}/{id}"))
            }
            _ => deed.to("queue", name),
        }
    }
}

/// Does it, if the actor may, and puts it on record.
pub async fn change(app: &App, actor: &Actor, name: &str, change: Change) -> Result<Changed, Refusal> {
    let name = queue(name)?;
    let outcome = if_allowed(app, actor, name, &change).await;
    audit::record(app, actor, change.deed(name, &outcome)).await;
    app.queues.look_again().await;
    outcome
}

/// Pauses every queue that is not.
pub async fn pause_all(app: &App, actor: &Actor) -> Result<(), Refusal> {
    for name in QueueName::ALL {
        change(app, actor, name.as_str(), Change::Pause).await?;
    }
    Ok(())
}

pub async fn resume_all(app: &App, actor: &Actor) -> Result<(), Refusal> {
    for name in QueueName::ALL {
        change(app, actor, name.as_str(), Change::Resume).await?;
    }
    Ok(())
}

async fn if_allowed(app: &App, actor: &Actor, name: QueueName, change: &Change) -> Result<Changed, Refusal> {
    if is_read_only(actor) {
        return Err(Refusal::ReadOnly);
    }
    if !actor.may(change.role()) {
        let reason = format!("this needs the role {}, which {} has not", change.role().as_str(), actor.name);
        return Err(Refusal::Failed(Error::Forbidden(reason)));
    }
    Box::pin(carry_out(app, actor, name, change.clone())).await
}

async fn carry_out(app: &App, actor: &Actor, name: QueueName, change: Change) -> Result<Changed, Refusal> {
    match change {
        Change::Pause => app.queues.pause(name).await?,
        Change::Resume => app.queues.resume(name).await?,
        Change::Add(job) => return single::add(app, name, job).await,
        Change::Trigger(request) => return single::trigger(app, actor, name, request).await,
        Change::TriggerAgain(run) => return single::trigger_again(app, actor, name, &run).await,
        Change::RetryAll(status) => return bulk::retry_all(app, actor, name, status).await,
        Change::PromoteAll => return bulk::promote_all(app, actor, name).await,
        Change::Clean(None) => {}
        Change::Clean(Some(status)) => return bulk::clean(app, actor, name, status).await,
        Change::Concurrency(concurrency) => app.queues.set_concurrency(name, concurrency).await?,
        Change::RateLimit(limit) => app.queues.set_rate_limit(name, limit).await?,
        Change::ReleaseRateLimit => app.queues.release_rate_limit(name).await?,
        Change::Empty => return bulk::empty(app, actor, name).await,
        Change::Obliterate { force } => return bulk::obliterate(app, actor, name, force).await,
        Change::EditScheduler(id, schedule) => {
            let scheduler = app.queues.scheduler(name, &id).await?.ok_or(Refusal::NoScheduler)?;
            app.queues.reschedule(name, &scheduler, schedule).await.map_err(
                |refused| match Refusal::from(refused) {
                    Refusal::Rejected(_) => Refusal::BadPattern,
                    other => other,
                },
            )?;
        }
        Change::RunScheduler(id) => {
            let scheduler = app.queues.scheduler(name, &id).await?.ok_or(Refusal::NoScheduler)?;
            let (data, options) = scheduler.template();
            let job = NewJob { name: scheduler.name, data, options };
            return single::add(app, name, job).await;
        }
        Change::RemoveScheduler(id) => {
            if !app.queues.remove_scheduler(name, &id).await? {
                return Err(Refusal::NoScheduler);
            }
        }
        Change::Job(id, change) => return single::change(app, actor, name, &id, change).await,
    }
    Ok(Changed::Done)
}
