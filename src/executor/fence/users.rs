//! Users for steps: numbers without a name, one for each run that is alive on this host.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Where all servers of a host look which numbers are taken. Gone when the machine starts anew, as all steps are.
const TAKEN_DIR: &str = "/run/slipway-users";
/// The file of a run's directory that has its number.
const RECORD: &str = "user";
/// So many numbers are tried: of a range that is nearly full, one is not found.
const TRIES_MAX: u32 = 256;

/// A range of numbers that are nobody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    pub first: u32,
    pub count: u32,
}

impl Users {
    /// Fetches repositories, for all runs: what it writes no step may change.
    pub fn of_checkouts(&self) -> u32 {
        self.first
    }

    /// The user of a run: the one that its directory names, or another, which it names then. Blocks.
    ///
    /// # Errors
    ///
    /// All numbers are taken, or the disk refuses.
    pub fn of_run(&self, dir: &Path) -> io::Result<u32> {
        let taken_dir = Path::new(TAKEN_DIR);
        DirBuilder::new().recursive(true).mode(0o700).create(taken_dir)?;
        let lock = taken_dir.join("lock");
        let lock: File =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        if let Some(user) = recorded(dir)
            && self.is_for_runs(user)
            && take(taken_dir, user, dir)?
        {
            return Ok(user);
        }
        let runs = self.count.saturating_sub(1).max(1);
        let start = getrandom::u32().map_err(io::Error::other)? % runs;
        for offset in 0..TRIES_MAX.min(runs) {
            let user = self.first + 1 + (start + offset) % runs;
            if take(taken_dir, user, dir)? {
                fs::write(dir.join(RECORD), user.to_string())?;
                return Ok(user);
            }
        }
        Err(io::Error::other("the users for steps are all taken: give executor.users more of them"))
    }

    fn is_for_runs(&self, user: u32) -> bool {
        self.first < user && user - self.first < self.count
    }
}

/// The user that the directory of a run names.
fn recorded(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join(RECORD)).ok()?.trim().parse().ok()
}

/// A link to the directory of the run that has the number; one whose run is gone, or has another by now, holds nothing.
fn take(taken_dir: &Path, user: u32, dir: &Path) -> io::Result<bool> {
    let path = taken_dir.join(user.to_string());
    match fs::read_link(&path) {
        Ok(holder) if holder == dir => return Ok(true),
        Ok(holder) if recorded(&holder) == Some(user) => return Ok(false),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    symlink(dir, &path)?;
    Ok(true)
}

/// Makes a directory and all in it a user's, if it is not. No step may be using it. Blocks.
///
/// # Errors
///
/// The disk refuses.
pub fn own(dir: &Path, user: u32) -> io::Result<()> {
    if fs::symlink_metadata(dir)?.uid() == user {
        return Ok(());
    }
    let mut dirs: Vec<PathBuf> = vec![dir.to_owned()];
    let mut at = 0;
    while at < dirs.len() {
        for entry in fs::read_dir(&dirs[at])? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                lchown(entry.path(), Some(user), Some(user))?;
            }
        }
        at += 1;
    }
    // The first one last: it says that all is done.
    dirs.iter().rev().try_for_each(|dir| lchown(dir, Some(user), Some(user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_runs_until_that_run_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| root.path().join(name));
        for dir in [&one, &two] {
            fs::create_dir(dir).unwrap();
        }
        assert!(take(root.path(), 7, &one).unwrap());
        fs::write(one.join(RECORD), "7").unwrap();
        assert!(take(root.path(), 7, &one).unwrap());
        assert!(!take(root.path(), 7, &two).unwrap());
        fs::remove_dir_all(&one).unwrap();
        assert!(take(root.path(), 7, &two).unwrap());
    }
}
