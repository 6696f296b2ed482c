//! Secrets: stored under a key, and given to the steps that name them. No value is ever given out otherwise.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::app::App;
use crate::domain::branches;
use crate::domain::ids::PipelineId;
use crate::domain::keyring::{KEY_BYTES, KeyRing, NONCE_BYTES};
use crate::domain::mask::SECRET_CHARS_MIN;
use crate::domain::pipeline::StepDefinition;
use crate::domain::run::Run;
use crate::domain::secret::{Secret, SecretInfo, VALUE_BYTES_MAX};
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::store;
use crate::store::page::{Page, PageRequest};
use crate::store::secrets::StoredSecret;

/// In the data directory; made with the first secret.
pub const KEY_FILE: &str = "secrets.key";
const BRANCHES_MAX: usize = 50;
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
/// - `NotFound` if there is no such pipeline.
/// - `Conflict` if others change it all the time.
pub async fn set(app: &App, actor: &Actor, request: SetSecret) -> Result<SecretInfo> {
    let SetSecret { name, pipeline, value, description, branches, allow_untrusted } = request;
    text::secret_name(&name).map_err(|reason| Error::invalid("name", reason))?;
    let is_short = value.reveal().trim_end_matches(['\n', '\r']).chars().count() < SECRET_CHARS_MIN;
    if is_short || VALUE_BYTES_MAX < value.reveal().len() || value.reveal().contains('\0') {
        let reason =
            format!("must have {SECRET_CHARS_MIN} characters to {VALUE_BYTES_MAX} bytes, and no NUL");
        return Err(Error::invalid("value", reason));
    }
    if BRANCHES_MAX < branches.len() {
        return Err(Error::invalid("branches", format!("has more than {BRANCHES_MAX} patterns")));
    }
    for (index, pattern) in branches.iter().enumerate() {
        let wrong = |reason| Error::invalid(format!("branches[{index}]"), reason);
        text::branch_pattern(pattern).map_err(wrong)?;
    }
    let pipeline_id = scope(app, pipeline.as_deref()).await?;
    let ring = make_ring(&app.config.data_dir)?;
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
pub async fn list(app: &App, pipeline: Option<&str>, page: PageRequest) -> Result<Page<SecretInfo>> {
    let pipeline = scope(app, pipeline).await?;
    store::secrets::list(&app.store, pipeline.as_ref(), page).await
}

/// `NotFound`.
pub async fn delete(app: &App, pipeline: Option<&str>, name: &str) -> Result<()> {
    let pipeline = scope(app, pipeline).await?;
    match store::secrets::delete(&app.store, pipeline.as_ref(), name).await? {
        true => Ok(()),
        false => Err(Error::not_found("secret", name)),
    }
}

async fn scope(app: &App, pipeline: Option<&str>) -> Result<Option<PipelineId>> {
    let Some(pipeline) = pipeline else { return Ok(None) };
    let found = store::pipelines::find(&app.store, pipeline).await?;
    found.map(|found| Some(found.id)).ok_or_else(|| Error::not_found("pipeline", pipeline))
}

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
