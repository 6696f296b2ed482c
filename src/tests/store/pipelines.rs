//! Pipelines in the store.

use slipway::domain::ids::PipelineId;
use slipway::domain::pipeline::Pipeline;
use slipway::domain::retention::Retention;
use slipway::domain::run::RunStatus;
use slipway::error::Error;
use slipway::store::page::PageRequest;
use slipway::store::pipelines::{self, Deletion, PipelineChange};
use slipway::store::runs::{self, Insertion, RunFilter};
use slipway::store::{Store, pipelines::find};

use super::factory::{added_pipeline, added_run, at, moved, new_run, pipeline};

on_both_engines!(
    a_pipeline_is_read_back_as_it_was_written,
    a_name_is_taken_until_its_pipeline_is_deleted,
    an_id_is_looked_up_before_a_name_that_looks_like_one,
    a_change_touches_only_what_it_names,
    a_search_takes_its_characters_for_themselves_in_either_case,
    pages_go_by_name_without_gap_or_repetition,
    a_pipeline_with_live_runs_is_not_deleted,
    no_run_slips_in_while_a_pipeline_is_deleted,
);

async fn a_pipeline_is_read_back_as_it_was_written(store: Store) {
    let whole = Pipeline {
        description: Some("Überprüft alles: 检查 ✓ 'quoted' \"twice\" \\ %_".to_owned()),
        repository: Some("https://example.com/a.git".to_owned()),
        default_branch: Some("main".to_owned()),
        definition: Some("steps:\n  - name: a\n    run: \"true\"\n".to_owned()),
        retention: Some(Retention { logs: Some("30d".to_owned()), ..Retention::default() }),
        created_at: at(1_795_478_400_123),
        updated_at: at(1_795_478_400_456),
        ..pipeline("größe/建")
    };
    pipelines::insert(&store, &whole).await.unwrap();
    assert_eq!(find(&store, whole.id.as_str()).await.unwrap().as_ref(), Some(&whole));
    assert_eq!(find(&store, "größe/建").await.unwrap(), Some(whole));
    assert_eq!(find(&store, "absent").await.unwrap(), None);
    assert_eq!(find(&store, PipelineId::generate().as_str()).await.unwrap(), None);
}

async fn a_name_is_taken_until_its_pipeline_is_deleted(store: Store) {
    let first = added_pipeline(&store, "build").await;
    let other = added_pipeline(&store, "other").await;
    let refused = pipelines::insert(&store, &pipeline("build")).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("build")), "{refused:?}");
    let rename = PipelineChange { name: Some("build".to_owned()), ..PipelineChange::default() };
    let refused = pipelines::update(&store, &other.id, rename.clone(), at(5)).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("build")), "{refused:?}");

    assert_eq!(pipelines::delete(&store, &first.id, at(3)).await.unwrap(), Deletion::Deleted);
    assert_eq!(pipelines::delete(&store, &first.id, at(3)).await.unwrap(), Deletion::NotFound);
    assert_eq!(find(&store, first.id.as_str()).await.unwrap(), None);
    assert_eq!(find(&store, "build").await.unwrap(), None);
    assert_eq!(pipelines::update(&store, &first.id, rename.clone(), at(5)).await.unwrap(), None);
    let renamed = pipelines::update(&store, &other.id, rename, at(5)).await.unwrap().unwrap();
    assert_eq!(find(&store, "build").await.unwrap(), Some(renamed));
}

async fn an_id_is_looked_up_before_a_name_that_looks_like_one(store: Store) {
    let first = added_pipeline(&store, "first").await;
    let absent = PipelineId::generate();
    let shadow = added_pipeline(&store, first.id.as_str()).await;
    let named_as_absent = added_pipeline(&store, absent.as_str()).await;
    assert_eq!(find(&store, first.id.as_str()).await.unwrap(), Some(first));
    assert_eq!(find(&store, shadow.id.as_str()).await.unwrap(), Some(shadow));
    assert_eq!(find(&store, absent.as_str()).await.unwrap(), Some(named_as_absent));
}

async fn a_change_touches_only_what_it_names(store: Store) {
    let before = Pipeline {
        description: Some("a".to_owned()),
        repository: Some("r".to_owned()),
        default_branch: Some("main".to_owned()),
        retention: Some(Retention { keep_runs: Some(3), ..Retention::default() }),
        ..pipeline("build")
    };
    pipelines::insert(&store, &before).await.unwrap();
    let change = PipelineChange {
        name: Some("Bauen".to_owned()),
        description: Some(None),
        definition: Some(Some("steps: []".to_owned())),
        retention: Some(None),
        ..PipelineChange::default()
    };
    let after = pipelines::update(&store, &before.id, change, at(9)).await.unwrap().unwrap();
    let expected = Pipeline {
        name: "Bauen".to_owned(),
        description: None,
        definition: Some("steps: []".to_owned()),
        retention: None,
        updated_at: at(9),
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(find(&store, "Bauen").await.unwrap(), Some(expected));
    assert_eq!(searched(&store, "bauen").await, ["Bauen"]);
    assert_eq!(
        pipelines::update(&store, &PipelineId::generate(), PipelineChange::default(), at(9)).await.unwrap(),
        None
    );
}

async fn searched(store: &Store, search: &str) -> Vec<String> {
    let page =
        pipelines::list(store, None, Some(search), PageRequest { limit: 100, cursor: None }).await.unwrap();
    page.items.into_iter().map(|pipeline| pipeline.name).collect()
}

async fn a_search_takes_its_characters_for_themselves_in_either_case(store: Store) {
    for name in ["a_b", "axb", "50%", "500", "c\\d", "ÄRGER", "Straße"] {
        added_pipeline(&store, name).await;
    }
    for (search, found) in [
        ("_", vec!["a_b"]),
        ("%", vec!["50%"]),
        ("\\", vec!["c\\d"]),
        ("A", vec!["Straße", "a_b", "axb"]),
        ("ärg", vec!["ÄRGER"]),
        ("STRA", vec!["Straße"]),
        ("50", vec!["50%", "500"]),
        ("zzz", vec![]),
    ] {
        assert_eq!(searched(&store, search).await, found, "{search}");
    }
}

/// Names that a language would order otherwise, and one that is added ahead of the cursor between two pages.
async fn pages_go_by_name_without_gap_or_repetition(store: Store) {
    let mut names = ["B", "a", "Z", "b", "_", "é", "z", "-", "1", "10", "2"].map(str::to_owned).to_vec();
    for name in &names {
        added_pipeline(&store, name).await;
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = pipelines::list(&store, None, None, PageRequest { limit: 3, cursor }).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|pipeline| pipeline.name));
        if seen.len() == 3 {
            added_pipeline(&store, "zz").await;
            names.push("zz".to_owned());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    names.sort();
    assert_eq!(seen, names);
    let bad = PageRequest { limit: 3, cursor: Some("???".to_owned()) };
    let refused = pipelines::list(&store, None, None, bad).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { field, .. } if field == "cursor"));
}

async fn a_pipeline_with_live_runs_is_not_deleted(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let other = added_pipeline(&store, "other").await;
    added_run(&store, &other.id).await;
    let mut live = Vec::new();
    for status in RunStatus::ALL {
        let run = added_run(&store, &build.id).await;
        moved(&store, &run.id, status).await;
        if !status.is_ended() {
            live.push(run.id);
        }
    }
    assert_eq!(pipelines::delete(&store, &build.id, at(3)).await.unwrap(), Deletion::Live(4));
    assert!(find(&store, "build").await.unwrap().is_some());
    for id in &live[..2] {
        moved(&store, id, RunStatus::Canceled).await;
    }
    for id in &live[2..] {
        moved(&store, id, RunStatus::Canceled).await;
    }
    assert_eq!(pipelines::delete(&store, &build.id, at(3)).await.unwrap(), Deletion::Deleted);
    let filter = RunFilter { pipeline_id: Some(build.id.clone()), ..RunFilter::default() };
    let page = runs::list(&store, &filter, PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 8, "its runs stay");
    assert!(matches!(runs::insert(&store, new_run(&build.id)).await.unwrap(), Insertion::NoPipeline));
}

/// Triggers and a deletion at the same moment: either the deletion sees the run, or the trigger sees the deletion.
async fn no_run_slips_in_while_a_pipeline_is_deleted(store: Store) {
    for round in 0..20 {
        let build = added_pipeline(&store, &format!("build {round}")).await;
        let (first, deletion, second) = tokio::join!(
            tokio::spawn({
                let (store, run) = (store.clone(), new_run(&build.id));
                async move { runs::insert(&store, run).await.unwrap() }
            }),
            tokio::spawn({
                let (store, id) = (store.clone(), build.id.clone());
                async move { pipelines::delete(&store, &id, at(3)).await.unwrap() }
            }),
            tokio::spawn({
                let (store, run) = (store.clone(), new_run(&build.id));
                async move { runs::insert(&store, run).await.unwrap() }
            }),
        );
        let inserted = [first.unwrap(), second.unwrap()]
            .into_iter()
            .filter(|insertion| matches!(insertion, Insertion::Inserted(_)))
            .count();
        match deletion.unwrap() {
            Deletion::Deleted => assert_eq!(inserted, 0),
            Deletion::Live(live) => assert!((1..=2).contains(&live) && inserted == 2),
            Deletion::NotFound => panic!("the pipeline was there"),
        }
    }
}
