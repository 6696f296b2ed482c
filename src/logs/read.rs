//! Reading a log from any line on, wherever its lines lie.

use bytes::Bytes;

use crate::domain::ids::RunId;
use crate::error::{Error, Result};
use crate::logs::lines::Block;
use crate::logs::{Head, Logs};

/// Entries of the stream that are read at a time: with the bound on an entry, a few megabytes at most.
pub(super) const ENTRIES_MAX: usize = 64;

impl Logs {
    /// The next lines above `n`, some at a time; empty where there are none at present. Without Redis the archive
    /// is read as far as it goes.
    pub async fn read(&self, run: &RunId, n: u64) -> Result<Vec<Block>> {
        self.read_some(run, n, ENTRIES_MAX).await
    }

    /// The same, of at most so many entries.
    pub(super) async fn read_some(&self, run: &RunId, n: u64, entries_max: usize) -> Result<Vec<Block>> {
        // A log that is being archived leaves the stream between the two looks: then look again.
        for _ in 0..3 {
            let head = match self.head(run).await {
                Ok(head) => head,
                Err(error) => {
                    return match self.read_archive(run, n).await {
                        Ok(Some(block)) => Ok(vec![block]),
                        _ => Err(error),
                    };
                }
            };
            if let Some(head) = &head
                && head.archived_n <= n
            {
                if head.last_n <= n {
                    return Ok(Vec::new());
                }
                let blocks = self.read_stream(run, head, n, entries_max).await?;
                if !blocks.is_empty() {
                    return Ok(blocks);
                }
                continue;
            }
            return Ok(self.read_archive(run, n).await?.into_iter().collect());
        }
        Ok(Vec::new())
    }

    /// The number of the last line that can be read at present. Whoever asks for what follows may name a line
    /// that is not there yet.
    pub(super) async fn last_n(&self, run: &RunId) -> Result<u64> {
        match self.head(run).await? {
            Some(head) => Ok(head.last_n),
            None => self.archived_n(run).await,
        }
    }

    /// The next lines above `n` in the stream; empty where its next line is not there.
    pub(super) async fn read_stream(
        &self,
        run: &RunId,
        head: &Head,
        n: u64,
        entries_max: usize,
    ) -> Result<Vec<Block>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.stream_key(run)).arg(format!("({}", head.id_of(n))).arg("+");
        command.arg("COUNT").arg(entries_max);
        let entries: Vec<(String, Vec<(String, Bytes)>)> = self.redis.command(&command).await?;
        let mut blocks = Vec::with_capacity(entries.len());
        let mut last_n = n;
        for (id, fields) in entries {
            let Some((_, text)) = fields.into_iter().find(|(name, _)| name == "l") else { continue };
            let number = id.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            let block = number.and_then(|number| Block::parse(text, number)).ok_or_else(|| {
                Error::internal("reading a live log", format!("entry {id} is not a block of lines"))
            })?;
            let Some(block) = block.after(last_n) else { continue };
            if block.first_n != last_n + 1 {
                break;
            }
            last_n = block.last_n;
            blocks.push(block);
        }
        Ok(blocks)
    }
}
