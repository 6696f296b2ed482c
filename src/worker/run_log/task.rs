//! Numbers the lines of a run, journals them, and has them published.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::complaint::is_complaint;
use crate::domain::ids::RunId;
use crate::domain::run::RunRecord;
use crate::domain::time::{Timestamp, now};
use crate::executor;
use crate::logs::journal::{Entry, Journal, Origin};
use crate::logs::writer;
use crate::worker::run_log::pending::{Pending, stored_bytes};
use crate::worker::run_log::publisher::{CALL_BYTES_MAX, Done, Publisher, READ_BACK_ENTRIES_MAX, Work};
use crate::worker::run_log::{Command, Flushed, Lines, Place, Progress};

/// Blocks that are numbered at a time.
const BATCH_MAX: usize = 64;
/// Text that waits in memory for Redis; beyond it steps are held back, or, where Redis is away, the text is let go of:
/// the spools have it.
const READY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often Redis is asked whether it still has the log, while nothing is printed.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Between two attempts to write a journal whose disk is full.
const DISK_RETRY_DELAY: Duration = Duration::from_millis(200);

/// How far the archive reaches, and how far it should at once.
pub(super) struct Archive {
    pub(super) archived_n: u64,
    pub(super) foreign_n: u64,
}

/// The other ends of a log: who writes to it, and who follows how far it has come.
pub(super) struct Ends {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) fenced: CancellationToken,
    pub(super) stop: CancellationToken,
}

pub struct RunLogTask {
    app: App,
    run: RunId,
    epoch: u64,
    dir: PathBuf,
    lost_at: Timestamp,
    journal: Journal,
    /// What the archive does not hold yet, for publishing it again.
    entries: VecDeque<Entry>,
    lines: HashMap<String, Lines>,
    last_n: u64,
    last_line_at: Option<Timestamp>,
    log_bytes: u64,
    archived_n: u64,
    /// Of `log_bytes`, what the archive holds.
    archived_bytes: u64,
    /// Lines up to this number are in Redis alone, as far as this machine knows; 0: none.
    foreign_n: u64,
    /// Not before then is the archive tried again, where it did not take what it should.
    archive_at: Instant,
    published_n: u64,
    /// Text that follows the line `published_n`, unless it is to be read back.
    ready: VecDeque<writer::Entry>,
    ready_bytes: usize,
    /// What follows `published_n` is in the journal and the spools alone.
    is_spilled: bool,
    /// Redis has lost the log: it is to be opened again.
    is_forgotten: bool,
    is_away: bool,
    /// Numbered, and not journalled, since the disk is full.
    stuck: Option<(Pending, Vec<Flush>)>,
    ends: Ends,
}

type Flush = (String, oneshot::Sender<Flushed>);

/// Why nothing more is written.
enum Ended {
    /// Another worker has the run.
    Fenced,
    /// Nobody writes any more, or the process is stopping.
    Done,
}

impl RunLogTask {
    #[expect(clippy::too_many_arguments, reason = "called once, by `RunLog::open`, which has read all of it")]
    pub(super) fn new(
        app: &App,
        record: &RunRecord,
        dir: &Path,
        archive: Archive,
        journal: Journal,
        entries: Vec<Entry>,
        lines: HashMap<String, Lines>,
        ends: Ends,
    ) -> Self {
        let Archive { archived_n, foreign_n } = archive;
        let Progress { last_n, last_line_at, published_n, .. } = *ends.progress.borrow();
        let log_bytes = entries.last().map_or(0, |entry| entry.log_bytes);
        let archived_bytes = bytes_until(entries.iter(), archived_n);
        Self {
            app: app.clone(),
            run: record.run.id.clone(),
            epoch: record.epoch,
            dir: dir.to_owned(),
            lost_at: record.run.created_at,
            journal,
            entries: entries.into_iter().filter(|entry| archived_n < entry.last_n()).collect(),
            lines,
            last_n,
            last_line_at,
            log_bytes,
            archived_n,
            archived_bytes,
            foreign_n,
            archive_at: Instant::now(),
            published_n,
            ready: VecDeque::new(),
            ready_bytes: 0,
            is_spilled: published_n < last_n,
            is_forgotten: false,
            is_away: false,
            stuck: None,
            ends,
        }
    }

    /// Works until all writers are gone and all that they wrote is published, the run has gone to another worker, or
    /// the process stops.
    pub async fn run(mut self) {
        // However this ends, whoever writes to the log learns that nobody takes it any more.
        let _tells = self.ends.fenced.clone().drop_guard();
        if let Ended::Fenced = self.work().await {
            tracing::info!(run.id = %self.run, epoch = self.epoch, "Another worker writes the log of a run");
        }
    }

    async fn work(&mut self) -> Ended {
        let mut work: Option<Work> = None;
        let mut is_open = true;
        let mut batch = Vec::new();
        loop {
            if work.is_none() {
                work = self.next_work();
            }
            if !is_open && work.is_none() && self.stuck.is_none() {
                return Ended::Done;
            }
            let has_room = self.ready_bytes < READY_BYTES_MAX || self.is_away;
            tokio::select! {
                biased;
                () = self.ends.stop.cancelled() => return Ended::Done,
                done = under_way(&mut work) => {
                    work = None;
                    if let Err(ended) = self.take(done) {
                        return ended;
                    }
                }
                () = tokio::time::sleep(DISK_RETRY_DELAY), if self.stuck.is_some() => {
                    if let Some((pending, flushes)) = self.stuck.take() {
                        self.journal(pending, flushes);
                    }
                }
                received = self.ends.commands.recv_many(&mut batch, BATCH_MAX),
                    if is_open && has_room && self.stuck.is_none() =>
                {
                    is_open = 0 < received;
                    self.write(std::mem::take(&mut batch));
                }
                () = tokio::time::sleep(CHECK_INTERVAL), if work.is_none() => {
                    work = Some(self.publisher().check(self.published_n));
                }
            }
        }
    }

    fn publisher(&self) -> Publisher {
        Publisher {
            app: self.app.clone(),
            run: self.run.clone(),
            epoch: self.epoch,
            dir: self.dir.clone(),
            lost_at: self.lost_at,
            is_late: self.is_away,
        }
    }

    fn next_work(&mut self) -> Option<Work> {
        if self.is_forgotten {
            return Some(self.publisher().reopen());
        }
        if let Some(until_n) = self.to_archive() {
            return Some(self.publisher().archive(until_n));
        }
        if self.published_n < self.journalled_n() { self.next_lines() } else { None }
    }

    /// Up to which line the archive should take the log now.
    fn to_archive(&self) -> Option<u64> {
        if self.is_away || Instant::now() < self.archive_at {
            return None;
        }
        if 0 < self.foreign_n {
            return Some(self.foreign_n);
        }
        // What is published, and not what is numbered: that may be far ahead, and the archive takes none of it yet.
        let published = self.entries.partition_point(|entry| entry.last_n() <= self.published_n);
        let published_bytes =
            published.checked_sub(1).map_or(self.archived_bytes, |last| self.entries[last].log_bytes);
        let is_long =
            self.app.config.logs.segment_bytes <= published_bytes.saturating_sub(self.archived_bytes);
        is_long.then_some(self.published_n)
    }

    fn next_lines(&mut self) -> Option<Work> {
        let publisher = self.publisher();
        if self.is_spilled {
            let first = self.entries.partition_point(|entry| entry.last_n() <= self.published_n);
            let entries = self.entries.range(first..).take(READ_BACK_ENTRIES_MAX).cloned().collect();
            return Some(publisher.read_back(self.published_n, self.journalled_n(), entries));
        }
        let mut bytes = 0;
        let fits = self.ready.iter().take_while(|entry| {
            bytes += entry.text.len();
            bytes <= CALL_BYTES_MAX
        });
        let count = fits.count().max(1).min(self.ready.len());
        let entries: Vec<writer::Entry> = self.ready.drain(..count).collect();
        self.ready_bytes -= entries.iter().map(|entry| entry.text.len()).sum::<usize>();
        (!entries.is_empty()).then(|| publisher.publish(self.published_n, entries))
    }

    /// The last line that is journalled, or that was lost before this log was opened.
    fn journalled_n(&self) -> u64 {
        self.ends.progress.borrow().last_n
    }

    fn take(&mut self, done: Done) -> Result<(), Ended> {
        match done {
            Done::Published(n) => {
                if std::mem::take(&mut self.is_away) {
                    tracing::info!(run.id = %self.run, "The log is written again");
                }
                self.published_n = self.published_n.max(n);
                if self.journalled_n() <= self.published_n {
                    self.is_spilled = false;
                }
            }
            Done::Reopened(n) => {
                self.is_forgotten = false;
                self.is_away = false;
                self.published_n = n.min(self.last_n);
                self.is_spilled = self.published_n < self.journalled_n();
            }
            Done::Forgotten => {
                self.is_forgotten = true;
                self.spill();
            }
            Done::Away(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(run.id = %self.run, error = error.chain(), "The log cannot be written, lines wait on disk");
                }
                self.spill();
            }
            Done::Archived(n) => self.forget_archived(n),
            Done::NotArchived(error) => {
                // The spool keeps the lines until then. It may be full of them, so no further line need come.
                self.archive_at = Instant::now() + CHECK_INTERVAL;
                tracing::warn!(run.id = %self.run, error = error.chain(), "A segment of a log was not archived");
            }
            Done::Fenced => return Err(Ended::Fenced),
        }
        self.tell();
        Ok(())
    }

    /// Lets go of the text that waits, which the journal and the spools have.
    fn spill(&mut self) {
        self.ready.clear();
        self.ready_bytes = 0;
        self.is_spilled = self.published_n < self.last_n;
    }

    /// Gives back the disk of what is archived.
    fn forget_archived(&mut self, archived_n: u64) {
        if self.foreign_n <= archived_n {
            self.foreign_n = 0;
        }
        if archived_n <= self.archived_n {
            // Redis has forgotten what should follow. It is asked before the next attempt.
            self.archive_at = Instant::now() + CHECK_INTERVAL;
        }
        self.archived_n = archived_n;
        self.archived_bytes = self.archived_bytes.max(bytes_until(self.entries.iter(), archived_n));
        while let Some(entry) = self.entries.front()
            && entry.last_n() <= archived_n
        {
            if let Origin::Spool { dir, next, .. } = &entry.origin {
                executor::punch(&self.dir.join(dir), *next);
            }
            self.entries.pop_front();
        }
    }

    fn write(&mut self, batch: Vec<Command>) {
        let mut pending = Pending::default();
        let mut flushes = Vec::new();
        for command in batch {
            match command {
                Command::Lines(place, block) => self.take_block(&place, block, &mut pending),
                Command::Say { step, attempt, text } => self.take_words(step, attempt, text, &mut pending),
                Command::Flush { dir, reply } => flushes.push((dir, reply)),
            }
        }
        self.journal(pending, flushes);
    }

    /// Journals what was numbered, and only then lets it out. A full disk is waited for.
    fn journal(&mut self, pending: Pending, flushes: Vec<Flush>) {
        if let Err(error) = self.journal.append(&pending.journal) {
            tracing::warn!(run.id = %self.run, %error, "The journal of a log cannot be written, its steps wait");
            self.stuck = Some((pending, flushes));
            return;
        }
        self.entries.extend(pending.journal);
        if self.is_away || self.is_forgotten || self.is_spilled {
            self.is_spilled = self.published_n < self.last_n;
        } else {
            self.ready_bytes += pending.text.bytes;
            self.ready.extend(pending.text.entries);
        }
        self.ends.progress.send_modify(|progress| {
            progress.last_n = self.last_n;
            progress.last_line_at = self.last_line_at;
        });
        for (dir, reply) in flushes {
            // Nobody waits for the answer any more: fine.
            let _ = reply.send(Flushed { lines: self.lines.get(&dir).copied() });
        }
    }

    fn tell(&self) {
        self.ends.progress.send_if_modified(|progress| {
            let before = *progress;
            progress.published_n = self.published_n;
            progress.is_away = self.is_away;
            before != *progress
        });
    }

    /// Numbers the lines of a block; passes over those beyond the log's bound.
    fn take_block(&mut self, place: &Place, block: executor::Block, pending: &mut Pending) {
        let bound = self.app.config.logs.run_bytes_max;
        if block.lines.is_empty() || bound <= self.log_bytes {
            return;
        }
        let first_n = self.last_n + 1;
        let count = block.lines.len() as u64;
        self.log_bytes += block.lines.iter().map(|line| stored_bytes(&line.text)).sum::<u64>();
        let complaint_n = self.complaint_n(place, &block, first_n);
        pending.journal.push(Entry {
            first_n,
            count,
            log_bytes: self.log_bytes,
            origin: Origin::Spool {
                dir: place.dir.clone(),
                step: place.step.clone(),
                attempt: place.attempt,
                offset: block.offset,
                next: block.next_offset,
                complaint_n,
            },
        });
        Lines::add(&mut self.lines, &place.dir, first_n..=first_n + count - 1, complaint_n);
        self.last_n += count;
        self.last_line_at = Some(block.at);
        pending.text.block(self.epoch, first_n, place, &block);
        if bound <= self.log_bytes {
            let text = format!("the log has reached its bound of {bound} bytes: what follows is not kept");
            self.take_words(None, 0, text, pending);
        }
    }

    /// The line of a block with which a step complains first. What follows that is not looked at.
    fn complaint_n(&self, place: &Place, block: &executor::Block, first_n: u64) -> Option<u64> {
        let has_complained = self.lines.get(&place.dir).is_some_and(|lines| lines.complaint_n.is_some());
        if has_complained || block.source == executor::Source::Note {
            return None;
        }
        (first_n..).zip(&block.lines).find(|(_, line)| is_complaint(&line.text)).map(|(n, _)| n)
    }

    fn take_words(&mut self, step: Option<String>, attempt: u32, text: String, pending: &mut Pending) {
        let at = now();
        self.last_n += 1;
        self.log_bytes += stored_bytes(&text);
        self.last_line_at = Some(at);
        pending.text.words(self.epoch, self.last_n, (&step, attempt), at, &text);
        let origin = Origin::Words { step, attempt, at_ms: at.as_millis(), text };
        pending.journal.push(Entry { first_n: self.last_n, count: 1, log_bytes: self.log_bytes, origin });
    }
}

/// What the log came to with the last entry that ends at the line `n` or before it; 0: there is none.
fn bytes_until<'a>(entries: impl Iterator<Item = &'a Entry>, n: u64) -> u64 {
    entries.take_while(|entry| entry.last_n() <= n).last().map_or(0, |entry| entry.log_bytes)
}

/// Waits for what is under way; for ever where nothing is.
async fn under_way(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
