//! Queries on what has had its time.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    Select,
};

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::retention::Retention;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::Reader;
use crate::store::entities::{pipeline, run};
use crate::store::error::DbResult as _;

/// The predicates of the partial indexes, word for word.
const ENDED: &str = "finished_at IS NOT NULL AND settled AND archived";
const WITH_LOG: &str = "finished_at IS NOT NULL AND settled AND archived AND log_purged_at IS NULL";
const WITH_RULES: &str = "retention IS NOT NULL";

/// A pipeline, deleted or not, with what it says of its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    pub id: PipelineId,
    /// Of its next run.
    pub next_number: i64,
    pub retention: Option<Retention>,
}

/// In order of id; only those with rules of their own, or all.
pub async fn pipelines(
    store: &Store,
    only_ruled: bool,
    after: Option<&PipelineId>,
    limit: u64,
) -> Result<Vec<Ruled>> {
    const READER: Reader = Reader("listing what pipelines keep");
    let query = pipelines_query(only_ruled, after, limit);
    let rows: Vec<(String, i64, Option<String>)> =
        query.into_tuple().all(&store.reader).await.doing(READER.0)?;
    let read = |(id, next_number, retention): (String, i64, Option<String>)| {
        Ok(Ruled {
            id: READER.id("id", &id)?,
            next_number,
            retention: retention.map(|text| READER.json("retention", &text)).transpose()?,
        })
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn pipelines_query(
    only_ruled: bool,
    after: Option<&PipelineId>,
    limit: u64,
) -> Select<pipeline::Entity> {
    use pipeline::Column;

    let query = pipeline::Entity::find()
        .select_only()
        .columns([Column::Id, Column::NextRunNumber, Column::Retention])
        .order_by_asc(Column::Id)
        .limit(limit);
    let query = if only_ruled { query.filter(Expr::cust(WITH_RULES)) } else { query };
    query.apply_if(after, |query, id| query.filter(Column::Id.gt(id.as_str())))
}

/// A run that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    pub id: RunId,
    pub epoch: u64,
    pub finished_at: Timestamp,
}

/// Which runs of a pipeline have had their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// They ended before then.
    pub before: Timestamp,
    /// Of those that ended just then, they come before this one.
    pub before_id: Option<RunId>,
    /// And their numbers are less than this.
    pub below: Option<i64>,
    /// Only those whose logs are still there.
    pub with_log: bool,
}

/// Those of a pipeline whose ends are settled, longest ended first.
pub async fn expired(store: &Store, pipeline: &PipelineId, limit: &Limit, rows: u64) -> Result<Vec<Expired>> {
    const READER: Reader = Reader("listing runs that have had their time");
    let query = expired_query(pipeline, limit, rows);
    let rows: Vec<(String, i64, i64)> = query.into_tuple().all(&store.reader).await.doing(READER.0)?;
    rows.into_iter().map(|row| read(READER, row)).collect()
}

pub(super) fn expired_query(pipeline: &PipelineId, limit: &Limit, rows: u64) -> Select<run::Entity> {
    use run::Column;

    let Limit { before, before_id, below, with_log } = limit;
    let at = before.as_millis();
    let query = ended(pipeline, if *with_log { WITH_LOG } else { ENDED })
        .order_by_asc(Column::FinishedAt)
        .order_by_asc(Column::Id)
        .limit(rows);
    let query = match before_id {
        None => query.filter(Column::FinishedAt.lt(at)),
        Some(id) => query
            .filter(Column::FinishedAt.lte(at))
            .filter(Column::FinishedAt.lt(at).or(Column::Id.lt(id.as_str()))),
    };
    query.apply_if(*below, |query, number| query.filter(Column::Number.lt(number)))
}

/// The oldest of the newest `count` runs of a pipeline that have ended; none: there are not so many.
pub async fn oldest_to_keep(store: &Store, pipeline: &PipelineId, count: u32) -> Result<Option<Expired>> {
    const READER: Reader = Reader("finding the oldest run to be kept");
    let query = oldest_to_keep_query(pipeline, count);
    let row: Option<(String, i64, i64)> = query.into_tuple().one(&store.reader).await.doing(READER.0)?;
    row.map(|row| read(READER, row)).transpose()
}

pub(super) fn oldest_to_keep_query(pipeline: &PipelineId, count: u32) -> Select<run::Entity> {
    ended(pipeline, ENDED)
        .order_by_desc(run::Column::FinishedAt)
        .order_by_desc(run::Column::Id)
        .offset(u64::from(count).saturating_sub(1))
        .limit(1)
}

fn ended(pipeline: &PipelineId, predicate: &'static str) -> Select<run::Entity> {
    run::Entity::find()
        .select_only()
        .columns([run::Column::Id, run::Column::Epoch, run::Column::FinishedAt])
        .filter(run::Column::PipelineId.eq(pipeline.as_str()))
        .filter(Expr::cust(predicate))
}

fn read(reader: Reader, (id, epoch, finished_at): (String, i64, i64)) -> Result<Expired> {
    Ok(Expired {
        id: reader.id("id", &id)?,
        epoch: reader.number("epoch", epoch)?,
        finished_at: Timestamp::from_millis(finished_at),
    })
}
