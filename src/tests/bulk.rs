//! Many runs at once: who may do it, for how long, and what is counted.

use std::collections::BTreeMap;

use slipway::app::App;
use slipway::domain::bulk::{BulkAction, BulkState, BulkWork, LeftOut};
use slipway::domain::ids::{PipelineId, RunId};
use slipway::domain::run::{RunStatus, RunTrigger, TriggerKind};
use slipway::domain::time::{Timestamp, now};
use slipway::domain::token::{Actor, Grant, Role};
use slipway::error::Error;
use slipway::services::bulk::{self, LeftOutCount};
use slipway::services::people::{self, CreatePerson};
use slipway::services::runs::RunFilter;
use slipway::services::tokens::{self, CreateToken};
use slipway::services::{audit, removals};
use slipway::store;
use slipway::store::audit::AuditFilter;
use slipway::store::bulk::Note;
use slipway::store::page::PageRequest;
use slipway::store::people::PersonChange;
use slipway::store::runs::NewRun;

use crate::store::factory::{added, added_pipeline, added_run, ended, moved, new_run};
use crate::support::redis::Parts;

fn admin() -> Actor {
    Actor::new("admin", Role::Admin)
}

/// Whoever has a new token.
async fn bearer(app: &App, name: &str, role: Option<Role>, grants: Vec<Grant>) -> Actor {
    let request = CreateToken { name: name.to_owned(), role, grants, expires_in: None };
    let (_, value) = tokens::create(app, &admin(), request).await.unwrap();
    tokens::authenticate(app, value.reveal()).await.unwrap()
}

async fn start(app: &App, actor: &Actor, action: BulkAction, pipeline: &PipelineId) -> BulkWork {
    let all = RunFilter::default();
    bulk::start(app, actor, action, Some(pipeline.as_str()), all, RunId::generate()).await.unwrap()
}

async fn carried_out(app: &App, work: &BulkWork) -> BulkWork {
    bulk::carry_out(app).await.unwrap();
    bulk::get(app, &admin(), &work.id).await.unwrap()
}

async fn said(app: &App, work: &BulkWork) -> String {
    let page = PageRequest { limit: 100, cursor: None };
    let trail = audit::list(app, &AuditFilter::default(), page).await.unwrap().items;
    let entry = trail.into_iter().find(|entry| entry.target_id.as_deref() == Some(work.id.as_str())).unwrap();
    assert_eq!(entry.action, "runs.bulk");
    entry.detail.unwrap()
}

/// Each loses another of their rights between the start and the first run.
#[tokio::test]
async fn a_work_stops_when_who_started_it_may_no_longer_do_it() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    let run = ended(&app.store, &pipeline).await;
    let stopped = async |work: &BulkWork, reason: &str| {
        let ended = carried_out(app, work).await;
        assert_eq!((ended.state, ended.reason.as_deref()), (BulkState::Stopped, Some(reason)));
        assert_eq!((ended.done, ended.skipped), (0, 0));
        assert!(said(app, work).await.ends_with(&format!("stopped: {reason}")), "{}", said(app, work).await);
        assert!(store::runs::find(&app.store, &run).await.unwrap().is_some());
    };

    let ci = bearer(app, "ci", Some(Role::Admin), Vec::new()).await;
    let work = start(app, &ci, BulkAction::Delete, &pipeline).await;
    tokens::revoke(app, &admin(), "ci").await.unwrap();
    stopped(&work, "the access of ci has ended").await;

    let grants = vec![Grant { pipeline_id: pipeline.clone(), role: Role::Admin }];
    let request = CreatePerson {
        login: "ann".to_owned(),
        name: None,
        email: None,
        password: None,
        subject: None,
        role: None,
        grants,
    };
    let ann = people::create(app, request).await.unwrap();
    let actor = Actor {
        role: None,
        grants: BTreeMap::from([(pipeline.clone(), Role::Admin)]),
        person: Some(ann.id.clone()),
        ..Actor::new("ann", Role::Viewer)
    };
    let admin = admin();
    let change = async |change: PersonChange| people::update(app, &admin, "ann", change).await.unwrap();
    let work = start(app, &actor, BulkAction::Delete, &pipeline).await;
    let lowered = vec![Grant { pipeline_id: pipeline.clone(), role: Role::Operator }];
    change(PersonChange { grants: Some(lowered), ..PersonChange::default() }).await;
    stopped(&work, "ann has no longer the role admin").await;

    let work = start(app, &actor, BulkAction::Retry, &pipeline).await;
    change(PersonChange { disabled: Some(true), ..PersonChange::default() }).await;
    stopped(&work, "the access of ann has ended").await;

    change(PersonChange { disabled: Some(false), ..PersonChange::default() }).await;
    let work = start(app, &actor, BulkAction::Retry, &pipeline).await;
    let done = carried_out(app, &work).await;
    assert_eq!((done.state, done.done, done.reason), (BulkState::Done, 1, None));
}

/// Of four runs, one is by somebody else, one too old and one too new: the fourth is previewed, and it alone is deleted.
#[tokio::test]
async fn a_work_takes_the_runs_of_whom_and_of_when_its_filter_says() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    let made = async |millis: i64, by: &str| {
        let trigger = RunTrigger { kind: TriggerKind::Api, by: by.to_owned(), untrusted: false };
        let id = RunId::first_at(Timestamp::from_millis(millis));
        let run = added(&app.store, NewRun { id, trigger, ..new_run(&pipeline) }).await;
        moved(&app.store, &run.id, RunStatus::Failed).await;
        run.id
    };
    let others = [made(1_000, "ann").await, made(2_000, "bob").await, made(3_000, "ann").await];
    let meant = made(2_001, "ann").await;
    let filter = RunFilter {
        by: Some("ann".to_owned()),
        since: Some(Timestamp::from_millis(2_000)),
        until: Some(Timestamp::from_millis(3_000)),
        ..RunFilter::default()
    };
    let preview = bulk::preview(app, &admin(), BulkAction::Delete, None, filter.clone()).await.unwrap();
    assert_eq!((preview.total, preview.skipped), (1, 0));
    assert_eq!(preview.sample.iter().map(|run| &run.id).collect::<Vec<_>>(), [&meant]);
    assert_eq!(preview.until.made_at(), Timestamp::from_millis(3_000));

    // What the preview gave says until when: those who start it need not say it again.
    let filter = RunFilter { until: None, ..filter };
    let work = bulk::start(app, &admin(), BulkAction::Delete, None, filter, preview.until).await.unwrap();
    let done = carried_out(app, &work).await;
    assert_eq!((done.state, done.total, done.done), (BulkState::Done, 1, 1));
    assert!(store::runs::find_run(&app.store, &meant).await.unwrap().is_none());
    for other in &others {
        assert!(store::runs::find_run(&app.store, other).await.unwrap().is_some(), "{other}");
    }
}

#[tokio::test]
async fn a_work_is_whose_it_was_started_by_and_each_has_one_at_a_time() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    let ci = bearer(app, "ci", Some(Role::Operator), Vec::new()).await;
    let other = bearer(app, "other", Some(Role::Operator), Vec::new()).await;
    let again = || {
        let (pipeline, all) = (Some(pipeline.as_str()), RunFilter::default());
        bulk::start(app, &ci, BulkAction::Cancel, pipeline, all, RunId::generate())
    };
    // Of several at the same time, the database takes one.
    let outcomes = futures::future::join_all((0..8).map(|_| again())).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    let work = won.into_iter().next().unwrap().unwrap();
    for error in lost {
        let error = error.unwrap_err();
        assert!(matches!(&error, Error::Conflict(text) if text.contains(work.id.as_str())), "{error:?}");
    }
    start(app, &other, BulkAction::Cancel, &pipeline).await;

    assert_eq!(bulk::get(app, &ci, &work.id).await.unwrap().id, work.id);
    assert!(matches!(bulk::get(app, &other, &work.id).await, Err(Error::NotFound { .. })));
    tokens::revoke(app, &admin(), "ci").await.unwrap();
    let namesake = bearer(app, "ci", Some(Role::Operator), Vec::new()).await;
    assert!(matches!(bulk::get(app, &namesake, &work.id).await, Err(Error::NotFound { .. })));
    assert!(matches!(bulk::stop(app, &namesake, &work.id).await, Err(Error::NotFound { .. })));

    let stopping = bulk::stop(app, &admin(), &work.id).await.unwrap();
    assert_eq!((stopping.state, stopping.reason.as_deref()), (BulkState::Stopping, Some("stopped by admin")));
    let stopped = carried_out(app, &work).await;
    assert_eq!((stopped.state, stopped.reason.as_deref()), (BulkState::Stopped, Some("stopped by admin")));
}

#[tokio::test]
async fn a_preview_says_why_runs_would_be_left_out() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    let elsewhere = added_pipeline(&app.store, "other").await.id;
    for status in [RunStatus::Running, RunStatus::Canceling, RunStatus::Canceled, RunStatus::Queued] {
        let run = added_run(&app.store, &pipeline).await;
        moved(&app.store, &run.id, status).await;
    }
    let (_, purged) = (ended(&app.store, &pipeline).await, ended(&app.store, &pipeline).await);
    removals::purge_log(app, &admin(), &purged).await.unwrap();
    added_run(&app.store, &elsewhere).await;

    let grants = vec![Grant { pipeline_id: pipeline.clone(), role: Role::Admin }];
    let ci = bearer(app, "ci", Some(Role::Viewer), grants).await;
    let preview = async |action| bulk::preview(app, &ci, action, None, RunFilter::default()).await.unwrap();
    for (action, expected) in [
        (BulkAction::Retry, &[(LeftOut::Live, 3), (LeftOut::Canceled, 1), (LeftOut::NoLog, 1)][..]),
        (BulkAction::Cancel, &[(LeftOut::Ended, 3), (LeftOut::Canceled, 1)]),
        (BulkAction::Delete, &[(LeftOut::Live, 3)]),
    ] {
        let preview = preview(action).await;
        let expected: Vec<_> =
            expected.iter().map(|(reason, count)| LeftOutCount { reason: *reason, count: *count }).collect();
        assert_eq!(preview.reasons, expected, "{action:?}");
        assert_eq!(preview.skipped, expected.iter().map(|left_out| left_out.count).sum::<u32>());
        assert_eq!((preview.total, preview.no_right), (6, 1), "{action:?}");
    }
    let all = bulk::preview(app, &admin(), BulkAction::Delete, None, RunFilter::default()).await.unwrap();
    assert_eq!((all.total, all.no_right), (7, 0));
}

/// What a worker does that has lost its work to another is undone with the note of it.
#[tokio::test]
async fn what_is_done_and_that_it_is_counted_are_one_commit() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    // The newest come first.
    let (live, run) = (added_run(&app.store, &pipeline).await.id, ended(&app.store, &pipeline).await);
    let work = start(app, &admin(), BulkAction::Delete, &pipeline).await;
    let record = store::bulk::find(&app.store, &work.id).await.unwrap().unwrap();
    let note = |held_until: Timestamp| Note {
        work: work.id.clone(),
        after: Some(run.clone()),
        done: 1,
        skipped: 0,
        held_until,
        leased_until: held_until,
    };
    let late = note(Timestamp::from_millis(7));
    let epoch = store::runs::find(&app.store, &run).await.unwrap().unwrap().epoch;
    let delete =
        async |note: &Note| store::removals::delete_run(&app.store, &run, epoch, now(), Some(note)).await;
    assert!(matches!(delete(&late).await, Err(Error::Conflict(_))));
    assert!(store::runs::find(&app.store, &run).await.unwrap().is_some());
    let cancel = async |note: Note| {
        let change = store::runs::RunChange {
            status: Some(RunStatus::Canceled),
            note: Some(note),
            ..store::runs::RunChange::of(live.clone())
        };
        store::runs::change(&app.store, change).await
    };
    assert!(matches!(cancel(late).await, Err(Error::Conflict(_))));
    let status = store::runs::find(&app.store, &live).await.unwrap().unwrap().run.status;
    assert_eq!(status, RunStatus::Queued);
    assert_eq!(store::bulk::find(&app.store, &work.id).await.unwrap().unwrap(), record);

    // Whoever had it died right here: the next goes on with what was counted.
    assert!(delete(&note(record.leased_until)).await.unwrap());
    let done = carried_out(app, &work).await;
    assert_eq!((done.state, done.total, done.done, done.skipped), (BulkState::Done, 2, 1, 1));
}

#[tokio::test]
async fn works_that_ended_long_ago_are_forgotten() {
    let Parts { app, .. } = &Parts::start().await;
    let pipeline = added_pipeline(&app.store, "build").await.id;
    let work = start(app, &admin(), BulkAction::Delete, &pipeline).await;
    carried_out(app, &work).await;
    bulk::trim(app).await.unwrap();
    assert!(bulk::get(app, &admin(), &work.id).await.is_ok());
    let going = start(app, &admin(), BulkAction::Delete, &pipeline).await;
    let later = Timestamp::from_millis(now().as_millis() + 1);
    assert_eq!(store::bulk::trim(&app.store, later, 10).await.unwrap(), 1);
    assert!(matches!(bulk::get(app, &admin(), &work.id).await, Err(Error::NotFound { .. })));
    assert!(bulk::get(app, &admin(), &going.id).await.is_ok());
}
