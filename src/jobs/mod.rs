//! The queue: BullMQ's own layout in Redis, through the BullMQ team's crate, which nothing outside notices.
//!
//! The crate gives the scripts, the locks, the stalled check and the retries. Ours is what it leaves open:
//! a time limit on each call, jobs that are handed back as soon as their worker is known to be dead, panics
//! that do not leave a job locked for ever, and room in Redis that does not grow. The database decides what
//! a run is; a job only says that somebody should look at it.

use std::sync::LazyLock;
use std::time::Duration;

use bullmq::options::RedisConnectionOptions;
use bullmq::redis_connection::RedisConnection;
use bullmq::types::{BackoffStrategy, KeepJobs, RemoveOnFinish};
use bullmq::{Queue, QueueOptions};
use redis::Script;
use tokio::sync::OnceCell;

use crate::domain::ids::RunId;
use crate::domain::pipeline::Retry;
use crate::error::{Error, Result};
use crate::redis::Redis;

pub mod consumer;
pub mod foreign;
pub mod kinds;
pub mod queues;
pub mod server;

/// The queue of runs.
pub const QUEUE: &str = "pipelines";

/// Finished jobs are kept by count and by age, whichever ends first.
const COMPLETED_KEPT: usize = 1_000;
const FAILED_KEPT: usize = 5_000;
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Removes a job that has no data, unless it has come back meanwhile.
static CLEAR: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end")
});

/// The queue, for those who put jobs in and look at them.
#[derive(Clone)]
pub struct Jobs {
    redis: Redis,
    call_timeout: Duration,
    /// Connected at the first call, since the crate's own attempt to connect fails while Redis is away.
    queue: std::sync::Arc<OnceCell<Queue>>,
}

/// What the queue says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStanding {
    /// There is none.
    Absent,
    /// It waits, is delayed or is being worked on.
    Live,
    /// Done, for this delivery.
    Finished,
}

/// How many jobs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub waiting: u64,
    pub active: u64,
    pub delayed: u64,
    pub failed: u64,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl Jobs {
    pub fn new(redis: Redis, call_timeout: Duration) -> Self {
        Self { redis, call_timeout, queue: Default::default() }
    }

    /// Adds the job of a run. Its id is the run's, so that adding it twice adds it once. `retry` is what the
    /// queue shows and does by itself; the run's row has the last word.
    pub async fn add(&self, run: &RunId, retry: Retry) -> Result<()> {
        self.bounded(async {
            let queue = self.queue().await?;
            let delay_ms = u64::try_from(retry.delay.as_millis()).unwrap_or(u64::MAX);
            queue
                .add(kinds::EXECUTE_RUN, kinds::ExecuteRun { run_id: run.clone() })
                .job_id(run.as_str())
                .attempts(retry.attempts.max(1))
                .backoff(BackoffStrategy::Exponential(delay_ms))
                .remove_on_complete(keep(COMPLETED_KEPT))
                .remove_on_fail(keep(FAILED_KEPT))
                .await
                .map_err(unavailable)?;
            Ok(())
        })
        .await
    }

    /// Adds the job of a run that is to be tried again, in place of the one that is finished.
    pub async fn add_again(&self, run: &RunId, retry: Retry) -> Result<()> {
        match self.standing(run).await? {
            JobStanding::Finished => self.remove(run).await?,
            JobStanding::Absent => self.clear(run).await?,
            JobStanding::Live => {}
        }
        self.add(run, retry).await
    }

    /// Removes what may be left under the name of a job that is not there, and would be taken for it.
    async fn clear(&self, run: &RunId) -> Result<()> {
        self.bounded(async {
            let key = self.queue().await?.keys().job_key(run.as_str());
            let mut call = CLEAR.prepare_invoke();
            call.key(key);
            self.redis.script::<()>(&call).await
        })
        .await
    }

    /// Takes a job that is not being worked on out of the queue. One that is stays.
    pub async fn remove(&self, run: &RunId) -> Result<()> {
        self.bounded(async {
            match self.queue().await?.remove(run.as_str()).await {
                Ok(_) | Err(bullmq::Error::JobLocked(_) | bullmq::Error::Script { .. }) => Ok(()),
                Err(error) => Err(unavailable(error)),
            }
        })
        .await
    }

    /// Has the job of a canceled run end its wait: delivered at once where there is still something to be done
    /// (`has_begun`), taken out of the queue where there is not.
    pub async fn hurry_or_remove(&self, run: &RunId, has_begun: bool) -> Result<()> {
        if !has_begun {
            return self.remove(run).await;
        }
        self.bounded(async {
            let queue = self.queue().await?;
            let Some(job) = queue.get_job(run.as_str()).await.map_err(unavailable)? else { return Ok(()) };
            let mut score = redis::cmd("ZSCORE");
            score.arg(queue.keys().delayed()).arg(run.as_str());
            if self.redis.command::<Option<f64>>(&score).await?.is_some() {
                job.promote().await.map_err(unavailable)?;
            }
            Ok(())
        })
        .await
    }

    pub async fn standing(&self, run: &RunId) -> Result<JobStanding> {
        let standings = self.standings(std::slice::from_ref(run)).await?;
        Ok(standings.first().copied().unwrap_or(JobStanding::Absent))
    }

    /// Of many jobs in one round trip, in the order of `runs`.
    pub async fn standings(&self, runs: &[RunId]) -> Result<Vec<JobStanding>> {
        // Nothing to be asked is no question that Redis would answer.
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        self.bounded(async {
            let keys = self.queue().await?.keys();
            let mut pipeline = redis::pipe();
            for run in runs {
                // A job without data is what is left of one that Redis has forgotten.
                pipeline.hexists(keys.job_key(run.as_str()), "data");
                pipeline.zscore(keys.completed(), run.as_str());
                pipeline.zscore(keys.failed(), run.as_str());
            }
            let answers: Vec<redis::Value> = self.redis.pipeline(&pipeline).await?;
            let standing = |answers: &[redis::Value]| match answers {
                [redis::Value::Int(0), ..] => JobStanding::Absent,
                [_, redis::Value::Nil, redis::Value::Nil] => JobStanding::Live,
                _ => JobStanding::Finished,
            };
            Ok(answers.chunks(3).map(standing).collect())
        })
        .await
    }

    /// Puts a job whose worker is dead back to the front of the queue, without waiting for its lock to expire.
    /// Does nothing where the job is not being worked on.
    pub async fn hand_back(&self, run: &RunId) -> Result<()> {
        self.bounded(async {
            let queue = self.queue().await?;
            let Some(job) = queue.get_job(run.as_str()).await.map_err(unavailable)? else { return Ok(()) };
            // Not by the queue's own look for a job's state, which reads every list from end to end.
            let mut place = redis::cmd("LPOS");
            place.arg(queue.keys().active()).arg(run.as_str());
            if self.redis.command::<Option<u64>>(&place).await?.is_none() {
                return Ok(());
            }
            let lock = format!("{}:lock", queue.keys().job_key(run.as_str()));
            let token: Option<String> = self.redis.command(redis::cmd("GET").arg(&lock)).await?;
            // A lock that has expired is given a holder again, whose name the script then asks for.
            let token = match token {
                Some(token) => token,
                None => {
                    let token = "handed-back".to_owned();
                    let mut command = redis::cmd("SET");
                    command.arg(&lock).arg(&token).arg("NX").arg("PX").arg(5_000);
                    self.redis.command::<()>(&command).await?;
                    token
                }
            };
            match job.move_to_wait(Some(&token)).await {
                Ok(_) => Ok(()),
                // Somebody else was quicker.
                Err(
                    bullmq::Error::JobNotFound(_)
                    | bullmq::Error::JobLocked(_)
                    | bullmq::Error::Script { .. },
                ) => Ok(()),
                Err(error) => Err(unavailable(error)),
            }
        })
        .await
    }

    /// The runs whose jobs are being worked on, as the queue knows it.
    pub async fn active(&self) -> Result<Vec<RunId>> {
        const ACTIVE_MAX: i64 = 10_000;
        self.bounded(async {
            let key = self.queue().await?.keys().active();
            let mut command = redis::cmd("LRANGE");
            command.arg(key).arg(0).arg(ACTIVE_MAX - 1);
            let ids: Vec<String> = self.redis.command(&command).await?;
            Ok(ids.into_iter().filter_map(|id| id.parse().ok()).collect())
        })
        .await
    }

    /// The runs whose jobs are taken next, in that order: as many as are worth counting.
    pub async fn next(&self) -> Result<Vec<RunId>> {
        const NEXT_MAX: i64 = 1_000;
        self.bounded(async {
            let key = self.queue().await?.keys().wait();
            let mut command = redis::cmd("LRANGE");
            command.arg(key).arg(-NEXT_MAX).arg(-1);
            let ids: Vec<String> = self.redis.command(&command).await?;
            Ok(ids.into_iter().rev().filter_map(|id| id.parse().ok()).collect())
        })
        .await
    }

    /// When the job that is taken next was added, in milliseconds, by the clock of whoever did; none: none waits.
    pub async fn next_added_at_ms(&self) -> Result<Option<u64>> {
        self.bounded(async {
            let keys = self.queue().await?.keys();
            let mut command = redis::cmd("LINDEX");
            let Some(id) = self.redis.command::<Option<String>>(command.arg(keys.wait()).arg(-1)).await?
            else {
                return Ok(None);
            };
            self.redis.command(redis::cmd("HGET").arg(keys.job_key(&id)).arg("timestamp")).await
        })
        .await
    }

    /// The runs whose jobs wait, have a time, or are being worked on; other programs' jobs have other ids.
    pub async fn live(&self) -> Result<Vec<RunId>> {
        const LIVE_MAX: isize = 10_000;
        self.bounded(async {
            let keys = self.queue().await?.keys();
            let mut pipeline = redis::pipe();
            pipeline.lrange(keys.wait(), 0, LIVE_MAX - 1);
            pipeline.lrange(keys.active(), 0, LIVE_MAX - 1);
            pipeline.zrange(keys.delayed(), 0, LIVE_MAX - 1);
            pipeline.zrange(keys.prioritized(), 0, LIVE_MAX - 1);
            let ids: Vec<Vec<String>> = self.redis.pipeline(&pipeline).await?;
            Ok(ids.into_iter().flatten().filter_map(|id| id.parse().ok()).collect())
        })
        .await
    }

    pub async fn counts(&self) -> Result<Counts> {
        self.bounded(async {
            let counts = self.queue().await?.get_job_counts().await.map_err(unavailable)?;
            Ok(Counts {
                waiting: counts.waiting,
                active: counts.active,
                delayed: counts.delayed,
                failed: counts.failed,
            })
        })
        .await
    }

    /// Has the queue's stream of events keep only its latest.
    pub async fn trim_events(&self) -> Result<()> {
        const EVENTS_KEPT: usize = 10_000;
        self.bounded(async {
            self.queue().await?.trim_events(EVENTS_KEPT).await.map_err(unavailable)?;
            Ok(())
        })
        .await
    }

    async fn queue(&self) -> Result<&Queue> {
        self.queue
            .get_or_try_init(|| async {
                let connection = RedisConnection::new_managed_only(&connection_options(&self.redis)).await?;
                let options = QueueOptions::new().prefix(self.redis.prefix()).skip_version_check();
                Queue::with_connection(QUEUE, connection, options).await
            })
            .await
            .map_err(unavailable)
    }

    /// The crate waits up to 40 seconds for a Redis that is away; nobody who asks us should.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.redis.must_be_there()?;
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::unavailable("redis", "no answer in time")),
        }
    }
}

fn keep(count: usize) -> RemoveOnFinish {
    RemoveOnFinish::Options(KeepJobs { count: Some(count), age: Some(KEPT_FOR.as_secs()), limit: None })
}

fn connection_options(redis: &Redis) -> RedisConnectionOptions {
    RedisConnectionOptions::new().url(redis.url().reveal())
}

fn unavailable(error: bullmq::Error) -> Error {
    Error::unavailable("queue", error)
}
