//! Making runs and reading them back.

use std::collections::{BTreeMap, HashSet};

use slipway::domain::ids::{PipelineId, RunId};
use slipway::domain::run::{Percent, RunStatus, RunTrigger, StepStatus, TriggerKind};
use slipway::error::Error;
use slipway::store::Store;
use slipway::store::runs::{self, Insertion, NewRun};

use super::factory::{added, added_pipeline, added_run, at, new_run, step};
use crate::support::database::TestDatabase;

on_both_engines!(
    a_run_is_read_back_as_it_was_written,
    what_is_not_there_is_not_found,
    fifty_triggers_at_once_are_numbered_from_1_to_50,
    numbers_count_per_pipeline,
    a_repeated_idempotency_key_gives_the_run_that_is_there,
    triggers_at_once_with_one_idempotency_key_make_one_run,
    a_run_of_many_steps_is_stored_whole,
    a_run_id_that_is_taken_is_a_conflict_and_takes_no_number,
);

mod unreadable {
    use super::a_row_that_no_slipway_wrote_is_an_error_and_no_panic;

    on_both_engines!(bare: a_row_that_no_slipway_wrote_is_an_error_and_no_panic);
}

async fn a_run_is_read_back_as_it_was_written(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let steps = vec![step(0, 0, StepStatus::Pending), {
        let mut second = step(1, 0, StepStatus::Pending);
        second.step.needs = vec!["step 0".to_owned(), "ü \"✓\"".to_owned()];
        second
    }];
    let new = NewRun {
        branch: Some("feature/größe-建".to_owned()),
        inputs: BTreeMap::from([("a".to_owned(), "ß\n\"'\\".to_owned()), (String::new(), String::new())]),
        trigger: RunTrigger { kind: TriggerKind::Queue, by: "bull".to_owned(), untrusted: false },
        attempts_max: 7,
        repository: Some("file:///r".to_owned()),
        definition: Some("steps: []".to_owned()),
        idempotency_key: Some("once".to_owned()),
        steps: steps.clone(),
        now: at(1_795_478_400_123),
        ..new_run(&build.id)
    };
    let run = added(&store, new.clone()).await;
    assert_eq!((run.number, run.pipeline_name.as_str(), run.status), (1, "build", RunStatus::Queued));
    assert_eq!((run.attempt, run.version, run.lines, run.progress), (1, 1, 0, Percent::ZERO));
    assert_eq!((&run.branch, &run.inputs, &run.trigger), (&new.branch, &new.inputs, &new.trigger));

    assert_eq!(runs::find_run(&store, &run.id).await.unwrap().as_ref(), Some(&run));
    let record = runs::find(&store, &run.id).await.unwrap().unwrap();
    assert_eq!(record.run, run);
    assert_eq!(record.steps, steps);
    assert_eq!((record.definition, record.repository), (new.definition, new.repository));
    assert_eq!((record.epoch, record.worker, record.losses, record.deadline), (0, None, 0, None));
    assert!(!record.cancel_requested && !record.settled && !record.archived);
}

async fn what_is_not_there_is_not_found(store: Store) {
    let id = RunId::generate();
    assert_eq!(runs::find(&store, &id).await.unwrap(), None);
    assert_eq!(runs::find_run(&store, &id).await.unwrap(), None);
    let insertion = runs::insert(&store, new_run(&PipelineId::generate())).await.unwrap();
    assert!(matches!(insertion, Insertion::NoPipeline));
    store.ping().await.unwrap();
}

async fn fifty_triggers_at_once_are_numbered_from_1_to_50(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let triggers: Vec<_> = (0..50)
        .map(|_| {
            let (store, run) = (store.clone(), new_run(&build.id));
            tokio::spawn(async move { added(&store, run).await.number })
        })
        .collect();
    let mut numbers = Vec::new();
    for trigger in triggers {
        numbers.push(trigger.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<u32>>());
}

async fn numbers_count_per_pipeline(store: Store) {
    let first = added_pipeline(&store, "first").await;
    let second = added_pipeline(&store, "second").await;
    for number in 1..=3 {
        assert_eq!(added_run(&store, &first.id).await.number, number);
        assert_eq!(added_run(&store, &second.id).await.number, number);
    }
}

async fn a_repeated_idempotency_key_gives_the_run_that_is_there(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let other = added_pipeline(&store, "other").await;
    let keyed =
        |pipeline_id: &PipelineId| NewRun { idempotency_key: Some("k".to_owned()), ..new_run(pipeline_id) };
    let run = added(&store, keyed(&build.id)).await;
    match runs::insert(&store, keyed(&build.id)).await.unwrap() {
        Insertion::Existing(existing) => assert_eq!(existing, run),
        insertion => panic!("{insertion:?}"),
    }
    assert_eq!(added(&store, keyed(&other.id)).await.number, 1, "a key counts within its pipeline");
    assert_eq!(added_run(&store, &build.id).await.number, 2, "the repetition took no number");
}

async fn triggers_at_once_with_one_idempotency_key_make_one_run(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let triggers: Vec<_> = (0..20)
        .map(|_| {
            let run = NewRun { idempotency_key: Some("k".to_owned()), ..new_run(&build.id) };
            let store = store.clone();
            tokio::spawn(async move { runs::insert(&store, run).await.unwrap() })
        })
        .collect();
    let mut inserted = 0;
    let mut ids = HashSet::new();
    for trigger in triggers {
        match trigger.await.unwrap() {
            Insertion::Inserted(run) => {
                inserted += 1;
                ids.insert(run.id);
            }
            Insertion::Existing(run) => {
                ids.insert(run.id);
            }
            Insertion::NoPipeline => panic!("the pipeline is there"),
        }
    }
    assert_eq!((inserted, ids.len()), (1, 1));
}

/// More than one statement takes.
async fn a_run_of_many_steps_is_stored_whole(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let steps: Vec<_> = (0..1234).map(|index| step(index, 0, StepStatus::Pending)).collect();
    let run = added(&store, NewRun { steps: steps.clone(), ..new_run(&build.id) }).await;
    assert_eq!(runs::find(&store, &run.id).await.unwrap().unwrap().steps, steps);
}

async fn a_run_id_that_is_taken_is_a_conflict_and_takes_no_number(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run = added_run(&store, &build.id).await;
    let again = NewRun { id: run.id, ..new_run(&build.id) };
    assert!(matches!(runs::insert(&store, again).await, Err(Error::Conflict(_))));
    assert_eq!(added_run(&store, &build.id).await.number, 2);
}

async fn a_row_that_no_slipway_wrote_is_an_error_and_no_panic(database: TestDatabase) -> TestDatabase {
    use sea_orm::ConnectionTrait as _;

    let store = database.connect().await;
    let build = added_pipeline(&store, "build").await;
    let raw = database.raw().await;
    for damage in
        ["status = 'lost'", "inputs = '{'", "lines = -1", "trigger_kind = 'x'", "attempt = 4294967296"]
    {
        let run = added_run(&store, &build.id).await;
        raw.execute_unprepared(&format!("UPDATE runs SET {damage} WHERE id = '{}'", run.id)).await.unwrap();
        let error = runs::find(&store, &run.id).await.unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{damage}: {error:?}");
        assert!(error.chain().starts_with("while reading a row of runs"), "{}", error.chain());
    }
    raw.close().await.unwrap();
    store.close().await;
    database
}
