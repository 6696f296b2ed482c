//! Spawns a step's command with pipes or a terminal for its output.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::Source;
use super::fence::{self, Group, LaunchSpec};
use super::files;
use super::stream::READ_BYTES;
use super::supervisor::WireSpec;

/// The interpreter, by its path: what the step has as PATH must not decide which one it is.
const SHELL: &str = "/bin/sh";
/// What a terminal is said to be, for programs that fit their output to it.
const TERMINAL_SIZE: Winsize = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };

/// The two ends of what a command prints to.
#[derive(Debug)]
pub(super) enum Outputs {
    Pipes {
        stdout: (OwnedFd, OwnedFd),
        stderr: (OwnedFd, OwnedFd),
    },
    /// The supervisor's end and the command's.
    Terminal(OwnedFd, OwnedFd),
}

impl Outputs {
    pub(super) fn open(tty: bool) -> io::Result<Self> {
        if tty { terminal() } else { Ok(Self::Pipes { stdout: pipe()?, stderr: pipe()? }) }
    }

    /// How `/proc` names the pipes. A terminal's name goes to somebody else once it is closed, so it says
    /// nothing about whose it is.
    pub(super) fn pipe_names(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Pipes { stdout, stderr } => [&stdout.1, &stderr.1]
                .into_iter()
                .map(|fd| Ok(format!("pipe:[{}]", rustix::fs::fstat(fd)?.st_ino)))
                .collect(),
            Self::Terminal(..) => Ok(Vec::new()),
        }
    }

    /// Starts the command as the leader of a process group of its own, and returns its pid, what to read,
    /// and the terminal's other end: while it is open, the command may close its own and print again later.
    pub(super) fn spawn(self, spec: &WireSpec, group: Option<&Group>) -> io::Result<Spawned> {
        match self {
            Self::Pipes { stdout, stderr } => {
                let main = spawn(spec, group, None, stdout.1, stderr.1)?;
                let outputs = vec![(Source::Stdout, stdout.0), (Source::Stderr, stderr.0)];
                Ok(Spawned { main, outputs, terminal: None })
            }
            Self::Terminal(own, others) => {
                let main =
                    spawn(spec, group, Some(others.try_clone()?), others.try_clone()?, others.try_clone()?)?;
                to_foreground(&others, main);
                Ok(Spawned { main, outputs: vec![(Source::Stdout, own)], terminal: Some(others) })
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) main: i32,
    pub(super) outputs: Vec<(Source, OwnedFd)>,
    pub(super) terminal: Option<OwnedFd>,
}

fn spawn(
    spec: &WireSpec,
    group: Option<&Group>,
    terminal: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> io::Result<i32> {
    let env = spec.env.iter().cloned().chain([("SLIPWAY_STEP_ID".to_owned(), spec.step_id.clone())]);
    let env = env.chain(files::variables(&spec.step_id, &spec.files));
    // Reaped with all others by `tree::reap`, so the handle is of no use.
    let child = match &spec.fence {
        Some(fence) => {
            let launch = LaunchSpec::Step {
                fence: fence.clone(),
                groups: group.map(|group| group.dirs().to_vec()).unwrap_or_default(),
                shell: SHELL.into(),
                script: spec.script.clone(),
                workspace: spec.workspace.clone(),
                env: env.collect(),
                step_id: spec.step_id.clone(),
                files: spec.files.clone(),
                tty: spec.tty,
            };
            fence::start(Command::new("/proc/self/exe").stdout(stdout).stderr(stderr), &launch)?
        }
        None => {
            files::write(&spec.step_id, &spec.files, None)?;
            Command::new(SHELL)
                .arg("-e")
                .arg(&spec.script)
                .current_dir(&spec.workspace)
                .env_clear()
                .envs(env)
                .process_group(0)
                .stdin(terminal.map_or_else(Stdio::null, Stdio::from))
                .stdout(stdout)
                .stderr(stderr)
                .spawn()?
        }
    };
    i32::try_from(child.id()).map_err(io::Error::other)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
    // A larger pipe only saves turns; a user who has many gets no more.
    let _ = rustix::pipe::fcntl_setpipe_size(&read, READ_BYTES);
    Ok((read, write))
}

/// A terminal that this process, a session's leader, takes as its own: the command, in the same session, can
/// then be given its foreground without any code between fork and exec.
fn terminal() -> io::Result<Outputs> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let own = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&own)?;
    rustix::pty::unlockpt(&own)?;
    let others = rustix::pty::ioctl_tiocgptpeer(&own, flags)?;
    rustix::process::ioctl_tiocsctty(&others)?;
    rustix::termios::tcsetwinsize(&others, TERMINAL_SIZE)?;
    rustix::fs::fcntl_setfl(&own, OFlags::RDWR | OFlags::NONBLOCK)?;
    Ok(Outputs::Terminal(own, others))
}

fn to_foreground(terminal: &OwnedFd, main: i32) {
    let Some(group) = Pid::from_raw(main) else {
        return;
    };
    // It fails where the command has ended already.
    if rustix::termios::tcsetpgrp(terminal.as_fd(), group).is_ok() {
        // It was stopped if it read before it was in the foreground.
        let _ = rustix::process::kill_process_group(group, Signal::CONT);
    }
}

/// Why a command could not be spawned, in words.
pub(super) fn why_not_started(spec: &WireSpec, error: &io::Error) -> String {
    let workspace = spec.workspace.display();
    if !spec.workspace.is_dir() {
        return format!("the step could not be started: there is no workspace at {workspace}");
    }
    if File::open(SHELL).is_err() {
        return format!("the step could not be started: there is no shell at {SHELL}");
    }
    format!("the step could not be started with {SHELL} in {workspace}: {error}")
}
