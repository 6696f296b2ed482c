//! Workers in the store.

use slipway::domain::ids::{HostId, WorkerId};
use slipway::store::Store;
use slipway::store::workers::{WorkerRecord, delete, find, list, put};

use super::factory::at;

on_both_engines!(workers_are_listed_by_their_last_sign_of_life);

async fn workers_are_listed_by_their_last_sign_of_life(store: Store) {
    let worker = |seen_at| WorkerRecord {
        id: WorkerId::generate(),
        host: HostId::generate(),
        name: "näme".to_owned(),
        started_at: at(1),
        seen_at: at(seen_at),
        fetched_at: None,
        concurrency: Some(5),
        version: None,
    };
    let (first, second, third) = (worker(10), worker(30), worker(20));
    for worker in [&first, &second, &third] {
        put(&store, worker).await.unwrap();
    }
    let first = WorkerRecord { seen_at: at(40), fetched_at: Some(at(39)), ..first };
    put(&store, &first).await.unwrap();
    assert_eq!(list(&store, 10).await.unwrap(), [first.clone(), second.clone(), third.clone()]);
    assert_eq!(list(&store, 2).await.unwrap(), [first.clone(), second.clone()]);
    delete(&store, &second.id).await.unwrap();
    assert_eq!(find(&store, &second.id).await.unwrap(), None);
    assert_eq!(find(&store, &first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(list(&store, 10).await.unwrap(), [first, third]);
}
