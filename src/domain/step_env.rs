//! What a step sees in its environment: the same for a worker and for `slipway exec`.

use std::collections::BTreeMap;

use crate::domain::ids::RunId;

/// What of the machine reaches steps. All else stays outside.
#[derive(Debug, Clone, Copy)]
pub struct HostEnv<'a> {
    pub path: &'a str,
    pub home: Option<&'a str>,
    pub user: Option<&'a str>,
    pub lang: Option<&'a str>,
    pub timezone: Option<&'a str>,
    /// Variables that the operator lets through.
    pub passed: &'a [(String, String)],
}

/// Which step of which run it is.
#[derive(Debug, Clone, Copy)]
pub struct StepIdentity<'a> {
    pub run_id: &'a RunId,
    /// None: the run belongs to no pipeline that has numbers.
    pub run_number: Option<u32>,
    pub run_attempt: u32,
    pub pipeline: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub commit: Option<&'a str>,
    pub inputs: &'a BTreeMap<String, String>,
    pub step: &'a str,
    pub step_attempt: u32,
}

/// All variables, each once. The step's own outweigh the definition's, these the machine's; what Slipway says
/// of the run outweighs all, so that a step can rely on it.
pub fn step_env(
    host: HostEnv<'_>,
    definition_env: &BTreeMap<String, String>,
    own_env: &BTreeMap<String, String>,
    identity: StepIdentity<'_>,
) -> Vec<(String, String)> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            env.insert(name.to_owned(), value.to_owned());
        }
    };
    add("PATH", Some(host.path));
    add("HOME", host.home);
    add("USER", host.user);
    add("LANG", host.lang);
    add("TZ", host.timezone);
    add("CI", Some("true"));
    for (name, value) in host.passed {
        add(name, Some(value));
    }
    for (name, value) in definition_env.iter().chain(own_env) {
        add(name, Some(value));
    }
    for (name, value) in identity.inputs {
        add(&input_variable(name), Some(value));
    }
    let number = identity.run_number.map(|number| number.to_string());
    add("SLIPWAY_RUN_ID", Some(identity.run_id.as_str()));
    add("SLIPWAY_RUN_NUMBER", number.as_deref());
    add("SLIPWAY_RUN_ATTEMPT", Some(&identity.run_attempt.to_string()));
    add("SLIPWAY_RUN_PIPELINE", identity.pipeline);
    add("SLIPWAY_RUN_BRANCH", identity.branch);
    add("SLIPWAY_RUN_COMMIT", identity.commit);
    add("SLIPWAY_STEP_NAME", Some(identity.step));
    add("SLIPWAY_STEP_ATTEMPT", Some(&identity.step_attempt.to_string()));
    env.into_iter().collect()
}

/// `deploy-target` → `SLIPWAY_INPUT_DEPLOY_TARGET`.
pub fn input_variable(name: &str) -> String {
    let letter = |character: char| match character.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    };
    name.chars().map(letter).fold("SLIPWAY_INPUT_".to_owned(), |mut variable, letter| {
        variable.push(letter);
        variable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_nearer_to_the_step_outweighs_what_is_further_and_slipway_outweighs_all() {
        let passed = [("COLOUR".to_owned(), "host".to_owned()), ("SIZE".to_owned(), "host".to_owned())];
        let host = HostEnv {
            path: "/bin",
            home: Some("/root"),
            user: None,
            lang: None,
            timezone: None,
            passed: &passed,
        };
        let run_id = RunId::generate();
        let inputs = map(&[("deploy-target", "prod")]);
        let identity = StepIdentity {
            run_id: &run_id,
            run_number: None,
            run_attempt: 2,
            pipeline: None,
            branch: Some("main"),
            commit: None,
            inputs: &inputs,
            step: "build",
            step_attempt: 3,
        };
        let definition = map(&[("COLOUR", "definition"), ("SHAPE", "definition"), ("PATH", "/opt")]);
        let own = map(&[("SHAPE", "step"), ("SLIPWAY_RUN_ID", "forged")]);
        let env: BTreeMap<_, _> = step_env(host, &definition, &own, identity).into_iter().collect();
        let expected = map(&[
            ("CI", "true"),
            ("COLOUR", "definition"),
            ("HOME", "/root"),
            ("PATH", "/opt"),
            ("SHAPE", "step"),
            ("SIZE", "host"),
            ("SLIPWAY_INPUT_DEPLOY_TARGET", "prod"),
            ("SLIPWAY_RUN_ATTEMPT", "2"),
            ("SLIPWAY_RUN_BRANCH", "main"),
            ("SLIPWAY_RUN_ID", run_id.as_str()),
            ("SLIPWAY_STEP_ATTEMPT", "3"),
            ("SLIPWAY_STEP_NAME", "build"),
        ]);
        assert_eq!(env, expected);
    }
}
