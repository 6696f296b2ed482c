//! Where the keys of the secrets come from, and how this process keeps what it knows.

use crate::config::layers::Layers;
use crate::config::values::{self, Expected};
use crate::domain::keyring::{KeyRing, KeySource};
use crate::domain::secret::Secret;

#[derive(Debug, Clone)]
pub struct SecretsConfig {
    pub key: KeySource,
    /// Whether this process's memory is kept from debuggers, from other processes of its user, and from core dumps.
    pub protect_memory: bool,
}

pub(super) fn read(layers: &mut Layers) -> SecretsConfig {
    let file = layers.optional("secrets.key_file", values::path);
    let given = layers.optional("secrets.key", key);
    let command = layers.list("secrets.key_command", command);
    let key = match (file, given, command.is_empty()) {
        (file, None, true) => KeySource::File(file),
        (None, Some(given), true) => KeySource::Given(given),
        (None, None, false) => KeySource::Command(command),
        _ => {
            let reason = "secrets.key_file, secrets.key and secrets.key_command: set one of them, since a key that is \
                          looked for in two places is found in the wrong one";
            layers.problem(None, reason);
            KeySource::File(None)
        }
    };
    SecretsConfig { key, protect_memory: layers.required("secrets.protect_memory", values::switch) }
}

fn key(text: &str) -> Expected<Secret<String>> {
    match KeyRing::parse(text) {
        Ok(_) => Ok(Secret::new(text.to_owned())),
        Err(_) => Err("keys as `slipway secret key` prints them, the one that writes first".to_owned()),
    }
}

fn command(words: &[String]) -> Expected<Vec<String>> {
    match words.first() {
        Some(program) if !program.starts_with('/') => {
            Err("a program by its whole path, such as /usr/local/bin/vault, and its arguments".to_owned())
        }
        _ => Ok(words.to_vec()),
    }
}
