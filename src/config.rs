//! Every setting: flags over environment over file over defaults. Nobody else reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::limit::Limits;
use crate::domain::retention::Rules;
use crate::domain::secret::Secret;

mod client;
mod environment;
mod executor;
mod layers;
mod load;
mod oidc;
mod secrets;
mod settings;
mod values;

pub use client::{ClientConfig, ClientFlags};
pub use environment::{Environment, Terminal};
pub use executor::{ExecutorConfig, StepUser};
pub use layers::{ConfigError, Origin, Problem};
pub use load::{EffectiveSetting, Flags, Loaded};
pub use oidc::OidcConfig;
pub(crate) use oidc::is_loopback;
pub use secrets::SecretsConfig;
pub use values::size_text;

/// What is in force. Plain data; `config.default.toml` says what each setting means.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub http: HttpConfig,
    pub auth: AuthConfig,
    /// None: nobody signs in elsewhere.
    pub oidc: Option<OidcConfig>,
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub objects: ObjectsConfig,
    pub worker: WorkerConfig,
    pub executor: ExecutorConfig,
    pub secrets: SecretsConfig,
    pub logs: LogsConfig,
    pub retention: RetentionConfig,
    pub audit: AuditConfig,
    pub metrics: MetricsConfig,
    pub limits: Limits,
    pub trace: TraceConfig,
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    /// What browsers see, where a proxy stands before the server; no slash at its end.
    pub public_url: Option<String>,
    /// Certificate chain and key, as PEM; with both, connections are TLS.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// Who may say on whose behalf a request comes.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of other sites whose pages may call with a token; as browsers write them.
    pub cors_origins: Vec<String>,
    pub body_bytes_max: usize,
    pub batch_calls_max: usize,
    /// Calls that are worked on at a time in this process.
    pub calls_max: usize,
    /// Fewer, where the system does not allow so many open files.
    pub connections_max: usize,
    /// From one address that is no trusted proxy's; of IPv6 from one network of 64 bits.
    pub connections_per_client_max: usize,
    /// How long a body may take to arrive, beside the time that its bytes are worth.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// Subscriptions open at a time in this process.
    pub streams_max: usize,
    /// Subscriptions that one response may carry.
    pub live_subscriptions_max: usize,
    /// How long a stream may be silent before it says that it is there.
    pub stream_ping: Duration,
    /// How long a stream lasts before it ends and its client opens another.
    pub stream_duration_max: Duration,
    /// How long requests may take to end when the server stops.
    pub drain: Duration,
}

#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// None: read from `admin-token` in the data directory, made at the first start.
    pub admin_token: Option<Secret<String>>,
    /// How long a browser stays signed in at the longest.
    pub session_lifetime: Duration,
    /// How long it stays signed in without being used.
    pub session_idle: Duration,
}

#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// None: SQLite in the data directory.
    pub url: Option<Secret<String>>,
    pub connections_max: u32,
    pub migrate_at_start: bool,
}

#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// None: a private server on a socket in the data directory.
    pub url: Option<Secret<String>>,
    /// The private server's program; none: looked for beside the binary and on the PATH.
    pub server: Option<PathBuf>,
    /// Before each key, in braces, so that Redis Cluster and Dragonfly keep what belongs together together.
    pub prefix: String,
    /// How long a request waits for Redis.
    pub call_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct ObjectsConfig {
    /// None: `objects` in the data directory. A path, or `file:///…`.
    pub store: Option<String>,
}

/// What happens to running steps when a worker is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShutdown {
    /// They go on under their supervisors, and the next worker of this host takes them back.
    Leave,
    /// The worker waits for them.
    Wait,
    /// They are canceled.
    Cancel,
}

#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Runs side by side.
    pub concurrency: usize,
    /// Steps of one run side by side.
    pub steps_parallel_max: usize,
    pub on_shutdown: OnShutdown,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// For each `when: always` step after a cancel or a timeout.
    pub always_timeout: Duration,
    pub checkout_timeout: Duration,
    /// After which another host takes over what a silent one had.
    pub host_silence: Duration,
    /// A run whose worker has died so many times in a row while it had it is set aside.
    pub losses_max: u32,
    /// How long the workspace of a run that did not succeed is kept.
    pub workspace_keep: Duration,
    /// The PATH that steps see.
    pub path: String,
    /// Names of the server's environment variables that steps see too.
    pub pass_env: Vec<String>,
    /// Where repositories may be fetched from; empty: as `domain::repository` says.
    pub repository_hosts: Vec<String>,
    /// Those of `pass_env` that are set, with their values.
    pub passed_env: Vec<(String, String)>,
    /// HOME of the server.
    pub home: Option<String>,
    /// USER of the server.
    pub user: Option<String>,
    /// LANG of the server.
    pub lang: Option<String>,
    /// TZ of the server.
    pub timezone: Option<String>,
}

#[derive(Debug, Clone)]
pub struct LogsConfig {
    /// Of a run's whole log; what comes after is dropped, and the log says so.
    pub run_bytes_max: u64,
    pub line_bytes_max: usize,
    /// How much text is taken to the object store at a time while a run goes on.
    pub segment_bytes: u64,
    /// How much a step may print ahead of the worker before it is held back.
    pub backlog_bytes_max: u64,
    /// How long the lines of an ended run stay in Redis beside the archive.
    pub stream_keep: Duration,
}

/// What is removed by itself, once it has ended.
#[derive(Debug, Clone)]
pub struct RetentionConfig {
    /// Those of pipelines go before them.
    pub rules: Rules,
    /// The last so many runs of each pipeline are kept with their logs, however old.
    pub runs_min: u32,
}

#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// None: for ever.
    pub keep: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// None: metrics are served at the main listener alone, to viewers.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone)]
pub struct TraceConfig {
    /// As `RUST_LOG` has it: `info`, `slipway=debug,warn`.
    pub filter: String,
    pub json: bool,
}

impl Config {
    /// How settings must stand to one another: what is wrong, a sentence each.
    pub fn check(&self) -> Vec<String> {
        let relations = [
            (
                self.redis.call_timeout <= self.http.drain,
                "redis.call_timeout must not exceed http.drain: a request that waits for Redis must be able to \
                 end while the server stops",
            ),
            (
                self.http.batch_calls_max <= self.http.calls_max,
                "http.batch_calls_max must not exceed http.calls_max: the largest batch could never be served",
            ),
            (
                self.http.tls_cert.is_some() == self.http.tls_key.is_some(),
                "http.tls_cert and http.tls_key belong together: set both, or neither",
            ),
            (
                self.oidc.is_none() || self.http.public_url.is_some(),
                "oidc.issuer needs http.public_url: the provider sends browsers back there",
            ),
            (
                self.logs.line_bytes_max as u64 <= self.logs.segment_bytes,
                "logs.line_bytes_max must not exceed logs.segment_bytes: a segment holds whole lines",
            ),
            (
                self.logs.segment_bytes <= self.logs.backlog_bytes_max,
                "logs.segment_bytes must not exceed logs.backlog_bytes_max: a step that is held back before a \
                 segment is full would wait for ever",
            ),
            (
                self.logs.segment_bytes <= self.logs.run_bytes_max,
                "logs.segment_bytes must not exceed logs.run_bytes_max: no log would ever fill a segment",
            ),
        ];
        relations.into_iter().filter(|(holds, _)| !holds).map(|(_, reason)| reason.to_owned()).collect()
    }
}
