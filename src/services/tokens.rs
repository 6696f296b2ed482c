//! Access: the admin token, tokens with roles, sessions of browsers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::domain::bulk::Starter;
use crate::domain::ids::TokenId;
use crate::domain::person::Person;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Grant, Role, Token, TokenKind, grants};
use crate::error::{Error, Result};
use crate::services::{people, standing};
use crate::store;
use crate::store::page::{Page, PageRequest};

pub use crate::store::tokens::Browser;

/// Values made here: 256 random bits, so that a plain hash of one cannot be searched for.
const VALUE_BYTES: usize = 32;
/// A longer value is no token.
const VALUE_LENGTH_MAX: usize = 512;
/// The last use of a token is noted at most so often: it is asked for at each call.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// Who has the admin token.
const ADMIN: &str = "admin";
pub const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

#[derive(Debug, Clone)]
pub struct CreateToken {
    pub name: String,
    pub role: Option<Role>,
    pub grants: Vec<Grant>,
    pub expires_in: Option<Duration>,
}

/// Makes a token; its value is given this once. It is good for no more than its maker: it ends with their account, and
/// not after the token that it was made with.
///
/// # Errors
///
/// - `Invalid` for a bad name, lifetime or grant.
/// - `Conflict` if the name is taken.
pub async fn create(app: &App, actor: &Actor, request: CreateToken) -> Result<(Token, Secret<String>)> {
    let CreateToken { name, role, grants, expires_in } = request;
    text::token_name(&name).map_err(|reason| Error::invalid("name", reason))?;
    people::check_grants(&grants)?;
    if role.is_none() && grants.is_empty() {
        return Err(Error::Conflict("a token needs a role, or grants in pipelines".to_owned()));
    }
    if expires_in.is_some_and(|lifetime| LIFETIME_MAX < lifetime) {
        return Err(Error::invalid("expiresInDays", "expected at most ten years"));
    }
    let token = Token {
        role,
        grants,
        person_id: actor.person.clone(),
        created_by: Some(actor.name.clone()),
        expires_at: expires_in.map(|lifetime| now().plus(lifetime)),
        ..new(name, TokenKind::Api)
    };
    let makers = match &actor.token {
        Some(id) => store::tokens::find(&app.store, id).await?,
        None => None,
    };
    if let Some(until) =
        makers.filter(|maker| maker.kind == TokenKind::Api).and_then(|maker| maker.expires_at)
        && token.expires_at.is_none_or(|at| until < at)
    {
        let reason = format!("the token that makes this one expires at {until}: expected an earlier end");
        return Err(Error::invalid("expiresInDays", reason));
    }
    issue(app, token, &Browser::default()).await
}

/// A session for a browser that used a one-time link.
pub async fn sign_in(app: &App, browser: Browser) -> Result<Secret<String>> {
    let token = Token { role: Some(Role::Admin), ..new("browser".to_owned(), TokenKind::Session) };
    begin(app, token, &browser).await
}

/// A session for somebody who has an account.
pub(super) async fn begin_session(app: &App, person: &Person, browser: Browser) -> Result<Secret<String>> {
    let token = Token { person_id: Some(person.id.clone()), ..new(person.login.clone(), TokenKind::Session) };
    begin(app, token, &browser).await
}

async fn begin(app: &App, token: Token, browser: &Browser) -> Result<Secret<String>> {
    let expires_at = Some(now().plus(app.config.auth.session_lifetime));
    let (_, value) = issue(app, Token { expires_at, ..token }, browser).await?;
    Ok(value)
}

/// Ends the session of a cookie, if it is one: who signs in has a new one.
pub async fn end_session(app: &App, value: &str) -> Result<()> {
    let token = store::tokens::find_by_hash(&app.store, &hash(value)).await?;
    let Some(token) = token.filter(|token| token.kind == TokenKind::Session) else { return Ok(()) };
    end(app, token.id.as_str()).await.map(|_| ())
}

/// Ends the session or token that asks. The admin token has no end.
pub async fn sign_out(app: &App, actor: &Actor) -> Result<()> {
    match &actor.token {
        Some(id) => end(app, id.as_str()).await.map(|_| ()),
        None => Err(Error::Conflict("the admin token cannot be signed out: it is a setting".to_owned())),
    }
}

async fn end(app: &App, id_or_name: &str) -> Result<bool> {
    let was_there = store::tokens::delete(&app.store, id_or_name).await?;
    standing::changed(app).await;
    Ok(was_there)
}

pub async fn list(app: &App, page: PageRequest) -> Result<Page<Token>> {
    store::tokens::list(&app.store, TokenKind::Api, page).await
}

/// By id or name. `NotFound`.
pub async fn revoke(app: &App, _actor: &Actor, id_or_name: &str) -> Result<()> {
    if end(app, id_or_name).await? { Ok(()) } else { Err(Error::not_found("token", id_or_name)) }
}

/// Whom a token or a session's value belongs to. `Unauthenticated`.
pub async fn authenticate(app: &App, value: &str) -> Result<Actor> {
    const UNKNOWN: Error = Error::Unauthenticated("the token is unknown, expired or revoked");
    if VALUE_LENGTH_MAX < value.len() {
        return Err(UNKNOWN);
    }
    let hash = hash(value);
    // Hashes of equal length are compared, so that neither the time nor its length tells of the token.
    if bool::from(hash.ct_eq(&self::hash(app.admin_token.reveal()))) {
        return Ok(Actor::new(ADMIN, Role::Admin));
    }
    let token = store::tokens::find_by_hash(&app.store, &hash).await?;
    admit(app, token).await?.ok_or(UNKNOWN)
}

/// Whom a token or a session belongs to; none if it was revoked or has expired.
pub(super) async fn holder(app: &App, id: &TokenId) -> Result<Option<Actor>> {
    let token = store::tokens::find(&app.store, id).await?;
    admit(app, token).await
}

/// By what somebody's rights are looked at again once their request is over. A person's session is not among it: they may
/// sign out meanwhile.
pub(super) async fn starter(app: &App, actor: &Actor) -> Result<Starter> {
    let token = match &actor.token {
        Some(id) => store::tokens::find(&app.store, id).await?,
        None => None,
    };
    let is_persons = |token: &Token| token.kind == TokenKind::Session && token.person_id.is_some();
    let token = actor.token.clone().filter(|_| !token.as_ref().is_some_and(is_persons));
    Ok(Starter { token, person: actor.person.clone() })
}

/// Who they are now, and what they may; none: their access has ended.
pub(super) async fn actor_again(app: &App, starter: &Starter) -> Result<Option<Actor>> {
    match (&starter.token, &starter.person) {
        (Some(token), _) => holder(app, token).await,
        (None, Some(person)) => {
            let person = store::people::find(&app.store, person).await?;
            Ok(person.filter(|person| !person.disabled).map(|person| actor_of(&person)))
        }
        (None, None) => Ok(Some(Actor::new(ADMIN, Role::Admin))),
    }
}

/// The actor of a token that is there, has not expired, and whose person may still sign in.
async fn admit(app: &App, token: Option<Token>) -> Result<Option<Actor>> {
    let now = now();
    let idle_max = app.config.auth.session_idle;
    let is_current = |token: &Token| {
        let is_idle = token.kind == TokenKind::Session
            && idle_max < now.since(token.last_used_at.unwrap_or(token.created_at));
        token.expires_at.is_none_or(|at| now < at) && !is_idle
    };
    let Some(token) = token.filter(is_current) else { return Ok(None) };
    let person = match &token.person_id {
        None => None,
        Some(id) => match store::people::find(&app.store, id).await?.filter(|person| !person.disabled) {
            Some(person) => Some(person),
            None => return Ok(None),
        },
    };
    if token.last_used_at.is_none_or(|at| TOUCH_INTERVAL < now.since(at)) {
        store::tokens::touch(&app.store, &token.id, now).await?;
    }
    let own = Actor {
        name: token.name,
        role: token.role,
        grants: grants(&token.grants),
        token: Some(token.id),
        person: token.person_id,
        ip: None,
    };
    Ok(Some(match (token.kind, person) {
        (_, None) => own,
        (TokenKind::Session, Some(person)) => Actor { token: own.token, ..actor_of(&person) },
        (TokenKind::Api, Some(person)) => own.within(&actor_of(&person)),
    }))
}

/// What somebody may who has an account.
pub(super) fn actor_of(person: &Person) -> Actor {
    Actor {
        name: person.login.clone(),
        role: person.role,
        grants: grants(&person.grants),
        token: None,
        person: Some(person.id.clone()),
        ip: None,
    }
}

/// A value that nobody can guess.
pub fn random_value() -> Result<String> {
    let mut bytes = [0; VALUE_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal("making a random value", error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn new(name: String, kind: TokenKind) -> Token {
    Token {
        id: TokenId::generate(),
        name,
        kind,
        role: None,
        grants: Vec::new(),
        person_id: None,
        created_by: None,
        created_at: now(),
        expires_at: None,
        last_used_at: None,
    }
}

async fn issue(app: &App, token: Token, browser: &Browser) -> Result<(Token, Secret<String>)> {
    let value = format!("slw_{}", random_value()?);
    store::tokens::insert(&app.store, &token, &hash(&value), browser).await?;
    Ok((token, Secret::new(value)))
}

fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}
