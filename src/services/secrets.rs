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
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::access;
use crate::store;
use crate::store::page::{Page, PageRequest};
use crate::store::secrets::StoredSecret;

/// In the data directory; made with the first secret.
const KEY_FILE: &str = "secrets.key";
const BRANCHES_MAX: usize = 50;
/// Of all secrets of a step: they share one environment with everything else.
const STEP_BYTES_MAX: usize = 256 * 1024;
const CHANGES_MAX: usize = 10;
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// A secret to be stored.
#[derive(Debug)]
pub struct SetSecret {
    pub name: String,
    /// Id or name; none: global.
    pub pipeline: Option<String>,
    pub value: Secret<String>,
    pub description: Option<String>,
    pub branches: Vec<String>,
    pub allow_untrusted: bool,
}

/// Stores a secret, in place of any of its name.
///
/// # Errors
///
/// - `Invalid` if a field breaks a rule; never with the value.
/// - `NotFound` if there is no such pipeline, `Forbidden` if the actor is not its admin.
/// - `Conflict` if others change it all the time, or if the key of those that are stored is not here.
pub async fn set(app: &App, actor: &Actor, request: SetSecret) -> Result<SecretInfo> {
    let SetSecret { name, pipeline, value, description, branches, allow_untrusted } = request;
    text::secret_name(&name).map_err(|reason| Error::invalid("name", reason))?;
    text::secret_value(value.reveal()).map_err(|reason| Error::invalid("value", reason))?;
    if BRANCHES_MAX < branches.len() {
        return Err(Error::invalid("branches", format!("has more than {BRANCHES_MAX} patterns")));
    }
    for (index, pattern) in branches.iter().enumerate() {
        let wrong = |reason| Error::invalid(format!("branches[{index}]"), reason);
        text::branch_pattern(pattern).map_err(wrong)?;
    }
    let pipeline_id = scope(app, actor, pipeline.as_deref()).await?;
    let ring = ring_to_write(app).await?;
    for _ in 0..CHANGES_MAX {
        let known = store::secrets::find(&app.store, pipeline_id.as_ref(), &name).await?;
        let now = now();
        let by = actor.name.clone();
        let mut info = SecretInfo {
            name: name.clone(),
            pipeline_id: pipeline_id.clone(),
            description: description.clone(),
            branches: branches.clone(),
            allow_untrusted,
            version: 1,
            created_at: now,
            created_by: by.clone(),
            updated_at: now,
            updated_by: by,
            last_used_at: None,
        };
        let is_new = known.is_none();
        if let Some(known) = known {
            let SecretInfo { version, created_at, created_by, last_used_at, .. } = known.info;
            info = SecretInfo { version: version + 1, created_at, created_by, last_used_at, ..info };
        }
        let sealed = ring.seal(&bound(&info), nonce()?, value.reveal());
        let sealed = sealed.map_err(|error| Error::internal("encrypting a secret", error))?;
        let new = StoredSecret { info, sealed };
        let is_stored = match is_new {
            true => store::secrets::insert(&app.store, &new).await?,
            false => store::secrets::replace(&app.store, &new).await?,
        };
        if is_stored {
            return Ok(new.info);
        }
    }
    Err(Error::Conflict("others change the secret: look at it and try again".to_owned()))
}

/// Of a pipeline, or the global ones, without their values.
pub async fn list(
    app: &App,
    actor: &Actor,
    pipeline: Option<&str>,
    page: PageRequest,
) -> Result<Page<SecretInfo>> {
    let pipeline = scope(app, actor, pipeline).await?;
    store::secrets::list(&app.store, pipeline.as_ref(), page).await
}

/// `NotFound`.
pub async fn delete(app: &App, actor: &Actor, pipeline: Option<&str>, name: &str) -> Result<()> {
    let pipeline = scope(app, actor, pipeline).await?;
    match store::secrets::delete(&app.store, pipeline.as_ref(), name).await? {
        true => Ok(()),
        false => Err(Error::not_found("secret", name)),
    }
}

async fn scope(app: &App, actor: &Actor, pipeline: Option<&str>) -> Result<Option<PipelineId>> {
    match pipeline {
        Some(pipeline) => Ok(Some(access::pipeline(app, actor, pipeline, Role::Admin).await?.id)),
        None if actor.may(Role::Admin) => Ok(None),
        None => Err(Error::Forbidden("global secrets need the role admin: name a pipeline".to_owned())),
    }
}

/// A variable of a step, and its value.
pub type Given = (String, Secret<String>);

/// Why a step is not given its secrets: another try would meet the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no secret {0}, of the pipeline or global: set it")]
    Missing(String),
    #[error("the secret {name} is withheld: {reason}")]
    Withheld { name: String, reason: String },
    #[error("the secret {name} cannot be read: {reason}")]
    Unreadable { name: String, reason: String },
    #[error("the secrets of the step have more than {} KiB in all", STEP_BYTES_MAX / 1024)]
    TooLarge,
}

/// The secrets that a step names, or why it is not to begin.
pub async fn for_step(app: &App, run: &Run, step: &StepDefinition) -> Result<Result<Vec<Given>, Refused>> {
    let mut given = Vec::new();
    if step.secrets.is_empty() {
        return Ok(Ok(given));
    }
    let ring = ring(&app.config.data_dir);
    let mut bytes = 0;
    for wanted in &step.secrets {
        let name = wanted.name.clone();
        let found = match store::secrets::find(&app.store, Some(&run.pipeline_id), &name).await? {
            Some(own) => Some(own),
            None => store::secrets::find(&app.store, None, &name).await?,
        };
        let Some(found) = found else { return Ok(Err(Refused::Missing(name))) };
        if let Some(reason) = withheld(run, &found.info) {
            return Ok(Err(Refused::Withheld { name, reason }));
        }
        let value = match open(&ring, &found) {
            Ok(value) => value,
            Err(reason) => return Ok(Err(Refused::Unreadable { name, reason })),
        };
        bytes += value.reveal().len();
        if STEP_BYTES_MAX < bytes {
            return Ok(Err(Refused::TooLarge));
        }
        given.push((wanted.env.clone(), value));
        if found.info.last_used_at.is_none_or(|at| TOUCH_INTERVAL < now().since(at)) {
            store::secrets::touch(&app.store, &found.info, now()).await?;
        }
    }
    Ok(Ok(given))
}

fn open(ring: &Result<Option<KeyRing>>, stored: &StoredSecret) -> Result<Secret<String>, String> {
    let ring = ring.as_ref().map_err(Error::chain)?;
    let ring =
        ring.as_ref().ok_or_else(|| format!("{KEY_FILE} is not in the data directory of this machine"))?;
    ring.open(&bound(&stored.info), &stored.sealed).map_err(|error| error.to_string())
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
fn bound(info: &SecretInfo) -> String {
    let scope = info.pipeline_id.as_ref().map(PipelineId::as_str);
    serde_json::json!(["slipway secret", scope, info.name, info.version]).to_string()
}

/// The keys of this machine; none: no secret was ever set here.
fn ring(data_dir: &Path) -> Result<Option<KeyRing>> {
    let text = match std::fs::read_to_string(data_dir.join(KEY_FILE)) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::internal("reading the key of the secrets", error)),
    };
    let ring = KeyRing::parse(text.reveal());
    ring.map(Some).map_err(|error| Error::internal("reading the key of the secrets", error))
}

/// The keys of this machine, made with the first secret of all. A key that was lost, or that another machine has, is never
/// made anew: what it has written could not be read by the new one.
async fn ring_to_write(app: &App) -> Result<KeyRing> {
    if let Some(ring) = ring(&app.config.data_dir)? {
        return Ok(ring);
    }
    if !store::secrets::key_ids(&app.store).await?.is_empty() {
        return Err(Error::Conflict(format!(
            "there are secrets, and {KEY_FILE} is not in the data directory of this server: copy it there from where they \
             were set, or delete them all"
        )));
    }
    make_ring(&app.config.data_dir)
}

/// As `ring`, made if there is none. Whole before it has its name, so that two processes agree.
fn make_ring(data_dir: &Path) -> Result<KeyRing> {
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

fn nonce() -> Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| Error::internal("making a nonce", error))?;
    Ok(nonce)
}
