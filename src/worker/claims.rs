//! What this host has of a run, and whether it still counts.
//!
//! A run's directory holds its workspace, the spools of its steps and its journal. It is the run's own story only for as
//! long as no other host has had the run: the file `claims` in it names the workers of this host that have claimed the
//! run, and if the run's latest worker is not among them, then another host has carried it on. What is left here of it
//! is ended and removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::app::App;
use crate::domain::ids::{RunId, WorkerId};
use crate::domain::run::RunRecord;
use crate::error::{Error, Result};
use crate::executor;
use crate::logs::journal;
use crate::store;
use crate::worker::host::Seat;

/// Of the workers that have claimed a run, so many are remembered: only the latest matter.
const CLAIMS_MAX: usize = 100;
/// Between two attempts to get the lock of the directories of runs.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// Prepares this host for claiming a run, before the claim: what does not count any more is removed, and the worker is
/// noted. A claim that fails afterwards does no harm.
pub async fn make_way(app: &App, seat: &Seat, record: &RunRecord) -> Result<()> {
    let dir = app.run_dir(&record.run.id);
    let _lock = lock(app).await?;
    let mut claims = read(&dir)?;
    if !is_own(&claims, record) {
        clear(&dir).await?;
        claims.clear();
    }
    if !claims.contains(&seat.worker) {
        claims.push(seat.worker.clone());
        write(&dir, &claims).map_err(disk)?;
    }
    Ok(())
}

/// Whether the machine was started anew since the run was last taken up here: then the last things that were written may
/// be missing from its disk.
pub fn is_after_restart(dir: &Path) -> io::Result<bool> {
    let boot = executor::boot()?;
    let path = dir.join("boot");
    let before = match fs::read_to_string(&path) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if before.as_ref() != Some(&boot) {
        fs::write(&path, &boot)?;
    }
    Ok(before.is_some_and(|before| before != boot))
}

/// Ends and removes what this host has of a run that another host carries on, or that is unknown. Whether it did: lines
/// that are not in the archive are kept until they are. To be called by whoever makes sure that this process does not
/// work on the run.
pub async fn let_go(app: &App, seat: &Seat, run: &RunId) -> Result<bool> {
    let dir = app.run_dir(run);
    let _lock = lock(app).await?;
    let record = store::runs::find(&app.store, run).await?;
    let claims = read(&dir)?;
    if record.as_ref().is_some_and(|record| is_own(&claims, record)) {
        return Ok(false);
    }
    // Another worker of this host is about to claim it.
    if claims.iter().any(|worker| *worker != seat.worker && !seat.is_dead(worker)) {
        return Ok(false);
    }
    end_steps(&dir).await?;
    if let Some(record) = record
        && !record.archived
        && app.logs.archived_n(run).await? < journal::last_n(&dir.join("journal")).map_err(disk)?
    {
        return Ok(false);
    }
    super::upkeep::remove(&dir).await?;
    Ok(true)
}

fn disk(error: io::Error) -> Error {
    Error::unavailable("disk", error)
}

/// Whether what this host has of a run is the run's own story.
pub fn has(app: &App, record: &RunRecord) -> Result<bool> {
    Ok(is_own(&read(&app.run_dir(&record.run.id))?, record))
}

/// Ends all steps of a run that this host has started, whatever has become of their supervisors.
pub async fn end_steps(dir: &Path) -> Result<()> {
    let workspace = dir.join("workspace");
    for step in steps(dir).map_err(|error| Error::internal("looking for the steps of a run", error))? {
        executor::end(&step, &workspace)
            .await
            .map_err(|error| Error::internal("ending a step that is left", error))?;
    }
    Ok(())
}

/// A run that no worker has had yet has nothing here that counts.
fn is_own(claims: &[WorkerId], record: &RunRecord) -> bool {
    record.worker.as_ref().is_some_and(|worker| claims.contains(worker))
}

async fn clear(dir: &Path) -> Result<()> {
    end_steps(dir).await?;
    super::upkeep::remove(dir).await
}

/// The directories of everything that was started for a run.
fn steps(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (parent, prefix) in [(dir.join("steps"), ""), (dir.to_owned(), "checkout-")] {
        let entries = match fs::read_dir(parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let is_wanted = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
            if is_wanted && entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn read(dir: &Path) -> Result<Vec<WorkerId>> {
    match fs::read_to_string(dir.join("claims")) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::internal("reading who has claimed a run", error)),
    }
}

fn write(dir: &Path, claims: &[WorkerId]) -> io::Result<()> {
    let latest = &claims[claims.len().saturating_sub(CLAIMS_MAX)..];
    let text: String = latest.iter().map(|worker| format!("{worker}\n")).collect();
    fs::create_dir_all(dir)?;
    let draft = dir.join("claims.draft");
    fs::write(&draft, text)?;
    fs::rename(draft, dir.join("claims"))
}

/// Processes that share a data directory do not remove what another one prepares. The lock is let go of when it is
/// dropped.
async fn lock(app: &App) -> Result<File> {
    let path = app.config.data_dir.join("runs.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(disk)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => tokio::time::sleep(LOCK_INTERVAL).await,
            Err(error) => return Err(disk(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_started_anew_is_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_after_restart(dir.path()).unwrap());
        assert!(!is_after_restart(dir.path()).unwrap());
        fs::write(dir.path().join("boot"), "another life").unwrap();
        assert!(is_after_restart(dir.path()).unwrap());
        assert!(!is_after_restart(dir.path()).unwrap());
    }
}
