//! Secrets that a step is given as files: in memory, in a directory of its own that goes with it.
//!
//! Where a step has mounts of its own, so is its `/dev/shm`: nobody else ever sees the directory. Elsewhere its name says
//! whose it is, so that whoever cleans up after the step removes it, and the machine itself when it starts anew.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown, fchown};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::secret::Secret;

const MEMORY: &str = "/dev/shm";

/// A value for a file, whose path a variable has. The file has the variable's name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WireFile {
    pub(super) variable: String,
    pub(super) text: String,
}

/// A secret for a file.
#[derive(Clone)]
pub struct SecretFile {
    /// It has the path.
    pub variable: String,
    pub value: Secret<String>,
}

impl std::fmt::Debug for WireFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WireFile").field(&self.variable).finish()
    }
}

impl From<&SecretFile> for WireFile {
    fn from(file: &SecretFile) -> Self {
        let mut text = file.value.reveal().clone();
        // As texts end that are kept in files; a key of SSH is none without it.
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Self { variable: file.variable.clone(), text }
    }
}

/// Where a step's files are.
fn dir(step_id: &str) -> PathBuf {
    PathBuf::from(MEMORY).join(format!("slipway-{step_id}"))
}

/// The variables that name the files.
pub(super) fn variables(step_id: &str, files: &[WireFile]) -> Vec<(String, String)> {
    let dir = dir(step_id);
    let path = |file: &WireFile| dir.join(&file.variable).display().to_string();
    files.iter().map(|file| (file.variable.clone(), path(file))).collect()
}

/// Writes the files, for this user or that of this process.
pub(super) fn write(step_id: &str, files: &[WireFile], user: Option<u32>) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let dir = dir(step_id);
    DirBuilder::new().mode(0o700).create(&dir)?;
    for WireFile { variable, text } in files {
        let path = dir.join(variable);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        fchown(&file, user, user)?;
    }
    chown(&dir, user, user)
}

/// Removes what is left of a step's files; that there are none is the rule.
pub(super) fn remove(step_id: &str) {
    let dir = dir(step_id);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(%error, dir = %dir.display(), "The secrets of a step could not be removed");
        }
        _ => {}
    }
}
