//! Follows a run to its end: its log, its states, or both.

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::cli::client::{Client, ClientError};
use crate::cli::failure::{Exit, Failure};
use crate::cli::lines::Piece;
use crate::cli::output::{Output, note};
use crate::cli::subscription::{Update, subscribe};
use crate::cli::view::{Standing, View};
use crate::domain::ids::RunId;
use crate::domain::log::LogLine;
use crate::domain::run::{RunState, RunStatus};

/// How often the clocks of running steps move on.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);
/// Updates that are taken before the screen is drawn anew.
const UPDATES_PER_REDRAW_MAX: usize = 1_000;

/// What of a run is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Show {
    Everything,
    States,
    Lines {
        /// Behind the line with this number.
        after: u64,
        /// Only of this step.
        step: Option<String>,
    },
}

/// Returns once the run has ended, with its outcome.
pub(super) async fn follow(
    client: &Client,
    output: Output,
    run_id: &RunId,
    title: String,
    show: Show,
) -> Result<Exit, Failure> {
    let after = match &show {
        Show::Lines { after, .. } => *after,
        Show::Everything | Show::States => 0,
    };
    let lines = (show != Show::States)
        .then(|| subscribe(client, "pipelines.streamLogs", json!({ "runId": run_id, "after": after })));
    let states = subscribe(client, "pipelines.watchRun", json!({ "runId": run_id }));
    let view = View::new(output, title);
    let mut follower =
        Follower { output, show, view, last_line: after, last_state: None, lines, states: Some(states) };
    follower.run(run_id).await
}

struct Follower {
    output: Output,
    show: Show,
    view: View,
    /// The number of the last line that was shown.
    last_line: u64,
    last_state: Option<RunState>,
    /// None: it has said all.
    lines: Option<mpsc::Receiver<Update>>,
    states: Option<mpsc::Receiver<Update>>,
}

impl Follower {
    async fn run(&mut self, run_id: &RunId) -> Result<Exit, Failure> {
        let mut ticks = interval(REDRAW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        while self.lines.is_some() || self.states.is_some() {
            tokio::select! {
                update = next(&mut self.lines) => self.take_line(update)?,
                update = next(&mut self.states) => self.take_state(update)?,
                _ = ticks.tick(), if self.output.live => {}
                _ = &mut interrupt => {
                    self.view.clear()?;
                    note(&format!("The run goes on; `slipway cancel {run_id}` ends it"));
                    return Ok(Exit::Interrupted);
                }
            }
            self.take_what_is_there()?;
            self.redraw()?;
        }
        let Some(state) = &self.last_state else {
            return Err(Failure::failed("the server ended the run's states without telling one"));
        };
        let exit = Exit::of_run(state.status);
        if !self.output.is_json() && !matches!(self.show, Show::Lines { .. }) {
            self.view.finish()?;
        } else {
            self.view.end_log()?;
        }
        Ok(exit)
    }

    /// Many lines at once are drawn once.
    fn take_what_is_there(&mut self) -> Result<(), Failure> {
        for _ in 0..UPDATES_PER_REDRAW_MAX {
            let line = self.lines.as_mut().and_then(|lines| lines.try_recv().ok());
            let state = self.states.as_mut().and_then(|states| states.try_recv().ok());
            if line.is_none() && state.is_none() {
                break;
            }
            if let Some(update) = line {
                self.take_line(Some(update))?;
            }
            if let Some(update) = state {
                self.take_state(Some(update))?;
            }
        }
        Ok(())
    }

    fn redraw(&mut self) -> Result<(), Failure> {
        if !self.output.is_json() {
            self.view.redraw()?;
        }
        Ok(())
    }

    fn take_line(&mut self, update: Option<Update>) -> Result<(), Failure> {
        let Some(text) = self.item(update, Source::Lines)? else { return Ok(()) };
        let line: LogLine = read(&text)?;
        // After a reconnection the server may send what was shown already.
        if line.n <= self.last_line {
            return Ok(());
        }
        self.last_line = line.n;
        if let Show::Lines { step: Some(step), .. } = &self.show
            && line.step.as_ref() != Some(step)
        {
            return Ok(());
        }
        match (self.output.is_json(), &self.show) {
            (true, Show::Everything) => self.output.json(&json!({ "log": line }))?,
            (true, _) => self.output.json(&line)?,
            (false, _) => self.view.log(Piece::from(&line)),
        }
        Ok(())
    }

    fn take_state(&mut self, update: Option<Update>) -> Result<(), Failure> {
        let Some(text) = self.item(update, Source::States)? else { return Ok(()) };
        let state: RunState = read(&text)?;
        // A watcher that comes back is told the present state again.
        let known = |last: &RunState| {
            let (place, known_place) = ((state.version, state.lines), (last.version, last.lines));
            // Under the same version, what it waits for may be another.
            place < known_place || (place == known_place && state.reason == last.reason)
        };
        if self.last_state.as_ref().is_some_and(known) {
            return Ok(());
        }
        match (self.output.is_json(), &self.show) {
            (_, Show::Lines { .. }) => {}
            (true, Show::Everything) => self.output.json(&json!({ "state": state }))?,
            (true, Show::States) => self.output.json(&state)?,
            (false, _) => self.view.stand(standing(&state)),
        }
        self.last_state = Some(state);
        Ok(())
    }

    /// The value in an update, if it has one.
    fn item(&mut self, update: Option<Update>, source: Source) -> Result<Option<String>, Failure> {
        match update {
            Some(Update::Item(text)) => Ok(Some(text)),
            Some(Update::Reconnecting { reason }) => {
                self.view.lost(&reason)?;
                Ok(None)
            }
            Some(Update::Complete) => {
                match source {
                    Source::Lines => self.lines = None,
                    Source::States => self.states = None,
                }
                Ok(None)
            }
            Some(Update::Failed(error)) => {
                self.view.clear()?;
                Err(error.into())
            }
            None => Err(Failure::failed("the subscription broke off")),
        }
    }
}

#[derive(Clone, Copy)]
enum Source {
    Lines,
    States,
}

/// Waits for ever where there is nothing to wait for.
async fn next(updates: &mut Option<mpsc::Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let shown: Value = serde_json::from_str(text).unwrap_or_default();
        let kind = if shown.is_object() { "an object of another kind" } else { "no object" };
        let reason = format!("it sent {kind}: {error}");
        ClientError::NotSlipway { url: "the server".to_owned(), reason }.into()
    })
}

fn standing(state: &RunState) -> Standing {
    let reason = match state.status {
        RunStatus::Failed | RunStatus::TimedOut => state.error.clone().or_else(|| state.reason.clone()),
        _ => state.reason.clone(),
    };
    Standing {
        status: state.status,
        progress: state.progress,
        attempt: state.attempt,
        reason,
        next_attempt_at: state.next_attempt_at,
        started_at: state.started_at,
        finished_at: state.finished_at,
        steps: state.steps.clone(),
    }
}
