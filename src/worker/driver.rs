//! Carries one run through one attempt: prepares its workspace, starts its steps, records what becomes of
//! them, and ends them when somebody wants that.
//!
//! `domain::attempt` decides, `services::executions` records, `executor` does; this file only carries events
//! between them. It may be taken up amid any attempt: steps that run are attached to, wherever their output
//! was left.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::OnShutdown;
use crate::domain::attempt::{self, Action, Attempt, Chance, StopReason};
use crate::domain::pipeline::Definition;
use crate::domain::run::{Percent, RunRecord, RunStatus, Step, StepRecord, StepStatus};
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::executor::{self, Attachment, Ending, Output, Presence, StepSpec};
use crate::jobs::consumer::Reporter;
use crate::redis::wakeups::Listener;
use crate::services::executions::{self, Claimed, Facts};
use crate::services::{runs, states};
use crate::store;
use crate::worker::environment;
use crate::worker::prepare::{self, Ready, RunDir};
use crate::worker::run_log::{Flushed, Place, RunLog};

/// How often a run is looked at without a notice: how long a cancel whose notice was lost may take.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Between two attempts to reach a database that is away.
const DATABASE_RETRY_DELAY: Duration = Duration::from_millis(500);
/// A checkout whose supervisor was lost is started so many times.
const CHECKOUTS_MAX: u32 = 3;

/// How the driver left the run.
#[derive(Debug)]
pub enum Left {
    /// Ended, and recorded.
    Ended(executions::Ending),
    /// Another worker has it.
    Fenced,
    /// The process is stopping: its steps go on, for the next worker.
    Leave,
}

/// A run's attempt as this worker has it.
pub struct Driver {
    app: App,
    record: RunRecord,
    taken_from: Option<String>,
    dir: RunDir,
    log: RunLog,
    offsets: HashMap<String, u64>,
    reporter: Reporter,
    listener: Listener,
    shutdown: CancellationToken,
    /// Only the latest record of each step.
    steps: Vec<StepRecord>,
    /// What is not recorded yet.
    changed: Vec<StepRecord>,
    stopped: Option<StopReason>,
    /// Whether this process's own stop asked for the run's end.
    has_drained: bool,
    events: mpsc::Sender<Event>,
    incoming: mpsc::Receiver<Event>,
    readers: JoinSet<()>,
}

/// A step, or the checkout (no index), has come to an end.
struct Event {
    index: Option<usize>,
    end: End,
    flushed: Option<Flushed>,
}

enum End {
    Ended(Ending, Timestamp),
    Lost,
    /// Its output cannot be read, so nothing can be said of it.
    Unreadable(String),
}

/// What waiting brought.
enum Turn {
    Event(Event),
    Look,
    Wake,
    Deadline,
    Fenced,
    Shutdown,
}

/// The attempt ends before its steps began, or could not be planned.
enum Prepared {
    Ready(String, Box<Definition>),
    Ending(executions::Ending),
    Left(Left),
}

impl Driver {
    pub async fn new(
        app: &App,
        claimed: Claimed,
        dir: RunDir,
        log: RunLog,
        offsets: HashMap<String, u64>,
        reporter: Reporter,
        shutdown: CancellationToken,
    ) -> Self {
        let Claimed { record, taken_from } = claimed;
        let listener = app.wakeups.listen(&states::channel(&record.run.id)).await;
        let (events, incoming) = mpsc::channel(16);
        Self {
            app: app.clone(),
            steps: record.current_records(),
            record,
            taken_from,
            dir,
            log,
            offsets,
            reporter,
            listener,
            shutdown,
            changed: Vec::new(),
            stopped: None,
            has_drained: false,
            events,
            incoming,
            readers: JoinSet::new(),
        }
    }

    /// Drives the attempt to its end, unless somebody else takes the run or the process stops.
    pub async fn drive(mut self) -> Result<Left> {
        if let Some(host) = self.taken_from.take() {
            let text = format!("{host} is silent: the run starts again here, from its first step");
            self.log.say(None, text).await;
        }
        if self.record.cancel_requested {
            self.stopped = Some(StopReason::Canceled);
        }
        let (text, definition) = match self.prepare().await? {
            Prepared::Ready(text, definition) => (text, definition),
            Prepared::Ending(ending) => return self.finish(None, ending).await,
            Prepared::Left(left) => return Ok(left),
        };
        if self.record.restart || self.steps.is_empty() || self.record.deadline.is_none() {
            let ready = self.dir.ready(&self.record);
            if self.steps.is_empty() {
                self.steps = runs::first_steps(&definition);
            }
            if !self.plan(&text, &definition, ready).await? {
                return Ok(Left::Fenced);
            }
        }
        self.run_steps(&definition).await
    }

    async fn plan(&mut self, text: &str, definition: &Definition, ready: Option<Ready>) -> Result<bool> {
        let (commit, branch) = ready.map_or((None, None), |ready| (ready.commit, ready.branch));
        let (app, record, steps) = (&self.app, &self.record, &self.steps);
        let is_ours = patiently(&self.shutdown, || {
            executions::plan(app, record, (text, definition), commit.clone(), branch.clone(), steps.clone())
        })
        .await?;
        if is_ours && let Some(record) = store::runs::find(&self.app.store, &self.record.run.id).await? {
            self.record = record;
        }
        Ok(is_ours)
    }

    /// Makes the workspace, and finds the definition.
    async fn prepare(&mut self) -> Result<Prepared> {
        if self.dir.ready(&self.record).is_none() {
            match self.record.repository.clone() {
                None => {
                    let ready = Ready { attempt: self.record.run.attempt, commit: None, branch: None };
                    let made = self.dir.clear().and_then(|()| self.dir.set_ready(&ready));
                    made.map_err(|error| Error::internal("making a workspace", error))?;
                }
                Some(repository) => {
                    if let Some(prepared) = self.check_out(&repository).await? {
                        return Ok(prepared);
                    }
                }
            }
        }
        let text = match &self.record.definition {
            Some(text) => Ok(text.clone()),
            None => self.dir.definition(),
        };
        let checked = text.and_then(|text| match runs::parse(&text) {
            Ok(definition) => Ok((text, definition)),
            Err(error) => Err(format!("{}: {error}", prepare::DEFINITION_FILE)),
        });
        match checked {
            Ok((text, definition)) => Ok(Prepared::Ready(text, Box::new(definition))),
            Err(reason) => {
                self.log.say(None, reason.clone()).await;
                Ok(Prepared::Ending(executions::Ending::Failed(reason)))
            }
        }
    }

    /// Checks out, or goes on with the checkout that an earlier worker began. None: the workspace is ready.
    async fn check_out(&mut self, repository: &str) -> Result<Option<Prepared>> {
        let attempt = self.record.run.attempt;
        let (mut name, mut number) = self.dir.checkout(attempt);
        if !prepare::is_started(&self.dir, &name) {
            let branch =
                self.record.run.branch.as_deref().map_or(String::new(), |branch| format!(" at {branch}"));
            self.log.say(None, format!("checking out {repository}{branch}")).await;
        }
        loop {
            if self.stopped.is_some() && !prepare::is_started(&self.dir, &name) {
                return Ok(Some(Prepared::Ending(executions::Ending::Canceled)));
            }
            let spec = prepare::checkout_step(&self.app, &self.record, &self.dir, &name, repository);
            let place = Place { dir: name.clone(), step: None, attempt: 0 };
            if let Err(reason) = self.begin(None, &spec, place).await {
                return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
            }
            if self.stopped.is_some() {
                self.kill(&spec.dir);
            }
            let event = loop {
                match self.turn(None).await {
                    Turn::Event(event) => break event,
                    Turn::Look | Turn::Wake | Turn::Deadline => {
                        if !self.look().await? {
                            return Ok(Some(Prepared::Left(Left::Fenced)));
                        }
                        if self.stopped.is_some() {
                            self.kill(&spec.dir);
                        }
                    }
                    Turn::Fenced => return Ok(Some(Prepared::Left(Left::Fenced))),
                    Turn::Shutdown => match self.app.config.worker.on_shutdown {
                        OnShutdown::Leave => return Ok(Some(Prepared::Left(Left::Leave))),
                        OnShutdown::Wait => self.has_drained = true,
                        OnShutdown::Cancel => {
                            self.has_drained = true;
                            self.stopped = Some(StopReason::Canceled);
                            self.kill(&spec.dir);
                        }
                    },
                }
            };
            match event.end {
                End::Ended(Ending::Exited(0), _) => {
                    let ready = prepare::checkout_result(&self.dir, &name, attempt)
                        .and_then(|ready| self.dir.set_ready(&ready).map_err(|error| error.to_string()));
                    return Ok(ready.err().map(|reason| Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Ended(..) if self.stopped.is_some() => {
                    return Ok(Some(Prepared::Ending(executions::Ending::Canceled)));
                }
                End::Ended(Ending::TimedOut, _) => {
                    return Ok(Some(Prepared::Ending(self.checkout_failed("it took too long".to_owned()))));
                }
                End::Ended(ending, _) => {
                    let reason = describe(ending).unwrap_or_default();
                    return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Unreadable(reason) => return Ok(Some(Prepared::Ending(self.checkout_failed(reason)))),
                End::Lost if CHECKOUTS_MAX <= number => {
                    let reason = "its supervisor was lost each time".to_owned();
                    return Ok(Some(Prepared::Ending(self.checkout_failed(reason))));
                }
                End::Lost => {
                    (name, number) = self.dir.checkout_after(attempt, number);
                    self.log.say(None, "the checkout's supervisor is gone: it starts again").await;
                }
            }
        }
    }

    fn checkout_failed(&self, reason: String) -> executions::Ending {
        let reason = format!("checkout: {reason}");
        if self.record.run.attempt < self.record.run.attempts_max {
            executions::Ending::RetryLater(reason)
        } else {
            executions::Ending::Failed(reason)
        }
    }

    async fn run_steps(mut self, definition: &Definition) -> Result<Left> {
        let chance = match self.record.run.attempt < self.record.run.attempts_max {
            true => Chance::Another,
            false => Chance::Last,
        };
        let parallel_max = self.app.config.worker.steps_parallel_max;
        let mut attempt = Attempt::new(definition, chance, parallel_max, &runs::so_far(&self.steps));
        if let Some(reason) = self.stopped {
            self.stop(&mut attempt, reason);
        }
        // Steps that an earlier worker left running.
        for index in 0..self.steps.len() {
            if self.steps[index].step.status == StepStatus::Running {
                self.start(definition, &mut attempt, index).await;
            }
        }
        loop {
            let (starts, done) = self.act(definition, &mut attempt).await;
            if let Some(outcome) = done {
                let ending = self.ending(outcome);
                return self.finish(Some(definition), ending).await;
            }
            if !self.changed.is_empty() && !self.note(attempt.progress()).await? {
                return Ok(Left::Fenced);
            }
            for index in starts {
                self.start(definition, &mut attempt, index).await;
            }
            let turn = self.turn(attempt.wake_at()).await;
            if let Some(left) = self.take_turn(turn, definition, &mut attempt).await? {
                return Ok(left);
            }
        }
    }

    /// Does what the attempt says next. Gives the steps to be started once that is recorded, and the outcome.
    async fn act(
        &mut self,
        definition: &Definition,
        attempt: &mut Attempt,
    ) -> (Vec<usize>, Option<attempt::Outcome>) {
        let mut starts = Vec::new();
        let mut done = None;
        for action in attempt.next(Instant::now()) {
            match action {
                Action::Start { index, attempt } => {
                    self.set_started(index, attempt);
                    starts.push(index);
                }
                Action::Skip { index, reason } => {
                    let step = &mut self.steps[index].step;
                    step.status = StepStatus::Skipped;
                    step.reason = Some(reason.to_owned());
                    self.mark(index);
                }
                Action::RetryAt { index, at } => {
                    let seconds = at.saturating_duration_since(Instant::now()).as_secs_f64();
                    let step = &self.steps[index].step;
                    let text = format!("{} is tried again in {seconds:.1} s", definition.steps[index].name);
                    self.log.say(Some((&step.name, step.attempt)), text).await;
                }
                Action::Done(outcome) => done = Some(outcome),
            }
        }
        (starts, done)
    }

    fn set_started(&mut self, index: usize, attempt: u32) {
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
        };
        self.mark(index);
    }

    /// Starts a step that is recorded as running, or attaches to it where an earlier worker did so.
    async fn start(&mut self, definition: &Definition, attempt: &mut Attempt, index: usize) {
        let spec = self.step_spec(definition, attempt, index);
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
    }

    fn step_spec(&self, definition: &Definition, attempt: &Attempt, index: usize) -> StepSpec {
        let config = &self.app.config;
        let step = &definition.steps[index];
        let number = self.steps[index].step.attempt;
        let base = environment::base(&config.worker, &self.dir.temporary);
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
            timeout: [step.timeout, bound].into_iter().flatten().min(),
            grace: config.worker.grace,
            log_bytes_max: config.logs.run_bytes_max,
            line_bytes_max: config.logs.line_bytes_max,
            backlog_bytes_max: config.logs.backlog_bytes_max,
            tty: step.tty,
        }
    }

    /// Has a step run under its supervisor, and its output read.
    async fn begin(&mut self, index: Option<usize>, spec: &StepSpec, place: Place) -> Result<(), String> {
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

    /// Waits for whatever comes first.
    async fn turn(&mut self, wake_at: Option<Instant>) -> Turn {
        let deadline = match (self.stopped, self.record.deadline) {
            (None, Some(deadline)) => Some(Instant::now() + deadline.since(now())),
            _ => None,
        };
        tokio::select! {
            biased;
            () = self.log.fenced.cancelled() => Turn::Fenced,
            Some(event) = self.incoming.recv() => Turn::Event(event),
            () = self.shutdown.cancelled(), if !self.has_drained => Turn::Shutdown,
            () = until(wake_at) => Turn::Wake,
            () = until(deadline) => Turn::Deadline,
            _ = self.listener.wait(LOOK_INTERVAL) => Turn::Look,
        }
    }

    async fn take_turn(
        &mut self,
        turn: Turn,
        definition: &Definition,
        attempt: &mut Attempt,
    ) -> Result<Option<Left>> {
        match turn {
            Turn::Event(event) => {
                self.take_event(event, attempt).await;
                self.reporter.progress(attempt.progress()).await;
            }
            Turn::Wake => {}
            Turn::Look => {
                if !self.look().await? {
                    return Ok(Some(Left::Fenced));
                }
                if let Some(reason) = self.stopped
                    && !attempt.is_stopped()
                {
                    self.stop(attempt, reason);
                }
            }
            Turn::Deadline => {
                let text = format!("the run's time of {} s is over", definition.timeout.as_secs());
                self.log.say(None, text).await;
                self.stop(attempt, StopReason::TimedOut);
            }
            Turn::Fenced => return Ok(Some(Left::Fenced)),
            Turn::Shutdown => match self.app.config.worker.on_shutdown {
                OnShutdown::Leave => return Ok(Some(Left::Leave)),
                OnShutdown::Wait => self.has_drained = true,
                OnShutdown::Cancel => {
                    self.has_drained = true;
                    self.log.say(None, "canceled, since the worker is stopping").await;
                    self.stop(attempt, StopReason::Canceled);
                }
            },
        }
        Ok(None)
    }

    /// Reads what others have done to the run. False: it is not this worker's any more.
    async fn look(&mut self) -> Result<bool> {
        let record = match store::runs::find(&self.app.store, &self.record.run.id).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(false),
            // A database that is away says nothing of who has the run.
            Err(Error::Unavailable { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        if record.epoch != self.record.epoch || record.run.status.is_ended() {
            return Ok(false);
        }
        if record.cancel_requested && self.stopped != Some(StopReason::Canceled) {
            if let Some(reason) = &record.run.reason {
                self.log.say(None, reason.clone()).await;
            }
            self.stopped = Some(StopReason::Canceled);
        }
        self.record.run.status = record.run.status;
        self.record.cancel_requested = record.cancel_requested;
        Ok(true)
    }

    fn stop(&mut self, attempt: &mut Attempt, reason: StopReason) {
        self.stopped = Some(reason);
        for index in attempt.stop(reason) {
            let dir = self.dir.root.join(self.dir.step(index, self.steps[index].step.attempt));
            self.kill(&dir);
        }
    }

    fn kill(&self, dir: &Path) {
        if let Err(error) = executor::kill(dir) {
            tracing::warn!(run.id = %self.record.run.id, %error, "A step could not be told to end");
        }
    }

    /// Records how a step ended.
    async fn take_event(&mut self, event: Event, attempt: &mut Attempt) {
        let Some(index) = event.index else { return };
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
        if let Some((first, last)) = event.flushed.and_then(|flushed| flushed.range) {
            step.first_line = Some(first);
            step.last_line = Some(last);
        }
        let (name, number) = (step.name.clone(), step.attempt);
        self.mark(index);
        if let Some(reason) = reason {
            let text = match status {
                StepStatus::Lost => format!("{name}: {reason}, it runs again as attempt {}", number + 1),
                _ => format!("{name}: {reason}"),
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
        attempt.ended(index, status, Instant::now());
    }

    fn judge(&self, end: End) -> (StepStatus, Option<i32>, Option<String>, Timestamp) {
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
            End::Unreadable(reason) => (StepStatus::Failed, None, Some(reason), now()),
        }
    }

    /// Whether the run's own time is over, or so nearly that its steps were given no more than it.
    fn is_late(&self) -> bool {
        const NEARLY: Duration = Duration::from_millis(100);
        self.record.deadline.is_some_and(|deadline| deadline <= now().plus(NEARLY))
    }

    /// Records what has changed of the steps.
    async fn note(&mut self, progress: Percent) -> Result<bool> {
        let facts = self.facts(None);
        let progress = progress.max(self.record.run.progress);
        self.record.run.progress = progress;
        let (app, record) = (&self.app, &self.record);
        patiently(&self.shutdown, || executions::note(app, record, progress, facts.clone())).await
    }

    /// Has the step's record written with the next change.
    fn mark(&mut self, index: usize) {
        let record = &self.steps[index];
        let is_same = |known: &&mut StepRecord| {
            known.index == record.index && known.step.attempt == record.step.attempt
        };
        match self.changed.iter_mut().find(is_same) {
            Some(known) => *known = record.clone(),
            None => self.changed.push(record.clone()),
        }
    }

    fn facts(&mut self, flushed: Option<Flushed>) -> Facts {
        let steps = std::mem::take(&mut self.changed);
        match flushed {
            Some(flushed) => Facts { lines: flushed.last_n, last_line_at: flushed.last_line_at, steps },
            None => Facts { lines: self.record.run.lines, last_line_at: self.record.run.last_line_at, steps },
        }
    }

    fn ending(&self, outcome: attempt::Outcome) -> executions::Ending {
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

    /// Records the end, once the last line is where it can be read.
    async fn finish(
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
        let Some(flushed) = self.log.flush(None).await else {
            return Ok(if self.log.fenced.is_cancelled() { Left::Fenced } else { Left::Leave });
        };
        loop {
            if !matches!(ending, executions::Ending::Succeeded | executions::Ending::RetryLater(_)) {
                self.end_open_steps(&ending);
            }
            let facts = self.facts(Some(flushed));
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
    fn end_open_steps(&mut self, ending: &executions::Ending) {
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

/// Reads a step's output into the log, and reports its end once all of it is published.
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
    let Some(flushed) = log.flush(Some(&place.dir)).await else { return };
    let _ = events.send(Event { index, end, flushed: Some(flushed) }).await;
}

/// An end in words; none for a success.
fn describe(ending: Ending) -> Option<String> {
    Some(match ending {
        Ending::Exited(0) => return None,
        Ending::Exited(code) => format!("exited with {code}"),
        Ending::Signaled(signal) => format!("was ended by signal {signal}"),
        Ending::Killed => "was ended".to_owned(),
        Ending::TimedOut => "its time is over".to_owned(),
        Ending::NotStarted => "could not be started".to_owned(),
    })
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Repeats a change until the database takes it: what a worker has to record cannot be refused. Gives up with
/// the process.
async fn patiently<F>(shutdown: &CancellationToken, mut change: impl FnMut() -> F) -> Result<bool>
where
    F: Future<Output = Result<bool>>,
{
    let mut is_away = false;
    loop {
        match change().await {
            Err(error @ Error::Unavailable { .. }) => {
                if !is_away {
                    is_away = true;
                    tracing::warn!(error = error.chain(), "The database is away, a worker waits for it");
                }
                if shutdown.is_cancelled() {
                    return Err(error);
                }
            }
            outcome => return outcome,
        }
        tokio::time::sleep(DATABASE_RETRY_DELAY).await;
    }
}
