//! What is removed for good: runs, and logs of runs that stay. The database says at once that they are gone; what lies in
//! Redis and in the object store follows, and a crash in between leaves a note by which it still does.

use std::time::Duration;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::RunRecord;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::metrics;
use crate::services::{access, executions, runs};
use crate::store;

/// In whose name the rules of `retention` remove.
pub const BY_RULE: &str = "retention";
/// Rows that a pass reads at a time.
const SLICE: u64 = 100;
/// What one pass looks at, of each kind: the next goes on.
const PASS_SLICES: u32 = 50;

/// Deletes a run that has ended, with its steps and its log.
///
/// # Errors
///
/// - `NotFound` and `Forbidden` as `access::run`.
/// - `Conflict` while it has not ended, or its end is still being written down.
pub async fn delete(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    let record = ended(app, access::run(app, actor, id, Role::Admin).await?).await?;
    if !store::removals::delete_run(&app.store, id, record.epoch, now()).await? {
        return Err(changed());
    }
    follow_up(app, id).await;
    Ok(())
}

/// Removes the log of a run that has ended. The run stays, and says so. It is not tried again. Errors as [`delete`].
pub async fn purge_log(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    let record = access::run(app, actor, id, Role::Admin).await?;
    if record.run.log_purged_at.is_some() {
        return Ok(());
    }
    let record = ended(app, record).await?;
    if !store::removals::purge_log(&app.store, id, record.epoch, &actor.name, now()).await? {
        return Err(changed());
    }
    follow_up(app, id).await;
    Ok(())
}

/// Only a run whose end is settled is left alone by everybody else.
async fn ended(app: &App, record: RunRecord) -> Result<RunRecord> {
    if !record.run.status.is_ended() {
        return Err(Error::Conflict(format!(
            "the run is {}: cancel it, and come back once it has ended",
            record.run.status.as_str()
        )));
    }
    if !(record.settled && record.archived) {
        executions::settle(app, &record.run.id).await?;
    }
    Ok(record)
}

fn changed() -> Error {
    Error::Conflict(
        "the end of the run is still being written down, or it is tried again: try in a moment".to_owned(),
    )
}

/// Removes what lies elsewhere now, or leaves it to the next pass.
async fn follow_up(app: &App, id: &RunId) {
    runs::announce(app, id).await;
    if let Err(error) = clear(app, id).await {
        tracing::warn!(run.id = %id, error = error.chain(), "What is left of a removed log goes later");
    }
}

/// Its job, its lines in Redis, its objects; then the note. Its directories go with the sweeps of their machines.
async fn clear(app: &App, id: &RunId) -> Result<()> {
    app.jobs.remove(id).await?;
    app.logs.delete(id).await?;
    store::removals::done(&app.store, id).await
}

/// Clears what was noted and not cleared. What fails does not keep the others waiting; the first failure is told at the end.
pub async fn clear_pending(app: &App) -> Result<()> {
    let mut after = None;
    let mut outcome = Ok(());
    loop {
        let pending = store::removals::pending(&app.store, after.as_ref(), SLICE).await?;
        let Some(last) = pending.last() else { return outcome };
        after = Some(last.clone());
        for id in pending {
            outcome = outcome.and(clear(app, &id).await);
        }
    }
}

/// Removes what the rules say of runs that ended from `places` on, of runs and of logs; gives where the next pass goes on.
/// Several servers may do it at once: each run is removed once.
pub async fn retain(app: &App, places: [Option<Timestamp>; 2]) -> Result<[Option<Timestamp>; 2]> {
    let rules = &app.config.retention;
    let runs = retain_kind(app, rules.runs, false, places[0]).await?;
    let logs = retain_kind(app, rules.logs, true, places[1]).await?;
    Ok([runs, logs])
}

async fn retain_kind(
    app: &App,
    age: Option<Duration>,
    is_log: bool,
    place: Option<Timestamp>,
) -> Result<Option<Timestamp>> {
    let Some(age) = age else { return Ok(None) };
    let before = now().minus(age);
    let keep = app.config.retention.runs_min;
    let kind = if is_log { "log" } else { "run" };
    let mut after = place;
    for _ in 0..PASS_SLICES {
        let expired = store::removals::expired(&app.store, before, keep, is_log, after, SLICE).await?;
        let mut removed = 0;
        for run in expired.iter().filter(|run| !run.is_recent) {
            let is_gone = match is_log {
                true => store::removals::purge_log(&app.store, &run.id, run.epoch, BY_RULE, now()).await?,
                false => store::removals::delete_run(&app.store, &run.id, run.epoch, now()).await?,
            };
            if is_gone {
                removed += 1;
                app.metrics.removed.get_or_create(&metrics::Removed { kind }).inc();
                follow_up(app, &run.id).await;
            }
        }
        if 0 < removed {
            tracing::info!(kind, removed, "What has had its time is removed");
        }
        let Some(last) = expired.last().filter(|_| expired.len() == SLICE as usize) else { return Ok(None) };
        // A slice of which nothing went, and that ends where it began, would come again for ever.
        let is_stuck = removed == 0 && after == Some(last.finished_at);
        after =
            Some(if is_stuck { last.finished_at.plus(Duration::from_millis(1)) } else { last.finished_at });
    }
    Ok(after)
}
