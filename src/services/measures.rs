//! What is measured only when somebody asks: what the queue, the database and the workers are like now.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::app::App;
use crate::domain::time::now;
use crate::metrics::{Dependency, Pool, PoolName, State};
use crate::services::system;

/// However many ask, the queue and the database are asked once in so long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Measures {
    app: App,
    looked_at: Arc<Mutex<Option<Instant>>>,
}

impl Measures {
    pub fn new(app: App) -> Self {
        Self { app, looked_at: Arc::default() }
    }

    /// Every metric, as Prometheus reads them.
    pub async fn text(&self) -> String {
        // Those who come while somebody looks wait, and are given what was found.
        let mut looked_at = self.looked_at.lock().await;
        if looked_at.is_none_or(|at| LOOK_INTERVAL <= at.elapsed()) {
            Box::pin(self.look()).await;
            *looked_at = Some(Instant::now());
        }
        drop(looked_at);
        self.app.metrics.text()
    }

    async fn look(&self) {
        let (app, metrics) = (&self.app, &self.app.metrics);
        let (health, counts, next) =
            tokio::join!(system::health(app), app.jobs.counts(), app.jobs.next_added_at_ms());
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (dependency, part) in [("database", &health.database), ("redis", &health.redis)] {
            let is_up = part.status == system::HealthStatus::Ok;
            metrics.up.get_or_create(&Dependency { dependency }).set(i64::from(is_up));
        }
        metrics.workers.set(whole(health.queue.workers));
        metrics.streams_open.set(whole(app.streams_open.load(Ordering::Relaxed) as u64));
        // What cannot be asked keeps its last value; `up` says that it is old.
        if let Ok(counts) = counts {
            let states = [
                ("waiting", counts.waiting),
                ("active", counts.active),
                ("delayed", counts.delayed),
                ("failed", counts.failed),
            ];
            for (state, count) in states {
                metrics.jobs.get_or_create(&State { state }).set(whole(count));
            }
        }
        if let Ok(next) = next {
            let now_ms = u64::try_from(now().as_millis()).unwrap_or(0);
            let waited_ms = next.map_or(0, |added_at_ms| now_ms.saturating_sub(added_at_ms));
            metrics.oldest_waiting.set(Duration::from_millis(waited_ms).as_secs_f64());
        }
        for pool in app.store.pools() {
            let (name, idle) = (pool.name, pool.idle as u64);
            let in_use = u64::from(pool.open).saturating_sub(idle);
            for (state, count) in [("idle", idle), ("in_use", in_use)] {
                metrics.connections.get_or_create(&Pool { pool: name, state }).set(whole(count));
            }
            metrics.connections_max.get_or_create(&PoolName { pool: name }).set(i64::from(pool.max));
        }
    }
}
