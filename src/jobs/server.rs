//! The private Redis: a server of one's own on a socket in the data directory, where none is configured.
//!
//! ```text
//!   slipway ── thread ──▶ slipway __redis ── has the lock? ──▶ becomes valkey-server, with the lock
//! ```
//!
//! The server's process holds the lock of its directory for exactly as long as it lives. Processes that share
//! a data directory each have such a helper: one of them is the server, the others wait for the lock, and one
//! of those takes over when it ends. A helper, and the server that it becomes, ends with its parent, even if
//! that is killed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use rustix::process::{geteuid, set_parent_process_death_signal};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The first argument of a process that is to become the server.
pub const HELPER_ARGUMENT: &str = "__redis";

/// Names of the program, the likelier one first.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];
/// What the system keeps of a socket's path, less the zero at its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A larger log is set aside when the server starts; one older log is kept.
const LOG_BYTES_MAX: u64 = 1024 * 1024;
/// How much of the log an error repeats.
const LOG_TAIL_BYTES: u64 = 1_000;
const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(10);
/// After which a server that ends is not taken for one that cannot start.
const STEADY_AFTER: Duration = Duration::from_secs(10);
/// Between asking the server to end, when it writes what it has, and ending it.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Between two questions whether it answers: short beside the 50 ms that it takes to start.
const READY_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug, thiserror::Error)]
enum PrivateServerError {
    #[error(
        "there is no Redis: neither REDIS_URL nor SLIPWAY_REDIS_SERVER is set, and neither valkey-server nor \
         redis-server is beside this program or on the PATH. `make setup` gets one, and so does `apt install \
         redis-server`"
    )]
    NoProgram,
    #[error("SLIPWAY_REDIS_SERVER is {0}, which is not a file")]
    ProgramMissing(PathBuf),
    #[error("{0} belongs to somebody else, or others may write to it: Redis cannot have its socket there")]
    ForeignDirectory(PathBuf),
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the private Redis does not answer after {seconds} s: {reason}")]
    NotReady { seconds: u64, reason: String },
}

impl PrivateServerError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

impl From<PrivateServerError> for Error {
    fn from(error: PrivateServerError) -> Self {
        Self::unavailable("Redis", error)
    }
}

/// Another program than this one as the helper: for tests, whose program is not the server's.
static HELPER_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Makes `program`, which must dispatch [`HELPER_ARGUMENT`] to [`run_private`], the helper of all servers that
/// this process starts. Only the first call counts.
pub fn set_helper_program(program: &Path) {
    let _ = HELPER_PROGRAM.set(program.to_owned());
}

/// Keeps a server running until it is stopped or dropped.
#[derive(Debug)]
pub struct PrivateServer {
    socket: PathBuf,
    url: String,
    log: PathBuf,
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopping: bool,
    /// The keeper's thread is at its end, and the helper is gone.
    is_over: bool,
    /// By descriptor, since the number of a process that has ended may be another's.
    helper: Option<OwnedFd>,
    last_failure: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrivateServer {
    /// Starts the server, or waits in line behind another process that has it. Returns before it answers:
    /// `wait_ready` tells. Its files go into `redis` in the data directory. Without a `program` it is looked for
    /// beside this one and on `search_path`, which is written as the PATH is.
    ///
    /// # Errors
    ///
    /// `Unavailable` if there is no program, no directory or no thread for it.
    pub fn start(data_dir: &Path, program: Option<&Path>, search_path: &str) -> Result<Self> {
        Ok(Self::launch(data_dir, program, search_path)?)
    }

    fn launch(
        data_dir: &Path,
        program: Option<&Path>,
        search_path: &str,
    ) -> Result<Self, PrivateServerError> {
        let program = find_program(program, search_path)?;
        let dir = data_dir.join("redis");
        make_private_dir(&dir)?;
        // All processes that share it must come to the same socket, whatever they call it.
        let dir = dir.canonicalize().map_err(PrivateServerError::io("finding", &dir))?;
        let socket = socket_path(&dir)?;
        let log = dir.join("redis.log");
        let shared = Arc::new(Shared::default());
        let keeper = Keeper {
            // This very program, also after its file has been replaced.
            helper: HELPER_PROGRAM.get().cloned().unwrap_or_else(|| PathBuf::from("/proc/self/exe")),
            arguments: [program, dir, socket.clone()].map(PathBuf::into_os_string),
            shared: Arc::clone(&shared),
        };
        // A thread of its own that lives as long as the process: the signal that ends a helper with its parent
        // is tied to the thread that spawned it, and threads of an async runtime come and go.
        let keeper = thread::Builder::new()
            .name("private-redis".to_owned())
            .spawn(move || keeper.keep())
            .map_err(PrivateServerError::io("starting a thread for", &socket))?;
        let url = url_of(&socket);
        Ok(Self { socket, url, log, shared, keeper: Some(keeper) })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address for Redis clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the server answers, this process's or the one that another process has.
    ///
    /// # Errors
    ///
    /// `Unavailable`, with what its log says, if it does not in time.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<()> {
        let wait = async {
            let mut interval = tokio::time::interval(READY_INTERVAL);
            loop {
                interval.tick().await;
                if ping(&self.socket).await.is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(timeout, wait).await.map_err(|_| {
            let failure = self.shared.state().last_failure.clone();
            let reason = failure.unwrap_or_else(|| "it has not ended, and says nothing".to_owned());
            let reason = format!("{reason}; the end of {}:\n{}", self.log.display(), tail(&self.log));
            PrivateServerError::NotReady { seconds: timeout.as_secs(), reason }.into()
        })
    }

    /// Ends the server, if it is this process's, and waits for its end. The server writes down what it has.
    pub async fn stop(self) {
        // Waiting blocks, though never for longer than a server takes to write and end.
        if let Err(error) = tokio::task::spawn_blocking(move || drop(self)).await {
            tracing::warn!(error = %error, "The private Redis could not be waited for");
        }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_stopping = true;
        signal(&state, Signal::TERM);
        self.shared.changed.notify_all();
        let (state, wait) = self
            .shared
            .changed
            .wait_timeout_while(state, STOP_GRACE, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        if wait.timed_out() {
            tracing::warn!("The private Redis did not end in time and was killed");
            signal(&state, Signal::KILL);
        }
        drop(state);
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!("The thread that keeps the private Redis has panicked");
        }
    }
}

/// The address of the server of a data directory, whether it runs or not.
///
/// # Errors
///
/// `Unavailable` if the directory is not there, or no socket can be in it.
pub fn address(data_dir: &Path) -> Result<String> {
    let dir = data_dir.join("redis");
    let dir = dir.canonicalize().map_err(PrivateServerError::io("finding", &dir))?;
    Ok(url_of(&socket_path(&dir)?))
}

fn url_of(socket: &Path) -> String {
    format!("redis+unix://{}", percent_encoding::percent_encode(socket.as_os_str().as_bytes(), URL_ESCAPED))
}

/// What a path keeps in a URL beside letters and digits.
const URL_ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn signal(state: &State, signal: Signal) {
    if let Some(helper) = &state.helper
        && let Err(error) = pidfd_send_signal(helper, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(error = %error, "The private Redis could not be signalled");
    }
}

/// Asks without a client: the client's own retries would hide how soon the server is there.
async fn ping(socket: &Path) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::UnixStream::connect(socket).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    // While it reads its file it answers `-LOADING`.
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
}

fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("({error})"))
}

fn find_program(program: Option<&Path>, search_path: &str) -> Result<PathBuf, PrivateServerError> {
    if let Some(program) = program {
        return if program.is_file() {
            program.canonicalize().map_err(PrivateServerError::io("finding", program))
        } else {
            Err(PrivateServerError::ProgramMissing(program.to_owned()))
        };
    }
    let beside = std::env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let path: Vec<PathBuf> = std::env::split_paths(search_path).collect();
    beside
        .into_iter()
        .chain(path)
        // A relative entry would mean another program in each directory.
        .filter(|dir| dir.is_absolute())
        .flat_map(|dir| PROGRAMS.map(|program| dir.join(program)))
        .find(|program| is_executable(program))
        .ok_or(PrivateServerError::NoProgram)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

fn make_private_dir(dir: &Path) -> Result<(), PrivateServerError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(PrivateServerError::io("making", dir))
}

/// In the directory itself; where that path is too long for a socket, in a short one that follows from it and
/// from nothing else, so that all processes come to the same.
fn socket_path(dir: &Path) -> Result<PathBuf, PrivateServerError> {
    let socket = dir.join("redis.sock");
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(socket);
    }
    let digest = Sha256::digest(dir.as_os_str().as_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let short = PathBuf::from(format!("/tmp/slipway-{name}"));
    make_private_dir(&short)?;
    // Anybody may have made it before.
    let metadata = fs::symlink_metadata(&short).map_err(PrivateServerError::io("looking at", &short))?;
    if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(PrivateServerError::ForeignDirectory(short));
    }
    Ok(short.join("redis.sock"))
}

/// The thread that starts helpers, one after the other.
struct Keeper {
    helper: PathBuf,
    /// Program, directory and socket.
    arguments: [OsString; 3],
    shared: Arc<Shared>,
}

impl Keeper {
    fn keep(&self) {
        let mut delay = RESTART_DELAY_MIN;
        loop {
            let started = Instant::now();
            let failure = match self.run_helper() {
                Ok(status) => describe(status),
                Err(error) => format!("it could not be started: {error}"),
            };
            let mut state = self.shared.state();
            state.helper = None;
            if state.is_stopping {
                state.is_over = true;
                self.shared.changed.notify_all();
                return;
            }
            if STEADY_AFTER < started.elapsed() {
                delay = RESTART_DELAY_MIN;
            }
            tracing::warn!(
                delay_ms = delay.as_millis() as u64,
                "The private Redis has ended ({failure}) and is started again"
            );
            state.last_failure = Some(failure);
            let waited = self.shared.changed.wait_timeout_while(state, delay, |state| !state.is_stopping);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            delay = (delay * 2).min(RESTART_DELAY_MAX);
        }
    }

    /// Starts a helper and waits for its end. None is started once the server is to stop.
    fn run_helper(&self) -> io::Result<ExitStatus> {
        let mut child = {
            let mut state = self.shared.state();
            if state.is_stopping {
                return Ok(ExitStatus::default());
            }
            let mut child = Command::new(&self.helper)
                .arg0("slipway")
                .arg(HELPER_ARGUMENT)
                .arg(std::process::id().to_string())
                .args(&self.arguments)
                // The server must not see the settings of this process, some of which are secret.
                .env_clear()
                .current_dir("/")
                // An interrupt from the keyboard is for this process, which still needs its Redis to stop.
                // A session of its own it must not have: the executor takes children in other sessions for what
                // lost steps have left behind.
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
                Ok(helper) => state.helper = Some(helper),
                // Without it the helper could not be ended.
                Err(error) => {
                    child.kill()?;
                    child.wait()?;
                    return Err(error.into());
                }
            }
            child
        };
        child.wait()
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => match HelperFailure::of(code) {
            Some(failure) => failure.words().to_owned(),
            None => format!("exit code {code}"),
        },
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Why a helper did not become a server: its exit code, since it has no other voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HelperFailure {
    Arguments = 120,
    Orphaned,
    Lock,
    Exec,
}

impl HelperFailure {
    fn of(code: i32) -> Option<Self> {
        [Self::Arguments, Self::Orphaned, Self::Lock, Self::Exec]
            .into_iter()
            .find(|failure| *failure as i32 == code)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Arguments => "the helper was not given what it needs",
            Self::Orphaned => "the helper's parent was gone",
            Self::Lock => "the lock of its directory could not be taken",
            Self::Exec => "its program could not be executed",
        }
    }
}

/// What the process that was started with [`HELPER_ARGUMENT`] does: it becomes the server as soon as it has
/// the lock. Returns only if it cannot. To be called before there are threads.
pub fn run_private() -> ExitCode {
    let failure = match become_server(std::env::args_os().skip(2)) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    ExitCode::from(failure as u8)
}

fn become_server(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<std::convert::Infallible, HelperFailure> {
    let parent = arguments.next().and_then(|text| text.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program), Some(dir), Some(socket)) =
        (parent.and_then(Pid::from_raw), arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(HelperFailure::Arguments);
    };
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|_| HelperFailure::Orphaned)?;
    // It may have died before the signal was arranged.
    if getppid() != Some(parent) {
        return Err(HelperFailure::Orphaned);
    }
    let dir = PathBuf::from(dir);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(dir.join("lock"))
        .map_err(|_| HelperFailure::Lock)?;
    loop {
        match flock(&lock, FlockOperation::LockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(HelperFailure::Lock),
        }
    }
    // The server inherits the descriptor, and with it the lock, and gives it to nobody.
    fcntl_setfd(&lock, FdFlags::empty()).map_err(|_| HelperFailure::Lock)?;
    let log = dir.join("redis.log");
    if fs::metadata(&log).is_ok_and(|metadata| LOG_BYTES_MAX < metadata.len()) {
        // Where it fails the log only grows on.
        let _ = fs::rename(&log, dir.join("redis.log.old"));
    }
    let error = Command::new(&program).args(server_arguments(&dir, &socket, &log)).exec();
    drop((lock, error));
    Err(HelperFailure::Exec)
}

/// As durable as a queue beside a database needs: what a crash of the machine can cost is a second, which the
/// database makes good.
fn server_arguments<'a>(dir: &'a Path, socket: &'a OsStr, log: &'a Path) -> Vec<&'a OsStr> {
    [
        ("--port", OsStr::new("0")),
        ("--unixsocket", socket),
        ("--unixsocketperm", OsStr::new("700")),
        ("--appendonly", OsStr::new("yes")),
        ("--appendfsync", OsStr::new("everysec")),
        // Jobs must not be thrown away when memory is short.
        ("--maxmemory-policy", OsStr::new("noeviction")),
        ("--save", OsStr::new("")),
        ("--dir", dir.as_os_str()),
        ("--daemonize", OsStr::new("no")),
        ("--logfile", log.as_os_str()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [OsStr::new(name), value])
    .collect()
}
