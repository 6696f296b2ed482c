//! An empty database per test, on either engine.

use sea_orm::{Database, DatabaseConnection};
use slipway::config::DatabaseConfig;
use slipway::domain::secret::Secret;
use slipway::store::{Engine, Store};
use tempfile::TempDir;

use super::postgres::PostgresDatabase;

/// A database that no other test sees.
pub(crate) struct TestDatabase {
    data_dir: TempDir,
    postgres: Option<PostgresDatabase>,
}

impl TestDatabase {
    pub(crate) async fn create(engine: Engine) -> Self {
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(PostgresDatabase::create().await),
        };
        Self { data_dir: TempDir::new().unwrap(), postgres }
    }

    pub(crate) fn config(&self) -> DatabaseConfig {
        DatabaseConfig {
            url: self.postgres.as_ref().map(|postgres| Secret::new(postgres.url.clone())),
            connections_max: 8,
            migrate_at_start: true,
        }
    }

    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }

    /// As a server does it: with all migrations.
    pub(crate) async fn connect(&self) -> Store {
        Store::connect(&self.config(), self.data_dir()).await.unwrap()
    }

    /// As it is.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.config(), self.data_dir()).await.unwrap()
    }

    /// Past the store, for what nobody can do through it.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        let url = match &self.postgres {
            Some(postgres) => postgres.url.clone(),
            None => format!("sqlite://{}/slipway.db?mode=rwc", self.data_dir().display()),
        };
        Database::connect(url).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        if let Some(postgres) = self.postgres {
            postgres.remove().await;
        }
    }
}
