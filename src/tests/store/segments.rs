//! Segments of logs in the store.

use slipway::domain::ids::RunId;
use slipway::store::Store;
use slipway::store::segments::{Segment, insert, list};

use super::factory::{added_pipeline, added_run};

on_both_engines!(segments_come_in_the_order_of_lines_and_a_repeated_one_replaces);

async fn segments_come_in_the_order_of_lines_and_a_repeated_one_replaces(store: Store) {
    let build = added_pipeline(&store, "build").await;
    let run_id = added_run(&store, &build.id).await.id;
    let other = added_run(&store, &build.id).await.id;
    let segment = |run_id: &RunId, first_n, last_n, index: &[u8]| Segment {
        run_id: run_id.clone(),
        first_n,
        last_n,
        object: format!("runs/{run_id}/{first_n}"),
        index: index.to_vec(),
    };
    for (first_n, last_n) in [(1000, 1 << 40), (9, 999), (1, 5)] {
        insert(&store, &segment(&run_id, first_n, last_n, &[0, 255])).await.unwrap();
    }
    insert(&store, &segment(&other, 1, 2, &[])).await.unwrap();
    insert(&store, &segment(&run_id, 1, 8, b"again")).await.unwrap();
    assert_eq!(
        list(&store, &run_id).await.unwrap(),
        [
            segment(&run_id, 1, 8, b"again"),
            segment(&run_id, 9, 999, &[0, 255]),
            segment(&run_id, 1000, 1 << 40, &[0, 255])
        ]
    );
    assert_eq!(list(&store, &RunId::generate()).await.unwrap(), []);
}
