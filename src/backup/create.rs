//! Writing a backup, while the installation works on.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::backup::{
    ADMIN_TOKEN, DATABASE, Draft, FORMAT, MANIFEST, Manifest, OBJECTS, Progress, SUMS, Summing, sum_line,
};
use crate::config::DatabaseConfig;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;
use crate::domain::secret::Secret;
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::logs::Logs;
use crate::store::runs::{LoggedRun, RunChange};
use crate::store::{Store, runs, snapshot, workers};

/// Rows that are read at a time.
const SLICE: u32 = 500;
/// Lines that Redis has just lost are published again by the server, from its spools: how long that is waited for.
const LINES_PATIENCE: Duration = Duration::from_secs(30);
const LINES_INTERVAL: Duration = Duration::from_millis(200);
const LEVEL: i32 = 3;

/// What a backup holds.
#[derive(Debug, Clone)]
pub struct Created {
    pub manifest: Manifest,
    pub runs: u64,
    pub members: u64,
    pub bytes: u64,
    /// Runs of whose logs nobody has all lines any more.
    pub incomplete: Vec<RunId>,
}

/// Writes a backup to `sink`. Needs a runtime with several threads.
///
/// The database is copied first, the logs after it: so whatever the copy says is archived is there.
///
/// # Errors
///
/// - `Invalid` if the database is none that is backed up so.
/// - `Conflict` if another backup is being written, or the database is newer than this program.
/// - `Unavailable` if the database, Redis or the object store is.
pub async fn create(
    store: &Store,
    logs: &Logs,
    data_dir: &Path,
    admin_token: Option<&str>,
    sink: impl Write,
    progress: &mut impl FnMut(Progress),
) -> Result<Created> {
    let created_at = now();
    let schema = schema(store).await?;
    let draft = Draft::make(data_dir.join("backup.draft"), "another backup is being written")?;
    let file = draft.path().join(DATABASE);
    snapshot::write(store, &file).await?;
    let incomplete = prepare(&open(&file).await?, logs).await?;

    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        created_at: created_at.to_string(),
    };
    let mut writer = blocking(|| Writer::new(sink, draft.path(), created_at))?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Error::internal(DOING, error))?;
    blocking(|| writer.add(MANIFEST, text.len() as u64, &text[..]))?;
    blocking(|| {
        let database = File::open(&file)?;
        writer.add(DATABASE, database.metadata()?.len(), database)
    })?;
    if let Some(token) = admin_token {
        blocking(|| writer.add(ADMIN_TOKEN, token.len() as u64, token.as_bytes()))?;
    }
    progress(writer.progress);

    let copy = open(&file).await?;
    let mut runs = 0;
    let mut after = None;
    while let Some(slice) = next_slice(&copy, &mut after).await? {
        for run in slice {
            for segment in logs.segments(&run.id).await? {
                // What was written after the copy, of a run that had ended by then, belongs to another attempt.
                if is_whole(&run) && run.lines < segment.first_n {
                    continue;
                }
                let bytes = logs.segment(&segment).await?;
                let name = format!("{OBJECTS}{}", segment.name());
                blocking(|| writer.add(&name, bytes.len() as u64, &bytes[..]))?;
                progress(writer.progress);
            }
            runs += 1;
        }
    }
    copy.close().await;
    let Progress { members, bytes } = writer.progress;
    blocking(|| writer.finish())?;
    Ok(Created { manifest, runs, members, bytes, incomplete })
}

const DOING: &str = "writing a backup";

fn blocking<T>(write: impl FnOnce() -> io::Result<T>) -> Result<T> {
    tokio::task::block_in_place(write).map_err(|error| Error::internal(DOING, error))
}

async fn schema(store: &Store) -> Result<String> {
    let mut applied = store.migrations().await?.into_iter().filter(|migration| migration.applied);
    let last = applied.next_back().map(|migration| migration.name);
    last.ok_or_else(|| Error::Conflict("the database is empty: there is nothing to back up".to_owned()))
}

async fn open(file: &Path) -> Result<Store> {
    let url = format!("sqlite:{}", file.display());
    let config = DatabaseConfig { url: Some(Secret::new(url)), connections_max: 1, migrate_at_start: false };
    Store::open(&config, file).await
}

/// Makes the copy one that another machine can go on from, and archives the lines that only Redis has. Gives the runs
/// of whose logs some are lost.
async fn prepare(copy: &Store, logs: &Logs) -> Result<Vec<RunId>> {
    loop {
        let known = workers::list(copy, SLICE).await?;
        if known.is_empty() {
            break;
        }
        for worker in known {
            workers::delete(copy, &worker.id).await?;
        }
    }
    let mut incomplete = Vec::new();
    let deadline = Instant::now() + LINES_PATIENCE;
    let mut after = None;
    while let Some(slice) = next_slice(copy, &mut after).await? {
        for run in slice.into_iter().filter(|run| run.has_begun && !is_whole(run)) {
            // Its workspace stays behind, so it cannot go on with the step that failed: it is begun anew, as one is
            // whose worker is lost.
            if matches!(run.status, RunStatus::Queued | RunStatus::Waiting) {
                let change = RunChange { status: Some(RunStatus::Running), ..RunChange::of(run.id.clone()) };
                runs::change(copy, change).await?;
            }
            if !archive(logs, &run, deadline).await? {
                incomplete.push(run.id);
            }
        }
    }
    copy.clone().close().await;
    Ok(incomplete)
}

/// Takes what is published of a log to the archive. Whether that is all that the run is known to have.
async fn archive(logs: &Logs, run: &LoggedRun, deadline: Instant) -> Result<bool> {
    loop {
        let last_n = logs.head(&run.id).await?.map_or(0, |head| head.last_n);
        if run.lines <= logs.archive(&run.id, last_n).await? {
            return Ok(true);
        }
        if deadline < Instant::now() {
            return Ok(false);
        }
        tokio::time::sleep(LINES_INTERVAL).await;
    }
}

/// Whether nothing more can come of the run by itself.
fn is_whole(run: &LoggedRun) -> bool {
    run.status.is_ended() && run.archived
}

async fn next_slice(copy: &Store, after: &mut Option<RunId>) -> Result<Option<Vec<LoggedRun>>> {
    let slice = runs::logged(copy, after.as_ref(), SLICE).await?;
    let Some(last) = slice.last() else { return Ok(None) };
    *after = Some(last.id.clone());
    Ok(Some(slice))
}

/// Members, one after the other, and their sums.
struct Writer<'a, W: Write> {
    tar: tar::Builder<zstd::Encoder<'a, W>>,
    /// On disk, since there is one for each segment of each log.
    sums: File,
    at: Timestamp,
    progress: Progress,
}

impl<W: Write> Writer<'_, W> {
    fn new(sink: W, dir: &Path, at: Timestamp) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(sink, LEVEL)?;
        encoder.include_checksum(true)?;
        let sums = fs::OpenOptions::new().create_new(true).read(true).write(true).open(dir.join(SUMS))?;
        Ok(Self { tar: tar::Builder::new(encoder), sums, at, progress: Progress::default() })
    }

    fn add(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut content = Summing::new(content);
        self.append(name, bytes, &mut content)?;
        self.sums.write_all(sum_line(content.digest, name).as_bytes())?;
        self.progress.members += 1;
        self.progress.bytes += bytes;
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at.as_millis() / 1000).unwrap_or(0));
        self.tar.append_data(&mut header, name, content)
    }

    fn finish(mut self) -> io::Result<()> {
        let bytes = self.sums.stream_position()?;
        self.sums.rewind()?;
        let sums = self.sums.try_clone()?;
        self.append(SUMS, bytes, sums)?;
        self.tar.into_inner()?.finish()?.flush()
    }
}
