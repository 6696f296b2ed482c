//! The installation itself: its database, Redis, archive and workers, and the runs that are stuck in it.
//!
//! Nothing here makes or changes anything, but for probes that it takes away again, and for [`repair`].

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cli::doctor::{ANSWER_TIMEOUT, Check, host, secrets};
use crate::config::Config;
use crate::domain::secret::Secret;
use crate::domain::time::now;
use crate::domain::waiting::Trouble;
use crate::error::{Error, Result};
use crate::jobs::server::{self, PrivateServer};
use crate::redis::Redis;
use crate::store::workers::WorkerRecord;
use crate::store::{self, Store};
use crate::worker::faults::{self, Fault};
use crate::worker::host::Roster;

/// How long looking at all runs, or mending them, may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);
const REPAIR_TIMEOUT: Duration = Duration::from_secs(600);
const TASKS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a private Redis may take to load what it has.
const REDIS_START_TIMEOUT: Duration = Duration::from_secs(30);
/// Times in logs are of the machine that ran the step; more than this confuses.
const CLOCK_DIFFERENCE_WARN: Duration = Duration::from_secs(2);
const WORKERS_MAX: u32 = 1_000;
/// How many of many are named.
const NAMED_MAX: usize = 5;

pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let database = database(config).await;
    // What cannot be used by a server is not opened by its doctor either.
    let is_usable = matches!(database, Database::Usable(_));
    // A private Redis that was never started has nothing to be looked at.
    let is_begun = config.redis.url.is_some() || config.data_dir.join("redis").is_dir();
    let (Database::Usable(check) | Database::Unusable(check)) = database;
    let mut checks = vec![check];
    let opened = match is_usable && is_begun {
        true => Opened::open(config, None).await.map(Some),
        false => Ok(None),
    };
    let opened = opened.unwrap_or_else(|reason| {
        let advice = "No server can start like this: mend what it names";
        checks.push(Check::fail("start", reason, advice));
        None
    });
    match (opened, &config.redis.url) {
        (Some(opened), _) => {
            checks.extend(of_app(&opened.app).await);
            opened.close().await;
        }
        (None, None) => checks.push(redis_program(config)),
        (None, Some(url)) => {
            checks.push(match Redis::open(url, &config.redis.prefix, config.redis.call_timeout) {
                Ok(client) => redis(&client.probe().await),
                Err(error) => Check::fail("redis", error.chain(), "Is REDIS_URL right?"),
            })
        }
    }
    checks
}

/// Mends what is wrong with runs and jobs, and says what was done. A private Redis is started for that where it does
/// not run.
pub(super) async fn repair(config: &Config) -> Vec<String> {
    if !matches!(database(config).await, Database::Usable(_)) {
        return Vec::new();
    }
    let private = match config.redis.url {
        Some(_) => None,
        None => match start_private(config).await {
            Ok(private) => Some(private),
            Err(error) => return vec![format!("nothing about runs: {}", error.chain())],
        },
    };
    let opened = match Opened::open(config, private).await {
        Ok(opened) => opened,
        Err(reason) => return vec![format!("nothing about runs: {reason}")],
    };
    let repairs = tokio::time::timeout(REPAIR_TIMEOUT, mend_all(&opened.app)).await;
    opened.close().await;
    repairs.unwrap_or_else(|_| vec!["not all: it takes too long, so repeat it".to_owned()])
}

async fn mend_all(app: &App) -> Vec<String> {
    let found = match faults::find(app).await {
        Ok(found) => found,
        Err(error) => return vec![format!("nothing about runs: {}", error.chain())],
    };
    let mut said = Vec::new();
    for fault in &found {
        said.push(match faults::mend(app, fault).await {
            Ok(()) => done(fault),
            Err(error) => format!("{} was left: {}", named(fault), error.chain()),
        });
    }
    said
}

async fn start_private(config: &Config) -> Result<PrivateServer> {
    let server = PrivateServer::start(&config.data_dir, config.redis.server.as_deref(), &config.worker.path)?;
    server.wait_ready(REDIS_START_TIMEOUT).await?;
    Ok(server)
}

/// The program's parts, as a server has them, without its work.
struct Opened {
    app: App,
    private: Option<PrivateServer>,
}

impl Opened {
    async fn open(config: &Config, private: Option<PrivateServer>) -> Result<Self, String> {
        let mut config = config.clone();
        config.data_dir = config.data_dir.canonicalize().map_err(|error| error.to_string())?;
        let url = match &config.redis.url {
            Some(url) => url.clone(),
            None => Secret::new(server::address(&config.data_dir).map_err(|error| error.chain())?),
        };
        // Nobody signs in here.
        let token = Secret::new(String::new());
        let app = App::connect(config, &url, token, CancellationToken::new()).await;
        Ok(Self { app: app.map_err(|error| error.chain())?, private })
    }

    async fn close(self) {
        self.app.shutdown.cancel();
        self.app.tasks.close();
        // What does not end now ends with this process.
        let _ = tokio::time::timeout(TASKS_TIMEOUT, self.app.tasks.wait()).await;
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

async fn of_app(app: &App) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_there = match app.redis.probe().await {
        Err(Trouble::Unreachable) if app.config.redis.url.is_none() => {
            checks.push(redis_program(&app.config));
            false
        }
        outcome => {
            checks.push(redis(&outcome));
            outcome != Err(Trouble::Unreachable)
        }
    };
    if is_there {
        checks.push(eviction(app).await);
        checks.push(persistence(app).await);
    }
    checks.push(archive(app).await);
    checks.extend(database_clock(app).await);
    checks.push(workers(app).await);
    checks.push(secrets::check(app).await);
    match tokio::time::timeout(LOOK_TIMEOUT, faults::find(app)).await {
        Ok(Ok(found)) => checks.extend(KINDS.iter().filter_map(|kind| kind.check(&found, is_there))),
        Ok(Err(error)) => checks.push(Check::fail("runs", error.chain(), "See what is said of the database")),
        Err(_) => checks.push(Check::warn("runs", "looking at them takes too long", "Try again later")),
    }
    checks
}

fn redis(outcome: &Result<(), Trouble>) -> Check {
    const NAME: &str = "redis";
    let advice = match outcome {
        Ok(()) => return Check::ok(NAME, "takes writes"),
        Err(Trouble::Unreachable) => {
            "Is REDIS_URL right, and does the server run? Without REDIS_URL, a private one is started"
        }
        Err(Trouble::NoWrites(why)) => match why.as_str() {
            "out of memory" => "Raise its maxmemory, or find out what fills it: `redis-cli --bigkeys`",
            "read-only" => "Name the primary in REDIS_URL: this is a replica",
            _ => "See the log of the Redis server",
        },
    };
    let Err(trouble) = outcome else { return Check::ok(NAME, "takes writes") };
    Check::fail(NAME, trouble.to_string(), advice)
}

async fn eviction(app: &App) -> Check {
    const NAME: &str = "redis eviction";
    match app.redis.eviction_policy().await {
        Ok(Some(policy)) if policy != "noeviction" => {
            let message = format!("it throws jobs away when its memory is full (maxmemory-policy {policy})");
            let advice = "`redis-cli CONFIG SET maxmemory-policy noeviction`, and in its configuration file";
            Check::fail(NAME, message, advice)
        }
        Ok(Some(_)) => Check::ok(NAME, "it keeps what it has (noeviction)"),
        Ok(None) | Err(_) => Check::ok(NAME, "it does not tell"),
    }
}

async fn persistence(app: &App) -> Check {
    const NAME: &str = "redis persistence";
    match app.redis.is_persistent().await {
        Ok(Some(true)) => Check::ok(NAME, "append-only"),
        Ok(Some(false)) => Check::warn(
            NAME,
            "it forgets its latest writes when it is restarted: lines that were on their way come later",
            "Set `appendonly yes` in its configuration file",
        ),
        Ok(None) | Err(_) => Check::ok(NAME, "it does not tell"),
    }
}

async fn archive(app: &App) -> Check {
    const NAME: &str = "object store";
    const ADVICE: &str =
        "Finished logs go there: see SLIPWAY_OBJECT_STORE, its free space and its permissions";
    match tokio::time::timeout(ANSWER_TIMEOUT, app.logs.probe_archive()).await {
        Ok(Ok(())) => Check::ok(NAME, "takes and gives"),
        Ok(Err(error)) => Check::fail(NAME, error.chain(), ADVICE),
        Err(_) => Check::fail(NAME, "does not answer in time", ADVICE),
    }
}

async fn database_clock(app: &App) -> Option<Check> {
    const NAME: &str = "database clock";
    let asked_at = now();
    let theirs = app.store.clock().await.ok()??;
    // It was read between the two.
    let difference = asked_at.since(theirs).max(theirs.since(now()));
    let message = format!("{} ms apart from this machine's", difference.as_millis());
    Some(match CLOCK_DIFFERENCE_WARN < difference {
        true => Check::warn(NAME, message, "Let both be kept by NTP"),
        false => Check::ok(NAME, message),
    })
}

async fn workers(app: &App) -> Check {
    const NAME: &str = "workers";
    let roster = Roster::of(&app.config.data_dir);
    let all = match store::workers::list(&app.store, WORKERS_MAX).await {
        Ok(all) => all,
        Err(error) => return Check::fail(NAME, error.chain(), "See what is said of the database"),
    };
    let is_there = |worker: &&WorkerRecord| match roster.host.as_ref() == Some(&worker.host) {
        true => !roster.is_dead(&worker.id),
        false => now().since(worker.seen_at) < app.config.worker.host_silence,
    };
    let there: Vec<&WorkerRecord> = all.iter().filter(is_there).collect();
    if there.is_empty() {
        let advice = "Start one: `slipway worker`, or `slipway serve` without --no-worker";
        return Check::warn(NAME, "none is there, so runs wait", advice);
    }
    let version = env!("CARGO_PKG_VERSION");
    let tell = |worker: &&WorkerRecord| {
        let version = worker.version.as_deref().unwrap_or("of an older version");
        format!("{} ({version}) on host {}", worker.name, worker.host)
    };
    let message = list(there.len(), there.iter().map(tell));
    match there.iter().all(|worker| worker.version.as_deref() == Some(version)) {
        true => Check::ok(NAME, message),
        false => {
            Check::warn(NAME, message, format!("Have all of them run version {version}, as this program"))
        }
    }
}

/// A kind of fault, as it is told.
struct Kind {
    name: &'static str,
    includes: fn(&Fault) -> bool,
    make: fn(&'static str, String, String) -> Check,
    is_in_redis: bool,
    well: &'static str,
    ill: &'static str,
    repair: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "queued runs",
        includes: |fault| matches!(fault, Fault::NoJob(_)),
        make: Check::fail,
        is_in_redis: true,
        well: "each has its job",
        ill: "have no job, so that no worker takes them",
        repair: "adds the jobs; a server that runs does so by itself",
    },
    Kind {
        name: "running runs",
        includes: |fault| matches!(fault, Fault::NoWorker(_)),
        make: Check::fail,
        is_in_redis: true,
        well: "each has its worker",
        ill: "have a worker that is gone",
        repair: "hands their jobs back to the queue; a worker that runs does so by itself",
    },
    Kind {
        name: "ended runs",
        includes: |fault| matches!(fault, Fault::Unsettled(_)),
        make: Check::warn,
        is_in_redis: false,
        well: "all are archived and settled",
        ill: "are not archived or not settled",
        repair: "archives and settles them, if the object store and Redis are right",
    },
    Kind {
        name: "jobs",
        includes: |fault| matches!(fault, Fault::NoRun(_)),
        make: Check::warn,
        is_in_redis: true,
        well: "each has its run",
        ill: "have no run: they are of another database",
        repair: "removes them",
    },
    Kind {
        name: "supervisors",
        includes: |fault| matches!(fault, Fault::Supervisor(_)),
        make: Check::fail,
        is_in_redis: false,
        well: "each has a run of this host",
        ill: "on this host work for runs that are over, unknown or another host's",
        repair: "ends them with all that they started",
    },
    Kind {
        name: "directories",
        includes: |fault| matches!(fault, Fault::Directory(_)),
        make: Check::warn,
        is_in_redis: false,
        well: "each is of a run that needs it",
        ill: "of runs are needed by nobody",
        repair: "removes them; a worker of this host does so by itself",
    },
    Kind {
        name: "worker rows",
        includes: |fault| matches!(fault, Fault::WorkerRow(_)),
        make: Check::warn,
        is_in_redis: false,
        well: "each is of a worker that was there within the hour",
        ill: "are of workers that are gone",
        repair: "removes them; after a day they go by themselves",
    },
];

impl Kind {
    /// None: nothing can be said, since that is in a Redis that is away.
    fn check(&self, found: &[Fault], is_redis_there: bool) -> Option<Check> {
        if self.is_in_redis && !is_redis_there {
            return None;
        }
        let mine: Vec<&Fault> = found.iter().filter(|fault| (self.includes)(fault)).collect();
        if mine.is_empty() {
            return Some(Check::ok(self.name, self.well));
        }
        let message =
            format!("{} {}: {}", mine.len(), self.ill, list(mine.len(), mine.iter().map(|fault| id(fault))));
        Some((self.make)(self.name, message, format!("`slipway doctor --repair` {}", self.repair)))
    }
}

/// The first few of them.
fn list(count: usize, items: impl Iterator<Item = String>) -> String {
    let named: Vec<String> = items.take(NAMED_MAX).collect();
    let more = count.saturating_sub(named.len());
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn id(fault: &Fault) -> String {
    match fault {
        Fault::NoJob(run) | Fault::NoWorker(run) | Fault::Unsettled(run) | Fault::NoRun(run) => {
            run.to_string()
        }
        Fault::Directory(run) => run.to_string(),
        Fault::Supervisor(dir) => dir.display().to_string(),
        Fault::WorkerRow(worker) => worker.to_string(),
    }
}

fn named(fault: &Fault) -> String {
    let what = match fault {
        Fault::NoJob(_) | Fault::NoWorker(_) | Fault::Unsettled(_) => "run",
        Fault::NoRun(_) => "job",
        Fault::Directory(_) => "the directory of run",
        Fault::Supervisor(_) => "the supervisor in",
        Fault::WorkerRow(_) => "the row of worker",
    };
    format!("{what} {}", id(fault))
}

fn done(fault: &Fault) -> String {
    let done = match fault {
        Fault::NoJob(_) => "has its job again",
        Fault::NoWorker(_) => "was handed back to the queue",
        Fault::Unsettled(_) => "is archived and settled",
        Fault::NoRun(_) | Fault::Directory(_) | Fault::WorkerRow(_) => "was removed",
        Fault::Supervisor(_) => "was ended",
    };
    format!("{} {done}", named(fault))
}

/// Beside the binary and on the PATH, as the server looks for it.
fn redis_program(config: &Config) -> Check {
    const NAME: &str = "redis";
    let advice =
        "Install valkey or redis, name its program in SLIPWAY_REDIS_SERVER, or a server in REDIS_URL";
    if let Some(path) = &config.redis.server {
        return match path.is_file() {
            true => Check::ok(NAME, format!("a private server is started from {}", path.display())),
            false => Check::fail(NAME, format!("{} does not exist", path.display()), advice),
        };
    }
    let binary = std::env::current_exe().ok();
    let beside = binary.as_deref().and_then(Path::parent).map(|dir| dir.display().to_string());
    let path = format!("{}:{}", beside.unwrap_or_default(), config.worker.path);
    match ["redis-server", "valkey-server"].iter().find_map(|name| host::find_program(name, &path)) {
        Some(path) => Check::ok(NAME, format!("a private server is started from {}", path.display())),
        None => Check::fail(NAME, "no redis-server and no valkey-server found", advice),
    }
}

/// Whether it can be used as it is.
enum Database {
    Usable(Check),
    Unusable(Check),
}

async fn database(config: &Config) -> Database {
    const NAME: &str = "database";
    const ADVICE: &str = "Is DATABASE_URL right, and does the server run?";
    if host::data_dir(&config.data_dir).is_failure() {
        let advice = "Mend the data directory first, or run as its owner";
        return Database::Unusable(Check::warn(NAME, "not looked at", advice));
    }
    match Store::is_made(&config.database, &config.data_dir) {
        Ok(true) => {}
        Ok(false) => return Database::Unusable(Check::ok(NAME, "SQLite, made at the first start")),
        Err(error) => return Database::Unusable(Check::fail(NAME, error.chain(), ADVICE)),
    }
    let looked = tokio::time::timeout(ANSWER_TIMEOUT, async {
        let store = Store::open(&config.database, &config.data_dir).await?;
        let migrations = async {
            store.ping().await?;
            store.migrations().await
        };
        let migrations = migrations.await;
        store.close().await;
        migrations
    });
    let migrations = match looked.await {
        Ok(Ok(migrations)) => migrations,
        Ok(Err(Error::Conflict(reason))) => {
            let advice = "An older program must not write to it: start the newer one";
            return Database::Unusable(Check::fail(NAME, reason, advice));
        }
        Ok(Err(error)) => return Database::Unusable(Check::fail(NAME, error.chain(), ADVICE)),
        Err(_) => return Database::Unusable(Check::fail(NAME, "does not answer in time", ADVICE)),
    };
    match migrations.iter().filter(|migration| !migration.applied).count() {
        0 => Database::Usable(Check::ok(NAME, "answers, and is up to date")),
        _ if config.database.migrate_at_start => {
            Database::Unusable(Check::ok(NAME, "answers; it is brought up to date at the next start"))
        }
        missing => {
            let message = format!("answers, but {missing} migrations are missing");
            Database::Unusable(Check::fail(NAME, message, "Run `slipway migrate up`"))
        }
    }
}
