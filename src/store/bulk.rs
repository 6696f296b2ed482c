//! Queries on bulk works.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, Query, UpdateStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use crate::domain::bulk::{BulkAction, BulkState, BulkWork};
use crate::domain::ids::{BulkWorkId, RunId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, millis};
use crate::store::entities::bulk_work::{ActiveModel, Column, Entity, Model};
use crate::store::error::DbResult as _;
use crate::store::runs::RunFilter;

const READER: Reader = Reader("reading a bulk work");
/// The predicate of the partial index, word for word.
const GOING: &str = "finished_at IS NULL";

/// A bulk work with what carrying it out takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRecord {
    pub work: BulkWork,
    pub filter: RunFilter,
    /// Runs are older than this.
    pub until: RunId,
    /// And none is older than this.
    pub from: RunId,
    /// And older than the last one that was done.
    pub after: Option<RunId>,
    pub leased_until: Timestamp,
}

pub async fn insert(store: &Store, record: &BulkRecord) -> Result<()> {
    let BulkRecord { work, filter, until, from, after, leased_until } = record;
    let row = ActiveModel {
        id: Set(work.id.to_string()),
        action: Set(work.action.as_str().to_owned()),
        state: Set(work.state.as_str().to_owned()),
        filter: Set(serde_json::json!(filter).to_string()),
        until_id: Set(until.to_string()),
        from_id: Set(from.to_string()),
        after_id: Set(after.as_ref().map(RunId::to_string)),
        started_by: Set(work.started_by.clone()),
        total: Set(i64::from(work.total)),
        done: Set(i64::from(work.done)),
        skipped: Set(i64::from(work.skipped)),
        leased_until: Set(leased_until.as_millis()),
        created_at: Set(work.created_at.as_millis()),
        finished_at: Set(millis(work.finished_at)),
    };
    Entity::insert(row).exec_without_returning(&store.writer).await.doing("starting a bulk work")?;
    Ok(())
}

pub async fn find(store: &Store, id: &BulkWorkId) -> Result<Option<BulkRecord>> {
    let row = Entity::find_by_id(id.as_str()).one(&store.reader).await.doing(READER.0)?;
    row.map(record).transpose()
}

/// Those that go on, oldest first.
pub async fn going(store: &Store, limit: u64) -> Result<Vec<BulkRecord>> {
    let rows = going_query(limit).all(&store.reader).await.doing("listing bulk works")?;
    rows.into_iter().map(record).collect()
}

pub(super) fn going_query(limit: u64) -> Select<Entity> {
    Entity::find().filter(Expr::cust(GOING)).order_by_asc(Column::Id).limit(limit)
}

/// Takes it up until `leased_until`. False: somebody else is at it.
pub async fn lease(
    store: &Store,
    record: &BulkRecord,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<bool> {
    let mut update = update(&record.work.id);
    update
        .value(Column::LeasedUntil, leased_until.as_millis())
        .and_where(Column::LeasedUntil.lt(now.as_millis()));
    changes(store, &update).await
}

/// Notes how far it has come, with a further lease. False: somebody else has taken it up.
pub async fn advance(store: &Store, record: &BulkRecord, leased_until: Timestamp) -> Result<bool> {
    let BulkRecord { work, after, .. } = record;
    let mut update = update(&work.id);
    update
        .value(Column::AfterId, after.as_ref().map(RunId::to_string))
        .value(Column::Done, i64::from(work.done))
        .value(Column::Skipped, i64::from(work.skipped))
        .value(Column::LeasedUntil, leased_until.as_millis())
        .and_where(Column::LeasedUntil.eq(record.leased_until.as_millis()));
    changes(store, &update).await
}

/// It goes no further.
pub async fn finish(store: &Store, id: &BulkWorkId, state: BulkState, now: Timestamp) -> Result<bool> {
    let mut update = update(id);
    update.value(Column::State, state.as_str()).value(Column::FinishedAt, now.as_millis());
    changes(store, &update).await
}

/// Asks for it to be stopped.
pub async fn stop(store: &Store, id: &BulkWorkId) -> Result<bool> {
    let mut update = update(id);
    update.value(Column::State, BulkState::Stopping.as_str());
    changes(store, &update).await
}

/// Of one that goes on.
fn update(id: &BulkWorkId) -> UpdateStatement {
    let mut update = Query::update();
    update.table(Entity).and_where(Column::Id.eq(id.as_str())).and_where(Column::FinishedAt.is_null());
    update
}

async fn changes(store: &Store, update: &UpdateStatement) -> Result<bool> {
    Ok(0 < store.writer.execute(update).await.doing("changing a bulk work")?.rows_affected())
}

fn record(row: Model) -> Result<BulkRecord> {
    let action = BulkAction::ALL.into_iter().find(|action| action.as_str() == row.action);
    let state = BulkState::ALL.into_iter().find(|state| state.as_str() == row.state);
    Ok(BulkRecord {
        filter: READER.json("filter", &row.filter)?,
        until: READER.id("until_id", &row.until_id)?,
        from: READER.id("from_id", &row.from_id)?,
        after: row.after_id.map(|id| READER.id("after_id", &id)).transpose()?,
        leased_until: Timestamp::from_millis(row.leased_until),
        work: BulkWork {
            id: READER.id("id", &row.id)?,
            action: READER.word("action", &row.action, action)?,
            state: READER.word("state", &row.state, state)?,
            total: READER.number("total", row.total)?,
            done: READER.number("done", row.done)?,
            skipped: READER.number("skipped", row.skipped)?,
            started_by: row.started_by,
            created_at: Timestamp::from_millis(row.created_at),
            finished_at: Reader::at(row.finished_at),
        },
    })
}
