//! Starts supervisors and asks them to end their steps. Knows nothing of what a step prints.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::process::{Child, Command};

use super::files::WireFile;
use super::processes::Identity;
use super::supervisor::{self, SUPERVISE_ARGUMENT, WireSpec};
use super::{Attachment, ExecutorError, Output, Presence, StepSpec, orphans, spool};

/// A supervisor that kills what its step has started is done long before; only what the kernel holds takes longer.
const END_TIME_MAX: Duration = Duration::from_secs(15);
const END_INTERVAL: Duration = Duration::from_millis(5);

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
static IS_SUBREAPER: AtomicBool = AtomicBool::new(false);
/// The bound on open files that this process was started with, where it has raised it; none: there was no bound.
static FILES_MAX_BEFORE: OnceLock<Option<u64>> = OnceLock::new();
/// The supervisors that this process has started and not reaped, so that cleaning up after another one
/// leaves them alone.
static SUPERVISORS: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

/// Which program is executed as a supervisor, where it is not this process's own: its `main` must call
/// [`super::supervisor::supervise`] when its first argument is [`SUPERVISE_ARGUMENT`]. The first call decides.
pub fn set_program(program: impl Into<PathBuf>) {
    let _ = PROGRAM.set(program.into());
}

/// Makes orphans of this process's descendants its own children, so that what a killed supervisor leaves
/// behind can be found and ended without doubt. To be called once, before the first step is started.
///
/// Where the system refuses, such orphans are looked for by what they carry, as after a restart.
pub fn become_subreaper() {
    match rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        Ok(()) => IS_SUBREAPER.store(true, Ordering::Relaxed),
        Err(error) => tracing::warn!(%error, "could not become a sub-reaper"),
    }
}

/// Raises how many files this process may have open to what the system allows, and gives it. To be called once, before
/// the first step is started: steps get the bound that this process was started with, since there are programs that
/// cannot do with numbers above 1,023.
pub fn raise_files_max() -> usize {
    let before = getrlimit(Resource::Nofile);
    let _ = FILES_MAX_BEFORE.set(before.current);
    let raised = Rlimit { current: before.maximum, ..before };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "The bound on open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX))
}

/// Starts a step under a supervisor of its own. Returns once the supervisor has been spawned; how the
/// command fares is read by attaching.
///
/// # Errors
///
/// - `AlreadyRunning` if the directory's step was started before: attach to it instead, whether it is alive
///   or has ended.
/// - `Io` if the directory cannot be prepared or the supervisor cannot be executed.
pub async fn start(spec: &StepSpec) -> Result<(), ExecutorError> {
    let spec = spec.clone();
    let dir = spec.dir.clone();
    // Also when this future is dropped, what was spawned is reaped.
    let spawning = tokio::task::spawn_blocking(move || spawn(&spec).map(|child| tokio::spawn(reap(child))));
    spawning.await.map_err(|error| ExecutorError::io("starting", &dir)(error.into()))??;
    Ok(())
}

/// Nothing else is kept of a supervisor: whether it lives is read off its spool.
async fn reap(mut child: Child) {
    let pid = child.id();
    let _ = child.wait().await;
    if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
        supervisors().get_or_insert_default().remove(&pid);
    }
    if IS_SUBREAPER.load(Ordering::Relaxed) {
        // What else falls to a sub-reaper, a `git gc` that went its own way, comes and goes with steps.
        let _ = tokio::task::spawn_blocking(orphans::reap_strays).await;
    }
}

/// What the directory of a step says.
pub fn presence(dir: &Path) -> Presence {
    match File::open(spool::path(dir)) {
        // A spool that nobody holds and that is empty belongs to a server that died before it came to it.
        Ok(file) if is_fresh(&file) && spool::is_abandoned(&file).unwrap_or(false) && is_fresh(&file) => {
            Presence::Absent
        }
        Ok(_) => Presence::Started,
        Err(_) => Presence::Absent,
    }
}

/// Whether the step's supervisor is alive.
pub fn is_supervised(dir: &Path) -> bool {
    File::open(spool::path(dir)).is_ok_and(|file| !spool::is_abandoned(&file).unwrap_or(true))
}

/// Asks the step's supervisor to end the step and all that it started: TERM, after the grace period KILL.
/// Returns at once; the end is read by attaching. Does nothing where nothing runs.
///
/// # Errors
///
/// `Io` if the directory cannot be read or written.
pub fn kill(dir: &Path) -> Result<(), ExecutorError> {
    signal_supervisor(dir, Signal::TERM)
}

/// Like [`kill`], without the grace period.
///
/// # Errors
///
/// `Io` if the directory cannot be read or written.
pub fn kill_now(dir: &Path) -> Result<(), ExecutorError> {
    signal_supervisor(dir, Signal::QUIT)
}

/// Ends a step at once and waits until nothing of it is left, also where its supervisor is gone. What it printed stays
/// in its spool.
///
/// # Errors
///
/// `Io` if the directory cannot be read, or the supervisor does not end in time.
pub async fn end(dir: &Path, workspace: &Path) -> Result<(), ExecutorError> {
    if presence(dir) == Presence::Absent {
        return Ok(());
    }
    kill_now(dir)?;
    let path = spool::path(dir);
    let file = File::open(&path).map_err(ExecutorError::io("opening", &path))?;
    let give_up_at = tokio::time::Instant::now() + END_TIME_MAX;
    while !spool::is_abandoned(&file).map_err(ExecutorError::io("locking", &path))? {
        if give_up_at <= tokio::time::Instant::now() {
            return Err(ExecutorError::io("waiting for the end of", dir)(io::ErrorKind::TimedOut.into()));
        }
        tokio::time::sleep(END_INTERVAL).await;
    }
    // A supervisor that was killed has left its step behind: whoever attaches ends it.
    let mut attachment = Attachment::open(dir, workspace, 0).await?;
    while let Output::Block(_) = attachment.next().await? {}
    Ok(())
}

fn signal_supervisor(dir: &Path, signal: Signal) -> Result<(), ExecutorError> {
    let path = spool::path(dir);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ExecutorError::io("opening", &path)(error)),
    };
    if spool::is_abandoned(&file).map_err(ExecutorError::io("locking", &path))? {
        return Ok(());
    }
    // Before it is asked whether the supervisor hears: one that does not yet looks for the mark after it has
    // recorded that it does, so one of the two always sees the other.
    let cancel_path = spool::cancel_path(dir);
    File::create(&cancel_path).map_err(ExecutorError::io("creating", &cancel_path))?;
    // In another container the same number is somebody else's.
    if let Some(start) = spool::read_hearing(&file).map_err(ExecutorError::io("reading", &path))?
        && supervisor::is_of_this_boot(&start)
    {
        start.supervisor.signal(signal);
    }
    Ok(())
}

/// The pids of the supervisors that this process has started and that have not been reaped.
pub(super) fn supervisors() -> MutexGuard<'static, Option<HashSet<i32>>> {
    SUPERVISORS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_fresh(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.len() == 0)
}

fn spawn(spec: &StepSpec) -> Result<Child, ExecutorError> {
    let dir = std::path::absolute(&spec.dir).map_err(ExecutorError::io("resolving", &spec.dir))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(ExecutorError::io("creating", &dir))?;

    let path = spool::path(&dir);
    let spool = append_to(&path)?;
    if !spool::lock(&spool).map_err(ExecutorError::io("locking", &path))? || !is_fresh(&spool) {
        return Err(ExecutorError::AlreadyRunning);
    }
    // Left by somebody who wanted to end a step that never came to be.
    let _ = fs::remove_file(spool::cancel_path(&dir));

    let script_path = dir.join("script");
    fs::write(&script_path, &spec.script).map_err(ExecutorError::io("writing", &script_path))?;
    let wire = wire_spec(spec, &dir, &script_path)?;
    let wire = sealed(&wire).map_err(ExecutorError::io("passing on the step of", &dir))?;
    let errors = append_to(&dir.join("supervisor.err"))?;

    let program = program();
    let mut command = std::process::Command::new(program);
    command
        .arg0("slipway")
        .arg(SUPERVISE_ARGUMENT)
        .env_clear()
        // A supervisor outlives its server and must not keep the server's directory busy.
        .current_dir("/")
        .stdin(Stdio::from(wire))
        // The very descriptor that holds the lock: there is no moment in which nobody does.
        .stdout(Stdio::from(spool))
        .stderr(Stdio::from(errors));

    // Held while it is spawned: whoever cleans up and finds the new child waits here and finds it known.
    let mut supervisors = supervisors();
    let child = Command::from(command).spawn().map_err(ExecutorError::io("executing", Path::new(program)))?;
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        supervisors.get_or_insert_default().insert(pid);
    }
    Ok(child)
}

/// What is executed as a supervisor.
pub(super) fn program() -> &'static OsStr {
    PROGRAM.get().map_or(OsStr::new("/proc/self/exe"), |program| program.as_os_str())
}

fn append_to(path: &Path) -> Result<File, ExecutorError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(ExecutorError::io("opening", path))
}

fn wire_spec(spec: &StepSpec, dir: &Path, script: &Path) -> Result<WireSpec, ExecutorError> {
    let reaper = if IS_SUBREAPER.load(Ordering::Relaxed) { Identity::own().ok() } else { None };
    Ok(WireSpec {
        dir: dir.to_owned(),
        script: script.to_owned(),
        workspace: std::path::absolute(&spec.workspace)
            .map_err(ExecutorError::io("resolving", &spec.workspace))?,
        env: spec.env.clone(),
        secrets: spec.secrets.iter().map(|secret| secret.reveal().clone()).collect(),
        files: spec.files.iter().map(WireFile::from).collect(),
        timeout: spec.timeout,
        grace: spec.grace,
        log_bytes_max: spec.log_bytes_max,
        line_bytes_max: spec.line_bytes_max,
        backlog_bytes_max: spec.backlog_bytes_max,
        tty: spec.tty,
        fence: spec.fence.clone(),
        step_id: uuid::Uuid::new_v4().simple().to_string(),
        reaper,
        files_max: FILES_MAX_BEFORE.get().copied().flatten(),
    })
}

/// Memory with a descriptor: no pipe that a writer could block on, nothing on a disk, never half written.
fn sealed(wire: &WireSpec) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("slipway-step", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(wire)?)?;
    file.rewind()?;
    Ok(file)
}
