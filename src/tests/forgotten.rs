//! Runs that lack their jobs are found, in a long queue too, and at a cost that does not grow with it.

use slipway::app::App;
use slipway::domain::ids::RunId;
use slipway::jobs::JobStanding;
use slipway::worker::forgotten::Forgotten;

use crate::store::factory::{added_pipeline, added_run};
use crate::support::redis::Parts;

/// More than a pass looks at.
const QUEUED: usize = 1_300;
const LOOKED_AT_MAX: u64 = 1_000;

/// How often Redis was asked for a job.
async fn jobs_asked_for(app: &App) -> u64 {
    let stats: String = app.redis.command(redis::cmd("INFO").arg("commandstats")).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hexists:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

async fn all_have_jobs(app: &App, runs: &[RunId]) -> bool {
    app.jobs.standings(runs).await.unwrap().iter().all(|standing| *standing == JobStanding::Live)
}

#[tokio::test]
async fn a_long_queue_is_looked_at_in_turn_and_as_a_whole_once_something_is_missing() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let pipeline = added_pipeline(&app.store, "build").await;
    let mut runs = Vec::new();
    for _ in 0..QUEUED {
        runs.push(added_run(&app.store, &pipeline.id).await.id);
    }
    let mut forgotten = Forgotten::default();
    forgotten.enqueue(app).await.unwrap();
    assert!(all_have_jobs(app, &runs).await, "the first pass looks at all");

    let asked = jobs_asked_for(app).await;
    forgotten.enqueue(app).await.unwrap();
    let asked = jobs_asked_for(app).await - asked;
    assert!((1..=LOOKED_AT_MAX).contains(&asked), "{asked}");

    // Of the newest, and amid the others.
    for lost in [QUEUED - 1, QUEUED / 2] {
        app.jobs.remove(&runs[lost]).await.unwrap();
        let mut passes = 0;
        while !all_have_jobs(app, &runs).await {
            passes += 1;
            assert!(passes <= QUEUED / 500, "{lost} is not found");
            forgotten.enqueue(app).await.unwrap();
        }
    }

    parts.wipe_redis().await;
    forgotten.enqueue(app).await.unwrap();
    assert!(all_have_jobs(app, &runs).await, "a wiped Redis has all of it back");
}
