//! Which part of a run's log lies where in the object store.

use crate::domain::ids::RunId;
use crate::error::Result;
use crate::store::Store;

/// A run of consecutive lines in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub run_id: RunId,
    pub first_n: u64,
    pub last_n: u64,
    /// The object's path.
    pub object: String,
    /// Its frames, in `logs`' own encoding.
    pub index: Vec<u8>,
}

/// Records a segment. One that is there already (same run, same `first_n`) is replaced.
pub async fn insert(store: &Store, segment: &Segment) -> Result<()> {
    let _ = (store, segment);
    unimplemented!()
}

/// Of a run, in the order of its lines.
pub async fn list(store: &Store, run_id: &RunId) -> Result<Vec<Segment>> {
    let _ = (store, run_id);
    unimplemented!()
}
