//! Lists of runs: for people by page, for the reconciler by slice.

use std::collections::BTreeSet;

use slipway::domain::ids::{HostId, RunId, WorkerId};
use slipway::domain::run::{RunStatus, RunTrigger, StepStatus, TriggerKind};
use slipway::error::Error;
use slipway::store::page::PageRequest;
use slipway::store::runs::{self, NewRun, RunChange, RunFilter, Towards};
use slipway::store::workers::{self, WorkerRecord};
use slipway::store::{Store, runs::list};

use super::factory::{added, added_pipeline, added_run, at, moved, new_run, step};

on_both_engines!(
    every_filter_gives_what_it_names_newest_first,
    runs_of_a_time_are_those_that_were_made_in_it,
    pages_have_no_gap_and_no_repetition_while_runs_are_added,
    a_cursor_that_no_page_gave_is_refused,
    queued_runs_come_in_slices_from_either_end,
    held_runs_come_with_their_workers_hosts,
    unfinished_business_is_what_has_ended_and_is_not_archived_or_not_settled,
);

async fn every_filter_gives_what_it_names_newest_first(store: Store) {
    let first = added_pipeline(&store, "first").await;
    let second = added_pipeline(&store, "second").await;
    let mut all = Vec::new();
    for round in 0..2 {
        for status in RunStatus::ALL {
            for pipeline_id in [&first.id, &second.id] {
                for branch in [None, Some("main".to_owned()), Some(format!("b{round}"))] {
                    let by = if all.len().is_multiple_of(2) { "ann" } else { "ci" }.to_owned();
                    let trigger = RunTrigger { kind: TriggerKind::Api, by, untrusted: false };
                    let run = added(&store, NewRun { branch, trigger, ..new_run(pipeline_id) }).await;
                    moved(&store, &run.id, status).await;
                    all.push(runs::find_run(&store, &run.id).await.unwrap().unwrap());
                }
            }
        }
    }
    all.reverse();
    let mut filters = Vec::new();
    for pipeline_id in [None, Some(first.id)] {
        for status in std::iter::once(None).chain(RunStatus::ALL.map(Some)) {
            for branch in [None, Some("main".to_owned()), Some("b1".to_owned())] {
                for by in [None, Some("ann".to_owned())] {
                    let (pipeline_id, branch) = (pipeline_id.clone(), branch.clone());
                    filters.push(RunFilter { pipeline_id, status, branch, by, ..RunFilter::default() });
                }
            }
        }
    }
    for filter in filters {
        let matches = |run: &&slipway::domain::run::Run| {
            filter.pipeline_id.as_ref().is_none_or(|id| *id == run.pipeline_id)
                && filter.status.is_none_or(|status| status == run.status)
                && (filter.branch.is_none() || filter.branch == run.branch)
                && filter.by.as_ref().is_none_or(|by| *by == run.trigger.by)
        };
        let expected: Vec<_> = all.iter().filter(matches).cloned().collect();
        let page = list(&store, &filter, PageRequest { limit: 100, cursor: None }).await.unwrap();
        assert_eq!(page.items, expected, "{filter:?}");
        assert_eq!(page.next_cursor, None);
    }
}

/// From the first instant on, up to and without the last one; also of some pipelines, and page by page.
async fn runs_of_a_time_are_those_that_were_made_in_it(store: Store) {
    let build = added_pipeline(&store, "build").await;
    for made in [1_000, 1_999, 2_000, 2_001, 2_999, 3_000] {
        added(&store, NewRun { id: RunId::first_at(at(made)), ..new_run(&build.id) }).await;
    }
    for (since, until, expected) in [
        (None, None, &[3_000, 2_999, 2_001, 2_000, 1_999, 1_000][..]),
        (Some(2_000), None, &[3_000, 2_999, 2_001, 2_000]),
        (None, Some(2_000), &[1_999, 1_000]),
        (Some(2_000), Some(3_000), &[2_999, 2_001, 2_000]),
        (Some(3_000), Some(2_000), &[]),
        (Some(i64::MAX), None, &[]),
        (None, Some(-1), &[]),
    ] {
        for pipelines in [None, Some(vec![build.id.clone()])] {
            let (since, until) = (since.map(at), until.map(at));
            let filter = RunFilter { since, until, pipelines, ..RunFilter::default() };
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = list(&store, &filter, PageRequest { limit: 2, cursor }).await.unwrap();
                seen.extend(page.items.iter().map(|run| run.id.made_at().as_millis()));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{filter:?}");
        }
    }
}

async fn pages_have_no_gap_and_no_repetition_while_runs_are_added(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let mut expected = Vec::new();
    for _ in 0..25 {
        expected.push(added_run(&store, &build.id).await.id);
    }
    expected.reverse();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = list(&store, &RunFilter::default(), PageRequest { limit: 5, cursor }).await.unwrap();
        seen.extend(page.items.into_iter().map(|run| run.id));
        added_run(&store, &build.id).await;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn a_cursor_that_no_page_gave_is_refused(store: Store) {
    for cursor in ["", "x", "bm90IGFuIGlk", "' OR 1=1"] {
        let page = PageRequest { limit: 5, cursor: Some(cursor.to_owned()) };
        let refused = list(&store, &RunFilter::default(), page).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { field, .. } if field == "cursor"), "{cursor}");
    }
}

async fn queued_runs_come_in_slices_from_either_end(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let mut expected = Vec::new();
    for n in 0..12 {
        let run = added_run(&store, &build.id).await;
        if n % 3 == 0 {
            moved(&store, &run.id, RunStatus::Running).await;
        } else {
            expected.push(run.id);
        }
    }
    for towards in [Towards::Newest, Towards::Oldest] {
        let mut seen: Vec<RunId> = Vec::new();
        loop {
            let slice = runs::queued(&store, towards, seen.last(), 3).await.unwrap();
            if slice.is_empty() {
                break;
            }
            assert!(slice.len() <= 3);
            seen.extend(slice.into_iter().map(|run| run.id));
        }
        assert_eq!(seen, expected, "{towards:?}");
        expected.reverse();
    }
}

async fn held_runs_come_with_their_workers_hosts(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let known = WorkerRecord {
        id: WorkerId::generate(),
        host: HostId::generate(),
        name: "one".to_owned(),
        started_at: at(1),
        seen_at: at(1),
        fetched_at: None,
        concurrency: Some(5),
        version: None,
    };
    workers::put(&store, &known).await.unwrap();
    let gone = WorkerId::generate();
    let mut expected = Vec::new();
    for status in RunStatus::ALL {
        for worker in [&known.id, &gone] {
            let run = added_run(&store, &build.id).await;
            moved(&store, &run.id, status).await;
            let claim = RunChange { claim: Some(worker.clone()), ..RunChange::of(run.id.clone()) };
            runs::change(&store, claim).await.unwrap().unwrap();
            if matches!(status, RunStatus::Running | RunStatus::Canceling) {
                let host = (*worker == known.id).then(|| known.host.clone());
                expected.push((run.id, 1, Some(worker.clone()), host));
            }
        }
    }
    let mut seen: Vec<(RunId, u64, Option<WorkerId>, Option<HostId>)> = Vec::new();
    loop {
        let slice = runs::held(&store, seen.last().map(|run| &run.0), 3).await.unwrap();
        if slice.is_empty() {
            break;
        }
        seen.extend(slice.into_iter().map(|run| (run.id, run.epoch, run.worker, run.host)));
    }
    assert_eq!(seen, expected);
}

async fn unfinished_business_is_what_has_ended_and_is_not_archived_or_not_settled(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let mut expected = BTreeSet::new();
    for status in RunStatus::ALL {
        for (archived, settled) in [(false, false), (true, false), (false, true), (true, true)] {
            for finished_at in [10, 30] {
                let run = added_run(&store, &build.id).await;
                moved(&store, &run.id, status).await;
                let change = RunChange {
                    archived: Some(archived),
                    settled: Some(settled),
                    finished_at: status.is_ended().then(|| Some(at(finished_at))),
                    steps: vec![step(0, 1, StepStatus::Succeeded)],
                    ..RunChange::of(run.id.clone())
                };
                runs::change(&store, change).await.unwrap().unwrap();
                if status.is_ended() && !(archived && settled) && finished_at == 10 {
                    expected.insert(run.id);
                }
            }
        }
    }
    let found = runs::unfinished_business(&store, at(20), None, 100).await.unwrap();
    assert_eq!(found.iter().map(|record| record.run.id.clone()).collect::<BTreeSet<_>>(), expected);
    for record in &found {
        assert_eq!(Some(record), runs::find(&store, &record.run.id).await.unwrap().as_ref());
        assert_eq!(record.steps.len(), 1);
    }
    assert_eq!(runs::unfinished_business(&store, at(20), None, 5).await.unwrap().len(), 5);
}
