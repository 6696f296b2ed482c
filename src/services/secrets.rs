//! Secrets: stored under a key, and given to the steps that name them. No value is ever given out otherwise.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::app::App;
use crate::domain::audit::{Deed, Entry};
use crate::domain::branches;
use crate::domain::ids::{AuditId, PipelineId};
use crate::domain::keyring::{KeyError, KeyRing, NONCE_BYTES, Sealed};
use crate::domain::pipeline::StepDefinition;
use crate::domain::run::Run;
use crate::domain::secret::{Secret, SecretInfo};
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::access;
use crate::services::secret_keys::{Keys, new_key};
use crate::store::page::{Page, PageRequest};
use crate::store::secrets::StoredSecret;
use crate::store::{self, Store};

const BRANCHES_MAX: usize = 50;
/// Of all secrets of a step: they share one environment with everything else.
const STEP_BYTES_MAX: usize = 256 * 1024;
const CHANGES_MAX: usize = 10;
/// How often a step's secrets are looked up while their key changes.
const LOOKS_MAX: usize = 3;
/// Secrets that are encrypted anew at a time.
const SLICE: usize = 50;
/// A rotation that meets more that it cannot read goes no further with their key.
const UNREADABLE_MAX: usize = 1_000;
/// How many of many are named.
const NAMED_MAX: usize = 5;
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
    let mut ring = ring_to_write(app).await?;
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
        let new = StoredSecret { sealed: seal(&ring, &info, &value)?, info };
        let is_stored = match is_new {
            true => store::secrets::insert(&app.store, &new).await?,
            false => store::secrets::replace(&app.store, &new).await?,
        };
        let before = std::mem::replace(&mut ring, ring_to_write(app).await?);
        // A rotation that has begun since may be past it, and drop the key that it was stored under.
        if is_stored && before.first_id() == ring.first_id() {
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

/// What a step is given for a secret.
#[derive(Debug)]
pub struct Given {
    pub variable: String,
    pub value: Secret<String>,
    /// The variable has the path of a file with the value.
    pub is_file: bool,
}

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
    if step.secrets.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let names: Vec<&str> = step.secrets.iter().map(|wanted| wanted.name.as_str()).collect();
    let mut looks = 0;
    loop {
        looks += 1;
        // In this order: a key is known before anything is stored under it.
        let stored = store::secrets::find_for(&app.store, &run.pipeline_id, &names).await?;
        let ring = match looks {
            1 => app.keys.known().await,
            _ => app.keys.current().await,
        };
        let is_stale = |ring: &KeyRing| stored.iter().any(|found| !ring.has(&found.sealed.key_id));
        // A key took the place of another between the two looks, or after a command was asked.
        if looks < LOOKS_MAX && ring.as_ref().is_ok_and(|ring| ring.as_deref().is_some_and(is_stale)) {
            continue;
        }
        let ring = ring.and_then(|ring| ring.ok_or_else(|| app.keys.missing()));
        let ring = ring.map_err(|error| Error::from(error).chain());
        let outcome = gather(run, step, &stored, ring.as_deref().map_err(String::clone));
        if outcome.is_ok() {
            let is_due = |found: &&StoredSecret| {
                found.info.last_used_at.is_none_or(|at| TOUCH_INTERVAL < now().since(at))
            };
            let due: Vec<&SecretInfo> =
                chosen(step, &stored).flatten().filter(is_due).map(|found| &found.info).collect();
            store::secrets::touch(&app.store, &due, now()).await?;
        }
        return Ok(outcome);
    }
}

/// For each secret that the step names, the one that it means: the pipeline's before the global one.
fn chosen<'a>(
    step: &'a StepDefinition,
    stored: &'a [StoredSecret],
) -> impl Iterator<Item = Option<&'a StoredSecret>> {
    step.secrets.iter().map(|wanted| {
        let of_name = stored.iter().filter(|found| found.info.name == wanted.name);
        of_name.max_by_key(|found| found.info.pipeline_id.is_some())
    })
}

fn gather(
    run: &Run,
    step: &StepDefinition,
    stored: &[StoredSecret],
    ring: Result<&KeyRing, String>,
) -> Result<Vec<Given>, Refused> {
    let mut given = Vec::new();
    let mut bytes = 0;
    for (wanted, found) in step.secrets.iter().zip(chosen(step, stored)) {
        let name = wanted.name.clone();
        let Some(found) = found else { return Err(Refused::Missing(name)) };
        if let Some(reason) = withheld(run, &found.info) {
            return Err(Refused::Withheld { name, reason });
        }
        let opened = ring.clone().and_then(|ring| open(ring, found).map_err(|error| error.to_string()));
        let value = opened.map_err(|reason| Refused::Unreadable { name, reason })?;
        bytes += value.reveal().len();
        if STEP_BYTES_MAX < bytes {
            return Err(Refused::TooLarge);
        }
        given.push(Given { variable: wanted.env.clone(), value, is_file: wanted.is_file });
    }
    Ok(given)
}

fn open(ring: &KeyRing, stored: &StoredSecret) -> Result<Secret<String>, KeyError> {
    ring.open(&bound(&stored.info), &stored.sealed)
}

fn seal(ring: &KeyRing, info: &SecretInfo, value: &Secret<String>) -> Result<Sealed> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| Error::internal("making a nonce", error))?;
    let sealed = ring.seal(&bound(info), nonce, value.reveal());
    sealed.map_err(|error| Error::internal("encrypting a secret", error))
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

/// The keys, made with the first secret of all. A key that was lost, or that another machine has, is never made anew:
/// what it has written could not be read by the new one.
async fn ring_to_write(app: &App) -> Result<Arc<KeyRing>> {
    if let Some(ring) = app.keys.current().await? {
        return Ok(ring);
    }
    if !store::secrets::key_ids(&app.store).await?.is_empty() {
        return Err(Error::Conflict(format!(
            "there are secrets already, and on this server {}; or delete them all",
            app.keys.missing()
        )));
    }
    app.keys.make().await
}

/// What a rotation has done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Under which all secrets are stored now.
    pub key_id: String,
    /// It was made for this.
    pub is_new: bool,
    /// How many secrets were encrypted anew.
    pub secrets: u64,
    /// Keys that were taken out of the file, since nothing is stored under them.
    pub dropped: Vec<String>,
    /// Keys that nothing is stored under, and that are not ours to take away.
    pub unused: Vec<String>,
}

/// Has another key take the place of the one that writes, and encrypts all secrets anew. A file with one key gets a new
/// one, before it; where there are several already, the first of them is the one, so that whatever has interrupted this,
/// it goes on where it was. Until nothing is stored under a key, it stays where servers find it. `elsewhere` are workers
/// of other machines, which have files of their own.
///
/// # Errors
///
/// - `Conflict` if there is no key, or one alone that is not in a file; if somebody else does the same; if a secret
///   cannot be read.
/// - `Unavailable` if the database is.
pub async fn rotate(store: &Store, keys: &Keys, elsewhere: &[String]) -> Result<Rotation> {
    let doing = |error: io::Error| Error::internal("changing the file of keys", error);
    let lock = keys.lock().map_err(doing)?;
    if keys.file().is_some() && lock.is_none() {
        return Err(Error::Conflict("another rotation is under way: see whether it ends".to_owned()));
    }
    let none = || Error::Conflict("there is no key yet: it is made with the first secret".to_owned());
    let mut ring = keys.current().await?.ok_or_else(none)?;
    let is_new = ring.ids().count() == 1;
    if is_new && lock.is_none() {
        return Err(Error::Conflict(format!(
            "{} gives one key: have it give a new one (`slipway secret key`) and then that one, start the servers anew, \
             and try again",
            keys.place()
        )));
    }
    if is_new && !elsewhere.is_empty() {
        return Err(Error::Conflict(format!(
            "there are workers on other machines ({}), which do not know a key that is made here: put a new one \
             (`slipway secret key`) after the old one into the file of each, then before it, and try again",
            elsewhere.join(", ")
        )));
    }
    if is_new {
        keys.write(&ring.text_with_first(&*new_key()?)).map_err(doing)?;
        ring = keys.current().await?.ok_or_else(none)?;
    }
    let secrets = encrypt_anew(store, &ring).await?;
    let used = store::secrets::key_ids(store).await?;
    let mut unused: Vec<String> = ring.ids().skip(1).map(str::to_owned).collect();
    unused.retain(|id| !used.contains(id));
    let mut dropped = Vec::new();
    if lock.is_some() && !unused.is_empty() {
        keys.write(&ring.text_of(|id| !unused.iter().any(|unused| unused == id))).map_err(doing)?;
        std::mem::swap(&mut dropped, &mut unused);
    }
    let rotation = Rotation { key_id: ring.first_id().to_owned(), is_new, secrets, dropped, unused };
    note(store, &rotation).await;
    Ok(rotation)
}

/// In the audit trail. It is done already, so a database that refuses its entry undoes nothing.
async fn note(store: &Store, rotation: &Rotation) {
    let Rotation { key_id, secrets, dropped, .. } = rotation;
    let detail = format!("{secrets} secrets, {} keys dropped", dropped.len());
    let entry = Entry {
        id: AuditId::generate(),
        at: now(),
        actor: Some("slipway secret rotate".to_owned()),
        token: None,
        ip: None,
        request_id: None,
        deed: Deed::done("secrets.rotate").to("key", key_id.as_str()).saying(detail),
    };
    if let Err(error) = store::audit::insert(store, &[entry]).await {
        tracing::error!(error = error.chain(), "A rotation is not in the audit trail");
    }
}

/// Until nothing is stored under another key than the first. A slice at a time, each secret for itself: others read and
/// write meanwhile.
async fn encrypt_anew(store: &Store, ring: &KeyRing) -> Result<u64> {
    let mut done = 0;
    let mut unreadable: Vec<String> = Vec::new();
    for key_id in store::secrets::key_ids(store).await? {
        if key_id == ring.first_id() {
            continue;
        }
        let mut skipped = 0;
        loop {
            let rows = SLICE + skipped;
            let slice = store::secrets::under_key(store, &key_id, rows as u64).await?;
            let Some(slice) = slice.get(skipped..).filter(|slice| !slice.is_empty()) else { break };
            for stored in slice {
                match open(ring, stored) {
                    // Whoever has changed it since has done so under some key of their own time: it is looked at again.
                    Ok(value) => {
                        let sealed = seal(ring, &stored.info, &value)?;
                        done += u64::from(store::secrets::reseal(store, stored, &sealed).await?);
                    }
                    Err(error) => {
                        unreadable.push(format!("{}: {error}", stored.info.name));
                        skipped += 1;
                    }
                }
            }
            if UNREADABLE_MAX < unreadable.len() {
                break;
            }
        }
    }
    if unreadable.is_empty() {
        return Ok(done);
    }
    let count = unreadable.len();
    unreadable.truncate(NAMED_MAX);
    Err(Error::Conflict(format!(
        "{count} secrets cannot be read, and keep their key: {}. Set them anew or delete them, then try again",
        unreadable.join("; ")
    )))
}
