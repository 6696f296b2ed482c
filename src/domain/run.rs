//! Runs and their steps: what they are, and which status may follow which.
//!
//! ```text
//!                    ┌───────────── asked-for retry ──────────────┐
//!                    ▼                                            │
//!   trigger ──▶ queued ──▶ running ──▶ succeeded ─────────────────┤
//!                 ▲ │         │  ├───▶ failed ────────────────────┤
//!   next attempt  │ │         │  ├───▶ timed_out ─────────────────┤
//!                 └─┼─────────┤  │                                │
//!                   │         └──┼──▶ canceling ──▶ canceled ─────┤
//!                   └────────────┴────────────────▶ canceled ─────┘
//! ```
//!
//! `waiting` stands beside `queued` for a run that waits for something that a person or another run gives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{PipelineId, RunId, WorkerId};
use crate::domain::time::Timestamp;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// In the queue, or about to be tried again (`nextAttemptAt`).
    Queued,
    /// Waits for something other than a worker; `reason` says for what.
    Waiting,
    Running,
    /// To be canceled; its processes are being ended.
    Canceling,
    Succeeded,
    Failed,
    Canceled,
    TimedOut,
}

impl RunStatus {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Waiting,
        Self::Running,
        Self::Canceling,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::TimedOut,
    ];
    /// The statuses that end on their own.
    pub const LIVE: [Self; 4] = [Self::Queued, Self::Waiting, Self::Running, Self::Canceling];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::TimedOut => "timed_out",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// No further attempt follows, unless somebody asks for one.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::TimedOut)
    }

    /// Whether the edge is in the picture above. A status also follows itself: a worker takes back a run
    /// that is `running`.
    pub const fn can_become(self, to: Self) -> bool {
        match self {
            Self::Queued => matches!(to, Self::Queued | Self::Waiting | Self::Running | Self::Canceled),
            Self::Waiting => matches!(to, Self::Waiting | Self::Queued | Self::Running | Self::Canceled),
            Self::Running => matches!(
                to,
                Self::Running
                    | Self::Queued
                    | Self::Canceling
                    | Self::Succeeded
                    | Self::Failed
                    | Self::Canceled
                    | Self::TimedOut
            ),
            Self::Canceling => matches!(to, Self::Canceling | Self::Canceled),
            Self::Succeeded | Self::Failed | Self::Canceled | Self::TimedOut => matches!(to, Self::Queued),
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Has not begun.
    Pending,
    Running,
    Succeeded,
    Failed,
    Canceled,
    TimedOut,
    /// Was not run, since what it needs or its `when` did not hold.
    Skipped,
    /// Its supervisor was gone before it ended; a further attempt follows.
    Lost,
}

impl StepStatus {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::TimedOut,
        Self::Skipped,
        Self::Lost,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::TimedOut => "timed_out",
            Self::Skipped => "skipped",
            Self::Lost => "lost",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A share of the work, in whole percent: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Type, JsonSchema)]
#[serde(transparent)]
pub struct Percent(#[schemars(range(max = 100))] u8);

impl Percent {
    pub const ZERO: Self = Self(0);
    pub const DONE: Self = Self(100);

    /// Whole percent of `done` in `total`, below 100: only the end of a run is 100.
    pub fn of(done: usize, total: usize) -> Self {
        Self((done * 100 / total.max(1)).min(99) as u8)
    }

    pub fn new(percent: u8) -> Self {
        Self(percent.min(100))
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            percent @ 0..=100 => Ok(Self(percent)),
            _ => Err(serde::de::Error::custom("expected 0 to 100")),
        }
    }
}

/// What made a run begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunTrigger {
    /// By which way it came.
    pub kind: TriggerKind,
    /// Who asked for it: the name of a token, or what stands in for a person.
    pub by: String,
    /// Nobody here vouches for the code, such as that of a fork: secrets are withheld unless they allow it.
    #[serde(default)]
    pub untrusted: bool,
}

/// By which way a run was triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// `pipelines.trigger`, from whatever client.
    Api,
    /// A job that another program put into the queue.
    Queue,
}

/// A run, as everywhere it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Identifies it everywhere.
    pub id: RunId,
    /// Its number in its pipeline, from 1.
    pub number: u32,
    /// What it is a run of.
    pub pipeline_id: PipelineId,
    /// The name that the pipeline has now, or had last.
    pub pipeline_name: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Never falls within an attempt, and is 100 only at the end.
    pub progress: Percent,
    /// Counts from 1; rises with each automatic or asked-for retry.
    pub attempt: u32,
    /// How many attempts it gets before it counts as failed.
    pub attempts_max: u32,
    /// What it was triggered for; null where the pipeline names none either.
    pub branch: Option<String>,
    /// The commit that the branch stood at, once it is known.
    pub commit: Option<String>,
    /// What it was triggered with; steps see them as `SLIPWAY_INPUT_<NAME>`.
    pub inputs: BTreeMap<String, String>,
    /// What made it begin.
    pub trigger: RunTrigger,
    /// Why it stands where it stands, where that is not plain: what it waits for, who canceled it. What it waits for is
    /// found out when it is asked for, and changes without a new version.
    pub reason: Option<String>,
    /// What went wrong, of a run that failed or timed out.
    pub error: Option<String>,
    /// Rises with each change. Below 2^53.
    #[specta(type = f64)]
    pub version: u64,
    /// How many lines its log has. Below 2^53.
    #[specta(type = f64)]
    pub lines: u64,
    /// When its last line came: a step that hangs looks different from a quiet one.
    pub last_line_at: Option<Timestamp>,
    /// When it is tried again, between two automatic attempts.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When a worker took it up first.
    pub started_at: Option<Timestamp>,
    /// When it ended; null while an attempt may follow by itself.
    pub finished_at: Option<Timestamp>,
    /// When its log was purged: there is none any more, and the run cannot be tried again.
    pub log_purged_at: Option<Timestamp>,
    /// Who had its log purged; `retention` for the rule.
    pub log_purged_by: Option<String>,
}

/// A step of a run: its latest attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Unique in its definition.
    pub name: String,
    /// Where it stands.
    pub status: StepStatus,
    /// The exit code of its command; 128 and the signal's number if a signal ended it.
    pub exit_code: Option<i32>,
    /// What went wrong, or why it was skipped.
    pub reason: Option<String>,
    /// Counts from 1, over all attempts of the run; a step that is `pending` has yet to begin it.
    pub attempt: u32,
    /// Names of the steps that come before it.
    pub needs: Vec<String>,
    /// When this attempt began.
    pub started_at: Option<Timestamp>,
    /// When this attempt ended.
    pub finished_at: Option<Timestamp>,
    /// The number of its first line in the run's log. Below 2^53.
    #[specta(type = Option<f64>)]
    pub first_line: Option<u64>,
    /// The number of its last line so far. Below 2^53.
    #[specta(type = Option<f64>)]
    pub last_line: Option<u64>,
    /// The number of its first line that reads like an error, told once it has ended; null where none does. Below 2^53.
    #[specta(type = Option<f64>)]
    pub first_error_line: Option<u64>,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    #[serde(flatten)]
    pub run: Run,
    /// The latest attempt of each, in the order of the definition.
    pub steps: Vec<Step>,
    /// Earlier attempts of its steps, oldest first.
    pub earlier_steps: Vec<Step>,
}

impl RunDetails {
    /// The line before the first of a step's, over all its attempts; none if the run has no such step.
    pub fn line_before(&self, step: &str) -> Option<u64> {
        let mut attempts =
            self.steps.iter().chain(&self.earlier_steps).filter(|one| one.name == step).peekable();
        attempts.peek()?;
        let first = attempts.filter_map(|one| one.first_line).min();
        Some(first.map_or(0, |first| first.saturating_sub(1)))
    }
}

/// What `watchRun` sends: the state of a run at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunState {
    /// Of which run.
    pub run_id: RunId,
    /// Its number in its pipeline.
    pub number: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// Never falls within an attempt, and is 100 only at the end.
    pub progress: Percent,
    /// Counts from 1.
    pub attempt: u32,
    /// Rises with each change. Below 2^53.
    #[specta(type = f64)]
    pub version: u64,
    /// How many lines its log has. Below 2^53.
    #[specta(type = f64)]
    pub lines: u64,
    /// When its last line came.
    pub last_line_at: Option<Timestamp>,
    /// When it is tried again, between two automatic attempts.
    pub next_attempt_at: Option<Timestamp>,
    /// The commit that the branch stood at, once it is known.
    pub commit: Option<String>,
    /// Why it stands where it stands, where that is not plain. What it waits for changes without a new version: a state is
    /// then sent again with another reason.
    pub reason: Option<String>,
    /// What went wrong, of a run that failed or timed out.
    pub error: Option<String>,
    /// When a worker took it up first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The latest attempt of each step.
    pub steps: Vec<Step>,
}

/// A run as the store keeps it: what clients see, and what only Slipway needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    pub run: Run,
    /// Raised by each claim: what a worker writes counts only at the epoch of its claim.
    pub epoch: u64,
    /// The worker that claimed it last.
    pub worker: Option<WorkerId>,
    /// The definition it runs, as YAML; none until it is read from the repository.
    pub definition: Option<String>,
    pub repository: Option<String>,
    /// Somebody asked for its end.
    pub cancel_requested: bool,
    /// When its time is over, once it has started.
    pub deadline: Option<Timestamp>,
    /// Attempts that ended because their worker went away, not because a step failed.
    pub losses: u32,
    /// Redis has confirmed the end of its job: a further delivery is a retry, not a redelivery.
    pub settled: bool,
    /// All its lines are in the object store.
    pub archived: bool,
    /// The next worker makes a new workspace and checks out anew: the run begins from its start.
    pub restart: bool,
    /// The silent worker from which it was taken over, until the log says so and the steps begin again.
    pub taken_from: Option<String>,
    /// Every attempt of every step, in order of step and attempt.
    pub steps: Vec<StepRecord>,
}

/// One attempt of a step, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// The step's place in the definition, from 0.
    pub index: u32,
    pub step: Step,
}

/// Puts `newer` records into `records`, in place of those of the same attempt of the same step.
pub fn put_steps(records: &mut Vec<StepRecord>, newer: &[StepRecord]) {
    for record in newer {
        let is_same = |known: &&mut StepRecord| {
            known.index == record.index && known.step.attempt == record.step.attempt
        };
        match records.iter_mut().find(is_same) {
            Some(known) => *known = record.clone(),
            None => records.push(record.clone()),
        }
    }
}

impl RunRecord {
    /// Puts newer records of steps in place of those of the same attempt of the same step.
    pub fn put_steps(&mut self, newer: &[StepRecord]) {
        put_steps(&mut self.steps, newer);
    }

    /// The latest attempt of each step, in the definition's order.
    pub fn current_records(&self) -> Vec<StepRecord> {
        let mut latest: BTreeMap<u32, &StepRecord> = BTreeMap::new();
        for record in &self.steps {
            let known = latest.entry(record.index).or_insert(record);
            if known.step.attempt < record.step.attempt {
                *known = record;
            }
        }
        latest.into_values().cloned().collect()
    }

    pub fn current_steps(&self) -> Vec<Step> {
        self.current_records().into_iter().map(|record| record.step).collect()
    }

    pub fn details(&self) -> RunDetails {
        let steps = self.current_records();
        let earlier_steps = self
            .steps
            .iter()
            .filter(|record| !steps.contains(record))
            .map(|record| record.step.clone())
            .collect();
        let steps = steps.into_iter().map(|record| record.step).collect();
        RunDetails { run: self.run.clone(), steps, earlier_steps }
    }

    pub fn state(&self) -> RunState {
        let run = self.run.clone();
        RunState {
            run_id: run.id,
            number: run.number,
            status: run.status,
            progress: run.progress,
            attempt: run.attempt,
            version: run.version,
            lines: run.lines,
            last_line_at: run.last_line_at,
            next_attempt_at: run.next_attempt_at,
            commit: run.commit,
            reason: run.reason,
            error: run.error,
            started_at: run.started_at,
            finished_at: run.finished_at,
            steps: self.current_steps(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair, so that a new status cannot be added without deciding its edges.
    #[test]
    fn a_status_follows_only_along_the_edges_of_the_picture() {
        use RunStatus::*;
        let edges: &[(RunStatus, &[RunStatus])] = &[
            (Queued, &[Queued, Waiting, Running, Canceled]),
            (Waiting, &[Queued, Waiting, Running, Canceled]),
            (Running, &[Queued, Running, Canceling, Succeeded, Failed, Canceled, TimedOut]),
            (Canceling, &[Canceling, Canceled]),
            (Succeeded, &[Queued]),
            (Failed, &[Queued]),
            (Canceled, &[Queued]),
            (TimedOut, &[Queued]),
        ];
        for (from, allowed) in edges {
            for to in RunStatus::ALL {
                assert_eq!(from.can_become(to), allowed.contains(&to), "{from:?} -> {to:?}");
            }
        }
    }

    #[test]
    fn progress_reaches_100_only_at_the_end() {
        assert_eq!(Percent::of(0, 3), Percent::ZERO);
        assert_eq!(Percent::of(1, 3).get(), 33);
        assert_eq!(Percent::of(3, 3).get(), 99);
        assert_eq!(Percent::of(0, 0), Percent::ZERO);
    }
}
