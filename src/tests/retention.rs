//! What goes by rule, and what else happens to a run at that moment.

use slipway::app::App;
use slipway::domain::ids::{PipelineId, RunId};
use slipway::domain::pipeline::Pipeline;
use slipway::domain::retention::Retention;
use slipway::domain::run::RunStatus;
use slipway::domain::time::{Timestamp, now};
use slipway::domain::token::{Actor, Role};
use slipway::error::Error;
use slipway::services::runs::{self, RetryFrom};
use slipway::services::{audit, removals, retention};
use slipway::store;
use slipway::store::audit::AuditFilter;
use slipway::store::page::PageRequest;
use slipway::store::runs::{RunChange, RunFilter};

use crate::store::factory::{added_run, ended, pipeline};
use crate::support::redis::Parts;

fn admin() -> Actor {
    Actor::new("admin", Role::Admin)
}

async fn ruled(app: &App, name: &str, retention: Option<Retention>) -> PipelineId {
    let pipeline = Pipeline { retention, ..pipeline(name) };
    store::pipelines::insert(&app.store, &pipeline).await.unwrap();
    pipeline.id
}

/// Runs that ended so many days ago each.
async fn aged(app: &App, pipeline: &PipelineId, days: &[i64]) -> Vec<RunId> {
    let mut runs = Vec::new();
    for days in days {
        let run = ended(&app.store, pipeline).await;
        let at = Timestamp::from_millis(now().as_millis() - days * 86_400_000);
        let change = RunChange { finished_at: Some(Some(at)), ..RunChange::of(run.clone()) };
        store::runs::change(&app.store, change).await.unwrap().unwrap();
        runs.push(run);
    }
    runs
}

/// The runs that are left, oldest first, with whether their logs are.
async fn left(app: &App, pipeline: &PipelineId) -> Vec<(RunId, bool)> {
    let filter = RunFilter { pipeline_id: Some(pipeline.clone()), ..RunFilter::default() };
    let page = PageRequest { limit: 100, cursor: None };
    let runs = store::runs::list(&app.store, &filter, page).await.unwrap().items;
    runs.into_iter().rev().map(|run| (run.id, run.log_purged_at.is_none())).collect()
}

async fn said(app: &App, pipeline: &PipelineId) -> Vec<String> {
    let filter = AuditFilter { target: Some(pipeline.to_string()), ..AuditFilter::default() };
    let trail = audit::list(app, &filter, PageRequest { limit: 100, cursor: None }).await.unwrap().items;
    trail
        .into_iter()
        .map(|entry| {
            assert_eq!((entry.action.as_str(), entry.actor.as_deref()), ("runs.retain", Some("retention")));
            entry.detail.unwrap()
        })
        .collect()
}

#[tokio::test]
async fn old_runs_and_logs_go_and_what_a_pipeline_says_goes_first() {
    let settings = [("retention.runs", "90d"), ("retention.logs", "30d"), ("retention.runs_min", "1")];
    let parts = Parts::start_with(&settings).await;
    let app = &parts.app;
    let days = [100, 95, 40, 35, 100];
    let plain = ruled(app, "plain", None).await;
    let runs = aged(app, &plain, &days).await;
    let own = Retention { runs: Some("forever".to_owned()), logs: Some("99d".to_owned()), keep_runs: None };
    let ruled = ruled(app, "ruled", Some(own)).await;
    let kept = aged(app, &ruled, &days).await;

    assert_eq!(retention::sweep(app, None).await.unwrap(), None);
    // The last run stays with its log, however old.
    let expected = [(runs[2].clone(), false), (runs[3].clone(), false), (runs[4].clone(), true)];
    assert_eq!(left(app, &plain).await, expected);
    let purged = store::runs::find(&app.store, &runs[2]).await.unwrap().unwrap().run;
    assert_eq!((purged.log_purged_by.as_deref(), purged.lines), (Some("retention"), 0));
    let logs: Vec<_> = left(app, &ruled).await.into_iter().map(|(_, has_log)| has_log).collect();
    assert_eq!(logs, [false, true, true, true, true]);
    assert_eq!(kept.len(), 5);

    let [entry] = said(app, &plain).await.try_into().unwrap();
    assert!(entry.starts_with("2 runs deleted, the last of a run that ended at "), "{entry}");
    assert!(entry.contains("; 2 logs purged, the last of a run that ended at "), "{entry}");
    let [entry] = said(app, &ruled).await.try_into().unwrap();
    assert!(entry.starts_with("1 logs purged"), "{entry}");
    let figures = app.metrics.text();
    for figure in [r#"slipway_removed_total{kind="run"} 2"#, r#"slipway_removed_total{kind="log"} 3"#] {
        assert!(figures.lines().any(|line| line == figure), "{figures}");
    }

    // What has gone is not told of again.
    retention::sweep(app, None).await.unwrap();
    assert_eq!(said(app, &plain).await.len(), 1);
}

#[tokio::test]
async fn so_many_of_the_newest_that_ended_stay_and_live_ones_never_go() {
    let settings = [("retention.keep_runs", "2")];
    let parts = Parts::start_with(&settings).await;
    let app = &parts.app;
    let plain = ruled(app, "plain", None).await;
    let live = added_run(&app.store, &plain).await.id;
    let runs = aged(app, &plain, &[4, 3, 2, 2]).await;
    let own = Retention { keep_runs: Some(3), ..Retention::default() };
    let ruled = ruled(app, "ruled", Some(own)).await;
    let kept = aged(app, &ruled, &[1, 5, 3, 2]).await;

    retention::sweep(app, None).await.unwrap();
    let expected = [live, runs[2].clone(), runs[3].clone()].map(|run| (run, true));
    assert_eq!(left(app, &plain).await, expected);
    let expected = [kept[0].clone(), kept[2].clone(), kept[3].clone()].map(|run| (run, true));
    assert_eq!(left(app, &ruled).await, expected);
}

/// Without a rule of the installation, only those that have their own are looked at.
#[tokio::test]
async fn a_pipeline_has_rules_where_the_installation_has_none() {
    let parts = Parts::start_with(&[("retention.runs_min", "0")]).await;
    let app = &parts.app;
    let plain = ruled(app, "plain", None).await;
    aged(app, &plain, &[1_000]).await;
    let own = Retention { runs: Some("1d".to_owned()), ..Retention::default() };
    let ruled = ruled(app, "ruled", Some(own)).await;
    aged(app, &ruled, &[2]).await;
    retention::sweep(app, None).await.unwrap();
    assert_eq!((left(app, &plain).await.len(), left(app, &ruled).await.len()), (1, 0));
}

#[tokio::test]
async fn of_a_retry_and_a_purge_at_the_same_time_one_wins() {
    let Parts { app, .. } = &Parts::start().await;
    let (pipeline, admin) = (ruled(app, "build", None).await, admin());
    for _ in 0..20 {
        let run = ended(&app.store, &pipeline).await;
        let (retried, purged) = tokio::join!(
            runs::retry(app, &admin, &run, RetryFrom::Failed),
            removals::purge_log(app, &admin, &run),
        );
        let record = store::runs::find(&app.store, &run).await.unwrap().unwrap();
        match (retried, purged) {
            (Ok(_), Err(Error::Conflict(_))) => {
                assert_eq!((record.run.status, record.run.log_purged_at), (RunStatus::Queued, None));
            }
            (Err(Error::Conflict(_)), Ok(())) => {
                assert!(record.run.status.is_ended() && record.run.log_purged_at.is_some());
            }
            other => panic!("{other:?}"),
        }
    }
}
