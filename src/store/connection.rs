//! Where the database is, and how connections to it are set up.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use sea_orm::{DatabaseConnection, sqlx};

use crate::config::DatabaseConfig;
use crate::error::{Error, Result};
use crate::store::Engine;
use crate::store::error::DEPENDENCY;

/// The database where no address is given.
const SQLITE_FILE: &str = "slipway.db";

/// How long a request waits for a connection, or the start for the first one.
const ACQUIRE_MAX: Duration = Duration::from_secs(5);

/// How long SQLite waits for another process that writes.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Each connection to SQLite is a thread with a cache: beyond a few they only compete for the processor.
const SQLITE_READERS_MAX: u32 = 8;

/// A connection that was used just now is taken to be alive; one that rested longer is asked first. Asking each
/// time would double the round trips of the shortest queries; as it is, a server that is restarted under load fails
/// at most one request for each connection that it had.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Holds the password, so it has no `Debug`.
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Target {
    pub(super) fn of(config: &DatabaseConfig, data_dir: &Path) -> Result<Self> {
        let Some(url) = &config.url else { return Ok(Self::Sqlite(data_dir.join(SQLITE_FILE))) };
        Self::parse(url.reveal())
    }

    /// The text is never part of an error: it may hold a password.
    fn parse(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(":memory:") {
                let reason = "expected a file after `sqlite:`, without parameters; a database in memory would be \
                              another one for each connection";
                return Err(Error::invalid("database.url", reason));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            // The cause is left out, since it quotes parts of the address.
            let options = url.parse::<PgConnectOptions>().map_err(|_| {
                let reason = "expected `postgres://user:password@host:port/database`, with `%`-escapes where a \
                              part has `:`, `/`, `@` or `%`";
                Error::invalid("database.url", reason)
            })?;
            let options = options.application_name("slipway").disable_statement_logging();
            return Ok(Self::Postgres(Box::new(options)));
        }
        Err(Error::invalid("database.url", "expected `sqlite:<file>` or `postgres://…`"))
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Connections that write, and connections that read; PostgreSQL has one pool for both.
    pub(super) async fn connect(
        &self,
        connections_max: u32,
    ) -> Result<(DatabaseConnection, DatabaseConnection)> {
        match self {
            Self::Sqlite(path) => connect_sqlite(path, connections_max).await,
            Self::Postgres(options) => {
                let pool = connect_postgres(options, connections_max.max(1)).await?;
                Ok((pool.clone(), pool))
            }
        }
    }
}

/// How a pool of connections is used.
#[derive(Debug, Clone, Copy)]
pub struct PoolUse {
    pub name: &'static str,
    pub max: u32,
    pub open: u32,
    pub idle: usize,
}

pub(super) fn pool_use<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> PoolUse {
    PoolUse { name, max: pool.options().get_max_connections(), open: pool.size(), idle: pool.num_idle() }
}

async fn connect_sqlite(
    path: &Path,
    connections_max: u32,
) -> Result<(DatabaseConnection, DatabaseConnection)> {
    // SQLite does not wait for others who set a file's mode at the same time, so processes that start together
    // open it one after the other.
    let opening = lock_opening(path).await.map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    create_private(path).await.map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    // FULL: a commit is on the disk when it returns, so that a trigger that was confirmed outlives the loss of
    // power. NORMAL would outlive a crash of the process, but could lose the last commits with the machine; it saves
    // one sync a commit, and all that a run writes is a handful of commits.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_MAX)
        .foreign_keys(true)
        .disable_statement_logging();
    let pool = || {
        // A connection is a file that stays open: it can neither go away nor grow stale.
        SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_MAX)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // The mode stays in the file, so only the writer sets it, and before anybody reads.
    let writer = pool()
        .max_connections(1)
        .after_release(|connection, _| Box::pin(has_ended(connection)))
        .connect_with(options.clone().journal_mode(SqliteJournalMode::Wal))
        .await
        .map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    drop(opening);
    let reader = pool()
        .max_connections(connections_max.clamp(1, SQLITE_READERS_MAX))
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    Ok((writer.into(), reader.into()))
}

/// Whether the connection is out of its transaction, as it must be for the next one. Where the disk is full, SQLite itself
/// takes the transaction back, and sqlx, whose own attempt then fails, would take it for open for ever: what follows would
/// be savepoints in a transaction that nobody commits. Such a connection is closed.
async fn has_ended(connection: &mut SqliteConnection) -> sea_orm::sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // Dropping a transaction queues its end, which this waits for.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file, for its owner alone: it holds the hashes of tokens. SQLite gives the files beside it the same
/// permissions.
pub(super) async fn create_private(path: &Path) -> std::io::Result<()> {
    // A file that is there is not touched: closing it would let go of the locks that SQLite has on it.
    let made = tokio::fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).await;
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Waits until nobody else is opening the database, and holds others off until it is dropped.
async fn lock_opening(path: &Path) -> std::io::Result<std::fs::File> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory {
        tokio::fs::create_dir_all(directory).await?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push("-opening");
    let locked = tokio::task::spawn_blocking(move || {
        let file =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(name)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    });
    locked.await.map_err(std::io::Error::other)?
}

/// Also for a connection apart from the pool.
pub(super) async fn connect_postgres(
    options: &PgConnectOptions,
    connections_max: u32,
) -> Result<DatabaseConnection> {
    let pool = PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_MAX)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if PING_AFTER_IDLE <= meta.idle_for {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await
        .map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    Ok(pool.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was answered after the disk had been full was lost with the process, and seen by nobody before.
    #[tokio::test]
    async fn a_writer_whose_transaction_sqlite_took_back_is_replaced() {
        use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

        let dir = tempfile::tempdir().unwrap();
        let (writer, reader) = connect_sqlite(&dir.path().join("db"), 2).await.unwrap();
        writer.execute_unprepared("CREATE TABLE t (text TEXT)").await.unwrap();
        writer.execute_unprepared("PRAGMA max_page_count = 4").await.unwrap();
        let large = format!("INSERT INTO t VALUES ('{}')", "x".repeat(100_000));
        for _ in 0..3 {
            let Ok(tx) = writer.begin().await else { continue };
            // Full, until the connection is replaced by one that has no such bound.
            let _ = tx.execute_unprepared(&large).await;
        }
        let before = count(&reader).await;
        let tx = writer.begin().await.unwrap();
        tx.execute_unprepared("INSERT INTO t VALUES ('small')").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(count(&reader).await, before + 1);
    }

    async fn count(reader: &DatabaseConnection) -> i64 {
        use sea_orm::{ConnectionTrait as _, Statement};

        let count = Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT count(*) AS n FROM t");
        reader.query_one_raw(count).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    #[test]
    fn an_address_is_a_file_or_a_postgresql_server() {
        for (url, path) in
            [("sqlite://a/b.db", "a/b.db"), ("sqlite:/a b.db", "/a b.db"), ("sqlite:///a", "/a")]
        {
            assert!(
                matches!(Target::parse(url), Ok(Target::Sqlite(file)) if file == Path::new(path)),
                "{url}"
            );
        }
        for url in ["postgres://u:p@h:1/d", "postgresql://h/d"] {
            assert!(matches!(Target::parse(url), Ok(Target::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused_without_being_repeated() {
        let bad = [
            "",
            "mysql://u:hunter2@h/d",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?mode=hunter2",
            "postgres://u:hunter2@h:port/d",
            "/var/hunter2.db",
        ];
        for url in bad {
            let Err(error) = Target::parse(url) else { panic!("{url} was taken") };
            assert!(matches!(&error, Error::Invalid { field, .. } if field == "database.url"), "{url}");
            assert!(!error.chain().contains("hunter2"), "{}", error.chain());
        }
    }
}
