//! The one way in which a run changes.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UpdateStatement};
use sea_orm::{ColumnTrait as _, ConnectionTrait};

use crate::domain::ids::{RunId, WorkerId};
use crate::domain::run::{Percent, RunStatus, StepRecord};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::bulk::{self, Note};
use crate::store::column::{Reader, count, millis};
use crate::store::entities::run;
use crate::store::error::DbResult as _;
use crate::store::{Store, steps};

/// One change of a run: the only way in which a run changes. A compare-and-set, in one transaction with what
/// it says of the steps; `version` rises with it, unless only `settled`, `archived` and `losses` change, which nobody sees.
#[derive(Debug, Clone, PartialEq)]
pub struct RunChange {
    pub id: RunId,
    /// The run must have one of these statuses; empty: any, or, if the change has a status, any that may become it.
    pub from: Vec<RunStatus>,
    /// The run must be at this epoch.
    pub epoch: Option<u64>,
    /// The run must be at this version: nothing that anybody sees of it has changed since it was read.
    pub version: Option<u64>,
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
    pub taken_from: Option<Option<String>>,
    /// Written whole: inserted, or replaced where the run has that attempt of that step already.
    pub steps: Vec<StepRecord>,
    /// The bulk work that it is part of notes it in the same commit.
    pub note: Option<Note>,
}

impl RunChange {
    /// A change that changes nothing yet.
    pub fn of(id: RunId) -> Self {
        Self {
            id,
            from: Vec::new(),
            epoch: None,
            version: None,
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
            taken_from: None,
            steps: Vec::new(),
            note: None,
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
    if change.steps.is_empty() && change.note.is_none() {
        return new_version(&store.writer, &update).await;
    }
    let tx = store.begin(DOING).await?;
    let Some(version) = new_version(&tx, &update).await? else {
        tx.rollback().await.doing(DOING)?;
        return Ok(None);
    };
    steps::write(&tx, &change.id, &change.steps).await?;
    if let Some(note) = &change.note {
        bulk::write(&tx, note).await?;
    }
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

    if let Some(version) = change.version {
        update.and_where(Column::Version.eq(count(version)));
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
        (Column::TakenFrom, change.taken_from.clone()),
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
