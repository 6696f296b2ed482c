//! How steps are kept from what is not theirs.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::layers::Layers;
use crate::config::values::{self, Expected};
use crate::domain::step_limits::StepLimits;
use crate::executor::fence::{Part, Users};

/// Whom steps run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUser {
    /// A user for each run, where the server is root.
    Own,
    /// The server's.
    Server,
}

#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    pub user: StepUser,
    /// Nobody else's numbers: the first fetches repositories, the others are for runs.
    pub uids: Users,
    /// Of what steps make.
    pub umask: u32,
    /// What steps may use beside their workspace, as far as its owner lets them.
    pub writable: Vec<PathBuf>,
    /// What steps must not see, beside the data directory and what the settings name; the settings' file is among it.
    pub hidden: Vec<PathBuf>,
    /// What must be in force for this process to work on runs.
    pub require: Vec<Part>,
    /// What is not used although it may work here.
    pub leave_out: Vec<Part>,
    /// Control groups that are the server's to divide among steps.
    pub cgroup: Vec<PathBuf>,
    /// What a step may use at most.
    pub limits: StepLimits,
}

pub(super) fn read(layers: &mut Layers) -> ExecutorConfig {
    let bytes = |min: u64, max: u64| move |text: &str| values::size(text, min, max);
    let count = |min: u64, max: u64| move |text: &str| values::number(text, min, max);
    ExecutorConfig {
        user: layers.required("executor.user", user),
        uids: layers.required("executor.uids", uids),
        umask: layers.required("executor.umask", umask),
        writable: layers.list("executor.writable", paths),
        hidden: layers.list("executor.hidden", paths),
        require: layers.list("executor.require", parts),
        leave_out: layers.list("executor.leave_out", parts),
        cgroup: layers.list("executor.cgroup", paths),
        limits: StepLimits {
            memory: layers.optional("executor.memory_max", bytes(16 << 20, 1 << 50)),
            processes: layers.optional("executor.processes_max", count(1, 4_000_000)),
            files: layers.optional("executor.files_max", count(16, 1_000_000)),
            file_size: layers.optional("executor.file_size_max", bytes(1 << 10, 1 << 50)),
            cpu_time: layers.optional("executor.cpu_time_max", cpu_time),
            cpu: layers.optional("executor.cpu_max", cpu),
        },
    }
}

fn user(text: &str) -> Expected<StepUser> {
    match text {
        "own" => Ok(StepUser::Own),
        "server" => Ok(StepUser::Server),
        _ => Err("own or server".to_owned()),
    }
}

/// The last number that is not reserved is 4294967294.
fn uids(text: &str) -> Expected<Users> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
        (0 < first && first < last && last < u32::MAX - 1).then(|| Users { first, count: last - first + 1 })
    });
    range.ok_or_else(|| {
        "a range of at least two numbers that are nobody's, such as 2000000000-2000009999".to_owned()
    })
}

fn umask(text: &str) -> Expected<u32> {
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| "an octal number such as 022 or 077".to_owned())
}

fn paths(texts: &[String]) -> Expected<Vec<PathBuf>> {
    texts.iter().map(|text| values::path(text)).collect()
}

fn parts(texts: &[String]) -> Expected<Vec<Part>> {
    let part = |text: &String| Part::ALL.into_iter().find(|part| part.name() == text);
    texts
        .iter()
        .map(|text| part(text).ok_or_else(|| "some of user, mounts, landlock and cgroup".to_owned()))
        .collect()
}

/// In thousandths: the system takes no less than a hundredth.
fn cpu(text: &str) -> Expected<u64> {
    let count = text.parse::<f64>().ok().filter(|count| (0.01..=10_000.0).contains(count));
    let thousandths = count.map(|count| (count * 1000.0).round() as u64);
    thousandths.ok_or_else(|| "a number of processors such as 0.5 or 2".to_owned())
}

/// The system counts whole seconds.
fn cpu_time(text: &str) -> Expected<Duration> {
    let time = values::duration(text)?;
    if time < Duration::from_secs(1) {
        Err("a duration from a second on, such as 10m".to_owned())
    } else {
        Ok(time)
    }
}
