//! Processes as `/proc` shows them, and signals that cannot hit the wrong one.
//!
//! A process id may belong to somebody else a moment later. So a signal goes through a pidfd whose process
//! is checked after it was opened, or by number to a direct child that has not been reaped: that number
//! cannot be taken.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process for as long as the machine is up: a number alone is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// In clock ticks since the machine was started.
    pub(super) start_time: u64,
}

impl Identity {
    /// This process.
    pub(super) fn own() -> io::Result<Self> {
        let stat = stat(own_pid())?;
        Ok(Self { pid: stat.pid, start_time: stat.start_time })
    }

    /// A handle on the process, if it is still the same one.
    pub(super) fn open(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Whoever has the number after the handle was opened is the one that the handle refers to, or
        // the handle's process is gone and signals reach nobody.
        (stat(self.pid).ok()?.identity() == self).then_some(pidfd)
    }

    /// Signals the process if it is still the same one.
    pub(super) fn signal(self, signal: Signal) {
        if let Some(pidfd) = self.open() {
            // It may have ended meanwhile: that is what the signal is for.
            let _ = pidfd_send_signal(pidfd, signal);
        }
    }
}

/// What is read of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) state: u8,
    pub(super) parent: i32,
    pub(super) session: i32,
    pub(super) terminal: i32,
    pub(super) start_time: u64,
    /// Where the stack of its program begins. The kernel chooses it anew whenever a process becomes another
    /// program (unless that is switched off), and a child has its parent's until then.
    pub(super) stack: u64,
}

impl Stat {
    pub(super) fn identity(&self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time }
    }

    /// It has ended and waits to be reaped.
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

pub(super) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

pub(super) fn stat(pid: i32) -> io::Result<Stat> {
    let bytes = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(pid, &bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn parse_stat(pid: i32, bytes: &[u8]) -> Option<Stat> {
    // The name in brackets may hold anything, brackets and spaces included: fields begin after the last one.
    let after_name = memchr::memrchr(b')', bytes)? + 1;
    let text = std::str::from_utf8(&bytes[after_name..]).ok()?;
    let fields: Vec<&str> = text.split_ascii_whitespace().take(26).collect();
    Some(Stat {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        terminal: fields.get(4)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
        stack: fields.get(25)?.parse().ok()?,
    })
}

/// Every process that can be seen. Some may be missing that were born or renamed meanwhile: who must be sure
/// looks again.
pub(super) fn all() -> HashMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid).ok()?))).collect()
}

/// The children of a process, those of all its threads.
pub(super) fn children(pid: i32) -> Vec<i32> {
    let mut children = Vec::new();
    let mut is_listed = false;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        if let Ok(list) = fs::read_to_string(thread.path().join("children")) {
            is_listed = true;
            children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
    }
    if !is_listed && pid == own_pid() {
        // A kernel without CONFIG_PROC_CHILDREN. Deeper descendants become direct ones as their parents die.
        children.extend(all().values().filter(|stat| stat.parent == pid).map(|stat| stat.pid));
    }
    children
}

/// Whether `pid` descends from `ancestor` by what `all` says. The chain is bounded by the number of
/// processes, since a table that was read while processes moved may hold a ring.
pub(super) fn descends(all: &HashMap<i32, Stat>, pid: i32, ancestor: i32) -> bool {
    let mut current = pid;
    for _ in 0..=all.len() {
        match all.get(&current) {
            Some(stat) if stat.parent == ancestor => return true,
            Some(stat) if stat.parent > 1 => current = stat.parent,
            _ => return false,
        }
    }
    false
}

/// The same from `/proc` as it is at this moment.
fn descends_now(pid: i32, ancestor: i32) -> bool {
    let mut current = pid;
    for _ in 0..DEPTH_MAX {
        match stat(current) {
            Ok(stat) if stat.parent == ancestor => return true,
            Ok(stat) if stat.parent > 1 => current = stat.parent,
            _ => return false,
        }
    }
    false
}

/// How deep a descendant is followed up. A deeper one is reached once those above it are gone.
const DEPTH_MAX: usize = 4_096;

/// Signals a process that is not a direct child, if it descends from this process. `false`: it could not be
/// shown to, which is also so for a moment while its parent ends.
pub(super) fn signal_descendant(pid: i32, signals: &[Signal]) -> bool {
    let Some(Ok(pidfd)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return false;
    };
    // Checked with the handle open: whoever has the number at this point is ours.
    descends_now(pid, own_pid()) && signals.iter().all(|signal| pidfd_send_signal(&pidfd, *signal).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let line = b"7 (a) S 1 (b) R 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 2233 23 24 25 26 27\n";
        let stat = parse_stat(7, line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.session, stat.terminal), (b'R', 3, 5, 6));
        assert_eq!((stat.start_time, stat.stack), (21, 27));
    }

    #[test]
    fn a_handle_is_refused_when_the_number_belongs_to_another() {
        let own = Identity::own().unwrap();
        assert!(own.open().is_some());
        assert!(Identity { start_time: own.start_time + 1, ..own }.open().is_none());
    }
}
