//! The process that becomes a step: it puts up the fence around itself, then executes the shell.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::super::files::{self, WireFile};
use super::{Fence, group, limits, mounts, paths, probe};

/// What `main` recognises a launcher by.
pub const LAUNCH_ARGUMENT: &str = "__launch";

/// Putting up a fence takes a millisecond; a file system that does not answer can make it more.
const TIME_MAX: Duration = Duration::from_secs(30);
/// What a step that stays root does not keep: each is a way around the fence that no build needs.
const POWERS: [CapabilitySet; 9] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::PERFMON,
    CapabilitySet::BPF,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::MKNOD,
    CapabilitySet::DAC_READ_SEARCH,
];
/// The kernel ends steps before what keeps them.
const OOM_SCORE_ADJ: &str = "500";

/// What a launcher is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::executor) enum LaunchSpec {
    Step {
        fence: Fence,
        /// The step's own.
        groups: Vec<PathBuf>,
        shell: PathBuf,
        script: PathBuf,
        workspace: PathBuf,
        env: Vec<(String, String)>,
        step_id: String,
        files: Vec<WireFile>,
        tty: bool,
    },
    /// Say what of a fence works here.
    Probe(Fence),
}

/// Starts a launcher, and gives it once it has become the step; or why it did not.
///
/// `command` says where the output goes.
pub(in crate::executor) fn start(command: &mut Command, spec: &LaunchSpec) -> io::Result<Child> {
    let (mut child, answer) = spawn(command, spec)?;
    let mut text = String::new();
    // It ends when the launcher becomes the step, since the shell does not have it.
    match (&answer).take(64 * 1024).read_to_string(&mut text) {
        Ok(_) if text.is_empty() => Ok(child),
        outcome => {
            let _ = child.kill();
            let _ = child.wait();
            outcome?;
            Err(io::Error::other(text))
        }
    }
}

/// Starts a launcher that is only to tell, and gives what it told.
pub(super) fn ask(program: &std::ffi::OsStr, spec: &LaunchSpec) -> io::Result<String> {
    let mut command = Command::new(program);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, answer) = spawn(&mut command, spec)?;
    let mut text = String::new();
    let outcome = (&answer).take(64 * 1024).read_to_string(&mut text);
    let _ = child.kill();
    child.wait()?;
    outcome.map(|_| text)
}

fn spawn(command: &mut Command, spec: &LaunchSpec) -> io::Result<(Child, UnixStream)> {
    let (mut own, others) = UnixStream::pair()?;
    own.set_read_timeout(Some(TIME_MAX))?;
    own.set_write_timeout(Some(TIME_MAX))?;
    let child = command
        .arg0("slipway")
        .arg(LAUNCH_ARGUMENT)
        .env_clear()
        .process_group(0)
        .stdin(OwnedFd::from(others))
        .spawn()?;
    // It holds the other end, which would keep the answer from ending.
    command.stdin(Stdio::null());
    own.write_all(&serde_json::to_vec(spec)?)?;
    own.shutdown(Shutdown::Write)?;
    Ok((child, own))
}

/// The whole life of a launcher, until it is the step. To be called first thing in `main`, before any thread exists.
///
/// Standard input is a socket with what to do, and for why it could not be done.
pub fn launch() -> ExitCode {
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3) else {
        return ExitCode::FAILURE;
    };
    let mut socket = UnixStream::from(socket);
    let answer = read(&mut socket).and_then(|spec| match spec {
        LaunchSpec::Probe(fence) => Ok(serde_json::to_string(&probe::try_out(&fence))?),
        LaunchSpec::Step { fence, groups, shell, script, workspace, env, step_id, files, tty } => {
            close_standard_input(tty)?;
            put_up(&fence, &groups, &script, || files::write(&step_id, &files, fence.user))?;
            let mut command = Command::new(shell);
            command.arg("-e").arg(&script).current_dir(&workspace).env_clear().envs(env);
            if let Some(user) = fence.user {
                // The standard library gives up all other groups with it.
                command.uid(user).gid(user);
            }
            Err(command.exec())
        }
    });
    let text = answer.unwrap_or_else(|error| error.to_string());
    let _ = socket.write_all(text.as_bytes());
    ExitCode::FAILURE
}

fn read(socket: &mut UnixStream) -> io::Result<LaunchSpec> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn close_standard_input(tty: bool) -> io::Result<()> {
    match tty {
        true => rustix::stdio::dup2_stdin(io::stdout())?,
        false => rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?,
    }
    Ok(())
}

/// In this order: each part still needs what the next one takes away.
fn put_up(
    fence: &Fence,
    groups: &[PathBuf],
    script: &std::path::Path,
    write_files: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let failed = |part: &'static str| move |reason: String| io::Error::other(format!("{part}: {reason}"));
    group::join(groups)?;
    // While it can be seen.
    let counted = group::counted(groups);
    // Where it is refused, the kernel chooses as it does without.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ);
    // What leads to the step's own files is for it to pass.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    if fence.with_mounts {
        mounts::enter(fence, Some(script)).map_err(failed("mounts"))?;
    }
    write_files().map_err(|error| failed("the files of secrets")(error.to_string()))?;
    let stays_root = fence.user.is_none() && rustix::process::geteuid().is_root();
    if stays_root {
        // Gone once the shell is executed.
        POWERS.into_iter().try_for_each(rustix::thread::remove_capability_from_bounding_set)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    if fence.with_landlock {
        // Who stays root could take away what covers the server's files, but not what Landlock says of them.
        paths::restrict(fence, stays_root || !fence.with_mounts, Some(script)).map_err(failed("Landlock"))?;
    }
    rustix::process::umask(Mode::from_raw_mode(fence.umask));
    limits::lower(&fence.limits, fence.user.is_some(), counted)
}
