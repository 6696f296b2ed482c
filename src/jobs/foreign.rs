//! Jobs that other programs put into the queue: what is noted on them, beside BullMQ's own fields.
//!
//! A delivery of a job that has finished before is somebody's wish to have it done again; one of a job that has not is a
//! repetition, since its worker died. The queue counts attempts, but a dashboard may set them back to nothing, so a field
//! of ours, which no script of BullMQ's touches, says it as well. It goes with the job.

use std::sync::LazyLock;

use redis::Script;

use crate::error::Result;
use crate::jobs::consumer::Delivery;
use crate::jobs::{Jobs, QUEUE};

/// Absent: the job has never finished. `settled`: it has. A number: it was delivered again, and is done once its run has
/// come to that attempt.
const FIELD: &str = "slipway";

/// What a delivery asks for. It is noted first, so that a repetition of it asks for the same, and not for one more.
static GOAL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local noted = redis.call('HGET', KEYS[1], ARGV[1])
        if tonumber(noted or '') then return noted end
        if not noted and (tonumber(redis.call('HGET', KEYS[1], 'atm')) or 0) == 0 then return false end
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
        return ARGV[2]
        ",
    )
});

/// Only of a job that is still there: one that was removed must not come back as this field alone.
static SETTLED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], 'settled') end
        ",
    )
});

/// Lines that say where a log is are few: a job that is tried again has them already.
static SAY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('LPOS', KEYS[2], ARGV[1]) == false then
            redis.call('RPUSH', KEYS[2], ARGV[1])
        end
        ",
    )
});

impl Jobs {
    /// The attempt to which the run of a job is to come by this delivery, if that asks for one more: `next`, unless
    /// another one was noted.
    pub async fn attempt_asked_for(&self, delivery: &Delivery, next: u32) -> Result<Option<u32>> {
        let mut call = GOAL.prepare_invoke();
        call.key(self.key(delivery.job_id())).arg(FIELD).arg(next);
        self.redis.script(&call).await
    }

    /// Notes that the queue has taken note of a job's end.
    pub async fn note_settled(&self, job_id: &str) -> Result<()> {
        let mut call = SETTLED.prepare_invoke();
        call.key(self.key(job_id)).arg(FIELD);
        self.redis.script(&call).await
    }

    /// Adds a line to what dashboards show as a job's log.
    pub async fn say(&self, job_id: &str, line: &str) -> Result<()> {
        let key = self.key(job_id);
        let mut call = SAY.prepare_invoke();
        call.key(&key).key(format!("{key}:logs")).arg(line);
        self.redis.script(&call).await
    }

    /// What is wrong with a job's options, which the queue's crate would leave out without a word, all of them.
    pub async fn problem_of_options(&self, job_id: &str) -> Result<Option<String>> {
        let mut command = redis::cmd("HGET");
        command.arg(self.key(job_id)).arg("opts");
        let text: Option<String> = self.redis.command(&command).await?;
        Ok(text.and_then(|text| problem_of(&text)))
    }

    fn key(&self, job_id: &str) -> String {
        format!("{}:{QUEUE}:{job_id}", self.redis.prefix())
    }
}

fn problem_of(options: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(options);
    let error = serde_path_to_error::deserialize::<_, bullmq::JobOptions>(&mut deserializer).err()?;
    Some(format!("opts.{}: {}", error.path(), error.inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_would_be_left_out_are_named() {
        assert_eq!(problem_of(r#"{"attempts":3,"backoff":{"type":"exponential","delay":500},"kl":5}"#), None);
        let problem = problem_of(r#"{"attempts":3,"delay":300.5}"#).unwrap();
        assert!(problem.starts_with("opts.delay: invalid type: floating point `300.5`"), "{problem}");
    }
}
