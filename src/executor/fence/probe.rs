//! What of a fence works on this machine, for this user.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::launcher::{LaunchSpec, ask};
use super::paths::{self, Enforced};
use super::{Fence, Users, group, mounts};
use crate::executor::process;

/// A part of a fence that the system may not have the means for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Each run is another user.
    User,
    /// Mounts of the step's own cover the server's files.
    Mounts,
    /// The kernel's rules for what a process may reach.
    Landlock,
    /// A control group counts what a step's processes use together.
    Cgroup,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::User, Self::Mounts, Self::Landlock, Self::Cgroup];

    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mounts => "mounts",
            Self::Landlock => "landlock",
            Self::Cgroup => "cgroup",
        }
    }
}

/// Whether a part is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    InForce,
    /// In force, but for what this kernel does not have yet.
    Partly,
    Not {
        why: String,
        advice: String,
    },
}

/// The state of each part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub user: State,
    pub mounts: State,
    pub landlock: State,
    pub cgroup: State,
}

impl Report {
    pub fn state(&self, part: Part) -> &State {
        match part {
            Part::User => &self.user,
            Part::Mounts => &self.mounts,
            Part::Landlock => &self.landlock,
            Part::Cgroup => &self.cgroup,
        }
    }

    fn state_mut(&mut self, part: Part) -> &mut State {
        match part {
            Part::User => &mut self.user,
            Part::Mounts => &mut self.mounts,
            Part::Landlock => &mut self.landlock,
            Part::Cgroup => &mut self.cgroup,
        }
    }

    pub fn has(&self, part: Part) -> bool {
        !matches!(self.state(part), State::Not { .. })
    }
}

/// Tries out on a process of its own what of the fence works. `users` none: steps are to run as the server's user. What
/// is to be left out counts as not working. Blocks.
///
/// # Errors
///
/// The process cannot be started or does not answer.
pub fn probe(fence: &Fence, users: Option<Users>, left_out: &[Part]) -> io::Result<Report> {
    let text = ask(process::program(), &LaunchSpec::Probe(fence.clone()))?;
    let mut report: Report = serde_json::from_str(&text).map_err(|_| io::Error::other(text))?;
    let unwanted = State::Not {
        why: "executor.leave_out names it".to_owned(),
        advice: "Take it out of executor.leave_out".to_owned(),
    };
    for part in left_out {
        *report.state_mut(*part) = unwanted.clone();
    }
    if !left_out.contains(&Part::User) {
        report.user = user(users, report.has(Part::Mounts));
    }
    Ok(report)
}

/// In the process that is tried out on.
pub(super) fn try_out(fence: &Fence) -> Report {
    // First, since the others take away what it needs.
    let cgroup = match group::try_out(&fence.groups) {
        Ok(()) if fence.groups.is_empty() => State::Not {
            why: "executor.cgroup names no control group, so limits count for each process".to_owned(),
            advice: "Name one that is the server's to divide, such as the service's with Delegate=yes".to_owned(),
        },
        Ok(()) => State::InForce,
        Err(why) => State::Not {
            why,
            advice: "Give the server's user the directory of the group, with `memory` and `pids` in its cgroup.controllers and \
                     no process of its own"
                .to_owned(),
        },
    };
    let mounts = match mounts::enter(fence, None) {
        Ok(()) => State::InForce,
        Err(why) => {
            let advice = match geteuid().is_root() {
                true => {
                    "Give the server CAP_SYS_ADMIN: in a container, `--cap-add SYS_ADMIN` and a seccomp profile that allows mounts"
                }
                false => {
                    "Allow users to make namespaces: `sysctl user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns`"
                }
            };
            State::Not { why, advice: advice.to_owned() }
        }
    };
    let advice =
        "Use a kernel from 5.13 on with `landlock` among its security modules; all of it comes with 6.12";
    let landlock = match paths::restrict(fence, true, None) {
        Ok(Enforced::Wholly) => State::InForce,
        Ok(Enforced::Partly) => State::Partly,
        Ok(Enforced::Not) => State::Not { why: "the kernel has none".to_owned(), advice: advice.to_owned() },
        Err(why) => State::Not { why, advice: advice.to_owned() },
    };
    let unasked = State::Not { why: String::new(), advice: String::new() };
    Report { user: unasked, mounts, landlock, cgroup }
}

fn user(users: Option<Users>, has_mounts: bool) -> State {
    let not = |why: &str, advice: &str| State::Not { why: why.to_owned(), advice: advice.to_owned() };
    let Some(users) = users else {
        return not("executor.user says that steps run as the server's user", "Set executor.user to \"own\"");
    };
    if !geteuid().is_root() {
        return not(
            "the server is not root, so steps run as its user",
            "Run the server as root, whose steps then are not, or as a user who has nothing else",
        );
    }
    if !has_mounts {
        return not(
            "without mounts of its own another user could not reach its workspace",
            "See to the mounts first",
        );
    }
    if !are_mapped(users, Path::new("/proc/self/uid_map"))
        || !are_mapped(users, Path::new("/proc/self/gid_map"))
    {
        return not(
            "the users of executor.uids do not exist in this container",
            "Give executor.uids a range that /proc/self/uid_map has",
        );
    }
    State::InForce
}

/// Whether all the numbers are some user's in this namespace.
fn are_mapped(users: Users, map: &Path) -> bool {
    let Ok(map) = fs::read_to_string(map) else { return false };
    let (first, end) = (u64::from(users.first), u64::from(users.first) + u64::from(users.count));
    map.lines().any(|line| {
        let numbers: Vec<u64> =
            line.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [inside, _, count] if inside <= first && end <= inside + count)
    })
}
