//! Which step may start next.
//!
//! Most steps wait for what they need. A step that needs nothing and has a `when` of `failure` or `always` is
//! about the run as a whole: it waits until everything else is over. “Everything else” leaves out such steps
//! and whatever needs them, so that no two steps wait for each other.

use std::collections::HashMap;

use crate::domain::pipeline::{Definition, When};
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

const NEED_NOT_SUCCEEDED: &str = "a step that it needs did not succeed";
const RUN_FAILED: &str = "another step failed";
const RUN_STOPPED: &str = "the run was stopped";
const NOTHING_FAILED: &str = "nothing failed";

/// Decides on each step that is `Pending`; the answer has an entry for each step, `Wait` for the others.
///
/// Skips that follow from skips are in the answer already: to ask again is of use only once a step has begun or
/// ended, or the phase has changed. A step that is `Lost` counts as one that is still to end.
pub fn decide(definition: &Definition, statuses: &[StepStatus], phase: Phase) -> Vec<Decision> {
    let mut plan = Plan::new(definition, statuses);
    let mut decisions = vec![Decision::Wait; definition.steps.len()];
    if phase == Phase::AttemptFailed {
        return decisions;
    }
    // Each round but the last skips a step, so there are at most as many rounds as steps, and one.
    loop {
        let mut has_skipped = false;
        for (index, decision) in decisions.iter_mut().enumerate() {
            if plan.statuses[index] != StepStatus::Pending {
                continue;
            }
            *decision = plan.decide(index, phase);
            if matches!(decision, Decision::Skip(_)) {
                plan.statuses[index] = StepStatus::Skipped;
                has_skipped = true;
            }
        }
        if !has_skipped {
            return decisions;
        }
    }
}

struct Plan<'a> {
    definition: &'a Definition,
    statuses: Vec<StepStatus>,
    /// For each step the steps that it needs.
    needs: Vec<Vec<usize>>,
    /// Is about the run as a whole, or needs a step that is.
    is_late: Vec<bool>,
}

impl<'a> Plan<'a> {
    fn new(definition: &'a Definition, statuses: &[StepStatus]) -> Self {
        let steps = &definition.steps;
        let indexes: HashMap<&str, usize> =
            steps.iter().enumerate().map(|(index, step)| (step.name.as_str(), index)).collect();
        let needs: Vec<Vec<usize>> = steps
            .iter()
            .map(|step| step.needs.iter().filter_map(|name| indexes.get(name.as_str()).copied()).collect())
            .collect();
        let mut is_late: Vec<bool> =
            steps.iter().map(|step| step.when != When::Success && step.needs.is_empty()).collect();
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for index in 0..steps.len() {
                if !is_late[index] && needs[index].iter().any(|need| is_late[*need]) {
                    is_late[index] = true;
                    has_changed = true;
                }
            }
        }
        let mut statuses = statuses.to_vec();
        statuses.resize(steps.len(), StepStatus::Pending);
        Self { definition, statuses, needs, is_late }
    }

    fn decide(&self, index: usize, phase: Phase) -> Decision {
        match self.definition.steps[index].when {
            When::Success => self.decide_success(index, phase),
            When::Failure if phase == Phase::Stopped => Decision::Skip(RUN_STOPPED),
            When::Failure => match (self.is_turn(index), self.has_failure(index)) {
                (false, _) => Decision::Wait,
                (true, true) => Decision::Start,
                (true, false) => Decision::Skip(NOTHING_FAILED),
            },
            When::Always if self.is_turn(index) => Decision::Start,
            When::Always => Decision::Wait,
        }
    }

    fn decide_success(&self, index: usize, phase: Phase) -> Decision {
        match phase {
            Phase::Failed => return Decision::Skip(RUN_FAILED),
            Phase::Stopped => return Decision::Skip(RUN_STOPPED),
            Phase::Going | Phase::AttemptFailed => {}
        }
        let needs = &self.needs[index];
        if needs.iter().any(|need| self.is_over(*need) && self.statuses[*need] != StepStatus::Succeeded) {
            Decision::Skip(NEED_NOT_SUCCEEDED)
        } else if needs.iter().all(|need| self.is_over(*need)) {
            Decision::Start
        } else {
            Decision::Wait
        }
    }

    /// Everything that a step with a condition waits for is over.
    fn is_turn(&self, index: usize) -> bool {
        if self.needs[index].is_empty() {
            (0..self.statuses.len()).all(|other| self.is_late[other] || self.is_over(other))
        } else {
            self.needs[index].iter().all(|need| self.is_over(*need))
        }
    }

    /// A step that it needs has failed, or was skipped since one that *that* needs has; any step, where it needs
    /// none. Recurses at most as deep as there are steps: needs have no circles.
    fn has_failure(&self, index: usize) -> bool {
        if self.needs[index].is_empty() {
            return self.definition.steps[index].when == When::Failure
                && self.statuses.iter().any(|status| is_failure(*status));
        }
        self.needs[index].iter().any(|need| {
            is_failure(self.statuses[*need])
                || (self.statuses[*need] == StepStatus::Skipped && self.has_failure(*need))
        })
    }

    fn is_over(&self, index: usize) -> bool {
        self.statuses[index].is_ended() && self.statuses[index] != StepStatus::Lost
    }
}

fn is_failure(status: StepStatus) -> bool {
    matches!(status, StepStatus::Failed | StepStatus::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::pipeline::{Retry, StepDefinition};
    use StepStatus::{Canceled, Failed, Lost, Pending, Running, Skipped, Succeeded};

    fn definition(steps: &[(&str, When, &[&str])]) -> Definition {
        let steps = steps.iter().map(|(name, when, needs)| StepDefinition {
            name: (*name).to_owned(),
            run: "true".to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            when: *when,
            env: BTreeMap::new(),
            timeout: None,
            retry: None,
            tty: false,
        });
        Definition {
            retry: Retry { attempts: 3, delay: Duration::from_secs(1) },
            timeout: Duration::from_secs(3_600),
            env: BTreeMap::new(),
            steps: steps.collect(),
        }
    }

    #[test]
    fn steps_start_when_all_that_they_need_has_succeeded() {
        let definition = definition(&[
            ("a", When::Success, &[]),
            ("b", When::Success, &[]),
            ("c", When::Success, &["a", "b"]),
        ]);
        let decide = |statuses: &[StepStatus]| decide(&definition, statuses, Phase::Going);
        assert_eq!(decide(&[Pending; 3]), [Decision::Start, Decision::Start, Decision::Wait]);
        assert_eq!(decide(&[Running, Succeeded, Pending]), [Decision::Wait; 3]);
        assert_eq!(decide(&[Succeeded, Succeeded, Pending])[2], Decision::Start);
        assert_eq!(decide(&[Succeeded, Lost, Pending])[2], Decision::Wait);
    }

    #[test]
    fn nothing_starts_between_a_failure_and_the_next_attempt() {
        let definition = definition(&[("a", When::Success, &[]), ("b", When::Always, &["a"])]);
        assert_eq!(decide(&definition, &[Failed, Pending], Phase::AttemptFailed), [Decision::Wait; 2]);
    }

    #[test]
    fn a_failed_run_runs_what_is_for_failure_and_for_always() {
        let definition = definition(&[
            ("test", When::Success, &[]),
            ("deploy", When::Success, &["test"]),
            ("undo", When::Failure, &["deploy"]),
            ("tell", When::Failure, &[]),
            ("clean", When::Always, &[]),
        ]);
        let decisions = decide(&definition, &[Failed, Pending, Pending, Pending, Pending], Phase::Failed);
        let skip = Decision::Skip(RUN_FAILED);
        // `undo` comes after a step that was skipped because of the failure: that is its failure too.
        assert_eq!(decisions, [Decision::Wait, skip, Decision::Start, Decision::Wait, Decision::Wait]);
        let decisions = decide(&definition, &[Failed, Skipped, Succeeded, Pending, Pending], Phase::Failed);
        assert_eq!(decisions[3..], [Decision::Start, Decision::Start]);
    }

    #[test]
    fn a_run_that_succeeds_skips_what_is_for_failure() {
        let definition = definition(&[
            ("test", When::Success, &[]),
            ("undo", When::Failure, &["test"]),
            ("after", When::Success, &["undo"]),
            ("tell", When::Failure, &[]),
            ("clean", When::Always, &[]),
        ]);
        let decisions = decide(&definition, &[Succeeded, Pending, Pending, Pending, Pending], Phase::Going);
        let nothing = Decision::Skip(NOTHING_FAILED);
        let unmet = Decision::Skip(NEED_NOT_SUCCEEDED);
        assert_eq!(decisions, [Decision::Wait, nothing, unmet, nothing, Decision::Start]);
    }

    #[test]
    fn a_stopped_run_runs_only_what_is_for_always() {
        let definition = definition(&[
            ("test", When::Success, &[]),
            ("tell", When::Failure, &[]),
            ("clean", When::Always, &["test"]),
        ]);
        let stopped = Decision::Skip(RUN_STOPPED);
        let decisions = decide(&definition, &[Canceled, Pending, Pending], Phase::Stopped);
        assert_eq!(decisions, [Decision::Wait, stopped, Decision::Start]);
        let decisions = decide(&definition, &[Running, Pending, Pending], Phase::Stopped);
        assert_eq!(decisions[2], Decision::Wait);
    }

    fn any_definition() -> impl Strategy<Value = Definition> {
        let when = prop_oneof![Just(When::Success), Just(When::Failure), Just(When::Always)];
        prop::collection::vec((when, prop::collection::vec(0..12_usize, 0..3)), 1..12).prop_map(|steps| {
            let mut definition = definition(&[]);
            for (index, (when, needs)) in steps.into_iter().enumerate() {
                let mut step = super::tests::definition(&[("", when, &[])]).steps.remove(0);
                step.name = index.to_string();
                step.needs = needs.into_iter().filter(|need| *need < index).map(|n| n.to_string()).collect();
                definition.steps.push(step);
            }
            definition.steps.reverse();
            definition
        })
    }

    proptest! {
        /// Whatever steps wait for and however they end, a run comes to its end: some step can always start as
        /// long as none runs.
        #[test]
        fn no_steps_wait_for_each_other(
            definition in any_definition(),
            outcomes in prop::collection::vec(prop::bool::weighted(0.7), 12),
            stop_after in 0..20_usize,
        ) {
            let mut statuses = vec![Pending; definition.steps.len()];
            let mut phase = Phase::Going;
            for turn in 0..=definition.steps.len() {
                if turn == stop_after {
                    phase = Phase::Stopped;
                }
                for (index, decision) in decide(&definition, &statuses, phase).into_iter().enumerate() {
                    match decision {
                        Decision::Wait => continue,
                        Decision::Skip(_) => statuses[index] = Skipped,
                        Decision::Start => {
                            statuses[index] = if outcomes[index] { Succeeded } else { Failed };
                        }
                    }
                }
                if statuses.contains(&Failed) && phase == Phase::Going {
                    phase = Phase::Failed;
                }
            }
            prop_assert!(statuses.iter().all(|status| status.is_ended()), "{statuses:?}");
        }
    }
}
