//! What is read of many runs at once in order to be counted.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::Reader;
use crate::store::entities::run;
use crate::store::error::DbResult as _;
use crate::store::run_filter::is_newest_of_each;

/// More ends of a minute than these are not looked at one by one.
const ENDS_MAX: u64 = 20_000;

/// A run in short.
#[derive(Debug, Clone)]
pub struct RunInShort {
    pub id: RunId,
    pub pipeline_id: PipelineId,
    pub number: u32,
    pub status: RunStatus,
    pub branch: Option<String>,
    pub triggered_by: String,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd {
    pub status: RunStatus,
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
}

/// Of each pipeline its newest runs, newest first.
pub async fn newest(store: &Store, pipelines: &[PipelineId], of_each: u32) -> Result<Vec<RunInShort>> {
    const READER: Reader = Reader("listing the newest runs of pipelines");
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
        pipeline_id: String,
        number: i64,
        status: String,
        branch: Option<String>,
        trigger_by: String,
        created_at: i64,
        started_at: Option<i64>,
        finished_at: Option<i64>,
    }
    let rows = newest_query(pipelines, of_each).into_model::<Row>();
    let rows = rows.all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|row| {
            Ok(RunInShort {
                id: READER.id("id", &row.id)?,
                pipeline_id: READER.id("pipeline_id", &row.pipeline_id)?,
                number: READER.number("number", row.number)?,
                status: READER.word("status", &row.status, RunStatus::parse(&row.status))?,
                branch: row.branch,
                triggered_by: row.trigger_by,
                created_at: Timestamp::from_millis(row.created_at),
                started_at: Reader::at(row.started_at),
                finished_at: Reader::at(row.finished_at),
            })
        })
        .collect()
}

pub(super) fn newest_query(pipelines: &[PipelineId], of_each: u32) -> Select<run::Entity> {
    use run::Column;

    let is_newest = is_newest_of_each(pipelines, u64::from(of_each));
    run::Entity::find()
        .select_only()
        .columns([Column::Id, Column::PipelineId, Column::Number, Column::Status])
        .columns([Column::Branch, Column::TriggerBy])
        .columns([Column::CreatedAt, Column::StartedAt, Column::FinishedAt])
        .filter(is_newest)
        .order_by_desc(Column::Id)
}

/// How many runs were triggered from one instant to another.
pub async fn triggered(store: &Store, from: Timestamp, to: Timestamp) -> Result<u64> {
    triggered_query(from, to).count(&store.reader).await.doing("counting the runs of a minute")
}

/// By their ids, which begin with when they were made.
pub(super) fn triggered_query(from: Timestamp, to: Timestamp) -> Select<run::Entity> {
    run::Entity::find()
        .select_only()
        .column(run::Column::Id)
        .filter(run::Column::Id.gte(RunId::first_at(from).as_str()))
        .filter(run::Column::Id.lt(RunId::first_at(to).as_str()))
}

/// The runs that ended from one instant to another.
pub async fn ended(store: &Store, from: Timestamp, to: Timestamp) -> Result<Vec<RunEnd>> {
    const READER: Reader = Reader("listing the ends of a minute");
    let rows: Vec<(String, Option<i64>, i64)> =
        ended_query(from, to).into_tuple().all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|(status, started_at, finished_at)| {
            Ok(RunEnd {
                status: READER.word("status", &status, RunStatus::parse(&status))?,
                started_at: Reader::at(started_at),
                finished_at: Timestamp::from_millis(finished_at),
            })
        })
        .collect()
}

pub(super) fn ended_query(from: Timestamp, to: Timestamp) -> Select<run::Entity> {
    use run::Column;

    run::Entity::find()
        .select_only()
        .columns([Column::Status, Column::StartedAt, Column::FinishedAt])
        .filter(Column::FinishedAt.gte(from.as_millis()))
        .filter(Column::FinishedAt.lt(to.as_millis()))
        .limit(ENDS_MAX)
}
