//! Publishing lines: at most once each, in order, and only by the worker whose epoch is the latest.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use redis::Script;

use crate::domain::ids::RunId;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::logs::Logs;

/// Text of one stream entry. Larger blocks are published as several.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// Raises the fence to ARGV[1], unless it is higher already, and says how far the log has come. ARGV[2] is
/// what the archive holds for certain: where Redis has forgotten the log, it goes on from there. ARGV[3] names the
/// server's present life, for [`Logs::remembers`].
static OPEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local fence = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
        local epoch = tonumber(ARGV[1])
        if fence > epoch then return -1 end
        local n = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
        local floor = tonumber(ARGV[2])
        if n < floor then
            n = floor
            redis.call('HSET', KEYS[1], 'n', n)
        end
        if floor > tonumber(redis.call('HGET', KEYS[1], 'archived') or '0') then
            redis.call('HSET', KEYS[1], 'archived', floor)
        end
        if fence < epoch then
            redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'e:' .. ARGV[1], n)
            redis.call('XADD', KEYS[2], ARGV[1] .. '-0', 'mark', '')
        end
        redis.call('HSET', KEYS[1], 'life', ARGV[3])
        redis.call('PERSIST', KEYS[1])
        redis.call('PERSIST', KEYS[2])
        return n
        ",
    )
});

/// Appends entries (ARGV[4…]: last number, instant, text) that follow the line ARGV[2], if ARGV[1] is the
/// epoch of the fence; a lower fence means that Redis has forgotten this epoch's. An entry that is there already, because the answer to an earlier call was lost, is
/// passed over. Answers how far the log has come; below ARGV[2], Redis has forgotten lines.
static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local fence = redis.call('HGET', KEYS[1], 'epoch')
        if not fence then return -2 end
        if tonumber(fence) > tonumber(ARGV[1]) then return -1 end
        if fence ~= ARGV[1] then return -2 end
        local n = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
        if n < tonumber(ARGV[2]) then return n end
        local at = nil
        for i = 4, #ARGV, 3 do
            local last = tonumber(ARGV[i])
            if last > n then
                redis.call('XADD', KEYS[2], ARGV[1] .. '-' .. ARGV[i], 'l', ARGV[i + 2])
                n = last
                at = ARGV[i + 1]
            end
        end
        if at then
            redis.call('HSET', KEYS[1], 'n', n, 't', at)
            redis.call('PUBLISH', ARGV[3], '')
        end
        return n
        ",
    )
});

/// Notes that the archive holds the lines up to ARGV[1], and takes what comes before the id ARGV[2] out of the
/// stream. Two may archive a log at once, and the slower one must not take back what the other has noted.
static TRIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local archived = tonumber(redis.call('HGET', KEYS[1], 'archived') or '0')
        if redis.call('EXISTS', KEYS[1]) == 0 or tonumber(ARGV[1]) <= archived then return end
        redis.call('HSET', KEYS[1], 'archived', ARGV[1])
        redis.call('XTRIM', KEYS[2], 'MINID', ARGV[2])
        ",
    )
});

/// Lines to be published: consecutive, each a JSON text with its line end.
#[derive(Debug, Clone)]
pub struct Entry {
    pub last_n: u64,
    /// When its last line was printed.
    pub at: Timestamp,
    pub text: Bytes,
}

/// What came of publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    Done,
    /// A later epoch writes this log: this worker's time is over.
    Fenced,
    /// Redis has forgotten what followed this line.
    Behind(u64),
    /// Redis has forgotten the log: it has to be opened again, once it is certain that the epoch still holds.
    Forgotten,
}

impl Logs {
    /// Opens a run's log for writing at `epoch`; `archived_n` is the last line that the archive holds. Gives
    /// the number of the last line that Redis or the archive has; none if a later epoch writes it.
    pub async fn open(&self, run: &RunId, epoch: u64, archived_n: u64) -> Result<Option<u64>> {
        let life = self.redis.life().await?;
        let mut call = OPEN.prepare_invoke();
        call.key(self.meta_key(run)).key(self.stream_key(run)).arg(epoch).arg(archived_n).arg(life);
        let n: i64 = self.redis.script(&call).await?;
        Ok(u64::try_from(n).ok())
    }

    /// Whether Redis has all that it was ever given of a log: it was not restarted or emptied since the log was opened.
    pub async fn remembers(&self, run: &RunId) -> Result<bool> {
        let known: Option<String> =
            self.redis.command(redis::cmd("HGET").arg(self.meta_key(run)).arg("life")).await?;
        Ok(known == Some(self.redis.life().await?))
    }

    /// Publishes `entries`, which follow the line `after_n`. Repeating it is harmless. Without entries it asks whether
    /// Redis still has the log up to `after_n`, and whose it is.
    pub async fn append(
        &self,
        run: &RunId,
        epoch: u64,
        after_n: u64,
        entries: &[Entry],
    ) -> Result<Published> {
        let last_n = entries.last().map_or(after_n, |last| last.last_n);
        let mut call = APPEND.prepare_invoke();
        call.key(self.meta_key(run)).key(self.stream_key(run));
        call.arg(epoch).arg(after_n).arg(self.redis.key(&Self::channel(run)));
        for entry in entries {
            call.arg(entry.last_n).arg(entry.at.as_millis()).arg(&entry.text[..]);
        }
        let n: i64 = self.redis.script(&call).await?;
        Ok(match u64::try_from(n) {
            Ok(n) if last_n <= n => {
                self.lines_written.inc_by(last_n - after_n.min(last_n));
                Published::Done
            }
            Ok(n) => Published::Behind(n),
            Err(_) if n == -1 => Published::Fenced,
            Err(_) => Published::Forgotten,
        })
    }

    /// Has Redis forget a log at once.
    pub(super) async fn forget(&self, run: &RunId) -> Result<()> {
        let mut command = redis::cmd("DEL");
        command.arg(self.meta_key(run)).arg(self.stream_key(run));
        self.redis.command(&command).await
    }

    /// Has Redis forget an archived log after `keep`; until then, those who follow it live read on.
    pub async fn expire(&self, run: &RunId, keep: Duration) -> Result<()> {
        let seconds = keep.as_secs().max(1);
        let mut pipeline = redis::pipe();
        pipeline.cmd("EXPIRE").arg(self.meta_key(run)).arg(seconds).ignore();
        pipeline.cmd("EXPIRE").arg(self.stream_key(run)).arg(seconds).ignore();
        self.redis.pipeline(&pipeline).await
    }

    /// Notes that the archive holds the lines up to `n`, and takes them out of the stream.
    pub(super) async fn trim(&self, run: &RunId, n: u64) -> Result<()> {
        let head = self.head(run).await?.ok_or_else(|| {
            Error::unavailable("redis", "the log was forgotten while it was being archived")
        })?;
        let mut call = TRIM.prepare_invoke();
        call.key(self.meta_key(run)).key(self.stream_key(run)).arg(n).arg(head.id_of(n + 1));
        self.redis.script(&call).await
    }
}
