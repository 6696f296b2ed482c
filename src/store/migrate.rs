//! Bringing the database up to date.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, EntityTrait as _, TransactionTrait as _};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait as _, SchemaManager, seaql_migrations};

use crate::error::{Error, Result};
use crate::store::connection::{Target, connect_postgres};
use crate::store::error::DbResult as _;
use crate::store::migrations::Migrator;
use crate::store::{MigrationState, Store};

const DOING: &str = "bringing the database up to date";

/// PostgreSQL's advisory lock on migrations, of the database that is migrated: any number that nobody else uses.
const LOCK_KEY: i64 = 0x0073_6c69_7077_6179;

/// How long a server waits while another one migrates.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(600);

pub(super) async fn states<'c>(db: impl IntoSchemaManagerConnection<'c>) -> Result<Vec<MigrationState>> {
    let recorded = recorded(db).await?;
    let known: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    if let Some(unknown) = recorded.iter().rev().find(|name| !known.contains(name)) {
        return Err(Error::Conflict(format!(
            "the database is newer than this program: it has the migration {unknown}, and this program's last is \
             {}; start the version of Slipway that the database was last used with, or a later one",
            known.last().map_or("none", String::as_str)
        )));
    }
    Ok(known.into_iter().map(|name| MigrationState { applied: recorded.contains(&name), name }).collect())
}

pub(super) fn knows(name: &str) -> bool {
    Migrator::migrations().iter().any(|migration| migration.name() == name)
}

/// The names of the migrations that the database has seen, in order.
async fn recorded<'c>(db: impl IntoSchemaManagerConnection<'c>) -> Result<Vec<String>> {
    let manager = SchemaManager::new(db);
    // Asked first, so that looking at a database does not change it.
    if !manager.has_table("seaql_migrations").await.doing(DOING)? {
        return Ok(Vec::new());
    }
    let mut names: Vec<String> = seaql_migrations::Entity::find()
        .all(manager.get_connection())
        .await
        .doing(DOING)?
        .into_iter()
        .map(|migration| migration.version)
        .collect();
    names.sort();
    Ok(names)
}

/// Applies the next `count` migrations, or all. What another process applied meanwhile is seen under the lock, so
/// that nothing is applied twice.
pub(super) async fn apply(store: &Store, count: Option<u32>) -> Result<()> {
    match &*store.target {
        Target::Sqlite(_) => {
            // The outer transaction is the lock: it has the write lock of the file from its beginning.
            let tx = store.begin(DOING).await?;
            states(&tx).await?;
            Migrator::up(&tx, count).await.doing(DOING)?;
            tx.commit().await.doing(DOING)
        }
        Target::Postgres(options) => {
            // A connection of its own, so that a pool of one connection is enough for the migrations, and a lock that
            // ends with its transaction: it is released whatever becomes of this process, also behind a
            // pooler that lends out a connection for one transaction.
            let connection = connect_postgres(options, 1).await?;
            let lock = connection.begin().await.doing(DOING)?;
            lock.execute_unprepared(&format!(
                "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_advisory_xact_lock({LOCK_KEY})",
                LOCK_WAIT_MAX.as_millis()
            ))
            .await
            .doing("waiting for another server's migrations")?;
            states(&store.writer).await?;
            Migrator::up(&store.writer, count).await.doing(DOING)?;
            lock.rollback().await.doing(DOING)?;
            connection.close().await.doing(DOING)
        }
    }
}
