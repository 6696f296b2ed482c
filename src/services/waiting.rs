//! What this process knows of the installation, and with it why runs wait.
//!
//! A reason is derived when a run is read: a queue of 100,000 runs costs no write, and what is over is gone from all of
//! them at once. One task looks at Redis, the workers and the queue, at a cost that does not grow with the queue. Signs
//! of life are timed by this process's own clock, from when it saw them change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::ids::{RunId, WorkerId};
use crate::domain::run::Run;
use crate::domain::time::now;
use crate::domain::waiting::{self, Installation, Line, Outage, Silence, Workers};
use crate::error::Result;
use crate::jobs::Jobs;
use crate::redis::Redis;
use crate::services::presence::{Presence, Sighting};
use crate::store::workers::WorkerRecord;
use crate::store::{self, Store};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// While Redis is away, whose return is to be noticed soon.
const LOOK_INTERVAL_AWAY: Duration = Duration::from_millis(250);
/// A worker whose sign of life, one every three seconds, is missing for so long is silent.
const SILENT_AFTER: Duration = Duration::from_secs(10);
const WORKERS_MAX: u32 = 1_000;
/// Runs of silent workers that are told so.
const HELD_MAX: u32 = 1_000;

/// What is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waiting {
    known: Arc<watch::Sender<Arc<Installation>>>,
}

impl Waiting {
    /// The returned future looks until `shutdown`; its owner runs it as a task.
    pub fn new(
        store: Store,
        redis: Redis,
        jobs: Jobs,
        presence: Presence,
        host_silence: Duration,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let waiting = Self { known: Arc::default() };
        let observer =
            Observer { store, redis, jobs, host_silence, presence, began: Instant::now(), outage: None };
        let known = waiting.known.clone();
        let looking = async move {
            shutdown.run_until_cancelled(observer.run(&known)).await;
        };
        (waiting, looking)
    }

    /// Told of each look, whether it brought anything or not.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Installation>> {
        self.known.subscribe()
    }

    /// Why the run does not proceed, if it does not: in place of what its row says.
    pub fn reason(&self, run: &Run) -> Option<String> {
        let known = self.known.borrow().clone();
        waiting::reason(run, &known, now())
    }

    /// Has the run say why it does not proceed.
    pub fn explain(&self, run: &mut Run) {
        if let Some(reason) = self.reason(run) {
            run.reason = Some(reason);
        }
    }
}

/// What a run that is about to be claimed says in its log of a long wait.
pub async fn waited(app: &App, run: &Run) -> Option<String> {
    let outage = app.waiting.known.borrow().outage.clone();
    // Asked of most runs, which have not waited.
    waiting::waited(run, outage.as_ref(), &[], now())?;
    let workers = store::workers::list(&app.store, WORKERS_MAX).await.unwrap_or_default();
    let spans: Vec<_> =
        workers.iter().map(|worker| (worker.started_at, worker.seen_at.plus(SILENT_AFTER))).collect();
    waiting::waited(run, outage.as_ref(), &spans, now())
}

struct Observer {
    store: Store,
    redis: Redis,
    jobs: Jobs,
    host_silence: Duration,
    presence: Presence,
    began: Instant,
    outage: Option<Outage>,
}

impl Observer {
    async fn run(mut self, known: &watch::Sender<Arc<Installation>>) {
        loop {
            self.look_at_redis().await;
            let is_away = self.redis.is_away();
            // Without a database there is nothing to explain, and what was known stays.
            match self.look().await {
                Ok(installation) => {
                    known.send_replace(Arc::new(installation));
                }
                Err(error) => tracing::debug!(error = error.chain(), "The workers cannot be looked at"),
            }
            tokio::time::sleep(if is_away { LOOK_INTERVAL_AWAY } else { LOOK_INTERVAL }).await;
        }
    }

    async fn look_at_redis(&mut self) {
        let asked_at = now();
        match (self.redis.probe().await, &mut self.outage) {
            (Ok(()), Some(outage)) if outage.until.is_none() => {
                tracing::info!(since = %outage.since, "Redis serves again");
                outage.until = Some(now());
            }
            (Ok(()), _) => {}
            (Err(trouble), Some(outage)) if outage.until.is_none() && outage.trouble == trouble => {}
            (Err(trouble), _) => {
                tracing::warn!("Runs wait: {trouble}");
                self.outage = Some(Outage { trouble, since: asked_at, until: None });
            }
        }
    }

    async fn look(&mut self) -> Result<Installation> {
        let workers = store::workers::list(&self.store, WORKERS_MAX).await?;
        let sighted = |worker: WorkerRecord| {
            let sighting = self.presence.sight(&worker);
            (worker, sighting)
        };
        let workers: Vec<(WorkerRecord, Sighting)> = workers.into_iter().map(sighted).collect();
        let present = self.present(&workers);
        let line = self.line(&present).await;
        let silent = self.silent(&workers).await?;
        let (outage, host_silence) = (self.outage.clone(), self.host_silence);
        Ok(Installation { outage, workers: present, line, silent, host_silence })
    }

    fn present(&self, workers: &[(WorkerRecord, Sighting)]) -> Workers {
        let is_recent = |sighting: &Sighting| sighting.silence < SILENT_AFTER;
        let there: Vec<&WorkerRecord> = workers
            .iter()
            .filter(|(_, sighting)| sighting.was_seen && is_recent(sighting))
            .map(|(worker, _)| worker)
            .collect();
        if !there.is_empty() {
            let places = there.iter().map(|worker| worker.concurrency.map(u64::from)).sum();
            return Workers::Present { count: there.len() as u64, places };
        }
        // Those that were there at the first look may be alive.
        if workers.iter().any(|(_, sighting)| is_recent(sighting)) {
            return Workers::Unknown;
        }
        let seen = workers.iter().filter(|(_, sighting)| sighting.was_seen);
        let unseen_for = seen.map(|(_, sighting)| sighting.silence).min();
        Workers::Gone { unseen_for: unseen_for.unwrap_or_else(|| self.began.elapsed()) }
    }

    /// What cannot be asked counts as nothing: Redis is away then, and that is the reason.
    async fn line(&self, workers: &Workers) -> Line {
        let counts = self.jobs.counts().await.unwrap_or_default();
        let is_full =
            matches!(workers, Workers::Present { places: Some(places), .. } if *places <= counts.active);
        let next = if is_full { self.jobs.next().await.unwrap_or_default() } else { Vec::new() };
        let next = next.into_iter().zip(0..).collect();
        Line { active: counts.active, waiting: counts.waiting, next }
    }

    async fn silent(&self, workers: &[(WorkerRecord, Sighting)]) -> Result<HashMap<RunId, Silence>> {
        let silences: HashMap<&WorkerId, Silence> = workers
            .iter()
            .filter(|(_, sighting)| SILENT_AFTER <= sighting.silence)
            .map(|(worker, sighting)| {
                (&worker.id, Silence { worker: worker.name.clone(), lasts: sighting.silence })
            })
            .collect();
        if silences.is_empty() {
            return Ok(HashMap::new());
        }
        let held = store::runs::held(&self.store, None, HELD_MAX).await?;
        Ok(held.into_iter().filter_map(|run| Some((run.id, silences.get(&run.worker?)?.clone()))).collect())
    }
}
