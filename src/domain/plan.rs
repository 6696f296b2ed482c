//! Which step may start next.

use crate::domain::pipeline::Definition;
use crate::domain::run::StepStatus;

/// How the attempt as a whole stands, as far as `when` is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Steps run as they become ready.
    Going,
    /// A step failed and a further attempt of the run follows: nothing new starts.
    AttemptFailed,
    /// It is decided that the run does not succeed: a step failed in the last attempt. `when: failure` and
    /// `when: always` steps run.
    Failed,
    /// Canceled or timed out: only `when: always` steps run.
    Stopped,
}

/// What to do with one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Its turn has not come.
    Wait,
    Start,
    /// It will not be run in this attempt of the run, for this reason.
    Skip(&'static str),
}

/// Decides on each step that is `Pending`; the answer has an entry for each step, `Wait` for the others.
pub fn decide(definition: &Definition, statuses: &[StepStatus], phase: Phase) -> Vec<Decision> {
    let _ = (definition, statuses, phase);
    unimplemented!()
}
