//! Many runs at once: previewed, then carried out one by one by whichever worker is at hand, each noted in the commit of
//! what is done to it, so that another goes on where one stops.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::bulk::{BulkAction, BulkState, BulkWork, LeftOut, RUNS_MAX, Starter, owner_of};
use crate::domain::ids::{BulkWorkId, RunId};
use crate::domain::run::Run;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::logs::lines::event;
use crate::services::runs::{self, RetryFrom, RunFilter};
use crate::services::{access, audit, removals, tokens};
use crate::store;
use crate::store::bulk::{BulkRecord, Note};
use crate::store::page::PageRequest;
use crate::store::runs::Standing;

/// Runs of a slice: before each it is looked whether it may go on.
const SLICE: u32 = 20;
/// Runs that a preview shows.
const SAMPLE: u32 = 10;
/// A process that does not come back for so long has lost its work to another.
const LEASE: Duration = Duration::from_secs(10);
/// Works that go on at a time, over all: more are refused.
const WORKS_MAX: u64 = 10;
/// How often it is looked how far a work is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long one that has ended can be looked at.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Works that a pass removes.
const TRIM_ROWS: u64 = 1_000;

/// What a bulk work would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkPreview {
    /// How many runs match to which the caller may do it: at most 10,000.
    pub total: u32,
    /// More match: the newest 10,000 are taken, and the rest by another work.
    pub more: bool,
    /// How many of them would be left out, as they stand now.
    pub skipped: u32,
    /// Why they would be: the counts make up `skipped`.
    pub reasons: Vec<LeftOutCount>,
    /// How many of the newest 10,000 that match the caller sees and may not do it to: beyond `total`.
    pub no_right: u32,
    /// The newest of them.
    pub sample: Vec<Run>,
    /// Give it to `runs.startBulk`: runs that are triggered later are left alone.
    pub until: RunId,
}

/// How many runs are left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[specta(rename = "BulkLeftOutCount")]
#[schemars(rename = "BulkLeftOutCount")]
pub struct LeftOutCount {
    /// Why.
    pub reason: LeftOut,
    /// How many.
    pub count: u32,
}

/// Says what would be done, and does nothing. `pipeline` is an id or a name, and outweighs the filter's.
pub async fn preview(
    app: &App,
    actor: &Actor,
    action: BulkAction,
    pipeline: Option<&str>,
    filter: RunFilter,
) -> Result<BulkPreview> {
    let filter = allowed(app, actor, action, pipeline, filter).await?;
    // Later than every run that there is.
    let newest = RunId::generate();
    let until = match filter.until {
        Some(at) => newest.min(RunId::first_at(at)),
        None => newest,
    };
    let standings = store::runs::standings(&app.store, &filter, &until, RUNS_MAX + 1).await?;
    let total: u32 = standings.iter().map(|standing| standing.count).sum();
    let mut reasons = BTreeMap::new();
    for Standing { status, has_log, count, .. } in standings {
        if let Some(reason) = action.leaves_out(status, has_log) {
            *reasons.entry(reason).or_insert(0) += count;
        }
    }
    let no_right = match &filter.pipelines {
        Some(may_in) => {
            let seen = RunFilter { pipelines: actor.sees_only(), ..filter.clone() };
            store::runs::count_elsewhere(&app.store, &seen, may_in, &until, RUNS_MAX).await?
        }
        None => 0,
    };
    let page = PageRequest { limit: SAMPLE, cursor: Some(until.to_string()) };
    let mut sample = store::runs::list(&app.store, &filter, page).await?.items;
    sample.iter_mut().for_each(|run| app.waiting.explain(run));
    Ok(BulkPreview {
        total: total.min(RUNS_MAX),
        more: RUNS_MAX < total,
        skipped: reasons.values().sum(),
        reasons: reasons.into_iter().map(|(reason, count)| LeftOutCount { reason, count }).collect(),
        no_right,
        sample,
        until,
    })
}

/// Starts a bulk work; workers carry it out. `pipeline` is as of [`preview`].
///
/// # Errors
///
/// - `NotFound` if there is no such pipeline.
/// - `Forbidden` if the actor may not do it there.
/// - `Conflict` if a work of theirs goes on, which it names, or too many of others.
pub async fn start(
    app: &App,
    actor: &Actor,
    action: BulkAction,
    pipeline: Option<&str>,
    filter: RunFilter,
    until: RunId,
) -> Result<BulkWork> {
    // Never what is triggered from here on.
    let until = until.min(RunId::generate());
    let filter = allowed(app, actor, action, pipeline, filter).await?;
    let standings = store::runs::standings(&app.store, &filter, &until, RUNS_MAX).await?;
    let work = BulkWork {
        id: BulkWorkId::generate(),
        action,
        state: BulkState::Running,
        total: standings.iter().map(|standing| standing.count).sum(),
        done: 0,
        skipped: 0,
        started_by: actor.name.clone(),
        created_at: now(),
        finished_at: None,
        reason: None,
    };
    let leased_until = Timestamp::from_millis(0);
    let starter = Some(tokens::starter(app, actor).await?);
    // Where nothing matches, nothing is older than the newest either.
    let from = standings.into_iter().map(|standing| standing.oldest).min().unwrap_or_else(|| until.clone());
    let record = BulkRecord { work, starter, filter, until, from, after: None, leased_until };
    // The one that hinders them is named, so that they can wait for it or stop it.
    if let Some(going) = store::bulk::of_owner(&app.store, owner_of(actor)).await? {
        return Err(going_on(&going.work));
    }
    if WORKS_MAX <= store::bulk::going(&app.store, WORKS_MAX).await?.len() as u64 {
        return Err(Error::Conflict(
            "too many bulk works are going on: wait for one, or stop one".to_owned(),
        ));
    }
    if store::bulk::insert(&app.store, &record).await? {
        return Ok(record.work);
    }
    // Of two starts at the same time, the database took the other.
    match store::bulk::of_owner(&app.store, owner_of(actor)).await? {
        Some(going) => Err(going_on(&going.work)),
        None => Err(Error::Conflict("another bulk work of yours has just ended: try again".to_owned())),
    }
}

fn going_on(work: &BulkWork) -> Error {
    let BulkWork { id, action, total, done, skipped, .. } = work;
    Error::Conflict(format!(
        "a bulk work of yours goes on, {id} ({}, {} of {total} runs): wait for it, or stop it",
        action.as_str(),
        done + skipped
    ))
}

/// How far a work is: told to who started it, and to admins.
pub async fn get(app: &App, actor: &Actor, id: &BulkWorkId) -> Result<BulkWork> {
    let record = store::bulk::find(&app.store, id).await?;
    let is_own = |record: &BulkRecord| {
        record.starter.as_ref().is_some_and(|starter| starter.owner() == owner_of(actor))
    };
    let is_seen = |record: &BulkRecord| actor.may(Role::Admin) || is_own(record);
    record.filter(is_seen).map(|record| record.work).ok_or_else(|| Error::not_found("bulk work", id))
}

/// Stops a work after the runs at hand. One that has ended is left as it is.
pub async fn stop(app: &App, actor: &Actor, id: &BulkWorkId) -> Result<BulkWork> {
    get(app, actor, id).await?;
    store::bulk::stop(&app.store, id, &format!("stopped by {}", actor.name)).await?;
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

/// Those of these runs that the actor may do it to.
async fn allowed(
    app: &App,
    actor: &Actor,
    action: BulkAction,
    pipeline: Option<&str>,
    mut filter: RunFilter,
) -> Result<RunFilter> {
    let needed = action.needs();
    match pipeline {
        Some(pipeline) => {
            filter.pipeline_id = Some(access::pipeline_of_runs_for(app, actor, pipeline, needed).await?);
        }
        None => filter.pipelines = actor.may_only_in(needed),
    }
    Ok(filter)
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
    loop {
        let Some(latest) = store::bulk::find(&app.store, &record.work.id).await? else { return Ok(()) };
        if latest.work.state == BulkState::Stopping {
            return end(app, &record, BulkState::Stopped, latest.work.reason).await;
        }
        let actor = match standing(app, &record).await? {
            Ok(actor) => actor,
            Err(reason) => return end(app, &record, BulkState::Stopped, Some(reason)).await,
        };
        let place = record.after.clone().unwrap_or_else(|| record.until.clone());
        let page = PageRequest { limit: SLICE, cursor: Some(place.to_string()) };
        let mut runs = store::runs::list(&app.store, &record.filter, page).await?.items;
        runs.retain(|run| record.from <= run.id);
        if runs.is_empty() {
            return end(app, &record, BulkState::Done, None).await;
        }
        for run in &runs {
            record.after = Some(run.id.clone());
            let with_it = Note { done: record.work.done + 1, ..note(&record) };
            if is_done(app, &actor, record.work.action, run, &with_it).await? {
                (record.work.done, record.leased_until) = (with_it.done, with_it.leased_until);
            } else {
                record.work.skipped += 1;
            }
        }
        let all = note(&record);
        if !store::bulk::advance(&app.store, &all).await? {
            // Another has taken it up: this one was too slow.
            return Ok(());
        }
        record.leased_until = all.leased_until;
    }
}

/// Who started it, as they may now; or why it is not to go on.
async fn standing(app: &App, record: &BulkRecord) -> Result<Result<Actor, String>> {
    let name = &record.work.started_by;
    let Some(starter) = &record.starter else {
        return Ok(Err("an older version started it, which did not note by whom: start it again".to_owned()));
    };
    let Some(actor) = tokens::actor_again(app, starter).await? else {
        return Ok(Err(format!("the access of {name} has ended")));
    };
    let needed = record.work.action.needs();
    let may_still = match (&record.filter.pipeline_id, &record.filter.pipelines) {
        (Some(one), _) => actor.may_in(one, needed),
        (None, Some(some)) => some.iter().all(|one| actor.may_in(one, needed)),
        (None, None) => actor.may(needed),
    };
    Ok(if may_still { Ok(actor) } else { Err(format!("{name} has no longer the role {}", needed.as_str())) })
}

/// How far a work has come, with a further lease.
fn note(record: &BulkRecord) -> Note {
    let BulkRecord { work, after, leased_until, .. } = record;
    Note {
        work: work.id.clone(),
        after: after.clone(),
        done: work.done,
        skipped: work.skipped,
        held_until: *leased_until,
        leased_until: now().plus(LEASE),
    }
}

/// Does it to a run, which is noted in the same commit; false: it is left out.
async fn is_done(app: &App, actor: &Actor, action: BulkAction, run: &Run, noted: &Note) -> Result<bool> {
    if action.leaves_out(run.status, run.log_purged_at.is_none()).is_some() {
        return Ok(false);
    }
    let (id, part_of) = (&run.id, Some(noted));
    let outcome = match action {
        BulkAction::Cancel => runs::cancel_as_part(app, actor, id, part_of).await,
        BulkAction::Retry => {
            runs::retry_as_part(app, actor, id, RetryFrom::Failed, part_of).await.map(|()| true)
        }
        BulkAction::Delete => removals::delete_as_part(app, actor, id, part_of).await.map(|()| true),
    };
    match outcome {
        Ok(is_done) => Ok(is_done),
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

async fn end(app: &App, record: &BulkRecord, state: BulkState, reason: Option<String>) -> Result<()> {
    if !store::bulk::finish(&app.store, &note(record), state, reason.as_deref(), now()).await? {
        return Ok(());
    }
    let BulkWork { id, action, total, done, skipped, started_by, .. } = &record.work;
    let mut words =
        format!("{} of {total} runs: {done} done, {skipped} left out, {}", action.as_str(), state.as_str());
    if let Some(reason) = reason {
        words.push_str(&format!(": {reason}"));
    }
    let Starter { token, person } = record.starter.clone().unwrap_or(Starter { token: None, person: None });
    let actor = Actor { token, person, ..Actor::new(started_by.clone(), Role::Viewer) };
    audit::record(app, &actor, Deed::done("runs.bulk").to("bulk", id.as_str()).saying(words)).await;
    Ok(())
}

/// Removes works that ended long ago, up to a bound: the next pass goes on.
pub async fn trim(app: &App) -> Result<()> {
    store::bulk::trim(&app.store, now().minus(KEEP), TRIM_ROWS).await.map(|_| ())
}
