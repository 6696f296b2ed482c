//! What a board shows of each queue, read once a second however many look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use serde::Serialize;
use tokio::sync::Mutex;

use super::{JobStatus, QueueName, Queues};
use crate::error::Result;

/// As long as this, what was read serves everybody.
const FRESH_FOR: Duration = Duration::from_secs(1);

pub(super) type Cache = Arc<Mutex<Option<(Instant, Arc<Vec<Overview>>)>>>;

/// At most `max` jobs in `duration` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    pub max: u64,
    pub duration: u64,
}

/// A queue at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    pub name: QueueName,
    pub counts: BTreeMap<&'static str, u64>,
    pub is_paused: bool,
    pub global_concurrency: Option<u64>,
    pub rate_limit: Option<RateLimit>,
    /// For how many milliseconds no job is taken, because of the rate limit.
    pub rate_limit_ttl: u64,
    pub schedulers: u64,
    /// None where Redis does not tell.
    pub has_workers: Option<bool>,
}

impl Queues {
    /// Of all queues.
    pub async fn overviews(&self) -> Result<Arc<Vec<Overview>>> {
        // Held while it is read: whoever comes meanwhile is given the same.
        let mut known = self.overviews.lock().await;
        if let Some((at, overviews)) = &*known
            && at.elapsed() < FRESH_FOR
        {
            return Ok(Arc::clone(overviews));
        }
        let read = Arc::new(self.read_overviews().await?);
        *known = Some((Instant::now(), Arc::clone(&read)));
        Ok(read)
    }

    /// Has the next look read anew: whoever has just changed something wants to see it.
    pub async fn look_again(&self) {
        *self.overviews.lock().await = None;
    }

    async fn read_overviews(&self) -> Result<Vec<Overview>> {
        let mut pipeline = redis::pipe();
        for name in QueueName::ALL {
            for status in JobStatus::ALL {
                let key = self.key(name, status.key());
                if status.is_list() {
                    pipeline.llen(key)
                } else {
                    pipeline.zcard(key)
                };
            }
            pipeline.zcard(self.key(name, "repeat"));
            let meta: &[&str] = &["paused", "concurrency", "max", "duration"];
            pipeline.hmget(self.key(name, "meta"), meta);
            pipeline.get(self.key(name, "limiter"));
            pipeline.pttl(self.key(name, "limiter"));
        }
        let answers: Vec<Value> = self.redis.pipeline(&pipeline).await?;
        let clients = self.clients().await.ok();
        let of_queue = answers.chunks(answers.len() / QueueName::ALL.len());
        let overview = |(name, answers): (QueueName, &[Value])| {
            let number = |at: usize| answers.get(at).map_or(0, |value| u64_of(value).unwrap_or(0));
            let counts = JobStatus::ALL.iter().enumerate().map(|(at, status)| (status.as_str(), number(at)));
            let next = JobStatus::ALL.len();
            let meta = match answers.get(next + 1) {
                Some(Value::Array(meta)) => meta.as_slice(),
                _ => &[],
            };
            let meta_number = |at: usize| meta.get(at).and_then(u64_of);
            let rate_limit = match (meta_number(2), meta_number(3)) {
                (Some(max), Some(duration)) => Some(RateLimit { max, duration }),
                _ => None,
            };
            let is_limited = meta_number(2).is_none_or(|max| max <= number(next + 2));
            Overview {
                name,
                counts: counts.collect(),
                is_paused: meta.first().is_some_and(|paused| *paused != Value::Nil),
                global_concurrency: meta_number(1),
                rate_limit,
                rate_limit_ttl: if is_limited { number(next + 3) } else { 0 },
                schedulers: number(next),
                has_workers: clients.as_ref().map(|clients| !self.workers_among(name, clients).is_empty()),
            }
        };
        Ok(QueueName::ALL.into_iter().zip(of_queue).map(overview).collect())
    }
}

/// None for what is not there, and for what is below 0.
fn u64_of(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
