//! What is removed for good: runs, and logs of runs that stay. The database says at once that they are gone; what lies in
//! Redis and in the object store follows, and a crash in between leaves a note by which it still does.

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::RunRecord;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::metrics;
use crate::services::{access, executions, lists, runs};
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

/// Clears what was noted and not cleared.
pub async fn clear_pending(app: &App) -> Result<()> {
    let mut after = None;
    loop {
        let pending = store::removals::pending(&app.store, after.as_ref(), SLICE).await?;
        let Some(last) = pending.last() else { return Ok(()) };
        after = Some(last.clone());
        for id in pending {
            clear(app, &id).await?;
        }
    }
}

/// Where a pass over old runs goes on.
pub type Place = Option<(Timestamp, RunId)>;

/// Removes what the rules say, from `place` on; gives where the next pass goes on. Several servers may do it at once: each
/// run is removed once.
pub async fn retain(app: &App, [run_place, log_place]: [Place; 2]) -> Result<[Place; 2]> {
    let rules = &app.config.retention;
    let keep = rules.runs_min;
    let mut places = [None, None];
    for (at, (age, place)) in [(rules.runs, run_place), (rules.logs, log_place)].into_iter().enumerate() {
        let Some(age) = age else { continue };
        let before =
            Timestamp::from_millis(now().as_millis() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let is_log = at == 1;
        let mut after = place;
        for _ in 0..PASS_SLICES {
            let expired =
                store::removals::expired(&app.store, before, keep, is_log, after.take(), SLICE).await?;
            let Some(last) = expired.last() else { break };
            after = Some((last.finished_at, last.id.clone()));
            for run in expired.iter().filter(|run| !run.is_recent) {
                let is_gone = match is_log {
                    true => {
                        store::removals::purge_log(&app.store, &run.id, run.epoch, BY_RULE, now()).await?
                    }
                    false => store::removals::delete_run(&app.store, &run.id, run.epoch, now()).await?,
                };
                if is_gone {
                    let kind = if is_log { "log" } else { "run" };
                    app.metrics.removed.get_or_create(&metrics::Removed { kind }).inc();
                    clear(app, &run.id).await?;
                }
            }
            if expired.len() < SLICE as usize {
                after = None;
                break;
            }
        }
        places[at] = after;
    }
    if let Err(error) = app.redis.wake(&[lists::CHANNEL]).await {
        tracing::debug!(error = error.chain(), "Lists were not told");
    }
    Ok(places)
}
