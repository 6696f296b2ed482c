//! `runs.*` of many runs at once.

use schemars::JsonSchema;
use serde::Deserialize;
use specta::Type;

use crate::domain::bulk::{BulkAction, BulkWork};
use crate::domain::ids::{BulkWorkId, PipelineId, RunId};
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, Live, procedures};
use crate::rpc::schema::{FREE_TEXT, ID, TIME};
use crate::rpc::times::time;
use crate::services;
use crate::services::bulk::BulkPreview;
use crate::services::runs::RunFilter;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Says to how many runs something would be done, and does nothing.
        query runs.previewBulk = GET "/bulk/preview", Operator in pipeline, preview;
        /// Has something done to all runs that match and are older than the preview: at most 10,000, newest first.
        mutation runs.startBulk = POST "/bulk" -> 201 at "/bulk/{id}", Operator in pipeline, start;
        /// Returns how far a bulk work is, to who started it and to admins.
        query runs.getBulk = GET "/bulk/{bulkId}", Operator in pipeline, get;
        /// Stops a bulk work after the runs at hand. What is done stays done.
        mutation runs.stopBulk = POST "/bulk/{bulkId}/stop", Operator in pipeline, stop;
        /// Streams how far a bulk work is, until it has ended.
        subscription runs.watchBulk = GET "/bulk/{bulkId}/watch", Operator in pipeline, watch;
    }
}

/// What would be done, to which runs.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PreviewBulkInput {
    /// What is done to each.
    action: BulkAction,
    /// Only runs of this pipeline: its id or name.
    #[serde(default)]
    #[specta(type = Option<PipelineId>)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: Option<String>,
    /// Only those that stand there.
    #[serde(default)]
    status: Option<RunStatus>,
    /// Only of this branch.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255), regex(pattern = FREE_TEXT))]
    branch: Option<String>,
    /// Only those that were triggered by somebody of this name: a run's `trigger.by`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    by: Option<String>,
    /// Only those that were triggered from then on, such as `2026-11-25T12:00:00Z`.
    #[serde(default)]
    #[specta(type = Option<Timestamp>)]
    #[schemars(regex(pattern = TIME))]
    since: Option<String>,
    /// Only those that were triggered before then.
    #[serde(default)]
    #[specta(type = Option<Timestamp>)]
    #[schemars(regex(pattern = TIME))]
    until: Option<String>,
}

async fn preview(ctx: Ctx, input: PreviewBulkInput) -> Result<BulkPreview> {
    let PreviewBulkInput { action, pipeline_id, status, branch, by, since, until } = input;
    let (since, until) = (time("since", since)?, time("until", until)?);
    let filter = RunFilter { status, branch, by, since, until, ..RunFilter::default() };
    services::bulk::preview(&ctx.app, ctx.actor()?, action, pipeline_id.as_deref(), filter).await
}

/// What is done, to which runs.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StartBulkInput {
    /// What is done to each.
    action: BulkAction,
    /// Only runs of this pipeline: its id or name.
    #[serde(default)]
    #[specta(type = Option<PipelineId>)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: Option<String>,
    /// Only those that stand there.
    #[serde(default)]
    status: Option<RunStatus>,
    /// Only of this branch.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255), regex(pattern = FREE_TEXT))]
    branch: Option<String>,
    /// Only those that were triggered by somebody of this name: a run's `trigger.by`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    by: Option<String>,
    /// Only those that were triggered from then on, such as `2026-11-25T12:00:00Z`.
    #[serde(default)]
    #[specta(type = Option<Timestamp>)]
    #[schemars(regex(pattern = TIME))]
    since: Option<String>,
    /// What the preview gave: runs that are newer are left alone, as are those that its own `until` left out.
    #[specta(type = RunId)]
    #[schemars(regex(pattern = ID))]
    until: String,
}

async fn start(ctx: Ctx, input: StartBulkInput) -> Result<BulkWork> {
    let StartBulkInput { action, pipeline_id, status, branch, by, since, until } = input;
    let until: RunId =
        until.parse().map_err(|_| Error::invalid("until", "must be what runs.previewBulk gave"))?;
    let since = time("since", since)?;
    let filter = RunFilter { status, branch, by, since, ..RunFilter::default() };
    services::bulk::start(&ctx.app, ctx.actor()?, action, pipeline_id.as_deref(), filter, until).await
}

/// Which bulk work.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BulkInput {
    /// Its id.
    #[specta(type = BulkWorkId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    bulk_id: String,
}

fn bulk_id(text: &str) -> Result<BulkWorkId> {
    text.parse().map_err(|_| Error::not_found("bulk work", text))
}

async fn get(ctx: Ctx, input: BulkInput) -> Result<BulkWork> {
    services::bulk::get(&ctx.app, ctx.actor()?, &bulk_id(&input.bulk_id)?).await
}

async fn stop(ctx: Ctx, input: BulkInput) -> Result<BulkWork> {
    services::bulk::stop(&ctx.app, ctx.actor()?, &bulk_id(&input.bulk_id)?).await
}

async fn watch(ctx: Ctx, input: BulkInput) -> Result<Live<BulkWork>> {
    services::bulk::watch(&ctx.app, ctx.actor()?, &bulk_id(&input.bulk_id)?).await.map(Live::new)
}
