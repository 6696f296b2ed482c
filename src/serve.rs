//! The whole program, put together: the API, the worker, or both in one process.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::domain::secret::Secret;
use crate::error::{Error, Result};
use crate::executor;
use crate::http::listener::Predecessor;
use crate::http::sign_in::SignIn;
use crate::http::tls::Tls;
use crate::http::{Http, listener, measures, server};
use crate::jobs::server::PrivateServer;
use crate::services::tokens;
use crate::store;
use crate::worker::running::Running;
use crate::worker::{self, upkeep};

/// How long a private Redis may take to load what it has.
const REDIS_START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a database may be away when a process starts.
const DATABASE_START_TIMEOUT: Duration = Duration::from_secs(60);
const DATABASE_RETRY_DELAY: Duration = Duration::from_millis(500);
/// What runs beside requests and jobs has so long to end once those have.
const TASKS_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the process that serves also works on runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithWorker {
    Yes,
    No,
}

/// What becomes of a server that listens already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incumbent {
    /// Nothing: where there is one, this process fails.
    Stays,
    /// It hands over its socket, drains and ends.
    IsReplaced,
}

/// Serves the API until TERM or INT, or until another server takes over, then drains.
pub async fn serve(config: Config, with_worker: WithWorker, incumbent: Incumbent) -> Result<()> {
    // Before a process is started, which would inherit it.
    let passed = listener::passed()?;
    let started = start(config).await?;
    let app = &started.app;
    let http_config = &app.config.http;
    let tls = match (&http_config.tls_cert, &http_config.tls_key) {
        (Some(cert), Some(key)) => Some(Tls::load(cert, key)?),
        _ => None,
    };
    let (listener, predecessor) = listen(app, passed, incumbent).await?;
    let sign_in = SignIn::default();
    let http = Http::new(app.clone(), sign_in.clone())?;
    if let Some(tls) = &tls {
        app.tasks.spawn(tls.clone().stay_current(app.shutdown.clone()));
    }
    let running = Running::default();
    spawn_upkeep(app, &running);
    let work = async {
        match with_worker {
            WithWorker::Yes => worker::run(app.clone(), name(), running, app.shutdown.clone()).await,
            WithWorker::No => Ok(()),
        }
    };
    print_welcome(&started, &listener, &sign_in, with_worker)?;
    if let Some(predecessor) = predecessor {
        predecessor.dismiss();
    }
    let serving = async {
        let shutdown = app.shutdown.clone();
        server::serve(listener, http.router(), tls, &app.config.http, started.files_max, shutdown).await;
        http.drained().await;
        Ok(())
    };
    let outcome = tokio::try_join!(serving, stop_if_failed(app, work)).map(|_| ());
    started.stop().await;
    outcome
}

/// The socket to serve at, and the server that had it. A socket of a service manager's stays with that; any other is
/// offered to a successor.
async fn listen(
    app: &App,
    passed: Option<TcpListener>,
    incumbent: Incumbent,
) -> Result<(TcpListener, Option<Predecessor>)> {
    if let Some(listener) = passed {
        return Ok((listener, None));
    }
    let (data_dir, address) = (&app.config.data_dir, app.config.http.listen);
    let taken_over = match incumbent {
        Incumbent::IsReplaced => listener::take_over(data_dir, address).await?,
        Incumbent::Stays => None,
    };
    let (listener, predecessor) = match taken_over {
        Some((listener, predecessor)) => (listener, Some(predecessor)),
        None => (listener::bind(address).await?, None),
    };
    let copy = listener.as_fd().try_clone_to_owned();
    let copy = copy.map_err(|error| Error::internal("copying the socket that is listened on", error))?;
    app.tasks.spawn(listener::offer(copy, data_dir.clone(), address, app.shutdown.clone()));
    Ok((listener, predecessor))
}

/// Works on runs until TERM or INT.
pub async fn worker(config: Config) -> Result<()> {
    let started = start(config).await?;
    let app = &started.app;
    let running = Running::default();
    spawn_upkeep(app, &running);
    tracing::info!(data_dir = %app.config.data_dir.display(), concurrency = app.config.worker.concurrency, "Working on runs");
    let outcome = worker::run(app.clone(), name(), running, app.shutdown.clone()).await;
    started.stop().await;
    outcome
}

/// What every process does beside its work, whatever that is.
fn spawn_upkeep(app: &App, running: &Running) {
    app.tasks.spawn(upkeep::reconcile(app.clone(), app.shutdown.clone()));
    app.tasks.spawn(upkeep::note_history(app.clone(), app.shutdown.clone()));
    app.tasks.spawn(upkeep::settle_left(app.clone(), running.clone(), app.shutdown.clone()));
}

/// A process whose parts are connected.
struct Started {
    app: App,
    files_max: usize,
    redis: Option<PrivateServer>,
}

/// It holds secrets, and what opens them. What this process starts inherits that there are no core dumps, and nothing else
/// of it.
fn protect_memory() {
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    let protected =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = protected {
        tracing::warn!(%error, "This process's memory could not be protected");
    }
}

async fn start(mut config: Config) -> Result<Started> {
    executor::become_subreaper();
    if config.secrets.protect_memory {
        protect_memory();
    }
    let files_max = executor::raise_files_max();
    config.data_dir = make_data_dir(&config.data_dir)?;
    let admin_token = match &config.auth.admin_token {
        Some(token) => token.clone(),
        None => stored_admin_token(&config.data_dir.join("admin-token"))?,
    };
    let shutdown = CancellationToken::new();
    stop_on_signals(shutdown.clone())?;
    let (redis, redis_url) = find_redis(&config).await?;
    let app = connect(config, &redis_url, admin_token, shutdown).await?;
    // Redis may be away, and some do not tell; a policy that is known to lose jobs is said aloud.
    if let Ok(Some(policy)) = app.redis.eviction_policy().await
        && policy != "noeviction"
    {
        tracing::warn!(
            policy,
            "Redis may throw jobs away when its memory is full: set its maxmemory-policy to noeviction"
        );
    }
    if let Some(address) = app.config.metrics.listen {
        app.tasks.spawn(measures::listen(app.clone(), address, files_max));
    }
    Ok(Started { app, files_max, redis })
}

/// The Redis that is configured, or a private one that answers. A private one ends with its handle, unless another
/// process has it.
pub(crate) async fn find_redis(config: &Config) -> Result<(Option<PrivateServer>, Secret<String>)> {
    if let Some(url) = &config.redis.url {
        return Ok((None, url.clone()));
    }
    let server = PrivateServer::start(&config.data_dir, config.redis.server.as_deref(), &config.worker.path)?;
    server.wait_ready(REDIS_START_TIMEOUT).await?;
    let url = Secret::new(server.url().to_owned());
    Ok((Some(server), url))
}

/// Connects the parts. A database that is away is waited for, since machines start in any order.
async fn connect(
    config: Config,
    redis_url: &Secret<String>,
    admin_token: Secret<String>,
    shutdown: CancellationToken,
) -> Result<App> {
    let give_up_at = tokio::time::Instant::now() + DATABASE_START_TIMEOUT;
    let mut is_waiting = false;
    loop {
        let connected = App::connect(config.clone(), redis_url, admin_token.clone(), shutdown.clone()).await;
        let error = match connected {
            Err(error @ Error::Unavailable { dependency, .. })
                if dependency == store::DEPENDENCY && tokio::time::Instant::now() < give_up_at =>
            {
                error
            }
            outcome => return outcome,
        };
        if !is_waiting {
            is_waiting = true;
            let seconds = DATABASE_START_TIMEOUT.as_secs();
            tracing::warn!(
                error = error.chain(),
                "The database is away, the start waits for it for up to {seconds} s"
            );
        }
        tokio::select! {
            () = shutdown.cancelled() => return Err(error),
            () = tokio::time::sleep(DATABASE_RETRY_DELAY) => {}
        }
    }
}

impl Started {
    async fn stop(self) {
        self.app.shutdown.cancel();
        self.app.tasks.close();
        if tokio::time::timeout(TASKS_TIMEOUT, self.app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.app.tasks.len(), "Some tasks did not end in time");
        }
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
    }
}

/// The data directory, made if it is not there, without links in its path.
fn make_data_dir(path: &Path) -> Result<PathBuf> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| path.canonicalize())
        .map_err(|error| Error::invalid("data_dir", format!("{} cannot be used: {error}", path.display())))
}

/// A worker that cannot work takes the whole process down, rather than leaving runs waiting unseen.
async fn stop_if_failed(app: &App, work: impl Future<Output = Result<()>>) -> Result<()> {
    let outcome = work.await;
    if outcome.is_err() {
        app.shutdown.cancel();
    }
    outcome
}

fn stop_on_signals(shutdown: CancellationToken) -> Result<()> {
    let deaf = |error: io::Error| Error::internal("listening for signals", error);
    let mut term = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut int = signal(SignalKind::interrupt()).map_err(deaf)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("Stopping");
        shutdown.cancel();
    });
    Ok(())
}

/// What people call this worker: its machine and process.
fn name() -> String {
    let host = rustix::system::uname();
    format!("{}:{}", host.nodename().to_string_lossy(), std::process::id())
}

/// The token that was made at the first start, or a new one.
fn stored_admin_token(path: &Path) -> Result<Secret<String>> {
    let unusable = |error: io::Error| Error::Invalid {
        field: "auth.admin_token".to_owned(),
        reason: format!("{} cannot be used: {error}", path.display()),
    };
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim().to_owned())),
        Ok(_) => fs::remove_file(path).map_err(unusable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
    }
    let token = format!("slw_{}", tokens::random_value()?);
    // Whole before it has its name, so that two processes that start at once agree.
    let draft = path.with_extension(std::process::id().to_string());
    let written = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| writeln!(file, "{token}"));
    written.map_err(unusable)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(unusable)?;
    match linked {
        Ok(()) => Ok(Secret::new(token)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(path).map_err(unusable)?;
            Ok(Secret::new(text.trim().to_owned()))
        }
        Err(error) => Err(unusable(error)),
    }
}

/// A few lines for whoever started the server.
fn print_welcome(
    started: &Started,
    listener: &TcpListener,
    sign_in: &SignIn,
    with_worker: WithWorker,
) -> Result<()> {
    let config = &started.app.config;
    let unknown = |error: io::Error| Error::internal("reading the address that is listened on", error);
    let address = listener.local_addr().map_err(unknown)?;
    let scheme = if config.http.tls_cert.is_some() { "https" } else { "http" };
    let url = config.http.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    let url = url.trim_end_matches('/');
    let database = match (&config.database.url, started.app.store.engine()) {
        (None, _) => "SQLite in the data directory",
        (Some(_), crate::store::Engine::Sqlite) => "SQLite",
        (Some(_), crate::store::Engine::Postgres) => "PostgreSQL",
    };
    let redis = if config.redis.url.is_some() { "as configured" } else { "a private server on a socket" };
    let worker = match with_worker {
        WithWorker::Yes => format!("in this process, {} runs side by side", config.worker.concurrency),
        WithWorker::No => "none in this process (slipway worker)".to_owned(),
    };
    let token = match &config.auth.admin_token {
        Some(_) => "as configured".to_owned(),
        None => config.data_dir.join("admin-token").display().to_string(),
    };
    let text = format!(
        "Slipway {} is listening on {url}\n\
         \n\
         \x20 sign in    {url}/sign-in/{}   (once, within the hour)\n\
         \x20 token      {token}\n\
         \x20 data       {}\n\
         \x20 database   {database}\n\
         \x20 redis      {redis}\n\
         \x20 worker     {worker}\n\n",
        env!("CARGO_PKG_VERSION"),
        sign_in.issue()?,
        config.data_dir.display(),
    );
    let mut out = io::stdout().lock();
    // Whoever started the server may have closed its output; it serves all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(())
}
