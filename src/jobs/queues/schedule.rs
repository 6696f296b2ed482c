//! Job schedulers: what makes jobs again and again, by a pattern or an interval.

use std::collections::HashMap;

use bullmq::job_scheduler::RepeatOptions;
use bullmq::options::JobOptions;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::act::Refused;
use super::job::expand;
use super::{QueueName, Queues};
use crate::error::Result;
use crate::jobs::unavailable;

/// More than anybody has.
const SCHEDULERS_MAX: isize = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduler {
    pub id: String,
    pub queue_name: &'static str,
    pub name: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// When jobs are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Otherwise by `every`, in milliseconds.
    pub pattern: Option<String>,
    pub every: Option<u64>,
    pub tz: Option<String>,
    pub limit: Option<u64>,
    pub end_date: Option<u64>,
}

impl Scheduler {
    /// The data and the options that it gives its jobs.
    pub fn template(&self) -> (Value, Value) {
        let part = |name: &str| self.rest.get("template").and_then(|template| template.get(name)).cloned();
        (part("data").unwrap_or_else(|| json!({})), part("opts").unwrap_or_else(|| json!({})))
    }

    /// The id of the job that it has made ahead of its time.
    pub fn next_job(&self) -> Option<String> {
        self.rest.get("nextRunJobId").and_then(Value::as_str).map(str::to_owned)
    }

    fn read(queue: QueueName, id: String, next: f64, mut fields: HashMap<String, String>) -> Self {
        let mut rest = Map::new();
        for name in ["pattern", "tz"] {
            if let Some(text) = fields.remove(name) {
                rest.insert(name.to_owned(), text.into());
            }
        }
        for (name, stored) in [
            ("every", "every"),
            ("limit", "limit"),
            ("startDate", "startDate"),
            ("endDate", "endDate"),
            ("iterationCount", "ic"),
        ] {
            if let Some(number) =
                fields.get(stored).and_then(|text| serde_json::from_str::<Number>(text).ok())
            {
                rest.insert(name.to_owned(), number.into());
            }
        }
        rest.insert("next".to_owned(), json!(next as u64));
        let mut template = Map::new();
        let stored = |name: &str| fields.get(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(data) = stored("data") {
            template.insert("data".to_owned(), data);
        }
        if let Some(opts) = stored("opts") {
            let opts = expand(Some(opts));
            if !opts.is_empty() {
                template.insert("opts".to_owned(), Value::Object(opts));
            }
        }
        if !template.is_empty() {
            rest.insert("template".to_owned(), Value::Object(template));
        }
        let name = fields.remove("name").unwrap_or_default();
        Self { id, queue_name: queue.as_str(), name, rest }
    }
}

impl Queues {
    /// Those whose next job comes last come first.
    pub async fn schedulers(&self, queue: QueueName) -> Result<Vec<Scheduler>> {
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(self.key(queue, "repeat")).arg(0).arg(SCHEDULERS_MAX - 1).arg("WITHSCORES");
        let listed: Vec<(String, f64)> = self.redis.command(&range).await?;
        self.read_schedulers(queue, listed).await
    }

    pub async fn scheduler(&self, queue: QueueName, id: &str) -> Result<Option<Scheduler>> {
        let mut score = redis::cmd("ZSCORE");
        score.arg(self.key(queue, "repeat")).arg(id);
        let Some(next): Option<f64> = self.redis.command(&score).await? else { return Ok(None) };
        Ok(self.read_schedulers(queue, vec![(id.to_owned(), next)]).await?.into_iter().next())
    }

    async fn read_schedulers(&self, queue: QueueName, listed: Vec<(String, f64)>) -> Result<Vec<Scheduler>> {
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let pending = |id: &str, next: f64| format!("repeat:{id}:{}", next as u64);
        let mut pipeline = redis::pipe();
        for (id, next) in &listed {
            pipeline.hgetall(self.key(queue, &format!("repeat:{id}")));
            pipeline.hget(self.key(queue, &pending(id, *next)), "timestamp");
        }
        type Stored = (HashMap<String, String>, Option<String>);
        let stored: Vec<redis::Value> = self.redis.pipeline(&pipeline).await?;
        let mut read = Vec::new();
        for ((id, next), answers) in listed.into_iter().zip(stored.chunks(2)) {
            let answers = redis::Value::Array(answers.to_vec());
            let Ok((fields, made_at)) = redis::from_redis_value::<Stored>(answers) else { continue };
            let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
            let (every, iterations) = (number("every"), number("ic").unwrap_or(0));
            let next_id = pending(&id, next);
            let mut scheduler = Scheduler::read(queue, id, next, fields);
            if let Some(made_at) = made_at {
                scheduler.rest.insert("nextRunJobId".to_owned(), next_id.into());
                // The pending job was made when the one before it ran.
                if 1 < iterations {
                    scheduler.rest.insert("lastRun".to_owned(), json!(made_at.parse::<u64>().unwrap_or(0)));
                    if let Some(every) = every {
                        let last_id = pending(&scheduler.id, next - every as f64);
                        let exists = redis::cmd("EXISTS").arg(self.key(queue, &last_id)).to_owned();
                        if self.redis.command(&exists).await? {
                            scheduler.rest.insert("lastRunJobId".to_owned(), last_id.into());
                        }
                    }
                }
            }
            read.push(scheduler);
        }
        Ok(read)
    }

    /// Has it make its jobs at other times. What it makes stays as it is.
    pub async fn reschedule(
        &self,
        queue: QueueName,
        scheduler: &Scheduler,
        schedule: Schedule,
    ) -> Result<(), Refused> {
        let (data, opts) = scheduler.template();
        let opts: JobOptions =
            serde_json::from_value(opts).map_err(|error| Refused::Rejected(error.to_string()))?;
        let Schedule { pattern, every, tz, limit, end_date } = schedule;
        let repeat = RepeatOptions { pattern, every, tz, limit, end_date, ..RepeatOptions::default() };
        self.bounded(async {
            let queue = self.queue(queue).await?;
            let made = queue
                .upsert_job_scheduler(&scheduler.id, repeat, Some(&scheduler.name), Some(data), Some(opts))
                .await;
            match made {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(Refused::Rejected("the schedule never comes".to_owned())),
                Err(bullmq::Error::Redis(error)) => Err(unavailable(error.into()).into()),
                Err(error) => Err(Refused::Rejected(error.to_string())),
            }
        })
        .await
    }

    /// Whether there was one.
    pub async fn remove_scheduler(&self, queue: QueueName, id: &str) -> Result<bool> {
        self.bounded(async { self.queue(queue).await?.remove_job_scheduler(id).await.map_err(unavailable) })
            .await
    }
}
