//! `pipelines.*`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use specta::Type;

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::log::{LineId, LogLine};
use crate::domain::pipeline::{self, Pipeline, PlannedStep, Problem};
use crate::domain::retention::Retention;
use crate::domain::run::{Run, RunState};
use crate::domain::text::{BRANCH_PATTERN, NAME_PATTERN, REPOSITORY_PATTERN};
use crate::error::{Error, Result};
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, Live, procedures};
use crate::rpc::runs::run_id;
use crate::rpc::schema::{FREE_TEXT, LINE_ID, NAME_CURSOR, PROSE, VERSION, VISIBLE_ASCII};
use crate::services;
use crate::services::logs::After;
use crate::services::pipelines::{CreatePipeline, PipelineChange};
use crate::services::runs::TriggerRun;
use crate::services::stats::PipelineStats;
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

const STATS_RUNS_DEFAULT: u32 = 20;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Makes a pipeline.
        mutation pipelines.create = POST "/pipelines" -> 201 at "/pipelines/{id}", Admin, create;
        /// Changes a pipeline. An absent field is left as it is, null clears it.
        mutation pipelines.update = PATCH "/pipelines/{pipelineId}", Admin in pipeline, update;
        /// Returns a pipeline.
        query pipelines.get = GET "/pipelines/{pipelineId}", Viewer in pipeline, get;
        /// Lists pipelines by name.
        query pipelines.list = GET "/pipelines", Viewer in pipeline, list;
        /// Tells how pipelines have fared lately: their newest runs, how many of them succeeded, how long they took.
        query pipelines.stats = POST "/pipelines/stats", Viewer in pipeline, stats;
        /// Deletes a pipeline that has no live runs. Its past runs stay.
        mutation pipelines.delete = DELETE "/pipelines/{pipelineId}", Admin in pipeline, delete;
        /// Says all that is wrong with a definition, without storing it.
        query pipelines.validate = POST "/pipelines/validate", Viewer in pipeline, validate;
        /// Triggers a run. With an `idempotencyKey` that the pipeline has seen, returns the run that it made.
        mutation pipelines.trigger = POST "/pipelines/{pipelineId}/runs" -> 201 at "/runs/{id}", Operator in pipeline, trigger;
        /// Streams a run's log: the lines that are there, then each new one, until the run has ended. Takes up
        /// where it was cut off, without losing or repeating a line.
        subscription pipelines.streamLogs = GET "/runs/{runId}/logs/stream", Viewer in pipeline, stream_logs;
        /// Streams a run's state: the present one, then each change, until the run has ended.
        subscription pipelines.watchRun = GET "/runs/{runId}/watch", Viewer in pipeline, watch_run;
    }
}

/// A pipeline to be made.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreatePipelineInput {
    /// Unique among the pipelines that are not deleted: letters, digits, spaces and `. _ - /`.
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    name: String,
    /// What `git clone` takes; without it, steps run in an empty workspace.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2000), regex(pattern = REPOSITORY_PATTERN), extend("format" = "git-repository"))]
    repository: Option<String>,
    /// The branch of a run that names none.
    #[serde(default)]
    #[schemars(length(min = 1, max = 250), regex(pattern = BRANCH_PATTERN))]
    default_branch: Option<String>,
    /// YAML; without it, `.slipway.yml` of the repository is used.
    #[serde(default)]
    #[schemars(extend("format" = "pipeline-definition"))]
    definition: Option<String>,
    /// For people: text with line breaks.
    #[serde(default)]
    #[schemars(length(max = 2000), regex(pattern = PROSE))]
    description: Option<String>,
    /// What is kept of its runs; without it, what the settings of the installation say.
    #[serde(default)]
    retention: Option<Retention>,
}

async fn create(ctx: Ctx, input: CreatePipelineInput) -> Result<Pipeline> {
    let CreatePipelineInput { name, repository, default_branch, definition, description, retention } = input;
    let request = CreatePipeline { name, repository, default_branch, definition, description, retention };
    services::pipelines::create(&ctx.app, ctx.actor()?, request).await
}

/// What changes: an absent field is left as it is, null clears it.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdatePipelineInput {
    /// Its id or name.
    #[specta(type = PipelineId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: String,
    /// Cannot be cleared: null leaves it as it is.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    name: Option<String>,
    /// What `git clone` takes.
    #[serde(deserialize_with = "given", default)]
    #[schemars(length(min = 1, max = 2000), regex(pattern = REPOSITORY_PATTERN), extend("format" = "git-repository"))]
    repository: Option<Option<String>>,
    /// The branch of a run that names none.
    #[serde(deserialize_with = "given", default)]
    #[schemars(length(min = 1, max = 250), regex(pattern = BRANCH_PATTERN))]
    default_branch: Option<Option<String>>,
    /// YAML.
    #[serde(deserialize_with = "given", default)]
    #[schemars(extend("format" = "pipeline-definition"))]
    definition: Option<Option<String>>,
    /// For people: text with line breaks.
    #[serde(deserialize_with = "given", default)]
    #[schemars(length(max = 2000), regex(pattern = PROSE))]
    description: Option<Option<String>>,
    /// What is kept of its runs, all of it anew.
    #[serde(deserialize_with = "given", default)]
    retention: Option<Option<Retention>>,
}

/// Tells null from absent, which serde takes for the same.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn update(ctx: Ctx, input: UpdatePipelineInput) -> Result<Pipeline> {
    let UpdatePipelineInput {
        pipeline_id,
        name,
        repository,
        default_branch,
        definition,
        description,
        retention,
    } = input;
    let change = PipelineChange { name, description, repository, default_branch, definition, retention };
    services::pipelines::update(&ctx.app, ctx.actor()?, &pipeline_id, change).await
}

/// Which pipeline.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PipelineInput {
    /// Its id or name.
    #[specta(type = PipelineId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: String,
}

async fn get(ctx: Ctx, input: PipelineInput) -> Result<Pipeline> {
    services::pipelines::get(&ctx.app, ctx.actor()?, &input.pipeline_id).await
}

/// Which pipelines, and which part of their list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListPipelinesInput {
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 2048), regex(pattern = NAME_CURSOR))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Part of the name, in upper or lower case.
    #[serde(default)]
    #[schemars(length(max = 200), regex(pattern = FREE_TEXT))]
    search: Option<String>,
}

async fn list(ctx: Ctx, input: ListPipelinesInput) -> Result<Page<Pipeline>> {
    let page = PageRequest { limit: input.limit.unwrap_or(LIMIT_DEFAULT), cursor: input.cursor };
    services::pipelines::list(&ctx.app, ctx.actor()?, input.search.as_deref(), page).await
}

/// Whose runs, and how many of each.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PipelineStatsInput {
    /// Their ids. Those that there are not, and those that the caller does not see, are left out of the answer.
    #[schemars(length(max = 100))]
    pipeline_ids: Vec<PipelineId>,
    /// The newest runs of each; 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    runs: Option<u32>,
}

/// How pipelines have fared lately.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct PipelinesStats {
    /// In the order in which they were asked for.
    pub(super) items: Vec<PipelineStats>,
}

async fn stats(ctx: Ctx, input: PipelineStatsInput) -> Result<PipelinesStats> {
    let PipelineStatsInput { pipeline_ids, runs } = input;
    let runs = runs.unwrap_or(STATS_RUNS_DEFAULT);
    let items = services::stats::of_pipelines(&ctx.app, ctx.actor()?, pipeline_ids, runs).await?;
    Ok(PipelinesStats { items })
}

/// That a pipeline is no more.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct DeletedPipeline {
    /// Always true.
    deleted: bool,
}

async fn delete(ctx: Ctx, input: PipelineInput) -> Result<DeletedPipeline> {
    services::pipelines::delete(&ctx.app, ctx.actor()?, &input.pipeline_id).await?;
    Ok(DeletedPipeline { deleted: true })
}

/// A definition to be looked at.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ValidateInput {
    /// YAML, right or wrong.
    definition: String,
}

/// What is wrong with a definition, or what it plans.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct Validation {
    /// In the order of the text; empty: nothing is wrong.
    problems: Vec<Problem>,
    /// What would be run, in the order of the text; empty while something is wrong.
    steps: Vec<PlannedStep>,
}

async fn validate(_: Ctx, input: ValidateInput) -> Result<Validation> {
    Ok(Validation::of(pipeline::plan(&input.definition)))
}

/// What to run.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TriggerInput {
    /// Its id or name.
    #[specta(type = PipelineId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: String,
    /// The pipeline's default branch if it is absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 250), regex(pattern = BRANCH_PATTERN))]
    branch: Option<String>,
    /// Given to steps as `SLIPWAY_INPUT_<NAME>`. Names are letters, digits and `_`, and differ not in case alone:
    /// that is refused.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = 100,
        "propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$" },
        "additionalProperties" = { "type": "string", "maxLength": 30000, "pattern": FREE_TEXT },
    ))]
    inputs: Option<BTreeMap<String, String>>,
    /// Two triggers of a pipeline with the same key make one run. Visible ASCII characters.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = VISIBLE_ASCII))]
    idempotency_key: Option<String>,
}

impl From<TriggerInput> for TriggerRun {
    fn from(input: TriggerInput) -> Self {
        let TriggerInput { pipeline_id, branch, inputs, idempotency_key } = input;
        Self { pipeline: pipeline_id, branch, inputs: inputs.unwrap_or_default(), idempotency_key }
    }
}

async fn trigger(ctx: Ctx, input: TriggerInput) -> Result<Run> {
    services::runs::trigger(&ctx.app, ctx.actor()?, input.into()).await
}

/// Whose log, and from where.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StreamLogsInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
    /// Begin behind the line with this number; -1: with the lines that are still to come. The first line if it is
    /// absent.
    #[serde(default)]
    #[specta(type = Option<f64>)]
    #[schemars(range(min = -1))]
    after: Option<i64>,
    /// The `id` of the last line that was received, or its number alone. It goes before `after`.
    #[serde(default)]
    #[schemars(regex(pattern = LINE_ID))]
    last_event_id: Option<String>,
}

async fn stream_logs(ctx: Ctx, input: StreamLogsInput) -> Result<Live<LogLine>> {
    let run_id = run_id(&input.run_id)?;
    let after = after(input.last_event_id.as_deref(), input.after)?;
    services::logs::stream(&ctx.app, ctx.actor()?, &run_id, after).await.map(Live::new)
}

/// Where a stream begins. The schema keeps `number` at -1 or above.
fn after(last_event_id: Option<&str>, number: Option<i64>) -> Result<After> {
    match (last_event_id, number) {
        (Some(text), _) => match text.parse().or_else(|_| text.parse::<LineId>().map(|id| id.n)) {
            Ok(n) => Ok(After::Line(n)),
            Err(error) => Err(Error::invalid("lastEventId", error.to_string())),
        },
        (None, None) => Ok(After::Line(0)),
        (None, Some(number)) => Ok(u64::try_from(number).map_or(After::End, After::Line)),
    }
}

/// Which run, and which state of it is known.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WatchRunInput {
    /// Its id.
    #[specta(type = RunId)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    run_id: String,
    /// The `version` that was received last. A watcher is told the present state first, wherever it was, unless the
    /// run has ended at this version.
    #[serde(default)]
    #[schemars(regex(pattern = VERSION))]
    last_event_id: Option<String>,
}

async fn watch_run(ctx: Ctx, input: WatchRunInput) -> Result<Live<RunState>> {
    let run_id = run_id(&input.run_id)?;
    let known = input.last_event_id.and_then(|version| version.parse().ok());
    services::runs::watch(&ctx.app, ctx.actor()?, &run_id, known).await.map(Live::new)
}

impl Validation {
    pub(super) fn of(plan: Result<Vec<PlannedStep>, Vec<Problem>>) -> Self {
        match plan {
            Ok(steps) => Self { problems: Vec::new(), steps },
            Err(problems) => Self { problems, steps: Vec::new() },
        }
    }
}

#[cfg(test)]
impl DeletedPipeline {
    pub(super) fn of(deleted: bool) -> Self {
        Self { deleted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_id_goes_before_the_number() {
        assert_eq!(after(None, None).unwrap(), After::Line(0));
        assert_eq!(after(None, Some(-1)).unwrap(), After::End);
        assert_eq!(after(None, Some(7)).unwrap(), After::Line(7));
        assert_eq!(after(Some("3-17"), Some(7)).unwrap(), After::Line(17));
        assert_eq!(after(Some("17"), None).unwrap(), After::Line(17));
        let error = after(Some("a-17"), None).unwrap_err();
        assert!(matches!(error, Error::Invalid { field, .. } if field == "lastEventId"));
    }
}
