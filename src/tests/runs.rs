//! Who gets a run: claims, and what a further delivery of one means.

use std::collections::BTreeMap;
use std::time::Duration;

use slipway::app::App;
use slipway::domain::ids::{HostId, RunId, WorkerId};
use slipway::domain::run::{Percent, Run, RunRecord, RunStatus, StepStatus};
use slipway::domain::time::{Timestamp, now};
use slipway::domain::token::{Actor, Role};
use slipway::services::executions::{self, Claim, Claimant, Claimed, Ending, Facts};
use slipway::services::pipelines::{self, CreatePipeline};
use slipway::services::runs::{self, RetryFrom, TriggerRun};
use slipway::store;
use slipway::store::workers::WorkerRecord;

use crate::support::redis::{Parts, until};

fn actor() -> Actor {
    Actor::new("admin", Role::Admin)
}

async fn trigger(app: &App) -> Run {
    let definition = "steps:\n  - name: build\n    run: make\n".to_owned();
    let request = CreatePipeline {
        name: "build".to_owned(),
        repository: None,
        default_branch: None,
        definition: Some(definition),
        description: None,
        retention: None,
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
    executions::claim(app, find(app, run).await, claimant, is_dead).await.unwrap()
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
    assert_eq!(claimed.record.taken_from, None);
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
    assert_eq!(claimed.record.taken_from, None);
}

/// Only whether its signs change tells whether a worker is there: its clock may say what it likes.
#[tokio::test]
async fn another_host_takes_a_run_over_only_after_the_silence() {
    let Parts { app, .. } = &Parts::start_with(&[("worker.host_silence", "300ms")]).await;
    let run = trigger(app).await.id;
    let long_ago = Timestamp::from_millis(1_000);
    let holder = worker(app, &HostId::generate(), long_ago).await;
    let other = worker(app, &HostId::generate(), now()).await;
    claimed(claim(app, &run, &holder, None).await);
    // A worker of another host is not known to be dead by its lock.
    assert!(matches!(claim(app, &run, &other, Some(&holder)).await, Claim::Later(_)));
    for sign in 1..20 {
        let mut alive = store::workers::find(&app.store, &holder.worker).await.unwrap().unwrap();
        alive.seen_at = Timestamp::from_millis(1_000 - sign);
        store::workers::put(&app.store, &alive).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(matches!(claim(app, &run, &other, None).await, Claim::Later(_)));
    }
    let mut taken = None;
    until("the silence is over", async || match claim(app, &run, &other, None).await {
        Claim::Claimed(claimed) => {
            taken = Some(*claimed);
            true
        }
        _ => false,
    })
    .await;
    let claimed = taken.unwrap();
    assert_eq!(claimed.record.taken_from.as_deref(), Some("worker"));
    assert_eq!((claimed.record.epoch, claimed.record.losses), (2, 1));
    assert!(claimed.record.restart && claimed.record.deadline.is_none());
    // Whoever takes it over and cannot go on at once still has to say so.
    let again = match claim(app, &run, &other, None).await {
        Claim::Claimed(claimed) => claimed.record,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.taken_from.as_deref(), Some("worker"));
}

/// A worker that was restarted is another one, and takes the runs of its machine back by itself.
#[tokio::test]
async fn a_machine_whose_worker_was_restarted_keeps_its_runs() {
    let Parts { app, .. } = &Parts::start_with(&[("worker.host_silence", "100ms")]).await;
    let run = trigger(app).await.id;
    let host = HostId::generate();
    let holder = worker(app, &host, now()).await;
    let restarted = worker(app, &host, now()).await;
    let other = worker(app, &HostId::generate(), now()).await;
    claimed(claim(app, &run, &holder, None).await);
    for sign in 1..20 {
        let mut alive = store::workers::find(&app.store, &restarted.worker).await.unwrap().unwrap();
        alive.seen_at = Timestamp::from_millis(sign);
        store::workers::put(&app.store, &alive).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(matches!(claim(app, &run, &other, None).await, Claim::Later(_)));
    }
    let claimed = claimed(claim(app, &run, &restarted, Some(&holder)).await);
    assert_eq!(claimed.record.taken_from, None);
}

/// A step that ran when its machine fell silent is on record as lost, whatever follows.
#[tokio::test]
async fn a_step_that_was_running_on_a_silent_host_is_lost() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let first = worker(app, &HostId::generate(), now()).await;
    let record = claimed(claim(app, &run, &first, None).await).record;
    let mut steps = record.current_records();
    steps[0].step.status = StepStatus::Running;
    steps[0].step.started_at = Some(now());
    let facts = Facts { steps, ..Facts::default() };
    assert!(executions::note(app, &record, Percent::ZERO, facts).await.unwrap());
    store::workers::delete(&app.store, &first.worker).await.unwrap();
    let second = worker(app, &HostId::generate(), now()).await;
    let details = claimed(claim(app, &run, &second, None).await).record.details();
    let standing = |steps: &[slipway::domain::run::Step]| -> Vec<(u32, StepStatus)> {
        steps.iter().map(|step| (step.attempt, step.status)).collect()
    };
    assert_eq!(standing(&details.earlier_steps), [(1, StepStatus::Lost)]);
    assert_eq!(standing(&details.steps), [(2, StepStatus::Pending)]);
}

#[tokio::test]
async fn a_run_that_ends_its_workers_is_set_aside_with_the_reason() {
    let Parts { app, .. } = &Parts::start_with(&[("worker.losses_max", "3")]).await;
    let run = trigger(app).await.id;
    let host = HostId::generate();
    let mut before = worker(app, &host, now()).await;
    claimed(claim(app, &run, &before, None).await);
    for losses in 1..3 {
        let next = worker(app, &host, now()).await;
        assert_eq!(claimed(claim(app, &run, &next, Some(&before)).await).record.losses, losses);
        before = next;
    }
    let next = worker(app, &host, now()).await;
    assert!(matches!(claim(app, &run, &next, Some(&before)).await, Claim::SetAside(_)));
    let record = find(app, &run).await;
    assert_eq!((record.run.status, record.losses), (RunStatus::Failed, 0));
    assert!(record.run.error.unwrap().contains("died 3 times in a row"));
    // Somebody may try it again all the same.
    assert_eq!(runs::retry(app, &actor(), &run, RetryFrom::Failed).await.unwrap().status, RunStatus::Queued);
}

/// Restarts of a service are no deaths, and a run that gets on is no poison.
#[tokio::test]
async fn a_worker_that_leaves_a_run_or_ends_a_step_of_it_counts_for_nothing() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let host = HostId::generate();
    let (first, second) = (worker(app, &host, now()).await, worker(app, &host, now()).await);
    claimed(claim(app, &run, &first, None).await);
    let record = claimed(claim(app, &run, &second, Some(&first)).await).record;
    assert_eq!(record.losses, 1);
    executions::leave(app, &record).await.unwrap();
    assert_eq!(find(app, &run).await.losses, 0);
    let record = claimed(claim(app, &run, &first, Some(&second)).await).record;
    assert_eq!(record.losses, 1);
    let mut steps = record.current_records();
    steps[0].step.status = StepStatus::Succeeded;
    let facts = Facts { steps, ..Facts::default() };
    assert!(executions::note(app, &record, Percent::ZERO, facts).await.unwrap());
    assert_eq!(find(app, &run).await.losses, 0);
}

/// What was recorded earlier in the attempt stays so between two attempts.
#[tokio::test]
async fn a_step_that_was_recorded_is_not_put_back_by_a_further_attempt() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let worker = worker(app, &HostId::generate(), now()).await;
    let mut record = claimed(claim(app, &run, &worker, None).await).record;
    let mut steps = record.current_records();
    steps[0].step.status = StepStatus::Succeeded;
    steps[0].step.started_at = Some(now());
    record.put_steps(&steps);
    let facts = Facts { steps, ..Facts::default() };
    assert!(executions::note(app, &record, Percent::ZERO, facts).await.unwrap());
    let ending = Ending::RetryLater("another step failed".to_owned());
    assert!(executions::end(app, &record, None, &ending, Facts::default()).await.unwrap());
    let steps = find(app, &run).await.current_steps();
    assert_eq!((steps[0].status, steps[0].attempt), (StepStatus::Succeeded, 1));
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

/// A dashboard's retry is not swallowed because the log cannot be archived yet.
#[tokio::test]
async fn the_end_of_a_run_is_settled_although_its_lines_are_missing() {
    let Parts { app, .. } = &Parts::start().await;
    let run = trigger(app).await.id;
    let worker = worker(app, &HostId::generate(), now()).await;
    let record = claimed(claim(app, &run, &worker, None).await).record;
    let ending = Ending::Failed("build: exited with 1".to_owned());
    let facts = Facts { lines: 5, ..Facts::default() };
    assert!(executions::end(app, &record, None, &ending, facts).await.unwrap());
    app.jobs.remove(&run).await.unwrap();
    executions::settle(app, &run).await.unwrap();
    let record = find(app, &run).await;
    assert_eq!((record.settled, record.archived), (true, false));
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
