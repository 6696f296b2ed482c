//! `slipway doctor`: looks at what an installation needs, and says what to do about what is missing.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::cli::client::{Client, ClientError, innermost};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{BAD, BUSY, GOOD, Output};
use crate::config::{ClientFlags, Config, Loaded, size_text};
use crate::domain::time::{self, Timestamp};
use crate::services::system::HealthStatus;
use crate::store::Store;

/// Below the first, writing will soon fail; below the second, it is time to look.
const FREE_BYTES_FAIL: u64 = 128 << 20;
const FREE_BYTES_WARN: u64 = 1 << 30;
/// How long anything that is asked may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const ADMIN_TOKEN_CHARS_MIN: usize = 16;
/// 2025-01-01: no machine that runs this has an earlier date and is right.
const EARLIEST: Timestamp = Timestamp::from_millis(1_735_689_600_000);
/// How far a file may lie in the future before it says something of the clock.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    message: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, message: message.into(), advice: None }
    }

    fn warn(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, message: message.into(), advice: Some(advice.into()) }
    }

    fn fail(name: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, message: message.into(), advice: Some(advice.into()) }
    }
}

pub(super) async fn run(output: Output, loaded: &Loaded, flags: &ClientFlags) -> Result<Exit, Failure> {
    let config = &loaded.config;
    let mut checks = vec![data_dir(&config.data_dir), free_space(&config.data_dir)];
    checks.push(program("sh", config, "Steps are scripts for sh: install one").await);
    checks.push(program("git", config, "Repositories are fetched with git: install it").await);
    checks.push(admin_token(config));
    checks.push(redis(config).await);
    checks.push(database(config).await);
    let client = Client::new(&loaded.client(flags)?)?;
    checks.extend(server(&client).await);
    checks.push(clock(&config.data_dir));

    let has_failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    if output.is_json() {
        output.json(&serde_json::json!({ "ok": !has_failed, "checks": checks }))?;
    } else {
        checks.iter().try_for_each(|check| print(output, check))?;
    }
    Ok(if has_failed { Exit::Failed } else { Exit::Success })
}

fn print(output: Output, check: &Check) -> std::io::Result<()> {
    let verdict = match check.verdict {
        Verdict::Ok => output.paint(GOOD, "ok  "),
        Verdict::Warn => output.paint(BUSY, "warn"),
        Verdict::Fail => output.paint(BAD, "fail"),
    };
    output.line(&format!("{verdict}  {}: {}", check.name, check.message))?;
    match &check.advice {
        Some(advice) => output.line(&format!("      {advice}")),
        None => Ok(()),
    }
}

fn data_dir(dir: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = dir.display();
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match existing(dir).is_some_and(|parent| is_writable(&parent)) {
                true => Check::ok(NAME, format!("{shown} is made at the first start")),
                false => Check::fail(NAME, format!("{shown} cannot be made"), "Name another with --data-dir"),
            };
        }
        Err(error) => return Check::fail(NAME, format!("{shown}: {error}"), "Name another with --data-dir"),
    };
    if !metadata.is_dir() {
        return Check::fail(NAME, format!("{shown} is no directory"), "Name another with --data-dir");
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        let message = format!("{shown} belongs to user {}, not to {user}", metadata.uid());
        return Check::fail(NAME, message, format!("Run as its owner, or `chown -R {user} {shown}`"));
    }
    if !is_writable(dir) {
        let advice = format!("`chmod u+rwx {shown}`; or the file system is mounted read-only");
        return Check::fail(NAME, format!("{shown} cannot be written to"), advice);
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        let message = format!("{shown} can be written to by others");
        return Check::warn(NAME, message, format!("`chmod go-w {shown}`"));
    }
    Check::ok(NAME, format!("{shown} can be written to"))
}

/// The directory itself, or the nearest above it that exists.
fn existing(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned)
}

/// Permissions tell only half of it, so a file is made.
fn is_writable(dir: &Path) -> bool {
    let probe = dir.join(format!(".slipway-doctor-{}", std::process::id()));
    let is_made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe).is_ok();
    is_made && std::fs::remove_file(&probe).is_ok()
}

fn free_space(dir: &Path) -> Check {
    const NAME: &str = "free space";
    const ADVICE: &str = "Make room, or keep finished logs elsewhere with SLIPWAY_OBJECT_STORE";
    let Some(dir) = existing(dir) else { return Check::fail(NAME, "no such directory", ADVICE) };
    let free = match rustix::fs::statvfs(&dir) {
        Ok(status) => status.f_bavail.saturating_mul(status.f_frsize),
        Err(error) => return Check::warn(NAME, format!("unknown: {error}"), ADVICE),
    };
    let message = format!("{} left for {}", size_text(free >> 20 << 20), dir.display());
    match free {
        0..FREE_BYTES_FAIL => Check::fail(NAME, message, ADVICE),
        FREE_BYTES_FAIL..FREE_BYTES_WARN => Check::warn(NAME, message, ADVICE),
        _ => Check::ok(NAME, message),
    }
}

async fn program(name: &'static str, config: &Config, advice: &str) -> Check {
    let Some(path) = find_program(name, &config.worker.path) else {
        return Check::fail(name, format!("not on the PATH of steps ({})", config.worker.path), advice);
    };
    let arguments: &[&str] = if name == "sh" { &["-c", ":"] } else { &["--version"] };
    let mut command = tokio::process::Command::new(&path);
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ANSWER_TIMEOUT, command.output()).await {
        Ok(Ok(answer)) if answer.status.success() => {
            let version = String::from_utf8_lossy(&answer.stdout);
            let version = version.lines().next().unwrap_or_default().trim();
            let message = format!("{} {version}", path.display());
            Check::ok(name, message.trim_end())
        }
        _ => Check::fail(name, format!("{} does not run", path.display()), advice),
    }
}

fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(is_program)
}

fn admin_token(config: &Config) -> Check {
    const NAME: &str = "admin token";
    match &config.auth.admin_token {
        Some(token) if token.reveal().len() < ADMIN_TOKEN_CHARS_MIN => {
            let message = format!("shorter than {ADMIN_TOKEN_CHARS_MIN} characters, so it can be guessed");
            Check::warn(NAME, message, "Set a longer SLIPWAY_ADMIN_TOKEN, or none: one is made then")
        }
        Some(_) => Check::ok(NAME, "is set"),
        None => admin_token_file(&config.data_dir.join("admin-token")),
    }
}

fn admin_token_file(file: &Path) -> Check {
    const NAME: &str = "admin token";
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let message = format!("{} can be read by others", file.display());
            Check::warn(NAME, message, format!("`chmod 600 {}`", file.display()))
        }
        Ok(_) => Check::ok(NAME, format!("is in {}", file.display())),
        Err(_) => Check::ok(NAME, "is made at the first start"),
    }
}

async fn redis(config: &Config) -> Check {
    const NAME: &str = "redis";
    let Some(url) = &config.redis.url else { return redis_program(config) };
    let advice = "Is REDIS_URL right, and does the server run? Without REDIS_URL, a private one is started";
    let ping = async {
        let mut connection =
            redis::Client::open(url.reveal().as_str())?.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    match tokio::time::timeout(config.redis.call_timeout, ping).await {
        Ok(Ok(_)) => Check::ok(NAME, "answers"),
        Ok(Err(error)) => Check::fail(NAME, format!("does not answer: {}", innermost(&error)), advice),
        Err(_) => Check::fail(NAME, "does not answer in time", advice),
    }
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
    match ["redis-server", "valkey-server"].iter().find_map(|name| find_program(name, &path)) {
        Some(path) => Check::ok(NAME, format!("a private server is started from {}", path.display())),
        None => Check::fail(NAME, "no redis-server and no valkey-server found", advice),
    }
}

async fn database(config: &Config) -> Check {
    const NAME: &str = "database";
    if config.database.url.is_none() && !config.data_dir.is_dir() {
        return Check::ok(NAME, "SQLite, made at the first start");
    }
    let advice = "Is DATABASE_URL right, and does the server run?";
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
    match looked.await {
        Ok(Ok(migrations)) => match migrations.iter().filter(|migration| !migration.applied).count() {
            0 => Check::ok(NAME, "answers, and is up to date"),
            _ if config.database.migrate_at_start => {
                Check::ok(NAME, "answers; it is brought up to date at the next start")
            }
            missing => {
                let message = format!("answers, but {missing} migrations are missing");
                Check::fail(NAME, message, "Run `slipway migrate up`")
            }
        },
        Ok(Err(error)) => Check::fail(NAME, error.chain(), advice),
        Err(_) => Check::fail(NAME, "does not answer in time", advice),
    }
}

/// A server that does not run is no fault of the installation; one that runs and refuses is.
async fn server(client: &Client) -> Vec<Check> {
    const NAME: &str = "server";
    let health = match client.health().await {
        Ok(health) => health,
        Err(error @ ClientError::Unreachable { .. }) => {
            return vec![Check::warn(NAME, error.to_string(), "Start it with `slipway serve`, or see --url")];
        }
        Err(error) => return vec![Check::fail(NAME, error.to_string(), "Is the address right? See --url")],
    };
    let message = format!("version {} at {}", health.version, client.url());
    let problems = [&health.database, &health.redis].map(|component| component.error.clone());
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    let server = match health.status {
        HealthStatus::Ok => Check::ok(NAME, message),
        HealthStatus::Degraded => Check::warn(
            NAME,
            format!("{message} is degraded"),
            format!("Runs may wait: {}", problems.join("; ")),
        ),
        HealthStatus::Down => Check::fail(NAME, format!("{message} is down"), problems.join("; ")),
    };
    let token = match client.pipelines(None, None).await {
        Ok(_) => Check::ok("token", "is accepted"),
        Err(error) => {
            let advice = "Give one in SLIPWAY_TOKEN or with --token-file; `slipway token create` makes one";
            Check::fail("token", error.to_string(), advice)
        }
    };
    vec![server, token]
}

fn clock(dir: &Path) -> Check {
    const NAME: &str = "clock";
    const ADVICE: &str = "Set the clock, and let it be kept by NTP";
    let now = time::now();
    if now < EARLIEST {
        return Check::fail(NAME, format!("it says {now}"), ADVICE);
    }
    let modified =
        std::fs::metadata(dir).ok().map(|metadata| Timestamp::from_millis(metadata.mtime() * 1000));
    match modified {
        Some(modified) if now.plus(CLOCK_SLACK) < modified => {
            let message = format!("it says {now}, but the data directory was written to at {modified}");
            Check::warn(NAME, message, ADVICE)
        }
        _ => Check::ok(NAME, now.to_string()),
    }
}
