//! One attempt of a run, as bookkeeping: which steps start, which are skipped or tried again, how it ends.
//!
//! It neither starts nor ends anything. Its driver (the worker, or `slipway exec`) asks `next` what to do
//! after each event, does it, and reports with `ended` how each started step fared.
//!
//! - A `success` step starts when all that it needs has succeeded, and is skipped when one of them has not.
//! - The first step that fails for good loses the attempt: what runs goes on to its end, but no further
//!   `success` step starts. If another attempt follows, nothing else starts either.
//! - In the last attempt, `failure` steps then run if a step that they need, directly or not, has failed, and
//!   `always` steps run in any case. Those that need nothing wait until nothing else runs, `failure` before
//!   `always`: what clears up must not pull the ground from under what still runs.
//! - After a cancel or a timeout only `always` steps run.

use std::time::{Duration, Instant};

use crate::domain::pipeline::{Definition, Retry, StepDefinition, When};
use crate::domain::run::{Percent, StepStatus};

/// Ceiling on the wait between two tries, whatever the pipeline asks for.
pub const DELAY_MAX: Duration = Duration::from_secs(60 * 60);

/// How often one step is started again in an attempt because its supervisor was lost. A step that takes its
/// supervisor down each time would otherwise go on for ever.
pub const LOSSES_MAX: u32 = 3;

/// What follows if a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// Another attempt of the run.
    Another,
    /// Nothing: the run has failed.
    Last,
}

/// Why an attempt is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Canceled,
    TimedOut,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed,
    /// A step failed, and another attempt of the run follows.
    RetryLater,
    Canceled,
    TimedOut,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the step. It counts as running from here on, until `ended` is called for it.
    Start {
        index: usize,
        /// The number that this try has on record, from 1.
        attempt: u32,
    },
    /// The step is not run, for this reason.
    Skip { index: usize, reason: &'static str },
    /// The step failed and is tried again then: call `next` at that time.
    RetryAt { index: usize, at: Instant },
    /// Nothing runs and nothing will.
    Done(Outcome),
}

/// What is on record of a step before the driver begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSoFar {
    pub status: StepStatus,
    /// The number of its latest try in the run, from 1; 0 before it began.
    pub attempt: u32,
    /// How many of those tries belong to this attempt of the run.
    pub tries: u32,
}

impl StepSoFar {
    pub const NEW: Self = Self { status: StepStatus::Pending, attempt: 0, tries: 0 };

    /// For a new attempt of the run: what has succeeded stays, all else is to be done again.
    #[must_use]
    pub const fn again(self) -> Self {
        match self.status {
            StepStatus::Succeeded => self,
            _ => Self { status: StepStatus::Pending, attempt: self.attempt, tries: 0 },
        }
    }
}

/// Wait before the try that follows `failed` tries: `retry.delay`, doubled with each further one, up to
/// [`DELAY_MAX`]. `failed` counts from 1.
pub fn delay_after(retry: Retry, failed: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failed.saturating_sub(1));
    retry.delay.saturating_mul(factor).min(DELAY_MAX)
}

/// How the attempt stands, as far as `when` is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Going,
    /// A step failed, another attempt follows: nothing new starts.
    Lost,
    /// A step failed in the last attempt.
    Failed,
    Stopped(StopReason),
}

#[derive(Debug)]
struct Node {
    needs: Vec<usize>,
    /// What it needs, directly or not.
    ancestors: Vec<bool>,
    /// A `success` step needs it, directly or not: it is part of the way, not of what comes at its end.
    on_the_way: bool,
    when: When,
    retry: Retry,
    status: StepStatus,
    attempt: u32,
    tries: u32,
    losses: u32,
    retry_at: Option<Instant>,
    retry_announced: bool,
}

/// The bookkeeping of one attempt. See the module's documentation for the rules.
#[derive(Debug)]
pub struct Attempt {
    nodes: Vec<Node>,
    chance: Chance,
    parallel_max: usize,
    phase: Phase,
}

enum Decision {
    Wait,
    Start,
    Skip(&'static str),
}

impl Attempt {
    /// Takes up an attempt where the record of it stands: `steps` has an entry for each step, in the
    /// definition's order, as of this attempt (see `StepSoFar::again` for a new one). Steps that are `Running`
    /// are taken to be, so the driver attaches to them; `Lost` ones, and failed ones with a try left, start
    /// again at once.
    ///
    /// # Panics
    ///
    /// If `parallel_max` is 0 or `steps` has another length than the definition: bugs in the caller.
    pub fn new(definition: &Definition, chance: Chance, parallel_max: usize, steps: &[StepSoFar]) -> Self {
        assert!(0 < parallel_max, "an attempt that may run nothing never ends");
        assert_eq!(definition.steps.len(), steps.len(), "each step has its record");
        let nodes = nodes(&definition.steps, steps);
        let mut attempt = Self { nodes, chance, parallel_max, phase: Phase::Going };
        // First how the attempt stands, since that decides whether a step may be tried again.
        for index in 0..attempt.nodes.len() {
            let node = &attempt.nodes[index];
            match node.status {
                StepStatus::TimedOut if !node.has_tries_left() => attempt.time_out(),
                StepStatus::Failed if !node.has_tries_left() => attempt.lose(),
                StepStatus::Canceled => attempt.lose(),
                _ => {}
            }
        }
        for index in 0..attempt.nodes.len() {
            match attempt.nodes[index].status {
                StepStatus::Lost => attempt.start_again_after_loss(index),
                StepStatus::Failed | StepStatus::TimedOut if attempt.may_retry(index) => {
                    attempt.nodes[index].status = StepStatus::Pending;
                }
                _ => {}
            }
        }
        attempt
    }

    /// What to do at this time; empty: wait for a step to end, or until [`Self::wake_at`]. Once the attempt is
    /// done, the answer is `Done` at each call.
    pub fn next(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        self.give_up_hopeless_retries();
        // Each round settles at least one step, so there are at most as many as there are steps, and one more.
        for _ in 0..=self.nodes.len() {
            let before = actions.len();
            self.settle(now, &mut actions);
            if actions.len() == before && !self.wind_down(&mut actions) {
                break;
            }
        }
        if let Some(outcome) = self.outcome() {
            actions.push(Action::Done(outcome));
        }
        actions
    }

    /// When `next` should be called even if no step ends before.
    pub fn wake_at(&self) -> Option<Instant> {
        if self.parallel_max <= self.running() {
            return None;
        }
        self.nodes.iter().filter_map(|node| node.retry_at).min()
    }

    /// A started step has ended with this status, or is `Lost`.
    ///
    /// # Panics
    ///
    /// If the step does not run, or the status is none that ends a step: bugs in the caller.
    pub fn ended(&mut self, index: usize, status: StepStatus, now: Instant) {
        let node = &mut self.nodes[index];
        assert_eq!(node.status, StepStatus::Running, "only a step that runs can end");
        assert!(status.is_ended() && status != StepStatus::Skipped, "{status:?} ends no step that runs");
        node.status = status;
        match status {
            StepStatus::Lost => self.start_again_after_loss(index),
            StepStatus::Failed | StepStatus::TimedOut if self.may_retry(index) => {
                let node = &mut self.nodes[index];
                node.retry_at = Some(now + delay_after(node.retry, node.tries));
                node.retry_announced = false;
            }
            StepStatus::TimedOut => self.time_out(),
            StepStatus::Failed | StepStatus::Canceled => self.lose(),
            _ => {}
        }
    }

    /// A started step could not begin, for a reason that another try would meet again: neither it nor the run is tried
    /// again by itself.
    ///
    /// # Panics
    ///
    /// If the step does not run: a bug in the caller.
    pub fn refused(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        assert_eq!(node.status, StepStatus::Running, "only a step that runs can be refused");
        node.status = StepStatus::Failed;
        if matches!(self.phase, Phase::Going | Phase::Lost) {
            self.phase = Phase::Failed;
        }
    }

    /// The run is canceled or its time is over. Gives the running steps that are to be ended, and reported
    /// with `ended` once they are; `always` steps that run are left to finish. A cancel outweighs a timeout.
    pub fn stop(&mut self, reason: StopReason) -> Vec<usize> {
        if self.phase != Phase::Stopped(StopReason::Canceled) {
            self.phase = Phase::Stopped(reason);
        }
        let is_to_end = |node: &Node| node.status == StepStatus::Running && node.when != When::Always;
        (0..self.nodes.len()).filter(|&index| is_to_end(&self.nodes[index])).collect()
    }

    /// Only `always` steps run from here on.
    pub const fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped(_))
    }

    /// Of a step. One that waits for its next try has the status of its last.
    pub fn status(&self, index: usize) -> StepStatus {
        self.nodes[index].status
    }

    pub fn running(&self) -> usize {
        self.nodes.iter().filter(|node| node.status == StepStatus::Running).count()
    }

    pub fn progress(&self) -> Percent {
        Percent::of(self.nodes.iter().filter(|node| node.is_ended()).count(), self.nodes.len())
    }

    /// Starts and skips what the rules say of each step by itself.
    fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let mut running = self.running();
        for index in 0..self.nodes.len() {
            match self.decide(index, now) {
                Decision::Wait => self.announce_retry(index, actions),
                Decision::Skip(reason) => self.skip(index, reason, actions),
                Decision::Start if running < self.parallel_max => {
                    running += 1;
                    self.start(index, actions);
                }
                Decision::Start => {}
            }
        }
    }

    fn decide(&self, index: usize, now: Instant) -> Decision {
        let node = &self.nodes[index];
        if let Some(at) = node.retry_at {
            return if at <= now { Decision::Start } else { Decision::Wait };
        }
        if node.status != StepStatus::Pending || self.phase == Phase::Lost {
            return Decision::Wait;
        }
        match node.when {
            When::Success => self.decide_success(node),
            When::Failure => self.decide_failure(node),
            When::Always if node.needs.is_empty() && !node.on_the_way => Decision::Wait,
            When::Always if self.all_needs_ended(node) => Decision::Start,
            When::Always => Decision::Wait,
        }
    }

    fn decide_success(&self, node: &Node) -> Decision {
        let need_was_missed = |&need: &usize| {
            let need = &self.nodes[need];
            need.is_ended() && need.status != StepStatus::Succeeded
        };
        match self.phase {
            Phase::Going if node.needs.iter().any(need_was_missed) => {
                Decision::Skip("a step that it needs did not succeed")
            }
            Phase::Going if self.all_needs_ended(node) => Decision::Start,
            Phase::Going | Phase::Lost => Decision::Wait,
            Phase::Failed => Decision::Skip("a step failed before its turn came"),
            Phase::Stopped(reason) => Decision::Skip(reason.as_skip_reason()),
        }
    }

    fn decide_failure(&self, node: &Node) -> Decision {
        match self.phase {
            Phase::Stopped(reason) => Decision::Skip(reason.as_skip_reason()),
            _ if node.needs.is_empty() || !self.all_needs_ended(node) => Decision::Wait,
            Phase::Failed if self.ancestor_failed(node) => Decision::Start,
            _ => Decision::Skip("nothing that it needs failed"),
        }
    }

    /// Where nothing runs and no step can move by itself: the turn of `failure` and then of `always` steps that
    /// need nothing. Whether anything moved.
    fn wind_down(&mut self, actions: &mut Vec<Action>) -> bool {
        let waits = self.nodes.iter().any(|node| node.retry_at.is_some());
        if 0 < self.running() || waits || self.phase == Phase::Lost {
            return false;
        }
        let before = actions.len();
        for when in [When::Failure, When::Always] {
            for index in 0..self.nodes.len() {
                let node = &self.nodes[index];
                if node.status != StepStatus::Pending || node.when != when || !node.needs.is_empty() {
                    continue;
                }
                if when == When::Failure && self.phase != Phase::Failed {
                    self.skip(index, "nothing failed", actions);
                } else if self.running() < self.parallel_max {
                    self.start(index, actions);
                }
            }
            if before < actions.len() {
                return true;
            }
        }
        // Only steps that wait for one another can be left. A definition has none, but a driver must not hang.
        for index in 0..self.nodes.len() {
            if self.nodes[index].status == StepStatus::Pending {
                self.skip(index, "what it needs never ends", actions);
            }
        }
        before < actions.len()
    }

    fn outcome(&self) -> Option<Outcome> {
        let is_open = |node: &Node| match self.phase {
            Phase::Lost => node.status == StepStatus::Running,
            _ => !node.is_ended(),
        };
        if self.nodes.iter().any(is_open) {
            return None;
        }
        Some(match self.phase {
            Phase::Going => Outcome::Succeeded,
            Phase::Lost => Outcome::RetryLater,
            Phase::Failed => Outcome::Failed,
            Phase::Stopped(StopReason::Canceled) => Outcome::Canceled,
            Phase::Stopped(StopReason::TimedOut) => Outcome::TimedOut,
        })
    }

    fn start(&mut self, index: usize, actions: &mut Vec<Action>) {
        let node = &mut self.nodes[index];
        node.status = StepStatus::Running;
        node.retry_at = None;
        node.attempt += 1;
        node.tries += 1;
        actions.push(Action::Start { index, attempt: node.attempt });
    }

    fn skip(&mut self, index: usize, reason: &'static str, actions: &mut Vec<Action>) {
        self.nodes[index].status = StepStatus::Skipped;
        actions.push(Action::Skip { index, reason });
    }

    fn announce_retry(&mut self, index: usize, actions: &mut Vec<Action>) {
        let node = &mut self.nodes[index];
        if let (Some(at), false) = (node.retry_at, node.retry_announced) {
            node.retry_announced = true;
            actions.push(Action::RetryAt { index, at });
        }
    }

    /// A step that waits for its next try is not running: once its kind may not start, it has failed.
    fn give_up_hopeless_retries(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].retry_at.is_some() && !self.may_start(self.nodes[index].when) {
                self.nodes[index].retry_at = None;
            }
        }
    }

    fn may_start(&self, when: When) -> bool {
        match self.phase {
            Phase::Going => true,
            Phase::Lost => false,
            Phase::Failed => when != When::Success,
            Phase::Stopped(_) => when == When::Always,
        }
    }

    fn may_retry(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        node.has_tries_left() && self.may_start(node.when)
    }

    /// A loss is nobody's failure, so it uses up no try.
    fn start_again_after_loss(&mut self, index: usize) {
        let may_start = self.may_start(self.nodes[index].when);
        let node = &mut self.nodes[index];
        node.losses += 1;
        if LOSSES_MAX < node.losses {
            node.status = StepStatus::Failed;
            self.lose();
        } else if may_start || self.phase == Phase::Lost {
            node.status = StepStatus::Pending;
            node.tries = node.tries.saturating_sub(1);
        }
    }

    fn lose(&mut self) {
        if self.phase == Phase::Going {
            self.phase = match self.chance {
                Chance::Another => Phase::Lost,
                Chance::Last => Phase::Failed,
            };
        }
    }

    /// A timeout is not tried again by a further attempt. Where the run has failed already, it stays so: the
    /// first cause is the one to report.
    fn time_out(&mut self) {
        if matches!(self.phase, Phase::Going | Phase::Lost) {
            self.phase = Phase::Stopped(StopReason::TimedOut);
        }
    }

    fn all_needs_ended(&self, node: &Node) -> bool {
        node.needs.iter().all(|&need| self.nodes[need].is_ended())
    }

    fn ancestor_failed(&self, node: &Node) -> bool {
        let failed = |node: &Node| matches!(node.status, StepStatus::Failed | StepStatus::TimedOut);
        self.nodes.iter().zip(&node.ancestors).any(|(node, &is_ancestor)| is_ancestor && failed(node))
    }
}

impl Node {
    const fn has_tries_left(&self) -> bool {
        self.tries < self.retry.attempts
    }

    fn is_ended(&self) -> bool {
        self.status.is_ended() && self.retry_at.is_none()
    }
}

impl StopReason {
    const fn as_skip_reason(self) -> &'static str {
        match self {
            Self::Canceled => "the run was canceled",
            Self::TimedOut => "the run timed out",
        }
    }
}

fn nodes(definitions: &[StepDefinition], steps: &[StepSoFar]) -> Vec<Node> {
    let position = |name: &String| definitions.iter().position(|step| step.name == *name);
    let needs: Vec<Vec<usize>> =
        definitions.iter().map(|step| step.needs.iter().filter_map(position).collect()).collect();
    let ancestors: Vec<Vec<bool>> = (0..needs.len()).map(|index| ancestors_of(index, &needs)).collect();
    let on_the_way = |index: usize| {
        definitions.iter().zip(&ancestors).any(|(step, above)| step.when == When::Success && above[index])
    };
    definitions
        .iter()
        .zip(steps)
        .enumerate()
        .map(|(index, (definition, so_far))| Node {
            needs: needs[index].clone(),
            ancestors: ancestors[index].clone(),
            on_the_way: on_the_way(index),
            when: definition.when,
            retry: definition.retry.unwrap_or(Retry { attempts: 1, delay: Duration::ZERO }),
            status: so_far.status,
            attempt: so_far.attempt,
            tries: so_far.tries,
            losses: 0,
            retry_at: None,
            retry_announced: false,
        })
        .collect()
}

/// Visits each step at most once, whatever the needs look like.
fn ancestors_of(index: usize, needs: &[Vec<usize>]) -> Vec<bool> {
    let mut is_ancestor = vec![false; needs.len()];
    let mut open = needs[index].clone();
    while let Some(step) = open.pop() {
        if !is_ancestor[step] {
            is_ancestor[step] = true;
            open.extend(&needs[step]);
        }
    }
    is_ancestor
}

#[cfg(test)]
mod tests;
