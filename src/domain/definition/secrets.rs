//! The secrets that a step asks for: names, or maps that say how it is given them.

use std::collections::BTreeMap;

use crate::domain::definition::problems::{Problems, join, quote};
use crate::domain::definition::tree::{Content, Node};
use crate::domain::pipeline::StepSecret;
use crate::domain::text;

/// Of one step: more are better kept together in one.
const SECRETS_MAX: usize = 32;

const KEYS: [&str; 3] = ["name", "env", "file"];
const EXPECTED: &str = "a list of up to 32 names of secrets, or of maps with `name` and `env` or `file`";
const NAME_EXPECTED: &str = "capital letters, digits and _, not a digit first, not SLIPWAY_ first";

/// `env` is the step's own: a variable has one value.
pub(super) fn read(
    problems: &mut Problems,
    node: &Node<'_>,
    path: &str,
    env: &BTreeMap<String, String>,
) -> Vec<StepSecret> {
    let Some(items) = problems.list(node, path, EXPECTED) else { return Vec::new() };
    if SECRETS_MAX < items.len() {
        problems.add(node.place, path, format!("there are {} secrets", items.len()), EXPECTED);
        return Vec::new();
    }
    let mut secrets: Vec<StepSecret> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(secret) = secret(problems, item, &path) else { continue };
        if secrets.iter().any(|known| known.env == secret.env) || env.contains_key(&secret.env) {
            let message = format!("the variable {} has another value already", quote(&secret.env));
            problems.add(item.place, &path, message, "a variable of its own: `env` or `file` names one");
        } else {
            secrets.push(secret);
        }
    }
    secrets
}

fn secret(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<StepSecret> {
    if matches!(node.content, Content::Scalar { .. }) {
        let name = name(problems, node, path)?;
        return Some(StepSecret { env: name.clone(), name, is_file: false });
    }
    let fields = problems.fields(node, path, &KEYS);
    let at = |key: &str| join(path, key);
    if matches!(node.content, Content::Map(_)) && !fields.contains_key("name") {
        problems.add(node.place, &at("name"), "the key `name` is missing", "the name of a secret");
    }
    let name = name(problems, fields.get("name")?, &at("name"))?;
    let (env, is_file) = match (fields.get("env"), fields.get("file")) {
        (None, None) => (name.clone(), false),
        (Some(node), None) => (variable(problems, node, &at("env"))?, false),
        (None, Some(node)) => (variable(problems, node, &at("file"))?, true),
        (Some(_), Some(node)) => {
            let message = "the value is in a variable or in a file".to_owned();
            problems.add(node.place, &at("file"), message, "`env` or `file`, not both");
            return None;
        }
    };
    Some(StepSecret { name, env, is_file })
}

fn name(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<String> {
    let name = problems.text(node, path, NAME_EXPECTED)?;
    match text::secret_name(name) {
        Ok(()) => Some(name.to_owned()),
        Err(reason) => {
            problems.add(node.place, path, format!("the name {} {reason}", quote(name)), NAME_EXPECTED);
            None
        }
    }
}

fn variable(problems: &mut Problems, node: &Node<'_>, path: &str) -> Option<String> {
    let expected = "letters, digits and _, not a digit first, not SLIPWAY_ first";
    let name = problems.text(node, path, expected)?;
    match text::env_name(name) {
        Ok(()) => Some(name.to_owned()),
        Err(reason) => {
            problems.add(node.place, path, format!("the name {} {reason}", quote(name)), expected);
            None
        }
    }
}
