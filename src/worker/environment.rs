//! What a step sees of the world.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::WorkerConfig;
use crate::domain::pipeline::{Definition, StepDefinition};
use crate::domain::run::Run;

/// Tools that print into a pipe gather their output until there is much of it; these print at once, and none
/// of them asks questions.
const PLAIN: [(&str, &str); 6] = [
    ("CI", "true"),
    ("PYTHONUNBUFFERED", "1"),
    ("PYTHONIOENCODING", "utf-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("SHELL", "/bin/sh"),
];

/// The environment of every command of Slipway's on this host: nothing of the server's own but what the
/// configuration names.
///
/// `home` is that of another user than the server's, if it is for one.
pub fn base(config: &WorkerConfig, temporary: &Path, home: Option<&Path>) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = config.passed_env.iter().cloned().collect();
    env.extend(PLAIN.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut put = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    put("PATH", &config.path);
    put("TMPDIR", &temporary.to_string_lossy());
    let own_home = home.map(Path::to_string_lossy);
    let home_of_server = config.home.as_deref().filter(|_| home.is_none());
    let user = config.user.as_deref().filter(|_| home.is_none());
    let known = [
        ("HOME", own_home.as_deref().or(home_of_server)),
        ("USER", user),
        ("LOGNAME", user),
        ("LANG", config.lang.as_deref()),
        ("TZ", config.timezone.as_deref()),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            put(name, value);
        }
    }
    env
}

/// The environment of a step. What the definition says outweighs what Slipway says, but for the names that
/// begin with `SLIPWAY_`, which a definition cannot have.
pub fn of_step(
    base: BTreeMap<String, String>,
    run: &Run,
    definition: &Definition,
    step: &StepDefinition,
    attempt: u32,
) -> Vec<(String, String)> {
    let mut env = base;
    env.extend(definition.env.clone());
    env.extend(step.env.clone());
    let mut put = |name: &str, value: String| env.insert(name.to_owned(), value);
    put("SLIPWAY_RUN_ID", run.id.to_string());
    put("SLIPWAY_RUN_NUMBER", run.number.to_string());
    put("SLIPWAY_RUN_ATTEMPT", run.attempt.to_string());
    put("SLIPWAY_RUN_PIPELINE", run.pipeline_name.clone());
    put("SLIPWAY_RUN_PIPELINE_ID", run.pipeline_id.to_string());
    put("SLIPWAY_RUN_BRANCH", run.branch.clone().unwrap_or_default());
    put("SLIPWAY_RUN_COMMIT", run.commit.clone().unwrap_or_default());
    put("SLIPWAY_RUN_TRIGGERED_BY", run.trigger.by.clone());
    put("SLIPWAY_STEP", step.name.clone());
    put("SLIPWAY_STEP_ATTEMPT", attempt.to_string());
    for (name, value) in &run.inputs {
        put(&format!("SLIPWAY_INPUT_{}", name.to_uppercase()), value.clone());
    }
    env.into_iter().collect()
}
