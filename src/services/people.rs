//! People: their accounts, and how they sign in.

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::ids::{PersonId, TokenId};
use crate::domain::person::{Identity, Person};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, GRANTS_MAX, Grant, Role, Session};
use crate::error::{Error, Result};
use crate::services::{audit, passwords, standing, throttle, tokens};
use crate::store;
use crate::store::page::{Page, PageRequest};
use crate::store::tokens::{Browser, End};

pub use crate::store::people::PersonChange;

pub(super) const SIGN_IN: &str = "auth.signIn";
const NO_ACCOUNT: &str = "no account is behind this access: sign in as a person";
const OWN_ACCOUNT: &str = "this is your own account: another admin has to do that";

/// A person to be given an account.
#[derive(Debug, Clone)]
pub struct CreatePerson {
    pub login: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Option<Secret<String>>,
    /// Who they are at the provider of single sign-on.
    pub subject: Option<String>,
    pub role: Option<Role>,
    pub grants: Vec<Grant>,
}

/// # Errors
///
/// - `Invalid` if a field breaks a rule.
/// - `Conflict` if the login or the subject is taken, or if there is a subject and no provider.
pub async fn create(app: &App, request: CreatePerson) -> Result<Person> {
    let CreatePerson { login, name, email, password, subject, role, grants } = request;
    let login = login.to_lowercase();
    text::token_name(&login).map_err(|reason| Error::invalid("login", reason))?;
    let name = name.unwrap_or_else(|| login.clone());
    text::token_name(&name).map_err(|reason| Error::invalid("name", reason))?;
    check_grants(&grants)?;
    let hash = match password {
        Some(password) => Some(passwords::hash("password", password).await?),
        None => None,
    };
    let person = Person {
        id: PersonId::generate(),
        login,
        name,
        email,
        role,
        grants,
        disabled: false,
        has_password: hash.is_some(),
        identity: subject.map(|subject| identity(app, subject)).transpose()?,
        created_at: now(),
        signed_in_at: None,
    };
    store::people::insert(&app.store, &person, hash.as_ref()).await?;
    Ok(person)
}

/// Somebody at the provider of the settings. `Conflict` if there is none.
pub fn identity(app: &App, subject: String) -> Result<Identity> {
    let none = || Error::Conflict("no single sign-on is set up: see the settings oidc.*".to_owned());
    let config = app.config.oidc.as_ref().ok_or_else(none)?;
    Ok(Identity { issuer: config.issuer.clone(), subject })
}

/// By login; `search` is part of it, in either case.
pub async fn list(app: &App, search: Option<&str>, page: PageRequest) -> Result<Page<Person>> {
    store::people::list(&app.store, search, page).await
}

/// By id or login. `NotFound`.
pub async fn get(app: &App, id_or_login: &str) -> Result<Person> {
    if let Ok(id) = id_or_login.parse::<PersonId>()
        && let Some(person) = store::people::find(&app.store, &id).await?
    {
        return Ok(person);
    }
    let found = store::people::find_by_login(&app.store, &id_or_login.to_lowercase()).await?;
    found.map(|(person, _)| person).ok_or_else(|| Error::not_found("person", id_or_login))
}

/// Changes what `change` names. It holds from the next request on, and for open streams within some seconds. `Conflict` if
/// the actor would keep themselves out.
pub async fn update(app: &App, actor: &Actor, id_or_login: &str, change: PersonChange) -> Result<Person> {
    if let Some(name) = &change.name {
        text::token_name(name).map_err(|reason| Error::invalid("name", reason))?;
    }
    if let Some(grants) = &change.grants {
        check_grants(grants)?;
    }
    let id = get(app, id_or_login).await?.id;
    let is_disabled = change.disabled == Some(true);
    if is_disabled || change.role.is_some_and(|role| role != Some(Role::Admin)) {
        check_other(actor, &id)?;
    }
    if !store::people::update(&app.store, &id, change).await? {
        return Err(Error::not_found("person", id_or_login));
    }
    if is_disabled {
        // They are refused as it is; so that they do not come back with the account.
        store::tokens::end_sessions(&app.store, &id, End::AllBut(None)).await?;
    }
    standing::changed(app).await;
    get(app, id.as_str()).await
}

/// Deletes an account with its sessions and tokens. `Conflict` if it is the actor's.
pub async fn delete(app: &App, actor: &Actor, id_or_login: &str) -> Result<()> {
    let id = get(app, id_or_login).await?.id;
    check_other(actor, &id)?;
    if !store::people::delete(&app.store, &id).await? {
        return Err(Error::not_found("person", id_or_login));
    }
    standing::changed(app).await;
    Ok(())
}

/// Gives somebody a new password, and ends their sessions.
pub async fn set_password(app: &App, id_or_login: &str, password: Secret<String>) -> Result<()> {
    let id = get(app, id_or_login).await?.id;
    replace_password(app, &id, passwords::hash("password", password).await?, None).await
}

/// Gives the caller a new password, and ends their other sessions. `Invalid` if the present one is another.
pub async fn change_password(
    app: &App,
    actor: &Actor,
    present: Secret<String>,
    new: Secret<String>,
) -> Result<()> {
    let id = person_of(actor)?;
    let person = get(app, id.as_str()).await?;
    if let Some(retry_after) = throttle::attempt(app, &person.login).await {
        return Err(Error::TooMany { what: "attempts", retry_after });
    }
    let hash = store::people::find_by_login(&app.store, &person.login).await?.and_then(|(_, hash)| hash);
    if !passwords::verify(present, hash).await? {
        return Err(Error::invalid("present", "is not the present password"));
    }
    let hash = passwords::hash("new", new).await?;
    throttle::succeeded(app, &person.login).await;
    replace_password(app, id, hash, actor.token.as_ref()).await
}

async fn replace_password(
    app: &App,
    id: &PersonId,
    hash: store::people::PasswordHash,
    stays: Option<&TokenId>,
) -> Result<()> {
    if !store::people::set_password(&app.store, id, &hash).await? {
        return Err(Error::not_found("person", id));
    }
    store::tokens::end_sessions(&app.store, id, End::AllBut(stays)).await?;
    standing::changed(app).await;
    Ok(())
}

/// Whether the caller has a password, which they can change then.
pub async fn has_password(app: &App, actor: &Actor) -> Result<bool> {
    let Some(id) = &actor.person else { return Ok(false) };
    Ok(store::people::find(&app.store, id).await?.is_some_and(|person| person.has_password))
}

/// The caller's sessions, newest first.
pub async fn sessions(app: &App, actor: &Actor) -> Result<Vec<Session>> {
    store::tokens::sessions(&app.store, person_of(actor)?, actor.token.as_ref()).await
}

/// Ends one session of the caller's, or without an id all others; how many. `NotFound` if it is none of theirs.
pub async fn end_sessions(app: &App, actor: &Actor, id: Option<&str>) -> Result<u64> {
    let person = person_of(actor)?;
    let ended = match id {
        None => store::tokens::end_sessions(&app.store, person, End::AllBut(actor.token.as_ref())).await?,
        Some(text) => {
            let missing = || Error::not_found("session", text);
            let id = text.parse().map_err(|_| missing())?;
            let ended = store::tokens::end_sessions(&app.store, person, End::One(&id)).await?;
            if ended == 0 {
                return Err(missing());
            }
            ended
        }
    };
    standing::changed(app).await;
    Ok(ended)
}

/// What came of a try to sign in.
#[derive(Debug)]
pub enum SignIn {
    /// The value of the new session.
    Done(Secret<String>),
    /// There is no such account, or it is disabled, or it has another password: which, nobody is told.
    Wrong,
    /// After so many attempts, in how much time the next one is looked at.
    Throttled(std::time::Duration),
}

/// Signs somebody in by their password. It takes the same time whether there is such an account.
pub async fn sign_in(app: &App, login: &str, password: Secret<String>, browser: Browser) -> Result<SignIn> {
    let ip = browser.ip;
    let login = login.to_lowercase();
    if let Some(wait) = throttle::attempt(app, &login).await {
        audit::record_stranger(app, None, ip, Deed::refused(SIGN_IN, "too many attempts")).await;
        return Ok(SignIn::Throttled(wait));
    }
    let found = store::people::find_by_login(&app.store, &login).await?;
    let (person, hash) = found.map_or((None, None), |(person, hash)| (Some(person), hash));
    let is_right = passwords::verify(password, hash).await?;
    match person {
        Some(person) if is_right && !person.disabled => {
            let value = tokens::begin_session(app, &person, browser).await?;
            store::people::note_sign_in(&app.store, &person.id, now()).await?;
            throttle::succeeded(app, &login).await;
            let deed = Deed::done(SIGN_IN).to("person", person.id.as_str());
            let actor = Actor { ip, ..tokens::actor_of(&person) };
            audit::record(app, &actor, deed).await;
            Ok(SignIn::Done(value))
        }
        person => {
            let why = match &person {
                Some(person) if person.disabled => "the account is disabled",
                Some(_) => "wrong password",
                // What was typed is not repeated: it may be a password in the wrong field.
                None => "no such account",
            };
            let name = person.as_ref().map(|person| person.login.as_str());
            audit::record_stranger(app, name, ip, Deed::refused(SIGN_IN, why)).await;
            Ok(SignIn::Wrong)
        }
    }
}

/// A bound on how many, and each pipeline once.
pub fn check_grants(grants: &[Grant]) -> Result<()> {
    if GRANTS_MAX < grants.len() {
        return Err(Error::invalid("grants", format!("at most {GRANTS_MAX} pipelines")));
    }
    let mut ids: Vec<_> = grants.iter().map(|grant| &grant.pipeline_id).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.len() == grants.len() {
        true => Ok(()),
        false => Err(Error::invalid("grants", "names a pipeline twice")),
    }
}

/// Nobody shuts themselves out: so there is always an admin left who can let others in.
fn check_other(actor: &Actor, id: &PersonId) -> Result<()> {
    match actor.person.as_ref() == Some(id) {
        true => Err(Error::Conflict(OWN_ACCOUNT.to_owned())),
        false => Ok(()),
    }
}

fn person_of(actor: &Actor) -> Result<&PersonId> {
    actor.person.as_ref().ok_or_else(|| Error::Forbidden(NO_ACCOUNT.to_owned()))
}
