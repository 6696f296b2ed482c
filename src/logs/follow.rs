//! Following logs live: each process reads a log once, whatever the number of those who follow it.
//!
//! A follower holds a cursor, never a queue of its own. A task per followed run reads new lines, makes
//! server-sent events of them once, and puts them into a ring that all followers share; who falls behind the
//! ring, or begins before it, reads the store itself until it has caught up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::domain::ids::RunId;
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::logs::lines::{Block, Frames};
use crate::logs::read::ENTRIES_MAX;
use crate::redis::wakeups::Wakeups;

/// Events that a ring holds for followers who are a little behind.
const RING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Events that are handed over at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Entries that a follower who is behind reads at a time, unless they are small: it holds them until its client has
/// taken them, and thousands may be behind.
const BEHIND_ENTRIES: usize = 4;
/// How many who are behind read at the same time.
const BEHIND_READS_MAX: usize = 8;
/// Notices may be lost, so a log is looked at from time to time without one.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A run has ended and its last lines cannot be had: after so many looks a follower is told to come back.
const MISSING_LOOKS_MAX: u32 = 10;

/// The logs that are followed in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Followers {
    logs: Logs,
    wakeups: Wakeups,
    tasks: TaskTracker,
    behind: Arc<Semaphore>,
    tails: Arc<Mutex<HashMap<RunId, Weak<Tail>>>>,
}

/// The live end of one log.
#[derive(Debug)]
struct Tail {
    ring: Mutex<Ring>,
    /// The number of the last line in the ring.
    head: watch::Sender<u64>,
    /// Ends the reading task with the last follower.
    _reader: DropGuard,
}

#[derive(Debug)]
struct Ring {
    frames: VecDeque<Arc<Frames>>,
    bytes: usize,
    /// The line before the first that it holds.
    after_n: u64,
}

/// What the ring has for a cursor.
enum Found {
    Events(Bytes, u64),
    Nothing,
    /// The cursor is before the ring.
    Behind,
}

impl Followers {
    pub fn new(logs: Logs, wakeups: Wakeups, tasks: TaskTracker) -> Self {
        let behind = Arc::new(Semaphore::new(BEHIND_READS_MAX));
        Self { logs, wakeups, tasks, behind, tails: Arc::default() }
    }

    /// The lines above `n` as server-sent events, until the line that `end` names, once it does.
    pub fn follow(
        &self,
        run: RunId,
        n: u64,
        mut end: watch::Receiver<Option<u64>>,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let followers = self.clone();
        async_stream::try_stream! {
            let mut cursor = n;
            let mut tail: Option<(Arc<Tail>, watch::Receiver<u64>)> = None;
            let mut missing_looks = 0;
            let mut entries = BEHIND_ENTRIES;
            loop {
                let end_n = *end.borrow_and_update();
                if end_n.is_some_and(|end_n| end_n <= cursor) {
                    return;
                }
                let found = tail.as_mut().map(|(tail, head)| { head.mark_unchanged(); tail.after(cursor) });
                if let Some(Found::Events(events, last_n)) = found {
                    followers.logs.lines_sent.inc_by(last_n.saturating_sub(cursor));
                    cursor = last_n;
                    missing_looks = 0;
                    yield events;
                    continue;
                }
                let is_live = matches!(found, Some(Found::Nothing));
                if !is_live {
                    let blocks = followers.read_behind(&run, cursor, entries).await?;
                    let bytes: usize = blocks.iter().map(|block| block.text.len()).sum();
                    entries = if bytes < CHUNK_BYTES { ENTRIES_MAX.min(entries * 2) } else { BEHIND_ENTRIES };
                    let is_any = !blocks.is_empty();
                    for block in blocks {
                        followers.logs.lines_sent.inc_by(block.last_n.saturating_sub(cursor));
                        cursor = block.last_n;
                        let events = Frames::of(&block).after(0);
                        drop(block);
                        yield events;
                    }
                    if is_any {
                        missing_looks = 0;
                        continue;
                    }
                }
                let Some((_, head)) = tail.as_mut() else {
                    let start_n = followers.logs.last_n(&run).await?.min(cursor);
                    let joined = followers.tail(&run, start_n);
                    let head = joined.head.subscribe();
                    tail = Some((joined, head));
                    continue;
                };
                let is_gone = tokio::select! {
                    _ = head.changed() => false,
                    changed = end.changed() => changed.is_err(),
                    // Lines that the ring has dropped and the store has lost come back without a sign here.
                    () = tokio::time::sleep(LOOK_INTERVAL), if end_n.is_some() || !is_live => {
                        missing_looks += u32::from(end_n.is_some());
                        false
                    }
                };
                if is_gone {
                    return;
                }
                if MISSING_LOOKS_MAX <= missing_looks {
                    Err(Error::unavailable("log", "its last lines are not there yet"))?;
                }
            }
        }
    }

    /// Read in turn: thousands who are behind would have Redis hold answers for all of them, and answer none in time.
    async fn read_behind(&self, run: &RunId, n: u64, entries: usize) -> Result<Vec<Block>> {
        let turn = self.behind.acquire().await;
        let _turn = turn.map_err(|error| Error::internal("waiting to read a log", error))?;
        self.logs.read_some(run, n, entries).await
    }

    /// Logs that are being followed at present.
    pub fn count(&self) -> usize {
        self.tails().len()
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Tail>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail(&self, run: &RunId, n: u64) -> Arc<Tail> {
        let mut tails = self.tails();
        if let Some(tail) = tails.get(run).and_then(Weak::upgrade) {
            return tail;
        }
        let stop = CancellationToken::new();
        let tail = Arc::new(Tail {
            ring: Mutex::new(Ring { frames: VecDeque::new(), bytes: 0, after_n: n }),
            head: watch::Sender::new(n),
            _reader: stop.clone().drop_guard(),
        });
        tails.insert(run.clone(), Arc::downgrade(&tail));
        let reader = self.clone().read(run.clone(), Arc::downgrade(&tail), n);
        let followers = self.clone();
        let run = run.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(reader).await;
            let mut tails = followers.tails();
            if tails.get(&run).is_some_and(|tail| tail.strong_count() == 0) {
                tails.remove(&run);
            }
        });
        tail
    }

    async fn read(self, run: RunId, tail: Weak<Tail>, mut n: u64) {
        let mut listener = self.wakeups.listen(&Logs::channel(&run)).await;
        let mut is_failing = false;
        loop {
            match self.logs.read(&run, n).await {
                Ok(blocks) => {
                    is_failing = false;
                    let Some(tail) = tail.upgrade() else { return };
                    let is_live = blocks.is_empty();
                    for block in &blocks {
                        n = block.last_n;
                        tail.push(Frames::of(block));
                    }
                    let span = span_for(tail.head.receiver_count());
                    drop(tail);
                    if !is_live {
                        // Wakes all followers once for what comes within the span, not for each line.
                        tokio::time::sleep(span).await;
                        continue;
                    }
                }
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(run.id = %run, error = error.chain(), "A log cannot be read, trying again");
                }
                Err(_) => {}
            }
            listener.wait(LOOK_INTERVAL).await;
        }
    }
}

/// How long lines are gathered before their followers are woken: waking a thousand for each line would cost
/// more than the lines.
fn span_for(followers: usize) -> Duration {
    match followers {
        0..=20 => Duration::ZERO,
        21..=200 => Duration::from_millis(8),
        _ => Duration::from_millis(30),
    }
}

impl Tail {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, frames: Frames) {
        let last_n = frames.last_n;
        {
            let mut ring = self.ring();
            ring.bytes += frames.len();
            ring.frames.push_back(Arc::new(frames));
            while RING_BYTES_MAX < ring.bytes && 1 < ring.frames.len() {
                if let Some(oldest) = ring.frames.pop_front() {
                    ring.bytes -= oldest.len();
                    ring.after_n = oldest.last_n;
                }
            }
        }
        self.head.send_replace(last_n);
    }

    fn after(&self, n: u64) -> Found {
        let ring = self.ring();
        if n < ring.after_n {
            return Found::Behind;
        }
        let first = ring.frames.partition_point(|frames| frames.last_n <= n);
        let Some(frames) = ring.frames.get(first) else { return Found::Nothing };
        let events = frames.after(n);
        let mut last_n = frames.last_n;
        let mut following = ring.frames.range(first + 1..).take_while({
            let mut bytes = events.len();
            move |frames| {
                bytes += frames.len();
                bytes <= CHUNK_BYTES
            }
        });
        let Some(second) = following.next() else { return Found::Events(events, last_n) };
        let mut chunk = BytesMut::from(&events[..]);
        for frames in std::iter::once(second).chain(following) {
            chunk.extend_from_slice(&frames.after(0));
            last_n = frames.last_n;
        }
        Found::Events(chunk.freeze(), last_n)
    }
}
