//! Ends what a supervisor has left behind that was itself killed.
//!
//! Where this process started the supervisor and is a sub-reaper, the orphans are its own children, whatever
//! they have done to themselves. Otherwise they belong to init and are known by what they carry: their
//! session, a value in their environment, the pipes they print to, where they stand. A process that has shed
//! all four on purpose is out of reach.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::fence::Group;
use super::files;
use super::processes::{self, Identity, Stat};
use super::spool::Start;
use super::{process, supervisor};

/// After this the step is given up as it is: a process that the kernel holds does not end.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Between two scans: what was killed needs a moment to go.
const SCAN_INTERVAL: Duration = Duration::from_millis(5);
/// A scan can miss a process that is being born.
const EMPTY_SCANS: u32 = 2;

/// Kills what is left of a step until two scans have found nothing. Blocks, for at most ten seconds.
/// `false`: something is left.
pub(super) fn end(start: &Start, workspace: &Path) -> bool {
    let is_clean = end_processes(start, workspace);
    files::remove(&start.step_id);
    is_clean
}

fn end_processes(start: &Start, workspace: &Path) -> bool {
    if !supervisor::is_of_this_boot(start) {
        // What the numbers stood for is gone with the machine's last life, or cannot be seen from here.
        return true;
    }
    let Ok(own) = Identity::own() else {
        return false;
    };
    let workspace = fs::canonicalize(workspace).ok();
    let group = Group::of(start.groups.clone());
    let give_up_at = Instant::now() + TIME_MAX;
    let mut empty_scans = 0;
    while empty_scans < EMPTY_SCANS {
        if give_up_at <= Instant::now() {
            return false;
        }
        // Who is in it is the step's, whatever else it has done to itself.
        group.kill();
        let all = processes::all();
        let orphans = if start.reaper == Some(own) {
            own_orphans(start, &all, own)
        } else {
            let marks = Marks { start, workspace: workspace.as_deref(), own, all: &all };
            marks.with_descendants(
                all.values().filter(|stat| marks.are_on(stat)).map(|stat| stat.pid).collect(),
            )
        };
        let mut is_empty = true;
        for stat in orphans.iter().filter_map(|pid| all.get(pid)) {
            if stat.is_zombie() {
                reap(stat, own);
            } else {
                is_empty = false;
                stat.identity().signal(Signal::KILL);
            }
        }
        empty_scans = if is_empty { empty_scans + 1 } else { 0 };
        if empty_scans < EMPTY_SCANS {
            std::thread::sleep(SCAN_INTERVAL);
        }
    }
    group.remove();
    true
}

/// Reaps what fell to this process and has ended: nobody else waits for it. Children in this process's own
/// session may be waited for by whoever started them, and are left alone.
pub(super) fn reap_strays() {
    let Ok(own) = processes::stat(processes::own_pid()) else {
        return;
    };
    let children: Vec<Stat> =
        processes::children(own.pid).into_iter().filter_map(|pid| processes::stat(pid).ok()).collect();
    let supervisors = process::supervisors().clone().unwrap_or_default();
    for child in children {
        if child.is_zombie() && child.session != own.session && !supervisors.contains(&child.pid) {
            reap(&child, own.identity());
        }
    }
}

/// What fell to this process when the supervisor died, and all below it.
///
/// A child in another session that is no living supervisor was not started by this process, which has no way
/// to start a child in another session: so it was handed up. Those that an inner supervisor, of another lost
/// step, has left are ended with them, as they must be anyway.
fn own_orphans(start: &Start, all: &HashMap<i32, Stat>, own: Identity) -> HashSet<i32> {
    let Some(own_session) = all.get(&own.pid).map(|stat| stat.session) else {
        return HashSet::new();
    };
    // After the scan: a supervisor that the scan has seen is known by now.
    let supervisors = process::supervisors().clone().unwrap_or_default();
    let is_orphan = |stat: &Stat| {
        stat.parent == own.pid
            && stat.session != own_session
            && stat.start_time >= start.supervisor.start_time
            && !supervisors.contains(&stat.pid)
    };
    let tops: HashSet<i32> = all.values().filter(|stat| is_orphan(stat)).map(|stat| stat.pid).collect();
    all.keys()
        .copied()
        .filter(|pid| tops.contains(pid) || tops.iter().any(|top| processes::descends(all, *pid, *top)))
        .collect()
}

/// What tells a step's processes from all others.
struct Marks<'a> {
    start: &'a Start,
    workspace: Option<&'a Path>,
    own: Identity,
    all: &'a HashMap<i32, Stat>,
}

impl Marks<'_> {
    /// Whether a process is certainly one of the step's.
    fn are_on(&self, stat: &Stat) -> bool {
        if stat.pid <= 1 || stat.pid == self.own.pid || stat.start_time < self.start.supervisor.start_time {
            return false;
        }
        let environment = fs::read(format!("/proc/{}/environ", stat.pid)).unwrap_or_default();
        let step_id = step_id_of(&environment);
        if step_id == Some(self.start.step_id.as_bytes()) {
            return true;
        }
        // It says that it belongs to somebody else.
        if step_id.is_some() {
            return false;
        }
        self.is_in_session(stat) || self.prints_to_pipes(stat) || self.is_stray(stat)
    }

    /// A number that is some session's is given to no process, unless that session has ended. If its leader
    /// is another process than the supervisor, the session is another one too.
    fn is_in_session(&self, stat: &Stat) -> bool {
        let supervisor = self.start.supervisor;
        stat.session == supervisor.pid
            && self.all.get(&supervisor.pid).is_none_or(|leader| leader.identity() == supervisor)
    }

    fn prints_to_pipes(&self, stat: &Stat) -> bool {
        (1..=2).any(|number| {
            fs::read_link(format!("/proc/{}/fd/{number}", stat.pid))
                .is_ok_and(|target| self.start.pipes.iter().any(|pipe| Path::new(pipe) == target))
        })
    }

    /// Stands in the workspace, without a terminal and without a living parent of its own: somebody who
    /// looks around in a workspace has both.
    fn is_stray(&self, stat: &Stat) -> bool {
        let Some(workspace) = self.workspace else {
            return false;
        };
        stat.terminal == 0
            && (stat.parent <= 1 || stat.parent == self.own.pid || self.is_above_us(stat.parent))
            && stat.session != self.own_session()
            && !processes::descends(self.all, self.own.pid, stat.pid)
            && fs::read_link(format!("/proc/{}/cwd", stat.pid)).is_ok_and(|cwd| cwd.starts_with(workspace))
    }

    /// Init, or what stands in for it, is above this process as it was above the supervisor's server.
    fn is_above_us(&self, pid: i32) -> bool {
        processes::descends(self.all, self.own.pid, pid)
    }

    fn own_session(&self) -> i32 {
        self.all.get(&self.own.pid).map_or(0, |stat| stat.session)
    }

    /// Adds what the step's processes have started, but never this process.
    fn with_descendants(&self, tops: HashSet<i32>) -> HashSet<i32> {
        let below: Vec<i32> = self
            .all
            .keys()
            .copied()
            .filter(|pid| tops.iter().any(|top| processes::descends(self.all, *pid, *top)))
            .collect();
        let mut orphans = tops;
        orphans.extend(below);
        orphans.remove(&self.own.pid);
        orphans
    }
}

/// The value of `SLIPWAY_STEP_ID` in an environment as `/proc` shows it.
fn step_id_of(environment: &[u8]) -> Option<&[u8]> {
    environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"SLIPWAY_STEP_ID="))
}

/// Nobody else waits for an orphan that fell to this process.
fn reap(stat: &Stat, own: Identity) {
    if stat.parent == own.pid
        && let Some(pid) = Pid::from_raw(stat.pid)
        && let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
        && processes::stat(stat.pid).is_ok_and(|current| current.identity() == stat.identity())
    {
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_sub_reaper_ends_orphans_that_carry_no_mark() {
        process::become_subreaper();
        let script = "cd /; sleep 1000 & env -i setsid sh -c 'setsid sleep 1000 & sleep 1000' >/dev/null 2>&1 & \
                      echo ready; sleep 1000";
        let bystander = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut lost =
            Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(lost.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(lost.id()).unwrap();
        let start = Start {
            supervisor: processes::stat(pid).unwrap().identity(),
            boot: supervisor::boot().unwrap(),
            pid_namespace: supervisor::pid_namespace().unwrap(),
            step_id: "none".to_owned(),
            pipes: Vec::new(),
            reaper: Some(Identity::own().unwrap()),
            groups: Vec::new(),
        };
        lost.kill().unwrap();
        lost.wait().unwrap();

        assert!(end(&start, Path::new("/nowhere")));

        let all = processes::all();
        let left = own_orphans(&start, &all, Identity::own().unwrap());
        assert!(left.is_empty(), "{left:?}");
        let mut bystander = bystander;
        assert!(bystander.try_wait().unwrap().is_none(), "a child of this process was taken for an orphan");
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }

    #[test]
    fn another_life_of_the_machine_is_left_alone() {
        let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
        let start = Start {
            supervisor: processes::stat(i32::try_from(bystander.id()).unwrap()).unwrap().identity(),
            boot: "another".to_owned(),
            pid_namespace: supervisor::pid_namespace().unwrap(),
            step_id: "none".to_owned(),
            pipes: Vec::new(),
            reaper: None,
            groups: Vec::new(),
        };
        assert!(end(&start, Path::new("/")));
        assert!(bystander.try_wait().unwrap().is_none());
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }

    #[test]
    fn a_step_id_is_the_whole_value_of_the_very_variable() {
        assert_eq!(step_id_of(b"A=1\0SLIPWAY_STEP_ID=abc\0B=2\0"), Some(&b"abc"[..]));
        assert_eq!(step_id_of(b"XSLIPWAY_STEP_ID=abc\0A=SLIPWAY_STEP_ID=abc\0"), None);
    }
}
