//! Backups of the embedded default: one file with all that cannot be made again.
//!
//! The file is a tar archive, compressed with zstd, whose members come in this order:
//!
//! ```text
//!   manifest.json            what this is, before anything that may be large
//!   slipway.db               the database at one moment
//!   admin-token              only if that was asked for
//!   objects/logs/<run>/…     the logs of the database's runs
//!   SHA256SUMS               of all the others, in their order, as sha256sum writes them
//! ```
//!
//! What the data directory holds beside that is of the machine, and stays behind: which host it is, workspaces, spools,
//! the private Redis. So the copy of the database is as another machine would find it: what has begun is taken over from
//! a worker that nobody knows, from its first step, and its log goes on. What Redis and the spools have of a log is not
//! copied either: what was published is archived first, and that is all that anybody has seen.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

mod create;
mod restore;

pub use create::{Created, create};
pub use restore::{Occupied, Restored, restore};

const MANIFEST: &str = "manifest.json";
const DATABASE: &str = "slipway.db";
const ADMIN_TOKEN: &str = "admin-token";
const OBJECTS: &str = "objects/";
const SUMS: &str = "SHA256SUMS";

/// Rises when an older program could not read the file any more.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// Of the program that wrote the backup.
    pub version: String,
    /// The database's last migration.
    pub schema: String,
    /// RFC 3339.
    pub created_at: String,
}

/// How far long work has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub members: u64,
    /// Before they are compressed.
    pub bytes: u64,
}

/// A line of `SHA256SUMS`.
fn sum_line(digest: Sha256, name: &str) -> String {
    let mut line = String::new();
    for byte in digest.finalize() {
        // Writing to a string does not fail.
        let _ = write!(line, "{byte:02x}");
    }
    line + "  " + name + "\n"
}

/// Reads on, and sums up what is read.
struct Summing<R> {
    inner: R,
    digest: Sha256,
    bytes: u64,
}

impl<R> Summing<R> {
    fn new(inner: R) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// A directory in the making: removed unless it is kept, and, where its maker was killed, by the next one.
struct Draft {
    path: PathBuf,
    /// Held for as long as somebody works in it.
    _lock: File,
    kept: bool,
}

impl Draft {
    /// `busy` says what another process does that has it.
    fn make(path: PathBuf, busy: &str) -> Result<Self> {
        let unusable = |error: io::Error| {
            Error::invalid("data_dir", format!("{} cannot be used: {error}", path.display()))
        };
        if let Ok(left) = File::open(&path) {
            if flock(&left, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(Error::Conflict(format!("{busy}: {} is in use", path.display())));
            }
            fs::remove_dir_all(&path).map_err(unusable)?;
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(unusable)?;
        let lock = File::open(&path).map_err(unusable)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| unusable(error.into()))?;
        Ok(Self { path, _lock: lock, kept: false })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// It has got a name of its own.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What is left is removed by the next one.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
