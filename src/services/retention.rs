//! The rules by which runs and logs go: of the installation, and of single pipelines before them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::duration;
use crate::domain::ids::PipelineId;
use crate::domain::retention::Rules;
use crate::domain::time::{Timestamp, now};
use crate::error::Result;
use crate::metrics;
use crate::services::{audit, removals};
use crate::store;
use crate::store::retention::{Limit, Ruled};

/// In whose name the rules remove.
pub const BY_RULE: &str = "retention";
/// Pipelines that a pass reads at a time, and how often.
const PAGE: u64 = 100;
const PASS_PAGES: u32 = 10;
/// Runs that are read at a time.
const SLICE: u64 = 100;
/// What one pass removes, in slices: the next goes on. Of one pipeline not all of it, so that the others have their turns.
const PASS_SLICES: u32 = 50;
const PIPELINE_SLICES: u32 = 10;

/// The rules that the settings have. Those of a pipeline go before them, one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionDefaults {
    /// Runs that ended so long ago are deleted with their logs, such as `90d`; null: runs are kept, however old.
    pub runs: Option<String>,
    /// Logs of runs that ended so long ago are purged, such as `30d`; null: they are kept as long as their runs.
    pub logs: Option<String>,
    /// Of the runs that have ended, so many of the newest stay; null: however many.
    pub keep_runs: Option<u32>,
    /// The last so many runs of each pipeline are kept with their logs, however old they are.
    pub runs_min: u32,
}

pub fn defaults(app: &App) -> RetentionDefaults {
    let retention = &app.config.retention;
    let Rules { runs, logs, keep_runs } = retention.rules;
    RetentionDefaults {
        runs: runs.map(duration::display),
        logs: logs.map(duration::display),
        keep_runs,
        runs_min: retention.runs_min,
    }
}

/// Removes what has had its time, of the pipelines after `place` on; gives where the next pass goes on. Several servers may
/// do it at once: each run is removed once.
pub async fn sweep(app: &App, mut place: Option<PipelineId>) -> Result<Option<PipelineId>> {
    let general = app.config.retention.rules;
    let mut left = PASS_SLICES;
    for _ in 0..PASS_PAGES {
        let page = store::retention::pipelines(&app.store, !general.is_any(), place.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        for pipeline in page {
            let rules = pipeline.retention.as_ref().map_or(general, |own| own.over(general));
            left =
                left.saturating_sub(sweep_pipeline(app, &pipeline, rules, left.min(PIPELINE_SLICES)).await?);
            place = Some(pipeline.id);
            if left == 0 {
                return Ok(place);
            }
        }
        if is_last {
            return Ok(None);
        }
    }
    Ok(place)
}

/// What went of a pipeline in one pass.
#[derive(Debug, Default)]
struct Gone {
    runs: Count,
    logs: Count,
    slices: u32,
}

#[derive(Debug, Default)]
struct Count {
    count: u32,
    /// When the last of them ended.
    until: Option<Timestamp>,
}

/// Gives how many slices it took.
async fn sweep_pipeline(app: &App, pipeline: &Ruled, rules: Rules, slices_max: u32) -> Result<u32> {
    let mut gone = Gone::default();
    let outcome = remove_all(app, pipeline, rules, slices_max, &mut gone).await;
    record(app, &pipeline.id, &gone).await;
    outcome.map(|()| gone.slices)
}

async fn remove_all(
    app: &App,
    pipeline: &Ruled,
    rules: Rules,
    slices_max: u32,
    gone: &mut Gone,
) -> Result<()> {
    if let Some(count) = rules.keep_runs
        && i64::from(count) < pipeline.next_number - 1
        && let Some(oldest) = store::retention::oldest_to_keep(&app.store, &pipeline.id, count).await?
    {
        let limit =
            Limit { before: oldest.finished_at, before_id: Some(oldest.id), below: None, with_log: false };
        remove(app, pipeline, &limit, slices_max, gone).await?;
    }
    for (age, with_log) in [(rules.runs, false), (rules.logs, true)] {
        let Some(age) = age else { continue };
        let below = Some(pipeline.next_number - i64::from(app.config.retention.runs_min));
        let limit = Limit { before: now().minus(age), before_id: None, below, with_log };
        remove(app, pipeline, &limit, slices_max, gone).await?;
    }
    Ok(())
}

async fn remove(app: &App, pipeline: &Ruled, limit: &Limit, slices_max: u32, gone: &mut Gone) -> Result<()> {
    while gone.slices < slices_max {
        let expired = store::retention::expired(&app.store, &pipeline.id, limit, SLICE).await?;
        let mut removed = 0;
        for run in &expired {
            let (is_gone, kind) = match limit.with_log {
                true => {
                    let by = BY_RULE;
                    (store::removals::purge_log(&app.store, &run.id, run.epoch, by, now()).await?, "log")
                }
                false => {
                    (store::removals::delete_run(&app.store, &run.id, run.epoch, now(), None).await?, "run")
                }
            };
            if !is_gone {
                continue;
            }
            removed += 1;
            let counted = if limit.with_log { &mut gone.logs } else { &mut gone.runs };
            counted.count += 1;
            counted.until = counted.until.max(Some(run.finished_at));
            app.metrics.removed.get_or_create(&metrics::Removed { kind }).inc();
            removals::follow_up(app, &run.id).await;
        }
        if removed == 0 {
            return Ok(());
        }
        gone.slices += 1;
        if expired.len() < SLICE as usize {
            return Ok(());
        }
    }
    Ok(())
}

/// Once for a pass and a pipeline, however many runs it was.
async fn record(app: &App, pipeline: &PipelineId, gone: &Gone) {
    let said = [("runs deleted", &gone.runs), ("logs purged", &gone.logs)].into_iter().filter_map(
        |(what, Count { count, until })| {
            let until = (*until)?;
            Some(format!("{count} {what}, the last of a run that ended at {until}"))
        },
    );
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        return;
    }
    let said = said.join("; ");
    tracing::info!(pipeline.id = %pipeline, "What has had its time is removed: {said}");
    let deed = Deed::done("runs.retain").to("pipeline", pipeline.as_str()).saying(said);
    audit::record_stranger(app, Some(BY_RULE), None, deed).await;
}
