//! Pipelines and runs to put into a store.

use std::collections::BTreeMap;

use slipway::domain::ids::{PipelineId, RunId};
use slipway::domain::pipeline::Pipeline;
use slipway::domain::run::{Run, RunStatus, RunTrigger, Step, StepRecord, StepStatus, TriggerKind};
use slipway::domain::time::Timestamp;
use slipway::store::runs::{Insertion, NewRun, RunChange};
use slipway::store::{Store, pipelines, runs};

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn pipeline(name: &str) -> Pipeline {
    Pipeline {
        id: PipelineId::generate(),
        name: name.to_owned(),
        description: None,
        repository: None,
        default_branch: None,
        definition: None,
        created_at: at(1),
        updated_at: at(1),
    }
}

pub(crate) async fn added_pipeline(store: &Store, name: &str) -> Pipeline {
    let pipeline = pipeline(name);
    pipelines::insert(store, &pipeline).await.unwrap();
    pipeline
}

pub(crate) fn new_run(pipeline_id: &PipelineId) -> NewRun {
    NewRun {
        id: RunId::generate(),
        pipeline_id: pipeline_id.clone(),
        branch: None,
        inputs: BTreeMap::new(),
        trigger: RunTrigger { kind: TriggerKind::Api, by: "admin".to_owned(), untrusted: false },
        attempts_max: 3,
        repository: None,
        definition: None,
        idempotency_key: None,
        steps: Vec::new(),
        now: at(2),
    }
}

pub(crate) async fn added(store: &Store, run: NewRun) -> Run {
    match runs::insert(store, run).await.unwrap() {
        Insertion::Inserted(run) => run,
        other => panic!("expected a new run, got {other:?}"),
    }
}

pub(crate) async fn added_run(store: &Store, pipeline_id: &PipelineId) -> Run {
    added(store, new_run(pipeline_id)).await
}

/// Moves a run that is queued along the picture to `status`.
pub(crate) async fn moved(store: &Store, id: &RunId, status: RunStatus) {
    let way: &[RunStatus] = match status {
        RunStatus::Queued => &[],
        RunStatus::Canceling => &[RunStatus::Running, RunStatus::Canceling],
        RunStatus::Succeeded | RunStatus::Failed | RunStatus::TimedOut => &[RunStatus::Running, status],
        RunStatus::Running | RunStatus::Waiting | RunStatus::Canceled => &[status],
    };
    for status in way {
        let finished_at = status.is_ended().then(|| Some(at(50)));
        let change = RunChange { status: Some(*status), finished_at, ..RunChange::of(id.clone()) };
        assert!(runs::change(store, change).await.unwrap().is_some(), "{status:?}");
    }
}

pub(crate) fn step(index: u32, attempt: u32, status: StepStatus) -> StepRecord {
    StepRecord {
        index,
        step: Step {
            name: format!("step {index}"),
            status,
            exit_code: None,
            reason: None,
            attempt,
            needs: Vec::new(),
            started_at: None,
            finished_at: None,
            first_line: None,
            last_line: None,
            first_error_line: None,
        },
    }
}
