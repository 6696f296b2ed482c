//! A copy of the database at one moment, while others write to it.

use std::path::Path;

use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::connection::{Target, create_private};
use crate::store::error::{DEPENDENCY, DbResult as _};

const DOING: &str = "copying the database";

/// Writes the database as it is now to `path`, a new file for its owner alone.
///
/// `VACUUM INTO` reads in one transaction, which in WAL mode neither holds up those who write nor sees them. Copying the
/// file could not do that, and SQLite's backup API, which begins anew whenever somebody else writes, might never end.
///
/// # Errors
///
/// - `Invalid` if the database is PostgreSQL's.
/// - `Unavailable` if the disk is full.
pub async fn write(store: &Store, path: &Path) -> Result<()> {
    let Target::Sqlite(file) = &*store.target else {
        return Err(Error::invalid("database.url", "a PostgreSQL database is copied with pg_dump"));
    };
    let Some(to) = path.to_str() else {
        return Err(Error::invalid("data_dir", format!("{} is not UTF-8", path.display())));
    };
    create_private(path).await.map_err(|error| Error::unavailable(DEPENDENCY, error))?;
    // The pools' connections that read may not write, not even to another file.
    let options = SqliteConnectOptions::new().filename(file).disable_statement_logging();
    let copied = async {
        let mut connection = options.connect().await?;
        sqlx::query("VACUUM INTO ?").bind(to).execute(&mut connection).await?;
        connection.close().await
    };
    copied
        .await
        .map_err(|error: sqlx::Error| sea_orm::DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error.into())))
        .doing(DOING)
}
