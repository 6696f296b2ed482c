//! The truth: SQL by SeaORM, on SQLite and on PostgreSQL alike. The only place that knows SeaORM.
//!
//! What must not be seen half done is one transaction, and a decision that others may make at the same time is one
//! compare-and-set statement or is taken while the row that it rests on is locked. SQLite has one writer at a time:
//! all writes share one connection, so that they queue up here rather than time out there, and reads have their own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};

use crate::config::DatabaseConfig;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::metrics::{self, Durations, Family, Kind};
use crate::store::connection::Target;
use crate::store::error::DbResult as _;

pub mod audit;
pub mod bulk;
mod column;
mod connection;
mod entities;
mod error;
mod migrate;
#[path = "../../migrations/mod.rs"]
mod migrations;
pub mod page;
pub mod people;
pub mod pipelines;
#[cfg(test)]
mod plans;

pub mod removals;
pub mod retention;
mod run_change;
mod run_filter;
mod run_rows;
pub mod run_stats;
pub mod runs;
pub mod secrets;
pub mod snapshot;
mod steps;
pub mod tokens;
pub mod workers;

pub use connection::PoolUse;
pub use error::DEPENDENCY;

/// How long a health check waits for its round trip.
const PING_MAX: Duration = Duration::from_secs(5);

/// The most rows that one call gives, where the caller says how many.
const SLICE_ROWS_MAX: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One migration, as `migrate status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    pub name: String,
    pub applied: bool,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    target: Arc<Target>,
    writer: DatabaseConnection,
    /// On PostgreSQL the same pool as `writer`.
    reader: DatabaseConnection,
    pub round_trips: Family<Kind, Durations, fn() -> Durations>,
}

/// By hand: the address holds a password.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, and brings it up to date if the configuration says so. A database that is newer
    /// than this program is refused (`Error::Conflict`, saying what to do), and so is one that is older while
    /// `migrate_at_start` is off.
    pub async fn connect(config: &DatabaseConfig, data_dir: &Path) -> Result<Self> {
        let store = Self::open(config, data_dir).await?;
        let missing: Vec<String> = store
            .migrations()
            .await?
            .into_iter()
            .filter(|migration| !migration.applied)
            .map(|migration| migration.name)
            .collect();
        if missing.is_empty() {
            return Ok(store);
        }
        if !config.migrate_at_start {
            return Err(Error::Conflict(format!(
                "the database is older than this program: it lacks {}; run `slipway migrate`, or let the server do \
                 it at its start",
                missing.join(", ")
            )));
        }
        store.migrate().await?;
        Ok(store)
    }

    /// Opens the database as it is, for `slipway migrate`.
    ///
    /// # Errors
    ///
    /// - `Invalid` if the address is none of SQLite's or PostgreSQL's.
    /// - `Unavailable` if the database cannot be reached, or its file not be opened, within five seconds.
    pub async fn open(config: &DatabaseConfig, data_dir: &Path) -> Result<Self> {
        let target = Target::of(config, data_dir)?;
        let (mut writer, mut reader) = target.connect(config.connections_max).await?;
        let round_trips = metrics::round_trips();
        for connection in [&mut writer, &mut reader] {
            let round_trips = round_trips.clone();
            connection.set_metric_callback(move |info| {
                let kind = kind_of(&info.statement.sql);
                round_trips.get_or_create(&Kind { kind }).observe(info.elapsed);
            });
        }
        Ok(Self { target: Arc::new(target), writer, reader, round_trips })
    }

    /// Which database is configured, without opening it.
    pub fn engine_of(config: &DatabaseConfig, data_dir: &Path) -> Result<Engine> {
        Target::of(config, data_dir).map(|target| target.engine())
    }

    /// All migrations of this program, in order.
    ///
    /// # Errors
    ///
    /// `Conflict` if the database has one that this program does not know.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>> {
        migrate::states(&self.writer).await
    }

    /// Whether this program knows the migration, so that it can use a database which has it.
    pub fn knows(migration: &str) -> bool {
        migrate::knows(migration)
    }

    /// Applies what is missing; PostgreSQL: under an advisory lock, so that several servers may start at once.
    pub async fn migrate(&self) -> Result<()> {
        migrate::apply(self, None).await
    }

    /// Applies the next `count` migrations of those that are missing.
    pub async fn migrate_next(&self, count: u32) -> Result<()> {
        migrate::apply(self, Some(count)).await
    }

    /// A round trip.
    pub async fn ping(&self) -> Result<()> {
        let round_trip = self.reader.execute_unprepared("SELECT 1");
        match tokio::time::timeout(PING_MAX, round_trip).await {
            Ok(answer) => answer.doing("asking the database for a sign of life").map(drop),
            Err(elapsed) => Err(Error::unavailable(error::DEPENDENCY, elapsed)),
        }
    }

    /// What the database's clock says; none: it is this machine's.
    pub async fn clock(&self) -> Result<Option<Timestamp>> {
        const DOING: &str = "asking the database for the time";
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let query = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT AS now";
        let statement = Statement::from_string(DbBackend::Postgres, query);
        let row = self.reader.query_one_raw(statement).await.doing(DOING)?;
        let millis = row.map(|row| row.try_get::<i64>("", "now")).transpose().doing(DOING)?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// Whether there is a database to be opened. Opening SQLite's makes the file.
    pub fn is_made(config: &DatabaseConfig, data_dir: &Path) -> Result<bool> {
        Ok(match Target::of(config, data_dir)? {
            Target::Sqlite(path) => path.exists(),
            Target::Postgres(_) => true,
        })
    }

    pub fn engine(&self) -> Engine {
        self.target.engine()
    }

    /// How many connections there are, by pool.
    pub fn pools(&self) -> Vec<PoolUse> {
        match self.engine() {
            Engine::Postgres => vec![connection::pool_use("all", self.writer.get_postgres_connection_pool())],
            Engine::Sqlite => vec![
                connection::pool_use("writer", self.writer.get_sqlite_connection_pool()),
                connection::pool_use("readers", self.reader.get_sqlite_connection_pool()),
            ],
        }
    }

    /// Waits for what is under way, then closes all connections.
    pub async fn close(self) {
        for pool in [self.reader, self.writer] {
            if let Err(error) = pool.close().await {
                tracing::warn!(%error, "A connection to the database did not close in order");
            }
        }
    }

    /// Begins a transaction that writes. On SQLite it has the write lock from its first statement on: one that
    /// began by reading could not get it later without the risk of being refused at once.
    async fn begin(&self, doing: &'static str) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writer.begin_with_options(options).await.doing(doing)
    }
}

/// What a statement does, by its first word.
fn kind_of(sql: &str) -> &'static str {
    let word = sql.trim_start().split(' ').next().unwrap_or_default();
    let known = ["select", "insert", "update", "delete"];
    known.into_iter().find(|kind| word.eq_ignore_ascii_case(kind)).unwrap_or("other")
}
