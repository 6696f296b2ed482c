//! The truth: SQL by SeaORM, on SQLite and on PostgreSQL alike. The only place that knows SeaORM.

use std::path::Path;

use crate::config::DatabaseConfig;
use crate::error::Result;

pub mod page;
pub mod pipelines;
pub mod runs;
pub mod segments;
pub mod tokens;
pub mod workers;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One migration, as `migrate status` shows it.
#[derive(Debug, Clone)]
pub struct MigrationState {
    pub name: String,
    pub applied: bool,
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens the database, and brings it up to date if the configuration says so. A database that is newer
    /// than this program is refused (`Error::Conflict`, saying what to do), and so is one that is older while
    /// `migrate_at_start` is off.
    pub async fn connect(config: &DatabaseConfig, data_dir: &Path) -> Result<Self> {
        let _ = (config, data_dir);
        unimplemented!()
    }

    /// Opens the database as it is, for `slipway migrate`.
    pub async fn open(config: &DatabaseConfig, data_dir: &Path) -> Result<Self> {
        let _ = (config, data_dir);
        unimplemented!()
    }

    pub async fn migrations(&self) -> Result<Vec<MigrationState>> {
        unimplemented!()
    }

    /// Applies what is missing; PostgreSQL: under an advisory lock, so that several servers may start at once.
    pub async fn migrate(&self) -> Result<()> {
        unimplemented!()
    }

    /// A round trip.
    pub async fn ping(&self) -> Result<()> {
        unimplemented!()
    }

    pub fn engine(&self) -> Engine {
        unimplemented!()
    }

    pub async fn close(self) {}
}
