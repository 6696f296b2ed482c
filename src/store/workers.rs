//! Queries on worker processes: which host each belongs to, and when it was last seen.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait as _, QueryOrder as _, QuerySelect as _, Select};

use crate::domain::ids::{HostId, WorkerId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::column::{Reader, millis};
use crate::store::entities::worker;
use crate::store::error::DbResult as _;
use crate::store::{SLICE_ROWS_MAX, Store};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    pub id: WorkerId,
    pub host: HostId,
    pub name: String,
    pub started_at: Timestamp,
    /// Its last sign of life: written every few seconds.
    pub seen_at: Timestamp,
    /// When it last got an answer from the queue, a job or none.
    pub fetched_at: Option<Timestamp>,
    /// How many runs it takes at a time; none: it is of a version that did not say.
    pub concurrency: Option<u32>,
    /// Of its program.
    pub version: Option<String>,
}

/// Inserts or replaces.
pub async fn put(store: &Store, worker: &WorkerRecord) -> Result<()> {
    use worker::Column;

    let row = worker::ActiveModel {
        id: Set(worker.id.to_string()),
        host: Set(worker.host.to_string()),
        name: Set(worker.name.clone()),
        started_at: Set(worker.started_at.as_millis()),
        seen_at: Set(worker.seen_at.as_millis()),
        fetched_at: Set(millis(worker.fetched_at)),
        concurrency: Set(worker.concurrency.map(i64::from)),
        version: Set(worker.version.clone()),
    };
    let replace = OnConflict::column(Column::Id)
        .update_columns([
            Column::Host,
            Column::Name,
            Column::StartedAt,
            Column::SeenAt,
            Column::FetchedAt,
            Column::Concurrency,
            Column::Version,
        ])
        .to_owned();
    worker::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(&store.writer)
        .await
        .doing("noting a worker's sign of life")?;
    Ok(())
}

pub async fn find(store: &Store, id: &WorkerId) -> Result<Option<WorkerRecord>> {
    let row =
        worker::Entity::find_by_id(id.as_str()).one(&store.reader).await.doing("looking up a worker")?;
    row.map(read).transpose()
}

/// All, most recently seen first.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<WorkerRecord>> {
    let rows = list_query(limit).all(&store.reader).await.doing("listing workers")?;
    rows.into_iter().map(read).collect()
}

pub(super) fn list_query(limit: u32) -> Select<worker::Entity> {
    worker::Entity::find()
        .order_by_desc(worker::Column::SeenAt)
        .order_by_desc(worker::Column::Id)
        .limit(u64::from(limit.clamp(1, SLICE_ROWS_MAX)))
}

pub async fn delete(store: &Store, id: &WorkerId) -> Result<()> {
    worker::Entity::delete_by_id(id.as_str()).exec(&store.writer).await.doing("removing a worker")?;
    Ok(())
}

fn read(row: worker::Model) -> Result<WorkerRecord> {
    const READER: Reader = Reader("reading a row of workers");
    Ok(WorkerRecord {
        id: READER.id("id", &row.id)?,
        host: READER.id("host", &row.host)?,
        name: row.name,
        started_at: Timestamp::from_millis(row.started_at),
        seen_at: Timestamp::from_millis(row.seen_at),
        fetched_at: Reader::at(row.fetched_at),
        concurrency: row.concurrency.map(|places| READER.number("concurrency", places)).transpose()?,
        version: row.version,
    })
}
