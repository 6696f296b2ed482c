//! How much a step may use: bounds that its processes inherit.

use std::io;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::super::Ending;
use super::group::Counted;
use crate::domain::step_limits::StepLimits;

/// Lowers this process's bounds, for itself and all that it starts. They cannot be raised again.
///
/// What its control group counts for all of them together is not bounded for each.
pub(super) fn lower(limits: &StepLimits, is_own_user: bool, counted: Counted) -> io::Result<()> {
    // What a process held in its memory, secrets included, is written to no disk.
    to(Resource::Core, 0)?;
    let bounds = [
        (Resource::Data, limits.memory.filter(|_| !counted.memory)),
        // It counts all processes of the user: of a user who has others it would stop those.
        (Resource::Nproc, limits.processes.filter(|_| is_own_user && !counted.processes)),
        (Resource::Nofile, limits.files),
        (Resource::Fsize, limits.file_size),
        (Resource::Cpu, limits.cpu_time.map(|time| time.as_secs().max(1))),
    ];
    bounds
        .into_iter()
        .filter_map(|(resource, bound)| Some((resource, bound?)))
        .try_for_each(|(resource, bound)| to(resource, bound))
}

fn to(resource: Resource, bound: u64) -> io::Result<()> {
    // Who has used up its time is told so at first, and killed a second later: the signal says what it was.
    let last = if resource == Resource::Cpu { bound + 1 } else { bound };
    let maximum = getrlimit(resource).maximum.map_or(last, |maximum| maximum.min(last));
    Ok(setrlimit(resource, Rlimit { current: Some(bound.min(maximum)), maximum: Some(maximum) })?)
}

/// Which limit has ended a step, in words.
pub(in crate::executor) fn why_ended(limits: &StepLimits, ending: Ending) -> Option<String> {
    let signal = match ending {
        Ending::Signaled(signal) => signal,
        // What a shell says of a command that was ended.
        Ending::Exited(code) if 128 < code => code - 128,
        _ => return None,
    };
    if signal == Signal::XCPU.as_raw() {
        let seconds = limits.cpu_time?.as_secs();
        return Some(format!("out of processor time: the step's limit is {seconds} s for a process"));
    }
    if signal == Signal::XFSZ.as_raw() {
        return Some(format!("a file became too large: the step's limit is {}", mib(limits.file_size?)));
    }
    None
}

pub(super) fn mib(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}
