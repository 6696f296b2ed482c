//! Queries on bulk works.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, Query, UpdateStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};

use crate::domain::bulk::{BulkAction, BulkState, BulkWork, Starter};
use crate::domain::ids::{BulkWorkId, RunId};
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::column::{Reader, millis};
use crate::store::entities::bulk_work::{ActiveModel, Column, Entity, Model};
use crate::store::error::DbResult as _;
use crate::store::runs::RunFilter;

const READER: Reader = Reader("reading a bulk work");
/// The predicates of the partial indexes, word for word.
const GOING: &str = "finished_at IS NULL";
const ENDED: &str = "finished_at IS NOT NULL";

/// A bulk work with what carrying it out takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRecord {
    pub work: BulkWork,
    /// None: a version started it that did not say.
    pub starter: Option<Starter>,
    pub filter: RunFilter,
    /// Runs are older than this.
    pub until: RunId,
    /// And none is older than this.
    pub from: RunId,
    /// And older than the last one that was done.
    pub after: Option<RunId>,
    pub leased_until: Timestamp,
}

/// How far a work has come, from who has it until `held_until` and will have it until `leased_until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub work: BulkWorkId,
    /// The last run that was looked at.
    pub after: Option<RunId>,
    pub done: u32,
    pub skipped: u32,
    pub held_until: Timestamp,
    pub leased_until: Timestamp,
}

/// False: its owner has one that goes on.
pub async fn insert(store: &Store, record: &BulkRecord) -> Result<bool> {
    let BulkRecord { work, starter, filter, until, from, after, leased_until } = record;
    let row = ActiveModel {
        id: Set(work.id.to_string()),
        action: Set(work.action.as_str().to_owned()),
        state: Set(work.state.as_str().to_owned()),
        filter: Set(serde_json::json!(filter).to_string()),
        until_id: Set(until.to_string()),
        from_id: Set(from.to_string()),
        after_id: Set(after.as_ref().map(RunId::to_string)),
        started_by: Set(work.started_by.clone()),
        owner: Set(starter.as_ref().map(|starter| starter.owner().to_owned())),
        token_id: Set(starter.as_ref().and_then(|starter| starter.token.as_ref()).map(ToString::to_string)),
        person_id: Set(starter.as_ref().and_then(|starter| starter.person.as_ref()).map(ToString::to_string)),
        total: Set(i64::from(work.total)),
        done: Set(i64::from(work.done)),
        skipped: Set(i64::from(work.skipped)),
        leased_until: Set(leased_until.as_millis()),
        created_at: Set(work.created_at.as_millis()),
        finished_at: Set(millis(work.finished_at)),
        reason: Set(work.reason.clone()),
    };
    match Entity::insert(row).exec_without_returning(&store.writer).await.doing("starting a bulk work") {
        Ok(_) => Ok(true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

pub async fn find(store: &Store, id: &BulkWorkId) -> Result<Option<BulkRecord>> {
    let row = Entity::find_by_id(id.as_str()).one(&store.reader).await.doing(READER.0)?;
    row.map(record).transpose()
}

/// The one that goes on of this owner.
pub async fn of_owner(store: &Store, owner: &str) -> Result<Option<BulkRecord>> {
    let row = of_owner_query(owner).one(&store.reader).await.doing(READER.0)?;
    row.map(record).transpose()
}

pub(super) fn of_owner_query(owner: &str) -> Select<Entity> {
    Entity::find().filter(Expr::cust(GOING)).filter(Column::Owner.eq(owner))
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

/// Notes how far it has come. False: somebody else has taken it up.
pub async fn advance(store: &Store, note: &Note) -> Result<bool> {
    changes(store, &noting(note)).await
}

/// The same, as a part of something greater. `Conflict` if somebody else has taken it up: then the whole is not to be.
pub(super) async fn write(db: &impl ConnectionTrait, note: &Note) -> Result<()> {
    let noted = db.execute(&noting(note)).await.doing("noting how far a bulk work is")?;
    match noted.rows_affected() {
        0 => Err(Error::Conflict("another worker goes on with the bulk work".to_owned())),
        _ => Ok(()),
    }
}

/// It goes no further. False: somebody else has taken it up.
pub async fn finish(
    store: &Store,
    note: &Note,
    state: BulkState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let mut update = noting(note);
    update.value(Column::State, state.as_str()).value(Column::FinishedAt, now.as_millis());
    if let Some(reason) = reason {
        update.value(Column::Reason, reason);
    }
    changes(store, &update).await
}

fn noting(note: &Note) -> UpdateStatement {
    let Note { work, after, done, skipped, held_until, leased_until } = note;
    let mut update = update(work);
    update
        .value(Column::AfterId, after.as_ref().map(RunId::to_string))
        .value(Column::Done, i64::from(*done))
        .value(Column::Skipped, i64::from(*skipped))
        .value(Column::LeasedUntil, leased_until.as_millis())
        .and_where(Column::LeasedUntil.eq(held_until.as_millis()));
    update
}

/// Asks for it to be stopped.
pub async fn stop(store: &Store, id: &BulkWorkId, reason: &str) -> Result<bool> {
    let mut update = update(id);
    update
        .value(Column::State, BulkState::Stopping.as_str())
        .value(Column::Reason, reason)
        .and_where(Column::State.eq(BulkState::Running.as_str()));
    changes(store, &update).await
}

/// Removes up to `rows` of those that ended before then, the longest ended first.
pub async fn trim(store: &Store, before: Timestamp, rows: u64) -> Result<u64> {
    let oldest: Vec<String> =
        ended_query(before, rows).into_tuple().all(&store.reader).await.doing("reading ended bulk works")?;
    if oldest.is_empty() {
        return Ok(0);
    }
    let deleted = Entity::delete_many().filter(Column::Id.is_in(oldest)).exec(&store.writer).await;
    Ok(deleted.doing("removing ended bulk works")?.rows_affected)
}

pub(super) fn ended_query(before: Timestamp, rows: u64) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Expr::cust(ENDED))
        .filter(Column::FinishedAt.lt(before.as_millis()))
        .order_by_asc(Column::FinishedAt)
        .limit(rows)
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
    let starter = Starter {
        token: row.token_id.map(|id| READER.id("token_id", &id)).transpose()?,
        person: row.person_id.map(|id| READER.id("person_id", &id)).transpose()?,
    };
    Ok(BulkRecord {
        starter: row.owner.map(|_| starter),
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
            reason: row.reason,
        },
    })
}
