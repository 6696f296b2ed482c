//! How the installation is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::time::Timestamp;
use crate::error::Result;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub status: HealthStatus,
    pub version: String,
    /// Whole seconds since the server started.
    #[specta(type = f64)]
    pub uptime_seconds: u64,
    pub database: ComponentHealth,
    pub redis: ComponentHealth,
    pub queue: QueueHealth,
    /// When a worker last asked the queue for work, and got an answer.
    pub last_fetch_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    Ok,
    /// Serves, but something is missing: runs may have to wait.
    Degraded,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    pub status: HealthStatus,
    /// What it is: `sqlite`, `postgres`, `redis 7.0.15`, `valkey 9.1.2`.
    pub kind: String,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueHealth {
    #[specta(type = f64)]
    pub waiting: u64,
    #[specta(type = f64)]
    pub active: u64,
    #[specta(type = f64)]
    pub delayed: u64,
    #[specta(type = f64)]
    pub failed: u64,
    /// Worker processes seen in the last 30 seconds.
    #[specta(type = f64)]
    pub workers: u64,
}

pub async fn health(app: &App) -> Result<Health> {
    let _ = app;
    unimplemented!()
}
