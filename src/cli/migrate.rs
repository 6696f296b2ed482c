//! `slipway migrate`: the database's migrations.

use clap::Subcommand;
use serde_json::json;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{BUSY, GOOD, Output};
use crate::config::Config;
use crate::store::{MigrationState, Store};

#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// Show which migrations are applied.
    Status,
    /// Apply those that are missing.
    Up,
}

pub(super) async fn run(output: Output, config: &Config, command: MigrateCommand) -> Result<Exit, Failure> {
    let store = Store::open(&config.database, &config.data_dir).await?;
    let result = match command {
        MigrateCommand::Status => status(output, &store).await,
        MigrateCommand::Up => up(output, &store).await,
    };
    store.close().await;
    result
}

async fn status(output: Output, store: &Store) -> Result<Exit, Failure> {
    let migrations = store.migrations().await?;
    if output.is_json() {
        output.json(&migrations.iter().map(as_json).collect::<Vec<_>>())?;
        return Ok(Exit::Success);
    }
    for migration in &migrations {
        let state = match migration.applied {
            true => output.paint(GOOD, "applied"),
            false => output.paint(BUSY, "missing"),
        };
        output.line(&format!("{state}  {}", migration.name))?;
    }
    Ok(Exit::Success)
}

async fn up(output: Output, store: &Store) -> Result<Exit, Failure> {
    let before = store.migrations().await?;
    store.migrate().await?;
    let applied: Vec<_> = before.into_iter().filter(|migration| !migration.applied).collect();
    if output.is_json() {
        let names: Vec<_> = applied.iter().map(|migration| &migration.name).collect();
        output.json(&json!({ "applied": names }))?;
    } else if applied.is_empty() {
        output.line("The database is up to date")?;
    } else {
        for migration in &applied {
            output.line(&format!("{}  {}", output.paint(GOOD, "applied"), migration.name))?;
        }
    }
    Ok(Exit::Success)
}

fn as_json(migration: &MigrationState) -> serde_json::Value {
    json!({ "name": migration.name, "applied": migration.applied })
}
