//! The logs of runs: written once, read live and from the archive without a seam.
//!
//! A line has a number `n` in its run, from 1, rising by one. Live lines lie in a Redis stream, an entry
//! for each block of lines under the id `<epoch>-<n of its last line>`; when a run ends, and in segments
//! while it is long, lines go to the object store and leave the stream. Beside the stream a hash says which
//! epoch may write (`epoch`: the fence), how far it has come (`n`, and `t`, when), where each epoch began
//! (`e:<epoch>`), how far the archive reaches (`archived`), and which life of the server has had all of it (`life`).

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::sync::Semaphore;

use crate::domain::ids::RunId;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::metrics::Counter;
use crate::redis::Redis;

pub mod archive;
pub mod follow;
pub mod journal;
pub mod lines;
pub mod read;
pub mod search;
pub mod writer;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    redis: Redis,
    objects: Arc<dyn ObjectStore>,
    searches: Arc<Semaphore>,
    pub lines_written: Counter,
    pub lines_sent: Counter,
}

/// How far a run's log has come, as Redis knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line; 0: none.
    pub last_n: u64,
    pub last_line_at: Option<Timestamp>,
    /// Lines up to this number are in the archive and may have left the stream.
    pub archived_n: u64,
    /// Each epoch with the number of the last line before it, in order.
    epochs: Vec<(u64, u64)>,
}

impl Logs {
    pub fn new(redis: Redis, objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            redis,
            objects,
            searches: Arc::new(Semaphore::new(search::SEARCHES_MAX)),
            lines_written: Counter::default(),
            lines_sent: Counter::default(),
        }
    }

    /// None: Redis knows nothing of this log, because it has not begun or has gone to the archive.
    pub async fn head(&self, run: &RunId) -> Result<Option<Head>> {
        let fields: Vec<(String, String)> =
            self.redis.command(redis::cmd("HGETALL").arg(self.meta_key(run))).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut head = Head::default();
        for (name, value) in fields {
            let number = value.parse::<u64>().unwrap_or(0);
            match name.as_str() {
                "n" => head.last_n = number,
                "t" => head.last_line_at = i64::try_from(number).ok().map(Timestamp::from_millis),
                "archived" => head.archived_n = number,
                _ => {
                    if let Some(epoch) = name.strip_prefix("e:").and_then(|epoch| epoch.parse().ok()) {
                        head.epochs.push((epoch, number));
                    }
                }
            }
        }
        head.epochs.sort_unstable();
        Ok(Some(head))
    }

    /// Writes a trifle to the object store, reads it, and removes it.
    pub async fn probe_archive(&self) -> Result<()> {
        const CONTENT: &[u8] = b"slipway";
        let unavailable = |error| Error::unavailable("object store", error);
        // Several may try at a time.
        let place = Path::from(format!("probe/{}", RunId::generate()));
        self.objects.put(&place, CONTENT.into()).await.map_err(unavailable)?;
        let read = async { self.objects.get(&place).await?.bytes().await };
        let read = read.await;
        self.objects.delete(&place).await.map_err(unavailable)?;
        match read.map_err(unavailable)? == CONTENT {
            true => Ok(()),
            false => Err(Error::unavailable("object store", "it gives other bytes than it was given")),
        }
    }

    /// The channel on which each append is announced.
    pub fn channel(run: &RunId) -> String {
        format!("log:{run}")
    }

    fn stream_key(&self, run: &RunId) -> String {
        self.redis.key(&format!("log:{run}:lines"))
    }

    fn meta_key(&self, run: &RunId) -> String {
        self.redis.key(&format!("log:{run}:head"))
    }
}

impl Head {
    /// The stream's id of the line `n`, whichever epoch wrote it: ids are ordered as their lines are.
    fn id_of(&self, n: u64) -> String {
        let epoch = self.epochs.iter().rev().find(|(_, before)| *before < n).map_or(0, |(epoch, _)| *epoch);
        format!("{epoch}-{n}")
    }
}
