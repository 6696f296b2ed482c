//! The queues for operators: a board's reads and actions. The database stays the truth: what is done to the job of a
//! run is done to the run.

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::jobs::queues::Refused;
use crate::services::logs;

mod bulk;
mod change;
pub mod foreign;
pub mod live;
mod single;

pub use crate::jobs::queues::{
    Flow, FlowWindow, JobStatus, Link, Metrics, NewJob, Overview, QueueName, RateLimit, RedisStats, Schedule,
    Scheduler, StoredJob, WorkerClient,
};
pub use change::{Change, Changed, JobChange, change, pause_all, resume_all};

/// Lines of a run's log that are shown as its job's.
const LOG_LINES: u32 = 1_000;

/// Why something was not done.
#[derive(Debug)]
pub enum Refusal {
    NoQueue,
    NoJob,
    NoScheduler,
    /// The actor may only look.
    ReadOnly,
    NotRetriable {
        state: String,
    },
    /// Only finished jobs are tried again.
    StatusNotRetriable,
    Active,
    BelongsToScheduler(String),
    NotDelayed {
        state: String,
    },
    /// To be promoted, a job must be delayed.
    NotPromotable,
    DataIsFixed,
    NoUnprocessedChildren,
    NotPaused,
    HasActiveJobs,
    /// A schedule that the queue cannot follow.
    BadPattern,
    /// The same is being done to the queue already.
    Busy,
    /// The queue's own words.
    Rejected(String),
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Absent => Self::NoJob,
            Refused::Held => Self::Active,
            Refused::Elsewhere => Self::Failed(Error::Conflict(
                "the job went on meanwhile: look at it and try again".to_owned(),
            )),
            Refused::Rejected(reason) => Self::Rejected(reason),
            Refused::Failed(error) => Self::Failed(error),
        }
    }
}

/// Jobs of one queue that are wanted beside the glance at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub queue: QueueName,
    /// None: the latest of each.
    pub status: Option<JobStatus>,
    pub start: u64,
    pub end: u64,
}

pub fn queue(name: &str) -> Result<QueueName, Refusal> {
    QueueName::parse(name).ok_or(Refusal::NoQueue)
}

/// Whether the actor may change anything here.
pub fn is_read_only(actor: &Actor) -> bool {
    !actor.may(Role::Operator)
}

pub async fn overviews(app: &App) -> Result<Vec<Overview>> {
    Ok(app.queues.overviews().await?.as_ref().clone())
}

pub async fn list(app: &App, part: Part) -> Result<Vec<StoredJob>> {
    let statuses = match &part.status {
        Some(status) => std::slice::from_ref(status),
        None => &JobStatus::ALL,
    };
    let mut jobs = app.queues.list(part.queue, statuses, part.start, part.end).await?;
    jobs.iter_mut().for_each(|job| link(app, part.queue, job));
    Ok(jobs)
}

pub async fn job(app: &App, queue: QueueName, id: &str) -> Result<StoredJob, Refusal> {
    let mut job = app.queues.job(queue, id).await?.ok_or(Refusal::NoJob)?;
    link(app, queue, &mut job);
    Ok(job)
}

pub async fn state(app: &App, queue: QueueName, id: &str) -> Result<&'static str> {
    app.queues.state(queue, id).await
}

pub async fn flow(app: &App, queue: QueueName, id: &str, window: FlowWindow) -> Result<Flow, Refusal> {
    let job = app.queues.job(queue, id).await?.ok_or(Refusal::NoJob)?;
    Ok(app.queues.flow(queue, job, window).await?)
}

/// The last lines of the run's log, and where the rest is; of a job that is nobody's run, its own log.
pub async fn log(app: &App, actor: &Actor, queue: QueueName, id: &str) -> Result<Vec<String>> {
    let Some(run_id) = run_of(queue, id) else { return app.queues.log(queue, id).await };
    let request = logs::ReadLog {
        run_id: run_id.clone(),
        from: Some(-i64::from(LOG_LINES)),
        limit: LOG_LINES,
        step: None,
    };
    let page = match logs::page(app, actor, request).await {
        Ok(page) => page,
        Err(Error::NotFound { .. }) => return app.queues.log(queue, id).await,
        Err(error) => return Err(error),
    };
    let mut lines = Vec::with_capacity(page.items.len() + 1);
    if let Some(before) = page.items.first().map(|line| line.n - 1).filter(|before| 0 < *before) {
        lines.push(format!("{before} lines come before these: {}", run_page(app, &run_id)));
    }
    lines.extend(page.items.into_iter().map(|line| match line.step {
        Some(step) => format!("[{step}] {}", line.message),
        None => line.message,
    }));
    Ok(lines)
}

pub async fn schedulers(app: &App, queue: QueueName) -> Result<Vec<Scheduler>> {
    app.queues.schedulers(queue).await
}

pub async fn workers(app: &App, queue: QueueName) -> Result<Vec<WorkerClient>> {
    app.queues.workers(queue).await
}

/// Of completed and of failed jobs.
pub async fn metrics(app: &App, queue: QueueName) -> Result<(Metrics, Metrics)> {
    Ok((app.queues.metrics(queue, "completed").await?, app.queues.metrics(queue, "failed").await?))
}

pub async fn rate_limit(app: &App, queue: QueueName) -> Result<Option<RateLimit>> {
    let overviews = app.queues.overviews().await?;
    Ok(overviews.iter().find(|overview| overview.name == queue).and_then(|overview| overview.rate_limit))
}

pub async fn stats(app: &App) -> Result<RedisStats> {
    app.queues.stats().await
}

/// The run that a job belongs to, by its id: whether there is one, the database says.
fn run_of(queue: QueueName, id: &str) -> Option<RunId> {
    let run: RunId = id.parse().ok()?;
    (queue == QueueName::Pipelines && run.as_str() == id).then_some(run)
}

fn link(app: &App, queue: QueueName, job: &mut StoredJob) {
    if let Some(run) = run_of(queue, &job.id).or_else(|| foreign::run_in_result(queue, job)) {
        job.external_url = Some(Link { href: run_page(app, &run), display_text: "Run".to_owned() });
    }
}

/// Where the web client shows a run.
fn run_page(app: &App, run: &RunId) -> String {
    let public_url = app.config.http.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    format!("{public_url}/r/{run}")
}
