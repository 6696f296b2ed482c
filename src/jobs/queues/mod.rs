//! The queues as an operator sees them: what is in them, whoever put it there, and what can be done to it.
//!
//! `Jobs` serves runs; this looks at BullMQ's own structures, those of other programs included. Every read is one
//! bounded round trip, and what touches many jobs goes in slices, so that Redis serves others in between.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bullmq::redis_connection::RedisConnection;
use bullmq::{Queue, QueueOptions};
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::jobs::{self, connection_options};
use crate::redis::Redis;

mod act;
mod flow;
mod job;
mod overview;
mod read;
mod schedule;
mod slices;

pub use act::{NewJob, Refused};
pub use flow::{Flow, FlowWindow};
pub use job::{Link, StoredJob};
pub use overview::{Overview, RateLimit};
pub use read::{Metrics, RedisStats, WorkerClient};
pub use schedule::{Schedule, Scheduler};
pub use slices::{Brief, SLICE};

/// A queue of this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueName {
    /// Runs.
    Pipelines,
    /// Open to workers of others.
    Deployments,
}

impl QueueName {
    pub const ALL: [Self; 2] = [Self::Pipelines, Self::Deployments];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipelines => jobs::QUEUE,
            Self::Deployments => "deployments",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// Where a job stands in its queue. In the order in which a board shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    Active,
    Waiting,
    WaitingChildren,
    Prioritized,
    Completed,
    Failed,
    Delayed,
}

impl JobStatus {
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Waiting,
        Self::WaitingChildren,
        Self::Prioritized,
        Self::Completed,
        Self::Failed,
        Self::Delayed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::WaitingChildren => "waiting-children",
            Self::Prioritized => "prioritized",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The last part of the key of its list or sorted set.
    const fn key(self) -> &'static str {
        match self {
            Self::Waiting => "wait",
            other => other.as_str(),
        }
    }

    /// Whether its jobs are in a list; else in a sorted set.
    const fn is_list(self) -> bool {
        matches!(self, Self::Active | Self::Waiting)
    }
}

/// Both queues. Cheap to clone.
#[derive(Clone)]
pub struct Queues {
    redis: Redis,
    call_timeout: Duration,
    /// Connected at the first call, since the crate's own attempt to connect fails while Redis is away.
    connected: Arc<OnceCell<[Queue; 2]>>,
    overviews: overview::Cache,
    busy: Arc<Mutex<HashSet<(QueueName, &'static str)>>>,
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues").field("redis", &self.redis).finish_non_exhaustive()
    }
}

/// That something which touches many jobs is being done to a queue; over when it is dropped.
#[derive(Debug)]
pub struct Claim {
    busy: Arc<Mutex<HashSet<(QueueName, &'static str)>>>,
    what: (QueueName, &'static str),
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

impl Queues {
    pub fn new(redis: Redis, call_timeout: Duration) -> Self {
        Self {
            redis,
            call_timeout,
            connected: Arc::default(),
            overviews: overview::Cache::default(),
            busy: Arc::default(),
        }
    }

    /// None while the same is being done to the queue already.
    pub fn claim(&self, name: QueueName, kind: &'static str) -> Option<Claim> {
        let what = (name, kind);
        let is_free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
        is_free.then(|| Claim { busy: Arc::clone(&self.busy), what })
    }

    /// `<prefix>:<queue>:<last>`.
    fn key(&self, name: QueueName, last: &str) -> String {
        format!("{}:{}:{last}", self.redis.prefix(), name.as_str())
    }

    /// Whose job a key of a job is; none: not a queue of ours.
    fn job_of_key(&self, key: &str) -> Option<(QueueName, String)> {
        let rest = key.strip_prefix(self.redis.prefix())?.strip_prefix(':')?;
        let (queue, id) = rest.split_once(':')?;
        Some((QueueName::parse(queue)?, id.to_owned()))
    }

    async fn queue(&self, name: QueueName) -> Result<&Queue> {
        let queues = self
            .connected
            .get_or_try_init(|| async {
                let connection = RedisConnection::new_managed_only(&connection_options(&self.redis)).await?;
                let open = async |name: QueueName| {
                    let options = QueueOptions::new().prefix(self.redis.prefix()).skip_version_check();
                    Queue::with_connection(name.as_str(), connection.clone(), options).await
                };
                Ok::<_, bullmq::Error>([
                    open(QueueName::Pipelines).await?,
                    open(QueueName::Deployments).await?,
                ])
            })
            .await
            .map_err(jobs::unavailable)?;
        let [pipelines, deployments] = queues;
        Ok(match name {
            QueueName::Pipelines => pipelines,
            QueueName::Deployments => deployments,
        })
    }

    async fn bounded<T, E: From<Error>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.redis.must_be_there()?;
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable("redis", "no answer in time").into()),
        }
    }
}
