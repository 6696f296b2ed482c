//! `slipway doctor`: looks at what an installation needs, and says what to do about what is missing.

use std::time::Duration;

use serde::Serialize;

use crate::cli::client::{Client, ClientError};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{BAD, BUSY, GOOD, Output};
use crate::config::{ClientFlags, Loaded};
use crate::services::system::HealthStatus;

mod fence;
mod host;
mod installation;
mod single_sign_on;

/// How long anything that is asked may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    /// Mend what can be mended safely, and say what was done.
    #[arg(long)]
    repair: bool,
}

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
    fn is_failure(&self) -> bool {
        self.verdict == Verdict::Fail
    }

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

pub(super) async fn run(
    output: Output,
    loaded: &Loaded,
    flags: &ClientFlags,
    arguments: DoctorArguments,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    let mut repairs = Vec::new();
    if arguments.repair {
        repairs.extend(host::repair_modes(&config.data_dir));
        repairs.extend(installation::repair(config).await);
    }
    let mut checks = vec![
        host::data_dir(&config.data_dir),
        host::file_modes(&config.data_dir),
        host::free_space(&config.data_dir),
        host::free_inodes(&config.data_dir),
        host::open_files(),
        host::inotify(),
    ];
    checks.extend(fence::checks(config).await);
    checks.push(host::program("sh", config, "Steps are scripts for sh: install one").await);
    checks.push(host::program("git", config, "Repositories are fetched with git: install it").await);
    checks.extend(host::service().await);
    checks.push(host::admin_token(config));
    checks.extend(installation::checks(config).await);
    checks.extend(single_sign_on::check(config).await);
    let client = Client::new(&loaded.client(flags)?)?;
    checks.extend(server(&client).await);
    checks.push(host::clock(&config.data_dir));

    let has_failed = checks.iter().any(Check::is_failure);
    if output.is_json() {
        output.json(&serde_json::json!({ "ok": !has_failed, "checks": checks, "repairs": repairs }))?;
    } else {
        repairs.iter().try_for_each(|repair| output.line(&format!("done  {repair}")))?;
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

/// A server that does not run is no fault of the installation; one that runs and refuses is.
async fn server(client: &Client) -> Vec<Check> {
    match tokio::time::timeout(ANSWER_TIMEOUT, ask_server(client)).await {
        Ok(checks) => checks,
        Err(_) => {
            let advice = "It hangs, or something before it does: see its log, and restart it";
            vec![Check::fail("server", format!("{} does not answer in time", client.url()), advice)]
        }
    }
}

async fn ask_server(client: &Client) -> Vec<Check> {
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
