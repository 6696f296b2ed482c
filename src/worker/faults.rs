//! What may be wrong with the runs of an installation, their jobs and what this host has of them: found and mended from
//! outside, for `slipway doctor`. Workers mend all of it by themselves where they can; what stays is found here.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::App;
use crate::domain::ids::{RunId, WorkerId};
use crate::domain::run::RunRecord;
use crate::error::{Error, Result};
use crate::executor;
use crate::jobs::JobStanding;
use crate::store;
use crate::store::runs::{HeldRun, QueuedRun, Towards};
use crate::worker::forgotten;
use crate::worker::host::Roster;
use crate::worker::running::Running;
use crate::worker::upkeep::{self, before};

/// What workers mend by themselves takes less than this.
const GRACE: Duration = Duration::from_secs(15);
const SETTLE_GRACE: Duration = Duration::from_secs(60);
/// A worker of another host that is silent for so long is not only restarted.
const ROW_GRACE: Duration = Duration::from_secs(60 * 60);
/// Rows that are read at a time, and how often.
const SLICE: u32 = 200;
const SLICES_MAX: usize = 50;
const WORKERS_MAX: u32 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A queued run without a job: nobody will look at it.
    NoJob(RunId),
    /// A run whose worker is gone, and which the queue does not offer to another.
    NoWorker(RunId),
    /// A run that has ended, whose log is not archived or whose job is not settled.
    Unsettled(RunId),
    /// A job without a run.
    NoRun(RunId),
    /// A supervisor on this host of a run that is not this host's: its step's directory.
    Supervisor(PathBuf),
    /// The directory of a run on this host that nobody needs.
    Directory(RunId),
    /// The row of a worker that is gone and has no runs.
    WorkerRow(WorkerId),
}

/// All faults, each kind within a bound. In the order in which they are to be mended.
pub async fn find(app: &App) -> Result<Vec<Fault>> {
    let roster = Roster::of(&app.config.data_dir);
    let held = held(app).await?;
    let mut faults = of_host(app, &roster).await?;
    faults.extend(rows(app, &roster, &held).await?);
    faults.extend(unsettled(app).await?);
    // Without Redis nothing can be said of jobs.
    if app.redis.ping().await.is_ok() {
        faults.extend(without_worker(app, &roster, held).await?);
        faults.extend(without_job(app).await?);
        faults.extend(without_run(app).await?);
    }
    Ok(faults)
}

/// Mends one, unless somebody else has meanwhile.
pub async fn mend(app: &App, fault: &Fault) -> Result<()> {
    match fault {
        Fault::NoJob(run) => forgotten::add_missing(app, run).await,
        Fault::NoWorker(run) => match app.jobs.standing(run).await? {
            JobStanding::Live => app.jobs.hand_back(run).await,
            JobStanding::Absent | JobStanding::Finished => forgotten::add_missing(app, run).await,
        },
        Fault::Unsettled(run) => upkeep::settle(app, &Running::default(), run).await,
        Fault::NoRun(run) => app.jobs.remove(run).await,
        Fault::Supervisor(dir) => {
            let ended = executor::end(dir, &workspace_of(dir)).await;
            ended.map_err(|error| Error::internal("ending a supervisor", error))
        }
        Fault::Directory(run) => upkeep::remove(&app.run_dir(run)).await,
        Fault::WorkerRow(worker) => store::workers::delete(&app.store, worker).await,
    }
}

async fn held(app: &App) -> Result<Vec<HeldRun>> {
    let mut all: Vec<HeldRun> = Vec::new();
    for _ in 0..SLICES_MAX {
        let slice = store::runs::held(&app.store, all.last().map(|run| &run.id), SLICE).await?;
        let is_last = slice.len() < SLICE as usize;
        all.extend(slice);
        if is_last {
            break;
        }
    }
    Ok(all)
}

async fn without_worker(app: &App, roster: &Roster, held: Vec<HeldRun>) -> Result<Vec<Fault>> {
    let mut orphans = Vec::new();
    for run in held {
        if is_orphan(app, roster, &run).await? {
            orphans.push(run.id);
        }
    }
    let active: HashSet<RunId> = app.jobs.active().await?.into_iter().collect();
    let standings = app.jobs.standings(&orphans).await?;
    let is_offered =
        |run: &RunId, standing: JobStanding| standing == JobStanding::Live && !active.contains(run);
    let lost = orphans.into_iter().zip(standings).filter(|(run, standing)| !is_offered(run, *standing));
    Ok(lost.map(|(run, _)| Fault::NoWorker(run)).collect())
}

async fn is_orphan(app: &App, roster: &Roster, run: &HeldRun) -> Result<bool> {
    match (&run.worker, &run.host) {
        (None, _) => Ok(true),
        (Some(worker), Some(host)) if Some(host) == roster.host.as_ref() => Ok(roster.is_dead(worker)),
        (Some(worker), _) => is_silent(app, worker).await,
    }
}

/// By the clock, since a doctor does not stay to see signs of life change: whoever claims a run makes sure.
async fn is_silent(app: &App, worker: &WorkerId) -> Result<bool> {
    let known = store::workers::find(&app.store, worker).await?;
    Ok(known.is_none_or(|known| known.seen_at < before(app.config.worker.host_silence)))
}

async fn without_job(app: &App) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut after: Option<RunId> = None;
    for _ in 0..SLICES_MAX {
        let queued = store::runs::queued(&app.store, Towards::Newest, after.as_ref(), SLICE).await?;
        let Some(last) = queued.last() else { break };
        after = Some(last.id.clone());
        let is_due = |run: &QueuedRun| run.due_at < before(GRACE);
        let due: Vec<RunId> = queued.into_iter().filter(is_due).map(|run| run.id).collect();
        let standings = app.jobs.standings(&due).await?;
        let lacking = due.into_iter().zip(standings).filter(|(_, standing)| *standing != JobStanding::Live);
        faults.extend(lacking.map(|(run, _)| Fault::NoJob(run)));
    }
    Ok(faults)
}

/// A run is there before its job is.
async fn without_run(app: &App) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for ids in app.jobs.live().await?.chunks(SLICE as usize) {
        let known = store::runs::known(&app.store, ids).await?;
        faults.extend(ids.iter().filter(|id| !known.contains(id)).cloned().map(Fault::NoRun));
    }
    Ok(faults)
}

async fn unsettled(app: &App) -> Result<Vec<Fault>> {
    let records = store::runs::unfinished_business(&app.store, before(SETTLE_GRACE), None, SLICE).await?;
    Ok(records.into_iter().map(|record| Fault::Unsettled(record.run.id)).collect())
}

async fn rows(app: &App, roster: &Roster, held: &[HeldRun]) -> Result<Vec<Fault>> {
    let busy: HashSet<&WorkerId> = held.iter().filter_map(|run| run.worker.as_ref()).collect();
    let workers = store::workers::list(&app.store, WORKERS_MAX).await?;
    let is_gone = |worker: &store::workers::WorkerRecord| {
        let is_here = roster.host.as_ref() == Some(&worker.host);
        !busy.contains(&worker.id)
            && worker.seen_at < before(ROW_GRACE)
            && (!is_here || roster.is_dead(&worker.id))
    };
    Ok(workers.into_iter().filter(is_gone).map(|worker| Fault::WorkerRow(worker.id)).collect())
}

/// What this host has of runs that are not its own any more.
async fn of_host(app: &App, roster: &Roster) -> Result<Vec<Fault>> {
    let (mut supervisors, mut directories) = (Vec::new(), Vec::new());
    let found = upkeep::directories(&app.config.data_dir.join("runs")).await?;
    // With the wrong database, every directory would look as if nobody needed it.
    if found.is_empty() || !store::runs::is_any(&app.store).await? {
        return Ok(Vec::new());
    }
    for run in found {
        let record = store::runs::find(&app.store, &run).await?;
        if !is_ours(app, roster, record.as_ref()).await? {
            let steps = supervised(&app.run_dir(&run));
            supervisors.extend(steps.into_iter().map(Fault::Supervisor));
        }
        if !is_just_over(record.as_ref()) && !upkeep::is_needed(app, record.as_ref()) {
            directories.push(Fault::Directory(run));
        }
    }
    supervisors.extend(directories);
    Ok(supervisors)
}

/// Whether the run may have steps on this host: it has not long ended, and no other host has it.
async fn is_ours(app: &App, roster: &Roster, record: Option<&RunRecord>) -> Result<bool> {
    let Some(record) = record else { return Ok(false) };
    if record.run.status.is_ended() {
        return Ok(is_just_over(Some(record)));
    }
    let Some(worker) = &record.worker else { return Ok(true) };
    let holder = store::workers::find(&app.store, worker).await?;
    Ok(holder.is_none_or(|holder| Some(&holder.host) == roster.host.as_ref()))
}

fn is_just_over(record: Option<&RunRecord>) -> bool {
    let finished_at = record.and_then(|record| record.run.finished_at);
    finished_at.is_some_and(|at| before(SETTLE_GRACE) <= at)
}

/// The directories of steps whose supervisors are alive: those of the run, and of its checkouts.
fn supervised(run_dir: &Path) -> Vec<PathBuf> {
    let entries =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries(run_dir)
        .chain(entries(&run_dir.join("steps")))
        .filter(|dir| executor::is_supervised(dir))
        .collect()
}

/// The workspace of the run whose step or checkout has this directory.
fn workspace_of(dir: &Path) -> PathBuf {
    let parent = dir.parent().unwrap_or(dir);
    let run_dir = if parent.ends_with("steps") { parent.parent().unwrap_or(parent) } else { parent };
    run_dir.join("workspace")
}
