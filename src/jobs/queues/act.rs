//! What is done to one job, or to a queue as a whole. What a run is does not matter here.

use std::time::Duration;

use bullmq::options::JobOptions;
use bullmq::types::RetryOptions;
use serde_json::Value;

use super::{JobStatus, QueueName, Queues, RateLimit};
use crate::error::{Error, Result};
use crate::jobs::unavailable;

/// A job to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub name: String,
    pub data: Value,
    pub options: Value,
}

/// What the queue would not do.
#[derive(Debug)]
pub enum Refused {
    /// There is no such job.
    Absent,
    /// A worker has it.
    Held,
    /// It stands elsewhere than where this can be done.
    Elsewhere,
    /// What was asked for breaks a rule of the queue, in its own words.
    Rejected(String),
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<bullmq::Error> for Refused {
    fn from(error: bullmq::Error) -> Self {
        match error {
            bullmq::Error::JobNotFound(_) | bullmq::Error::Script { code: -1, .. } => Self::Absent,
            bullmq::Error::JobLocked(_) | bullmq::Error::Script { code: -2 | -6, .. } => Self::Held,
            bullmq::Error::JobNotInState(..) | bullmq::Error::Script { .. } => Self::Elsewhere,
            bullmq::Error::InvalidConfig(reason) => Self::Rejected(reason),
            other => Self::Failed(unavailable(other)),
        }
    }
}

impl Queues {
    /// Adds a job that is nobody's run. Its id.
    pub async fn add(&self, name: QueueName, job: NewJob) -> Result<String, Refused> {
        let NewJob { name: job_name, data, options } = job;
        let options: JobOptions =
            serde_json::from_value(options).map_err(|error| Refused::Rejected(error.to_string()))?;
        self.bounded(async {
            let job = self.queue(name).await?.add(&job_name, data).options(options).await?;
            Ok(job.id().to_owned())
        })
        .await
    }

    /// Puts a finished job back, with all its attempts and stalls to come.
    pub async fn retry(&self, name: QueueName, id: &str, from: JobStatus) -> Result<(), Refused> {
        self.bounded(async {
            let queue = self.queue(name).await?;
            let mut job = queue.get_job(id).await?.ok_or(Refused::Absent)?;
            let afresh = RetryOptions { reset_attempts_made: true, reset_attempts_started: true };
            // Before it can be taken: a worker that stalls counts from here.
            self.redis.command::<()>(redis::cmd("HDEL").arg(self.key(name, id)).arg("stc")).await?;
            job.retry(from.as_str(), Some(afresh)).await.map_err(|error| match error {
                bullmq::Error::InvalidConfig(_) => Refused::Elsewhere,
                error => error.into(),
            })
        })
        .await
    }

    /// Takes a job out, with the children that it has.
    pub async fn remove(&self, name: QueueName, id: &str) -> Result<(), Refused> {
        self.bounded(async { Ok(self.queue(name).await?.remove(id).await.map(|_| ())?) }).await
    }

    /// Ends a job's delay.
    pub async fn promote(&self, name: QueueName, id: &str) -> Result<(), Refused> {
        self.bounded(async {
            let job = self.queue(name).await?.get_job(id).await?.ok_or(Refused::Absent)?;
            Ok(job.promote().await?)
        })
        .await
    }

    pub async fn delay(&self, name: QueueName, id: &str, delay: Duration) -> Result<(), Refused> {
        self.bounded(async {
            let job = self.queue(name).await?.get_job(id).await?.ok_or(Refused::Absent)?;
            Ok(job.change_delay(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)).await?)
        })
        .await
    }

    pub async fn prioritize(&self, name: QueueName, id: &str, priority: u32) -> Result<(), Refused> {
        self.bounded(async {
            let job = self.queue(name).await?.get_job(id).await?.ok_or(Refused::Absent)?;
            Ok(job.change_priority(priority, false).await?)
        })
        .await
    }

    /// How many children had not been worked on.
    pub async fn remove_unprocessed_children(&self, name: QueueName, id: &str) -> Result<u64> {
        let key = self.key(name, &format!("{id}:dependencies"));
        let count: u64 = self.redis.command(redis::cmd("SCARD").arg(key)).await?;
        if 0 < count {
            self.bounded(async {
                self.queue(name).await?.remove_unprocessed_children(id).await.map_err(unavailable)
            })
            .await?;
        }
        Ok(count)
    }

    pub async fn pause(&self, name: QueueName) -> Result<()> {
        self.bounded(async { self.queue(name).await?.pause().await.map_err(unavailable) }).await
    }

    pub async fn resume(&self, name: QueueName) -> Result<()> {
        self.bounded(async { self.queue(name).await?.resume().await.map_err(unavailable) }).await
    }

    /// How many jobs are worked on at once, by all workers together; 0: as many as they take.
    pub async fn set_concurrency(&self, name: QueueName, concurrency: u64) -> Result<()> {
        self.bounded(async {
            let queue = self.queue(name).await?;
            match concurrency {
                0 => queue.remove_global_concurrency().await,
                some => queue.set_global_concurrency(some).await,
            }
            .map_err(unavailable)
        })
        .await
    }

    pub async fn set_rate_limit(&self, name: QueueName, limit: Option<RateLimit>) -> Result<()> {
        self.bounded(async {
            let queue = self.queue(name).await?;
            match limit {
                None => queue.remove_global_rate_limit().await,
                Some(RateLimit { max, duration }) => queue.set_global_rate_limit(max, duration).await,
            }
            .map_err(unavailable)
        })
        .await
    }

    /// Lets jobs be taken again that the rate limit holds back.
    pub async fn release_rate_limit(&self, name: QueueName) -> Result<()> {
        self.redis.command(redis::cmd("DEL").arg(self.key(name, "limiter"))).await
    }
}
