//! The end of an attempt.

use crate::domain::attempt::{self, StopReason};
use crate::domain::pipeline::Definition;
use crate::domain::run::{RunStatus, StepStatus};
use crate::error::Result;
use crate::services::executions;
use crate::worker::driver::{Driver, Left, patiently};

impl Driver {
    pub(super) fn ending(&self, outcome: attempt::Outcome) -> executions::Ending {
        let culprit = |status: StepStatus| {
            let step = self.steps.iter().map(|record| &record.step).find(|step| step.status == status)?;
            Some(format!("{}: {}", step.name, step.reason.as_deref().unwrap_or(status.as_str())))
        };
        let failure = || {
            culprit(StepStatus::Failed)
                .or_else(|| culprit(StepStatus::Lost))
                .unwrap_or_else(|| "a step did not succeed".to_owned())
        };
        match outcome {
            attempt::Outcome::Succeeded => executions::Ending::Succeeded,
            attempt::Outcome::Failed => executions::Ending::Failed(failure()),
            attempt::Outcome::RetryLater => executions::Ending::RetryLater(failure()),
            attempt::Outcome::Canceled => executions::Ending::Canceled,
            attempt::Outcome::TimedOut => {
                let reason = culprit(StepStatus::TimedOut);
                executions::Ending::TimedOut(reason.unwrap_or_else(|| "the run's time is over".to_owned()))
            }
        }
    }

    /// Records the end, once the last line is where it can be read; where Redis is away, once it is journalled.
    pub(super) async fn finish(
        mut self,
        definition: Option<&Definition>,
        mut ending: executions::Ending,
    ) -> Result<Left> {
        if self.stopped == Some(StopReason::Canceled) {
            ending = executions::Ending::Canceled;
        }
        if let executions::Ending::RetryLater(reason) = &ending {
            let (attempt, max) = (self.record.run.attempt, self.record.run.attempts_max);
            self.log.say(None, format!("attempt {attempt} of {max} failed: {reason}")).await;
        }
        loop {
            // Again in each turn: what is said of a cancel that came meanwhile belongs to the log too.
            if !self.log.settle().await {
                return Ok(if self.log.fenced.is_cancelled() { Left::Fenced } else { Left::Leave });
            }
            if !matches!(ending, executions::Ending::Succeeded | executions::Ending::RetryLater(_)) {
                self.end_open_steps(&ending);
            }
            let facts = self.facts();
            let (app, record) = (&self.app, &self.record);
            let is_recorded = patiently(&self.shutdown, || {
                executions::end(app, record, definition, &ending, facts.clone())
            })
            .await?;
            if is_recorded {
                return Ok(Left::Ended(ending));
            }
            // Somebody canceled the run while it was ending; or it has gone to another worker.
            if ending == executions::Ending::Canceled || !self.look().await? {
                return Ok(Left::Fenced);
            }
            if self.record.run.status != RunStatus::Canceling {
                return Ok(Left::Fenced);
            }
            ending = executions::Ending::Canceled;
            self.changed.clone_from(&self.steps);
        }
    }

    /// No step of a run that has ended is left open.
    pub(super) fn end_open_steps(&mut self, ending: &executions::Ending) {
        let reason = match ending {
            executions::Ending::Canceled => "the run was canceled",
            _ => "the run ended before its turn came",
        };
        for index in 0..self.steps.len() {
            let step = &mut self.steps[index].step;
            if !step.status.is_ended() {
                step.status = StepStatus::Skipped;
                step.reason = Some(reason.to_owned());
                self.mark(index);
            }
        }
    }
}
