//! Runs: triggered, read, canceled, tried again. What a worker does to a run is in `executions`; together
//! they are the only places that move one between statuses, whoever asks.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::app::App;
use crate::domain::attempt::StepSoFar;
use crate::domain::ids::RunId;
use crate::domain::pipeline::{self, Definition, Retry};
use crate::domain::repository;
use crate::domain::run::{
    Percent, Run, RunDetails, RunRecord, RunStatus, RunTrigger, Step, StepRecord, StepStatus, TriggerKind,
};
use crate::domain::text;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::metrics;
use crate::services::{access, lists, states};
use crate::store;
use crate::store::bulk::Note;
use crate::store::page::{Page, PageRequest};
use crate::store::runs::{Insertion, NewRun, RunChange};

pub use crate::store::runs::RunFilter;

/// How often a run is looked at anew that goes on between a look and a change.
const LOOKS_MAX: u32 = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRun {
    /// Id or name.
    pub pipeline: String,
    pub branch: Option<String>,
    pub inputs: BTreeMap<String, String>,
    pub idempotency_key: Option<String>,
}

/// Where a retry begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryFrom {
    /// With a new workspace, from the first step.
    Start,
    /// With the steps that did not succeed.
    Failed,
}

/// Makes a run and queues it for a worker.
///
/// The row is committed before the job is queued. If the process dies in between, or Redis is away, the run
/// stays `Queued` without a job until the reconciler queues it again; the job's id is the run's, so queueing
/// twice is harmless.
///
/// # Errors
///
/// - `Invalid` if a field breaks a rule, or the pipeline's definition has a problem.
/// - `NotFound` if there is no such pipeline.
/// - `Unavailable` if the database is.
pub async fn trigger(app: &App, actor: &Actor, request: TriggerRun) -> Result<Run> {
    trigger_as(app, actor, TriggerKind::Api, request).await
}

/// As [`trigger`], for a job that another program put into the queue: who can write there is trusted as an operator.
pub async fn trigger_by_job(app: &App, by: &str, request: TriggerRun) -> Result<Run> {
    trigger_as(app, &Actor::new(by, Role::Operator), TriggerKind::Queue, request).await
}

async fn trigger_as(app: &App, actor: &Actor, kind: TriggerKind, request: TriggerRun) -> Result<Run> {
    let TriggerRun { pipeline, branch, inputs, idempotency_key } = request;
    check_trigger(branch.as_deref(), &inputs, idempotency_key.as_deref())?;
    let pipeline = access::pipeline(app, actor, &pipeline, Role::Operator).await?;
    let definition = pipeline.definition.as_deref().map(parse).transpose()?;
    if definition.is_none() && pipeline.repository.is_none() {
        return Err(Error::Conflict(format!(
            "{} has neither a definition nor a repository to read one from: give it one by pipelines.update",
            pipeline.name
        )));
    }
    // The setting may have changed since the pipeline was made.
    if let Some(repository) = &pipeline.repository {
        repository::check(&app.config.worker.repository_hosts, repository).map_err(Error::Conflict)?;
    }
    let retry = definition.as_ref().map_or(Retry::DEFAULT, |definition| definition.retry);
    let id = RunId::generate();
    let run = NewRun {
        // Its own time: lists are narrowed by it, so another clock's reading could leave a run out at its very instant.
        now: id.made_at(),
        id,
        pipeline_id: pipeline.id.clone(),
        branch: branch.or(pipeline.default_branch),
        inputs,
        trigger: RunTrigger { kind, by: actor.name.clone(), untrusted: false },
        attempts_max: retry.attempts,
        repository: pipeline.repository,
        definition: pipeline.definition,
        idempotency_key,
        steps: definition.as_ref().map(first_steps).unwrap_or_default(),
    };
    let run = match store::runs::insert(&app.store, run).await? {
        Insertion::Inserted(run) | Insertion::Existing(run) => run,
        Insertion::NoPipeline => return Err(Error::not_found("pipeline", pipeline.id)),
    };
    if run.status == RunStatus::Queued {
        let (added, ()) = tokio::join!(app.jobs.add(&run.id, retry), announce(app, &run.id));
        if let Err(error) = added {
            tracing::warn!(run.id = %run.id, error = error.chain(), "The run is taken, and will be queued once Redis is back");
        }
    }
    Ok(run)
}

pub async fn get(app: &App, actor: &Actor, id: &RunId) -> Result<RunDetails> {
    let record = access::run(app, actor, id, Role::Viewer).await?;
    Ok(shown(app, record).await)
}

/// `pipeline` is an id or a name.
pub async fn get_by_number(app: &App, actor: &Actor, pipeline: &str, number: u32) -> Result<RunDetails> {
    let record = access::run_by_number(app, actor, pipeline, number).await?;
    Ok(shown(app, record).await)
}

/// As it is at this moment, which the row knows from time to time only.
async fn shown(app: &App, record: RunRecord) -> RunDetails {
    let mut details = record.details();
    app.waiting.explain(&mut details.run);
    if !details.run.status.is_ended()
        && let Ok(Some(head)) = app.logs.head(&details.run.id).await
        && details.run.lines < head.last_n
    {
        details.run.lines = head.last_n;
        details.run.last_line_at = head.last_line_at;
    }
    details
}

/// Those that the actor sees. `pipeline` is an id or a name, and outweighs the filter's.
pub async fn list(
    app: &App,
    actor: &Actor,
    pipeline: Option<&str>,
    mut filter: RunFilter,
    page: PageRequest,
) -> Result<Page<Run>> {
    match pipeline {
        Some(pipeline) => {
            filter.pipeline_id = Some(access::pipeline_of_runs(app, actor, pipeline).await?);
        }
        None => filter.pipelines = actor.sees_only(),
    }
    let mut page = store::runs::list(&app.store, &filter, page).await?;
    page.items.iter_mut().for_each(|run| app.waiting.explain(run));
    Ok(page)
}

/// Ends a run: at once where nothing of it has begun, else by its worker. A run that has ended is left as it
/// is.
pub async fn cancel(app: &App, actor: &Actor, id: &RunId) -> Result<Run> {
    cancel_as_part(app, actor, id, None).await?;
    Ok(access::run(app, actor, id, Role::Operator).await?.run)
}

/// The same as a part of a bulk work, which notes it in the same commit. False: there was nothing to be ended.
pub(super) async fn cancel_as_part(
    app: &App,
    actor: &Actor,
    id: &RunId,
    part_of: Option<&Note>,
) -> Result<bool> {
    // Each look that finds the run elsewhere means that it went on meanwhile, which it does a few times.
    for _ in 0..LOOKS_MAX {
        let record = access::run(app, actor, id, Role::Operator).await?;
        if record.run.status.is_ended() || record.cancel_requested {
            return Ok(false);
        }
        if !ask_to_end(app, actor, &record, part_of).await? {
            continue;
        }
        if let Err(error) = app.jobs.hurry_or_remove(id, has_begun(&record)).await {
            tracing::debug!(run.id = %id, error = error.chain(), "The canceled run's job stays until it is taken");
        }
        return Ok(true);
    }
    Err(Error::Conflict("the run changes too quickly to be canceled: try again".to_owned()))
}

/// What became of a run whose job is to be taken out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// It has ended: its job is of no use any more.
    Ended,
    /// Its `when: always` steps are still to be run: its job stays for that.
    Ending,
    /// A worker has it.
    Held,
}

/// Ends a run unless a worker has it. Of one that has ended, the job is left to whoever calls.
pub async fn withdraw(app: &App, actor: &Actor, id: &RunId) -> Result<Withdrawal> {
    for _ in 0..LOOKS_MAX {
        let record = access::run(app, actor, id, Role::Operator).await?;
        match record.run.status {
            status if status.is_ended() => return Ok(Withdrawal::Ended),
            RunStatus::Queued | RunStatus::Waiting => {}
            _ => return Ok(Withdrawal::Held),
        }
        if !record.cancel_requested && !ask_to_end(app, actor, &record, None).await? {
            continue;
        }
        if !has_begun(&record) {
            return Ok(Withdrawal::Ended);
        }
        app.jobs.hurry_or_remove(id, true).await?;
        return Ok(Withdrawal::Ending);
    }
    Err(Error::Conflict("the run changes too quickly to be canceled: try again".to_owned()))
}

/// Records that somebody wants the run to end. False if it went on meanwhile.
async fn ask_to_end(app: &App, actor: &Actor, record: &RunRecord, part_of: Option<&Note>) -> Result<bool> {
    let status = record.run.status;
    let mut change = RunChange::of(record.run.id.clone());
    change.note = part_of.cloned();
    change.epoch = Some(record.epoch);
    change.from = vec![status];
    change.cancel_requested = Some(true);
    change.reason = Some(Some(format!("canceled by {}", actor.name)));
    match status {
        RunStatus::Queued | RunStatus::Waiting if !has_begun(record) => {
            change.release = true;
            change.status = Some(RunStatus::Canceled);
            change.finished_at = Some(Some(now()));
            change.progress = Some(Percent::DONE);
            // Its job may be in a worker's hands: until it is certainly gone, a delivery is nobody's wish to
            // have the run tried again.
            change.settled = Some(false);
            change.archived = Some(true);
            change.steps = ended_steps(record, StepStatus::Canceled, "the run was canceled");
        }
        // Between two attempts: its `when: always` steps are still to be run.
        RunStatus::Queued | RunStatus::Waiting => change.next_attempt_at = Some(None),
        _ => change.status = Some(RunStatus::Canceling),
    }
    if store::runs::change(&app.store, change).await?.is_none() {
        return Ok(false);
    }
    announce(app, &record.run.id).await;
    Ok(true)
}

/// Sets when a queued run is taken up; none: at once. A run that is not queued is left as it is, and one that
/// somebody changes at this moment is looked at again.
pub async fn reschedule(app: &App, actor: &Actor, id: &RunId, at: Option<Timestamp>) -> Result<()> {
    for _ in 0..LOOKS_MAX {
        let record = access::run(app, actor, id, Role::Operator).await?;
        if record.run.status != RunStatus::Queued || record.run.next_attempt_at == at {
            return Ok(());
        }
        let mut change = RunChange::of(id.clone());
        change.epoch = Some(record.epoch);
        change.version = Some(record.run.version);
        change.from = vec![RunStatus::Queued];
        change.next_attempt_at = Some(at);
        if store::runs::change(&app.store, change).await?.is_some() {
            announce(app, id).await;
            return Ok(());
        }
    }
    Err(Error::Conflict("the run changes too quickly to be given another time: try again".to_owned()))
}

/// Tries a run again that has ended. `Conflict` if it has not.
pub async fn retry(app: &App, actor: &Actor, id: &RunId, from: RetryFrom) -> Result<Run> {
    retry_as_part(app, actor, id, from, None).await?;
    Ok(access::run(app, actor, id, Role::Operator).await?.run)
}

/// The same as a part of a bulk work, which notes it in the same commit.
pub(super) async fn retry_as_part(
    app: &App,
    actor: &Actor,
    id: &RunId,
    from: RetryFrom,
    part_of: Option<&Note>,
) -> Result<()> {
    let record = access::run(app, actor, id, Role::Operator).await?;
    if !record.run.status.is_ended() {
        return Err(Error::Conflict(format!(
            "the run is {}: only one that has ended is retried",
            record.run.status.as_str()
        )));
    }
    if record.run.log_purged_at.is_some() {
        return Err(Error::Conflict(
            "its log was purged, so it is not tried again: trigger a new run".to_owned(),
        ));
    }
    let (mut change, retry) = retry_change(&record, from, format!("retried by {}", actor.name));
    change.note = part_of.cloned();
    if store::runs::change(&app.store, change).await?.is_none() {
        return Err(Error::Conflict("the run was changed meanwhile: look at it and try again".to_owned()));
    }
    app.metrics.retries.get_or_create(&metrics::Reason { reason: "asked" }).inc();
    announce(app, id).await;
    if let Err(error) = app.jobs.add_again(id, retry).await {
        tracing::warn!(run.id = %id, error = error.chain(), "The run will be queued once Redis is back");
    }
    Ok(())
}

/// The run's states as finished server-sent events: the present one, then each change, until it has ended. Nothing
/// is left to tell of a run that has ended at the version that is `known`.
pub async fn watch(
    app: &App,
    actor: &Actor,
    id: &RunId,
    known: Option<u64>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    access::may_follow(app, actor, id).await?;
    let watched = app.states.watch(id).await?;
    let mut latest = watched.subscribe();
    {
        let present = latest.borrow();
        if present.state.status.is_ended() && known == Some(present.state.version) {
            return Ok(futures::stream::empty().boxed());
        }
    }
    let events = async_stream::stream! {
        let _keeps_reading = watched;
        loop {
            let snapshot = latest.borrow_and_update().clone();
            let has_ended = snapshot.state.status.is_ended();
            yield Ok(snapshot.event);
            if has_ended || latest.changed().await.is_err() {
                return;
            }
        }
    };
    Ok(events.boxed())
}

/// Tells those who watch a run, and its worker, to look again. Notices may be lost, so a failure is of no
/// consequence but delay.
pub async fn announce(app: &App, id: &RunId) {
    if let Err(error) = app.redis.wake(&[&states::channel(id), lists::CHANNEL]).await {
        tracing::debug!(run.id = %id, error = error.chain(), "A change was not announced");
    }
}

/// The change that makes an ended run begin again, and how its job is to be tried.
pub(crate) fn retry_change(record: &RunRecord, from: RetryFrom, reason: String) -> (RunChange, Retry) {
    let definition = record.definition.as_deref().and_then(|text| pipeline::parse(text).ok());
    let retry = definition.as_ref().map_or(Retry::DEFAULT, |definition| definition.retry);
    let steps = again_steps(record, from);
    let mut change = RunChange::of(record.run.id.clone());
    change.from = vec![record.run.status];
    change.epoch = Some(record.epoch);
    // Not if its log was purged meanwhile.
    change.version = Some(record.run.version);
    change.release = true;
    change.status = Some(RunStatus::Queued);
    change.attempt = Some(record.run.attempt + 1);
    change.attempts_max = Some(record.run.attempt + retry.attempts);
    change.progress = Some(progress_of(&steps));
    change.reason = Some(Some(reason));
    change.error = Some(None);
    change.next_attempt_at = Some(None);
    change.finished_at = Some(None);
    change.deadline = Some(None);
    change.cancel_requested = Some(false);
    change.settled = Some(false);
    change.archived = Some(false);
    change.restart = Some(from == RetryFrom::Start);
    change.taken_from = Some(None);
    change.steps = steps;
    (change, retry)
}

/// The steps of a further attempt: what has succeeded stays (unless it begins from the start), all else is to
/// be done again, as a further attempt of the step where it had begun.
pub(crate) fn again_steps(record: &RunRecord, from: RetryFrom) -> Vec<StepRecord> {
    record
        .current_records()
        .into_iter()
        .map(|mut record| {
            let step = &mut record.step;
            let is_kept = step.status == StepStatus::Succeeded && from == RetryFrom::Failed;
            if !is_kept {
                let attempt = if step.started_at.is_some() { step.attempt + 1 } else { step.attempt };
                *step = pending(&step.name, &step.needs, attempt);
            }
            record
        })
        .collect()
}

/// Whether steps have succeeded whose results a further attempt builds on: they are in the workspace.
pub(crate) fn has_results(record: &RunRecord) -> bool {
    record.current_records().iter().any(|record| record.step.status == StepStatus::Succeeded)
}

pub(crate) fn progress_of(steps: &[StepRecord]) -> Percent {
    Percent::of(steps.iter().filter(|record| record.step.status.is_ended()).count(), steps.len())
}

/// The steps of a definition before anything has begun.
pub(crate) fn first_steps(definition: &Definition) -> Vec<StepRecord> {
    let record = |(index, step): (usize, &pipeline::StepDefinition)| StepRecord {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        step: pending(&step.name, &step.needs, 1),
    };
    definition.steps.iter().enumerate().map(record).collect()
}

/// What is on record of each step, for the bookkeeping of an attempt.
pub(crate) fn so_far(records: &[StepRecord]) -> Vec<StepSoFar> {
    records
        .iter()
        .map(|record| {
            let is_pending = record.step.status == StepStatus::Pending;
            let attempt =
                if is_pending { record.step.attempt.saturating_sub(1) } else { record.step.attempt };
            StepSoFar { status: record.step.status, attempt, tries: u32::from(!is_pending) }
        })
        .collect()
}

fn pending(name: &str, needs: &[String], attempt: u32) -> Step {
    Step {
        name: name.to_owned(),
        status: StepStatus::Pending,
        exit_code: None,
        reason: None,
        attempt,
        needs: needs.to_vec(),
        started_at: None,
        finished_at: None,
        first_line: None,
        last_line: None,
        first_error_line: None,
    }
}

/// Whether a worker has had the run: then there may be a log, which the worker's end of the run takes care of.
fn has_begun(record: &RunRecord) -> bool {
    record.run.started_at.is_some() || record.steps.iter().any(|record| record.step.started_at.is_some())
}

/// The steps that have not ended, ended.
pub(crate) fn ended_steps(record: &RunRecord, status: StepStatus, reason: &str) -> Vec<StepRecord> {
    let mut open = record.current_records();
    open.retain(|record| !record.step.status.is_ended());
    for record in &mut open {
        record.step.status = status;
        record.step.reason = Some(reason.to_owned());
        record.step.finished_at = record.step.started_at.map(|_| now());
    }
    open
}

/// A pipeline's definition, or the first problem that it has.
pub(crate) fn parse(definition: &str) -> Result<Definition> {
    pipeline::parse(definition).map_err(|problems| {
        let reason = match problems.first() {
            Some(first) => format!("line {}, column {}: {}", first.line, first.column, first.message),
            None => "it cannot be read".to_owned(),
        };
        Error::invalid("definition", reason)
    })
}

fn check_trigger(
    branch: Option<&str>,
    inputs: &BTreeMap<String, String>,
    idempotency_key: Option<&str>,
) -> Result<()> {
    if let Some(branch) = branch {
        text::branch(branch).map_err(|reason| Error::invalid("branch", reason))?;
    }
    text::inputs(inputs).map_err(|(name, reason)| {
        let field = if name.is_empty() { "inputs".to_owned() } else { format!("inputs.{name}") };
        Error::invalid(field, reason)
    })?;
    if let Some(key) = idempotency_key {
        text::idempotency_key(key).map_err(|reason| Error::invalid("idempotencyKey", reason))?;
    }
    Ok(())
}
