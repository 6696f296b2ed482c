//! The audit trail in the store.

use slipway::domain::audit::{Deed, Entry};
use slipway::domain::ids::AuditId;
use slipway::store::Store;
use slipway::store::audit::{AuditFilter, insert, list, trim};
use slipway::store::page::PageRequest;
use uuid::Uuid;

use super::factory::at;

on_both_engines!(the_oldest_entries_are_removed_slice_by_slice);

const SECOND: i64 = 1_000;

fn entry(millis: i64, n: u8) -> Entry {
    let id =
        Uuid::from_u128(u128::from(millis.unsigned_abs()) << 80 | 0x7000_8000_0000_0000_0000 | u128::from(n));
    Entry {
        id: id.to_string().parse::<AuditId>().unwrap(),
        at: at(millis),
        actor: Some("ann".to_owned()),
        token: None,
        ip: None,
        request_id: None,
        deed: Deed::done("runs.cancel"),
    }
}

async fn the_oldest_entries_are_removed_slice_by_slice(store: Store) {
    let old = (0..5).map(|n| entry(SECOND, n));
    let young = [entry(2 * SECOND - 1, 0), entry(2 * SECOND, 0), entry(3 * SECOND, 0)];
    let entries: Vec<Entry> = old.chain(young.clone()).collect();
    insert(&store, &entries).await.unwrap();
    let left = async || {
        let page = PageRequest { limit: 100, cursor: None };
        let page = list(&store, &AuditFilter::default(), page).await.unwrap();
        page.items.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(trim(&store, at(SECOND), 100).await.unwrap(), 0);
    assert_eq!(trim(&store, at(2 * SECOND), 4).await.unwrap(), 4);
    assert_eq!(left().await.last(), Some(&entries[4].id), "the oldest go first");
    // Two at once remove each entry once.
    let (one, other) = tokio::join!(trim(&store, at(2 * SECOND), 4), trim(&store, at(2 * SECOND), 4));
    assert_eq!(one.unwrap() + other.unwrap(), 2);
    let [_, from_then_on, later] = young;
    assert_eq!(left().await, [later.id, from_then_on.id]);
}
