//! How busy the queue of runs was, minute by minute, for a day: in Redis, so that every server tells the same.
//!
//! What happened in a minute is read from the database once it is over, by whichever process claims the minute first.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::run::RunStatus;
use crate::domain::stats::percentile;
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::services::stats::millis;
use crate::store;
use crate::store::run_stats::RunEnd;

/// Minutes that are kept.
pub const MINUTES_MAX: u32 = 24 * 60;

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than any process looks back.
const CLAIMED_FOR: Duration = Duration::from_secs(10 * 60);
const KEY: &str = "history";

/// How busy the queue of runs was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
pub struct QueueHistory {
    /// Oldest first. A minute in which Slipway, its database or its Redis was away is missing.
    pub points: Vec<QueuePoint>,
}

/// A minute of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueuePoint {
    /// When the minute began.
    pub at: Timestamp,
    /// Jobs that no worker had taken, at its end.
    #[specta(type = f64)]
    pub waiting: u64,
    /// Jobs that a worker had, at its end.
    #[specta(type = f64)]
    pub active: u64,
    /// Jobs that waited for their time, at its end.
    #[specta(type = f64)]
    pub delayed: u64,
    /// Runs that were triggered in it.
    #[specta(type = f64)]
    pub added: u64,
    /// Runs that succeeded in it.
    #[specta(type = f64)]
    pub completed: u64,
    /// Runs that failed or timed out in it.
    #[specta(type = f64)]
    pub failed: u64,
    /// Runs that were canceled in it.
    #[specta(type = f64)]
    pub canceled: u64,
    /// Half of the runs that ended in it took no longer, in whole milliseconds from their start.
    #[specta(type = Option<f64>)]
    pub duration_p50_ms: Option<u64>,
    /// 95 of 100 of them took no longer.
    #[specta(type = Option<f64>)]
    pub duration_p95_ms: Option<u64>,
}

/// The last minutes that are over.
pub async fn read(app: &App, minutes: u32) -> Result<QueueHistory> {
    let from = minute_of(now()).saturating_sub(u64::from(minutes));
    let mut range = redis::cmd("ZRANGEBYSCORE");
    range.arg(app.redis.key(KEY)).arg(from).arg("+inf");
    let stored: Vec<Vec<u8>> = app.redis.command(&range).await?;
    // What another version wrote otherwise is left out.
    Ok(QueueHistory { points: stored.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect() })
}

/// When the last of these minutes was over.
pub async fn until(app: &App) -> Result<Option<Timestamp>> {
    let mut newest = redis::cmd("ZRANGE");
    newest.arg(app.redis.key(KEY)).arg(-1).arg(-1);
    let stored: Vec<Vec<u8>> = app.redis.command(&newest).await?;
    let point = stored.first().and_then(|text| serde_json::from_slice::<QueuePoint>(text).ok());
    Ok(point.map(|point| point.at.plus(MINUTE)))
}

/// Notes the minute that is over at an instant, unless somebody has. `noted` is the one that this process has seen to.
pub async fn note(app: &App, at: Timestamp, noted: &mut u64) -> Result<()> {
    let minute = minute_of(at).saturating_sub(1);
    if *noted == minute {
        return Ok(());
    }
    let claim = app.redis.key(&format!("{KEY}:{minute}"));
    let mut set = redis::cmd("SET");
    set.arg(&claim).arg("").arg("NX").arg("PX").arg(millis(CLAIMED_FOR));
    if app.redis.command::<Option<String>>(&set).await?.is_some()
        && let Err(error) = write(app, minute).await
    {
        // Somebody else may be able to.
        app.redis.command::<()>(redis::cmd("DEL").arg(&claim)).await?;
        return Err(error);
    }
    *noted = minute;
    Ok(())
}

async fn write(app: &App, minute: u64) -> Result<()> {
    let (from, to) = (beginning(minute), beginning(minute + 1));
    let (counts, added, ends) = tokio::try_join!(
        app.jobs.counts(),
        store::run_stats::triggered(&app.store, from, to),
        store::run_stats::ended(&app.store, from, to),
    )?;
    let count = |is: fn(RunStatus) -> bool| ends.iter().filter(|end| is(end.status)).count() as u64;
    let took = |end: &RunEnd| Some(end.finished_at.since(end.started_at?));
    let mut durations: Vec<Duration> = ends.iter().filter_map(took).collect();
    let point = QueuePoint {
        at: from,
        waiting: counts.waiting,
        active: counts.active,
        delayed: counts.delayed,
        added,
        completed: count(|status| status == RunStatus::Succeeded),
        failed: count(|status| matches!(status, RunStatus::Failed | RunStatus::TimedOut)),
        canceled: count(|status| status == RunStatus::Canceled),
        duration_p50_ms: percentile(&mut durations, 50).map(millis),
        duration_p95_ms: percentile(&mut durations, 95).map(millis),
    };
    let text = serde_json::to_string(&point).map_err(|error| Error::internal("noting a minute", error))?;
    let key = app.redis.key(KEY);
    let mut pipeline = redis::pipe();
    pipeline.atomic().zadd(&key, text, minute).ignore();
    pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf");
    pipeline.arg(minute.saturating_sub(u64::from(MINUTES_MAX))).ignore();
    app.redis.pipeline(&pipeline).await
}

/// Counted from the beginning of 1970.
fn minute_of(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0) / millis(MINUTE)
}

fn beginning(minute: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(minute * millis(MINUTE)).unwrap_or(i64::MAX))
}
