//! How much of the machine a step may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// None: as much as the server's own processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepLimits {
    /// In bytes: of all processes together where there are control groups, otherwise of each.
    pub memory: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
    /// Files that a process may have open.
    pub files: Option<u64>,
    /// In bytes: of a file that it writes.
    pub file_size: Option<u64>,
    /// Time on a processor, of each process.
    pub cpu_time: Option<Duration>,
    /// Thousandths of a processor that all processes together may use at a time, where there are control groups.
    pub cpu: Option<u64>,
}

impl StepLimits {
    /// What a step asks for, but never more than what the server allows.
    pub fn within(self, max: Self) -> Self {
        Self {
            memory: lesser(self.memory, max.memory),
            processes: lesser(self.processes, max.processes),
            files: lesser(self.files, max.files),
            file_size: lesser(self.file_size, max.file_size),
            cpu_time: lesser(self.cpu_time, max.cpu_time),
            cpu: lesser(self.cpu, max.cpu),
        }
    }
}

fn lesser<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_gets_the_lesser_of_what_it_asks_for_and_what_is_allowed() {
        let max = StepLimits { memory: Some(10), files: Some(5), ..StepLimits::default() };
        let asked = StepLimits { memory: Some(20), processes: Some(3), ..StepLimits::default() };
        let within =
            StepLimits { memory: Some(10), files: Some(5), processes: Some(3), ..StepLimits::default() };
        assert_eq!(asked.within(max), within);
    }
}
