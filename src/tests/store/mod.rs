//! The store's contract, the same on SQLite and on PostgreSQL.

use slipway::store::{Engine, Store};

use crate::support::database::TestDatabase;

/// Makes a test for each engine of each `async fn(Store)` or, with `bare`, `async fn(TestDatabase)`.
macro_rules! on_both_engines {
    (@run $run:path; $($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $run(slipway::store::Engine::Sqlite, super::$name).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $run(slipway::store::Engine::Postgres, super::$name).await;
            })*
        }
    };
    (bare: $($name:ident),* $(,)?) => { on_both_engines!(@run crate::store::with_database; $($name)*); };
    ($($name:ident),* $(,)?) => { on_both_engines!(@run crate::store::with_store; $($name)*); };
}

mod audit;
mod changes;
pub(crate) mod factory;
mod fixtures;
mod lists;
mod migrations;
mod opening;
mod pipelines;
mod runs;
mod tokens;
mod workers;

async fn with_store<F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(Store) -> F) {
    let database = TestDatabase::create(engine).await;
    let store = database.connect().await;
    assert_eq!(store.engine(), engine);
    test(store.clone()).await;
    store.close().await;
    database.remove().await;
}

async fn with_database<F: Future<Output = TestDatabase>>(
    engine: Engine,
    test: impl FnOnce(TestDatabase) -> F,
) {
    let database = TestDatabase::create(engine).await;
    test(database).await.remove().await;
}
