//! Runs one step somewhere: starts it, reads what it prints, ends it.
//!
//! A step belongs to its supervisor, a small process of its own, not to the server that started it: so a
//! server that crashes or is upgraded interrupts nothing. What the next server needs in order to go on is
//! the step's directory, and nothing else.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use fence::Fence;

mod attachment;
pub mod checkout;
mod command;
pub mod fence;
mod files;
mod lines;
mod orphans;
mod process;
mod processes;
mod spool;
mod stream;
pub mod supervisor;
mod tree;
mod watcher;
mod writer;

pub use attachment::{Attachment, punch, read_block};
pub use files::SecretFile;
pub use process::{
    become_subreaper, end, is_supervised, kill, kill_now, presence, raise_files_max, set_program, start,
};
pub use supervisor::boot;

/// One attempt of a step, ready to be started.
#[derive(Clone)]
pub struct StepSpec {
    /// Holds the step's spool and script; made by `start`. One directory for each attempt of a step.
    pub dir: PathBuf,
    /// Where the command starts.
    pub workspace: PathBuf,
    /// For `sh -e`.
    pub script: String,
    /// All that the command sees, beside `SLIPWAY_STEP_ID`: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Masked in the output.
    pub secrets: Vec<Secret<String>>,
    /// Files that the command finds; `secrets` has their values too.
    pub files: Vec<SecretFile>,
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// After which output is dropped, and a note says so.
    pub log_bytes_max: u64,
    /// A longer line is stored as several entries.
    pub line_bytes_max: usize,
    /// How far the output may run ahead of `punch` before the command is held back.
    pub backlog_bytes_max: u64,
    /// Give it a terminal instead of pipes.
    pub tty: bool,
    /// What it is kept from; none: it is its user's own, as whatever they start in a shell.
    pub fence: Option<Fence>,
}

/// Without the values of its variables: some are secrets.
impl fmt::Debug for StepSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("StepSpec").field("dir", &self.dir).field("env", &names).finish_non_exhaustive()
    }
}

/// Which stream of the command a block comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Stdout,
    Stderr,
    /// The supervisor's own words.
    Note,
}

/// Whole lines that were read at once.
#[derive(Debug, Clone)]
pub struct Block {
    /// Where the block's record starts in the spool: `Attachment::from` takes it.
    pub offset: u64,
    /// Where the next record starts.
    pub next_offset: u64,
    pub at: Timestamp,
    pub source: Source,
    /// The lines, each without its end.
    pub lines: Vec<SpoolLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLine {
    pub text: String,
    /// Not finished yet: the next line of the same source goes on with it.
    pub partial: bool,
    /// Goes on with the line before it of the same source.
    pub continued: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Exited(i32),
    /// By a signal of its own or of somebody else's.
    Signaled(i32),
    /// `kill` was called, and everything it had started is gone.
    Killed,
    TimedOut,
    /// It could not be started: the note before it says why.
    NotStarted,
}

/// What an attachment gives next.
#[derive(Debug, Clone)]
pub enum Output {
    Block(Block),
    /// The last thing: nothing of the step is alive any more.
    Ended {
        ending: Ending,
        at: Timestamp,
    },
    /// The last thing, instead: the supervisor is gone without having recorded an end. Everything that the
    /// step had started has been ended.
    Lost,
}

/// What the directory of a step says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It was never started.
    Absent,
    /// It is running, has ended or is lost: attach to learn which.
    Started,
}

#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    #[error("the step is running already")]
    AlreadyRunning,
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

impl ExecutorError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
