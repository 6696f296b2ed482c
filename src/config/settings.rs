//! The list of settings: key in the file, name in the environment, and how a value may be shown.

/// How a setting's value may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Plainly,
    /// With the password in it hidden.
    WithoutPassword,
    Never,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// As in the file: `http.listen`.
    pub(super) key: &'static str,
    pub(super) variable: &'static str,
    pub(super) shown: Shown,
}

const fn plain(key: &'static str, variable: &'static str) -> Setting {
    Setting { key, variable, shown: Shown::Plainly }
}

/// Each setting once, in the order in which `slipway config` prints them.
pub(super) const SETTINGS: &[Setting] = &[
    plain("data_dir", "SLIPWAY_DATA_DIR"),
    plain("http.listen", "SLIPWAY_LISTEN"),
    plain("http.public_url", "SLIPWAY_PUBLIC_URL"),
    plain("http.tls_cert", "SLIPWAY_TLS_CERT"),
    plain("http.tls_key", "SLIPWAY_TLS_KEY"),
    plain("http.trusted_proxies", "SLIPWAY_TRUSTED_PROXIES"),
    plain("http.cors_origins", "SLIPWAY_CORS_ORIGINS"),
    plain("http.body_bytes_max", "SLIPWAY_BODY_BYTES_MAX"),
    plain("http.batch_calls_max", "SLIPWAY_BATCH_CALLS_MAX"),
    plain("http.calls_max", "SLIPWAY_CALLS_MAX"),
    plain("http.connections_max", "SLIPWAY_CONNECTIONS_MAX"),
    plain("http.connections_per_client_max", "SLIPWAY_CONNECTIONS_PER_CLIENT_MAX"),
    plain("http.body_timeout", "SLIPWAY_BODY_TIMEOUT"),
    plain("http.write_timeout", "SLIPWAY_WRITE_TIMEOUT"),
    plain("http.streams_max", "SLIPWAY_STREAMS_MAX"),
    plain("http.live_subscriptions_max", "SLIPWAY_LIVE_SUBSCRIPTIONS_MAX"),
    plain("http.stream_ping", "SLIPWAY_STREAM_PING"),
    plain("http.stream_duration_max", "SLIPWAY_STREAM_DURATION_MAX"),
    plain("http.drain", "SLIPWAY_DRAIN"),
    Setting { key: "auth.admin_token", variable: "SLIPWAY_ADMIN_TOKEN", shown: Shown::Never },
    plain("auth.session_lifetime", "SLIPWAY_SESSION_LIFETIME"),
    plain("auth.session_idle", "SLIPWAY_SESSION_IDLE"),
    plain("oidc.issuer", "SLIPWAY_OIDC_ISSUER"),
    plain("oidc.client_id", "SLIPWAY_OIDC_CLIENT_ID"),
    Setting { key: "oidc.client_secret", variable: "SLIPWAY_OIDC_CLIENT_SECRET", shown: Shown::Never },
    plain("oidc.scopes", "SLIPWAY_OIDC_SCOPES"),
    plain("oidc.name", "SLIPWAY_OIDC_NAME"),
    plain("oidc.role_claim", "SLIPWAY_OIDC_ROLE_CLAIM"),
    plain("oidc.viewers", "SLIPWAY_OIDC_VIEWERS"),
    plain("oidc.operators", "SLIPWAY_OIDC_OPERATORS"),
    plain("oidc.admins", "SLIPWAY_OIDC_ADMINS"),
    plain("oidc.default_role", "SLIPWAY_OIDC_DEFAULT_ROLE"),
    plain("oidc.create_people", "SLIPWAY_OIDC_CREATE_PEOPLE"),
    plain("oidc.email_domains", "SLIPWAY_OIDC_EMAIL_DOMAINS"),
    plain("oidc.sign_out", "SLIPWAY_OIDC_SIGN_OUT"),
    Setting { key: "database.url", variable: "DATABASE_URL", shown: Shown::WithoutPassword },
    plain("database.connections_max", "SLIPWAY_DATABASE_CONNECTIONS_MAX"),
    plain("database.migrate_at_start", "SLIPWAY_MIGRATE_AT_START"),
    Setting { key: "redis.url", variable: "REDIS_URL", shown: Shown::WithoutPassword },
    plain("redis.server", "SLIPWAY_REDIS_SERVER"),
    plain("redis.prefix", "SLIPWAY_REDIS_PREFIX"),
    plain("redis.call_timeout", "SLIPWAY_REDIS_CALL_TIMEOUT"),
    plain("objects.store", "SLIPWAY_OBJECT_STORE"),
    plain("worker.concurrency", "SLIPWAY_CONCURRENCY"),
    // Not SLIPWAY_STEPS_…: names that begin with SLIPWAY_STEP belong to what steps see.
    plain("worker.steps_parallel_max", "SLIPWAY_PARALLEL_STEPS_MAX"),
    plain("worker.on_shutdown", "SLIPWAY_ON_SHUTDOWN"),
    plain("worker.grace", "SLIPWAY_GRACE"),
    plain("worker.always_timeout", "SLIPWAY_ALWAYS_TIMEOUT"),
    plain("worker.checkout_timeout", "SLIPWAY_CHECKOUT_TIMEOUT"),
    plain("worker.host_silence", "SLIPWAY_HOST_SILENCE"),
    plain("worker.losses_max", "SLIPWAY_LOSSES_MAX"),
    plain("worker.workspace_keep", "SLIPWAY_WORKSPACE_KEEP"),
    plain("worker.path", "SLIPWAY_PATH"),
    plain("worker.pass_env", "SLIPWAY_PASS_ENV"),
    plain("worker.repository_hosts", "SLIPWAY_REPOSITORY_HOSTS"),
    plain("executor.user", "SLIPWAY_EXECUTOR_USER"),
    plain("executor.uids", "SLIPWAY_EXECUTOR_UIDS"),
    plain("executor.umask", "SLIPWAY_EXECUTOR_UMASK"),
    plain("executor.writable", "SLIPWAY_EXECUTOR_WRITABLE"),
    plain("executor.hidden", "SLIPWAY_EXECUTOR_HIDDEN"),
    plain("executor.require", "SLIPWAY_EXECUTOR_REQUIRE"),
    plain("executor.leave_out", "SLIPWAY_EXECUTOR_LEAVE_OUT"),
    plain("executor.cgroup", "SLIPWAY_EXECUTOR_CGROUP"),
    plain("executor.memory_max", "SLIPWAY_EXECUTOR_MEMORY_MAX"),
    plain("executor.processes_max", "SLIPWAY_EXECUTOR_PROCESSES_MAX"),
    plain("executor.files_max", "SLIPWAY_EXECUTOR_FILES_MAX"),
    plain("executor.file_size_max", "SLIPWAY_EXECUTOR_FILE_SIZE_MAX"),
    plain("executor.cpu_time_max", "SLIPWAY_EXECUTOR_CPU_TIME_MAX"),
    plain("executor.cpu_max", "SLIPWAY_EXECUTOR_CPU_MAX"),
    plain("secrets.key_file", "SLIPWAY_SECRETS_KEY_FILE"),
    Setting { key: "secrets.key", variable: "SLIPWAY_SECRETS_KEY", shown: Shown::Never },
    plain("secrets.key_command", "SLIPWAY_SECRETS_KEY_COMMAND"),
    plain("secrets.protect_memory", "SLIPWAY_SECRETS_PROTECT_MEMORY"),
    plain("logs.run_bytes_max", "SLIPWAY_LOG_RUN_BYTES_MAX"),
    plain("logs.line_bytes_max", "SLIPWAY_LOG_LINE_BYTES_MAX"),
    plain("logs.segment_bytes", "SLIPWAY_LOG_SEGMENT_BYTES"),
    plain("logs.backlog_bytes_max", "SLIPWAY_LOG_BACKLOG_BYTES_MAX"),
    plain("logs.stream_keep", "SLIPWAY_LOG_STREAM_KEEP"),
    plain("retention.runs", "SLIPWAY_RETENTION_RUNS"),
    plain("retention.logs", "SLIPWAY_RETENTION_LOGS"),
    plain("retention.keep_runs", "SLIPWAY_RETENTION_KEEP_RUNS"),
    plain("retention.runs_min", "SLIPWAY_RETENTION_RUNS_MIN"),
    plain("audit.keep", "SLIPWAY_AUDIT_KEEP"),
    plain("metrics.listen", "SLIPWAY_METRICS_LISTEN"),
    plain("limits.sign_in", "SLIPWAY_LIMIT_SIGN_IN"),
    plain("limits.queries", "SLIPWAY_LIMIT_QUERIES"),
    plain("limits.mutations", "SLIPWAY_LIMIT_MUTATIONS"),
    plain("limits.streams", "SLIPWAY_LIMIT_STREAMS"),
    plain("limits.downloads", "SLIPWAY_LIMIT_DOWNLOADS"),
    plain("limits.webhooks", "SLIPWAY_LIMIT_WEBHOOKS"),
    plain("limits.probes", "SLIPWAY_LIMIT_PROBES"),
    plain("limits.guesses", "SLIPWAY_LIMIT_GUESSES"),
    plain("limits.shut_out_for", "SLIPWAY_SHUT_OUT_FOR"),
    plain("trace.filter", "SLIPWAY_LOG"),
    plain("trace.json", "SLIPWAY_LOG_JSON"),
];

/// Variables that are read, but are no settings of the server.
const OTHER_VARIABLES: &[&str] = &["SLIPWAY_CONFIG", "SLIPWAY_URL", "SLIPWAY_TOKEN"];

/// What steps and tests see: never configuration.
const FOREIGN_PREFIXES: &[&str] = &["SLIPWAY_RUN_", "SLIPWAY_STEP", "SLIPWAY_INPUT_", "SLIPWAY_TEST_"];

pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Whether a variable has our prefix without being anything that we know.
pub(super) fn is_unknown_variable(name: &str) -> bool {
    name.starts_with("SLIPWAY_")
        && !FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !OTHER_VARIABLES.contains(&name)
        && !SETTINGS.iter().any(|setting| setting.variable == name)
}

pub(super) fn nearest_key(key: &str) -> &'static str {
    // Somebody who leaves the section out means the setting of that name, however long the section's is.
    let in_a_section = SETTINGS.iter().find(|setting| setting.key.rsplit('.').next() == Some(key));
    match in_a_section {
        Some(setting) => setting.key,
        None => nearest(key, SETTINGS.iter().map(|setting| setting.key)),
    }
}

pub(super) fn nearest_variable(name: &str) -> &'static str {
    let ours = SETTINGS.iter().map(|setting| setting.variable);
    nearest(name, ours.chain(OTHER_VARIABLES.iter().copied()))
}

fn nearest(text: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let likeness = |known: &&str| (strsim::jaro_winkler(text, known) * 1_000_000.0) as u64;
    known.max_by_key(likeness).unwrap_or_default()
}
