//! Who gets a run: claims, and what a further delivery of one means.

use std::collections::BTreeMap;
use std::time::Duration;

use slipway::app::App;
use slipway::domain::ids::{HostId, RunId, WorkerId};
use slipway::domain::run::{Run, RunRecord, RunStatus};
use slipway::domain::time::{Timestamp, now};
use slipway::domain::token::{Actor, Role};
use slipway::services::executions::{self, Claim, Claimant, Claimed, Ending, Facts};
use slipway::services::pipelines::{self, CreatePipeline};
use slipway::services::runs::{self, TriggerRun};
use slipway::store;
use slipway::store::workers::WorkerRecord;

use crate::support::redis::Parts;

fn actor() -> Actor {
    Actor { name: "admin".to_owned(), role: Role::Admin, token: None }
}

async fn trigger(app: &App) -> Run {
    let definition = "steps:\n  - name: build\n    run: make\n".to_owned();
    let request = CreatePipeline {
        name: "build".to_owned(),
        repository: None,
        default_branch: None,
        definition: Some(definition),
        description: None,
    };
    pipelines::create(app, &actor(), request).await.unwrap();
    let request = TriggerRun {
        pipeline: "build".to_owned(),
        branch: None,
        inputs: BTreeMap::new(),
        idempotency_key: None,
    };
    runs::trigger(app, &actor(), request).await.unwrap()
}

/// A worker that was seen at `seen_at`.
async fn worker(app: &App, host: &HostId, seen_at: Timestamp) -> Claimant {
    let worker = WorkerRecord {
        id: WorkerId::generate(),
        host: host.clone(),
        name: "worker".to_owned(),
        started_at: seen_at,
        seen_at,
        fetched_at: None,
        concurrency: Some(5),
        version: None,
    };
    store::workers::put(&app.store, &worker).await.unwrap();
    Claimant { worker: worker.id, host: worker.host }
}

async fn claim(app: &App, run: &RunId, claimant: &Claimant, dead: Option<&Claimant>) -> Claim {
    let is_dead = |worker: &WorkerId| dead.is_some_and(|dead| dead.worker == *worker);
    executions::claim(app, run, claimant, is_dead).await.unwrap()
}

#[track_caller]
fn claimed(claim: Claim) -> Claimed {
    match claim {
        Claim::Claimed(claimed) => *claimed,
        other => panic!("{other:?}"),
    }
}

async fn find(app: &App, run: &RunId) -> RunRecord {
    store::runs::find(&app.store, run).await.unwrap().unwrap()
}

#[tokio::test]
async fn one_of_two_workers_gets_a_run() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let (first, second) = (HostId::generate(), HostId::generate());
    let (first, second) = (worker(app, &first, now()).await, worker(app, &second, now()).await);
    let claims = tokio::join!(claim(app, &run, &first, None), claim(app, &run, &second, None));
    let winners = [&claims.0, &claims.1].into_iter().filter(|claim| matches!(claim, Claim::Claimed(_)));
    assert_eq!(winners.count(), 1, "{claims:?}");
    let record = find(app, &run).await;
    assert_eq!((record.run.status, record.epoch), (RunStatus::Running, 1));
}

#[tokio::test]
async fn a_dead_worker_of_the_same_host_is_replaced_at_once() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let host = HostId::generate();
    let (first, second) = (worker(app, &host, now()).await, worker(app, &host, now()).await);
    claimed(claim(app, &run, &first, None).await);
    assert!(matches!(claim(app, &run, &second, None).await, Claim::Later(_)));
    let claimed = claimed(claim(app, &run, &second, Some(&first)).await);
    assert_eq!(claimed.record.epoch, 2);
    assert_eq!(claimed.taken_from, None);
}

/// It could not reach the database or the log for a while, and let go of the run.
#[tokio::test]
async fn a_worker_that_let_go_of_a_run_takes_it_up_again() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let worker = worker(app, &HostId::generate(), now()).await;
    claimed(claim(app, &run, &worker, None).await);
    let claimed = claimed(claim(app, &run, &worker, None).await);
    assert_eq!(claimed.record.epoch, 2);
    assert_eq!(claimed.taken_from, None);
}

#[tokio::test]
async fn another_host_takes_a_run_over_only_after_the_silence() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let silence = app.config.worker.host_silence;
    let near = now().plus(silence);
    let holder = worker(app, &HostId::generate(), near).await;
    let other = worker(app, &HostId::generate(), now()).await;
    claimed(claim(app, &run, &holder, None).await);
    // A worker of another host is not known to be dead by its lock.
    assert!(matches!(claim(app, &run, &other, Some(&holder)).await, Claim::Later(_)));
    let millis = i64::try_from((silence + Duration::from_secs(1)).as_millis()).unwrap();
    let mut silent = store::workers::find(&app.store, &holder.worker).await.unwrap().unwrap();
    silent.seen_at = Timestamp::from_millis(now().as_millis() - millis);
    store::workers::put(&app.store, &silent).await.unwrap();
    let claimed = claimed(claim(app, &run, &other, None).await);
    assert_eq!(claimed.taken_from.as_deref(), Some("worker"));
    assert_eq!((claimed.record.epoch, claimed.record.losses), (2, 1));
    assert!(claimed.record.restart && claimed.record.deadline.is_none());
}

#[tokio::test]
async fn a_further_delivery_of_an_ended_run_is_a_retry_only_once_its_end_is_settled() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let worker = worker(app, &HostId::generate(), now()).await;
    let record = claimed(claim(app, &run, &worker, None).await).record;
    let ending = Ending::Failed("build: exited with 1".to_owned());
    assert!(executions::end(app, &record, None, &ending, Facts::default()).await.unwrap());
    assert!(matches!(claim(app, &run, &worker, None).await, Claim::Nothing));
    // Its job is still in the queue, so the end is not settled.
    executions::settle(app, &run).await.unwrap();
    assert!(!find(app, &run).await.settled);
    assert!(matches!(claim(app, &run, &worker, None).await, Claim::Nothing));
    app.jobs.remove(&run).await.unwrap();
    executions::settle(app, &run).await.unwrap();
    assert!(find(app, &run).await.settled);
    assert!(matches!(claim(app, &run, &worker, None).await, Claim::Later(_)));
    let record = claimed(claim(app, &run, &worker, None).await).record;
    assert_eq!((record.run.status, record.run.attempt), (RunStatus::Running, 2));
}

/// The job may be in the hands of a worker that has not claimed the run yet.
#[tokio::test]
async fn a_run_that_was_canceled_in_the_queue_does_not_begin_when_its_job_is_delivered() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let worker = worker(app, &HostId::generate(), now()).await;
    assert_eq!(runs::cancel(app, &actor(), &run).await.unwrap().status, RunStatus::Canceled);
    for _ in 0..2 {
        assert!(matches!(claim(app, &run, &worker, None).await, Claim::Nothing));
    }
    assert_eq!(find(app, &run).await.run.status, RunStatus::Canceled);
}
