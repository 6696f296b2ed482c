//! All that a step has started, seen from its supervisor: how it is told to end and how it is ended.
//!
//! The supervisor is a sub-reaper, so whatever the step starts stays its descendant, whichever session or
//! process group it moves to. None of these functions can tell that everything is gone, since children are
//! born while they look: only `wait` can, by saying that there are none.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::processes::{self, Identity};

/// How many processes are reaped or looked at in a turn. Without a bound a step whose processes die as fast
/// as they are reaped would keep the supervisor from ever ending it.
const REAPED_MAX: usize = 256;
const SEEN_MAX: usize = 65_536;

/// What was found when reaping.
#[derive(Debug)]
pub(super) struct Reaped {
    /// How the main process ended, if it did.
    pub(super) main: Option<WaitStatus>,
    /// Nothing that the step has started exists any more.
    pub(super) none_left: bool,
    /// The bound was reached: there may be more.
    pub(super) more: bool,
}

/// Takes in what has ended, a bounded number.
pub(super) fn reap(main: i32) -> Reaped {
    let mut reaped = Reaped { main: None, none_left: false, more: false };
    for _ in 0..REAPED_MAX {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == main => reaped.main = Some(status),
            Ok(Some(_)) => {}
            Ok(None) => return reaped,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => {
                reaped.none_left = true;
                return reaped;
            }
        }
    }
    reaped.more = true;
    reaped
}

/// Asks descendants to end, each one once for each program that it is.
///
/// A child that a shell has just made still has the shell's handlers: what reaches it then is lost when it
/// becomes the program that it is for, and the shell, which waits for that program, would not end either.
#[derive(Debug, Default)]
pub(super) struct Terminator {
    /// With the beginning of the stack, which changes with the program.
    told: HashSet<(Identity, u64)>,
}

impl Terminator {
    /// Sends TERM to all that were not told yet, and CONT, since a stopped process ends only when it goes on.
    /// To be repeated: a process may have been born since.
    pub(super) fn tell(&mut self) {
        if self.told.len() > SEEN_MAX {
            // Then some are told twice.
            self.told.clear();
        }
        let signals = [Signal::TERM, Signal::CONT];
        let (direct, deep) = descendants();
        for pid in direct {
            self.tell_once(pid, |pid| signal_child(pid, &signals));
        }
        for pid in deep {
            self.tell_once(pid, |pid| processes::signal_descendant(pid, &signals));
        }
    }

    /// Who could not be told is told the next time.
    fn tell_once(&mut self, pid: i32, tell: impl FnOnce(i32) -> bool) {
        let Ok(stat) = processes::stat(pid) else {
            return;
        };
        let program = (stat.identity(), stat.stack);
        if !stat.is_zombie() && !self.told.contains(&program) && tell(pid) {
            self.told.insert(program);
        }
    }
}

/// Kills the direct children. Each death hands its own children up.
pub(super) fn kill_children() {
    for pid in processes::children(processes::own_pid()) {
        signal_child(pid, &[Signal::KILL]);
    }
}

/// Kills the deeper descendants as well.
pub(super) fn kill_all() {
    let (direct, deep) = descendants();
    for pid in direct {
        signal_child(pid, &[Signal::KILL]);
    }
    for pid in deep {
        processes::signal_descendant(pid, &[Signal::KILL]);
    }
}

/// By number: a direct child keeps its number until this process, single-threaded, has reaped it.
fn signal_child(pid: i32, signals: &[Signal]) -> bool {
    Pid::from_raw(pid)
        .is_some_and(|pid| signals.iter().all(|signal| rustix::process::kill_process(pid, *signal).is_ok()))
}

/// The direct children and those below them.
fn descendants() -> (Vec<i32>, Vec<i32>) {
    let direct = processes::children(processes::own_pid());
    let mut deep: Vec<i32> = direct.iter().flat_map(|pid| processes::children(*pid)).collect();
    let mut at = 0;
    while at < deep.len() && deep.len() < SEEN_MAX {
        deep.extend(processes::children(deep[at]));
        at += 1;
    }
    (direct, deep)
}
