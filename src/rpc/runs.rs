//! `runs.*`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::run::{Run, RunDetails, RunStatus};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, Live, procedures};
use crate::rpc::schema::{FREE_TEXT, ID, TIME};
use crate::rpc::times::time;
use crate::services;
use crate::services::lists::ListChange;
use crate::services::logs::{LogPage, PAGE_LINES_DEFAULT, ReadLog};
use crate::services::runs::RunFilter;
use crate::services::search::{LogSearch, SearchLog};
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Returns a run with its steps.
        query runs.get = GET "/runs/{runId}", Viewer in pipeline, get;
        /// Returns a run with its steps, by its pipeline and its number there.
        query runs.getByNumber = GET "/pipelines/{pipelineId}/runs/{number}", Viewer in pipeline, get_by_number;
        /// Lists runs, newest first.
        query runs.list = GET "/runs", Viewer in pipeline, list;
        /// Ends a run: at once where it is queued, otherwise as soon as its processes are gone. A run that has
        /// ended is left as it is.
        mutation runs.cancel = POST "/runs/{runId}/cancel", Operator in pipeline, cancel;
        /// Tries a run that has ended once more, as a new attempt of the same run.
        mutation runs.retry = POST "/runs/{runId}/retry", Operator in pipeline, retry;
        /// Deletes a run that has ended, with its steps and its log. Its number is not given again.
        mutation runs.delete = DELETE "/runs/{runId}", Admin in pipeline, delete;
        /// Removes the log of a run that has ended, for good. The run stays, says so, and is not tried again.
        mutation runs.purgeLog = DELETE "/runs/{runId}/logs", Admin in pipeline, purge_log;
        /// Reads a run's log by line number, forwards or from its end.
        query runs.logs = GET "/runs/{runId}/logs", Viewer in pipeline, logs;
        /// Searches the whole log as it is at this moment, and streams what has been found so far until all of it has
        /// been looked at. Lines are searched as a terminal shows them, without their colours.
        subscription runs.searchLogs = GET "/runs/{runId}/logs/search", Viewer in pipeline, search_logs;
        /// Says, at once and then whenever runs are made, change or are deleted, that lists of runs are to be read
        /// again: at most once a second.
        subscription runs.watchList = GET "/runs/watch", Viewer in pipeline, watch_list;
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

/// Which run of which pipeline.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunNumberInput {
    /// The pipeline's id or name. The runs of a deleted one are found by its id.
    #[specta(type = PipelineId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: String,
    /// The run's number in it, from 1.
    #[schemars(range(min = 1))]
    number: u32,
}

async fn get_by_number(ctx: Ctx, input: RunNumberInput) -> Result<RunDetails> {
    services::runs::get_by_number(&ctx.app, ctx.actor()?, &input.pipeline_id, input.number).await
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
    let ListRunsInput { pipeline_id, status, branch, by, since, until, cursor, limit } = input;
    let (since, until) = (time("since", since)?, time("until", until)?);
    let filter = RunFilter { status, branch, by, since, until, ..RunFilter::default() };
    let page = PageRequest { limit: limit.unwrap_or(LIMIT_DEFAULT), cursor };
    services::runs::list(&ctx.app, ctx.actor()?, pipeline_id.as_deref(), filter, page).await
}

/// That a run is no more.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct DeletedRun {
    /// Always true.
    pub(super) deleted: bool,
}

async fn delete(ctx: Ctx, input: RunInput) -> Result<DeletedRun> {
    services::removals::delete(&ctx.app, ctx.actor()?, &run_id(&input.run_id)?).await?;
    Ok(DeletedRun { deleted: true })
}

async fn purge_log(ctx: Ctx, input: RunInput) -> Result<Run> {
    let id = run_id(&input.run_id)?;
    services::removals::purge_log(&ctx.app, ctx.actor()?, &id).await?;
    services::runs::get(&ctx.app, ctx.actor()?, &id).await.map(|details| details.run)
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

/// What is searched for, and where.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SearchLogsInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
    /// What matching lines contain.
    #[schemars(length(min = 1, max = 1000), regex(pattern = FREE_TEXT), extend("format" = "log-pattern"))]
    text: String,
    /// `text` is a regular expression, in the syntax of Rust's `regex`.
    #[serde(default)]
    regex: Option<bool>,
    /// Capital and small letters are not the same.
    #[serde(default)]
    match_case: Option<bool>,
    /// Only lines of this step.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    step: Option<String>,
    /// Only lines behind the one with this number.
    #[serde(default)]
    #[specta(type = Option<f64>)]
    after: Option<u64>,
}

async fn search_logs(ctx: Ctx, input: SearchLogsInput) -> Result<Live<LogSearch>> {
    let request = SearchLog {
        run_id: run_id(&input.run_id)?,
        text: input.text,
        is_regex: input.regex.unwrap_or(false),
        match_case: input.match_case.unwrap_or(false),
        step: input.step,
        after: input.after.unwrap_or(0),
    };
    services::search::search(&ctx.app, ctx.actor()?, request).await.map(Live::new)
}

/// Nothing.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchListInput {}

async fn watch_list(ctx: Ctx, _: WatchListInput) -> Result<Live<ListChange>> {
    Ok(Live::new(services::lists::watch(&ctx.app).await))
}
