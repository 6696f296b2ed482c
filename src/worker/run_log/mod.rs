//! The log of a run that this worker has: what its steps print, and what Slipway says of it, in one order.
//!
//! A task of its own numbers the lines and journals them, and publishes them beside that. A line counts as written once
//! it is journalled: a Redis that is away holds up neither the steps nor the end of the run. What it is to have waits in
//! the spools, and a spool that is full holds its step back.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::log::reserved_n;
use crate::domain::run::RunRecord;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::executor;
use crate::logs::journal::{Journal, Origin};

mod pending;
mod publisher;
mod task;

pub use task::RunLogTask;

/// Blocks that wait to be numbered: each holds what was read at once.
const COMMANDS_MAX: usize = 8;
/// How long an ended run's journal may take to be published.
const JOURNAL_TIME_MAX: Duration = Duration::from_secs(120);

/// Who wrote the log before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenFrom {
    /// This machine, or one that said how far it came.
    Nobody,
    /// A machine that fell silent amid it: another one, or this one before it was started anew.
    SilentMachine,
}

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
    Flush { dir: String, reply: oneshot::Sender<Flushed> },
}

/// Which lines came from one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    pub first_n: u64,
    pub last_n: u64,
    /// The first that reads like an error.
    pub complaint_n: Option<u64>,
}

/// All that was written before it was asked is in the journal.
#[derive(Debug, Clone, Copy)]
pub struct Flushed {
    /// Those of the directory that was asked for; none: it has printed nothing.
    pub lines: Option<Lines>,
}

/// How far the log has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the last line that is numbered and journalled.
    pub last_n: u64,
    pub last_line_at: Option<Timestamp>,
    /// Lines up to this number are where anybody can read them.
    pub published_n: u64,
    /// Redis does not take lines at present.
    pub is_away: bool,
}

/// Writes to the log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunLog {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
    /// Fires when nothing more is taken: the run has gone to another worker, or the process is stopping.
    pub fenced: CancellationToken,
}

/// The task behind a [`RunLog`], and where reading the spools goes on.
pub struct Opened {
    pub log: RunLog,
    /// The offset from which each spool is still to be read.
    pub offsets: HashMap<String, u64>,
    pub task: RunLogTask,
}

impl Lines {
    fn add(all: &mut HashMap<String, Self>, dir: &str, range: RangeInclusive<u64>, complaint_n: Option<u64>) {
        let (first_n, last_n) = range.into_inner();
        match all.get_mut(dir) {
            Some(lines) => {
                lines.last_n = last_n;
                lines.complaint_n = lines.complaint_n.or(complaint_n);
            }
            None => {
                all.insert(dir.to_owned(), Self { first_n, last_n, complaint_n });
            }
        }
    }
}

impl RunLog {
    /// Takes up the log where it stands. None if another worker has the run.
    pub async fn open(
        app: &App,
        record: &RunRecord,
        dir: &Path,
        origin: TakenFrom,
        stop: CancellationToken,
    ) -> Result<Option<Opened>> {
        let run = &record.run.id;
        let archived_n = archived_n(app, record).await?;
        // Lines may have been seen that neither the row nor Redis knows of any more: their numbers are not given again.
        let seen_n = match origin {
            TakenFrom::SilentMachine if !app.logs.remembers(run).await? => reserved_n(record.run.lines),
            _ => record.run.lines,
        };
        // The fence first: whoever had the run before publishes nothing from here on, and has journalled what it did.
        let Some(known_n) = app.logs.open(run, record.epoch, archived_n).await? else { return Ok(None) };
        let path = dir.join("journal");
        let (journal, entries) = tokio::task::spawn_blocking(move || Journal::take_over(&path))
            .await
            .map_err(|error| Error::internal("opening the journal of a run", error))?
            .map_err(|error| Error::unavailable("disk", error))?;
        let journalled_n = entries.last().map_or(0, |entry| entry.last_n());
        // Written on another machine, and safe from a Redis that forgets only once they are archived.
        let foreign_n = if archived_n.max(journalled_n) < known_n { known_n } else { 0 };
        let mut offsets = HashMap::new();
        let mut lines: HashMap<String, Lines> = HashMap::new();
        for entry in &entries {
            if let Origin::Spool { dir, next, complaint_n, .. } = &entry.origin {
                offsets.insert(dir.clone(), *next);
                Lines::add(&mut lines, dir, entry.first_n..=entry.last_n(), *complaint_n);
            }
        }
        let last_n = known_n.max(journalled_n).max(seen_n);
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let fenced = CancellationToken::new();
        let progress = watch::Sender::new(Progress {
            last_n,
            last_line_at: record.run.last_line_at,
            published_n: known_n,
            is_away: false,
        });
        let log = Self { commands, progress: progress.subscribe(), fenced: fenced.clone() };
        let ends = task::Ends { commands: receiver, progress, fenced, stop };
        let archive = task::Archive { archived_n, foreign_n };
        let task = RunLogTask::new(app, record, dir, archive, journal, entries, lines, ends);
        Ok(Some(Opened { log, offsets, task }))
    }

    pub async fn lines(&self, place: &Place, block: executor::Block) {
        self.send(Command::Lines(place.clone(), block)).await;
    }

    /// Slipway's own words on the run, or on a step.
    pub async fn say(&self, step: Option<(&str, u32)>, text: impl Into<String>) {
        let (step, attempt) = step.map_or((None, 0), |(name, attempt)| (Some(name.to_owned()), attempt));
        self.send(Command::Say { step, attempt, text: text.into() }).await;
    }

    /// Waits until all that was written is journalled. None if that will not be, here.
    pub async fn flush(&self, dir: &str) -> Option<Flushed> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Flush { dir: dir.to_owned(), reply }).await;
        answer.await.ok()
    }

    /// Waits until all that was written can be read by anybody; where Redis is away, until it is journalled. Whether it
    /// is: not so if the run is not this worker's any more, or the process is stopping.
    pub async fn settle(&self) -> bool {
        if self.flush("").await.is_none() {
            return false;
        }
        let mut progress = self.progress.clone();
        let is_there = |progress: &Progress| progress.is_away || progress.last_n <= progress.published_n;
        progress.wait_for(is_there).await.is_ok()
    }

    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until the log has this line.
    pub async fn reaches(&self, n: u64) {
        let mut progress = self.progress.clone();
        if progress.wait_for(|progress| n <= progress.last_n).await.is_err() {
            // Nothing is written any more, which whoever waits learns otherwise.
            std::future::pending::<()>().await;
        }
    }

    /// A log whose task has ended takes nothing: the run is not this worker's any more, or it is stopping.
    async fn send(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Publishes what Redis lacks of an ended run's log, from the journal in `dir`: what that does not have is given up. Whether
/// all is there now; not so if somebody has begun the run anew.
pub async fn publish_rest(app: &App, record: &RunRecord, dir: &Path) -> Result<bool> {
    tokio::fs::create_dir_all(dir).await.map_err(|error| Error::unavailable("disk", error))?;
    let stop = app.shutdown.child_token();
    let opened = RunLog::open(app, record, dir, TakenFrom::Nobody, stop).await?;
    let Some(Opened { log, task, .. }) = opened else {
        return Ok(false);
    };
    let progress = log.progress.clone();
    // Without a writer it ends once all is published.
    drop(log);
    let _ = tokio::time::timeout(JOURNAL_TIME_MAX, task.run()).await;
    let progress = *progress.borrow();
    Ok(progress.last_n <= progress.published_n)
}

/// The last line that the archive holds. Where it cannot be asked, Redis knows how far it came.
async fn archived_n(app: &App, record: &RunRecord) -> Result<u64> {
    let run: &RunId = &record.run.id;
    // Nothing can be archived before the first line: a run begins without the object store.
    if record.epoch <= 1 && record.run.lines == 0 {
        return Ok(0);
    }
    match app.logs.archived_n(run).await {
        Ok(n) => Ok(n),
        Err(error) => match app.logs.head(run).await? {
            Some(head) => Ok(head.archived_n),
            None => Err(error),
        },
    }
}
