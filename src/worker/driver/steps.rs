//! Steps: started, attached to, and recorded as they end.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::domain::attempt::{Attempt, StopReason};
use crate::domain::log::reserved_n;
use crate::domain::pipeline::Definition;
use crate::domain::run::{Percent, Step, StepStatus, put_steps};
use crate::domain::time::{Timestamp, now};
use crate::error::Result;
use crate::executor::{self, Attachment, Ending, Output, Presence, SecretFile, StepSpec};
use crate::services::executions::{self, Facts};
use crate::services::secrets::{self, Given};
use crate::worker::driver::{Driver, End, Event, patiently};
use crate::worker::run_log::{Lines, Place, Progress, RunLog};
use crate::worker::{environment, fence, prepare};

/// How often the length of the log is recorded while nothing else is: those who watch the run see it grow, at
/// the cost of a write every few seconds, not of one per line.
const NOTE_INTERVAL: Duration = Duration::from_secs(4);

/// A worker that has had a run for so long is not ended by it.
const STEADY_AFTER: Duration = Duration::from_secs(60);

impl Driver {
    pub(super) fn set_started(&mut self, index: usize, attempt: u32) {
        let step = &mut self.steps[index].step;
        *step = Step {
            name: step.name.clone(),
            needs: step.needs.clone(),
            status: StepStatus::Running,
            exit_code: None,
            reason: None,
            attempt,
            started_at: Some(now()),
            finished_at: None,
            first_line: None,
            last_line: None,
            first_error_line: None,
        };
        self.mark(index);
    }

    /// Starts a step that is recorded as running, or attaches to it where an earlier worker did so.
    pub(super) async fn start(
        &mut self,
        definition: &Definition,
        attempt: &mut Attempt,
        index: usize,
    ) -> Result<()> {
        let mut spec = self.step_spec(definition, attempt, index);
        // A step that runs has its secrets already.
        if executor::presence(&spec.dir) == Presence::Absent {
            let (app, run, step) = (&self.app, &self.record.run, &definition.steps[index]);
            match patiently(&self.shutdown, || secrets::for_step(app, run, step)).await? {
                Ok(given) => {
                    spec.secrets = given.iter().map(|given| given.value.clone()).collect();
                    for Given { variable, value, is_file } in given {
                        match is_file {
                            true => spec.files.push(SecretFile { variable, value }),
                            false => spec.env.push((variable, value.reveal().clone())),
                        }
                    }
                }
                Err(refused) => {
                    let end = End::Refused(refused.to_string());
                    self.take_event(Event { index: Some(index), end, flushed: None }, attempt).await;
                    return Ok(());
                }
            }
        }
        let step = &self.steps[index].step;
        let place = Place {
            dir: self.dir.step(index, step.attempt),
            step: Some(step.name.clone()),
            attempt: step.attempt,
        };
        if let Err(reason) = self.begin(Some(index), &spec, place).await {
            let end = End::Unreadable(reason);
            self.take_event(Event { index: Some(index), end, flushed: None }, attempt).await;
        }
        Ok(())
    }

    pub(super) fn step_spec(&self, definition: &Definition, attempt: &Attempt, index: usize) -> StepSpec {
        let config = &self.app.config;
        let step = &definition.steps[index];
        let number = self.steps[index].step.attempt;
        let home = self.dir.user.map(|_| self.dir.home.as_path());
        let base = environment::base(&config.worker, &self.dir.temporary, home);
        let mirror =
            self.record.repository.as_deref().map(|repository| prepare::mirror(&self.app, repository));
        let remaining =
            self.record.deadline.map(|deadline| deadline.since(now()).max(Duration::from_millis(1)));
        let bound = match attempt.is_stopped() {
            true => Some(config.worker.always_timeout),
            false => remaining,
        };
        StepSpec {
            dir: self.dir.root.join(self.dir.step(index, number)),
            workspace: self.dir.workspace.clone(),
            script: step.run.clone(),
            env: environment::of_step(base, &self.record.run, definition, step, number),
            secrets: Vec::new(),
            files: Vec::new(),
            timeout: [step.timeout, bound].into_iter().flatten().min(),
            grace: config.worker.grace,
            log_bytes_max: config.logs.run_bytes_max,
            line_bytes_max: config.logs.line_bytes_max,
            backlog_bytes_max: config.logs.backlog_bytes_max,
            tty: step.tty,
            fence: Some(fence::of_step(&self.app, &self.dir, mirror, step.limits)),
        }
    }

    /// Has a step run under its supervisor, and its output read.
    pub(super) async fn begin(
        &mut self,
        index: Option<usize>,
        spec: &StepSpec,
        place: Place,
    ) -> Result<(), String> {
        if executor::presence(&spec.dir) == Presence::Absent {
            executor::start(spec).await.map_err(|error| format!("it could not be started: {error}"))?;
        }
        let offset = self.offsets.get(&place.dir).copied().unwrap_or(0);
        let attachment = Attachment::open(&spec.dir, &self.dir.workspace, offset)
            .await
            .map_err(|error| format!("its output cannot be read: {error}"))?;
        self.readers.spawn(read(index, attachment, place, self.log.clone(), self.events.clone()));
        Ok(())
    }

    /// Records how a step ended.
    pub(super) async fn take_event(&mut self, event: Event, attempt: &mut Attempt) {
        let Some(index) = event.index else { return };
        let is_refused = matches!(event.end, End::Refused(_));
        let (status, exit_code, reason, at) = self.judge(event.end);
        if status == StepStatus::TimedOut && self.is_late() {
            attempt.stop(StopReason::TimedOut);
            self.stopped.get_or_insert(StopReason::TimedOut);
        }
        let step = &mut self.steps[index].step;
        step.status = status;
        step.exit_code = exit_code;
        step.reason.clone_from(&reason);
        step.finished_at = Some(at);
        if let Some(Lines { first_n, last_n, complaint_n }) = event.flushed.and_then(|flushed| flushed.lines)
        {
            step.first_line = Some(first_n);
            step.last_line = Some(last_n);
            step.first_error_line = complaint_n;
        }
        let (name, number) = (step.name.clone(), step.attempt);
        self.mark(index);
        if let Some(reason) = reason {
            let text = match status {
                StepStatus::Lost => format!("{reason}: it runs again as attempt {}", number + 1),
                _ => reason,
            };
            self.log.say(Some((&name, number)), text).await;
        }
        if status == StepStatus::Lost {
            // The record of the lost attempt must be kept before the next one takes its place.
            let progress = attempt.progress();
            if let Err(error) = self.note(progress).await {
                tracing::warn!(run.id = %self.record.run.id, error = error.chain(), "A lost step was not recorded");
            }
        }
        match is_refused {
            true => attempt.refused(index),
            false => attempt.ended(index, status, Instant::now()),
        }
    }

    pub(super) fn judge(&self, end: End) -> (StepStatus, Option<i32>, Option<String>, Timestamp) {
        match end {
            End::Ended(Ending::Exited(0), at) => (StepStatus::Succeeded, Some(0), None, at),
            End::Ended(Ending::Killed, at) => match self.stopped {
                Some(StopReason::TimedOut) => (StepStatus::TimedOut, None, describe(Ending::TimedOut), at),
                _ => (StepStatus::Canceled, None, Some("canceled".to_owned()), at),
            },
            End::Ended(Ending::TimedOut, at) => (StepStatus::TimedOut, None, describe(Ending::TimedOut), at),
            End::Ended(ending, at) => {
                let exit_code = match ending {
                    Ending::Exited(code) => Some(code),
                    Ending::Signaled(signal) => Some(128 + signal),
                    _ => None,
                };
                (StepStatus::Failed, exit_code, describe(ending), at)
            }
            End::Lost => (StepStatus::Lost, None, Some("its supervisor is gone".to_owned()), now()),
            End::Unreadable(reason) | End::Refused(reason) => (StepStatus::Failed, None, Some(reason), now()),
        }
    }

    /// Whether the run's own time is over, or so nearly that its steps were given no more than it.
    pub(super) fn is_late(&self) -> bool {
        const NEARLY: Duration = Duration::from_millis(100);
        self.record.deadline.is_some_and(|deadline| deadline <= now().plus(NEARLY))
    }

    /// Records what has changed of the steps.
    pub(super) async fn note(&mut self, progress: Percent) -> Result<bool> {
        let facts = self.facts();
        let progress = progress.max(self.record.run.progress);
        self.record.run.progress = progress;
        let (app, record) = (&self.app, &self.record);
        let is_ours =
            patiently(&self.shutdown, || executions::note(app, record, progress, facts.clone())).await?;
        if facts.gets_on() {
            self.record.losses = 0;
        }
        Ok(is_ours)
    }

    /// Has the step's record written with the next change.
    pub(super) fn mark(&mut self, index: usize) {
        put_steps(&mut self.changed, std::slice::from_ref(&self.steps[index]));
    }

    /// What is to be recorded with the next change, the length of the log included.
    pub(super) fn facts(&mut self) -> Facts {
        let Progress { last_n, last_line_at, .. } = self.log.progress();
        self.noted_lines = last_n;
        self.noted_at = Instant::now();
        let steps = std::mem::take(&mut self.changed);
        // What a further attempt begins with is told from the record.
        self.record.put_steps(&steps);
        Facts { lines: last_n, last_line_at, steps, is_steady: STEADY_AFTER <= self.taken_at.elapsed() }
    }

    /// Whether the log has grown since its length was last recorded: much, or long enough ago.
    pub(super) fn has_grown(&self) -> bool {
        let last_n = self.log.progress().last_n;
        let is_due = NOTE_INTERVAL <= self.noted_at.elapsed() || self.much_more() <= last_n;
        self.noted_lines < last_n && is_due
    }

    /// The line with which the length of the log is recorded at once: well before what may have been seen exceeds what
    /// the record lets another machine conclude.
    pub(super) fn much_more(&self) -> u64 {
        self.noted_lines.midpoint(reserved_n(self.noted_lines))
    }
}

/// Reads a step's output into the log, and reports its end once all of it has its numbers.
async fn read(
    index: Option<usize>,
    mut attachment: Attachment,
    place: Place,
    log: RunLog,
    events: mpsc::Sender<Event>,
) {
    let end = loop {
        match attachment.next().await {
            Ok(Output::Block(block)) => log.lines(&place, block).await,
            Ok(Output::Ended { ending, at }) => break End::Ended(ending, at),
            Ok(Output::Lost) => break End::Lost,
            Err(error) => break End::Unreadable(format!("its output cannot be read: {error}")),
        }
    };
    // None: the run has gone to another worker or the process stops, and nobody waits for this.
    let Some(flushed) = log.flush(&place.dir).await else { return };
    let _ = events.send(Event { index, end, flushed: Some(flushed) }).await;
}

/// An end in words; none for a success.
pub(super) fn describe(ending: Ending) -> Option<String> {
    Some(match ending {
        Ending::Exited(0) => return None,
        Ending::Exited(code) => format!("exited with {code}"),
        Ending::Signaled(signal) => format!("was ended by signal {signal}"),
        Ending::Killed => "was ended".to_owned(),
        Ending::TimedOut => "its time is over".to_owned(),
        Ending::NotStarted => "could not be started".to_owned(),
    })
}
