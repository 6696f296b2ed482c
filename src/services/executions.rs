//! What a worker does to a run: take it, record how it goes, end it.
//!
//! Each function is one compare-and-set at the epoch of the worker's claim. An answer that says "not yours"
//! means that somebody else has the run: the worker then does nothing more to it.

use std::time::Duration;

use crate::app::App;
use crate::domain::attempt::delay_after;
use crate::domain::ids::{HostId, RunId, WorkerId};
use crate::domain::pipeline::{Definition, Retry};
use crate::domain::run::{Percent, RunRecord, RunStatus, StepRecord, StepStatus, put_steps};
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::jobs::JobStanding;
use crate::metrics;
use crate::services::runs::{self, RetryFrom};
use crate::services::waiting;
use crate::store;
use crate::store::runs::RunChange;
use crate::store::workers::WorkerRecord;

/// A run that another worker has is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const WORKERS_MAX: u32 = 1_000;
/// A job may arrive a little before its time.
const EARLY_MAX: Duration = Duration::from_millis(50);

/// Who wants a run.
#[derive(Debug, Clone)]
pub struct Claimant {
    pub worker: WorkerId,
    pub host: HostId,
}

/// What came of wanting one.
#[derive(Debug)]
pub enum Claim {
    /// It is this worker's, at the record's epoch.
    Claimed(Box<Claimed>),
    /// There is nothing to do: the run has ended, or never was.
    Nothing,
    /// Not before then.
    Later(Timestamp),
    /// It has ended its worker too often, and has been ended itself: why.
    SetAside(String),
}

#[derive(Debug)]
pub struct Claimed {
    pub record: RunRecord,
    /// What it waited for, if that took long.
    pub waited: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Succeeded,
    Failed(String),
    /// Failed, and tried again as the definition says.
    RetryLater(String),
    Canceled,
    TimedOut(String),
}

/// How far the end of a run is settled.
#[derive(Debug)]
pub enum Settlement {
    /// There is nothing to settle.
    NotEnded,
    /// Its log is archived.
    Archived(Box<RunRecord>),
    /// Neither Redis nor the archive has all of its lines; the journal on the host that ran it has.
    LacksLines(Box<RunRecord>),
}

/// What is recorded when an attempt ends.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Of the run's log.
    pub lines: u64,
    pub last_line_at: Option<Timestamp>,
    /// Steps that have changed since they were last recorded.
    pub steps: Vec<StepRecord>,
    /// The worker has had the run for so long that the run does not end its workers.
    pub is_steady: bool,
}

impl Facts {
    /// Whether the run does not merely end its workers.
    pub fn gets_on(&self) -> bool {
        self.is_steady || self.steps.iter().any(|record| record.step.status.is_ended())
    }
}

/// Takes a run that was just read, if it is to be had. `is_dead` says of a worker on this host whether its process is
/// gone.
pub async fn claim(
    app: &App,
    record: RunRecord,
    claimant: &Claimant,
    is_dead: impl Fn(&WorkerId) -> bool,
) -> Result<Claim> {
    let run = &record.run.id.clone();
    let mut change = RunChange::of(run.clone());
    change.epoch = Some(record.epoch);
    change.from = vec![record.run.status];
    change.claim = Some(claimant.worker.clone());
    let mut taken_from = None;
    let mut lost_by = None;
    let mut waited = None;
    match record.run.status {
        RunStatus::Queued | RunStatus::Waiting => {
            if let Some(at) = record.run.next_attempt_at
                && now().plus(EARLY_MAX) < at
            {
                return Ok(Claim::Later(at));
            }
            waited = waiting::waited(app, &record.run).await;
            change.status = Some(RunStatus::Running);
            change.started_at = record.run.started_at.is_none().then(now);
            change.next_attempt_at = Some(None);
            change.deadline = Some(None);
        }
        RunStatus::Running | RunStatus::Canceling => match holder(app, &record).await? {
            // Whoever claims has made sure that this process does not work on the run: it has let go of it.
            Some(holder) if holder.id == claimant.worker => {}
            Some(holder) if holder.host == claimant.host && is_dead(&holder.id) => {
                lost_by = Some(holder.name);
            }
            Some(holder) => {
                let silence = match holder.host == claimant.host {
                    true => app.presence.look(&holder),
                    false => host_silence(app, &holder).await?,
                };
                if silence < app.config.worker.host_silence {
                    return Ok(Claim::Later(now().plus(LOOK_AGAIN)));
                }
                if holder.host != claimant.host {
                    taken_from = Some(holder.name.clone());
                }
                lost_by = Some(holder.name);
            }
            // Forgotten, since it has been silent for long.
            None => {
                taken_from = Some("its worker".to_owned());
                lost_by.clone_from(&taken_from);
            }
        },
        _ if record.settled => return retried_elsewhere(app, record).await,
        _ => return Ok(Claim::Nothing),
    }
    if !record.cancel_requested {
        change.reason = Some(None);
    }
    if let Some(name) = lost_by {
        if app.config.worker.losses_max <= record.losses + 1 {
            return set_aside(app, record, &name).await;
        }
        change.losses = Some(record.losses + 1);
    }
    if let Some(name) = taken_from {
        // Its steps are told from the record: a worker that speaks again at this moment may have changed them.
        change.version = Some(record.run.version);
        change.steps = lost_steps(&record, &format!("{name}, which ran it, is silent"));
        change.steps.extend(runs::again_steps(&record, RetryFrom::Start));
        change.restart = Some(true);
        // Its time begins with its steps, once there is a workspace again.
        change.deadline = Some(None);
        change.taken_from = Some(Some(name));
    }
    if store::runs::change(&app.store, change).await?.is_none() {
        return Ok(Claim::Later(now().plus(LOOK_AGAIN)));
    }
    runs::announce(app, run).await;
    let Some(record) = store::runs::find(&app.store, run).await? else { return Ok(Claim::Nothing) };
    Ok(Claim::Claimed(Box::new(Claimed { record, waited })))
}

/// A delivery of a run whose end the queue has confirmed is somebody's wish to have it tried again: a failed
/// one from what failed, a succeeded one from the start.
async fn retried_elsewhere(app: &App, record: RunRecord) -> Result<Claim> {
    if record.run.log_purged_at.is_some() {
        return Ok(Claim::Nothing);
    }
    let from = match record.run.status {
        RunStatus::Succeeded => RetryFrom::Start,
        _ => RetryFrom::Failed,
    };
    let (change, _) = runs::retry_change(&record, from, "retried in the queue".to_owned());
    if store::runs::change(&app.store, change).await?.is_some() {
        app.metrics.retries.get_or_create(&metrics::Reason { reason: "asked" }).inc();
    }
    runs::announce(app, &record.run.id).await;
    Ok(Claim::Later(now()))
}

/// A run whose workers die while they have it is not given to yet another one.
async fn set_aside(app: &App, record: RunRecord, worker: &str) -> Result<Claim> {
    let times = record.losses + 1;
    let reason = format!(
        "set aside: the worker that had it died {times} times in a row, {worker} last; nothing of it is tried again by \
         itself"
    );
    let mut change = RunChange::of(record.run.id.clone());
    change.epoch = Some(record.epoch);
    change.from = vec![record.run.status];
    change.release = true;
    change.status = Some(match record.run.status {
        RunStatus::Canceling => RunStatus::Canceled,
        _ => RunStatus::Failed,
    });
    change.error = Some(Some(reason.clone()));
    change.losses = Some(0);
    change.progress = Some(Percent::DONE);
    change.finished_at = Some(Some(now()));
    change.steps = runs::ended_steps(&record, StepStatus::Skipped, "the run was set aside");
    put_steps(&mut change.steps, &lost_steps(&record, "its worker died"));
    if store::runs::change(&app.store, change).await?.is_none() {
        return Ok(Claim::Later(now().plus(LOOK_AGAIN)));
    }
    runs::announce(app, &record.run.id).await;
    tracing::error!(run.id = %record.run.id, reason, "A run was set aside");
    Ok(Claim::SetAside(reason))
}

/// The steps that were running, as they are recorded when nobody can say what became of them.
fn lost_steps(record: &RunRecord, reason: &str) -> Vec<StepRecord> {
    let mut running = record.current_records();
    running.retain(|record| record.step.status == StepStatus::Running);
    for record in &mut running {
        record.step.status = StepStatus::Lost;
        record.step.reason = Some(reason.to_owned());
        record.step.finished_at = Some(now());
    }
    running
}

/// Counts a panic as what it would be in a lesser program: the death of the worker.
pub async fn count_panic(app: &App, run: &RunId) -> Result<()> {
    let Some(record) = store::runs::find(&app.store, run).await? else { return Ok(()) };
    if !matches!(record.run.status, RunStatus::Running | RunStatus::Canceling) {
        return Ok(());
    }
    if app.config.worker.losses_max <= record.losses + 1 {
        return set_aside(app, record, "this one").await.map(|_| ());
    }
    let mut change = guarded(&record);
    change.losses = Some(record.losses + 1);
    store::runs::change(&app.store, change).await.map(|_| ())
}

/// Notes that this worker leaves the run as it is, to whoever takes it up next: that is no death of a worker.
pub async fn leave(app: &App, record: &RunRecord) -> Result<()> {
    if record.losses == 0 {
        return Ok(());
    }
    let mut change = guarded(record);
    change.losses = Some(0);
    store::runs::change(&app.store, change).await.map(|_| ())
}

/// Says on the run what keeps it from going on, unless it says so already.
pub async fn hindered(app: &App, run: &RunId, error: &Error) -> Result<()> {
    let Some(record) = store::runs::find(&app.store, run).await? else { return Ok(()) };
    let reason = format!("it could not go on and is tried again: {error}");
    if record.run.status.is_ended() || record.cancel_requested || record.run.reason.as_ref() == Some(&reason)
    {
        return Ok(());
    }
    let mut change = RunChange::of(run.clone());
    change.epoch = Some(record.epoch);
    change.from = vec![record.run.status];
    change.reason = Some(Some(reason));
    apply(app, &record, change).await.map(|_| ())
}

/// For how long nothing was heard of a worker's machine: another worker of it, such as the one that is there after a
/// restart, takes its runs back by itself.
async fn host_silence(app: &App, holder: &WorkerRecord) -> Result<Duration> {
    let workers = store::workers::list(&app.store, WORKERS_MAX).await?;
    let of_host = workers.iter().filter(|worker| worker.host == holder.host);
    let silence = of_host.map(|worker| app.presence.look(worker)).min();
    Ok(silence.unwrap_or_else(|| app.presence.look(holder)))
}

async fn holder(app: &App, record: &RunRecord) -> Result<Option<WorkerRecord>> {
    match &record.worker {
        Some(worker) => store::workers::find(&app.store, worker).await,
        None => Ok(None),
    }
}

/// Records what the run does, once that is known: its definition, its commit, its steps, its deadline. Whether
/// the run is still this worker's.
pub async fn plan(
    app: &App,
    record: &RunRecord,
    definition: (&str, &Definition),
    commit: Option<String>,
    branch: Option<String>,
    steps: Vec<StepRecord>,
    lines: u64,
) -> Result<bool> {
    let (text, definition) = definition;
    let mut change = guarded(record);
    change.definition = Some(text.to_owned());
    change.commit = commit;
    change.branch = branch;
    change.restart = Some(false);
    change.taken_from = Some(None);
    // What was given up for lost when the run was taken over is on record with that it was.
    change.lines = Some(lines);
    change.deadline = Some(Some(now().plus(definition.timeout)));
    if record.steps.is_empty() {
        // Read from the repository: only now is it known how often to try, in place of what was assumed. Attempts
        // whose checkout failed count.
        let before = record.run.attempts_max.saturating_sub(Retry::DEFAULT.attempts);
        change.attempts_max = Some((before + definition.retry.attempts).max(record.run.attempt));
    }
    change.steps = steps;
    apply(app, record, change).await
}

/// Puts all steps back to their beginning. Whether the run is still this worker's.
pub async fn begin_anew(app: &App, record: &RunRecord, steps: Vec<StepRecord>) -> Result<bool> {
    let mut change = guarded(record);
    change.restart = Some(true);
    change.steps = steps;
    apply(app, record, change).await
}

/// Records what has changed of the steps. Whether the run is still this worker's.
pub async fn note(app: &App, record: &RunRecord, progress: Percent, facts: Facts) -> Result<bool> {
    let mut change = guarded(record);
    change.losses = (facts.gets_on() && 0 < record.losses).then_some(0);
    change.progress = Some(progress);
    change.lines = Some(facts.lines);
    change.last_line_at = facts.last_line_at;
    change.steps = facts.steps;
    apply(app, record, change).await
}

/// Ends an attempt. Whether the run was still this worker's: a success that comes after a cancel changes
/// nothing, and is given again as [`Ending::Canceled`] by the caller.
pub async fn end(
    app: &App,
    record: &RunRecord,
    definition: Option<&Definition>,
    ending: &Ending,
    facts: Facts,
) -> Result<bool> {
    let mut change = guarded(record);
    change.lines = Some(facts.lines);
    change.last_line_at = facts.last_line_at;
    change.steps = facts.steps;
    match ending {
        Ending::RetryLater(reason) => {
            retry_later(record, definition, reason, &mut change);
            app.metrics.retries.get_or_create(&metrics::Reason { reason: "automatic" }).inc();
            return apply(app, record, change).await;
        }
        Ending::Succeeded => {
            change.from = vec![RunStatus::Running];
            change.status = Some(RunStatus::Succeeded);
        }
        Ending::Failed(error) => {
            change.from = vec![RunStatus::Running];
            change.status = Some(RunStatus::Failed);
            change.error = Some(Some(error.clone()));
        }
        Ending::TimedOut(error) => {
            change.from = vec![RunStatus::Running];
            change.status = Some(RunStatus::TimedOut);
            change.error = Some(Some(error.clone()));
        }
        Ending::Canceled => change.status = Some(RunStatus::Canceled),
    }
    change.progress = Some(Percent::DONE);
    let finished_at = now();
    change.finished_at = Some(Some(finished_at));
    let outcome = change.status.unwrap_or(RunStatus::Canceled).as_str();
    let is_recorded = apply(app, record, change).await?;
    if is_recorded && let Some(started_at) = record.run.started_at {
        let durations = &app.metrics.run_durations;
        durations.get_or_create(&metrics::Outcome { outcome }).observe(finished_at.since(started_at));
    }
    Ok(is_recorded)
}

fn retry_later(record: &RunRecord, definition: Option<&Definition>, reason: &str, change: &mut RunChange) {
    let retry = definition.map_or(Retry::DEFAULT, |definition| definition.retry);
    // Attempts are counted within the series that a trigger or an asked-for retry began.
    let failed =
        retry.attempts.saturating_sub(record.run.attempts_max.saturating_sub(record.run.attempt)).max(1);
    let mut known = record.clone();
    known.put_steps(&change.steps);
    let again = runs::again_steps(&known, RetryFrom::Failed);
    change.progress = Some(runs::progress_of(&again));
    put_steps(&mut change.steps, &again);
    change.from = vec![RunStatus::Running];
    change.status = Some(RunStatus::Queued);
    change.attempt = Some(record.run.attempt + 1);
    change.taken_from = Some(None);
    change.next_attempt_at = Some(Some(now().plus(delay_after(retry, failed))));
    change.reason = Some(Some(format!("attempt {} failed: {reason}", record.run.attempt)));
}

/// Finishes what the end of a run leaves to be done, each part of it once the one before is certain: its log
/// is archived, Redis may forget it, and the queue's own record of the end is acknowledged.
pub async fn settle(app: &App, run: &RunId) -> Result<Settlement> {
    let Some(record) = store::runs::find(&app.store, run).await? else { return Ok(Settlement::NotEnded) };
    if !record.run.status.is_ended() {
        return Ok(Settlement::NotEnded);
    }
    if record.settled && record.archived {
        return Ok(Settlement::Archived(Box::new(record)));
    }
    let is_settled = record.settled || app.jobs.standing(run).await? != JobStanding::Live;
    let mut change = RunChange::of(run.clone());
    change.epoch = Some(record.epoch);
    change.from = vec![record.run.status];
    change.settled = Some(is_settled);
    if !record.archived {
        match app.logs.archive(run, record.run.lines).await {
            Ok(n) if record.run.lines <= n => {
                app.logs.expire(run, app.config.logs.stream_keep).await?;
                change.archived = Some(true);
            }
            lacking => {
                // That the queue has confirmed the end does not wait for the archive: a retry from elsewhere counts.
                if is_settled && !record.settled {
                    store::runs::change(&app.store, change).await?;
                }
                return lacking.map(|_| Settlement::LacksLines(Box::new(record)));
            }
        }
    }
    Ok(match store::runs::change(&app.store, change).await? {
        Some(_) => Settlement::Archived(Box::new(record)),
        // Tried again meanwhile.
        None => Settlement::NotEnded,
    })
}

/// Takes what a run has printed so far to the archive.
pub async fn archive_so_far(app: &App, run: &RunId) -> Result<()> {
    let Some(head) = app.logs.head(run).await? else { return Ok(()) };
    app.logs.archive(run, head.last_n).await.map(|_| ())
}

fn guarded(record: &RunRecord) -> RunChange {
    let mut change = RunChange::of(record.run.id.clone());
    change.epoch = Some(record.epoch);
    change.from = vec![RunStatus::Running, RunStatus::Canceling];
    change
}

async fn apply(app: &App, record: &RunRecord, change: RunChange) -> Result<bool> {
    let is_ours = store::runs::change(&app.store, change).await?.is_some();
    if is_ours {
        runs::announce(app, &record.run.id).await;
    }
    Ok(is_ours)
}
