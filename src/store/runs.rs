//! Queries on runs and their steps.

use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, FromQueryResult, Iterable as _, JoinType,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use crate::domain::ids::{HostId, PipelineId, RunId, WorkerId};
use crate::domain::run::{Run, RunRecord, RunStatus, RunTrigger, StepRecord};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::column::Reader;
use crate::store::entities::{pipeline, run, worker};
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};
use crate::store::run_filter::{is_since, list_query};
use crate::store::{SLICE_ROWS_MAX, Store, pipelines, run_rows, steps};

pub use crate::store::run_change::{RunChange, change};
pub use crate::store::run_filter::RunFilter;

/// The predicates of the partial indexes, word for word: SQLite knows an index by its predicate's text, and neither
/// engine can tell that a bound parameter satisfies one. `IS TRUE` keeps SQLite from taking the statuses one by one out of
/// another index, which would want sorting.
const HELD: &str = "(status IN ('running', 'canceling')) IS TRUE";
const UNFINISHED: &str = "(NOT archived OR NOT settled)";

/// A run to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: RunId,
    pub pipeline_id: PipelineId,
    pub branch: Option<String>,
    pub inputs: BTreeMap<String, String>,
    pub trigger: RunTrigger,
    pub attempts_max: u32,
    pub repository: Option<String>,
    /// None: read from the repository once it is checked out.
    pub definition: Option<String>,
    pub idempotency_key: Option<String>,
    /// All `Pending`, attempt 0; empty without a definition.
    pub steps: Vec<StepRecord>,
    pub now: Timestamp,
}

/// What came of an insertion.
#[derive(Debug)]
pub enum Insertion {
    Inserted(Run),
    /// The pipeline has a run with this idempotency key already.
    Existing(Run),
    /// The pipeline is gone.
    NoPipeline,
}

/// Makes a run and its steps, with the pipeline's next number, in one transaction.
pub async fn insert(store: &Store, run: NewRun) -> Result<Insertion> {
    const DOING: &str = "adding a run";
    let tx = store.begin(DOING).await?;
    // Taking the number locks the pipeline's row until the end of the transaction. So the triggers of a pipeline come
    // one after the other, and none comes while the pipeline is being deleted.
    let Some((number, pipeline_name)) = take_number(&tx, &run.pipeline_id).await? else {
        tx.rollback().await.doing(DOING)?;
        return Ok(Insertion::NoPipeline);
    };
    if let Some(key) = &run.idempotency_key
        && let Some(existing) = by_key(&run.pipeline_id, key).one(&tx).await.doing(DOING)?
    {
        // The number goes back with the transaction, so that numbers have no gap.
        tx.rollback().await.doing(DOING)?;
        return run_rows::run(existing).map(Insertion::Existing);
    }
    let row = run_rows::new(&run, number, &pipeline_name);
    run::Entity::insert(row).exec_without_returning(&tx).await.doing(DOING)?;
    steps::write(&tx, &run.id, &run.steps).await?;
    tx.commit().await.doing(DOING)?;
    Ok(Insertion::Inserted(run_rows::inserted(run, number, pipeline_name)))
}

/// The pipeline's next number and its name; none if the pipeline is gone.
async fn take_number(db: &impl ConnectionTrait, id: &PipelineId) -> Result<Option<(u32, String)>> {
    const DOING: &str = "numbering a run";
    use pipeline::Column;

    let mut update = pipelines::update_live(id);
    update.value(Column::NextRunNumber, Expr::col(Column::NextRunNumber).add(1));
    update.returning(Query::returning().columns([Column::NextRunNumber, Column::Name]));
    let Some(row) = db.query_one(&update).await.doing(DOING)? else { return Ok(None) };
    let (next, name): (i64, String) =
        row.try_get_many("", &["next_run_number", "name"].map(str::to_owned)).doing(DOING)?;
    Ok(Some((Reader(DOING).number("next_run_number", next - 1)?, name)))
}

pub(super) fn by_key(pipeline_id: &PipelineId, key: &str) -> Select<run::Entity> {
    run::Entity::find()
        .filter(run::Column::PipelineId.eq(pipeline_id.as_str()))
        .filter(run::Column::IdempotencyKey.eq(key))
}

/// The run that a pipeline made for this idempotency key.
pub async fn find_by_key(store: &Store, pipeline_id: &PipelineId, key: &str) -> Result<Option<RunId>> {
    const READER: Reader = Reader("looking up a run by its key");
    let query = by_key(pipeline_id, key).select_only().column(run::Column::Id);
    let id: Option<String> = query.into_tuple().one(&store.reader).await.doing(READER.0)?;
    id.map(|id| READER.id("id", &id)).transpose()
}

/// With its steps. They are read after the run: they may be newer than its version says, never older, so that whoever
/// waits for the next version misses nothing.
pub async fn find(store: &Store, id: &RunId) -> Result<Option<RunRecord>> {
    const DOING: &str = "looking up a run";
    let Some(row) = run::Entity::find_by_id(id.as_str()).one(&store.reader).await.doing(DOING)? else {
        return Ok(None);
    };
    let mut steps = steps::of_runs(&store.reader, &[id.as_str()]).await?;
    run_rows::record(row, &mut steps).map(Some)
}

/// As [`find`].
pub async fn find_by_number(store: &Store, pipeline: &PipelineId, number: u32) -> Result<Option<RunRecord>> {
    let query = by_number(pipeline, number);
    let id: Option<String> =
        query.into_tuple().one(&store.reader).await.doing("looking up a run by number")?;
    match id {
        Some(id) => find(store, &Reader("looking up a run by number").id("id", &id)?).await,
        None => Ok(None),
    }
}

pub(super) fn by_number(pipeline: &PipelineId, number: u32) -> Select<run::Entity> {
    run::Entity::find()
        .select_only()
        .column(run::Column::Id)
        .filter(run::Column::PipelineId.eq(pipeline.as_str()))
        .filter(run::Column::Number.eq(i64::from(number)))
}

/// Without the steps, for what is asked often.
pub async fn find_run(store: &Store, id: &RunId) -> Result<Option<Run>> {
    let row = light()
        .filter(run::Column::Id.eq(id.as_str()))
        .one(&store.reader)
        .await
        .doing("looking up a run without its steps")?;
    row.map(run_rows::run).transpose()
}

/// Newest first.
pub async fn list(store: &Store, filter: &RunFilter, page: PageRequest) -> Result<Page<Run>> {
    let query = list_query(filter, page.after_id()?.as_ref(), page.rows());
    let mut runs = read_all(store, query, "listing runs").await?;
    if let Some(since) = filter.since {
        let first = RunId::first_at(since);
        runs.retain(|run| first <= run.id);
    }
    Ok(page.page_of_ids(runs, |run| run.id.as_str()))
}

/// Runs that stand alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub status: RunStatus,
    /// Their logs were not purged.
    pub has_log: bool,
    pub count: u32,
    pub oldest: RunId,
}

/// How the runs before `before` stand: of the newest `limit` that match.
pub async fn standings(
    store: &Store,
    filter: &RunFilter,
    before: &RunId,
    limit: u32,
) -> Result<Vec<Standing>> {
    const READER: Reader = Reader("counting runs");
    let query = standings_query(filter, before, limit);
    let rows = store.reader.query_all(&query).await.doing(READER.0)?;
    let read = |row: sea_orm::QueryResult| {
        let columns = ["status", "has_log", "count", "oldest"].map(str::to_owned);
        let (status, has_log, count, oldest): (String, bool, i64, String) =
            row.try_get_many("", &columns).doing(READER.0)?;
        Ok(Standing {
            status: READER.word("status", &status, RunStatus::parse(&status))?,
            has_log,
            count: READER.number("count", count)?,
            oldest: READER.id("oldest", &oldest)?,
        })
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn standings_query(filter: &RunFilter, before: &RunId, limit: u32) -> SelectStatement {
    let matching = list_query(filter, Some(before), u64::from(limit)).into_query();
    let has_log = || Expr::cust("log_purged_at IS NULL");
    Query::select()
        .column(run::Column::Status)
        .expr_as(has_log(), "has_log")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .expr_as(Expr::cust("MIN(id)"), "oldest")
        .from_subquery(matching, "matching")
        .and_where_option(is_since(filter))
        .group_by_col(run::Column::Status)
        .add_group_by([has_log()])
        .take()
}

/// How many of the newest `limit` runs before `before` that match are of other pipelines than these.
pub async fn count_elsewhere(
    store: &Store,
    filter: &RunFilter,
    pipelines: &[PipelineId],
    before: &RunId,
    limit: u32,
) -> Result<u32> {
    const READER: Reader = Reader("counting runs of other pipelines");
    let query = count_elsewhere_query(filter, pipelines, before, limit);
    let Some(row) = store.reader.query_one(&query).await.doing(READER.0)? else { return Ok(0) };
    READER.number("count", row.try_get("", "count").doing(READER.0)?)
}

pub(super) fn count_elsewhere_query(
    filter: &RunFilter,
    pipelines: &[PipelineId],
    before: &RunId,
    limit: u32,
) -> SelectStatement {
    let matching = list_query(filter, Some(before), u64::from(limit)).into_query();
    Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .from_subquery(matching, "matching")
        .and_where_option(is_since(filter))
        .and_where(Expr::col(run::Column::PipelineId).is_not_in(pipelines.iter().map(PipelineId::as_str)))
        .take()
}

/// Runs without their definitions, which may be long and which lists do not show.
pub(super) fn light() -> Select<run::Entity> {
    run::Entity::find()
        .select_only()
        .columns(run::Column::iter().filter(|column| !matches!(column, run::Column::Definition)))
        .expr_as(Expr::cust("NULL"), "definition")
}

async fn read_all(store: &Store, query: Select<run::Entity>, doing: &'static str) -> Result<Vec<Run>> {
    let rows = query.all(&store.reader).await.doing(doing)?;
    rows.into_iter().map(run_rows::run).collect()
}

/// Which of these runs there are. In slices of a bounded size.
pub async fn known(store: &Store, ids: &[RunId]) -> Result<HashSet<RunId>> {
    const READER: Reader = Reader("looking up which runs there are");
    let known: Vec<String> = known_query(ids).into_tuple().all(&store.reader).await.doing(READER.0)?;
    known.iter().map(|id| READER.id("id", id)).collect()
}

pub(super) fn known_query(ids: &[RunId]) -> Select<run::Entity> {
    let ids = ids.iter().take(SLICE_ROWS_MAX as usize).map(RunId::as_str);
    run::Entity::find().select_only().column(run::Column::Id).filter(run::Column::Id.is_in(ids))
}

/// Whether there is any run at all.
pub async fn is_any(store: &Store) -> Result<bool> {
    let query = list_query(&RunFilter::default(), None, 1);
    Ok(!read_all(store, query, "asking whether there are runs").await?.is_empty())
}

/// A run that waits for a worker, or for its next attempt.
#[derive(Debug, Clone)]
pub struct QueuedRun {
    pub id: RunId,
    /// Since when, or from when on, it can be taken.
    pub due_at: Timestamp,
}

/// Which way a list of runs goes on from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    Newest,
    Oldest,
}

/// Queued runs in order of id, from the one next to `from` on; without it, from the other end. For the reconciler, in
/// slices.
pub async fn queued(
    store: &Store,
    towards: Towards,
    from: Option<&RunId>,
    limit: u32,
) -> Result<Vec<QueuedRun>> {
    const READER: Reader = Reader("listing queued runs");
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
        created_at: i64,
        next_attempt_at: Option<i64>,
    }
    let query = queued_query(towards, from, limit);
    let rows = query.into_model::<Row>().all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|row| {
            let due_at = std::cmp::max(row.created_at, row.next_attempt_at.unwrap_or(row.created_at));
            Ok(QueuedRun { id: READER.id("id", &row.id)?, due_at: Timestamp::from_millis(due_at) })
        })
        .collect()
}

pub(super) fn queued_query(towards: Towards, from: Option<&RunId>, limit: u32) -> Select<run::Entity> {
    let query = run::Entity::find()
        .select_only()
        .columns([run::Column::Id, run::Column::CreatedAt, run::Column::NextAttemptAt])
        .filter(run::Column::Status.eq(RunStatus::Queued.as_str()));
    match towards {
        Towards::Newest => slice(query, from, limit),
        Towards::Oldest => {
            let query = query.order_by_desc(run::Column::Id).limit(u64::from(limit.clamp(1, SLICE_ROWS_MAX)));
            match from {
                Some(id) => query.filter(run::Column::Id.lt(id.as_str())),
                None => query,
            }
        }
    }
}

fn slice(query: Select<run::Entity>, after: Option<&RunId>, limit: u32) -> Select<run::Entity> {
    let query = query.order_by_asc(run::Column::Id).limit(u64::from(limit.clamp(1, SLICE_ROWS_MAX)));
    match after {
        Some(id) => query.filter(run::Column::Id.gt(id.as_str())),
        None => query,
    }
}

/// A run that a worker has.
#[derive(Debug, Clone)]
pub struct HeldRun {
    pub id: RunId,
    pub epoch: u64,
    pub worker: Option<WorkerId>,
    pub host: Option<HostId>,
}

/// Runs that are `running` or `canceling`, with their workers' hosts, after `after` in order of id.
pub async fn held(store: &Store, after: Option<&RunId>, limit: u32) -> Result<Vec<HeldRun>> {
    const READER: Reader = Reader("listing the runs that workers have");
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
        epoch: i64,
        worker_id: Option<String>,
        host: Option<String>,
    }
    let rows = held_query(after, limit).into_model::<Row>().all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|row| {
            Ok(HeldRun {
                id: READER.id("id", &row.id)?,
                epoch: READER.number("epoch", row.epoch)?,
                worker: row.worker_id.map(|id| READER.id("worker_id", &id)).transpose()?,
                host: row.host.map(|host| READER.id("host", &host)).transpose()?,
            })
        })
        .collect()
}

pub(super) fn held_query(after: Option<&RunId>, limit: u32) -> Select<run::Entity> {
    // A worker's row may be gone while its runs are not, so that a foreign key would be wrong.
    let of_worker =
        run::Entity::belongs_to(worker::Entity).from(run::Column::WorkerId).to(worker::Column::Id).into();
    let query = run::Entity::find()
        .select_only()
        .columns([run::Column::Id, run::Column::Epoch, run::Column::WorkerId])
        .column(worker::Column::Host)
        .join(JoinType::LeftJoin, of_worker)
        .filter(Expr::cust(HELD));
    slice(query, after, limit)
}

/// What a backup has to know of a run's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRun {
    pub id: RunId,
    pub status: RunStatus,
    /// Whether a worker has ever had it.
    pub has_begun: bool,
    pub lines: u64,
    pub archived: bool,
}

/// All runs, after `after` in order of id.
pub async fn logged(store: &Store, after: Option<&RunId>, limit: u32) -> Result<Vec<LoggedRun>> {
    const READER: Reader = Reader("listing runs and their logs");
    let columns =
        [run::Column::Id, run::Column::Status, run::Column::Epoch, run::Column::Lines, run::Column::Archived];
    let query = slice(run::Entity::find().select_only().columns(columns), after, limit);
    let rows: Vec<(String, String, i64, i64, bool)> =
        query.into_tuple().all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|(id, status, epoch, lines, archived)| {
            Ok(LoggedRun {
                id: READER.id("id", &id)?,
                status: READER.word("status", &status, RunStatus::parse(&status))?,
                has_begun: 0 < epoch,
                lines: READER.number("lines", lines)?,
                archived,
            })
        })
        .collect()
}

/// Runs that have ended but are not archived, or not settled, and whose end is before `before`. Longest ended first.
/// Those that come after `after` in this order, for who goes through all of them.
pub async fn unfinished_business(
    store: &Store,
    before: Timestamp,
    after: Option<&(Timestamp, RunId)>,
    limit: u32,
) -> Result<Vec<RunRecord>> {
    const DOING: &str = "listing ended runs that are not archived or not settled";
    let rows = unfinished_query(before, after, limit).all(&store.reader).await.doing(DOING)?;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let mut steps = steps::of_runs(&store.reader, &ids).await?;
    rows.into_iter().map(|row| run_rows::record(row, &mut steps)).collect()
}

pub(super) fn unfinished_query(
    before: Timestamp,
    after: Option<&(Timestamp, RunId)>,
    limit: u32,
) -> Select<run::Entity> {
    let query = run::Entity::find()
        .filter(Expr::cust(UNFINISHED))
        // Put this way round, since SQLite would search an index for statuses that a run may have.
        .filter(run::Column::Status.is_not_in(RunStatus::LIVE.map(RunStatus::as_str)))
        .filter(run::Column::FinishedAt.is_not_null())
        .filter(run::Column::FinishedAt.lt(before.as_millis()))
        .order_by_asc(run::Column::FinishedAt)
        .order_by_asc(run::Column::Id)
        .limit(u64::from(limit.clamp(1, SLICE_ROWS_MAX)));
    let Some((at, id)) = after else { return query };
    let at = at.as_millis();
    let follows = run::Column::FinishedAt.gt(at).or(run::Column::Id.gt(id.as_str()));
    query.filter(run::Column::FinishedAt.gte(at)).filter(follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_held_runs_names_the_statuses_that_it_means() {
        for status in RunStatus::ALL {
            let quoted = format!("'{}'", status.as_str());
            let is_held = matches!(status, RunStatus::Running | RunStatus::Canceling);
            assert_eq!(HELD.contains(&quoted), is_held, "{status:?}");
        }
    }
}
