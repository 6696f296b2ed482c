//! Queries on pipelines.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr, UpdateStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, FromQueryResult as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::ids::PipelineId;
use crate::domain::pipeline::Pipeline;
use crate::domain::retention::Retention;
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, containing, json};
use crate::store::entities::{pipeline, run, secret};
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};
use crate::store::secrets;

/// What `update` changes; none: left as it is, `Some(None)`: cleared.
#[derive(Debug, Clone, Default)]
pub struct PipelineChange {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub repository: Option<Option<String>>,
    pub default_branch: Option<Option<String>>,
    pub definition: Option<Option<String>>,
    pub retention: Option<Option<Retention>>,
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    NotFound,
    /// This many of its runs have not ended.
    Live(u64),
}

/// Adds a pipeline. `Conflict` if the name is taken.
pub async fn insert(store: &Store, pipeline: &Pipeline) -> Result<()> {
    let row = pipeline::ActiveModel {
        id: Set(pipeline.id.to_string()),
        name: Set(pipeline.name.clone()),
        name_folded: Set(pipeline.name.to_lowercase()),
        description: Set(pipeline.description.clone()),
        repository: Set(pipeline.repository.clone()),
        default_branch: Set(pipeline.default_branch.clone()),
        next_run_number: Set(1),
        created_at: Set(pipeline.created_at.as_millis()),
        updated_at: Set(pipeline.updated_at.as_millis()),
        deleted_at: Set(None),
        definition: Set(pipeline.definition.clone()),
        retention: Set(pipeline.retention.as_ref().map(json).transpose()?),
    };
    pipeline::Entity::insert(row)
        .exec_without_returning(&store.writer)
        .await
        .doing_unless("adding a pipeline", || taken(&pipeline.name))?;
    Ok(())
}

/// By id, or else by name; deleted ones are not found.
pub async fn find(store: &Store, id_or_name: &str) -> Result<Option<Pipeline>> {
    const DOING: &str = "looking up a pipeline";
    if let Ok(id) = id_or_name.parse::<PipelineId>()
        && let Some(row) = live().filter(is(&id)).one(&store.reader).await.doing(DOING)?
    {
        return read(row).map(Some);
    }
    let row = by_name(id_or_name).one(&store.reader).await.doing(DOING)?;
    row.map(read).transpose()
}

/// The pipeline after the change; none if there is none. `Conflict` if the new name is taken.
pub async fn update(
    store: &Store,
    id: &PipelineId,
    change: PipelineChange,
    now: Timestamp,
) -> Result<Option<Pipeline>> {
    const DOING: &str = "changing a pipeline";
    use pipeline::Column;

    let name = change.name.clone().unwrap_or_default();
    let mut update = update_live(id);
    update.value(Column::UpdatedAt, now.as_millis());
    if let Some(name) = change.name {
        update.value(Column::NameFolded, name.to_lowercase()).value(Column::Name, name);
    }
    let retention = match change.retention {
        Some(retention) => Some(retention.as_ref().map(json).transpose()?),
        None => None,
    };
    let texts = [
        (Column::Description, change.description),
        (Column::Repository, change.repository),
        (Column::DefaultBranch, change.default_branch),
        (Column::Definition, change.definition),
        (Column::Retention, retention),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            update.value(column, text);
        }
    }
    let row = store.writer.query_one(update.returning_all()).await.doing_unless(DOING, || taken(&name))?;
    row.map(|row| read(pipeline::Model::from_query_result(&row, "").doing(DOING)?)).transpose()
}

/// By name, ascending; `search` is part of the name, in either case. With `only`, of these alone.
pub async fn list(
    store: &Store,
    only: Option<&[PipelineId]>,
    search: Option<&str>,
    page: PageRequest,
) -> Result<Page<Pipeline>> {
    let query = list_query(only, search, page.after()?, page.rows());
    let rows = query.all(&store.reader).await.doing("listing pipelines")?;
    let pipelines = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.page(pipelines, |pipeline| &pipeline.name))
}

/// Deletes a pipeline that has no live runs; its past runs stay, and its name is free again. In one
/// transaction, so that no run is triggered in between.
pub async fn delete(store: &Store, id: &PipelineId, now: Timestamp) -> Result<Deletion> {
    const DOING: &str = "deleting a pipeline";
    let tx = store.begin(DOING).await?;
    // The row first, then the runs: a trigger takes its number from the row, so that from here on none comes to be,
    // and whatever was triggered before is seen by the count.
    let mut update = update_live(id);
    update
        .value(pipeline::Column::DeletedAt, now.as_millis())
        .value(pipeline::Column::UpdatedAt, now.as_millis());
    if tx.execute(&update).await.doing(DOING)?.rows_affected() == 0 {
        tx.rollback().await.doing(DOING)?;
        return Ok(Deletion::NotFound);
    }
    let live = live_runs(id).count(&tx).await.doing(DOING)?;
    if 0 < live {
        tx.rollback().await.doing(DOING)?;
        return Ok(Deletion::Live(live));
    }
    // Nobody would find them any more.
    secret::Entity::delete_many().filter(secrets::of_pipeline(id)).exec(&tx).await.doing(DOING)?;
    tx.commit().await.doing(DOING)?;
    Ok(Deletion::Deleted)
}

pub(super) fn live_runs(id: &PipelineId) -> Select<run::Entity> {
    run::Entity::find()
        .filter(run::Column::PipelineId.eq(id.as_str()))
        .filter(run::Column::Status.is_in(RunStatus::LIVE.map(RunStatus::as_str)))
}

pub(super) fn by_name(name: &str) -> Select<pipeline::Entity> {
    live().filter(pipeline::Column::Name.eq(name))
}

pub(super) fn list_query(
    only: Option<&[PipelineId]>,
    search: Option<&str>,
    after: Option<String>,
    rows: u64,
) -> Select<pipeline::Entity> {
    let mut query = live().order_by_asc(pipeline::Column::Name).limit(rows);
    if let Some(only) = only {
        query = query.filter(pipeline::Column::Id.is_in(only.iter().map(PipelineId::as_str)));
    }
    if let Some(name) = after {
        query = query.filter(pipeline::Column::Name.gt(name));
    }
    if let Some(search) = search {
        query = query.filter(Expr::col(pipeline::Column::NameFolded).like(containing(search)));
    }
    query
}

/// Pipelines that are not deleted.
fn live() -> Select<pipeline::Entity> {
    pipeline::Entity::find().filter(pipeline::Column::DeletedAt.is_null())
}

pub(super) fn update_live(id: &PipelineId) -> UpdateStatement {
    let mut update = Query::update();
    update.table(pipeline::Entity).and_where(is(id)).and_where(pipeline::Column::DeletedAt.is_null());
    update
}

fn is(id: &PipelineId) -> SimpleExpr {
    pipeline::Column::Id.eq(id.as_str())
}

fn taken(name: &str) -> String {
    format!("there is a pipeline named {name} already")
}

fn read(row: pipeline::Model) -> Result<Pipeline> {
    const READER: Reader = Reader("reading a row of pipelines");
    Ok(Pipeline {
        id: READER.id("id", &row.id)?,
        name: row.name,
        description: row.description,
        repository: row.repository,
        default_branch: row.default_branch,
        definition: row.definition,
        retention: row.retention.map(|text| READER.json("retention", &text)).transpose()?,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}
