//! `runs.*`

use schemars::JsonSchema;
use serde::Deserialize;
use specta::Type;

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::run::{Run, RunDetails, RunStatus};
use crate::error::{Error, Result};
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::schema::{FREE_TEXT, ID};
use crate::services;
use crate::services::logs::{LogPage, PAGE_LINES_DEFAULT, ReadLog};
use crate::services::runs::RunFilter;
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Returns a run with its steps.
        query runs.get = GET "/runs/{runId}", Viewer in pipeline, get;
        /// Lists runs, newest first.
        query runs.list = GET "/runs", Viewer in pipeline, list;
        /// Ends a run: at once where it is queued, otherwise as soon as its processes are gone. A run that has
        /// ended is left as it is.
        mutation runs.cancel = POST "/runs/{runId}/cancel", Operator in pipeline, cancel;
        /// Tries a run that has ended once more, as a new attempt of the same run.
        mutation runs.retry = POST "/runs/{runId}/retry", Operator in pipeline, retry;
        /// Reads a run's log by line number, forwards or from its end.
        query runs.logs = GET "/runs/{runId}/logs", Viewer in pipeline, logs;
    }
}

/// The run with this id. A text that is no id belongs to no run.
pub(super) fn run_id(text: &str) -> Result<RunId> {
    text.parse().map_err(|_| Error::not_found("run", text))
}

/// Which run.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
}

async fn get(ctx: Ctx, input: RunInput) -> Result<RunDetails> {
    services::runs::get(&ctx.app, ctx.actor()?, &run_id(&input.run_id)?).await
}

/// Which runs, and which part of their list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListRunsInput {
    /// Only of this pipeline: its id or name.
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
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = ID))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
}

async fn list(ctx: Ctx, input: ListRunsInput) -> Result<Page<Run>> {
    let ListRunsInput { pipeline_id, status, branch, cursor, limit } = input;
    let filter = RunFilter { status, branch, ..RunFilter::default() };
    let page = PageRequest { limit: limit.unwrap_or(LIMIT_DEFAULT), cursor };
    services::runs::list(&ctx.app, ctx.actor()?, pipeline_id.as_deref(), filter, page).await
}

async fn cancel(ctx: Ctx, input: RunInput) -> Result<Run> {
    services::runs::cancel(&ctx.app, ctx.actor()?, &run_id(&input.run_id)?).await
}

/// Where a retry begins.
#[derive(Debug, Clone, Copy, Default, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RetryFrom {
    /// With a new workspace, from the first step.
    Start,
    /// With the steps that did not succeed.
    #[default]
    Failed,
}

/// Which run, and from where.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RetryRunInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
    /// `failed` if it is absent.
    #[serde(default)]
    from: Option<RetryFrom>,
}

async fn retry(ctx: Ctx, input: RetryRunInput) -> Result<Run> {
    let from = match input.from.unwrap_or_default() {
        RetryFrom::Start => services::runs::RetryFrom::Start,
        RetryFrom::Failed => services::runs::RetryFrom::Failed,
    };
    services::runs::retry(&ctx.app, ctx.actor()?, &run_id(&input.run_id)?, from).await
}

/// Which lines.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunLogsInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
    /// The number of the first line; negative: counted from the end, -1 being the last. The first line if it is
    /// absent.
    #[serde(default)]
    #[specta(type = Option<f64>)]
    from: Option<i64>,
    /// Begin behind the line with this number, where `from` is absent.
    #[serde(default)]
    #[specta(type = Option<f64>)]
    #[schemars(range(min = 0))]
    after: Option<i64>,
    /// How many lines. A page has 100 if it is absent; a whole log, as text or a line a line, has no bound then.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// Only lines of this step.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    step: Option<String>,
}

async fn logs(ctx: Ctx, input: RunLogsInput) -> Result<LogPage> {
    let run_id = run_id(&input.run_id)?;
    let limit = input.limit.unwrap_or(PAGE_LINES_DEFAULT);
    let from = input.from.or(input.after.map(|after| after + 1));
    services::logs::page(&ctx.app, ctx.actor()?, ReadLog { run_id, from, limit, step: input.step }).await
}
