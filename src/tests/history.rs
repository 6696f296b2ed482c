//! What is told of each minute of the queue: what the database says happened in it, once.

use std::time::Duration;

use slipway::app::App;
use slipway::domain::run::RunStatus;
use slipway::domain::time::{Timestamp, now};
use slipway::services::history::{self, MINUTES_MAX, QueuePoint};
use slipway::store::runs::{self, RunChange};

use crate::store::factory::{added_pipeline, added_run, moved};
use crate::support::redis::Parts;

const MINUTE: Duration = Duration::from_secs(60);

async fn points(app: &App) -> Vec<QueuePoint> {
    history::read(app, MINUTES_MAX).await.unwrap().points
}

/// A run that took so long, and ended in that way just now.
async fn ended(app: &App, pipeline: &slipway::domain::ids::PipelineId, status: RunStatus, took_ms: i64) {
    let run = added_run(&app.store, pipeline).await;
    moved(&app.store, &run.id, status).await;
    let finished_at = now();
    let started_at = Timestamp::from_millis(finished_at.as_millis() - took_ms);
    let change = RunChange {
        started_at: Some(started_at),
        finished_at: Some(Some(finished_at)),
        ..RunChange::of(run.id)
    };
    runs::change(&app.store, change).await.unwrap().unwrap();
}

/// The minute in which the runs were made may be over before the last of them was: both are looked at.
#[tokio::test]
async fn each_minute_is_noted_once_whoever_is_first_and_kept_for_a_day() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let begun = now();
    let pipeline = added_pipeline(&app.store, "build").await;
    for took_ms in [100, 300, 200] {
        ended(app, &pipeline.id, RunStatus::Succeeded, took_ms).await;
    }
    ended(app, &pipeline.id, RunStatus::Failed, 250).await;
    ended(app, &pipeline.id, RunStatus::TimedOut, 900).await;
    ended(app, &pipeline.id, RunStatus::Canceled, 400).await;
    added_run(&app.store, &pipeline.id).await;

    let (mut one, mut other) = (0, 0);
    for later in [MINUTE, 2 * MINUTE] {
        for noted in [&mut one, &mut other] {
            history::note(app, begun.plus(later), noted).await.unwrap();
        }
    }
    let noted = points(app).await;
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert_eq!(history::until(app).await.unwrap(), noted.last().map(|point| point.at.plus(MINUTE)));
    let sum = |of: fn(&QueuePoint) -> u64| noted.iter().map(of).sum::<u64>();
    let all = [sum(|at| at.added), sum(|at| at.completed), sum(|at| at.failed), sum(|at| at.canceled)];
    assert_eq!(all, [7, 3, 2, 1], "{noted:?}");
    if let [point] = noted.iter().filter(|point| 0 < point.added).collect::<Vec<_>>().as_slice() {
        assert_eq!((point.duration_p50_ms, point.duration_p95_ms), (Some(250), Some(900)));
    }

    history::note(app, begun.plus(MINUTE * (MINUTES_MAX + 1)), &mut one).await.unwrap();
    let kept = points(app).await;
    assert_eq!(kept.len(), 2, "the first is a day old and gone: {kept:?}");
}

#[tokio::test]
async fn a_minute_that_could_not_be_noted_is_left_to_others() {
    let parts = Parts::start().await;
    let app = &parts.app;
    let at = now();
    // The place is taken by something else: the note cannot be written.
    let key = app.redis.key("history");
    app.redis.command::<()>(redis::cmd("SET").arg(&key).arg("")).await.unwrap();
    history::note(app, at, &mut 0).await.unwrap_err();
    app.redis.command::<()>(redis::cmd("DEL").arg(&key)).await.unwrap();
    history::note(app, at, &mut 0).await.unwrap();
    assert_eq!(points(app).await.len(), 1);
}
