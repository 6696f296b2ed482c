//! How the installation is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::time::{Timestamp, now};
use crate::error::Result;
use crate::store::workers::WorkerRecord;
use crate::store::{self, Engine};

/// How the installation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Of the whole: the worst of its parts that matter.
    pub status: HealthStatus,
    /// Of the server.
    pub version: String,
    /// Whole seconds since the server started.
    #[specta(type = f64)]
    pub uptime_seconds: u64,
    /// Where runs are kept.
    pub database: ComponentHealth,
    /// Where jobs and live logs are.
    pub redis: ComponentHealth,
    /// What waits and what is being done.
    pub queue: QueueHealth,
    /// What is being streamed by the server that answers.
    pub streams: StreamsHealth,
    /// When a worker last asked the queue for work, and got an answer.
    pub last_fetch_at: Option<Timestamp>,
}

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    Ok,
    /// Serves, but something is missing: runs may have to wait.
    Degraded,
    Down,
}

/// How a part of the installation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// Whether it answers.
    pub status: HealthStatus,
    /// What it is: `sqlite`, `postgres`, `redis 7.0.15`, `valkey 9.1.2`.
    pub kind: String,
    /// What is wrong, if it does not answer.
    pub error: Option<String>,
}

/// The queue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueHealth {
    /// Jobs that no worker has taken yet.
    #[specta(type = f64)]
    pub waiting: u64,
    /// Jobs that a worker has.
    #[specta(type = f64)]
    pub active: u64,
    /// Jobs that wait for their time.
    #[specta(type = f64)]
    pub delayed: u64,
    /// Jobs that failed and are kept to be looked at.
    #[specta(type = f64)]
    pub failed: u64,
    /// Worker processes seen in the last 30 seconds.
    #[specta(type = f64)]
    pub workers: u64,
}

/// The streams of one server in numbers. All are 0 once nobody follows anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamsHealth {
    /// Subscriptions that are open.
    #[specta(type = f64)]
    pub open: u64,
    /// Logs that are followed, by however many.
    #[specta(type = f64)]
    pub logs: u64,
    /// Runs that are watched, by however many.
    #[specta(type = f64)]
    pub runs: u64,
}

/// Workers that were seen within this count as there.
const WORKER_SEEN: Duration = Duration::from_secs(30);
const WORKERS_MAX: u32 = 1_000;

/// How the parts are. Never fails: what cannot be asked is down.
pub async fn health(app: &App) -> Health {
    let (database, redis, counts, workers) = tokio::join!(
        app.store.ping(),
        redis_kind(app),
        app.jobs.counts(),
        store::workers::list(&app.store, WORKERS_MAX),
    );
    let workers = workers.unwrap_or_default();
    let present = present(&workers);
    let kind = match app.store.engine() {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
    };
    let database = component(database.map(|()| kind.to_owned()), kind);
    let redis = component(redis, "redis");
    let status = match (database.status, redis.status, present) {
        (HealthStatus::Down, ..) => HealthStatus::Down,
        (_, HealthStatus::Ok, 1..) => HealthStatus::Ok,
        _ => HealthStatus::Degraded,
    };
    let counts = counts.unwrap_or_default();
    Health {
        status,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: u32::try_from(now().since(app.started_at).as_secs()).unwrap_or(u32::MAX).into(),
        database,
        redis,
        queue: QueueHealth {
            waiting: counts.waiting,
            active: counts.active,
            delayed: counts.delayed,
            failed: counts.failed,
            workers: present,
        },
        streams: StreamsHealth {
            open: app.streams_open.load(Ordering::Relaxed) as u64,
            logs: app.followers.count() as u64,
            runs: app.states.count() as u64,
        },
        last_fetch_at: workers.iter().filter_map(|worker| worker.fetched_at).max(),
    }
}

/// How many worker processes were seen in the last 30 seconds.
pub async fn workers(app: &App) -> Result<u64> {
    Ok(present(&store::workers::list(&app.store, WORKERS_MAX).await?))
}

fn present(workers: &[WorkerRecord]) -> u64 {
    let now = now();
    workers.iter().filter(|worker| now.since(worker.seen_at) < WORKER_SEEN).count() as u64
}

fn component(answer: Result<String>, kind: &str) -> ComponentHealth {
    match answer {
        Ok(kind) => ComponentHealth { status: HealthStatus::Ok, kind, error: None },
        // Anybody may ask, so the cause stays in the log.
        Err(error) => {
            tracing::debug!(error = error.chain(), "A part of the installation does not answer");
            ComponentHealth {
                status: HealthStatus::Down,
                kind: kind.to_owned(),
                error: Some(error.to_string()),
            }
        }
    }
}

/// The server's name and version.
async fn redis_kind(app: &App) -> Result<String> {
    let info: String = app.redis.command(redis::cmd("INFO").arg("server")).await?;
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    };
    let valkey = field("valkey_version").map(|version| format!("valkey {version}"));
    Ok(valkey
        .or_else(|| field("redis_version").map(|version| format!("redis {version}")))
        .unwrap_or_default())
}
