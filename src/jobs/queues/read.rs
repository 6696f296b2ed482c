//! Reads of what is in a queue: one round trip each, bounded by what is asked for.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::{JobStatus, QueueName, Queues, StoredJob};
use crate::error::Result;

/// A job's own log may be longer.
const LOG_LINES_MAX: isize = 1_000;
/// Minutes of a metric that are shown: two weeks.
const METRIC_POINTS_MAX: isize = 14 * 24 * 60;

/// Jobs at either end of a list among which one is looked for; more than workers have at once.
const LOOKED_FOR_AMONG: u64 = 2_000;

/// A worker of a queue, as Redis knows it by its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerClient {
    pub id: String,
    pub name: Option<String>,
    pub addr: String,
    /// In seconds.
    pub age: u64,
}

/// How many jobs ended in each minute, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    pub meta: Value,
    pub data: Vec<i64>,
    pub count: usize,
}

/// What Redis says of itself.
pub type RedisStats = Value;

impl Queues {
    /// Jobs of several statuses, the same part of each, in the order in which a board shows them.
    pub async fn list(
        &self,
        name: QueueName,
        statuses: &[JobStatus],
        start: u64,
        end: u64,
    ) -> Result<Vec<StoredJob>> {
        let (start, end) = (isize::try_from(start).unwrap_or(isize::MAX), isize::try_from(end).unwrap_or(-1));
        let mut pipeline = redis::pipe();
        for status in statuses {
            let key = self.key(name, status.key());
            match status.is_list() {
                true => pipeline.lrange(key, start, end),
                false => pipeline.zrevrange(key, start, end),
            };
        }
        let ids: Vec<Vec<String>> = self.redis.pipeline(&pipeline).await?;
        let mut seen = HashSet::new();
        let ids: Vec<String> = ids.into_iter().flatten().filter(|id| seen.insert(id.clone())).collect();
        self.jobs(name, &ids).await
    }

    /// Those of them that there are.
    pub async fn jobs(&self, name: QueueName, ids: &[String]) -> Result<Vec<StoredJob>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.hgetall(self.key(name, id));
        }
        let fields: Vec<HashMap<String, String>> = self.redis.pipeline(&pipeline).await?;
        Ok(ids.iter().zip(fields).filter_map(|(id, fields)| StoredJob::read(id, fields)).collect())
    }

    pub async fn job(&self, name: QueueName, id: &str) -> Result<Option<StoredJob>> {
        // A queue's own structures have names of the same form.
        let jobs =
            self.jobs(name, &[id.to_owned()]).await.or_else(|error| match is_of_another_kind(&error) {
                true => Ok(Vec::new()),
                false => Err(error),
            })?;
        Ok(jobs.into_iter().next())
    }

    /// `unknown` where the job is in none of the queue's lists. BullMQ's own script reads those from end to end; here, a
    /// job that is looked for in vain at both ends of a long list of those that wait, and stands nowhere else, is amid it.
    pub async fn state(&self, name: QueueName, id: &str) -> Result<&'static str> {
        use JobStatus::{Active, Completed, Delayed, Failed, Prioritized, Waiting, WaitingChildren};
        const SETS: [JobStatus; 5] = [Completed, Failed, Delayed, Prioritized, WaitingChildren];
        // BullMQ 5 keeps the jobs of a paused queue in a list of its own.
        const LISTS: [&str; 3] = ["active", "wait", "paused"];
        let mut sets = redis::pipe();
        for set in SETS {
            sets.zscore(self.key(name, set.key()), id);
        }
        let mut lists = redis::pipe();
        for list in LISTS {
            let key = self.key(name, list);
            lists.llen(&key);
            for rank in [1, -1] {
                let look = lists.cmd("LPOS").arg(&key).arg(id);
                look.arg("RANK").arg(rank).arg("MAXLEN").arg(LOOKED_FOR_AMONG);
            }
        }
        lists.exists(self.key(name, id));
        let scores: Vec<Option<f64>> = self.redis.pipeline(&sets).await?;
        if let Some((set, _)) = SETS.iter().zip(scores).find(|(_, score)| score.is_some()) {
            return Ok(set.as_str());
        }
        let mut found: Vec<Option<u64>> = self.redis.pipeline(&lists).await?;
        let exists = found.pop().flatten() == Some(1);
        let mut is_amid = false;
        for (list, found) in [Active, Waiting, Waiting].into_iter().zip(found.chunks(3)) {
            let [length, from_head, from_tail] = found else { continue };
            if from_head.or(*from_tail).is_some() {
                return Ok(list.as_str());
            }
            is_amid |= list == Waiting && length.is_some_and(|length| 2 * LOOKED_FOR_AMONG < length);
        }
        Ok(if is_amid && exists { Waiting.as_str() } else { "unknown" })
    }

    /// Whether a worker has it.
    pub async fn is_locked(&self, name: QueueName, id: &str) -> Result<bool> {
        self.redis.command(redis::cmd("EXISTS").arg(self.key(name, &format!("{id}:lock")))).await
    }

    /// The last lines of a job's own log.
    pub async fn log(&self, name: QueueName, id: &str) -> Result<Vec<String>> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.key(name, &format!("{id}:logs"))).arg(-LOG_LINES_MAX).arg(-1);
        self.redis.command(&command).await
    }

    pub async fn metrics(&self, name: QueueName, of: &'static str) -> Result<Metrics> {
        let key = self.key(name, &format!("metrics:{of}"));
        let data = format!("{key}:data");
        let mut pipeline = redis::pipe();
        let fields: &[&str] = &["count", "prevTS", "prevCount"];
        pipeline.hmget(&key, fields).lrange(&data, 0, METRIC_POINTS_MAX - 1).llen(&data);
        let (meta, data, count): (Vec<Option<i64>>, Vec<i64>, usize) = self.redis.pipeline(&pipeline).await?;
        let field = |at: usize| meta.get(at).copied().flatten().unwrap_or(0);
        let meta = json!({ "count": field(0), "prevTS": field(1), "prevCount": field(2) });
        Ok(Metrics { meta, data, count })
    }

    pub async fn workers(&self, name: QueueName) -> Result<Vec<WorkerClient>> {
        Ok(self.workers_among(name, &self.clients().await?))
    }

    /// What Redis lists of its connections.
    pub(super) async fn clients(&self) -> Result<String> {
        let mut command = redis::cmd("CLIENT");
        command.arg("LIST").arg("TYPE").arg("normal");
        self.redis.command(&command).await
    }

    /// A worker names its connections after its queue.
    pub(super) fn workers_among(&self, name: QueueName, clients: &str) -> Vec<WorkerClient> {
        let queue = format!("{}:{}", self.redis.prefix(), STANDARD.encode(name.as_str()));
        clients
            .lines()
            .filter_map(|line| {
                let fields: HashMap<&str, &str> =
                    line.split(' ').filter_map(|field| field.split_once('=')).collect();
                let name = match fields.get("name")?.strip_prefix(&queue)? {
                    "" => None,
                    named => Some(named.strip_prefix(":w:")?.to_owned()),
                };
                let text = |field: &str| fields.get(field).copied().unwrap_or_default();
                let age = text("age").parse().unwrap_or(0);
                Some(WorkerClient { id: text("id").to_owned(), name, addr: text("addr").to_owned(), age })
            })
            .collect()
    }

    pub async fn stats(&self) -> Result<RedisStats> {
        let info: String = self.redis.command(&redis::cmd("INFO")).await?;
        let fields: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let text = |name: &str| fields.get(name).copied().unwrap_or_default();
        let number = |name: &str| {
            text(name).parse::<f64>().map_or(json!(0), |number| match number {
                whole if whole.fract() == 0.0 => json!(whole as u64),
                other => json!(other),
            })
        };
        let total = match number("maxmemory") {
            none if none == 0 => number("total_system_memory"),
            limit => limit,
        };
        Ok(json!({
            "backend": "redis",
            "version": text("redis_version"),
            "mode": text("redis_mode"),
            "port": number("tcp_port"),
            "os": text("os"),
            "uptime": number("uptime_in_seconds"),
            "memory": {
                "total": total,
                "used": number("used_memory"),
                "fragmentationRatio": number("mem_fragmentation_ratio"),
                "peak": number("used_memory_peak"),
            },
            "clients": { "connected": number("connected_clients"), "blocked": number("blocked_clients") },
        }))
    }
}

fn is_of_another_kind(error: &crate::error::Error) -> bool {
    error.chain().contains("WRONGTYPE")
}
