//! Opening databases, and losing them.

use std::os::unix::fs::PermissionsExt as _;

use sea_orm::{ConnectionTrait as _, Statement};
use slipway::config::DatabaseConfig;
use slipway::domain::secret::Secret;
use slipway::error::Error;
use slipway::store::{Engine, Store, pipelines};

use super::factory::{added_pipeline, pipeline};
use crate::support::database::TestDatabase;

fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig { url: Some(Secret::new(url.to_owned())), connections_max: 4, migrate_at_start: true }
}

#[tokio::test]
async fn sqlite_keeps_a_private_file_in_wal_mode_and_finds_it_again() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let data_dir = database.data_dir().join("made/here");
    let defaults = DatabaseConfig { url: None, ..config("") };
    let store = Store::connect(&defaults, &data_dir).await.unwrap();
    let build = added_pipeline(&store, "build").await;
    let file = data_dir.join("slipway.db");
    for path in [file.clone(), data_dir.join("slipway.db-wal")] {
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
    store.close().await;

    let by_url = config(&format!("sqlite://{}", file.display()));
    let store = Store::connect(&by_url, database.data_dir()).await.unwrap();
    assert_eq!(pipelines::find(&store, "build").await.unwrap(), Some(build));
    let raw = sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let mode = Statement::from_string(raw.get_database_backend(), "PRAGMA journal_mode");
    let mode: String = raw.query_one_raw(mode).await.unwrap().unwrap().try_get_by(0).unwrap();
    assert_eq!(mode, "wal");
    raw.close().await.unwrap();
    store.close().await;
}

/// A reader that has a page open does not hold up a writer, nor the other way round.
#[tokio::test]
async fn sqlite_is_read_while_another_process_writes() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let store = database.connect().await;
    added_pipeline(&store, "build").await;
    let raw = database.raw().await;
    raw.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    raw.execute_unprepared("UPDATE pipelines SET name = 'changed'").await.unwrap();
    assert!(pipelines::find(&store, "build").await.unwrap().is_some());
    let refused = pipelines::insert(&store, &pipeline("other")).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { dependency: "database", .. }), "{refused:?}");
    raw.execute_unprepared("ROLLBACK").await.unwrap();
    pipelines::insert(&store, &pipeline("other")).await.unwrap();
    raw.close().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_its_password_stays_secret() {
    let data_dir = tempfile::tempdir().unwrap();
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = config(&format!("postgres://me:hunter2@127.0.0.1:{port}/db"));
    let error = Store::connect(&away, data_dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { dependency: "database", .. }), "{error:?}");
    assert!(!format!("{error:?} {}", error.chain()).contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_database_that_goes_away_is_unavailable_and_comes_back() {
    let database = TestDatabase::create(Engine::Postgres).await;
    let store = database.connect().await;
    store.ping().await.unwrap();
    let raw = database.raw().await;
    raw.execute_unprepared(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    let lost = pipelines::insert(&store, &pipeline("build")).await;
    assert!(matches!(lost, Err(Error::Unavailable { dependency: "database", .. })), "{lost:?}");
    // Each connection of the pool may have to fail once before it is replaced.
    let mut again = lost;
    for _ in 0..database.config().connections_max {
        again = pipelines::insert(&store, &pipeline("build")).await;
        if again.is_ok() {
            break;
        }
    }
    again.unwrap();
    assert!(!format!("{store:?}").contains("postgres:"), "{store:?}");
    raw.close().await.unwrap();
    store.close().await;
    database.remove().await;
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_an_error_and_no_panic() {
    let database = TestDatabase::create(Engine::Postgres).await;
    let store = database.connect().await;
    let refused = pipelines::insert(&store, &pipeline("a\0b")).await.unwrap_err();
    assert!(matches!(refused, Error::Internal { .. }), "{refused:?}");
    store.close().await;
    database.remove().await;
}
