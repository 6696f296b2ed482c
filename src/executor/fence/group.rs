//! A control group for a step: what all its processes together may use, and who they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::domain::step_limits::StepLimits;

/// The kernel needs a moment for what has ended to leave its group.
const EMPTY_TIME_MAX: Duration = Duration::from_secs(1);
const EMPTY_INTERVAL: Duration = Duration::from_millis(1);

/// Of the kernel's own choice, which its first version keeps unless it is told otherwise.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// The step's groups: one, or with the kernel's first version one for each thing that is counted.
#[derive(Debug)]
pub(in crate::executor) struct Group {
    dirs: Vec<PathBuf>,
}

impl Group {
    /// Makes a group below each of the directories, which are the server's to divide.
    pub(in crate::executor) fn make(
        parents: &[PathBuf],
        name: &str,
        limits: &StepLimits,
    ) -> io::Result<Self> {
        let mut group = Self { dirs: Vec::new() };
        for parent in parents {
            let dir = parent.join(format!("slipway-{name}"));
            fs::create_dir(&dir)?;
            group.dirs.push(dir.clone());
            if let Err(error) = bound(&dir, limits) {
                group.remove();
                return Err(error);
            }
        }
        Ok(group)
    }

    /// The group of an earlier process.
    pub(in crate::executor) fn of(dirs: Vec<PathBuf>) -> Self {
        Self { dirs }
    }

    pub(in crate::executor) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Which limit was reached, in words.
    pub(in crate::executor) fn why_ended(&self, limits: &StepLimits) -> Option<String> {
        let counted = |names: [&str; 2], key: &str| {
            let files = self.dirs.iter().flat_map(|dir| names.map(|name| dir.join(name)));
            files.filter_map(|file| fs::read_to_string(file).ok()).any(|text| is_counted(&text, key))
        };
        if let Some(bytes) =
            limits.memory.filter(|_| counted(["memory.events", "memory.oom_control"], "oom_kill"))
        {
            return Some(format!("out of memory: the step's limit is {}", super::limits::mib(bytes)));
        }
        let processes = limits.processes.filter(|_| counted(["pids.events", "pids.events"], "max"))?;
        Some(format!("out of processes: the step's limit is {processes}"))
    }

    /// Kills all that is in it. To be repeated until nothing is.
    pub(in crate::executor) fn kill(&self) {
        for dir in &self.dirs {
            if fs::write(dir.join("cgroup.kill"), "1").is_err() {
                kill_each(dir);
            }
        }
    }

    /// Removes it, once nothing is in it any more.
    pub(in crate::executor) fn remove(&self) {
        let give_up_at = Instant::now() + EMPTY_TIME_MAX;
        for dir in &self.dirs {
            while fs::remove_dir(dir).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
                && Instant::now() < give_up_at
            {
                std::thread::sleep(EMPTY_INTERVAL);
            }
        }
    }
}

/// Puts this process, and all that it will start, into a group.
pub(super) fn join(dirs: &[PathBuf]) -> io::Result<()> {
    dirs.iter().try_for_each(|dir| fs::write(dir.join("cgroup.procs"), "0"))
}

/// What groups count for all of a step's processes together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) memory: bool,
    pub(super) processes: bool,
}

pub(super) fn counted(dirs: &[PathBuf]) -> Counted {
    let has = |names: &[&str]| dirs.iter().any(|dir| names.iter().any(|name| dir.join(name).exists()));
    Counted { memory: has(&["memory.max", "memory.limit_in_bytes"]), processes: has(&["pids.max"]) }
}

/// Whether a group can be made below each of the directories.
pub(super) fn try_out(parents: &[PathBuf]) -> Result<(), String> {
    for parent in parents {
        // Of the second version; where it is refused, it may be there already, or the first version does without.
        for controller in ["+memory", "+pids", "+cpu"] {
            let _ = fs::write(parent.join("cgroup.subtree_control"), controller);
        }
        let group = Group::make(
            std::slice::from_ref(parent),
            &format!("probe-{}", std::process::id()),
            &StepLimits::default(),
        );
        let group = group.map_err(|error| format!("{}: {error}", parent.display()))?;
        let has_any = ["memory.max", "memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us"];
        let is_of_use = has_any.iter().any(|name| group.dirs.iter().any(|dir| dir.join(name).exists()));
        group.remove();
        if !is_of_use {
            return Err(format!("{} has neither `memory`, `pids` nor `cpu` to give", parent.display()));
        }
    }
    Ok(())
}

/// A group without the file for a limit leaves it to another.
fn bound(dir: &Path, limits: &StepLimits) -> io::Result<()> {
    let set = |name: &str, bound: Option<u64>| match (bound, dir.join(name)) {
        (Some(bound), file) if file.exists() => fs::write(file, bound.to_string()),
        _ => Ok(()),
    };
    set("memory.max", limits.memory)?;
    set("memory.swap.max", limits.memory.map(|_| 0))?;
    set("memory.limit_in_bytes", limits.memory)?;
    set("memory.memsw.limit_in_bytes", limits.memory)?;
    set("pids.max", limits.processes)?;
    let quota = limits.cpu.map(|thousandths| thousandths * CPU_PERIOD_MICROS / 1000);
    set("cpu.cfs_quota_us", quota)?;
    match (quota, dir.join("cpu.max")) {
        (Some(quota), file) if file.exists() => fs::write(file, format!("{quota} {CPU_PERIOD_MICROS}")),
        _ => Ok(()),
    }
}

/// The kernel's first version has no way to kill a whole group.
fn kill_each(dir: &Path) {
    let members = || -> Vec<i32> {
        let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        pids.lines().filter_map(|pid| pid.parse().ok()).collect()
    };
    for pid in members() {
        let Some(Ok(pidfd)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
            continue;
        };
        // Whoever has the number with the handle open, and is in the group, is the step's.
        if members().contains(&pid) {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }
}

/// In lines of a name and a number.
fn is_counted(text: &str, key: &str) -> bool {
    let count = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok());
    count.is_some_and(|count| 0 < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_was_reached_where_its_very_name_has_a_count() {
        assert!(is_counted("max 0\noom 1\noom_kill 2\n", "oom_kill"));
        assert!(!is_counted("max 3\noom_kill 0\noom_group_kill 1\n", "oom_kill"));
    }
}
