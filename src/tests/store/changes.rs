//! Changing runs: the compare-and-set that all of a run's life goes through.

use slipway::domain::ids::{RunId, WorkerId};
use slipway::domain::run::{Percent, RunStatus, StepStatus};
use slipway::store::Store;
use slipway::store::runs::{self, RunChange};

use super::factory::{added_pipeline, added_run, at, moved, step};

on_both_engines!(
    a_change_sets_all_that_it_names_and_nothing_else,
    bookkeeping_that_nobody_sees_leaves_the_version_alone,
    what_can_be_cleared_is_cleared,
    of_claims_at_once_exactly_one_wins,
    a_write_at_an_old_epoch_changes_nothing,
    a_release_shuts_the_worker_out_that_had_the_run,
    steps_are_added_and_replaced_with_the_change_or_not_at_all,
    a_change_without_guards_still_follows_the_picture,
    versions_rise_by_one_under_contention,
);

fn claim(id: &RunId, epoch: u64, worker: &WorkerId) -> RunChange {
    RunChange {
        from: vec![RunStatus::Queued],
        epoch: Some(epoch),
        claim: Some(worker.clone()),
        status: Some(RunStatus::Running),
        ..RunChange::of(id.clone())
    }
}

async fn a_change_sets_all_that_it_names_and_nothing_else(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let bystander = added_run(&store, &build.id).await;
    let worker = WorkerId::generate();
    assert_eq!(runs::change(&store, claim(&run.id, 0, &worker)).await.unwrap(), Some(2));
    let change = RunChange {
        epoch: Some(1),
        progress: Some(Percent::new(40)),
        attempt: Some(2),
        attempts_max: Some(5),
        commit: Some("abc".to_owned()),
        branch: Some("trunk".to_owned()),
        restart: Some(true),
        taken_from: Some(Some("silent".to_owned())),
        definition: Some("steps: []".to_owned()),
        reason: Some(Some("waits".to_owned())),
        error: Some(Some("broke".to_owned())),
        lines: Some(1 << 52),
        last_line_at: Some(at(11)),
        next_attempt_at: Some(Some(at(12))),
        started_at: Some(at(13)),
        finished_at: Some(Some(at(14))),
        deadline: Some(Some(at(15))),
        cancel_requested: Some(true),
        losses: Some(2),
        settled: Some(true),
        archived: Some(true),
        ..RunChange::of(run.id.clone())
    };
    assert_eq!(runs::change(&store, change).await.unwrap(), Some(3));
    let record = runs::find(&store, &run.id).await.unwrap().unwrap();
    let after = &record.run;
    assert_eq!((after.status, after.version, record.epoch), (RunStatus::Running, 3, 1));
    assert_eq!(record.worker, Some(worker));
    assert_eq!((after.progress.get(), after.attempt, after.attempts_max), (40, 2, 5));
    assert_eq!((after.commit.as_deref(), record.definition.as_deref()), (Some("abc"), Some("steps: []")));
    assert_eq!((after.reason.as_deref(), after.error.as_deref()), (Some("waits"), Some("broke")));
    assert_eq!(
        (after.lines, after.last_line_at, after.next_attempt_at),
        (1 << 52, Some(at(11)), Some(at(12)))
    );
    assert_eq!(
        (after.started_at, after.finished_at, record.deadline),
        (Some(at(13)), Some(at(14)), Some(at(15)))
    );
    assert!(record.cancel_requested && record.settled && record.archived && record.restart);
    assert_eq!(record.taken_from.as_deref(), Some("silent"));
    assert_eq!(after.branch.as_deref(), Some("trunk"));
    assert_eq!(record.losses, 2);
    assert_eq!(runs::find_run(&store, &run.id).await.unwrap().as_ref(), Some(after));
    assert_eq!(runs::find_run(&store, &bystander.id).await.unwrap(), Some(bystander));
    assert_eq!(runs::change(&store, RunChange::of(RunId::generate())).await.unwrap(), None);
}

async fn bookkeeping_that_nobody_sees_leaves_the_version_alone(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let change = RunChange { settled: Some(true), archived: Some(true), ..RunChange::of(run.id.clone()) };
    assert_eq!(runs::change(&store, change).await.unwrap(), Some(run.version));
    let record = runs::find(&store, &run.id).await.unwrap().unwrap();
    assert!(record.settled && record.archived);
    assert_eq!(record.run.version, run.version);
}

async fn what_can_be_cleared_is_cleared(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    for value in [Some(at(1)), None] {
        let text = value.map(|at| at.to_string());
        let change = RunChange {
            reason: Some(text.clone()),
            error: Some(text.clone()),
            next_attempt_at: Some(value),
            finished_at: Some(value),
            deadline: Some(value),
            ..RunChange::of(run.id.clone())
        };
        runs::change(&store, change).await.unwrap().unwrap();
        let record = runs::find(&store, &run.id).await.unwrap().unwrap();
        assert_eq!((record.run.reason, record.run.error), (text.clone(), text));
        assert_eq!(
            (record.run.next_attempt_at, record.run.finished_at, record.deadline),
            (value, value, value)
        );
    }
}

async fn of_claims_at_once_exactly_one_wins(store: Store) {
    let build = added_pipeline(&store, "build").await;
    for _ in 0..10 {
        let run = added_run(&store, &build.id).await;
        let claims: Vec<_> = (0..4)
            .map(|_| {
                let worker = WorkerId::generate();
                let (store, change) = (store.clone(), claim(&run.id, 0, &worker));
                tokio::spawn(async move { (worker, runs::change(&store, change).await.unwrap()) })
            })
            .collect();
        let mut winners = Vec::new();
        for claim in claims {
            if let (worker, Some(version)) = claim.await.unwrap() {
                assert_eq!(version, 2);
                winners.push(worker);
            }
        }
        let record = runs::find(&store, &run.id).await.unwrap().unwrap();
        assert_eq!(winners.len(), 1);
        assert_eq!((record.worker.as_ref(), record.epoch), (winners.first(), 1));
    }
}

async fn a_write_at_an_old_epoch_changes_nothing(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    runs::change(&store, claim(&run.id, 0, &WorkerId::generate())).await.unwrap().unwrap();
    let takeover = RunChange { from: vec![RunStatus::Running], ..claim(&run.id, 1, &WorkerId::generate()) };
    runs::change(&store, takeover).await.unwrap().unwrap();
    let before = runs::find(&store, &run.id).await.unwrap();
    for steps in [vec![], vec![step(0, 1, StepStatus::Running)]] {
        let late = RunChange {
            epoch: Some(1),
            status: Some(RunStatus::Succeeded),
            lines: Some(9),
            steps,
            ..RunChange::of(run.id.clone())
        };
        assert_eq!(runs::change(&store, late).await.unwrap(), None);
    }
    assert_eq!(runs::find(&store, &run.id).await.unwrap(), before);
}

async fn a_release_shuts_the_worker_out_that_had_the_run(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let worker = WorkerId::generate();
    runs::change(&store, claim(&run.id, 0, &worker)).await.unwrap().unwrap();
    let release = RunChange {
        from: vec![RunStatus::Running],
        release: true,
        status: Some(RunStatus::Queued),
        ..RunChange::of(run.id.clone())
    };
    assert_eq!(runs::change(&store, release).await.unwrap(), Some(3));
    let record = runs::find(&store, &run.id).await.unwrap().unwrap();
    assert_eq!((record.epoch, record.worker, record.run.status), (2, Some(worker), RunStatus::Queued));
}

async fn steps_are_added_and_replaced_with_the_change_or_not_at_all(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let write = |from, steps| RunChange { from: vec![from], steps, ..RunChange::of(run.id.clone()) };
    let first = vec![step(1, 1, StepStatus::Running), step(0, 1, StepStatus::Running)];
    assert_eq!(runs::change(&store, write(RunStatus::Queued, first)).await.unwrap(), Some(2));

    let mut ended = step(0, 1, StepStatus::Failed);
    ended.step.exit_code = Some(-1);
    ended.step.reason = Some("broke ✗".to_owned());
    ended.step.started_at = Some(at(3));
    ended.step.finished_at = Some(at(4));
    ended.step.first_line = Some(1);
    ended.step.last_line = Some(1 << 40);
    ended.step.first_error_line = Some(7);
    let retried = step(0, 2, StepStatus::Running);
    // The same attempt twice in one change: the later word counts.
    let second = vec![step(0, 1, StepStatus::Canceled), retried.clone(), ended.clone()];
    assert_eq!(runs::change(&store, write(RunStatus::Queued, second)).await.unwrap(), Some(3));
    let refused = vec![step(0, 3, StepStatus::Running)];
    assert_eq!(runs::change(&store, write(RunStatus::Running, refused)).await.unwrap(), None);

    let record = runs::find(&store, &run.id).await.unwrap().unwrap();
    assert_eq!(record.steps, [ended, retried, step(1, 1, StepStatus::Running)]);
}

/// From each status to each: a change that names none of `from` happens exactly along the edges.
async fn a_change_without_guards_still_follows_the_picture(store: Store) {
    let build = added_pipeline(&store, "build").await;
    for from in RunStatus::ALL {
        for to in RunStatus::ALL {
            let run = added_run(&store, &build.id).await;
            moved(&store, &run.id, from).await;
            let change = RunChange { status: Some(to), ..RunChange::of(run.id.clone()) };
            let changed = runs::change(&store, change).await.unwrap();
            assert_eq!(changed.is_some(), from.can_become(to), "{from:?} -> {to:?}");
        }
    }
}

async fn versions_rise_by_one_under_contention(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let changes: Vec<_> = (0..30_u64)
        .map(|n| {
            let steps = if n % 2 == 0 { vec![] } else { vec![step(0, 1, StepStatus::Running)] };
            let (store, change) =
                (store.clone(), RunChange { lines: Some(n), steps, ..RunChange::of(run.id.clone()) });
            tokio::spawn(async move { runs::change(&store, change).await.unwrap().unwrap() })
        })
        .collect();
    let mut versions = Vec::new();
    for change in changes {
        versions.push(change.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=31).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_change_along_no_edge_is_a_bug_that_shows() {
    let database = crate::support::database::TestDatabase::create(slipway::store::Engine::Sqlite).await;
    let store = database.connect().await;
    let change = RunChange {
        from: vec![RunStatus::Running, RunStatus::Succeeded],
        status: Some(RunStatus::Failed),
        ..RunChange::of(RunId::generate())
    };
    let changed = tokio::spawn(async move { runs::change(&store, change).await });
    assert!(changed.await.unwrap_err().is_panic());
}
