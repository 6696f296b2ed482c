//! From the sources to a `Config`.

use std::path::{Path, PathBuf};

use crate::config::client::{ClientConfig, ClientFlags};
use crate::config::environment::Environment;
use crate::config::layers::{ConfigError, Layers, Origin, Raw};
use crate::config::settings::{SETTINGS, Shown};
use crate::config::{
    AuditConfig, AuthConfig, Config, DatabaseConfig, HttpConfig, LogsConfig, MetricsConfig, ObjectsConfig,
    RedisConfig, RetentionConfig, TraceConfig, WorkerConfig, secrets, values,
};
use crate::config::{executor, oidc};
use crate::domain::limit::{Limits, Rule};
use crate::domain::retention::{KEEP_RUNS_MAX, Rules};

const DEFAULTS: &str = include_str!("../config.default.toml");
/// In the data directory.
const FILE_NAME: &str = "slipway.toml";
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What steps see as PATH if the server itself has none.
const FALLBACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What flags say of the settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: the file to read; none: `slipway.toml` in the data directory, if there is one.
    pub file: Option<PathBuf>,
    /// `--set`: `key=value`, in their order.
    pub assignments: Vec<String>,
    /// Settings that have a flag of their own: key, flag, value.
    pub values: Vec<(&'static str, &'static str, String)>,
}

/// A setting as it is in force, for people to read: secrets are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    pub key: &'static str,
    pub variable: &'static str,
    /// None: it is not set, and has no default.
    pub value: Option<String>,
    pub origin: Origin,
}

/// The settings in force, and where they come from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub settings: Vec<EffectiveSetting>,
    environment: Environment,
}

impl Loaded {
    /// Flags over environment over file over defaults.
    ///
    /// # Errors
    ///
    /// All that is wrong, each with its place.
    pub fn new(flags: &Flags, environment: Environment) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(DEFAULTS);
        // Where the file is depends on settings that outweigh it, so those are looked at first.
        let mut above = Layers::new(DEFAULTS);
        lay_above_file(&mut above, flags, &environment);
        let data_dir = above.required("data_dir", values::path);

        let file = add_file(&mut layers, flags, &environment, &data_dir);
        lay_above_file(&mut layers, flags, &environment);
        if layers.get("worker.path").is_none() {
            let path = environment.get("PATH").unwrap_or(FALLBACK_PATH).to_owned();
            layers.set("worker.path", Raw::Text(path), Origin::Variable("PATH".to_owned()));
        }

        let mut config = read(&mut layers, &environment);
        config.executor.hidden.push(std::path::absolute(&file).unwrap_or(file));
        if layers.problems.is_empty() {
            for reason in config.check() {
                layers.problem(None, reason);
            }
        }
        if !layers.problems.is_empty() {
            return Err(ConfigError(layers.problems));
        }
        let settings = effective(&layers, &config);
        Ok(Self { config, settings, environment })
    }

    /// Where the system wants temporary files to be.
    pub fn temporary_dir(&self) -> PathBuf {
        PathBuf::from(self.environment.get("TMPDIR").unwrap_or("/tmp"))
    }

    /// # Errors
    ///
    /// The address or the token file is none.
    pub fn client(&self, flags: &ClientFlags) -> Result<ClientConfig, ConfigError> {
        ClientConfig::load(flags, &self.environment, &self.config)
    }
}

fn lay_above_file(layers: &mut Layers, flags: &Flags, environment: &Environment) {
    layers.add_environment(environment);
    for assignment in &flags.assignments {
        layers.add_assignment(assignment);
    }
    for (key, flag, value) in &flags.values {
        layers.set(key, Raw::Text(value.clone()), Origin::Flag((*flag).to_owned()));
    }
}

/// Gives where the file is, or would be.
fn add_file(layers: &mut Layers, flags: &Flags, environment: &Environment, data_dir: &Path) -> PathBuf {
    let (path, named_by) = match (&flags.file, environment.get("SLIPWAY_CONFIG")) {
        (Some(path), _) => (path.clone(), Some(Origin::Flag("--config".to_owned()))),
        (None, Some(path)) => (PathBuf::from(path), Some(Origin::Variable("SLIPWAY_CONFIG".to_owned()))),
        (None, None) => (data_dir.join(FILE_NAME), None),
    };
    match read_file(&path) {
        Ok(text) => layers.add_file(&path, &text),
        Err(error) if is_missing(&error) && named_by.is_none() => return path,
        Err(error) => {
            let origin = named_by.clone().unwrap_or(Origin::File { path: path.clone(), line: 1 });
            layers.problem(Some(origin), format!("cannot read {}: {error}", path.display()));
        }
    }
    let moves = layers.get("data_dir").map(|value| value.origin.clone());
    if let (None, Some(origin @ Origin::File { .. })) = (named_by, moves) {
        layers.problem(Some(origin), "data_dir: a file in the data directory cannot say where that is");
    }
    path
}

/// Also where the data directory is none, which is not for the settings to report.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn read_file(path: &Path) -> std::io::Result<String> {
    if FILE_BYTES_MAX < std::fs::metadata(path)?.len() {
        return Err(std::io::Error::other(format!(
            "it is larger than {}",
            values::size_text(FILE_BYTES_MAX)
        )));
    }
    std::fs::read_to_string(path)
}

/// The bounds that stand here keep out slips of the hand; they are not recommendations.
fn read(layers: &mut Layers, environment: &Environment) -> Config {
    let bytes = |min: u64, max: u64| move |text: &str| values::size(text, min, max);
    let memory =
        |min: u64, max: u64| move |text: &str| values::size(text, min, max).map(|size| size as usize);
    let count = |min: usize, max: usize| move |text: &str| values::number(text, min, max);
    Config {
        data_dir: layers.required("data_dir", values::path),
        http: HttpConfig {
            listen: layers.required("http.listen", values::address),
            public_url: layers.optional("http.public_url", values::public_url),
            tls_cert: layers.optional("http.tls_cert", values::path),
            tls_key: layers.optional("http.tls_key", values::path),
            trusted_proxies: layers.list("http.trusted_proxies", values::networks),
            cors_origins: layers.list("http.cors_origins", values::origins),
            body_bytes_max: layers.required("http.body_bytes_max", memory(1 << 10, 64 << 20)),
            batch_calls_max: layers.required("http.batch_calls_max", count(1, 1_000)),
            calls_max: layers.required("http.calls_max", count(1, 100_000)),
            connections_max: layers.required("http.connections_max", count(16, 1_000_000)),
            connections_per_client_max: layers
                .required("http.connections_per_client_max", count(1, 1_000_000)),
            body_timeout: layers.required("http.body_timeout", values::some_time),
            write_timeout: layers.required("http.write_timeout", values::some_time),
            streams_max: layers.required("http.streams_max", count(1, 1_000_000)),
            live_subscriptions_max: layers.required("http.live_subscriptions_max", count(1, 1_000)),
            stream_ping: layers.required("http.stream_ping", values::stream_ping),
            stream_duration_max: layers.required("http.stream_duration_max", values::some_time),
            drain: layers.required("http.drain", values::duration),
        },
        auth: AuthConfig {
            admin_token: layers.optional("auth.admin_token", values::admin_token),
            session_lifetime: layers.required("auth.session_lifetime", values::some_time),
            session_idle: layers.required("auth.session_idle", values::some_time),
        },
        oidc: oidc::read(layers),
        database: DatabaseConfig {
            url: layers.optional("database.url", values::database_url),
            connections_max: layers
                .required("database.connections_max", |text| values::number(text, 1_u32, 1_000)),
            migrate_at_start: layers.required("database.migrate_at_start", values::switch),
        },
        redis: RedisConfig {
            url: layers.optional("redis.url", values::redis_url),
            server: layers.optional("redis.server", values::path),
            prefix: layers.required("redis.prefix", values::redis_prefix),
            call_timeout: layers.required("redis.call_timeout", values::some_time),
        },
        objects: ObjectsConfig { store: layers.optional("objects.store", values::object_store) },
        worker: read_worker(layers, environment),
        executor: executor::read(layers),
        secrets: secrets::read(layers),
        logs: LogsConfig {
            run_bytes_max: layers.required("logs.run_bytes_max", bytes(64 << 10, 1 << 40)),
            line_bytes_max: layers.required("logs.line_bytes_max", memory(256, 64 << 10)),
            segment_bytes: layers.required("logs.segment_bytes", bytes(64 << 10, 1 << 30)),
            backlog_bytes_max: layers.required("logs.backlog_bytes_max", bytes(64 << 10, 1 << 40)),
            stream_keep: layers.required("logs.stream_keep", values::some_time),
        },
        retention: RetentionConfig {
            rules: Rules {
                runs: layers.optional("retention.runs", values::age),
                logs: layers.optional("retention.logs", values::age),
                keep_runs: layers
                    .optional("retention.keep_runs", |text| values::number(text, 1, KEEP_RUNS_MAX)),
            },
            runs_min: layers.required("retention.runs_min", |text| values::number(text, 0, 1_000_000)),
        },
        audit: AuditConfig { keep: layers.required("audit.keep", values::age_or_forever) },
        metrics: MetricsConfig { listen: layers.optional("metrics.listen", values::address) },
        limits: Limits {
            rules: Rule::ALL
                .map(|rule| (rule, layers.required(&format!("limits.{}", rule.as_str()), values::limit)))
                .into(),
            shut_out_for: layers.required("limits.shut_out_for", values::some_time),
        },
        trace: TraceConfig {
            filter: layers.required("trace.filter", values::trace_filter),
            json: layers.required("trace.json", values::switch),
        },
    }
}

fn read_worker(layers: &mut Layers, environment: &Environment) -> WorkerConfig {
    let count = |text: &str| values::number(text, 1_usize, 1_000);
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    let pass_env = layers.list("worker.pass_env", values::variable_names);
    let passed_env = pass_env.iter().filter_map(|name| Some((name.clone(), variable(name)?))).collect();
    WorkerConfig {
        concurrency: layers.required("worker.concurrency", count),
        steps_parallel_max: layers.required("worker.steps_parallel_max", count),
        on_shutdown: layers.required("worker.on_shutdown", values::on_shutdown),
        grace: layers.required("worker.grace", values::duration),
        always_timeout: layers.required("worker.always_timeout", values::some_time),
        checkout_timeout: layers.required("worker.checkout_timeout", values::some_time),
        host_silence: layers.required("worker.host_silence", values::some_time),
        losses_max: layers.required("worker.losses_max", |text| values::number(text, 1, 1_000)),
        workspace_keep: layers.required("worker.workspace_keep", values::duration),
        path: layers.optional("worker.path", values::text).unwrap_or_else(|| FALLBACK_PATH.to_owned()),
        pass_env,
        repository_hosts: layers.list("worker.repository_hosts", values::repository_hosts),
        passed_env,
        home: variable("HOME"),
        user: variable("USER"),
        lang: variable("LANG"),
        timezone: variable("TZ"),
    }
}

fn effective(layers: &Layers, config: &Config) -> Vec<EffectiveSetting> {
    let describe = |setting: &crate::config::settings::Setting| {
        let found = layers.get(setting.key);
        let value = found.map(|found| match (setting.key, setting.shown) {
            // The one path with a default that depends on where the program is started.
            ("data_dir", _) => config.data_dir.display().to_string(),
            (_, Shown::Plainly) => found.raw.to_text(),
            (_, Shown::WithoutPassword) => values::without_password(&found.raw.to_text()),
            (_, Shown::Never) => "***".to_owned(),
        });
        let origin = found.map_or(Origin::Default, |found| found.origin.clone());
        EffectiveSetting { key: setting.key, variable: setting.variable, value, origin }
    };
    SETTINGS.iter().map(describe).collect()
}
