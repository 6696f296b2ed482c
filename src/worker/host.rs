//! Which host this is, and which worker processes of it are alive.
//!
//! The host's id lies in the data directory. Each worker process holds a lock on a file of its own there,
//! which the kernel lets go of however the process ends: so it is certain, and at once, that a worker of this
//! host is dead.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::domain::ids::{HostId, WorkerId};

/// This worker's place on its host. The lock goes with it.
#[derive(Debug)]
pub struct Seat {
    pub host: HostId,
    pub worker: WorkerId,
    dir: PathBuf,
    _lock: File,
}

impl Seat {
    pub fn take(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("workers");
        fs::create_dir_all(&dir)?;
        let host = host_id(&data_dir.join("host-id"))?;
        let worker = WorkerId::generate();
        // Locked before it has the name by which others look for it: a file that is found unlocked is a dead
        // worker's.
        let draft = dir.join(format!("{worker}.draft"));
        let lock = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&draft, dir.join(worker.as_str()))?;
        Ok(Self { host, worker, dir, _lock: lock })
    }

    /// Whether a worker of this host is gone. A worker whose file is gone was tidied away before.
    pub fn is_dead(&self, worker: &WorkerId) -> bool {
        if *worker == self.worker {
            return false;
        }
        is_gone(&self.dir, worker)
    }

    /// Removes the files of workers that are gone, and gives their ids.
    pub fn tidy(&self) -> io::Result<Vec<WorkerId>> {
        let mut gone = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Some(worker) = entry.file_name().to_str().and_then(|name| name.parse::<WorkerId>().ok())
            else {
                continue;
            };
            if self.is_dead(&worker) {
                fs::remove_file(entry.path())?;
                gone.push(worker);
            }
        }
        Ok(gone)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // What is left behind is tidied away by another worker.
        let _ = fs::remove_file(self.dir.join(self.worker.as_str()));
    }
}

/// Which host the workers of a data directory belong to, and which of them are gone, for those who are none.
#[derive(Debug)]
pub struct Roster {
    /// None: no worker was ever started here.
    pub host: Option<HostId>,
    dir: PathBuf,
}

impl Roster {
    pub fn of(data_dir: &Path) -> Self {
        Self { host: known_id(&data_dir.join("host-id")), dir: data_dir.join("workers") }
    }

    /// Of a worker of this host.
    pub fn is_dead(&self, worker: &WorkerId) -> bool {
        is_gone(&self.dir, worker)
    }
}

fn is_gone(dir: &Path, worker: &WorkerId) -> bool {
    let Ok(file) = File::open(dir.join(worker.as_str())) else { return true };
    flock(&file, FlockOperation::NonBlockingLockShared).is_ok()
}

fn known_id(path: &Path) -> Option<HostId> {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok())
}

/// Reads the host's id, or makes one. Two processes that start at once agree on one: a file appears under its
/// name only when it is whole, and only once.
fn host_id(path: &Path) -> io::Result<HostId> {
    if let Some(id) = known_id(path) {
        return Ok(id);
    }
    let id = HostId::generate();
    let draft = path.with_extension(id.as_str());
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    writeln!(file, "{id}")?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(id),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path)?
            .trim()
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "host-id holds no id: remove the file")),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_one_directory_share_the_host_and_see_who_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let first = Seat::take(dir.path()).unwrap();
        let second = Seat::take(dir.path()).unwrap();
        assert_eq!(first.host, second.host);
        assert!(!second.is_dead(&first.worker));
        assert!(!first.is_dead(&first.worker));
        let worker = first.worker.clone();
        drop(first);
        assert!(second.is_dead(&worker));
    }
}
