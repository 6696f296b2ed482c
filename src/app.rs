//! What every request and job is given: the configuration and the ports.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::domain::ids::RunId;
use crate::domain::secret::Secret;
use crate::domain::time::{Timestamp, now};
use crate::error::{Error, Result};
use crate::executor::fence::Report;
use crate::jobs::Jobs;
use crate::jobs::queues::Queues;
use crate::logs::Logs;
use crate::logs::follow::Followers;
use crate::metrics::{Metrics, Ports};
use crate::oidc::Provider;
use crate::redis::Redis;
use crate::redis::wakeups::Wakeups;
use crate::services::audit::Trail;
use crate::services::limits::Limiter;
use crate::services::presence::Presence;
use crate::services::queues::live::Watching;
use crate::services::secret_keys::{Keys, Surroundings};
use crate::services::standing::Standing;
use crate::services::states::States;
use crate::services::throttle::Attempts;
use crate::services::waiting::Waiting;
use crate::store::Store;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub config: Config,
    pub store: Store,
    pub redis: Redis,
    pub wakeups: Wakeups,
    pub jobs: Jobs,
    pub queues: Queues,
    pub queue_watching: Watching,
    pub logs: Logs,
    pub followers: Followers,
    pub states: States,
    pub presence: Presence,
    pub waiting: Waiting,
    pub metrics: Metrics,
    pub limits: Limiter,
    pub audit: Trail,
    pub standing: Standing,
    pub sign_ins: Attempts,
    /// Of the secrets.
    pub keys: Keys,
    /// None: nobody signs in elsewhere.
    pub oidc: Option<Provider>,
    pub admin_token: Secret<String>,
    pub started_at: Timestamp,
    /// What of the fence around steps works here, once it is known.
    pub fence: OnceLock<Report>,
    /// How many subscriptions are open in this process.
    pub streams_open: Arc<AtomicUsize>,
    /// What runs beside requests and jobs; waited for at the end.
    pub tasks: TaskTracker,
    /// Fires when the process is to stop.
    pub shutdown: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Connects the ports. `redis_url` is the configured one, or the private server's.
    pub async fn connect(
        config: Config,
        redis_url: &Secret<String>,
        admin_token: Secret<String>,
        shutdown: CancellationToken,
    ) -> Result<Self> {
        let tasks = TaskTracker::new();
        let store = Store::connect(&config.database, &config.data_dir).await?;
        let redis = Redis::open(redis_url, &config.redis.prefix, config.redis.call_timeout)?;
        let (wakeups, subscription) = Wakeups::new(redis.clone(), shutdown.clone());
        tasks.spawn(subscription);
        let logs = Logs::new(redis.clone(), object_store(&config)?);
        let followers = Followers::new(logs.clone(), wakeups.clone(), tasks.clone());
        let jobs = Jobs::new(redis.clone(), config.redis.call_timeout);
        let queues = Queues::new(redis.clone(), config.redis.call_timeout);
        let host_silence = config.worker.host_silence;
        let presence = Presence::default();
        let (waiting, looking) = Waiting::new(
            store.clone(),
            redis.clone(),
            jobs.clone(),
            presence.clone(),
            host_silence,
            shutdown.clone(),
        );
        tasks.spawn(looking);
        let states =
            States::new(store.clone(), logs.clone(), wakeups.clone(), waiting.clone(), tasks.clone());
        let metrics = Metrics::new(&Ports {
            database: store.round_trips.clone(),
            redis: redis.round_trips.clone(),
            lines_in: logs.lines_written.clone(),
            lines_out: logs.lines_sent.clone(),
        });
        let proxies = config.http.trusted_proxies.clone();
        let (limits, sharing) = Limiter::new(
            config.limits.clone(),
            proxies,
            redis.clone(),
            metrics.refused.clone(),
            shutdown.clone(),
        );
        tasks.spawn(sharing);
        let oidc = Provider::of(&config)?;
        Ok(Self(Arc::new(Inner {
            started_at: now(),
            keys: keys(&config),
            config,
            store,
            redis,
            wakeups,
            jobs,
            queues,
            queue_watching: Watching::default(),
            logs,
            followers,
            states,
            presence,
            waiting,
            metrics,
            limits,
            audit: Trail::default(),
            standing: Standing::default(),
            sign_ins: Attempts::default(),
            oidc,
            admin_token,
            fence: OnceLock::new(),
            streams_open: Arc::default(),
            tasks,
            shutdown,
        })))
    }

    /// Where a run has its workspace, spools and journal on this host.
    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.config.data_dir.join("runs").join(run.as_str())
    }
}

/// The keys of the secrets, from where the settings say.
pub fn keys(config: &Config) -> Keys {
    let surroundings = Surroundings { path: config.worker.path.clone(), home: config.worker.home.clone() };
    Keys::new(&config.secrets.key, &config.data_dir, surroundings)
}

/// Where archived logs are kept.
pub fn object_store(config: &Config) -> Result<Arc<dyn ObjectStore>> {
    let path = match config.objects.store.as_deref() {
        None => config.data_dir.join("objects"),
        Some(address) => match address.split_once("://") {
            None => PathBuf::from(address),
            Some(("file", path)) => PathBuf::from(path),
            Some(_) => {
                return Err(Error::invalid(
                    "objects.store",
                    "expected a directory, or file:// and a directory",
                ));
            }
        },
    };
    let unusable = |error: std::io::Error| Error::unavailable("object store", error);
    std::fs::create_dir_all(&path).map_err(unusable)?;
    let store =
        LocalFileSystem::new_with_prefix(&path).map_err(|error| Error::unavailable("object store", error))?;
    Ok(Arc::new(store.with_automatic_cleanup(true)))
}
