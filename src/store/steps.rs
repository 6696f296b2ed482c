//! Rows of `steps`: every attempt of every step of a run.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait, QueryFilter as _, QueryOrder as _, Select};

use crate::domain::ids::RunId;
use crate::domain::run::{Step, StepRecord, StepStatus};
use crate::error::Result;
use crate::store::column::{Reader, count, millis};
use crate::store::entities::step;
use crate::store::error::DbResult as _;

/// Each row is thirteen parameters, of which SQLite takes 32,766 a statement.
const ROWS_PER_STATEMENT: usize = 500;

pub(super) type StepsByRun = HashMap<String, Vec<StepRecord>>;

/// Inserts the records, or replaces those that are there already.
pub(super) async fn write(db: &impl ConnectionTrait, run_id: &RunId, records: &[StepRecord]) -> Result<()> {
    use step::Column;

    // One statement must not meet the same row twice: the last word counts.
    let by_key: BTreeMap<(u32, u32), &StepRecord> =
        records.iter().map(|record| ((record.index, record.step.attempt), record)).collect();
    let rows: Vec<step::ActiveModel> = by_key.into_values().map(|record| row(run_id, record)).collect();
    let replace = OnConflict::columns([Column::RunId, Column::Position, Column::Attempt])
        .update_columns([
            Column::Name,
            Column::Status,
            Column::ExitCode,
            Column::Reason,
            Column::Needs,
            Column::StartedAt,
            Column::FinishedAt,
            Column::FirstLine,
            Column::LastLine,
            Column::FirstErrorLine,
        ])
        .to_owned();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        step::Entity::insert_many(rows.to_vec())
            .on_conflict(replace.clone())
            .exec_without_returning(db)
            .await
            .doing("writing steps")?;
    }
    Ok(())
}

/// The steps of several runs in one query, each run's in order of step and attempt.
pub(super) async fn of_runs(db: &impl ConnectionTrait, run_ids: &[&str]) -> Result<StepsByRun> {
    let mut steps = StepsByRun::new();
    if run_ids.is_empty() {
        return Ok(steps);
    }
    for row in of_runs_query(run_ids).all(db).await.doing("reading steps")? {
        let run_id = row.run_id.clone();
        steps.entry(run_id).or_default().push(read(row)?);
    }
    Ok(steps)
}

pub(super) fn of_runs_query(run_ids: &[&str]) -> Select<step::Entity> {
    let query = step::Entity::find()
        .order_by_asc(step::Column::RunId)
        .order_by_asc(step::Column::Position)
        .order_by_asc(step::Column::Attempt);
    match run_ids {
        [run_id] => query.filter(step::Column::RunId.eq(*run_id)),
        _ => query.filter(step::Column::RunId.is_in(run_ids.iter().copied())),
    }
}

fn row(run_id: &RunId, record: &StepRecord) -> step::ActiveModel {
    let StepRecord { index, step } = record;
    step::ActiveModel {
        run_id: Set(run_id.to_string()),
        position: Set(i64::from(*index)),
        attempt: Set(i64::from(step.attempt)),
        name: Set(step.name.clone()),
        status: Set(step.status.as_str().to_owned()),
        exit_code: Set(step.exit_code.map(i64::from)),
        reason: Set(step.reason.clone()),
        needs: Set(serde_json::json!(step.needs).to_string()),
        started_at: Set(millis(step.started_at)),
        finished_at: Set(millis(step.finished_at)),
        first_line: Set(step.first_line.map(count)),
        last_line: Set(step.last_line.map(count)),
        first_error_line: Set(step.first_error_line.map(count)),
    }
}

fn read(row: step::Model) -> Result<StepRecord> {
    const READER: Reader = Reader("reading a row of steps");
    Ok(StepRecord {
        index: READER.number("position", row.position)?,
        step: Step {
            name: row.name,
            status: READER.word("status", &row.status, StepStatus::parse(&row.status))?,
            exit_code: READER.optional_number("exit_code", row.exit_code)?,
            reason: row.reason,
            attempt: READER.number("attempt", row.attempt)?,
            needs: READER.json("needs", &row.needs)?,
            started_at: Reader::at(row.started_at),
            finished_at: Reader::at(row.finished_at),
            first_line: READER.optional_number("first_line", row.first_line)?,
            last_line: READER.optional_number("last_line", row.last_line)?,
            first_error_line: READER.optional_number("first_error_line", row.first_error_line)?,
        },
    })
}
