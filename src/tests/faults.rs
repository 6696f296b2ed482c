//! What the doctor finds and mends: each kind of fault is made, beside what only looks like one.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use slipway::app::App;
use slipway::domain::ids::{HostId, PipelineId, RunId, WorkerId};
use slipway::domain::pipeline::Retry;
use slipway::domain::run::RunStatus;
use slipway::domain::time::{Timestamp, now};
use slipway::executor::{self, StepSpec};
use slipway::jobs::JobStanding;
use slipway::store;
use slipway::store::runs::RunChange;
use slipway::store::workers::WorkerRecord;
use slipway::worker::faults::{self, Fault};
use slipway::worker::host::Seat;

use crate::store::factory;
use crate::support::redis::Parts;

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() - seconds * 1_000)
}

async fn run(app: &App, pipeline: &PipelineId, created_at: Timestamp) -> RunId {
    let run = store::runs::NewRun { now: created_at, ..factory::new_run(pipeline) };
    factory::added(&app.store, run).await.id
}

async fn worker(app: &App, id: &WorkerId, host: &HostId, seen_at: Timestamp) {
    let record = WorkerRecord {
        id: id.clone(),
        host: host.clone(),
        name: "a worker".to_owned(),
        started_at: seen_at,
        seen_at,
        fetched_at: None,
        concurrency: Some(5),
        version: None,
    };
    store::workers::put(&app.store, &record).await.unwrap();
}

async fn claim(app: &App, run: &RunId, worker: &WorkerId) {
    let mut change = RunChange::of(run.clone());
    change.status = Some(RunStatus::Running);
    change.claim = Some(worker.clone());
    assert!(store::runs::change(&app.store, change).await.unwrap().is_some());
}

async fn end(app: &App, run: &RunId, status: RunStatus, finished_at: Timestamp, is_archived: bool) {
    let mut change = RunChange::of(run.clone());
    change.status = Some(status);
    change.finished_at = Some(Some(finished_at));
    change.archived = Some(is_archived);
    change.settled = Some(is_archived);
    assert!(store::runs::change(&app.store, change).await.unwrap().is_some());
}

/// A step that would go on for ever.
async fn step(app: &App, run: &RunId) -> StepSpec {
    executor::set_program(env!("CARGO_BIN_EXE_slipway"));
    let workspace = app.run_dir(run).join("workspace");
    fs::create_dir_all(&workspace).unwrap();
    let spec = StepSpec {
        dir: app.run_dir(run).join("steps/0-1"),
        workspace,
        script: "sleep 1000".to_owned(),
        env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        secrets: Vec::new(),
        files: Vec::new(),
        timeout: None,
        grace: Duration::from_secs(5),
        log_bytes_max: 1 << 20,
        line_bytes_max: 64 * 1024,
        backlog_bytes_max: 1 << 20,
        tty: false,
        fence: None,
    };
    executor::start(&spec).await.unwrap();
    spec
}

/// What is well. None of it may be found.
async fn plant_what_is_well(app: &App, pipeline: &PipelineId, seat: &Seat) -> StepSpec {
    let queued = run(app, pipeline, ago(60)).await;
    app.jobs.add(&queued, Retry::DEFAULT).await.unwrap();
    run(app, pipeline, now()).await;
    let running = run(app, pipeline, ago(60)).await;
    worker(app, &seat.worker, &seat.host, now()).await;
    claim(app, &running, &seat.worker).await;
    let elsewhere = (run(app, pipeline, ago(60)).await, WorkerId::generate());
    worker(app, &elsewhere.1, &HostId::generate(), now()).await;
    claim(app, &elsewhere.0, &elsewhere.1).await;
    let just_over = run(app, pipeline, ago(60)).await;
    claim(app, &just_over, &seat.worker).await;
    end(app, &just_over, RunStatus::Succeeded, now(), false).await;
    let failed = run(app, pipeline, ago(600)).await;
    claim(app, &failed, &seat.worker).await;
    end(app, &failed, RunStatus::Failed, ago(300), true).await;
    fs::create_dir_all(app.run_dir(&failed)).unwrap();
    step(app, &running).await
}

#[tokio::test]
async fn each_kind_of_fault_is_found_and_mended_and_nothing_else_is_touched() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let data_dir = &app.config.data_dir;
    let pipeline = &factory::added_pipeline(&app.store, "build").await.id;
    let seat = Seat::take(data_dir).unwrap();
    let gone = Seat::take(data_dir).unwrap().worker.clone();
    let well = plant_what_is_well(app, pipeline, &seat).await;
    assert_eq!(faults::find(app).await.unwrap(), []);
    assert_eq!(app.jobs.standings(&[]).await.unwrap(), []);

    let no_job = run(app, pipeline, ago(60)).await;
    let lost_here = run(app, pipeline, ago(60)).await;
    worker(app, &gone, &seat.host, now()).await;
    claim(app, &lost_here, &gone).await;
    let (lost_elsewhere, silent) = (run(app, pipeline, ago(60)).await, WorkerId::generate());
    worker(app, &silent, &HostId::generate(), ago(60)).await;
    claim(app, &lost_elsewhere, &silent).await;
    let unsettled = run(app, pipeline, ago(600)).await;
    claim(app, &unsettled, &seat.worker).await;
    end(app, &unsettled, RunStatus::Failed, ago(300), false).await;
    let no_run = RunId::generate();
    app.jobs.add(&no_run, Retry::DEFAULT).await.unwrap();
    let unknown = RunId::generate();
    let supervised = step(app, &unknown).await;
    let old_row = WorkerId::generate();
    worker(app, &old_row, &HostId::generate(), ago(7_200)).await;

    let planted = [
        Fault::Supervisor(supervised.dir.clone()),
        Fault::Directory(unknown.clone()),
        Fault::WorkerRow(old_row.clone()),
        Fault::Unsettled(unsettled.clone()),
        Fault::NoWorker(lost_here.clone()),
        Fault::NoWorker(lost_elsewhere.clone()),
        Fault::NoJob(no_job.clone()),
        Fault::NoRun(no_run.clone()),
    ];
    let found = faults::find(app).await.unwrap();
    let as_set = |faults: &[Fault]| faults.iter().map(|fault| format!("{fault:?}")).collect::<HashSet<_>>();
    assert_eq!(as_set(&found), as_set(&planted));
    assert_eq!(faults::find(app).await.unwrap(), found, "looking changes nothing");

    for fault in &found {
        faults::mend(app, fault).await.unwrap();
    }
    assert_eq!(faults::find(app).await.unwrap(), []);
    for run in [&no_job, &lost_here, &lost_elsewhere] {
        assert_eq!(app.jobs.standing(run).await.unwrap(), JobStanding::Live);
    }
    assert_eq!(app.jobs.standing(&no_run).await.unwrap(), JobStanding::Absent);
    assert!(!executor::is_supervised(&supervised.dir) && !app.run_dir(&unknown).exists());
    assert!(executor::is_supervised(&well.dir), "a step of a run that is well goes on");
    executor::kill_now(&well.dir).unwrap();

    for fault in &found {
        faults::mend(app, fault).await.unwrap();
    }
    assert_eq!(faults::find(app).await.unwrap(), [], "mending again changes nothing");
}

/// Somebody calls the doctor without DATABASE_URL: an empty database says nothing of the runs that are here.
#[tokio::test]
async fn a_database_without_runs_is_not_believed() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let spec = step(app, &RunId::generate()).await;
    assert_eq!(faults::find(app).await.unwrap(), []);
    executor::kill_now(&spec.dir).unwrap();
}
