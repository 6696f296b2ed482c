//! Queries on what is removed: rows at once, and what lies elsewhere once it is noted that it is to go.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Select,
};

use crate::domain::ids::RunId;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::Reader;
use crate::store::entities::{pipeline, removal, run, step};
use crate::store::error::DbResult as _;

/// The predicates of the partial indexes, word for word.
const ENDED: &str = "finished_at IS NOT NULL";
const WITH_LOG: &str = "finished_at IS NOT NULL AND log_purged_at IS NULL";

/// A run that is old enough to go, if the rule says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    pub id: RunId,
    pub epoch: u64,
    pub finished_at: Timestamp,
    /// It is among the last so many of its pipeline.
    pub is_recent: bool,
}

/// Removes a run and its steps, and notes that what lies elsewhere is to follow. False: it is not at this epoch any more, or
/// its end is not settled.
pub async fn delete_run(store: &Store, id: &RunId, epoch: u64, now: Timestamp) -> Result<bool> {
    const DOING: &str = "deleting a run";
    let tx = store.begin(DOING).await?;
    // Its lock first, so that nobody begins it anew meanwhile.
    let mut touch = Query::update();
    touch
        .table(run::Entity)
        .value(run::Column::Epoch, Expr::col(run::Column::Epoch))
        .cond_where(settled(id, epoch));
    if tx.execute(&touch).await.doing(DOING)?.rows_affected() == 0 {
        tx.rollback().await.doing(DOING)?;
        return Ok(false);
    }
    note(&tx, id, now).await?;
    let of_run = step::Column::RunId.eq(id.as_str());
    step::Entity::delete_many().filter(of_run).exec(&tx).await.doing(DOING)?;
    run::Entity::delete_by_id(id.as_str()).exec(&tx).await.doing(DOING)?;
    tx.commit().await.doing(DOING)?;
    Ok(true)
}

/// Has a run say that its log is no more, and notes that it is to go. False as in [`delete_run`].
pub async fn purge_log(store: &Store, id: &RunId, epoch: u64, by: &str, now: Timestamp) -> Result<bool> {
    const DOING: &str = "purging a log";
    let tx = store.begin(DOING).await?;
    let mut update = Query::update();
    update
        .table(run::Entity)
        .value(run::Column::Lines, 0)
        .value(run::Column::LogPurgedAt, now.as_millis())
        .value(run::Column::LogPurgedBy, by)
        .value(run::Column::Version, Expr::col(run::Column::Version).add(1))
        .cond_where(settled(id, epoch));
    if tx.execute(&update).await.doing(DOING)?.rows_affected() == 0 {
        tx.rollback().await.doing(DOING)?;
        return Ok(false);
    }
    let mut steps = Query::update();
    let none: Option<i64> = None;
    steps
        .table(step::Entity)
        .value(step::Column::FirstLine, none)
        .value(step::Column::LastLine, none)
        .value(step::Column::FirstErrorLine, none)
        .and_where(step::Column::RunId.eq(id.as_str()));
    tx.execute(&steps).await.doing(DOING)?;
    note(&tx, id, now).await?;
    tx.commit().await.doing(DOING)?;
    Ok(true)
}

fn settled(id: &RunId, epoch: u64) -> Condition {
    Condition::all()
        .add(run::Column::Id.eq(id.as_str()))
        .add(run::Column::Epoch.eq(i64::try_from(epoch).unwrap_or(i64::MAX)))
        .add(run::Column::FinishedAt.is_not_null())
        .add(run::Column::Settled.eq(true))
        .add(run::Column::Archived.eq(true))
}

async fn note(db: &impl ConnectionTrait, id: &RunId, now: Timestamp) -> Result<()> {
    let row = removal::ActiveModel { run_id: Set(id.to_string()), created_at: Set(now.as_millis()) };
    removal::Entity::insert(row)
        .on_conflict(
            OnConflict::column(removal::Column::RunId).do_nothing_on([removal::Column::RunId]).to_owned(),
        )
        .exec_without_returning(db)
        .await
        .doing("noting what is to be removed")?;
    Ok(())
}

/// Runs whose log and traces are still to go, in order of id.
pub async fn pending(store: &Store, after: Option<&RunId>, limit: u64) -> Result<Vec<RunId>> {
    const READER: Reader = Reader("listing what is to be removed");
    let rows = pending_query(after, limit).all(&store.reader).await.doing(READER.0)?;
    rows.iter().map(|row| READER.id("run_id", &row.run_id)).collect()
}

pub(super) fn pending_query(after: Option<&RunId>, limit: u64) -> Select<removal::Entity> {
    let query = removal::Entity::find().order_by_asc(removal::Column::RunId).limit(limit);
    query.apply_if(after, |query, id| query.filter(removal::Column::RunId.gt(id.as_str())))
}

/// All of it is gone.
pub async fn done(store: &Store, id: &RunId) -> Result<()> {
    let deleted = removal::Entity::delete_by_id(id.as_str()).exec(&store.writer).await;
    deleted.doing("noting that something is removed").map(|_| ())
}

/// Runs that ended before `before`, and not before `after`, oldest first; with whether each has one of the last `keep` numbers
/// of its pipeline. `with_log`: only those whose log is still there.
pub async fn expired(
    store: &Store,
    before: Timestamp,
    keep: u32,
    with_log: bool,
    after: Option<Timestamp>,
    limit: u64,
) -> Result<Vec<Expired>> {
    const READER: Reader = Reader("listing runs that have had their time");
    let query = expired_query(before, keep, with_log, after, limit);
    let rows: Vec<(String, i64, i64, bool)> = query.into_tuple().all(&store.reader).await.doing(READER.0)?;
    let read = |(id, epoch, finished_at, is_recent): (String, i64, i64, bool)| {
        Ok(Expired {
            id: READER.id("id", &id)?,
            epoch: READER.number("epoch", epoch)?,
            finished_at: Timestamp::from_millis(finished_at),
            is_recent,
        })
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn expired_query(
    before: Timestamp,
    keep: u32,
    with_log: bool,
    after: Option<Timestamp>,
    limit: u64,
) -> Select<run::Entity> {
    let next = Query::select()
        .column(pipeline::Column::NextRunNumber)
        .from(pipeline::Entity)
        .and_where(
            Expr::col((pipeline::Entity, pipeline::Column::Id))
                .equals((run::Entity, run::Column::PipelineId)),
        )
        .take();
    let is_recent = Expr::col((run::Entity, run::Column::Number))
        .add(i64::from(keep))
        .gte(Expr::SubQuery(None, Box::new(next.into())));
    let query = run::Entity::find()
        .select_only()
        .columns([run::Column::Id, run::Column::Epoch, run::Column::FinishedAt])
        .expr_as(is_recent, "is_recent")
        .filter(Expr::cust(if with_log { WITH_LOG } else { ENDED }))
        .filter(run::Column::FinishedAt.lt(before.as_millis()))
        .order_by_asc(run::Column::FinishedAt)
        .limit(limit);
    query.apply_if(after, |query, at| query.filter(run::Column::FinishedAt.gte(at.as_millis())))
}
