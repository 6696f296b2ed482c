//! What is removed for good: runs, and logs of runs that stay. The database says at once that they are gone; what lies in
//! Redis and in the object store follows, and a crash in between leaves a note by which it still does.

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::RunRecord;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::{access, executions, runs};
use crate::store;
use crate::store::bulk::Note;

/// Rows that a pass reads at a time.
const SLICE: u64 = 100;

/// Deletes a run that has ended, with its steps and its log.
///
/// # Errors
///
/// - `NotFound` and `Forbidden` as `access::run`.
/// - `Conflict` while it has not ended, or its end is still being written down.
pub async fn delete(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    delete_as_part(app, actor, id, None).await
}

/// The same as a part of a bulk work, which notes it in the same commit.
pub(super) async fn delete_as_part(
    app: &App,
    actor: &Actor,
    id: &RunId,
    part_of: Option<&Note>,
) -> Result<()> {
    let record = ended(app, access::run(app, actor, id, Role::Admin).await?).await?;
    if !store::removals::delete_run(&app.store, id, record.epoch, now(), part_of).await? {
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
pub(super) async fn follow_up(app: &App, id: &RunId) {
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
