//! A PostgreSQL database per test, on the server that the test run was started with.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use uuid::Uuid;

const VARIABLE: &str = "SLIPWAY_TEST_POSTGRES_URL";

/// A database of its own on the tests' server.
pub(crate) struct PostgresDatabase {
    name: String,
    pub(crate) url: String,
}

impl PostgresDatabase {
    pub(crate) async fn create() -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let server = server().await;
        let sql = format!("CREATE DATABASE {name}");
        server.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        server.close().await.unwrap();
        let mut url = url::Url::parse(&server_url()).unwrap();
        url.set_path(&name);
        Self { name, url: url.into() }
    }

    /// Removes the database, whoever is connected to it.
    pub(crate) async fn remove(self) {
        let server = server().await;
        server.execute_unprepared(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
        server.close().await.unwrap();
    }
}

async fn server() -> DatabaseConnection {
    Database::connect(server_url()).await.expect("the tests' PostgreSQL takes connections")
}

#[expect(clippy::disallowed_methods, reason = "the address of the tests' server is no setting of Slipway's")]
fn server_url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: run the tests with `node scripts/postgres.mjs exec -- cargo nextest run`"
        )
    })
}
