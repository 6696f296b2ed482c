//! Secrets: stored under a key, and given to the steps that name them. No value is ever given out otherwise.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::app::App;
use crate::domain::branches;
use crate::domain::ids::PipelineId;
use crate::domain::keyring::{KEY_BYTES, KeyRing, NONCE_BYTES};
use crate::domain::pipeline::StepDefinition;
use crate::domain::run::Run;
use crate::domain::secret::{Secret, SecretInfo};
use crate::domain::time::now;
use crate::error::{Error, Result};
use crate::store;

/// In the data directory; made with the first secret.
pub const KEY_FILE: &str = "secrets.key";
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// A variable of a step, and its value.
pub type Given = (String, Secret<String>);

/// The secrets that a step names, or why it is not to begin.
pub async fn for_step(app: &App, run: &Run, step: &StepDefinition) -> Result<Result<Vec<Given>, String>> {
    let mut given = Vec::new();
    for wanted in &step.secrets {
        let name = &wanted.name;
        if wanted.file {
            return Ok(Err(format!("the secret {name} cannot be given as a file yet: leave `file` out")));
        }
        let found = match store::secrets::find(&app.store, Some(&run.pipeline_id), name).await? {
            Some(own) => Some(own),
            None => store::secrets::find(&app.store, None, name).await?,
        };
        let Some(found) = found else {
            return Ok(Err(format!("there is no secret {name}, of the pipeline or global: set it")));
        };
        if let Some(reason) = withheld(run, &found.info) {
            return Ok(Err(format!("the secret {name} is withheld: {reason}")));
        }
        let Some(ring) = ring(&app.config.data_dir)? else {
            return Ok(Err(format!("the secret {name} cannot be read: {KEY_FILE} is not on this machine")));
        };
        match ring.open(&bound(&found.info), &found.sealed) {
            Ok(value) => given.push((wanted.env.clone(), value)),
            Err(error) => return Ok(Err(format!("the secret {name} cannot be read: {error}"))),
        }
        if found.info.last_used_at.is_none_or(|at| TOUCH_INTERVAL < now().since(at)) {
            store::secrets::touch(&app.store, &found.info, now()).await?;
        }
    }
    Ok(Ok(given))
}

fn withheld(run: &Run, info: &SecretInfo) -> Option<String> {
    if run.trigger.untrusted && !info.allow_untrusted {
        return Some("nobody vouches for the code of this run".to_owned());
    }
    let branch = run.branch.as_deref().unwrap_or_default();
    let is_taken = info.branches.iter().any(|pattern| branches::matches(pattern, branch));
    (!info.branches.is_empty() && !is_taken)
        .then(|| format!("it is for the branches {}", info.branches.join(", ")))
}

/// What a value is encrypted together with: a row that is moved, or put back, does not open.
pub fn bound(info: &SecretInfo) -> String {
    let scope = info.pipeline_id.as_ref().map(PipelineId::as_str);
    serde_json::json!(["slipway secret", scope, info.name, info.version]).to_string()
}

/// The keys of this machine; none: no secret was ever set here.
pub fn ring(data_dir: &Path) -> Result<Option<KeyRing>> {
    let text = match std::fs::read_to_string(data_dir.join(KEY_FILE)) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::internal("reading the key of the secrets", error)),
    };
    let ring = KeyRing::parse(text.reveal());
    ring.map(Some).map_err(|error| Error::internal("reading the key of the secrets", error))
}

/// As `ring`, made if there is none. Whole before it has its name, so that two processes agree.
pub fn make_ring(data_dir: &Path) -> Result<KeyRing> {
    const DOING: &str = "making the key of the secrets";
    if let Some(ring) = ring(data_dir)? {
        return Ok(ring);
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| Error::internal(DOING, error))?;
    let line = KeyRing::line_of(&key);
    let draft = data_dir.join(format!("{KEY_FILE}.{}", std::process::id()));
    let file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft);
    let written = file.and_then(|mut file| {
        writeln!(file, "{}", line.reveal())?;
        file.sync_all()?;
        match std::fs::hard_link(&draft, data_dir.join(KEY_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => std::fs::remove_file(&draft),
        }
    });
    written.map_err(|error| Error::internal(DOING, error))?;
    ring(data_dir)?.ok_or_else(|| Error::internal(DOING, "it is gone again"))
}

pub fn nonce() -> Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| Error::internal("making a nonce", error))?;
    Ok(nonce)
}
