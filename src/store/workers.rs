//! Queries on worker processes: which host each belongs to, and when it was last seen.

use crate::domain::ids::{HostId, WorkerId};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    pub id: WorkerId,
    pub host: HostId,
    pub name: String,
    pub started_at: Timestamp,
    /// Its last sign of life: written every few seconds.
    pub seen_at: Timestamp,
    /// When it last got an answer from the queue, a job or none.
    pub fetched_at: Option<Timestamp>,
}

/// Inserts or replaces.
pub async fn put(store: &Store, worker: &WorkerRecord) -> Result<()> {
    let _ = (store, worker);
    unimplemented!()
}

pub async fn find(store: &Store, id: &WorkerId) -> Result<Option<WorkerRecord>> {
    let _ = (store, id);
    unimplemented!()
}

/// All, most recently seen first.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<WorkerRecord>> {
    let _ = (store, limit);
    unimplemented!()
}

pub async fn delete(store: &Store, id: &WorkerId) -> Result<()> {
    let _ = (store, id);
    unimplemented!()
}
