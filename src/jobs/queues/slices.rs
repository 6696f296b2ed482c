//! Many jobs, a slice at a time: no call to Redis touches more than [`SLICE`] of them, and none walks a whole list.

use std::sync::LazyLock;

use redis::Script;

use super::{JobStatus, QueueName, Queues};
use crate::error::Result;
use crate::jobs::unavailable;

/// Jobs that a call touches.
pub const SLICE: u32 = 100;

/// Takes jobs out of the end of a list from which they are taken next. Marked first and then removed together, from
/// that end, so that the list is walked once and not to its other end.
static REMOVE_FROM_LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local wanted, removed = {}, 0
for i = 4, #ARGV do wanted[ARGV[i]] = true end
local ids = redis.call('LRANGE', KEYS[1], ARGV[2], ARGV[3])
local last = math.min(tonumber(ARGV[3]), -1)
for i, id in ipairs(ids) do
  if wanted[id] then
    redis.call('LSET', KEYS[1], last - (#ids - i), '')
    local key = ARGV[1] .. id
    redis.call('UNLINK', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
      key .. ':unsuccessful')
    removed = removed + 1
  end
end
if 0 < removed then redis.call('LREM', KEYS[1], -removed, '') end
return removed",
    )
});

static REMOVE_FROM_SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local removed = 0
for i = 2, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then
    local key = ARGV[1] .. ARGV[i]
    redis.call('UNLINK', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
      key .. ':unsuccessful')
    removed = removed + 1
  end
end
return removed",
    )
});

/// What has to be known of a job before it is swept away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    pub id: String,
    /// When anything happened to it last, in milliseconds.
    pub touched_at: u64,
    /// It is the next one of a scheduler.
    pub is_scheduled: bool,
    /// Other jobs, or a key of deduplication, know of it.
    pub has_relatives: bool,
}

impl Queues {
    pub async fn count(&self, name: QueueName, status: JobStatus) -> Result<u64> {
        let command = if status.is_list() { "LLEN" } else { "ZCARD" };
        self.redis.command(redis::cmd(command).arg(self.key(name, status.key()))).await
    }

    /// A slice of jobs in the order in which their turn comes, `skip` of them left out.
    pub async fn slice(&self, name: QueueName, status: JobStatus, skip: u64) -> Result<Vec<Brief>> {
        let skip = isize::try_from(skip).unwrap_or(isize::MAX / 2);
        let key = self.key(name, status.key());
        let mut pipeline = redis::pipe();
        match status.is_list() {
            true => pipeline.lrange(key, -(skip + SLICE as isize), -(skip + 1)),
            false => pipeline.zrange(key, skip, skip + SLICE as isize - 1),
        };
        let (mut ids,): (Vec<String>,) = self.redis.pipeline(&pipeline).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        if status.is_list() {
            ids.reverse();
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            let fields: &[&str] = &["finishedOn", "processedOn", "timestamp", "rjk", "parentKey", "deid"];
            pipeline.hmget(self.key(name, id), fields);
            let scheduler = id.strip_prefix("repeat:").and_then(|rest| rest.rsplit_once(':'));
            pipeline.zscore(self.key(name, "repeat"), scheduler.map_or("", |(scheduler, _)| scheduler));
        }
        type Known = (Vec<Option<String>>, Option<f64>);
        let known: Vec<redis::Value> = self.redis.pipeline(&pipeline).await?;
        let known = known.chunks(2).map(|pair| {
            redis::from_redis_value::<Known>(redis::Value::Array(pair.to_vec())).unwrap_or_default()
        });
        let brief = |(id, (fields, next)): (String, Known)| {
            let field = |at: usize| fields.get(at).and_then(Option::as_deref);
            let at = field(0).or(field(1)).or(field(2));
            let is_next = |next: f64| id.ends_with(&format!(":{}", next as u64));
            Brief {
                touched_at: at.and_then(|at| at.parse().ok()).unwrap_or(0),
                is_scheduled: field(3).is_some() && next.is_some_and(is_next),
                has_relatives: field(4).is_some() || field(5).is_some(),
                id,
            }
        };
        Ok(ids.into_iter().zip(known).map(brief).collect())
    }

    /// Takes these jobs of the slice that begins after `skip` out of the queue. How many were there.
    pub async fn remove_slice(
        &self,
        name: QueueName,
        status: JobStatus,
        skip: u64,
        ids: &[String],
    ) -> Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        let script = if status.is_list() { &*REMOVE_FROM_LIST } else { &*REMOVE_FROM_SET };
        let mut call = script.prepare_invoke();
        call.key(self.key(name, status.key())).arg(self.key(name, ""));
        if status.is_list() {
            let skip = i64::try_from(skip).unwrap_or(i64::MAX / 2);
            call.arg(-(skip + i64::from(SLICE))).arg(-(skip + 1));
        }
        for id in ids {
            call.arg(id);
        }
        self.redis.script(&call).await
    }

    /// Removes finished jobs that ended so long ago, a slice of them. How many.
    pub async fn clean_slice(&self, name: QueueName, status: JobStatus, grace_ms: u64) -> Result<u64> {
        self.bounded(async {
            let removed =
                self.queue(name).await?.clean(grace_ms, SLICE, status.key()).await.map_err(unavailable)?;
            Ok(removed.len() as u64)
        })
        .await
    }

    /// Forgets what was set for the queue, and what happened in it.
    pub async fn forget(&self, name: QueueName) -> Result<()> {
        let mut unlink = redis::cmd("UNLINK");
        for last in [
            "meta",
            "events",
            "limiter",
            "pc",
            "metrics:completed",
            "metrics:completed:data",
            "metrics:failed",
            "metrics:failed:data",
        ] {
            unlink.arg(self.key(name, last));
        }
        self.redis.command(&unlink).await
    }
}
