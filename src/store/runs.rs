//! Queries on runs and their steps.

use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UpdateStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, FromQueryResult, Iterable as _, JoinType,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::ids::{HostId, PipelineId, RunId, WorkerId};
use crate::domain::run::{Percent, Run, RunRecord, RunStatus, RunTrigger, StepRecord};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::column::{Reader, count, millis};
use crate::store::entities::{pipeline, run, worker};
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};
use crate::store::{SLICE_ROWS_MAX, Store, pipelines, run_rows, steps};

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

#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub pipeline_id: Option<PipelineId>,
    pub status: Option<RunStatus>,
    pub branch: Option<String>,
}

/// One change of a run: the only way in which a run changes. A compare-and-set, in one transaction with what
/// it says of the steps; `version` rises with it, unless only `settled`, `archived` and `losses` change, which nobody sees.
#[derive(Debug, Clone, PartialEq)]
pub struct RunChange {
    pub id: RunId,
    /// The run must have one of these statuses; empty: any, or, if the change has a status, any that may become it.
    pub from: Vec<RunStatus>,
    /// The run must be at this epoch.
    pub epoch: Option<u64>,
    /// Raise the epoch by one, and give the run to this worker.
    pub claim: Option<WorkerId>,
    /// Raise the epoch by one, so that no late write of its worker counts. Which worker had it last stays known.
    pub release: bool,
    pub status: Option<RunStatus>,
    pub progress: Option<Percent>,
    pub attempt: Option<u32>,
    pub attempts_max: Option<u32>,
    pub commit: Option<String>,
    pub branch: Option<String>,
    pub definition: Option<String>,
    pub reason: Option<Option<String>>,
    pub error: Option<Option<String>>,
    pub lines: Option<u64>,
    pub last_line_at: Option<Timestamp>,
    pub next_attempt_at: Option<Option<Timestamp>>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Option<Timestamp>>,
    pub deadline: Option<Option<Timestamp>>,
    pub cancel_requested: Option<bool>,
    pub losses: Option<u32>,
    pub settled: Option<bool>,
    pub archived: Option<bool>,
    pub restart: Option<bool>,
    /// Written whole: inserted, or replaced where the run has that attempt of that step already.
    pub steps: Vec<StepRecord>,
}

impl RunChange {
    /// A change that changes nothing yet.
    pub fn of(id: RunId) -> Self {
        Self {
            id,
            from: Vec::new(),
            epoch: None,
            claim: None,
            release: false,
            status: None,
            progress: None,
            attempt: None,
            attempts_max: None,
            commit: None,
            branch: None,
            definition: None,
            reason: None,
            error: None,
            lines: None,
            last_line_at: None,
            next_attempt_at: None,
            started_at: None,
            finished_at: None,
            deadline: None,
            cancel_requested: None,
            losses: None,
            settled: None,
            archived: None,
            restart: None,
            steps: Vec::new(),
        }
    }
}

impl RunChange {
    /// Whether the change is of nothing that anybody but Slipway sees: the run's version stays then.
    fn is_internal(&self) -> bool {
        let of_bookkeeping = Self {
            from: self.from.clone(),
            epoch: self.epoch,
            settled: self.settled,
            archived: self.archived,
            losses: self.losses,
            ..Self::of(self.id.clone())
        };
        let is_bookkeeping = self.settled.is_some() || self.archived.is_some() || self.losses.is_some();
        is_bookkeeping && *self == of_bookkeeping
    }
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
    let runs = read_all(store, query, "listing runs").await?;
    Ok(page.page_of_ids(runs, |run| run.id.as_str()))
}

pub(super) fn list_query(filter: &RunFilter, before: Option<&RunId>, rows: u64) -> Select<run::Entity> {
    let mut query = light().order_by_desc(run::Column::Id).limit(rows);
    if let Some(id) = &filter.pipeline_id {
        query = query.filter(run::Column::PipelineId.eq(id.as_str()));
    }
    if let Some(status) = filter.status {
        query = query.filter(run::Column::Status.eq(status.as_str()));
    }
    if let Some(branch) = &filter.branch {
        query = query.filter(run::Column::Branch.eq(branch.as_str()));
    }
    if let Some(id) = before {
        query = query.filter(run::Column::Id.lt(id.as_str()));
    }
    query
}

/// Runs without their definitions, which may be long and which lists do not show.
fn light() -> Select<run::Entity> {
    run::Entity::find()
        .select_only()
        .columns(run::Column::iter().filter(|column| !matches!(column, run::Column::Definition)))
        .expr_as(Expr::cust("NULL"), "definition")
}

async fn read_all(store: &Store, query: Select<run::Entity>, doing: &'static str) -> Result<Vec<Run>> {
    let rows = query.all(&store.reader).await.doing(doing)?;
    rows.into_iter().map(run_rows::run).collect()
}

/// Applies the change if its guards hold: the run's new version, or none if they do not.
///
/// # Panics
///
/// If the change has a status and one of `from` may not become it (`RunStatus::can_become`), or if it both claims
/// and releases: a bug.
pub async fn change(store: &Store, change: RunChange) -> Result<Option<u64>> {
    const DOING: &str = "changing a run";
    let update = change_query(&change);
    // One statement is its own transaction, and spares the round trips of another.
    if change.steps.is_empty() {
        return new_version(&store.writer, &update).await;
    }
    let tx = store.begin(DOING).await?;
    let Some(version) = new_version(&tx, &update).await? else {
        tx.rollback().await.doing(DOING)?;
        return Ok(None);
    };
    steps::write(&tx, &change.id, &change.steps).await?;
    tx.commit().await.doing(DOING)?;
    Ok(Some(version))
}

async fn new_version(db: &impl ConnectionTrait, update: &UpdateStatement) -> Result<Option<u64>> {
    const DOING: &str = "changing a run's row";
    let Some(row) = db.query_one(update).await.doing(DOING)? else { return Ok(None) };
    let version: i64 = row.try_get("", "version").doing(DOING)?;
    Reader(DOING).number("version", version).map(Some)
}

fn change_query(change: &RunChange) -> UpdateStatement {
    use run::Column;

    assert!(change.claim.is_none() || !change.release, "a change either claims a run or releases it");
    let mut update = Query::update();
    update.table(run::Entity).and_where(Column::Id.eq(change.id.as_str()));
    if let Some(from) = allowed_from(change) {
        update.and_where(Column::Status.is_in(from.into_iter().map(RunStatus::as_str)));
    }
    if let Some(epoch) = change.epoch {
        update.and_where(Column::Epoch.eq(count(epoch)));
    }

    update.returning_col(Column::Version);
    if !change.is_internal() {
        update.value(Column::Version, Expr::col(Column::Version).add(1));
    }
    if change.claim.is_some() || change.release {
        update.value(Column::Epoch, Expr::col(Column::Epoch).add(1));
    }
    if let Some(worker) = &change.claim {
        update.value(Column::WorkerId, worker.to_string());
    }
    if let Some(status) = change.status {
        update.value(Column::Status, status.as_str());
    }
    set_values(&mut update, change);
    update
}

/// The statuses that the run may have; none: any.
fn allowed_from(change: &RunChange) -> Option<Vec<RunStatus>> {
    let Some(to) = change.status else { return (!change.from.is_empty()).then(|| change.from.clone()) };
    for from in &change.from {
        assert!(from.can_become(to), "there is no edge from {from:?} to {to:?} in domain::run");
    }
    if change.from.is_empty() {
        return Some(RunStatus::ALL.into_iter().filter(|from| from.can_become(to)).collect());
    }
    Some(change.from.clone())
}

fn set_values(update: &mut UpdateStatement, change: &RunChange) {
    use run::Column;

    let numbers = [
        (Column::Progress, change.progress.map(|percent| i64::from(percent.get()))),
        (Column::Attempt, change.attempt.map(i64::from)),
        (Column::AttemptsMax, change.attempts_max.map(i64::from)),
        (Column::Losses, change.losses.map(i64::from)),
        (Column::Lines, change.lines.map(count)),
        (Column::LastLineAt, millis(change.last_line_at)),
        (Column::StartedAt, millis(change.started_at)),
    ];
    for (column, number) in numbers {
        if let Some(number) = number {
            update.value(column, number);
        }
    }
    let instants = [
        (Column::NextAttemptAt, change.next_attempt_at),
        (Column::FinishedAt, change.finished_at),
        (Column::Deadline, change.deadline),
    ];
    for (column, at) in instants {
        if let Some(at) = at {
            update.value(column, millis(at));
        }
    }
    let texts = [
        (Column::CommitId, change.commit.clone().map(Some)),
        (Column::Branch, change.branch.clone().map(Some)),
        (Column::Definition, change.definition.clone().map(Some)),
        (Column::Reason, change.reason.clone()),
        (Column::Error, change.error.clone()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            update.value(column, text);
        }
    }
    let flags = [
        (Column::CancelRequested, change.cancel_requested),
        (Column::Settled, change.settled),
        (Column::Archived, change.archived),
        (Column::Restart, change.restart),
    ];
    for (column, flag) in flags {
        if let Some(flag) = flag {
            update.value(column, flag);
        }
    }
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
