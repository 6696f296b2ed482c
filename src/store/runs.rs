//! Queries on runs and their steps.

use std::collections::BTreeMap;

use crate::domain::ids::{HostId, PipelineId, RunId, WorkerId};
use crate::domain::run::{Percent, Run, RunRecord, RunStatus, RunTrigger, StepRecord};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::page::{Page, PageRequest};

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
/// it says of the steps; `version` rises with it.
#[derive(Debug, Clone)]
pub struct RunChange {
    pub id: RunId,
    /// The run must have one of these statuses; empty: any.
    pub from: Vec<RunStatus>,
    /// The run must be at this epoch.
    pub epoch: Option<u64>,
    /// Raise the epoch by one, and give the run to this worker.
    pub claim: Option<WorkerId>,
    /// Raise the epoch by one and take the run from its worker, so that nobody's late write counts.
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

/// Makes a run and its steps, with the pipeline's next number, in one transaction.
pub async fn insert(store: &Store, run: NewRun) -> Result<Insertion> {
    let _ = (store, run);
    unimplemented!()
}

pub async fn find(store: &Store, id: &RunId) -> Result<Option<RunRecord>> {
    let _ = (store, id);
    unimplemented!()
}

/// Without the steps, for what is asked often.
pub async fn find_run(store: &Store, id: &RunId) -> Result<Option<Run>> {
    let _ = (store, id);
    unimplemented!()
}

/// Newest first.
pub async fn list(store: &Store, filter: &RunFilter, page: PageRequest) -> Result<Page<Run>> {
    let _ = (store, filter, page);
    unimplemented!()
}

/// Applies the change if its guards hold: the run's new version, or none if they do not.
///
/// # Panics
///
/// If the change has a status and one of `from` may not become it (`RunStatus::can_become`): a bug.
pub async fn change(store: &Store, change: RunChange) -> Result<Option<u64>> {
    let _ = (store, change);
    unimplemented!()
}

/// Queued runs, oldest first, after `after` in order of id; for the reconciler, in slices.
pub async fn queued(store: &Store, after: Option<&RunId>, limit: u32) -> Result<Vec<Run>> {
    let _ = (store, after, limit);
    unimplemented!()
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
    let _ = (store, after, limit);
    unimplemented!()
}

/// Runs that have ended but are not archived, or not settled, and whose end is before `before`.
pub async fn unfinished_business(store: &Store, before: Timestamp, limit: u32) -> Result<Vec<RunRecord>> {
    let _ = (store, before, limit);
    unimplemented!()
}
