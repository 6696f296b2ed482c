//! What goes to Redis and to the archive, one thing at a time: each piece of work has all that it needs, so that lines
//! are numbered while it is under way, however long Redis takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::executor;
use crate::logs::journal::{Entry, Origin};
use crate::logs::writer::{self, Published};
use crate::store;
use crate::worker::run_log::Place;
use crate::worker::run_log::pending::Text;

/// Text in one call to Redis, which serves nobody else meanwhile.
pub(super) const CALL_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Entries of the journal that are read back for one call.
pub(super) const READ_BACK_ENTRIES_MAX: usize = 256;
/// Lines that are given up in one call.
const LOST_LINES_MAX: u64 = 1_000;
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// What is under way.
pub(super) type Work = BoxFuture<'static, Done>;

/// What came of it.
pub(super) enum Done {
    /// Redis has the lines up to this one, for certain.
    Published(u64),
    /// Redis has lost lines, or the log.
    Forgotten,
    /// The log was opened again: Redis has it up to this line.
    Reopened(u64),
    /// The lines up to this one are in the archive.
    Archived(u64),
    NotArchived(Error),
    /// Somebody else has the run.
    Fenced,
    /// Redis, or the database, cannot be asked.
    Away(Error),
}

/// Whose log it is, and where the lines of its spools are.
#[derive(Clone)]
pub(super) struct Publisher {
    pub(super) app: App,
    pub(super) run: RunId,
    pub(super) epoch: u64,
    /// The run's directory.
    pub(super) dir: PathBuf,
    /// What lost lines say of when they were: the same however often they are published.
    pub(super) lost_at: Timestamp,
    /// Redis was away at the last try: the next one waits a little.
    pub(super) is_late: bool,
}

impl Publisher {
    /// Publishes entries that follow the line `after_n`.
    pub(super) fn publish(self, after_n: u64, entries: Vec<writer::Entry>) -> Work {
        async move { self.append(after_n, &entries).await }.boxed()
    }

    /// Asks whether Redis still has the log up to `last_n`.
    pub(super) fn check(self, last_n: u64) -> Work {
        self.publish(last_n, Vec::new())
    }

    /// Publishes what follows the line `after_n` from the spools: as much as one call takes, up to `last_n`. `journal`
    /// has the next entries; lines that neither it nor a spool has are lost, and each says so in its place.
    pub(super) fn read_back(self, after_n: u64, last_n: u64, journal: Vec<Entry>) -> Work {
        async move {
            let (dir, epoch, lost_at) = (self.dir.clone(), self.epoch, self.lost_at);
            let read = move || {
                let source = Source { dir: &dir, epoch, lost_at };
                read_back(&source, after_n, last_n, &journal)
            };
            match tokio::task::spawn_blocking(read).await {
                Ok(text) => self.append(after_n, &text.entries).await,
                Err(error) => Done::Away(Error::internal("reading spools", error)),
            }
        }
        .boxed()
    }

    /// Puts the log back into a Redis that has lost it, unless the run has gone to another worker meanwhile.
    pub(super) fn reopen(self) -> Work {
        async move {
            self.wait().await;
            match self.try_reopen().await {
                Ok(Some(n)) => Done::Reopened(n),
                Ok(None) => Done::Fenced,
                Err(error) => Done::Away(error),
            }
        }
        .boxed()
    }

    pub(super) fn archive(self, until_n: u64) -> Work {
        async move {
            match self.app.logs.archive(&self.run, until_n).await {
                Ok(n) => Done::Archived(n),
                Err(error) => Done::NotArchived(error),
            }
        }
        .boxed()
    }

    async fn append(&self, after_n: u64, entries: &[writer::Entry]) -> Done {
        self.wait().await;
        match self.app.logs.append(&self.run, self.epoch, after_n, entries).await {
            Ok(Published::Done) => Done::Published(entries.last().map_or(after_n, |last| last.last_n)),
            Ok(Published::Fenced) => Done::Fenced,
            // What is missing may be in the archive alone, so the log is opened again in both cases.
            Ok(Published::Behind(_) | Published::Forgotten) => Done::Forgotten,
            Err(error) => Done::Away(error),
        }
    }

    async fn try_reopen(&self) -> Result<Option<u64>> {
        match store::runs::find(&self.app.store, &self.run).await? {
            Some(record) if record.epoch == self.epoch => {}
            _ => return Ok(None),
        }
        let archived_n = self.app.logs.archived_n(&self.run).await?;
        self.app.logs.open(&self.run, self.epoch, archived_n).await
    }

    async fn wait(&self) {
        if self.is_late {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

fn read_back(source: &Source<'_>, after_n: u64, last_n: u64, journal: &[Entry]) -> Text {
    let Source { dir, epoch, .. } = *source;
    let mut text = Text::default();
    let mut next_n = after_n + 1;
    for entry in journal {
        if CALL_BYTES_MAX <= text.bytes || last_n < next_n {
            return text;
        }
        if entry.last_n() < next_n {
            continue;
        }
        if next_n < entry.first_n {
            source.lose(&mut text, next_n, entry.first_n - 1);
            return text;
        }
        match &entry.origin {
            Origin::Words { step, attempt, at_ms, text: words } => {
                let at = Timestamp::from_millis(*at_ms);
                text.words(epoch, entry.first_n, (step, *attempt), at, words);
            }
            Origin::Spool { dir: spool, step, attempt, offset, .. } => {
                let place = Place { dir: spool.clone(), step: step.clone(), attempt: *attempt };
                let block = executor::read_block(&dir.join(spool), *offset);
                let Some(block) = block.filter(|block| block.lines.len() as u64 == entry.count) else {
                    source.lose(&mut text, next_n, entry.last_n());
                    return text;
                };
                text.block(epoch, entry.first_n, &place, &block);
            }
        }
        next_n = entry.last_n() + 1;
    }
    if text.entries.is_empty() && next_n <= last_n {
        source.lose(&mut text, next_n, last_n);
    }
    text
}

/// Where lines are read back from.
struct Source<'a> {
    dir: &'a Path,
    epoch: u64,
    lost_at: Timestamp,
}

impl Source<'_> {
    fn lose(&self, text: &mut Text, first_n: u64, last_n: u64) {
        let last_n = last_n.min(first_n + LOST_LINES_MAX - 1);
        tracing::error!(first_n, last_n, "Lines of a log are lost");
        text.lost(self.epoch, first_n..=last_n, self.lost_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: u64) -> Entry {
        let origin = Origin::Words { step: None, attempt: 0, at_ms: 1, text: format!("words {n}") };
        Entry { first_n: n, count: 1, log_bytes: 0, origin }
    }

    fn spooled(first_n: u64, count: u64) -> Entry {
        let origin = Origin::Spool {
            dir: "gone".to_owned(),
            step: None,
            attempt: 1,
            offset: 0,
            next: 1,
            complaint_n: None,
        };
        Entry { first_n, count, log_bytes: 0, origin }
    }

    /// Reads all that follows `after_n`, as calls would publish it: the number of each line, and whether it is lost.
    fn all(after_n: u64, last_n: u64, journal: &[Entry]) -> Vec<(u64, bool)> {
        let mut lines = Vec::new();
        let mut after_n = after_n;
        while after_n < last_n {
            let source = Source { dir: Path::new("/nowhere"), epoch: 3, lost_at: Timestamp::from_millis(1) };
            let text = read_back(&source, after_n, last_n, journal);
            for entry in &text.entries {
                for line in entry.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let line: crate::domain::log::LogLine = serde_json::from_slice(line).unwrap();
                    lines.push((line.n, line.message.contains("lost")));
                }
            }
            after_n = text.entries.last().unwrap().last_n;
        }
        lines
    }

    #[test]
    fn lines_that_nobody_has_keep_their_places() {
        let journal = [words(3), spooled(4, 3), words(9)];
        let lines = all(0, 11, &journal);
        assert_eq!(lines.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
        let kept: Vec<u64> = lines.iter().filter(|(_, is_lost)| !is_lost).map(|(n, _)| *n).collect();
        assert_eq!(kept, [3, 9]);
        assert_eq!(all(8, 9, &journal), [(9, false)]);
        assert_eq!(all(0, 2_500, &[]).len(), 2_500);
    }
}
