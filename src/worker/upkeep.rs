//! What has to be done from time to time: each pass is idempotent, bounded, and takes no input.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::{HostId, RunId, WorkerId};
use crate::domain::run::{RunRecord, RunStatus};
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::jobs::JobStanding;
use crate::services::executions::{self, Settlement};
use crate::services::{audit, bulk, history, removals, retention};
use crate::store;
use crate::store::runs::HeldRun;
use crate::store::workers::WorkerRecord;
use crate::worker::claims;
use crate::worker::forgotten::{Forgotten, add_missing};
use crate::worker::host::Seat;
use crate::worker::run_log;
use crate::worker::running::Running;

const BEAT_INTERVAL: Duration = Duration::from_secs(3);
const TAKE_BACK_INTERVAL: Duration = Duration::from_secs(2);
const RECONCILE_INTERVAL: Duration = Duration::from_secs(5);
const NOTE_INTERVAL: Duration = Duration::from_secs(5);
const SETTLE_INTERVAL: Duration = Duration::from_secs(5);
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
const BULK_INTERVAL: Duration = Duration::from_secs(1);
/// Rows that a pass reads at a time.
const SLICE: u32 = 200;
/// What a pass of the sweep looks at.
const DIRECTORIES_MAX: usize = 10_000;
/// The end of a run is settled by the worker that ended it; only one that has waited longer was left.
const SETTLE_GRACE: Duration = Duration::from_secs(10);
/// Later than any run ends.
const EVER: Timestamp = Timestamp::from_millis(i64::MAX);
/// After so many, something is away that all of them need.
const SETTLE_FAILURES_MAX: u32 = 200;
/// Lines that a machine has and nobody else are given up once it has been silent for so long.
const LINES_GIVEN_UP_AFTER: Duration = Duration::from_secs(60 * 60);
const WORKERS_MAX: u32 = 1_000;
/// What is missing where a run's lines are.
const LOG: &str = "log";
/// Workers that have not been seen for so long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes this worker known. Before it takes a run: a run whose worker nobody knows counts as nobody's. `name`
/// is what people call it.
pub async fn announce(app: &App, seat: &Seat, name: String) -> Result<WorkerRecord> {
    let record = WorkerRecord {
        id: seat.worker.clone(),
        host: seat.host.clone(),
        name,
        started_at: now(),
        seen_at: now(),
        fetched_at: None,
        concurrency: u32::try_from(app.config.worker.concurrency).ok(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    };
    store::workers::put(&app.store, &record).await?;
    Ok(record)
}

/// Says every few seconds that this worker is alive.
pub async fn beat(app: App, announced: WorkerRecord, shutdown: CancellationToken) {
    let fetched_at = Mutex::new(None);
    every(BEAT_INTERVAL, &shutdown, || async {
        // A sign of life does not wait for the queue.
        let known = *fetched_at.lock().unwrap_or_else(PoisonError::into_inner);
        let record = WorkerRecord { seen_at: now(), fetched_at: known, ..announced.clone() };
        store::workers::put(&app.store, &record).await?;
        // The worker's fetches cannot be seen from outside its crate; that the queue answers it can.
        if app.jobs.counts().await.is_ok() {
            *fetched_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now());
        }
        Ok(())
    })
    .await;
}

/// Hands back the jobs of runs whose worker is gone, so that they are taken up at once.
pub async fn take_back(app: App, seat: Arc<Seat>, running: Running, shutdown: CancellationToken) {
    let unclaimed = Mutex::new(HashSet::new());
    every(TAKE_BACK_INTERVAL, &shutdown, || async {
        hand_back_unclaimed(&app, &running, &unclaimed).await?;
        let silences = silences(&app).await?;
        let mut after: Option<RunId> = None;
        loop {
            let held = store::runs::held(&app.store, after.as_ref(), SLICE).await?;
            let Some(last) = held.last() else { return Ok(()) };
            after = Some(last.id.clone());
            for run in held {
                let is_orphan = match (&run.worker, &run.host) {
                    (Some(_), _) if running.has(&run.id) => false,
                    // Let go of here, and its job may be lost; unless it was let go of after it was listed.
                    (Some(worker), _) if *worker == seat.worker => {
                        is_held_still(&app, &run).await? && !running.has(&run.id)
                    }
                    (Some(worker), Some(host)) if *host == seat.host => seat.is_dead(worker),
                    (Some(_), Some(host)) => {
                        silences.get(host).is_none_or(|silence| app.config.worker.host_silence <= *silence)
                    }
                    (Some(worker), None) => is_silent(&app, worker).await?,
                    (None, _) => true,
                };
                if is_orphan {
                    match app.jobs.standing(&run.id).await? {
                        JobStanding::Live => app.jobs.hand_back(&run.id).await?,
                        JobStanding::Absent | JobStanding::Finished => add_missing(&app, &run.id).await?,
                    }
                }
            }
        }
    })
    .await;
}

/// Whether another host than this one had the run last, and a worker of it was heard of within `patience`.
pub async fn has_other_live_host(
    app: &App,
    seat: &Seat,
    record: &RunRecord,
    patience: Duration,
) -> Result<bool> {
    let Some(worker) = &record.worker else { return Ok(false) };
    let workers = store::workers::list(&app.store, WORKERS_MAX).await?;
    let Some(host) = workers.iter().find(|known| known.id == *worker).map(|known| &known.host) else {
        return Ok(false);
    };
    let is_there = |known: &WorkerRecord| app.presence.look(known) < patience;
    Ok(*host != seat.host && workers.iter().any(|known| known.host == *host && is_there(known)))
}

/// For how long nothing was heard of each host: of whichever of its workers spoke last.
async fn silences(app: &App) -> Result<HashMap<HostId, Duration>> {
    let mut silences: HashMap<HostId, Duration> = HashMap::new();
    for worker in store::workers::list(&app.store, WORKERS_MAX).await? {
        let silence = app.presence.look(&worker);
        let known = silences.entry(worker.host).or_insert(silence);
        *known = silence.min(*known);
    }
    Ok(silences)
}

/// Hands back jobs that a worker took and died before it claimed their runs. A claim follows the taking of a
/// job within moments, so one that is still missing a pass later will not come.
async fn hand_back_unclaimed(app: &App, running: &Running, known: &Mutex<HashSet<RunId>>) -> Result<()> {
    let mut unclaimed = HashSet::new();
    for id in app.jobs.active().await? {
        if running.has(&id) {
            continue;
        }
        let run = store::runs::find_run(&app.store, &id).await?;
        if run.is_some_and(|run| run.status == RunStatus::Queued) {
            unclaimed.insert(id);
        }
    }
    let before = {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *known, unclaimed.clone())
    };
    for id in unclaimed.intersection(&before) {
        app.jobs.hand_back(id).await?;
    }
    Ok(())
}

/// Queues runs that have no job: Redis was away when they were triggered, or has forgotten them.
pub async fn reconcile(app: App, shutdown: CancellationToken) {
    let forgotten = tokio::sync::Mutex::new(Forgotten::default());
    every(RECONCILE_INTERVAL, &shutdown, || async {
        forgotten.lock().await.enqueue(&app).await?;
        app.jobs.trim_events().await
    })
    .await;
}

/// Notes how busy the queue was, minute by minute.
pub async fn note_history(app: App, shutdown: CancellationToken) {
    let noted = tokio::sync::Mutex::new(0);
    every(NOTE_INTERVAL, &shutdown, || async { history::note(&app, now(), &mut *noted.lock().await).await })
        .await;
}

/// Settles ended runs that whoever ended them did not come to settle, the longest ended first.
pub async fn settle_left(app: App, running: Running, shutdown: CancellationToken) {
    every(SETTLE_INTERVAL, &shutdown, || async {
        let mut failure = None;
        let mut failures_in_a_row = 0;
        let mut after: Option<(Timestamp, RunId)> = None;
        while failures_in_a_row < SETTLE_FAILURES_MAX {
            let left = store::runs::unfinished_business(&app.store, EVER, after.as_ref(), SLICE).await?;
            let Some(last) = left.last() else { break };
            after = last.run.finished_at.map(|at| (at, last.run.id.clone()));
            // By a clock that is ahead, a run has ended in times to come: it was left all the same.
            let is_just_over = |at: Timestamp| before(SETTLE_GRACE) <= at && at <= now();
            for record in left.into_iter().filter(|record| !record.run.finished_at.is_some_and(is_just_over)) {
                // One whose log cannot be archived must not keep the others waiting.
                match settle(&app, &running, &record.run.id).await {
                    Ok(()) => failures_in_a_row = 0,
                    Err(error) => {
                        tracing::debug!(run.id = %record.run.id, error = error.chain(), "An ended run is settled later");
                        failures_in_a_row += 1;
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    })
    .await;
}

/// Tidies up behind the end of a run: its log, its job, and on its host its directory.
pub async fn settle(app: &App, running: &Running, run: &RunId) -> Result<()> {
    let mut settlement = executions::settle(app, run).await?;
    if let Settlement::LacksLines(record) = &settlement {
        // Nobody here begins the run anew meanwhile.
        let Some(_held) = running.enter(run) else { return Ok(()) };
        let is_given_up = !claims::has(app, record)?;
        if is_given_up && !is_gone_for_good(app, record).await? {
            return Err(Error::unavailable(
                LOG,
                "redis has lost lines, and their journal is on another host",
            ));
        }
        if !run_log::publish_rest(app, record, &app.run_dir(run)).await? {
            return Err(Error::unavailable(LOG, "not all of its lines could be published"));
        }
        tracing::info!(run.id = %run, is_given_up, "The lines of an ended run that Redis lacked are published");
        settlement = executions::settle(app, run).await?;
    }
    match settlement {
        Settlement::Archived(record) if record.run.status == RunStatus::Succeeded => {
            remove(&app.run_dir(run)).await
        }
        Settlement::Archived(_) | Settlement::NotEnded => Ok(()),
        Settlement::LacksLines(_) => {
            Err(Error::unavailable(LOG, "its journal lacks lines that Redis has lost"))
        }
    }
}

/// Whether nobody will come back with the lines that a run lacks.
async fn is_gone_for_good(app: &App, record: &RunRecord) -> Result<bool> {
    let Some(worker) = &record.worker else { return Ok(true) };
    let known = store::workers::find(&app.store, worker).await?;
    Ok(known.is_none_or(|known| LINES_GIVEN_UP_AFTER <= app.presence.look(&known)))
}

/// Removes the directories of runs that nobody needs any more, and what dead workers left.
pub async fn sweep(app: App, seat: Arc<Seat>, running: Running, shutdown: CancellationToken) {
    every(SWEEP_INTERVAL, &shutdown, || async {
        for run in directories(&app.config.data_dir.join("runs")).await? {
            let Some(_held) = running.enter(&run) else { continue };
            if claims::let_go(&app, &seat, &run).await? {
                tracing::info!(run.id = %run, "What was left here of a run that went elsewhere is removed");
                continue;
            }
            if !is_needed(&app, store::runs::find(&app.store, &run).await?.as_ref()) {
                remove(&app.run_dir(&run)).await?;
            }
        }
        let gone = seat.tidy().map_err(|error| Error::internal("tidying away dead workers", error))?;
        for worker in gone {
            tracing::debug!(worker.id = %worker, "A dead worker was tidied away");
        }
        for worker in store::workers::list(&app.store, SLICE).await? {
            if worker.seen_at < before(FORGET_AFTER) {
                store::workers::delete(&app.store, &worker.id).await?;
            }
        }
        store::tokens::delete_expired(&app.store, now()).await?;
        Ok(())
    })
    .await;
}

/// Has what is left of removed runs and logs follow them.
pub async fn clear(app: App, shutdown: CancellationToken) {
    every(SETTLE_INTERVAL, &shutdown, || async { removals::clear_pending(&app).await }).await;
}

/// Removes what has had its time.
pub async fn retain(app: App, shutdown: CancellationToken) {
    let place = Mutex::new(None);
    every(SWEEP_INTERVAL, &shutdown, || async {
        let from = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let next = retention::sweep(&app, from).await?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = next;
        bulk::trim(&app).await
    })
    .await;
}

/// Removes entries of the audit trail that have had their time.
pub async fn trim_audit(app: App, shutdown: CancellationToken) {
    every(SWEEP_INTERVAL, &shutdown, || audit::trim(&app)).await;
}

/// Carries out bulk works that nobody is at.
pub async fn bulk_works(app: App, shutdown: CancellationToken) {
    every(BULK_INTERVAL, &shutdown, || async { bulk::carry_out(&app).await }).await;
}

/// Whether somebody needs the directory of a run; none: there is no such run.
pub(super) fn is_needed(app: &App, record: Option<&RunRecord>) -> bool {
    match record {
        None => false,
        Some(record) if !record.run.status.is_ended() || !record.archived => true,
        Some(record) if record.run.status == RunStatus::Succeeded || record.run.log_purged_at.is_some() => {
            false
        }
        Some(record) => {
            record.run.finished_at.is_some_and(|at| now() < at.plus(app.config.worker.workspace_keep))
        }
    }
}

/// Runs `pass` until `shutdown`, with `interval` between two; a failure is said once, until a pass succeeds.
async fn every<F>(interval: Duration, shutdown: &CancellationToken, mut pass: impl FnMut() -> F)
where
    F: Future<Output = Result<()>>,
{
    let mut is_failing = false;
    loop {
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return,
            outcome = pass() => outcome,
        };
        match outcome {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(error = error.chain(), "A periodic task failed, it goes on");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

pub(super) fn before(duration: Duration) -> Timestamp {
    now().minus(duration)
}

async fn is_silent(app: &App, worker: &WorkerId) -> Result<bool> {
    let known = store::workers::find(&app.store, worker).await?;
    Ok(known.is_none_or(|known| app.config.worker.host_silence <= app.presence.look(&known)))
}

async fn is_held_still(app: &App, run: &HeldRun) -> Result<bool> {
    let record = store::runs::find(&app.store, &run.id).await?;
    Ok(record.is_some_and(|record| !record.run.status.is_ended() && record.epoch == run.epoch))
}

pub(super) async fn directories(path: &Path) -> Result<Vec<RunId>> {
    let path = path.to_owned();
    let names = tokio::task::spawn_blocking(move || match fs::read_dir(path) {
        Ok(entries) => {
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            Ok(names.filter_map(|name| name.parse().ok()).take(DIRECTORIES_MAX).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    });
    names
        .await
        .map_err(|error| Error::internal("reading the directory of runs", error))?
        .map_err(|error| Error::internal("reading the directory of runs", error))
}

pub(super) async fn remove(path: &Path) -> Result<()> {
    let path = path.to_owned();
    let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    removed
        .await
        .map_err(|error| Error::internal("removing the directory of a run", error))?
        .map_err(|error| Error::internal("removing the directory of a run", error))
}
