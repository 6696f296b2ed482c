//! Migrations: with data, all at once, and against databases of other versions.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use slipway::domain::ids::{RunId, WorkerId};
use slipway::domain::run::{RunStatus, StepStatus};
use slipway::error::Error;
use slipway::store::page::PageRequest;
use slipway::store::runs::RunChange;
use slipway::store::workers::WorkerRecord;
use slipway::store::{Engine, Store, pipelines, runs, tokens, workers};

use super::factory::{added, added_pipeline, at, new_run, step};
use super::fixtures::{self, HOST, PIPELINE, RUN, WORKER};
use crate::support::database::TestDatabase;

on_both_engines!(bare:
    every_migration_keeps_the_rows_that_are_there,
    servers_that_start_at_once_migrate_once,
    a_newer_database_is_refused,
    a_program_that_runs_goes_on_when_a_later_one_expands_the_schema,
    an_older_database_is_refused_where_the_server_may_not_migrate,
    looking_at_a_database_does_not_change_it,
);

/// Applies one migration at a time, each to a database with rows in all tables that there were before it.
async fn every_migration_keeps_the_rows_that_are_there(database: TestDatabase) -> TestDatabase {
    let store = database.open().await;
    let raw = database.raw().await;
    let bytes = match store.engine() {
        Engine::Sqlite => |digits: &str| format!("x'{digits}'"),
        Engine::Postgres => |digits: &str| format!("'\\x{digits}'"),
    };
    let fixtures = fixtures::all(bytes);
    let migrations = store.migrations().await.unwrap();
    for (done, migration) in migrations.iter().enumerate() {
        store.migrate_next(1).await.unwrap();
        let applied = store.migrations().await.unwrap();
        assert_eq!(applied.iter().filter(|migration| migration.applied).count(), done + 1);
        for fixture in fixtures.iter().filter(|fixture| fixture.migration == migration.name) {
            for row in &fixture.rows {
                raw.execute_unprepared(row).await.unwrap_or_else(|error| panic!("{row}: {error}"));
            }
        }
        for fixture in fixtures.iter().filter(|fixture| fixture.migration <= migration.name.as_str()) {
            let count = count(&raw, fixture.table).await;
            assert_eq!(count, fixture.rows.len() as i64, "{} after {}", fixture.table, migration.name);
        }
    }
    let with_rows: BTreeSet<String> = fixtures.iter().map(|fixture| fixture.table.to_owned()).collect();
    assert_eq!(tables(&raw).await, with_rows, "each table has rows in fixtures.rs");

    store.migrate().await.unwrap();
    rows_are_readable(&store).await;
    raw.close().await.unwrap();
    store.close().await;
    database
}

async fn rows_are_readable(store: &Store) {
    let pipeline = pipelines::find(store, PIPELINE).await.unwrap().unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.description.as_deref()), ("Bau", Some("größe")));
    let run = runs::find(store, &RUN.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        (run.run.status, run.run.number, run.run.inputs["a"].as_str()),
        (RunStatus::Succeeded, 1, "b")
    );
    assert!(run.settled && run.archived && !run.cancel_requested);
    assert_eq!(
        (run.steps[0].step.name.as_str(), run.steps[0].step.needs.as_slice()),
        ("test", &["x".to_owned()][..])
    );
    assert_eq!(tokens::find_by_hash(store, &[7; 32]).await.unwrap().unwrap().name, "ci");
    let worker = workers::find(store, &WORKER.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(worker.host.as_str(), HOST);
}

async fn count(raw: &DatabaseConnection, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) AS n FROM {table}");
    let row =
        raw.query_one_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

/// All tables but the one that records the migrations.
async fn tables(raw: &DatabaseConnection) -> BTreeSet<String> {
    let sql = match raw.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        _ => "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'",
    };
    let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap();
    let mut tables: BTreeSet<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    assert!(tables.remove("seaql_migrations"));
    tables
}

async fn servers_that_start_at_once_migrate_once(database: TestDatabase) -> TestDatabase {
    let starts: Vec<_> = (0..5)
        .map(|_| {
            let (config, data_dir) = (database.config(), database.data_dir().to_owned());
            tokio::spawn(async move { Store::connect(&config, &data_dir).await.unwrap() })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap();
        assert!(store.migrations().await.unwrap().iter().all(|migration| migration.applied));
        store.close().await;
    }
    let store = database.connect().await;
    let raw = database.raw().await;
    assert_eq!(count(&raw, "seaql_migrations").await, store.migrations().await.unwrap().len() as i64);
    raw.close().await.unwrap();
    store.close().await;
    database
}

async fn a_newer_database_is_refused(database: TestDatabase) -> TestDatabase {
    database.connect().await.close().await;
    let raw = database.raw().await;
    raw.execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)")
        .await
        .unwrap();
    raw.close().await.unwrap();
    let refused = Store::connect(&database.config(), database.data_dir()).await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("m9999_later")), "{refused:?}");
    let store = database.open().await;
    assert!(matches!(store.migrate().await, Err(Error::Conflict(_))));
    assert!(matches!(store.migrations().await, Err(Error::Conflict(_))));
    store.close().await;
    database
}

/// What a rolling upgrade does to the server before it: its connections are open, and know its statements already.
async fn a_program_that_runs_goes_on_when_a_later_one_expands_the_schema(
    database: TestDatabase,
) -> TestDatabase {
    let store = database.connect().await;
    work(&store, "before").await;
    let raw = database.raw().await;
    for table in tables(&raw).await {
        raw.execute_unprepared(&format!("ALTER TABLE {table} ADD COLUMN later TEXT")).await.unwrap();
    }
    raw.execute_unprepared("CREATE TABLE later (id TEXT PRIMARY KEY)").await.unwrap();
    raw.execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)")
        .await
        .unwrap();
    // Twice: once each for statements that are prepared already and that are prepared anew.
    work(&store, "after").await;
    work(&store, "later").await;
    store.ping().await.unwrap();
    let refused = Store::connect(&database.config(), database.data_dir()).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "only a start is refused: {refused:?}");
    raw.close().await.unwrap();
    store.close().await;
    database
}

/// Reads and writes all tables.
async fn work(store: &Store, name: &str) {
    let pipeline = added_pipeline(store, name).await;
    let mut new = new_run(&pipeline.id);
    new.steps = vec![step(0, 1, StepStatus::Pending)];
    let run = added(store, new).await.id;
    let worker = WorkerRecord {
        id: WorkerId::generate(),
        host: HOST.parse().unwrap(),
        name: name.to_owned(),
        started_at: at(1),
        seen_at: at(2),
        fetched_at: None,
        concurrency: None,
        version: None,
    };
    workers::put(store, &worker).await.unwrap();
    let claim = RunChange {
        status: Some(RunStatus::Running),
        claim: Some(worker.id.clone()),
        steps: vec![step(0, 1, StepStatus::Running)],
        ..RunChange::of(run.clone())
    };
    assert!(runs::change(store, claim).await.unwrap().is_some());
    assert_eq!(runs::held(store, None, 100).await.unwrap().last().unwrap().id, run);
    moved_on(store, &run).await;
    let record = runs::find(store, &run).await.unwrap().unwrap();
    assert_eq!((record.run.status, record.steps.len()), (RunStatus::Succeeded, 1));
    assert!(runs::find_run(store, &run).await.unwrap().is_some());
    let page = PageRequest { limit: 10, cursor: None };
    assert_eq!(runs::list(store, &runs::RunFilter::default(), page).await.unwrap().items[0].id, run);
    assert_eq!(runs::logged(store, None, 100).await.unwrap().last().unwrap().id, run);
    assert!(pipelines::find(store, name).await.unwrap().is_some());
    assert_eq!(workers::find(store, &worker.id).await.unwrap(), Some(worker));
    assert!(tokens::find_by_hash(store, &[9; 32]).await.unwrap().is_none());
}

async fn moved_on(store: &Store, run: &RunId) {
    let end = RunChange {
        status: Some(RunStatus::Succeeded),
        finished_at: Some(Some(at(9))),
        steps: vec![step(0, 1, StepStatus::Succeeded)],
        ..RunChange::of(run.clone())
    };
    assert!(runs::change(store, end).await.unwrap().is_some());
}

async fn an_older_database_is_refused_where_the_server_may_not_migrate(
    database: TestDatabase,
) -> TestDatabase {
    let store = database.open().await;
    store.migrate_next(1).await.unwrap();
    store.close().await;
    let config = slipway::config::DatabaseConfig { migrate_at_start: false, ..database.config() };
    let refused = Store::connect(&config, database.data_dir()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Conflict(text) if text.contains("m0002_runs") && text.contains("migrate"))
    );
    database.connect().await.close().await;
    Store::connect(&config, database.data_dir()).await.unwrap().close().await;
    database
}

async fn looking_at_a_database_does_not_change_it(database: TestDatabase) -> TestDatabase {
    let store = database.open().await;
    let migrations = store.migrations().await.unwrap();
    assert!(!migrations.is_empty() && migrations.iter().all(|migration| !migration.applied));
    let names: Vec<_> = migrations.iter().map(|migration| migration.name.clone()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let raw = database.raw().await;
    assert!(
        raw.execute_unprepared("SELECT 1 FROM seaql_migrations").await.is_err(),
        "the table is not there"
    );
    raw.close().await.unwrap();
    store.close().await;
    database
}
