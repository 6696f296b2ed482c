//! Reading a backup back: beside the data directory, which it becomes once all of it is there and right.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::backup::{
    ADMIN_TOKEN, DATABASE, Draft, FORMAT, MANIFEST, Manifest, OBJECTS, Progress, SUMS, Summing, sum_line,
};
use crate::domain::time::now;
use crate::error::{Error, Result};
use crate::executor;
use crate::logs::archive::is_segment;
use crate::store::Store;

/// More than any manifest has.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;
/// Settings of the machine: they stay as they are.
const SETTINGS: &str = "slipway.toml";

/// What becomes of a data directory that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    IsRefused,
    IsMovedAside,
}

#[derive(Debug, Clone)]
pub struct Restored {
    pub manifest: Manifest,
    pub progress: Progress,
    /// Where the directory is that was there before.
    pub moved_aside: Option<PathBuf>,
}

/// Makes `data_dir` out of a backup. It is there whole, or not at all.
///
/// # Errors
///
/// - `Invalid` if the file is not a whole backup.
/// - `Conflict` if the backup is newer than this program, or the directory is not empty or in use.
pub fn restore(
    source: impl Read,
    data_dir: &Path,
    occupied: Occupied,
    progress: &mut impl FnMut(Progress),
) -> Result<Restored> {
    let data_dir = &std::path::absolute(data_dir).map_err(unusable(data_dir))?;
    check_target(data_dir, occupied)?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(source).map_err(broken)?);
    let mut members = Members::of(&mut archive)?;
    let manifest = members.manifest()?;
    let draft = Draft::make(
        beside(data_dir, |name| format!(".{name}.restoring"))?,
        "another backup is being restored",
    )?;
    while members.extract_next(draft.path())? {
        progress(members.progress);
    }
    let progress = members.progress;
    // To the end: what was cut off may be the end of the file alone.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    let moved_aside = put_in_place(draft, data_dir)?;
    Ok(Restored { manifest, progress, moved_aside })
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::invalid("data_dir", format!("{} cannot be used: {error}", path.display()))
}

fn broken(error: io::Error) -> Error {
    not_a_backup(format!("it is damaged, cut off or something else: {error}"))
}

fn not_a_backup(reason: impl Into<String>) -> Error {
    Error::invalid("FILE", reason)
}

fn check_target(data_dir: &Path, occupied: Occupied) -> Result<()> {
    if entries(data_dir)?.iter().all(|name| name == SETTINGS) {
        return Ok(());
    }
    if occupied == Occupied::IsRefused {
        let advice = "restore into another one (--data-dir), or move it aside (--force)";
        return Err(Error::Conflict(format!("{} is not empty: {advice}", data_dir.display())));
    }
    match user(data_dir).map_err(unusable(data_dir))? {
        Some(user) => {
            Err(Error::Conflict(format!("{} is in use by {user}: end that first", data_dir.display())))
        }
        None => Ok(()),
    }
}

fn entries(dir: &Path) -> Result<Vec<String>> {
    let names = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    names.map_err(unusable(dir))
}

/// Who works in a data directory, if anybody does.
fn user(data_dir: &Path) -> io::Result<Option<&'static str>> {
    let is_locked = |path: &Path| {
        let file = File::open(path);
        file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
    };
    if is_locked(&data_dir.join("redis/lock")) {
        return Ok(Some("a server"));
    }
    for worker in below(&data_dir.join("workers"))? {
        if is_locked(&worker) {
            return Ok(Some("a worker"));
        }
    }
    for run in below(&data_dir.join("runs"))? {
        for step in below(&run)?.into_iter().chain(below(&run.join("steps"))?) {
            if executor::is_supervised(&step) {
                return Ok(Some("a step that is still running"));
            }
        }
    }
    Ok(None)
}

fn below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// A name beside the data directory, in the same file system.
fn beside(data_dir: &Path, name: impl FnOnce(&str) -> String) -> Result<PathBuf> {
    match (data_dir.parent(), data_dir.file_name()) {
        (Some(parent), Some(own)) => Ok(parent.join(name(&own.to_string_lossy()))),
        _ => Err(Error::invalid("data_dir", format!("{} cannot be restored into", data_dir.display()))),
    }
}

/// The members of a backup, read once, in their order.
struct Members<'a, R: Read> {
    entries: tar::Entries<'a, R>,
    /// Of the text of the sums, as it follows from what was read.
    sums: Sha256,
    progress: Progress,
    has_database: bool,
}

impl<'a, R: Read> Members<'a, R> {
    fn of(archive: &'a mut tar::Archive<R>) -> Result<Self> {
        // Raw, since none of our names needs an extension, whose length an attacker could choose.
        let entries = archive.entries().map_err(broken)?.raw(true);
        Ok(Self { entries, sums: Sha256::new(), progress: Progress::default(), has_database: false })
    }

    fn next(&mut self) -> Result<(String, tar::Entry<'a, R>)> {
        let cut_off = || not_a_backup(format!("it is cut off: it ends without {SUMS}"));
        let entry = self.entries.next().ok_or_else(cut_off)?.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Regular => Ok((name, entry)),
            _ => Err(not_a_backup(format!("its member {name:?} is not a file"))),
        }
    }

    /// Refuses what this program cannot restore before anything is written.
    fn manifest(&mut self) -> Result<Manifest> {
        let (name, entry) = self.next()?;
        if name != MANIFEST {
            return Err(not_a_backup("it is no backup of Slipway's"));
        }
        let mut text = Vec::new();
        let mut content = Summing::new(entry.take(MANIFEST_BYTES_MAX));
        content.read_to_end(&mut text).map_err(broken)?;
        self.note(content, &name);
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| not_a_backup(format!("its {MANIFEST} cannot be read: {error}")))?;
        if manifest.format != FORMAT || !Store::knows(&manifest.schema) {
            return Err(Error::Conflict(format!(
                "the backup is of Slipway {} with the migration {}, and this is Slipway {}, which does not know it: \
                 restore it with that version or a later one",
                manifest.version,
                manifest.schema,
                env!("CARGO_PKG_VERSION")
            )));
        }
        Ok(manifest)
    }

    /// Writes the next member below `dir`. False: that was the last one, and all of them are right.
    fn extract_next(&mut self, dir: &Path) -> Result<bool> {
        let (name, entry) = self.next()?;
        if name == SUMS {
            let mut sums = Summing::new(entry);
            io::copy(&mut sums, &mut io::sink()).map_err(broken)?;
            if sums.digest.finalize() != self.sums.clone().finalize() || !self.has_database {
                return Err(not_a_backup(
                    "it is damaged: its members are not those that it was written with",
                ));
            }
            return Ok(false);
        }
        let is_known = match name.strip_prefix(OBJECTS) {
            Some(object) => is_segment(object),
            None => name == DATABASE || name == ADMIN_TOKEN,
        };
        if !is_known {
            return Err(not_a_backup(format!("its member {name:?} is none of a backup's")));
        }
        self.has_database |= name == DATABASE;
        let content = write(&dir.join(&name), entry)?;
        self.note(content, &name);
        Ok(true)
    }

    fn note<C>(&mut self, content: Summing<C>, name: &str) {
        self.progress.members += 1;
        self.progress.bytes += content.bytes;
        self.sums.update(sum_line(content.digest, name));
    }
}

fn write<R: Read>(path: &Path, content: R) -> Result<Summing<R>> {
    let failed = |error: io::Error| Error::internal("writing what a backup holds", error);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    let mut file =
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
    let mut content = Summing::new(content);
    copy(&mut content, &mut file, failed)?;
    Ok(content)
}

/// Tells a file that cannot be read from a disk that cannot be written.
fn copy(from: &mut impl Read, to: &mut impl io::Write, failed: impl Fn(io::Error) -> Error) -> Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match from.read(&mut buffer).map_err(broken)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count]).map_err(&failed)?,
        }
    }
}

/// Gives the draft the name of the data directory. Gives where the directory is that was there before.
fn put_in_place(draft: Draft, data_dir: &Path) -> Result<Option<PathBuf>> {
    let failed = unusable(data_dir);
    let settings = data_dir.join(SETTINGS);
    if settings.exists() {
        fs::copy(&settings, draft.path().join(SETTINGS)).map_err(&failed)?;
    }
    let written = File::open(draft.path()).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
    written.map_err(|error| Error::internal("writing what a backup holds to the disk", error))?;
    let mut moved_aside = None;
    if !entries(data_dir)?.is_empty() {
        let stamp = now().to_string().replace(':', "-");
        let aside = beside(data_dir, |name| format!("{name}.before-{stamp}"))?;
        fs::rename(data_dir, &aside).map_err(&failed)?;
        moved_aside = Some(aside);
    }
    // An empty directory is replaced.
    if let Err(error) = fs::rename(draft.path(), data_dir) {
        if let Some(aside) = &moved_aside {
            fs::rename(aside, data_dir).map_err(&failed)?;
        }
        return Err(failed(error));
    }
    draft.keep();
    if let Some(parent) = data_dir.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    }
    Ok(moved_aside)
}
