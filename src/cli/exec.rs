//! `slipway exec`: runs a pipeline file here and now, by the rules and with the supervisors of a worker.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Duration, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cli::failure::{Exit, Failure};
use crate::cli::lines::Piece;
use crate::cli::output::Output;
use crate::cli::pipeline::{problem_lines, read_definition, shown};
use crate::cli::steps::{StepEnd, StepEvent, run_step};
use crate::cli::view::{Standing, View, duration_text};
use crate::config::{Config, Loaded};
use crate::domain::attempt::{Action, Attempt, Chance, Outcome, StepSoFar, StopReason, delay_after};
use crate::domain::ids::{PipelineId, RunId};
use crate::domain::log::{LineId, LogLine, LogStream};
use crate::domain::pipeline::{self, Definition, When};
use crate::domain::run::{Percent, Run, RunStatus, RunTrigger, Step, StepStatus, TriggerKind};
use crate::domain::time::{self, Timestamp};
use crate::executor::{self, Block, Source, StepSpec};
use crate::worker::environment;

/// Blocks of lines that wait to be printed; then the steps are held back.
const EVENTS_WAITING_MAX: usize = 256;
/// Terminals and parent programs may both pass one Ctrl-C on: what comes so soon is no second one.
const CANCEL_ECHO: Duration = Duration::from_millis(500);
/// How often the clocks of running steps move on.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct ExecArguments {
    /// The file with the definition; `-`: stdin.
    #[arg(default_value = ".slipway.yml")]
    file: PathBuf,
    /// Given to steps as SLIPWAY_INPUT_<NAME>; may be repeated.
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = super::assignment)]
    inputs: Vec<(String, String)>,
    /// Given to steps as SLIPWAY_RUN_BRANCH; nothing is checked out.
    #[arg(long)]
    branch: Option<String>,
    /// Where the steps run [default: here].
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

pub(super) async fn run(output: Output, loaded: &Loaded, arguments: ExecArguments) -> Result<Exit, Failure> {
    let text = read_definition(&arguments.file)?;
    let definition = pipeline::parse(&text).map_err(|problems| {
        let lines = problem_lines(&arguments.file, &problems);
        Failure::usage(format!("{} is no pipeline:\n{lines}", shown(&arguments.file)))
    })?;
    let workspace = std::path::absolute(arguments.workspace.as_deref().unwrap_or(Path::new(".")))?;
    if !workspace.is_dir() {
        return Err(Failure::usage(format!("{} is no directory", workspace.display())));
    }
    let run = new_run(&arguments, definition.retry.attempts);
    let dir = loaded.temporary_dir().join(format!("slipway-exec-{}", run.id));
    for dir in [&dir, &dir.join("tmp")] {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(|error| Failure::failed(format!("cannot make {}: {error}", dir.display())))?;
    }
    executor::become_subreaper();
    let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
    let config = &loaded.config;
    let mut execution = Execution {
        output,
        config,
        view: View::new(output, shown(&arguments.file)),
        steps: definition.steps.iter().map(|step| pending(&step.name, &step.needs)).collect(),
        kills: vec![CancellationToken::new(); definition.steps.len()],
        definition,
        workspace,
        dir: dir.clone(),
        run,
        stopped: None,
        canceled_at: None,
        is_abandoned: false,
        sender,
        events,
    };
    let result = execution.run().await;
    // What is left there is of no use to anybody, and the system clears up its temporary files.
    let _ = std::fs::remove_dir_all(&dir);
    result
}

/// A run of no pipeline that anybody knows of.
fn new_run(arguments: &ExecArguments, attempts_max: u32) -> Run {
    let now = time::now();
    Run {
        id: RunId::generate(),
        number: 1,
        pipeline_id: PipelineId::generate(),
        pipeline_name: shown(&arguments.file),
        status: RunStatus::Running,
        progress: Percent::ZERO,
        attempt: 1,
        attempts_max,
        branch: arguments.branch.clone(),
        commit: None,
        inputs: arguments.inputs.iter().cloned().collect(),
        trigger: RunTrigger { kind: TriggerKind::Api, by: "slipway exec".to_owned(), untrusted: false },
        reason: None,
        error: None,
        version: 1,
        lines: 0,
        last_line_at: None,
        next_attempt_at: None,
        created_at: now,
        started_at: Some(now),
        finished_at: None,
        log_purged_at: None,
        log_purged_by: None,
    }
}

fn pending(name: &str, needs: &[String]) -> Step {
    Step {
        name: name.to_owned(),
        status: StepStatus::Pending,
        exit_code: None,
        reason: None,
        attempt: 0,
        needs: needs.to_vec(),
        started_at: None,
        finished_at: None,
        first_line: None,
        last_line: None,
        first_error_line: None,
    }
}

struct Execution<'a> {
    output: Output,
    config: &'a Config,
    view: View,
    definition: Definition,
    /// As they stand, in the definition's order.
    steps: Vec<Step>,
    /// Ends the try of the step that runs.
    kills: Vec<CancellationToken>,
    workspace: PathBuf,
    /// For the spools.
    dir: PathBuf,
    /// As a worker would have it.
    run: Run,
    stopped: Option<StopReason>,
    canceled_at: Option<Instant>,
    /// Canceled twice: nothing is to run any more, not even what clears up.
    is_abandoned: bool,
    sender: mpsc::Sender<StepEvent>,
    events: mpsc::Receiver<StepEvent>,
}

impl Execution<'_> {
    async fn run(&mut self) -> Result<Exit, Failure> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let mut so_far = vec![StepSoFar::NEW; self.steps.len()];
        loop {
            let chance = match self.run.attempt < self.definition.retry.attempts {
                true => Chance::Another,
                false => Chance::Last,
            };
            let steps_max = self.config.worker.steps_parallel_max;
            let mut attempt = Attempt::new(&self.definition, chance, steps_max, &so_far);
            let outcome = self.attempt(&mut attempt, &mut interrupts, &mut terminations).await?;
            if outcome != Outcome::RetryLater {
                return self.finish(outcome);
            }
            for (index, step) in self.steps.iter().enumerate() {
                so_far[index] =
                    StepSoFar { status: attempt.status(index), attempt: step.attempt, tries: 0 }.again();
            }
            let delay = delay_after(self.definition.retry, self.run.attempt);
            self.run.attempt += 1;
            self.system(
                None,
                &format!("tried again in {}, attempt {}", duration_text(delay), self.run.attempt),
            )?;
            self.stand(RunStatus::Queued, Percent::ZERO)?;
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = interrupts.recv() => return self.finish(Outcome::Canceled),
                _ = terminations.recv() => return self.finish(Outcome::Canceled),
            }
            for (step, so_far) in self.steps.iter_mut().zip(&so_far) {
                step.status = so_far.status;
            }
        }
    }

    async fn attempt(
        &mut self,
        attempt: &mut Attempt,
        interrupts: &mut tokio::signal::unix::Signal,
        terminations: &mut tokio::signal::unix::Signal,
    ) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + self.definition.timeout;
        let mut ticks = interval(REDRAW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            for action in attempt.next(Instant::now()) {
                if let Action::Done(outcome) = action {
                    return Ok(outcome);
                }
                self.act(action, attempt.is_stopped())?;
            }
            self.stand(RunStatus::Running, attempt.progress())?;
            let wake_at = attempt.wake_at();
            let wake = async {
                match wake_at {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(StepEvent::Printed { index, block }) => self.print(index, &block)?,
                    Some(StepEvent::Ended { index, end }) => {
                        self.ended(attempt, index, end);
                        // How it ended is said before what follows from it.
                        self.stand(RunStatus::Running, attempt.progress())?;
                    }
                    None => return Err(Failure::failed("the steps' channel is gone")),
                },
                () = wake => {}
                () = sleep_until(deadline.into()), if !attempt.is_stopped() => self.stop(attempt, StopReason::TimedOut)?,
                _ = interrupts.recv() => self.stop(attempt, StopReason::Canceled)?,
                _ = terminations.recv() => self.stop(attempt, StopReason::Canceled)?,
                _ = ticks.tick(), if self.output.live => {}
            }
        }
    }

    fn act(&mut self, action: Action, is_stopped: bool) -> Result<(), Failure> {
        match action {
            Action::Start { index, attempt } => self.start(index, attempt, is_stopped),
            Action::Skip { index, reason } => {
                self.steps[index].status = StepStatus::Skipped;
                self.steps[index].reason = Some(reason.to_owned());
            }
            Action::RetryAt { index, at } => {
                let delay = at.saturating_duration_since(Instant::now());
                self.system(Some(index), &format!("tried again in {}", duration_text(delay)))?;
            }
            Action::Done(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, index: usize, attempt: u32, is_stopped: bool) {
        let spec = self.spec(index, attempt, is_stopped);
        let step = &mut self.steps[index];
        *step = Step {
            status: StepStatus::Running,
            attempt,
            started_at: Some(time::now()),
            ..pending(&step.name, &step.needs)
        };
        let kill = CancellationToken::new();
        if self.is_abandoned {
            kill.cancel();
        }
        self.kills[index] = kill.clone();
        tokio::spawn(run_step(index, spec, kill, self.sender.clone()));
    }

    fn spec(&self, index: usize, attempt: u32, is_stopped: bool) -> StepSpec {
        let (worker, logs) = (&self.config.worker, &self.config.logs);
        let step = &self.definition.steps[index];
        let base = environment::base(worker, &self.dir.join("tmp"), None);
        // What clears up after a cancel must not go on for ever.
        let bound = is_stopped.then_some(worker.always_timeout);
        StepSpec {
            dir: self.dir.join(format!("{index}-{attempt}")),
            workspace: self.workspace.clone(),
            script: step.run.clone(),
            env: environment::of_step(base, &self.run, &self.definition, step, attempt),
            secrets: Vec::new(),
            files: Vec::new(),
            timeout: step.timeout.into_iter().chain(bound).min(),
            grace: worker.grace,
            log_bytes_max: logs.run_bytes_max,
            line_bytes_max: logs.line_bytes_max,
            backlog_bytes_max: logs.backlog_bytes_max,
            tty: step.tty,
            fence: None,
        }
    }

    /// A second cancel also ends the `always` steps.
    fn stop(&mut self, attempt: &mut Attempt, reason: StopReason) -> Result<(), Failure> {
        if let Some(at) = self.canceled_at {
            if at.elapsed() < CANCEL_ECHO {
                return Ok(());
            }
            self.is_abandoned = true;
        }
        if reason == StopReason::Canceled {
            self.canceled_at.get_or_insert_with(Instant::now);
        }
        for index in attempt.stop(reason) {
            self.kills[index].cancel();
        }
        if self.is_abandoned {
            self.kills.iter().for_each(CancellationToken::cancel);
        }
        self.stopped = Some(reason);
        match reason {
            StopReason::Canceled if self.is_abandoned => {
                self.system(None, "canceled again: all steps are ended")
            }
            StopReason::Canceled => {
                self.system(None, "canceled: steps are ended, `when: always` steps still run")
            }
            StopReason::TimedOut => {
                self.system(None, "timed out: steps are ended, `when: always` steps still run")
            }
        }
    }

    fn ended(&mut self, attempt: &mut Attempt, index: usize, end: StepEnd) {
        let StepEnd { mut status, exit_code, reason } = end;
        let is_always = self.definition.steps[index].when == When::Always;
        if status == StepStatus::Canceled && self.stopped == Some(StopReason::TimedOut) && !is_always {
            status = StepStatus::TimedOut;
        }
        attempt.ended(index, status, Instant::now());
        let step = &mut self.steps[index];
        step.status = status;
        step.exit_code = exit_code;
        step.reason = reason;
        step.finished_at = Some(time::now());
    }

    fn print(&mut self, index: usize, block: &Block) -> Result<(), Failure> {
        let stream = match block.source {
            Source::Stdout => LogStream::Stdout,
            Source::Stderr => LogStream::Stderr,
            Source::Note => LogStream::System,
        };
        for line in &block.lines {
            let piece = Piece {
                step: Some(&self.steps[index].name),
                stream,
                text: &line.text,
                partial: line.partial,
                continued: line.continued,
            };
            self.run.lines += 1;
            if self.output.is_json() {
                let line = log_line(self.run.lines, piece, self.steps[index].attempt, block.at);
                self.output.json(&json!({ "log": line }))?;
            } else {
                self.view.log(piece);
            }
        }
        Ok(())
    }

    /// Slipway's own words in the log.
    fn system(&mut self, index: Option<usize>, text: &str) -> Result<(), Failure> {
        let step = index.map(|index| self.steps[index].name.as_str());
        let attempt = index.map_or(0, |index| self.steps[index].attempt);
        let piece = Piece { step, stream: LogStream::System, text, partial: false, continued: false };
        self.run.lines += 1;
        if self.output.is_json() {
            self.output.json(&json!({ "log": log_line(self.run.lines, piece, attempt, time::now()) }))?;
        } else {
            self.view.log(piece);
        }
        Ok(())
    }

    fn stand(&mut self, status: RunStatus, progress: Percent) -> Result<(), Failure> {
        let standing = Standing {
            status,
            progress,
            attempt: self.run.attempt,
            reason: None,
            next_attempt_at: None,
            started_at: self.run.started_at,
            finished_at: status.is_ended().then(time::now),
            steps: self.steps.clone(),
        };
        if !self.output.is_json() {
            self.view.stand(standing);
            self.view.redraw()?;
        }
        Ok(())
    }

    fn finish(&mut self, outcome: Outcome) -> Result<Exit, Failure> {
        let status = match outcome {
            Outcome::Succeeded => RunStatus::Succeeded,
            Outcome::Failed | Outcome::RetryLater => RunStatus::Failed,
            Outcome::Canceled => RunStatus::Canceled,
            Outcome::TimedOut => RunStatus::TimedOut,
        };
        self.stand(status, Percent::DONE)?;
        if self.output.is_json() {
            self.output.json(&json!({ "run": { "status": status, "steps": self.steps } }))?;
        } else {
            self.view.finish()?;
        }
        Ok(Exit::of_run(status))
    }
}

fn log_line(n: u64, piece: Piece<'_>, attempt: u32, timestamp: Timestamp) -> LogLine {
    LogLine {
        id: LineId { epoch: 1, n },
        n,
        timestamp,
        step: piece.step.map(str::to_owned),
        attempt,
        stream: piece.stream,
        message: piece.text.to_owned(),
        partial: piece.partial,
        continued: piece.continued,
    }
}
