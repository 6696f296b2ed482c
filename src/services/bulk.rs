//! Many runs at once: previewed, then carried out one by one by whichever worker is at hand, in slices that are noted, so
//! that another goes on where one stops.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::bulk::{BulkAction, BulkState, BulkWork, RUNS_MAX};
use crate::domain::ids::{BulkWorkId, PipelineId, RunId};
use crate::domain::run::{Run, RunStatus};
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::logs::lines::event;
use crate::services::runs::{self, RetryFrom, RunFilter};
use crate::services::{access, audit, removals};
use crate::store;
use crate::store::bulk::BulkRecord;
use crate::store::page::PageRequest;

/// Runs of a slice: what may be done twice after a crash.
const SLICE: u32 = 20;
/// Runs that a preview shows.
const SAMPLE: u32 = 10;
/// A process that does not come back for so long has lost its work to another.
const LEASE: Duration = Duration::from_secs(10);
/// Works that go on at a time, over all: more are refused.
const WORKS_MAX: u64 = 10;
/// How often it is looked how far a work is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Which runs, as who asks names them.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Id or name.
    pub pipeline: Option<String>,
    pub status: Option<RunStatus>,
    pub branch: Option<String>,
}

/// What a bulk work would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkPreview {
    /// How many runs match: at most 10,000.
    pub total: u32,
    /// More match: the newest 10,000 are taken, and the rest by another work.
    pub more: bool,
    /// How many of them would be left out, as they stand now.
    pub skipped: u32,
    /// The newest of them.
    pub sample: Vec<Run>,
    /// Give it to `runs.startBulk`: runs that are triggered later are left alone.
    pub until: RunId,
}

/// Says what would be done, and does nothing.
pub async fn preview(app: &App, actor: &Actor, action: BulkAction, wanted: Wanted) -> Result<BulkPreview> {
    let filter = filter(app, actor, action, wanted).await?;
    // Later than every run that there is.
    let until = RunId::generate();
    let counts = store::runs::count_by_status(&app.store, &filter, &until, RUNS_MAX + 1).await?;
    let total: u32 = counts.iter().map(|(_, count, _)| count).sum();
    let left_out = counts.iter().filter(|(status, ..)| !action.concerns(*status));
    let skipped = left_out.map(|(_, count, _)| count).sum();
    let page = PageRequest { limit: SAMPLE, cursor: Some(until.to_string()) };
    let mut sample = store::runs::list(&app.store, &filter, page).await?.items;
    sample.iter_mut().for_each(|run| app.waiting.explain(run));
    Ok(BulkPreview { total: total.min(RUNS_MAX), more: RUNS_MAX < total, skipped, sample, until })
}

/// Starts a bulk work; workers carry it out.
///
/// # Errors
///
/// - `NotFound` if there is no such pipeline.
/// - `Forbidden` if the actor may not do it there.
/// - `Conflict` if there is too much going on.
pub async fn start(
    app: &App,
    actor: &Actor,
    action: BulkAction,
    wanted: Wanted,
    until: RunId,
) -> Result<BulkWork> {
    // Never what is triggered from here on.
    let until = until.min(RunId::generate());
    let filter = filter(app, actor, action, wanted).await?;
    if WORKS_MAX <= store::bulk::going(&app.store, WORKS_MAX).await?.len() as u64 {
        return Err(Error::Conflict(
            "too many bulk works are going on: wait for one, or stop one".to_owned(),
        ));
    }
    let counts = store::runs::count_by_status(&app.store, &filter, &until, RUNS_MAX).await?;
    let work = BulkWork {
        id: BulkWorkId::generate(),
        action,
        state: BulkState::Running,
        total: counts.iter().map(|(_, count, _)| count).sum(),
        done: 0,
        skipped: 0,
        started_by: actor.name.clone(),
        created_at: now(),
        finished_at: None,
    };
    let leased_until = Timestamp::from_millis(0);
    // Where nothing matches, nothing is older than the newest either.
    let from = counts.into_iter().map(|(.., oldest)| oldest).min().unwrap_or_else(|| until.clone());
    let record = BulkRecord { work, filter, until, from, after: None, leased_until };
    store::bulk::insert(&app.store, &record).await?;
    Ok(record.work)
}

/// How far a work is: told to who started it, and to admins.
pub async fn get(app: &App, actor: &Actor, id: &BulkWorkId) -> Result<BulkWork> {
    let record = store::bulk::find(&app.store, id).await?;
    let is_seen = |record: &BulkRecord| actor.may(Role::Admin) || record.work.started_by == actor.name;
    record.filter(is_seen).map(|record| record.work).ok_or_else(|| Error::not_found("bulk work", id))
}

/// Stops a work after the runs at hand. One that has ended is left as it is.
pub async fn stop(app: &App, actor: &Actor, id: &BulkWorkId) -> Result<BulkWork> {
    get(app, actor, id).await?;
    store::bulk::stop(&app.store, id).await?;
    get(app, actor, id).await
}

/// How far it is, whenever that changes, to its end.
pub async fn watch(app: &App, actor: &Actor, id: &BulkWorkId) -> Result<BoxStream<'static, Result<Bytes>>> {
    let (app, actor, id) = (app.clone(), actor.clone(), id.clone());
    let mut work = get(&app, &actor, &id).await?;
    let events = async_stream::try_stream! {
        yield event(&work, version(&work))?;
        while work.finished_at.is_none() {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let next = get(&app, &actor, &id).await?;
            if next != work {
                work = next;
                yield event(&work, version(&work))?;
            }
        }
    };
    Ok(events.boxed())
}

/// Of an event; it rises with each change.
fn version(work: &BulkWork) -> u64 {
    let changes = 2 * (u64::from(work.done) + u64::from(work.skipped));
    changes + 1 + u64::from(work.state == BulkState::Stopping) + 2 * u64::from(work.finished_at.is_some())
}

/// The runs that the actor may do it to.
async fn filter(app: &App, actor: &Actor, action: BulkAction, wanted: Wanted) -> Result<RunFilter> {
    let Wanted { pipeline, status, branch } = wanted;
    let needed = action.needs();
    let pipeline_id: Option<PipelineId> = match pipeline {
        Some(pipeline) => Some(access::pipeline_of_runs_for(app, actor, &pipeline, needed).await?),
        None => None,
    };
    let pipelines = match &pipeline_id {
        Some(_) => None,
        None => actor.may_only_in(needed),
    };
    Ok(RunFilter { pipeline_id, pipelines, status, branch })
}

/// Carries out what goes on and nobody is at.
pub async fn carry_out(app: &App) -> Result<()> {
    for mut record in store::bulk::going(&app.store, WORKS_MAX).await? {
        let leased_until = now().plus(LEASE);
        if !store::bulk::lease(&app.store, &record, now(), leased_until).await? {
            continue;
        }
        record.leased_until = leased_until;
        let id = record.work.id.clone();
        // The others do not wait for what this one lacks; it goes on once its lease is over.
        if let Err(error) = carry_out_one(app, record).await {
            tracing::warn!(bulk.id = %id, error = error.chain(), "A bulk work was interrupted, it goes on");
        }
    }
    Ok(())
}

async fn carry_out_one(app: &App, mut record: BulkRecord) -> Result<()> {
    // What they may was looked at when it was started; the filter holds them to it.
    let actor = Actor::new(record.work.started_by.clone(), Role::Admin);
    loop {
        let Some(latest) = store::bulk::find(&app.store, &record.work.id).await? else { return Ok(()) };
        if latest.work.state == BulkState::Stopping {
            return end(app, &actor, &record, BulkState::Stopped).await;
        }
        let place = record.after.clone().unwrap_or_else(|| record.until.clone());
        let page = PageRequest { limit: SLICE, cursor: Some(place.to_string()) };
        let mut runs = store::runs::list(&app.store, &record.filter, page).await?.items;
        runs.retain(|run| record.from <= run.id);
        if runs.is_empty() {
            return end(app, &actor, &record, BulkState::Done).await;
        }
        for run in &runs {
            match is_done(app, &actor, record.work.action, run).await? {
                true => record.work.done += 1,
                false => record.work.skipped += 1,
            }
        }
        record.after = runs.last().map(|run| run.id.clone());
        let leased_until = now().plus(LEASE);
        if !store::bulk::advance(&app.store, &record, leased_until).await? {
            // Another has taken it up: this one was too slow.
            return Ok(());
        }
        record.leased_until = leased_until;
    }
}

/// Does it to a run; false: it is left out.
async fn is_done(app: &App, actor: &Actor, action: BulkAction, run: &Run) -> Result<bool> {
    if !action.concerns(run.status) {
        return Ok(false);
    }
    let outcome = match action {
        BulkAction::Cancel => runs::cancel(app, actor, &run.id).await.map(|_| ()),
        BulkAction::Retry => runs::retry(app, actor, &run.id, RetryFrom::Failed).await.map(|_| ()),
        BulkAction::Delete => removals::delete(app, actor, &run.id).await,
    };
    match outcome {
        Ok(()) => Ok(true),
        // It is no longer what it was a moment ago.
        Err(Error::Conflict(_) | Error::NotFound { .. }) => Ok(false),
        Err(error @ Error::Unavailable { .. }) => Err(error),
        // One that cannot be done does not keep the others from it.
        Err(error) => {
            tracing::warn!(run.id = %run.id, error = error.chain(), "A run is left out of a bulk work");
            Ok(false)
        }
    }
}

async fn end(app: &App, actor: &Actor, record: &BulkRecord, state: BulkState) -> Result<()> {
    if store::bulk::finish(&app.store, &record.work.id, state, now()).await? {
        let BulkWork { action, total, done, skipped, .. } = &record.work;
        let words = format!(
            "{} of {total} runs: {done} done, {skipped} left out, {}",
            action.as_str(),
            state.as_str()
        );
        audit::record(app, actor, Deed::done("runs.bulk").to("bulk", record.work.id.as_str()).saying(words))
            .await;
    }
    Ok(())
}
