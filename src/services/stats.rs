//! How pipelines have fared lately.

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::ids::{PipelineId, RunId};
use crate::domain::run::RunStatus;
use crate::domain::stats::percentile;
use crate::domain::time::Timestamp;
use crate::domain::token::Actor;
use crate::error::Result;
use crate::store;
use crate::store::run_stats::RunInShort;

/// How one pipeline has fared lately: of its newest runs, as many as were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineStats {
    /// Which.
    pub pipeline_id: PipelineId,
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Of those that have ended and were not canceled, the share that succeeded: 0 to 1; null where there is none.
    pub success_rate: Option<f64>,
    /// Of those that succeeded, in whole milliseconds; null where there is none.
    #[specta(type = Option<f64>)]
    pub median_duration_ms: Option<u64>,
}

/// A run as a mark in a row of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Identifies it everywhere.
    pub id: RunId,
    /// Its number in its pipeline, from 1.
    pub number: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// What it was triggered for; null where the pipeline names none either.
    pub branch: Option<String>,
    /// Who asked for it: the name of a token, or what stands in for a person.
    pub triggered_by: String,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When a worker took it up first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// From its start to its end, all attempts and the time between them included, in whole milliseconds.
    #[specta(type = Option<f64>)]
    pub duration_ms: Option<u64>,
}

/// In the order of `pipelines`; those that the actor does not see are left out, as are repetitions.
pub async fn of_pipelines(
    app: &App,
    actor: &Actor,
    pipelines: Vec<PipelineId>,
    runs: u32,
) -> Result<Vec<PipelineStats>> {
    let mut asked = Vec::new();
    for id in pipelines {
        if actor.role_in(&id).is_some() && !asked.contains(&id) {
            asked.push(id);
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut of_each: HashMap<PipelineId, Vec<RunInShort>> = HashMap::new();
    for run in store::run_stats::newest(&app.store, &asked, runs).await? {
        of_each.entry(run.pipeline_id.clone()).or_default().push(run);
    }
    Ok(asked.into_iter().map(|id| of_runs(of_each.remove(&id).unwrap_or_default(), id)).collect())
}

fn of_runs(runs: Vec<RunInShort>, pipeline_id: PipelineId) -> PipelineStats {
    let count = |is: fn(RunStatus) -> bool| runs.iter().filter(|run| is(run.status)).count();
    let succeeded = count(|status| status == RunStatus::Succeeded);
    let judged = count(|status| status.is_ended() && status != RunStatus::Canceled);
    let mut durations: Vec<Duration> =
        runs.iter().filter(|run| run.status == RunStatus::Succeeded).filter_map(duration).collect();
    PipelineStats {
        pipeline_id,
        success_rate: (0 < judged).then(|| succeeded as f64 / judged as f64),
        median_duration_ms: percentile(&mut durations, 50).map(millis),
        runs: runs.into_iter().map(summary).collect(),
    }
}

fn summary(run: RunInShort) -> RunSummary {
    RunSummary {
        duration_ms: duration(&run).map(millis),
        id: run.id,
        number: run.number,
        status: run.status,
        branch: run.branch,
        triggered_by: run.triggered_by,
        created_at: run.created_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
    }
}

fn duration(run: &RunInShort) -> Option<Duration> {
    Some(run.finished_at?.since(run.started_at?))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
