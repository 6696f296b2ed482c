//! A job of the kind `execute-run`: look at a run, and carry it on.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::time::now;
use crate::error::{Error, Result};
use crate::jobs::consumer::{Delivery, Handler, Outcome, Settled};
use crate::jobs::kinds::ExecuteRun;
use crate::services::executions::{self, Claim, Claimant, Claimed, Ending};
use crate::worker::driver::{Driver, Left};
use crate::worker::host::Seat;
use crate::worker::prepare::RunDir;
use crate::worker::run_log::{Opened, RunLog};
use crate::worker::running::Running;

/// A run that could not be worked on for a reason that may pass is looked at again after this.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Works on the runs that the queue delivers.
#[derive(Debug)]
pub struct ExecuteRuns {
    app: App,
    seat: Arc<Seat>,
    running: Running,
    /// Fires when this worker is to stop.
    shutdown: CancellationToken,
}

impl ExecuteRuns {
    pub fn new(app: App, seat: Arc<Seat>, running: Running, shutdown: CancellationToken) -> Self {
        Self { app, seat, running, shutdown }
    }

    async fn execute(&self, delivery: Delivery) -> Outcome {
        let run = match serde_json::from_value::<ExecuteRun>(delivery.data().clone()) {
            Ok(job) => job.run_id,
            Err(error) => return Outcome::GiveUp(format!("the job's data is not a run's: {error}")),
        };
        // A second delivery of a run that this process has means that the queue took the first for stalled.
        let Some(_held) = self.running.enter(&run) else { return Outcome::Later(now().plus(LOOK_AGAIN)) };
        match Box::pin(self.carry_on(&run, &delivery)).await {
            Ok(outcome) => outcome,
            Err(error) => {
                if self.shutdown.is_cancelled() {
                    return Outcome::Leave;
                }
                tracing::error!(run.id = %run, error = error.chain(), "A run could not be worked on, trying again");
                Outcome::Later(now().plus(LOOK_AGAIN))
            }
        }
    }

    async fn carry_on(&self, run: &RunId, delivery: &Delivery) -> Result<Outcome> {
        let claimant = Claimant { worker: self.seat.worker.clone(), host: self.seat.host.clone() };
        let claimed =
            match executions::claim(&self.app, run, &claimant, |worker| self.seat.is_dead(worker)).await? {
                Claim::Claimed(claimed) => *claimed,
                Claim::Nothing => return Ok(Outcome::Done),
                Claim::Later(at) => return Ok(Outcome::Later(at)),
            };
        let dir = RunDir::of(&self.app, &claimed.record)
            .map_err(|error| Error::internal("making the directory of a run", error))?;
        match Box::pin(self.drive(claimed, dir, delivery)).await? {
            Left::Ended(Ending::Succeeded) => Ok(Outcome::Done),
            Left::Ended(Ending::RetryLater(reason)) => Ok(Outcome::Retry(reason)),
            Left::Ended(Ending::Failed(reason) | Ending::TimedOut(reason)) => Ok(Outcome::GiveUp(reason)),
            Left::Ended(Ending::Canceled) => Ok(Outcome::GiveUp("canceled".to_owned())),
            // Whoever has it carries it on; this delivery then finds nothing to do.
            Left::Fenced => Ok(Outcome::Later(now().plus(LOOK_AGAIN))),
            Left::Leave => Ok(Outcome::Leave),
        }
    }

    async fn drive(&self, claimed: Claimed, dir: RunDir, delivery: &Delivery) -> Result<Left> {
        let log_stop = CancellationToken::new();
        let stops_the_log = log_stop.clone().drop_guard();
        let opened = tokio::select! {
            () = self.shutdown.cancelled() => return Ok(Left::Leave),
            opened = RunLog::open(&self.app, &claimed.record, &dir.root, log_stop) => opened?,
        };
        let Some(Opened { log, offsets, task }) = opened else { return Ok(Left::Fenced) };
        let task = self.app.tasks.spawn(task.run());
        let reporter = delivery.reporter();
        let driver =
            Driver::new(&self.app, claimed, dir, log, offsets, reporter, self.shutdown.clone()).await;
        let left = Box::pin(driver.drive()).await;
        drop(stops_the_log);
        // This process may claim the run again at once, and two must not write one journal. A panic of the task
        // ended it as well.
        let _ = task.await;
        left
    }
}

impl Handler for ExecuteRuns {
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Outcome> {
        self.execute(delivery).boxed()
    }

    fn settled(&self, job_id: String, _settled: Settled) -> BoxFuture<'_, ()> {
        async move {
            let Ok(run) = job_id.parse::<RunId>() else { return };
            // Archiving takes time, and the next event must not wait for it.
            let (app, running) = (self.app.clone(), self.running.clone());
            self.app.tasks.spawn(async move {
                if let Err(error) = crate::worker::upkeep::settle(&app, &running, &run).await {
                    tracing::warn!(run.id = %run, error = error.chain(), "An ended run is settled later");
                }
            });
        }
        .boxed()
    }
}
