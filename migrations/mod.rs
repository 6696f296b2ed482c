//! The schema's steps, in order. Part of `store`, which wires this directory in; `README.md` says how to add one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

mod m0001_pipelines;
mod m0002_runs;
mod m0003_tokens;
mod m0004_workers;
mod m0005_worker_places;
mod m0006_taken_from;
mod m0007_audit;
mod m0008_people;
mod m0009_secrets;
mod m0013_run_ends;
mod m0014_removals;
mod m0015_retention;
mod m0016_first_errors;
mod m0017_runs_by;
mod m0018_runs_logs;

#[derive(Debug)]
pub(super) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_pipelines::STEP),
            Box::new(m0002_runs::STEP),
            Box::new(m0003_tokens::STEP),
            Box::new(m0004_workers::STEP),
            Box::new(m0005_worker_places::STEP),
            Box::new(m0006_taken_from::STEP),
            Box::new(m0007_audit::STEP),
            Box::new(m0008_people::STEP),
            Box::new(m0009_secrets::STEP),
            Box::new(m0013_run_ends::STEP),
            Box::new(m0014_removals::STEP),
            Box::new(m0015_retention::STEP),
            Box::new(m0016_first_errors::STEP),
            Box::new(m0017_runs_by::STEP),
            Box::new(m0018_runs_logs::STEP),
        ]
    }
}

/// One migration: SQL that both engines understand, but for the types in [`Types`].
struct Step {
    name: &'static str,
    up: fn(&Types) -> String,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let types = Types::of(manager.get_database_backend());
        manager.get_connection().execute_unprepared(&(self.up)(&types)).await?;
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(format!(
            "{} cannot be undone: migrations only go forward, restore a backup instead",
            self.name
        )))
    }

    /// On both engines, so that a migration is either whole or has not happened.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What the engines call differently.
struct Types {
    /// Text that is compared byte by byte. PostgreSQL would otherwise order by the language of its installation,
    /// and the order of a list, and with it the meaning of a cursor, would depend on the server.
    text: &'static str,
    bytes: &'static str,
    /// Follows a table whose rows change often: space in each page lets PostgreSQL put the new version of a row
    /// beside the old one, without touching the indexes of columns that stay as they are.
    often_updated: &'static str,
}

impl Types {
    fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => {
                Self { text: r#"TEXT COLLATE "C""#, bytes: "BYTEA", often_updated: "WITH (fillfactor = 80)" }
            }
            _ => Self { text: "TEXT", bytes: "BLOB", often_updated: "" },
        }
    }
}
