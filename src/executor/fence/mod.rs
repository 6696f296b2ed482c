//! What a step is kept from, beside its supervisor.
//!
//! A fence is put up by the launcher, a process that becomes the step: it takes a mount namespace of its own in which
//! the server's files are covered, gives up what it could do to other processes, takes its limits, becomes another
//! user, and then executes the shell. So nothing of it has to hold for the supervisor, which stays the server's.
//! Where the system has no means for a part, that part is left out, and [`probe`] says so.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::step_limits::StepLimits;

mod group;
mod launcher;
mod limits;
mod mounts;
mod paths;
mod probe;
mod users;

pub use launcher::{LAUNCH_ARGUMENT, launch};
pub use probe::{Part, Report, State, probe};
pub use users::{Users, own};

pub(super) use group::Group;
pub(super) use launcher::{LaunchSpec, start};
pub(super) use limits::why_ended;

/// What is put around a step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fence {
    /// Whom the step runs as, user and group alike; none: the user of the server.
    pub user: Option<u32>,
    /// What the step must not see, each with all that is below it.
    pub hidden: Vec<PathBuf>,
    /// What it may use all the same.
    pub open: Vec<PathBuf>,
    /// What it may read all the same.
    pub readable: Vec<PathBuf>,
    /// What it finds as `/tmp` and `/var/tmp`, where it has mounts of its own.
    pub temporary: PathBuf,
    pub umask: u32,
    /// Whether mounts and Landlock are used: what [`probe`] has found to work.
    pub with_mounts: bool,
    pub with_landlock: bool,
    pub limits: StepLimits,
    /// Control groups that are the server's to divide: the step has one below each.
    pub groups: Vec<PathBuf>,
}
