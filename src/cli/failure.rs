//! How commands end: exit codes, and what is said of a failure.

use std::fmt;
use std::process::ExitCode;

use crate::cli::client::ClientError;
use crate::config::ConfigError;
use crate::domain::run::RunStatus;
use crate::error::Error;

/// What a command's exit code says. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command did what it was asked; a run that it followed succeeded.
    Success = 0,
    Failed = 1,
    Usage = 2,
    Canceled = 3,
    TimedOut = 4,
    /// No server answered.
    Unreachable = 5,
    /// The person interrupted the command, not the run.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// Of a command that followed a run to this status.
    pub(super) const fn of_run(status: RunStatus) -> Self {
        match status {
            RunStatus::Succeeded => Self::Success,
            RunStatus::Canceled => Self::Canceled,
            RunStatus::TimedOut => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

/// Why a command did not do what it was asked, and what to do about it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// Empty: nothing is left to say.
    pub(super) message: String,
    pub(super) advice: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: None }
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slipway: {}", self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{advice}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string()).advise("`slipway config` shows the settings once they are right")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // Here the operator is the reader, so the whole chain is told.
        Self::failed(error.chain())
    }
}

/// Writing to stdout failed. A reader that has gone (`slipway logs … | head`) had enough: nothing to report.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Exit::Success, ""),
            _ => Self::failed(format!("cannot write: {error}")),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, message)
                .advise("Start the server with `slipway serve`, or name another with --url or SLIPWAY_URL"),
            ClientError::Refused { code, .. } if code == "UNAUTHORIZED" => Self::failed(message)
                .advise("Give a token in SLIPWAY_TOKEN or with --token-file; an admin makes one with `slipway token create`"),
            ClientError::Refused { .. } => Self::failed(message),
            ClientError::NotSlipway { .. } => Self::failed(message).advise("Is the address right? See --url and SLIPWAY_URL"),
        }
    }
}
