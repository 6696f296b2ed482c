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
use crate::domain::run::{RunRecord, StepRecord, StepStatus};
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::executor::{self, Ending};
use crate::jobs::consumer::Reporter;
use crate::redis::wakeups::Listener;
use crate::services::executions::{self, Claimed};
use crate::services::runs::RetryFrom;
use crate::services::{runs, states};
use crate::store;
use crate::worker::prepare::RunDir;
use crate::worker::run_log::{Flushed, RunLog};

mod finish;
mod steps;
mod workspace;

/// How often a run is looked at without a notice: how long a cancel whose notice was lost may take.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Between two attempts to reach a database that is away.
const DATABASE_RETRY_DELAY: Duration = Duration::from_millis(500);

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
    waited: Option<String>,
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
    /// The length of the log, and when it was last recorded.
    noted_lines: u64,
    noted_at: Instant,
    taken_at: Instant,
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
        let Claimed { record, waited } = claimed;
        let listener = app.wakeups.listen(&states::channel(&record.run.id)).await;
        let (events, incoming) = mpsc::channel(16);
        Self {
            app: app.clone(),
            steps: record.current_records(),
            noted_lines: record.run.lines,
            record,
            waited,
            dir,
            log,
            offsets,
            reporter,
            listener,
            shutdown,
            changed: Vec::new(),
            noted_at: Instant::now(),
            taken_at: Instant::now(),
            stopped: None,
            has_drained: false,
            events,
            incoming,
            readers: JoinSet::new(),
        }
    }

    /// Drives the attempt to its end, unless somebody else takes the run or the process stops.
    pub async fn drive(mut self) -> Result<Left> {
        if let Some(text) = self.waited.take() {
            self.log.say(None, text).await;
        }
        if let Some(host) = self.record.taken_from.clone() {
            let text = format!("{host} is silent: the run starts again here, from its first step");
            self.log.say(None, text).await;
        }
        if self.record.cancel_requested {
            self.stopped = Some(StopReason::Canceled);
        }
        if !self.begin_anew_without_workspace().await? {
            return Ok(Left::Fenced);
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
        Box::pin(self.run_steps(&definition)).await
    }

    /// Steps that have succeeded count only together with the workspace that they left. Whether the run is still this
    /// worker's.
    async fn begin_anew_without_workspace(&mut self) -> Result<bool> {
        if !runs::has_results(&self.record) || self.dir.ready(&self.record).is_some() {
            return Ok(true);
        }
        let text =
            "the workspace of earlier steps is not on this machine: the run starts from its first step";
        self.log.say(None, text).await;
        self.steps = runs::again_steps(&self.record, RetryFrom::Start);
        // Recorded before there is a workspace, which would otherwise be taken for the one that the steps left.
        let (app, record, steps) = (&self.app, &self.record, &self.steps);
        let is_ours =
            patiently(&self.shutdown, || executions::begin_anew(app, record, steps.clone())).await?;
        self.record.put_steps(&self.steps);
        self.record.restart = true;
        Ok(is_ours)
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
            let (starts, done) = self.act(&mut attempt).await;
            if let Some(outcome) = done {
                let ending = self.ending(outcome);
                return self.finish(Some(definition), ending).await;
            }
            let asked_at = Instant::now();
            if (!self.changed.is_empty() || self.has_grown()) && !self.note(attempt.progress()).await? {
                return Ok(Left::Fenced);
            }
            // An answer that was long on its way says that the run was this worker's, not that it still is.
            if LOOK_INTERVAL < asked_at.elapsed() && !self.look().await? {
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
    async fn act(&mut self, attempt: &mut Attempt) -> (Vec<usize>, Option<attempt::Outcome>) {
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
                    let text = format!("it is tried again in {seconds:.1} s");
                    self.log.say(Some((&step.name, step.attempt)), text).await;
                }
                Action::Done(outcome) => done = Some(outcome),
            }
        }
        (starts, done)
    }

    /// Waits for whatever comes first.
    async fn turn(&mut self, wake_at: Option<Instant>) -> Turn {
        let deadline = match (self.stopped, self.record.deadline) {
            (None, Some(deadline)) => Some(Instant::now() + deadline.since(now())),
            _ => None,
        };
        let much_more = self.much_more();
        tokio::select! {
            biased;
            () = self.log.fenced.cancelled() => Turn::Fenced,
            Some(event) = self.incoming.recv() => Turn::Event(event),
            () = self.shutdown.cancelled(), if !self.has_drained => Turn::Shutdown,
            () = until(wake_at) => Turn::Wake,
            () = until(deadline) => Turn::Deadline,
            () = self.log.reaches(much_more) => Turn::Wake,
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
                self.reporter.progress(attempt.progress()).await;
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
