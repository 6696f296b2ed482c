//! `system.*`

use schemars::JsonSchema;
use serde::Deserialize;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, Live, procedures};
use crate::services;
use crate::services::history::QueueHistory;
use crate::services::queues::live::QueueState;
use crate::services::retention::RetentionDefaults;
use crate::services::system::Health;

const MINUTES_DEFAULT: u32 = 180;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Tells how the installation is. Public, so it says nothing that is worth hiding.
        query system.health = GET "/health", Public, health;
        /// Tells how busy the queue of runs was, minute by minute, for up to a day.
        query system.queueHistory = GET "/queue/history", Viewer, queue_history;
        /// Tells what the settings of the installation say of how long runs and logs are kept. The rules of a pipeline go
        /// before them, one by one.
        query system.retention = GET "/retention", Viewer in pipeline, retention;
        /// Streams the queue of runs in numbers: as they are, then each change, at most once a second. It does not end by
        /// itself.
        subscription system.watchQueue = GET "/queue/watch", Viewer, watch_queue;
    }
}

/// No input: `void` for TypeScript.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoInput {}

impl Type for NoInput {
    fn inline(types: &mut TypeCollection, generics: Generics<'_>) -> DataType {
        <()>::inline(types, generics)
    }
}

/// How far back.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct QueueHistoryInput {
    /// The last minutes that are over; 180 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1440))]
    minutes: Option<u32>,
}

async fn queue_history(ctx: Ctx, input: QueueHistoryInput) -> Result<QueueHistory> {
    services::history::read(&ctx.app, input.minutes.unwrap_or(MINUTES_DEFAULT)).await
}

async fn retention(ctx: Ctx, _: NoInput) -> Result<RetentionDefaults> {
    Ok(services::retention::defaults(&ctx.app))
}

async fn watch_queue(ctx: Ctx, _: NoInput) -> Result<Live<QueueState>> {
    services::queues::live::watch(&ctx.app).await.map(Live::new)
}

async fn health(ctx: Ctx, _: NoInput) -> Result<Health> {
    Ok(services::system::health(&ctx.app).await)
}
