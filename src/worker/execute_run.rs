//! A job of the kind `execute-run`: look at a run, and carry it on.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::{RunRecord, RunStatus};
use crate::domain::time::now;
use crate::error::{Error, Result};
use crate::jobs::consumer::{Delivery, Handler, Outcome, Settled};
use crate::jobs::kinds::ExecuteRun;
use crate::rpc::foreign::JobData;
use crate::services::executions::{self, Claim, Claimant, Claimed, Ending};
use crate::services::runs;
use crate::store;
use crate::worker::claims;
use crate::worker::driver::{Driver, Left};
use crate::worker::host::Seat;
use crate::worker::prepare::RunDir;
use crate::worker::run_log::{Opened, RunLog, TakenFrom};
use crate::worker::running::{Held, Running};
use crate::worker::trigger_run::{place, trigger_run};
use crate::worker::upkeep;

/// A run that could not be worked on for a reason that may pass is looked at again after this.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(2);

/// How often, and for how long at a time, a run is left to the machine that had it before.
const YIELD_TIMES_FOR_WORKSPACE: u32 = 4;
const YIELD_TIMES_FOR_LINES: u32 = 120;
/// For how long that machine may have been silent. Signs of life come every three seconds.
const PATIENCE_FOR_WORKSPACE: std::time::Duration = std::time::Duration::from_secs(6);
const PATIENCE_FOR_LINES: std::time::Duration = std::time::Duration::from_secs(60);
const YIELD_FOR: std::time::Duration = std::time::Duration::from_millis(500);
const YIELDED_MAX: usize = 1_000;

/// Works on the runs that the queue delivers.
#[derive(Debug)]
pub struct ExecuteRuns {
    app: App,
    seat: Arc<Seat>,
    running: Running,
    /// Fires when this worker is to stop.
    shutdown: CancellationToken,
    /// How often a run was left to the machine that had it before.
    yielded: Mutex<HashMap<RunId, u32>>,
    /// Reads jobs that are no run's.
    data: JobData,
}

impl ExecuteRuns {
    pub fn new(app: App, seat: Arc<Seat>, running: Running, shutdown: CancellationToken) -> Self {
        Self { app, seat, running, shutdown, yielded: Mutex::default(), data: JobData::default() }
    }

    async fn execute(&self, delivery: Delivery) -> Outcome {
        let run = match serde_json::from_value::<ExecuteRun>(delivery.data().clone()) {
            // A run's job has the run's id; whatever else has it in its data is another's.
            Ok(job) if job.run_id.as_str() == delivery.job_id() => job.run_id,
            _ => return trigger_run(&self.app, &self.data, &delivery).await,
        };
        // A second delivery of a run that this process has means that the queue took the first for stalled, or that
        // its log is still on its way.
        let Some(held) = self.running.enter(&run) else { return Outcome::Later(now().plus(LOOK_AGAIN)) };
        let error = match AssertUnwindSafe(Box::pin(self.carry_on(&run, held, &delivery)))
            .catch_unwind()
            .await
        {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(_)) if self.shutdown.is_cancelled() => return Outcome::Leave,
            Ok(Err(error)) => {
                tracing::error!(run.id = %run, error = error.chain(), "A run could not be worked on, trying again");
                error
            }
            Err(_) => {
                tracing::error!(run.id = %run, "Working on a run panicked, trying again");
                let counted = executions::count_panic(&self.app, &run).await;
                counted.err().unwrap_or_else(|| Error::internal("working on a run", "it panicked"))
            }
        };
        if let Err(error) = executions::hindered(&self.app, &run, &error).await {
            tracing::debug!(run.id = %run, error = error.chain(), "What hinders a run could not be noted");
        }
        Outcome::Later(now().plus(LOOK_AGAIN))
    }

    /// Whether a further attempt is better left to the machine that had the one before: for a little while if it has the
    /// workspace, and for long if nobody else has all lines of the log for certain.
    async fn yields(&self, record: &RunRecord) -> Result<bool> {
        if record.run.status != RunStatus::Queued || claims::has(&self.app, record)? {
            return Ok(false);
        }
        let archived_n = match record.run.lines {
            0 => Ok(0),
            _ => self.app.logs.archived_n(&record.run.id).await,
        };
        let (times_max, patience) = if !archived_n.is_ok_and(|n| record.run.lines <= n) {
            (YIELD_TIMES_FOR_LINES, PATIENCE_FOR_LINES)
        } else if runs::has_results(record) && !record.restart {
            (YIELD_TIMES_FOR_WORKSPACE, PATIENCE_FOR_WORKSPACE)
        } else {
            return Ok(false);
        };
        if !upkeep::has_other_live_host(&self.app, &self.seat, record, patience).await? {
            return Ok(false);
        }
        let mut yielded = self.yielded.lock().unwrap_or_else(PoisonError::into_inner);
        if YIELDED_MAX <= yielded.len() {
            yielded.clear();
        }
        let times = yielded.entry(record.run.id.clone()).or_insert(0);
        *times += 1;
        let yields = *times <= times_max;
        if !yields {
            yielded.remove(&record.run.id);
        }
        Ok(yields)
    }

    async fn carry_on(&self, run: &RunId, held: Held, delivery: &Delivery) -> Result<Outcome> {
        let Some(record) = store::runs::find(&self.app.store, run).await? else { return Ok(Outcome::Done) };
        if self.yields(&record).await? {
            return Ok(Outcome::Later(now().plus(YIELD_FOR)));
        }
        if !record.run.status.is_ended() {
            claims::make_way(&self.app, &self.seat, &record).await?;
        }
        let claimant = Claimant { worker: self.seat.worker.clone(), host: self.seat.host.clone() };
        let claim =
            executions::claim(&self.app, record, &claimant, |worker| self.seat.is_dead(worker)).await?;
        let claimed = match claim {
            Claim::Claimed(claimed) => *claimed,
            Claim::Nothing => return Ok(Outcome::Done),
            Claim::Later(at) => return Ok(Outcome::Later(at)),
            Claim::SetAside(reason) => {
                claims::end_steps(&self.app.run_dir(run)).await?;
                return Ok(Outcome::GiveUp(reason));
            }
        };
        let dir = RunDir::of(&self.app, &claimed.record)
            .map_err(|error| Error::internal("making the directory of a run", error))?;
        match Box::pin(self.drive(claimed, dir, held, delivery)).await? {
            Left::Ended(Ending::Succeeded) => Ok(Outcome::Done),
            Left::Ended(Ending::RetryLater(reason)) => Ok(Outcome::Retry(reason)),
            Left::Ended(Ending::Failed(reason) | Ending::TimedOut(reason)) => Ok(Outcome::GiveUp(reason)),
            Left::Ended(Ending::Canceled) => Ok(Outcome::GiveUp("canceled".to_owned())),
            // Whoever has it carries it on; this delivery then finds nothing to do.
            Left::Fenced => Ok(Outcome::Later(now().plus(LOOK_AGAIN))),
            Left::Leave => Ok(Outcome::Leave),
        }
    }

    async fn drive(&self, claimed: Claimed, dir: RunDir, held: Held, delivery: &Delivery) -> Result<Left> {
        let record = claimed.record.clone();
        let log_stop = CancellationToken::new();
        let is_after_restart = claims::is_after_restart(&dir.root)
            .map_err(|error| Error::internal("looking at the directory of a run", error))?;
        let origin = match claimed.record.taken_from.is_some() || is_after_restart {
            true => TakenFrom::SilentMachine,
            false => TakenFrom::Nobody,
        };
        let stops_the_log = log_stop.clone().drop_guard();
        let opened = tokio::select! {
            () = self.shutdown.cancelled() => return Ok(Left::Leave),
            opened = RunLog::open(&self.app, &claimed.record, &dir.root, origin, log_stop) => opened?,
        };
        let Some(Opened { log, offsets, task }) = opened else { return Ok(Left::Fenced) };
        let task = self.app.tasks.spawn(task.run());
        let said = format!("The log of this run is Slipway's: {}", place(&self.app, &record.run));
        if let Err(error) = self.app.jobs.say(delivery.job_id(), &said).await {
            tracing::debug!(run.id = %record.run.id, error = error.chain(), "The job does not say where the log is");
        }
        let reporter = delivery.reporter();
        let driver =
            Driver::new(&self.app, claimed, dir, log, offsets, reporter, self.shutdown.clone()).await;
        let left = Box::pin(driver.drive()).await;
        if let Ok(Left::Ended(ending)) = &left {
            // The attempt has ended, also where Redis is away; its last lines follow. Until then nobody here begins it
            // anew. Another machine may take the next attempt, and should find all lines in the archive.
            let (app, shutdown, run) = (self.app.clone(), self.shutdown.clone(), record.run.id.clone());
            let is_tried_again = matches!(ending, Ending::RetryLater(_));
            self.app.tasks.spawn(async move {
                let _held = held;
                let follow = async move {
                    // A panic of the task ended it as well.
                    let _ = task.await;
                    if is_tried_again && let Err(error) = executions::archive_so_far(&app, &run).await {
                        tracing::warn!(run.id = %run, error = error.chain(), "The log of an attempt was not archived");
                    }
                };
                let _ = shutdown.run_until_cancelled(follow).await;
                drop(stops_the_log);
            });
            return left;
        }
        drop(stops_the_log);
        let _ = task.await;
        match &left {
            Ok(Left::Fenced) => {
                claims::let_go(&self.app, &self.seat, &record.run.id).await?;
            }
            Ok(Left::Leave) => {
                if let Err(error) = executions::leave(&self.app, &record).await {
                    tracing::debug!(run.id = %record.run.id, error = error.chain(), "That a run was left is not noted");
                }
            }
            _ => {}
        }
        left
    }
}

impl Handler for ExecuteRuns {
    fn handle(&self, delivery: Delivery) -> BoxFuture<'_, Outcome> {
        self.execute(delivery).boxed()
    }

    fn settled(&self, job_id: String, _settled: Settled) -> BoxFuture<'_, ()> {
        async move {
            let Ok(run) = job_id.parse::<RunId>() else {
                if let Err(error) = self.app.jobs.note_settled(&job_id).await {
                    tracing::debug!(
                        job.id = job_id,
                        error = error.chain(),
                        "That a job is settled is not noted"
                    );
                }
                return;
            };
            // Archiving takes time, and the next event must not wait for it.
            let (app, running) = (self.app.clone(), self.running.clone());
            self.app.tasks.spawn(async move {
                if let Err(error) = upkeep::settle(&app, &running, &run).await {
                    tracing::warn!(run.id = %run, error = error.chain(), "An ended run is settled later");
                }
            });
        }
        .boxed()
    }
}
