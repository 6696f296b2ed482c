//! Rows of `runs` to runs, and back.

use sea_orm::ActiveValue::Set;

use crate::domain::run::{Percent, Run, RunRecord, RunStatus, RunTrigger, TriggerKind};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::column::Reader;
use crate::store::entities::run;
use crate::store::runs::NewRun;
use crate::store::steps::StepsByRun;

const READER: Reader = Reader("reading a row of runs");

/// The row of a run that has just been made.
pub(super) fn new(run: &NewRun, number: u32, pipeline_name: &str) -> run::ActiveModel {
    run::ActiveModel {
        id: Set(run.id.to_string()),
        number: Set(i64::from(number)),
        pipeline_id: Set(run.pipeline_id.to_string()),
        pipeline_name: Set(pipeline_name.to_owned()),
        status: Set(RunStatus::Queued.as_str().to_owned()),
        progress: Set(0),
        attempt: Set(1),
        attempts_max: Set(i64::from(run.attempts_max)),
        branch: Set(run.branch.clone()),
        commit_id: Set(None),
        trigger_kind: Set(kind_name(run.trigger.kind).to_owned()),
        trigger_by: Set(run.trigger.by.clone()),
        untrusted: Set(run.trigger.untrusted),
        version: Set(1),
        epoch: Set(0),
        worker_id: Set(None),
        lines: Set(0),
        last_line_at: Set(None),
        next_attempt_at: Set(None),
        created_at: Set(run.now.as_millis()),
        started_at: Set(None),
        finished_at: Set(None),
        deadline: Set(None),
        cancel_requested: Set(false),
        losses: Set(0),
        settled: Set(false),
        archived: Set(false),
        restart: Set(false),
        taken_from: Set(None),
        idempotency_key: Set(run.idempotency_key.clone()),
        log_purged_at: Set(None),
        log_purged_by: Set(None),
        repository: Set(run.repository.clone()),
        reason: Set(None),
        error: Set(None),
        inputs: Set(serde_json::json!(run.inputs).to_string()),
        definition: Set(run.definition.clone()),
    }
}

/// The same run, as it is given to callers, without reading it back.
pub(super) fn inserted(run: NewRun, number: u32, pipeline_name: String) -> Run {
    Run {
        id: run.id,
        number,
        pipeline_id: run.pipeline_id,
        pipeline_name,
        status: RunStatus::Queued,
        progress: Percent::ZERO,
        attempt: 1,
        attempts_max: run.attempts_max,
        branch: run.branch,
        commit: None,
        inputs: run.inputs,
        trigger: run.trigger,
        reason: None,
        error: None,
        version: 1,
        lines: 0,
        last_line_at: None,
        next_attempt_at: None,
        created_at: run.now,
        started_at: None,
        finished_at: None,
        log_purged_at: None,
        log_purged_by: None,
    }
}

pub(super) fn run(row: run::Model) -> Result<Run> {
    let kind = match row.trigger_kind.as_str() {
        "api" => Some(TriggerKind::Api),
        "queue" => Some(TriggerKind::Queue),
        _ => None,
    };
    Ok(Run {
        id: READER.id("id", &row.id)?,
        number: READER.number("number", row.number)?,
        pipeline_id: READER.id("pipeline_id", &row.pipeline_id)?,
        pipeline_name: row.pipeline_name,
        status: READER.word("status", &row.status, RunStatus::parse(&row.status))?,
        progress: Percent::new(READER.number("progress", row.progress)?),
        attempt: READER.number("attempt", row.attempt)?,
        attempts_max: READER.number("attempts_max", row.attempts_max)?,
        branch: row.branch,
        commit: row.commit_id,
        inputs: READER.json("inputs", &row.inputs)?,
        trigger: RunTrigger {
            kind: READER.word("trigger_kind", &row.trigger_kind, kind)?,
            by: row.trigger_by,
            untrusted: row.untrusted,
        },
        reason: row.reason,
        error: row.error,
        version: READER.number("version", row.version)?,
        lines: READER.number("lines", row.lines)?,
        last_line_at: Reader::at(row.last_line_at),
        next_attempt_at: Reader::at(row.next_attempt_at),
        created_at: Timestamp::from_millis(row.created_at),
        started_at: Reader::at(row.started_at),
        finished_at: Reader::at(row.finished_at),
        log_purged_at: Reader::at(row.log_purged_at),
        log_purged_by: row.log_purged_by,
    })
}

/// The run with its steps, which are taken out of `steps`.
pub(super) fn record(mut row: run::Model, steps: &mut StepsByRun) -> Result<RunRecord> {
    Ok(RunRecord {
        epoch: READER.number("epoch", row.epoch)?,
        worker: row.worker_id.take().map(|id| READER.id("worker_id", &id)).transpose()?,
        definition: row.definition.take(),
        repository: row.repository.take(),
        cancel_requested: row.cancel_requested,
        deadline: Reader::at(row.deadline),
        losses: READER.number("losses", row.losses)?,
        settled: row.settled,
        archived: row.archived,
        restart: row.restart,
        taken_from: row.taken_from.clone(),
        steps: steps.remove(&row.id).unwrap_or_default(),
        run: run(row)?,
    })
}

fn kind_name(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Api => "api",
        TriggerKind::Queue => "queue",
    }
}
