//! What keeps steps from what is not theirs on this machine.

use crate::cli::doctor::Check;
use crate::config::{Config, StepUser};
use crate::executor::fence::{Part, State};
use crate::worker::fence;

/// For the user who asks: a server of another user has what that one has.
pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let asked = config.clone();
    let probed = tokio::task::spawn_blocking(move || fence::probe(&asked)).await;
    let report = match probed.map_err(std::io::Error::from).flatten() {
        Ok(report) => report,
        Err(error) => {
            let advice = "Steps run all the same, but are kept from nothing: see what the error names";
            return vec![Check::warn("fence", format!("it cannot be found out: {error}"), advice)];
        }
    };
    Part::ALL.map(|part| check(config, part, report.state(part))).into()
}

fn check(config: &Config, part: Part, state: &State) -> Check {
    let (name, what) = match part {
        Part::User => ("fence: user", "each run's steps are a user of their own"),
        Part::Mounts => {
            ("fence: mounts", "the server's files are covered for steps, and /tmp is theirs alone")
        }
        Part::Cgroup => ("fence: cgroup", "limits count for all processes of a step together"),
        Part::Landlock => ("fence: landlock", "steps cannot signal or reach processes that are not theirs"),
    };
    match state {
        State::InForce => Check::ok(name, what),
        State::Partly => {
            Check::warn(name, format!("{what}, as far as this kernel can"), "All of it comes with Linux 6.12")
        }
        State::Not { why, advice } if config.executor.require.contains(&part) => {
            Check::fail(name, format!("required and not in force: {why}"), advice)
        }
        // What was chosen is no fault.
        State::Not { why, .. }
            if part == Part::User && config.executor.user == StepUser::Server
                || part == Part::Cgroup && config.executor.cgroup.is_empty() =>
        {
            Check::ok(name, format!("not in force: {why}"))
        }
        State::Not { why, advice } => Check::warn(name, format!("not in force: {why}"), advice),
    }
}
