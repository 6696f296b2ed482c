//! Which part of a run's log lies where in the object store.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, Select};

use crate::domain::ids::RunId;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, count};
use crate::store::entities::segment;
use crate::store::error::DbResult as _;

/// A run of consecutive lines in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub run_id: RunId,
    pub first_n: u64,
    pub last_n: u64,
    /// The object's path.
    pub object: String,
    /// Its frames, in `logs`' own encoding.
    pub index: Vec<u8>,
}

/// Records a segment. One that is there already (same run, same `first_n`) is replaced.
pub async fn insert(store: &Store, segment: &Segment) -> Result<()> {
    use segment::Column;

    let row = segment::ActiveModel {
        run_id: Set(segment.run_id.to_string()),
        first_n: Set(count(segment.first_n)),
        last_n: Set(count(segment.last_n)),
        object: Set(segment.object.clone()),
        frames: Set(segment.index.clone()),
    };
    let replace = OnConflict::columns([Column::RunId, Column::FirstN])
        .update_columns([Column::LastN, Column::Object, Column::Frames])
        .to_owned();
    segment::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(&store.writer)
        .await
        .doing("recording a segment of a log")?;
    Ok(())
}

/// Of a run, in the order of its lines.
pub async fn list(store: &Store, run_id: &RunId) -> Result<Vec<Segment>> {
    const READER: Reader = Reader("listing the segments of a log");
    let rows = list_query(run_id).all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|row| {
            Ok(Segment {
                run_id: READER.id("run_id", &row.run_id)?,
                first_n: READER.number("first_n", row.first_n)?,
                last_n: READER.number("last_n", row.last_n)?,
                object: row.object,
                index: row.frames,
            })
        })
        .collect()
}

pub(super) fn list_query(run_id: &RunId) -> Select<segment::Entity> {
    segment::Entity::find()
        .filter(segment::Column::RunId.eq(run_id.as_str()))
        .order_by_asc(segment::Column::FirstN)
}
