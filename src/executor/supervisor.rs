//! The process per step: starts the command, feeds its output to the spool, ends all that it has started,
//! records the end.
//!
//! One thread, one loop over `poll`, and nothing in it that blocks: a step that prints without end or a full
//! disk must not keep a cancellation from being heard.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{DumpableBehavior, Resource, Rlimit, WaitStatus};
use serde::{Deserialize, Serialize};

use super::command::{self, Outputs, Spawned};
use super::fence::{self, Fence, Group};
use super::files::{self, WireFile};
use super::processes::{self, Identity};
use super::stream::{READ_BYTES, Stream};
use super::tree::{self, Terminator};
use super::writer::SpoolWriter;
use super::{Ending, spool};
use crate::domain::mask::Masker;
use crate::domain::secret::Secret;
use crate::domain::step_limits::StepLimits;

/// What `main` recognises a supervisor by.
pub const SUPERVISE_ARGUMENT: &str = "__supervise";

/// How often a full disk or backlog is looked at again.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
/// How often newborn processes are looked for while a step is asked to end: at first, and later.
const TELL_INTERVALS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];
/// How often what remains is killed: at first, and later, when only the kernel can be waited for.
const KILL_INTERVALS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];
/// How many times the first of the intervals is used.
const QUICK_TELLS: u32 = 10;
const QUICK_KILLS: u32 = 2_000;
/// The deeper descendants are killed in every turn of this many: finding them costs more.
const DEEP_EVERY: u32 = 4;

/// What the server passes to a supervisor, in memory that only the two see.
#[derive(Serialize, Deserialize)]
pub(super) struct WireSpec {
    pub(super) dir: PathBuf,
    pub(super) script: PathBuf,
    pub(super) workspace: PathBuf,
    pub(super) env: Vec<(String, String)>,
    pub(super) secrets: Vec<String>,
    pub(super) files: Vec<WireFile>,
    pub(super) timeout: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) log_bytes_max: u64,
    pub(super) line_bytes_max: usize,
    pub(super) backlog_bytes_max: u64,
    pub(super) tty: bool,
    pub(super) fence: Option<Fence>,
    pub(super) step_id: String,
    pub(super) reaper: Option<Identity>,
    /// How many files a process of the step may have open; none: as many as its server.
    pub(super) files_max: Option<u64>,
}

/// The whole life of a supervisor. To be called first thing in `main`, before any thread exists.
///
/// Standard input is the step, standard output the locked spool, standard error a file.
pub fn supervise() -> ExitCode {
    match prepare().and_then(Supervisor::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Into the step's directory. Whoever attaches finds the step lost, or ended.
            let _ = io::Write::write_all(&mut io::stderr(), format!("supervisor: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// A supervisor that has everything but its command.
struct Prepared {
    spec: WireSpec,
    writer: SpoolWriter,
}

fn prepare() -> io::Result<Prepared> {
    // The server may hold descriptors that were not meant to be inherited.
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // The step must not read the secrets out of this process's memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;

    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let spec: WireSpec = serde_json::from_slice(&bytes)?;
    if spec.files_max.is_some() {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: spec.files_max, ..limit })?;
    }
    // Its number moves on, so that nothing prints into the spool by accident. The lock goes with it.
    let spool = File::from(rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;

    // The command inherits the mask, so nothing is blocked until it has been spawned.
    SigSet::empty().thread_set_mask()?;
    let writer = SpoolWriter::new(spool, spec.log_bytes_max, spec.backlog_bytes_max);
    Ok(Prepared { spec, writer })
}

/// From here on signals are read, not suffered. What arrived before is ignored, as a child's end is, or has
/// ended this process, and the step counts as lost.
fn hear_signals() -> io::Result<SignalFd> {
    let mut heard = SigSet::empty();
    for signal in
        [Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGCHLD, Signal::SIGINT, Signal::SIGHUP, Signal::SIGTTOU]
    {
        heard.add(signal);
    }
    heard.thread_block()?;
    Ok(SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Why a step is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Its main process has ended.
    Finished,
    Cancelled,
    TimedOut,
}

#[derive(Debug)]
enum Phase {
    Running { timeout_at: Option<Instant> },
    Terminating { cause: Cause, kill_at: Instant, terminator: Terminator, next: Instant, turn: u32 },
    Killing { cause: Cause, next: Instant, turn: u32 },
}

struct Supervisor {
    writer: SpoolWriter,
    signals: SignalFd,
    streams: Vec<Stream>,
    buffer: Vec<u8>,
    grace: Duration,
    group: Option<Group>,
    limits: Option<StepLimits>,
    step_id: String,
    phase: Phase,
    main: i32,
    main_status: Option<WaitStatus>,
    /// There may be children that have ended and were not reaped.
    has_ended_children: bool,
}

impl Supervisor {
    fn run(prepared: Prepared) -> io::Result<()> {
        let Prepared { spec, mut writer } = prepared;
        let outputs = Outputs::open(spec.tty)?;
        let group = spec.fence.as_ref().map(|fence| Group::make(&fence.groups, &spec.step_id, &fence.limits));
        let group = group.transpose()?;
        writer.start(&spool::Start {
            supervisor: Identity::own()?,
            boot: boot()?,
            pid_namespace: pid_namespace()?,
            step_id: spec.step_id.clone(),
            pipes: outputs.pipe_names()?,
            reaper: spec.reaper,
            groups: group.as_ref().map(|group| group.dirs().to_vec()).unwrap_or_default(),
        })?;
        wait_until_written(&mut writer);
        if spool::cancel_path(&spec.dir).exists() {
            group.iter().for_each(Group::remove);
            return end(writer, Ending::Killed);
        }
        let Spawned { main, outputs, terminal } = match outputs.spawn(&spec, group.as_ref()) {
            Ok(spawned) => spawned,
            Err(error) => {
                writer.note(&command::why_not_started(&spec, &error));
                group.iter().for_each(Group::remove);
                files::remove(&spec.step_id);
                return end(writer, Ending::NotStarted);
            }
        };
        let started_at = Instant::now();
        let signals = hear_signals()?;
        writer.ready();
        wait_until_written(&mut writer);
        // Whoever wanted to end the step before that record was there has left a mark instead.
        let is_cancelled = spool::cancel_path(&spec.dir).exists();
        // The command runs while the matcher is built; nothing is read before it is there.
        let secrets: Vec<Secret<String>> = spec.secrets.iter().cloned().map(Secret::new).collect();
        let masker = match Masker::new(&secrets) {
            Ok(masker) => masker,
            Err(error) => {
                writer.note(&format!("the step was ended: {error}"));
                let streams = Vec::new();
                let phase = Phase::Killing { cause: Cause::Cancelled, next: started_at, turn: 0 };
                return Self::new(writer, signals, streams, &spec, group, phase, main).until_gone(terminal);
            }
        };
        let streams = outputs
            .into_iter()
            .map(|(source, fd)| Stream::new(source, fd, &masker, spec.line_bytes_max))
            .collect();
        let phase =
            Phase::Running { timeout_at: spec.timeout.and_then(|timeout| started_at.checked_add(timeout)) };
        let mut supervisor = Self::new(writer, signals, streams, &spec, group, phase, main);
        if is_cancelled {
            supervisor.terminate(Cause::Cancelled);
        }
        supervisor.until_gone(terminal)
    }

    fn new(
        writer: SpoolWriter,
        signals: SignalFd,
        streams: Vec<Stream>,
        spec: &WireSpec,
        group: Option<Group>,
        phase: Phase,
        main: i32,
    ) -> Self {
        Self {
            writer,
            signals,
            streams,
            buffer: vec![0; READ_BYTES],
            grace: spec.grace,
            group,
            limits: spec.fence.as_ref().map(|fence| fence.limits),
            step_id: spec.step_id.clone(),
            phase,
            main,
            main_status: None,
            has_ended_children: true,
        }
    }

    /// Turns until nothing of the step is left, then records the end.
    fn until_gone(mut self, terminal: Option<std::os::fd::OwnedFd>) -> io::Result<()> {
        loop {
            if self.reap() {
                break;
            }
            self.advance();
            self.wait_for_something()?;
        }
        // With it open the terminal would never say that there is no more.
        drop(terminal);
        for stream in &mut self.streams {
            stream.finish(&mut self.buffer, &mut self.writer);
        }
        let ending = self.ending();
        if let Some(limits) = &self.limits {
            let by_group = self.group.as_ref().and_then(|group| group.why_ended(limits));
            if let Some(why) = by_group.or_else(|| fence::why_ended(limits, ending)) {
                self.writer.note(&why);
            }
        }
        self.group.iter().for_each(Group::remove);
        files::remove(&self.step_id);
        end(self.writer, ending)
    }

    /// Takes in what has ended. `true`: nothing is left.
    fn reap(&mut self) -> bool {
        if !self.has_ended_children {
            return false;
        }
        let reaped = tree::reap(self.main);
        self.has_ended_children = reaped.more;
        if reaped.main.is_some() {
            self.main_status = reaped.main;
            // What it leaves behind must not outlive it. But while it is asked to end, all it has started
            // has the same grace.
            if let Phase::Running { .. } = self.phase {
                self.phase = Phase::Killing { cause: Cause::Finished, next: Instant::now(), turn: 0 };
            }
        }
        reaped.none_left
    }

    /// Does what is due.
    fn advance(&mut self) {
        let now = Instant::now();
        for stream in &mut self.streams {
            stream.show_unfinished(now, &mut self.writer);
        }
        match &mut self.phase {
            Phase::Running { timeout_at } => {
                if timeout_at.is_some_and(|at| at <= now) {
                    self.terminate(Cause::TimedOut);
                }
            }
            Phase::Terminating { cause, kill_at, terminator, next, turn } => {
                if *kill_at <= now {
                    self.phase = Phase::Killing { cause: *cause, next: now, turn: 0 };
                    self.advance_killing(now);
                } else if *next <= now {
                    terminator.tell();
                    *turn += 1;
                    *next = Instant::now() + TELL_INTERVALS[usize::from(*turn >= QUICK_TELLS)];
                }
            }
            Phase::Killing { .. } => self.advance_killing(now),
        }
    }

    fn advance_killing(&mut self, now: Instant) {
        let Phase::Killing { next, turn, .. } = &mut self.phase else {
            return;
        };
        if *next > now {
            return;
        }
        if turn.is_multiple_of(DEEP_EVERY) {
            tree::kill_all();
        } else {
            tree::kill_children();
        }
        *turn = turn.saturating_add(1);
        *next = Instant::now() + KILL_INTERVALS[usize::from(*turn >= QUICK_KILLS)];
        // An orphan may have been handed up without a signal of its own.
        self.has_ended_children = true;
    }

    fn terminate(&mut self, cause: Cause) {
        if let Phase::Running { .. } = self.phase {
            let now = Instant::now();
            let mut terminator = Terminator::default();
            terminator.tell();
            // A grace beyond what a clock can say has no end in practice; a day is none either.
            let kill_at = now.checked_add(self.grace).unwrap_or(now + Duration::from_secs(86_400));
            let next = Instant::now() + TELL_INTERVALS[0];
            self.phase = Phase::Terminating { cause, kill_at, terminator, next, turn: 0 };
        }
    }

    fn kill_now(&mut self) {
        let cause = match self.phase {
            Phase::Running { .. } => Cause::Cancelled,
            Phase::Terminating { cause, .. } => cause,
            Phase::Killing { .. } => return,
        };
        self.phase = Phase::Killing { cause, next: Instant::now(), turn: 0 };
    }

    /// Sleeps until a signal, output or the next thing that is due, and takes in the first two.
    fn wait_for_something(&mut self) -> io::Result<()> {
        // A command that is ahead of the disk is held back by its pipe, and everything else goes on.
        let is_full = self.writer.is_full();
        let timeout = self.timeout(is_full);
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        let mut readable = Vec::new();
        if !is_full {
            for (index, stream) in self.streams.iter().enumerate() {
                if let Some(fd) = stream.fd() {
                    fds.push(poll_in(fd));
                    readable.push(index);
                }
            }
        }
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if is_ready[0] {
            self.hear()?;
        }
        for (at, index) in readable.into_iter().enumerate() {
            if is_ready[at + 1] {
                self.streams[index].read(&mut self.buffer, &mut self.writer);
            }
        }
        self.writer.flush();
        Ok(())
    }

    fn hear(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGTERM) => self.terminate(Cause::Cancelled),
                Some(Signal::SIGQUIT) => self.kill_now(),
                Some(Signal::SIGCHLD) => self.has_ended_children = true,
                // A terminal's business, not the supervisor's.
                _ => {}
            }
        }
        Ok(())
    }

    /// Until the next thing that is due; `None`: nothing is.
    fn timeout(&self, is_full: bool) -> Option<Timespec> {
        let now = Instant::now();
        if self.has_ended_children {
            return Some(timespec(Duration::ZERO));
        }
        let phase = match &self.phase {
            Phase::Running { timeout_at } => *timeout_at,
            Phase::Terminating { kill_at, next, .. } => Some(*kill_at.min(next)),
            Phase::Killing { next, .. } => Some(*next),
        };
        let deadlines = self.streams.iter().map(Stream::deadline);
        let room = is_full.then(|| now + ROOM_INTERVAL);
        let next = deadlines.chain([phase, room]).flatten().min()?;
        Some(timespec(next.saturating_duration_since(now)))
    }

    fn ending(&self) -> Ending {
        match self.phase {
            Phase::Terminating { cause: Cause::TimedOut, .. }
            | Phase::Killing { cause: Cause::TimedOut, .. } => Ending::TimedOut,
            Phase::Terminating { .. } | Phase::Killing { cause: Cause::Cancelled, .. } => Ending::Killed,
            Phase::Running { .. } | Phase::Killing { .. } => match self.main_status {
                Some(status) => match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Ending::Exited(code),
                    (None, signal) => Ending::Signaled(signal.unwrap_or(0)),
                },
                // `wait` gives each child before it says that there are none.
                None => Ending::Killed,
            },
        }
    }
}

fn poll_in(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

fn timespec(duration: Duration) -> Timespec {
    // Poll may wake a little early otherwise, and turn without anything being due.
    let duration = if duration.is_zero() { duration } else { duration + Duration::from_micros(50) };
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: 86_400, tv_nsec: 0 })
}

/// Records the end. It waits for as long as the disk is full: without the record the step would count as lost.
fn end(mut writer: SpoolWriter, ending: Ending) -> io::Result<()> {
    writer.exit(ending)?;
    wait_until_written(&mut writer);
    Ok(())
}

fn wait_until_written(writer: &mut SpoolWriter) {
    while !writer.flush() {
        std::thread::sleep(ROOM_INTERVAL);
    }
}

/// Names this run of the machine.
pub fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Names the space in which this process's process ids are valid.
pub(super) fn pid_namespace() -> io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

/// Whether a start was recorded on this run of the machine, where its process ids mean something.
pub(super) fn is_of_this_boot(start: &spool::Start) -> bool {
    boot().is_ok_and(|boot| boot == start.boot)
        && pid_namespace().is_ok_and(|namespace| namespace == start.pid_namespace)
        && processes::own_pid() != start.supervisor.pid
}
