//! The log of a run that this worker has: what its steps print, and what Slipway says of it, in one order.
//!
//! A task of its own numbers the lines, journals them and publishes them, so that a Redis that is away holds
//! up nothing but the steps' output: that stays in the spools until it is back, and a spool that is full
//! holds its step back.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::log::{LineId, LogLine, LogStream};
use crate::domain::run::RunRecord;
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::executor::{self, Attachment, Output, SpoolLine};
use crate::logs::journal::{Entry, Journal, Origin};
use crate::logs::lines::encode;
use crate::logs::writer::{self, ENTRY_BYTES_MAX, Published};
use crate::store;

/// Blocks that wait to be numbered: each holds what was read at once.
const COMMANDS_MAX: usize = 8;
/// Blocks that are numbered and published at a time.
const BATCH_MAX: usize = 64;
/// Text in one call to Redis, which serves nobody else meanwhile.
const CALL_BYTES_MAX: usize = 2 * 1024 * 1024;
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The spool's directory, below the run's.
    pub dir: String,
    /// None: the lines are Slipway's preparations, not a step's.
    pub step: Option<String>,
    pub attempt: u32,
}

enum Command {
    Lines(Place, executor::Block),
    Say { step: Option<String>, attempt: u32, text: String },
    Flush { dir: Option<String>, reply: oneshot::Sender<Flushed> },
}

/// How far the log has come, with all that was written before it was asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flushed {
    pub last_n: u64,
    pub last_line_at: Option<Timestamp>,
    /// The first and the last line of the directory that was asked for.
    pub range: Option<(u64, u64)>,
}

/// Writes to the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunLog {
    commands: mpsc::Sender<Command>,
    /// How far it is published.
    published: watch::Receiver<Flushed>,
    /// Fires when the run has gone to another worker: nothing more is written.
    pub fenced: CancellationToken,
}

/// The task behind a [`RunLog`], and where reading the spools goes on.
pub struct Opened {
    pub log: RunLog,
    /// The offset from which each spool is still to be read.
    pub offsets: HashMap<String, u64>,
    pub task: RunLogTask,
}

pub struct RunLogTask {
    app: App,
    run: RunId,
    epoch: u64,
    dir: PathBuf,
    workspace: PathBuf,
    journal: Journal,
    /// What the archive does not hold yet, for publishing it again.
    entries: VecDeque<Entry>,
    ranges: HashMap<String, (u64, u64)>,
    last_n: u64,
    last_line_at: Option<Timestamp>,
    log_bytes: u64,
    archived_bytes: u64,
    commands: mpsc::Receiver<Command>,
    published: watch::Sender<Flushed>,
    fenced: CancellationToken,
    stop: CancellationToken,
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("another worker has the run")]
    Fenced,
    #[error("the process is stopping")]
    Stopped,
    #[error("the journal cannot be written: {0}")]
    Journal(std::io::Error),
}

impl RunLog {
    /// Takes up the log where it stands. None if another worker has the run.
    pub async fn open(
        app: &App,
        record: &RunRecord,
        dir: &Path,
        stop: CancellationToken,
    ) -> Result<Option<Opened>> {
        let run = &record.run.id;
        let (journal, entries) = Journal::open(&dir.join("journal"))
            .map_err(|error| Error::internal("opening the journal of a run", error))?;
        // Nothing can be archived before the first claim: a run begins without the object store.
        let archived_n = if record.epoch <= 1 { 0 } else { app.logs.archived_n(run).await? };
        let Some(known_n) = app.logs.open(run, record.epoch, archived_n).await? else { return Ok(None) };
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let fenced = CancellationToken::new();
        let mut offsets = HashMap::new();
        let mut ranges: HashMap<String, (u64, u64)> = HashMap::new();
        for entry in &entries {
            if let Origin::Spool { dir, next, .. } = &entry.origin {
                offsets.insert(dir.clone(), *next);
                ranges.entry(dir.clone()).or_insert((entry.first_n, 0)).1 = entry.last_n();
            }
        }
        let log_bytes = entries.last().map_or(0, |entry| entry.log_bytes);
        let last_n = entries.last().map_or(known_n, |entry| entry.last_n().max(known_n));
        let entries = entries.into_iter().filter(|entry| archived_n < entry.last_n()).collect();
        let (published, receiver_of_published) =
            watch::channel(Flushed { last_n, last_line_at: record.run.last_line_at, range: None });
        let mut task = RunLogTask {
            app: app.clone(),
            run: run.clone(),
            epoch: record.epoch,
            dir: dir.to_owned(),
            workspace: dir.join("workspace"),
            journal,
            entries,
            ranges,
            last_n,
            last_line_at: record.run.last_line_at,
            log_bytes,
            archived_bytes: log_bytes,
            commands: receiver,
            published,
            fenced: fenced.clone(),
            stop,
        };
        match task.publish_again(known_n).await {
            Ok(()) => Ok(Some(Opened {
                log: Self { commands, published: receiver_of_published, fenced },
                offsets,
                task,
            })),
            Err(Ended::Fenced) => Ok(None),
            Err(ended) => Err(Error::unavailable("log", ended)),
        }
    }

    pub async fn lines(&self, place: &Place, block: executor::Block) {
        self.send(Command::Lines(place.clone(), block)).await;
    }

    /// Slipway's own words on the run, or on a step.
    pub async fn say(&self, step: Option<(&str, u32)>, text: impl Into<String>) {
        let (step, attempt) = step.map_or((None, 0), |(name, attempt)| (Some(name.to_owned()), attempt));
        self.send(Command::Say { step, attempt, text: text.into() }).await;
    }

    /// Waits until all that was written is published. None if that will not be, here.
    pub async fn flush(&self, dir: Option<&str>) -> Option<Flushed> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Flush { dir: dir.map(str::to_owned), reply }).await;
        answer.await.ok()
    }

    /// How far it is published at present.
    pub fn published(&self) -> Flushed {
        *self.published.borrow()
    }

    /// A log whose task has ended takes nothing: the run is not this worker's any more, or it is stopping.
    async fn send(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Publishes what the journal in `dir` has of an ended run and Redis has lost. Whether it could: the journal is on
/// the host that ran it, and somebody else may have begun the run anew.
pub async fn publish_journal(app: &App, record: &RunRecord, dir: &Path) -> Result<bool> {
    if !dir.join("journal").exists() {
        return Ok(false);
    }
    Ok(RunLog::open(app, record, dir, app.shutdown.clone()).await?.is_some())
}

impl RunLogTask {
    /// Works until all [`RunLog`]s are gone, the run has gone to another worker, or the process stops.
    pub async fn run(mut self) {
        // However this ends, whoever writes to the log learns that nobody takes it any more.
        let _tells = self.fenced.clone().drop_guard();
        let ended = loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            let received = tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ended::Stopped,
                received = self.commands.recv_many(&mut batch, BATCH_MAX) => received,
            };
            if received == 0 {
                return;
            }
            if let Err(ended) = self.write(batch).await {
                break ended;
            }
            self.archive_when_long().await;
        };
        match ended {
            Ended::Stopped => {}
            Ended::Fenced => self.fenced.cancel(),
            Ended::Journal(_) => {
                // Without a journal a line could get two numbers: another claim, once the disk is well again,
                // goes on from what was published.
                tracing::error!(run.id = %self.run, error = %ended, "The log of a run cannot be written");
                self.fenced.cancel();
            }
        }
    }

    async fn write(&mut self, batch: Vec<Command>) -> Result<(), Ended> {
        let after_n = self.last_n;
        let mut pending = Pending::default();
        let mut flushes = Vec::new();
        for command in batch {
            match command {
                Command::Lines(place, block) => self.take(&place, block, &mut pending),
                Command::Say { step, attempt, text } => self.take_words(step, attempt, text, &mut pending),
                Command::Flush { dir, reply } => flushes.push((dir, reply)),
            }
        }
        self.journal.append(&pending.journal).map_err(Ended::Journal)?;
        self.entries.extend(pending.journal);
        self.publish(after_n, &pending.entries).await?;
        let (last_n, last_line_at) = (self.last_n, self.last_line_at);
        self.published.send_replace(Flushed { last_n, last_line_at, range: None });
        for (dir, reply) in flushes {
            let range = dir.and_then(|dir| self.ranges.get(&dir).copied());
            // Nobody waits for the answer any more: fine.
            let _ = reply.send(Flushed { last_n: self.last_n, last_line_at: self.last_line_at, range });
        }
        Ok(())
    }

    /// Numbers the lines of a block; passes over those beyond the log's bound.
    fn take(&mut self, place: &Place, block: executor::Block, pending: &mut Pending) {
        let bound = self.app.config.logs.run_bytes_max;
        if block.lines.is_empty() || bound <= self.log_bytes {
            return;
        }
        let first_n = self.last_n + 1;
        let count = block.lines.len() as u64;
        self.log_bytes += block.lines.iter().map(|line| stored_bytes(&line.text)).sum::<u64>();
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
            },
        });
        self.ranges.entry(place.dir.clone()).or_insert((first_n, first_n)).1 = first_n + count - 1;
        self.last_n += count;
        self.last_line_at = Some(block.at);
        pending.encode(self.epoch, first_n, place, &block);
        if bound <= self.log_bytes {
            let text = format!("the log has reached its bound of {bound} bytes: what follows is not kept");
            self.take_words(None, 0, text, pending);
        }
    }

    fn take_words(&mut self, step: Option<String>, attempt: u32, text: String, pending: &mut Pending) {
        let at = now();
        self.last_n += 1;
        self.log_bytes += stored_bytes(&text);
        self.last_line_at = Some(at);
        let line = words(self.epoch, self.last_n, &step, attempt, at, &text);
        let origin = Origin::Words { step, attempt, at_ms: at.as_millis(), text };
        pending.journal.push(Entry { first_n: self.last_n, count: 1, log_bytes: self.log_bytes, origin });
        pending.push(&line);
        pending.cut();
    }

    /// Publishes in bounded calls. Redis may be away for as long as it likes.
    async fn publish(&mut self, mut after_n: u64, mut entries: &[writer::Entry]) -> Result<(), Ended> {
        while !entries.is_empty() {
            let mut bytes = 0;
            let count = entries.iter().take_while(|entry| {
                bytes += entry.text.len();
                bytes <= CALL_BYTES_MAX
            });
            let (now, later) = entries.split_at(count.count().max(1));
            self.publish_call(after_n, now).await?;
            after_n = now.last().map_or(after_n, |entry| entry.last_n);
            entries = later;
        }
        Ok(())
    }

    async fn publish_call(&mut self, after_n: u64, entries: &[writer::Entry]) -> Result<(), Ended> {
        let mut is_away = false;
        loop {
            let published = self.app.logs.append(&self.run, self.epoch, after_n, entries).await;
            match published {
                Ok(Published::Done) => {
                    if is_away {
                        tracing::info!(run.id = %self.run, "The log is written again");
                    }
                    return Ok(());
                }
                Ok(Published::Fenced) => return Err(Ended::Fenced),
                // What is missing may be in the archive alone, so the log is opened again in both cases.
                Ok(Published::Behind(_) | Published::Forgotten) => return Box::pin(self.open_again()).await,
                Err(error) if !is_away => {
                    is_away = true;
                    tracing::warn!(run.id = %self.run, error = error.chain(), "The log cannot be written, lines wait on disk");
                }
                Err(_) => {}
            }
            self.pause().await?;
        }
    }

    /// Redis has lost the log: puts it back, unless the run has gone to another worker meanwhile.
    async fn open_again(&mut self) -> Result<(), Ended> {
        loop {
            match store::runs::find(&self.app.store, &self.run).await {
                Ok(Some(record)) if record.epoch == self.epoch => {}
                Ok(_) => return Err(Ended::Fenced),
                Err(_) => {
                    self.pause().await?;
                    continue;
                }
            }
            let opened = async {
                let archived_n = self.app.logs.archived_n(&self.run).await?;
                self.app.logs.open(&self.run, self.epoch, archived_n).await
            };
            match opened.await {
                Ok(Some(n)) => return self.publish_again(n).await,
                Ok(None) => return Err(Ended::Fenced),
                Err(_) => self.pause().await?,
            }
        }
    }

    /// Publishes what the journal has above `known_n`, from the spools.
    async fn publish_again(&mut self, known_n: u64) -> Result<(), Ended> {
        let missing: Vec<Entry> =
            self.entries.iter().filter(|entry| known_n < entry.last_n()).cloned().collect();
        let mut after_n = known_n;
        for entry in missing {
            let mut pending = Pending::default();
            match &entry.origin {
                Origin::Words { step, attempt, at_ms, text } => {
                    let at = Timestamp::from_millis(*at_ms);
                    pending.push(&words(self.epoch, entry.first_n, step, *attempt, at, text));
                    pending.cut();
                }
                Origin::Spool { dir, step, attempt, offset, .. } => {
                    let place = Place { dir: dir.clone(), step: step.clone(), attempt: *attempt };
                    match self.read_block(dir, *offset).await {
                        Some(block) => pending.encode(self.epoch, entry.first_n, &place, &block),
                        None => {
                            tracing::error!(run.id = %self.run, entry.first_n, "A spool lacks lines that were journalled");
                            return Ok(());
                        }
                    }
                }
            }
            Box::pin(self.publish(after_n, &pending.entries)).await?;
            after_n = entry.last_n();
        }
        Ok(())
    }

    async fn read_block(&self, dir: &str, offset: u64) -> Option<executor::Block> {
        let mut attachment = Attachment::open(&self.dir.join(dir), &self.workspace, offset).await.ok()?;
        match attachment.next().await {
            Ok(Output::Block(block)) if block.offset == offset => Some(block),
            _ => None,
        }
    }

    /// Takes a segment to the archive once there is enough, and gives the disk back.
    async fn archive_when_long(&mut self) {
        if self.log_bytes - self.archived_bytes < self.app.config.logs.segment_bytes {
            return;
        }
        match self.app.logs.archive(&self.run, self.last_n).await {
            Ok(archived_n) => {
                self.archived_bytes = self.log_bytes;
                while let Some(entry) = self.entries.front()
                    && entry.last_n() <= archived_n
                {
                    if let Origin::Spool { dir, next, .. } = &entry.origin {
                        executor::punch(&self.dir.join(dir), *next);
                    }
                    self.entries.pop_front();
                }
            }
            Err(error) => {
                // Tried again with the next segment; until then the spool keeps the lines.
                self.archived_bytes = self.log_bytes;
                tracing::warn!(run.id = %self.run, error = error.chain(), "A segment of a log was not archived");
            }
        }
    }

    async fn pause(&self) -> Result<(), Ended> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Ended::Stopped),
            () = tokio::time::sleep(RETRY_DELAY) => Ok(()),
        }
    }
}

/// What a line counts for in the log's bound: a million empty lines are not nothing.
fn stored_bytes(text: &str) -> u64 {
    const AROUND: u64 = 96;
    text.len() as u64 + AROUND
}

/// Lines that are numbered and not yet published.
#[derive(Default)]
struct Pending {
    journal: Vec<Entry>,
    entries: Vec<writer::Entry>,
    text: Vec<u8>,
    last: Option<(u64, Timestamp)>,
}

impl Pending {
    fn encode(&mut self, epoch: u64, first_n: u64, place: &Place, block: &executor::Block) {
        let stream = match (block.source, &place.step) {
            (executor::Source::Note, _) | (_, None) => LogStream::System,
            (executor::Source::Stdout, _) => LogStream::Stdout,
            (executor::Source::Stderr, _) => LogStream::Stderr,
        };
        let mut line = LogLine {
            id: LineId { epoch, n: first_n },
            n: first_n,
            timestamp: block.at,
            step: place.step.clone(),
            attempt: place.attempt,
            stream,
            message: String::new(),
            partial: false,
            continued: false,
        };
        for (n, SpoolLine { text, partial, continued }) in (first_n..).zip(&block.lines) {
            line.id.n = n;
            line.n = n;
            line.message.clone_from(text);
            line.partial = *partial;
            line.continued = *continued;
            self.push(&line);
        }
        self.cut();
    }

    fn push(&mut self, line: &LogLine) {
        encode(line, &mut self.text);
        self.last = Some((line.n, line.timestamp));
        if ENTRY_BYTES_MAX <= self.text.len() {
            self.cut();
        }
    }

    /// Ends the entry that is being made.
    fn cut(&mut self) {
        if let Some((last_n, at)) = self.last.take() {
            self.entries.push(writer::Entry { last_n, at, text: std::mem::take(&mut self.text).into() });
        }
    }
}

fn words(epoch: u64, n: u64, step: &Option<String>, attempt: u32, at: Timestamp, text: &str) -> LogLine {
    LogLine {
        id: LineId { epoch, n },
        n,
        timestamp: at,
        step: step.clone(),
        attempt,
        stream: LogStream::System,
        message: text.to_owned(),
        partial: false,
        continued: false,
    }
}
