//! The keys of the secrets: where they come from, how they are made, and how one takes the place of another.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::domain::keyring::{KEY_BYTES, KeyError, KeyRing, KeySource};
use crate::domain::secret::Secret;
use crate::error::{Error, Result};

/// In the data directory; made with the first secret.
const KEY_FILE: &str = "secrets.key";
/// Of a file or of what a command prints: beyond all keys that are read.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
const MAKING: &str = "making the key of the secrets";

/// What a program sees that is asked for keys: nothing else is inherited.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub path: String,
    pub home: Option<String>,
}

/// The keys of this machine.
#[derive(Debug)]
pub struct Keys {
    place: Place,
    /// What the command has printed. A file is read each time, since it costs nothing.
    printed: Mutex<Option<Arc<KeyRing>>>,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Given(Secret<String>),
    Command(Vec<String>, Surroundings),
}

/// Why there are no keys, and where they were looked for.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("there is no {0} (secrets.key_file): copy it there from where the secrets were set")]
    Missing(String),
    #[error("the file {path} (secrets.key_file) cannot be read")]
    File { path: String, source: io::Error },
    #[error("the program {program} (secrets.key_command) {reason}")]
    Command { program: String, reason: String },
    #[error("{place}")]
    Malformed { place: String, source: KeyError },
}

impl Keys {
    pub fn new(source: &KeySource, data_dir: &Path, surroundings: Surroundings) -> Self {
        let place = match source {
            KeySource::File(path) => Place::File(path.clone().unwrap_or_else(|| data_dir.join(KEY_FILE))),
            KeySource::Given(text) => Place::Given(text.clone()),
            KeySource::Command(words) => Place::Command(words.clone(), surroundings),
        };
        Self { place, printed: Mutex::default() }
    }

    /// Where they come from, for people.
    pub fn place(&self) -> String {
        match &self.place {
            Place::File(path) => format!("the file {} (secrets.key_file)", path.display()),
            Place::Given(_) => "SLIPWAY_SECRETS_KEY (secrets.key)".to_owned(),
            Place::Command(words, _) => {
                format!("the program {} (secrets.key_command)", words.first().map_or("", String::as_str))
            }
        }
    }

    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            _ => None,
        }
    }

    /// The keys as they were when they were last looked at, which is at once but for a command's. None: there is no
    /// file, so that no secret was ever set here.
    pub async fn known(&self) -> Result<Option<Arc<KeyRing>>, KeysError> {
        if let Place::Command(..) = self.place
            && let Some(known) = self.printed.lock().await.clone()
        {
            return Ok(Some(known));
        }
        self.current().await
    }

    /// The keys as they are now.
    pub async fn current(&self) -> Result<Option<Arc<KeyRing>>, KeysError> {
        let text = match &self.place {
            Place::Given(text) => text.clone(),
            Place::File(path) => match read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(source) => return Err(KeysError::File { path: path.display().to_string(), source }),
            },
            Place::Command(words, surroundings) => {
                // Held while it runs: whoever comes meanwhile asks again, one after the other.
                let mut printed = self.printed.lock().await;
                let ring = Arc::new(self.parse(&ask(words, surroundings, COMMAND_TIME_MAX).await?)?);
                *printed = Some(ring.clone());
                return Ok(Some(ring));
            }
        };
        Ok(Some(Arc::new(self.parse(&text)?)))
    }

    /// `Missing` if there is no file.
    pub fn missing(&self) -> KeysError {
        KeysError::Missing(self.file().unwrap_or(Path::new(KEY_FILE)).display().to_string())
    }

    fn parse(&self, text: &Secret<String>) -> Result<KeyRing, KeysError> {
        KeyRing::parse(text.reveal()).map_err(|source| KeysError::Malformed { place: self.place(), source })
    }

    /// Makes the file with a key in it, if there is none. Whole before it has its name, so that two processes agree.
    pub async fn make(&self) -> Result<Arc<KeyRing>> {
        if let Some(ring) = self.current().await? {
            return Ok(ring);
        }
        let Place::File(path) = &self.place else { return Err(Error::internal(MAKING, self.missing())) };
        let line = KeyRing::line_of(&*new_key()?);
        let draft = path.with_extension(format!("key.{}", std::process::id()));
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft);
        let written = file.and_then(|mut file| {
            writeln!(file, "{}", line.reveal())?;
            file.sync_all()?;
            match fs::hard_link(&draft, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => fs::remove_file(&draft),
            }
        });
        written.map_err(|error| Error::internal(MAKING, error))?;
        self.current().await?.ok_or_else(|| Error::internal(MAKING, "it is gone again"))
    }

    /// Holds off others who would change the file. None: somebody does already, or it is not ours to change.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let Some(dir) = self.file().and_then(Path::parent) else { return Ok(None) };
        let dir = File::open(dir)?;
        match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(dir)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts another text in the place of the file, whole or not at all, with the same owner and mode. Its lock is held.
    pub fn write(&self, text: &Secret<String>) -> io::Result<()> {
        let Some(path) = self.file() else { return Err(io::ErrorKind::Unsupported.into()) };
        // A link keeps its name, and points to the same place.
        let path = path.canonicalize()?;
        let old = fs::metadata(&path)?;
        let draft = path.with_extension("key.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(old.permissions().mode() & 0o777))?;
        file.write_all(text.reveal().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        Self::internal("reading the key of the secrets", error)
    }
}

/// A key that nobody has.
pub fn new_key() -> Result<zeroize::Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = zeroize::Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut key[..]).map_err(|error| Error::internal(MAKING, error))?;
    Ok(key)
}

fn read(path: &Path) -> io::Result<Secret<String>> {
    let mut text = Secret::new(String::with_capacity(TEXT_BYTES_MAX));
    File::open(path)?.take(TEXT_BYTES_MAX as u64).read_to_string(text.reveal_mut())?;
    Ok(text)
}

/// What the program prints, which has a bounded time and nothing of this process but its user.
async fn ask(
    words: &[String],
    surroundings: &Surroundings,
    time_max: Duration,
) -> Result<Secret<String>, KeysError> {
    let program = words.first().cloned().unwrap_or_default();
    let failed = |reason: String| KeysError::Command { program: program.clone(), reason };
    let mut command = Command::new(&program);
    command
        .args(words.iter().skip(1))
        .env_clear()
        .env("PATH", &surroundings.path)
        .envs(surroundings.home.iter().map(|home| ("HOME", home)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It may repeat what nobody is to see.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let outcome = tokio::time::timeout(time_max, printed(&mut child)).await;
    let Ok(outcome) = outcome else {
        end(&child);
        return Err(failed(format!("was ended: it took longer than {} s", time_max.as_secs())));
    };
    let (text, status) = outcome.map_err(|error| failed(format!("gave no text: {error}")))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}. Run it by hand, as the user of the server")));
    }
    if text.reveal().len() > TEXT_BYTES_MAX {
        return Err(failed(format!("printed more than {} KiB", TEXT_BYTES_MAX / 1024)));
    }
    Ok(text)
}

async fn printed(child: &mut Child) -> io::Result<(Secret<String>, std::process::ExitStatus)> {
    let mut text = Secret::new(String::with_capacity(TEXT_BYTES_MAX + 1));
    if let Some(stdout) = child.stdout.take() {
        stdout.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(text.reveal_mut()).await?;
    }
    Ok((text, child.wait().await?))
}

/// With all that it has started.
fn end(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(group) = pid {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings { path: "/usr/bin:/bin".to_owned(), home: None }
    }

    fn keys(words: &[&str]) -> Keys {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Keys::new(&KeySource::Command(words), Path::new("/nowhere"), surroundings())
    }

    fn line(byte: u8) -> String {
        KeyRing::line_of(&[byte; KEY_BYTES]).reveal().clone()
    }

    #[tokio::test]
    async fn a_command_is_asked_once_and_sees_nothing_of_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let [asked, seen] = ["asked", "seen"].map(|name| dir.path().join(name).display().to_string());
        let script = format!("echo >> {asked}; env > {seen}; echo {}", line(1));
        let keys = keys(&["/bin/sh", "-c", &script]);
        let ring = keys.known().await.unwrap().unwrap();
        assert_eq!(keys.known().await.unwrap().unwrap().first_id(), ring.first_id());
        assert_eq!(fs::read_to_string(&asked).unwrap().len(), 1);
        let seen = fs::read_to_string(seen).unwrap();
        let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name)), "{names:?}");
        keys.current().await.unwrap();
        assert_eq!(fs::read_to_string(&asked).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_command_that_gives_no_key_is_named_with_the_reason_and_nothing_that_it_printed() {
        let endless = "yes hunter2hunter2";
        for (words, reason) in [
            (vec!["/nowhere/vault"], "/nowhere/vault (secrets.key_command) cannot be started"),
            (
                vec!["/bin/sh", "-c", "echo hunter2; exit 3"],
                "/bin/sh (secrets.key_command) failed: exit status: 3",
            ),
            (vec!["/bin/sh", "-c", "echo hunter2"], "/bin/sh (secrets.key_command): expected 1 to 100 keys"),
            (vec!["/bin/sh", "-c", endless], "/bin/sh (secrets.key_command) "),
        ] {
            let error = Error::from(keys(&words).known().await.unwrap_err()).chain();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended_with_all_that_it_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; mv {0} {0}s; wait", file.display());
        let words = ["/bin/sh", "-c", &script].map(str::to_owned);
        let error = ask(&words, &surroundings(), Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().contains("took longer than 1 s"), "{error}");
        // On a machine that is busy it may have been ended before it came to start anything.
        if let Ok(pid) = fs::read_to_string(dir.path().join("pids")) {
            let stat = format!("/proc/{}/stat", pid.trim());
            let is_over = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
            while !is_over() {
                std::thread::yield_now();
            }
        }
    }
}
