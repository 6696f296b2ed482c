//! Access: the admin token, tokens with roles, sessions of browsers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::domain::ids::TokenId;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role, Token, TokenKind};
use crate::error::{Error, Result};
use crate::store;
use crate::store::page::{Page, PageRequest};

/// Values made here: 256 random bits, so that a plain hash of one cannot be searched for.
const VALUE_BYTES: usize = 32;
/// A longer value is no token.
const VALUE_LENGTH_MAX: usize = 512;
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The last use of a token is noted at most so often: it is asked for at each call.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
pub const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

#[derive(Debug, Clone)]
pub struct CreateToken {
    pub name: String,
    pub role: Role,
    pub expires_in: Option<Duration>,
}

/// Makes a token; its value is given this once.
///
/// # Errors
///
/// - `Invalid` for a bad name or lifetime.
/// - `Conflict` if the name is taken.
pub async fn create(app: &App, _actor: &Actor, request: CreateToken) -> Result<(Token, Secret<String>)> {
    let CreateToken { name, role, expires_in } = request;
    text::token_name(&name).map_err(|reason| Error::invalid("name", reason))?;
    if expires_in.is_some_and(|lifetime| LIFETIME_MAX < lifetime) {
        return Err(Error::invalid("expiresInDays", "expected at most ten years"));
    }
    issue(app, name, TokenKind::Api, role, expires_in).await
}

/// A session for a browser that used a one-time link.
pub async fn sign_in(app: &App) -> Result<Secret<String>> {
    let (_, value) =
        issue(app, "browser".to_owned(), TokenKind::Session, Role::Admin, Some(SESSION_LIFETIME)).await?;
    Ok(value)
}

pub async fn list(app: &App, page: PageRequest) -> Result<Page<Token>> {
    store::tokens::list(&app.store, TokenKind::Api, page).await
}

/// By id or name. `NotFound`.
pub async fn revoke(app: &App, _actor: &Actor, id_or_name: &str) -> Result<()> {
    if store::tokens::delete(&app.store, id_or_name).await? {
        Ok(())
    } else {
        Err(Error::not_found("token", id_or_name))
    }
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
        return Ok(Actor::new("admin", Role::Admin));
    }
    let token = store::tokens::find_by_hash(&app.store, &hash).await?;
    admit(app, token).await?.ok_or(UNKNOWN)
}

/// Whom a token or a session belongs to; none if it was revoked or has expired.
pub(super) async fn holder(app: &App, id: &TokenId) -> Result<Option<Actor>> {
    let token = store::tokens::find(&app.store, id).await?;
    admit(app, token).await
}

/// The actor of a token that is there and has not expired.
async fn admit(app: &App, token: Option<Token>) -> Result<Option<Actor>> {
    let now = now();
    let is_current = |token: &Token| token.expires_at.is_none_or(|at| now < at);
    let Some(token) = token.filter(is_current) else { return Ok(None) };
    if token.last_used_at.is_none_or(|at| TOUCH_INTERVAL < now.since(at)) {
        store::tokens::touch(&app.store, &token.id, now).await?;
    }
    Ok(Some(Actor { token: Some(token.id), ..Actor::new(token.name, token.role) }))
}

/// A value that nobody can guess.
pub fn random_value() -> Result<String> {
    let mut bytes = [0; VALUE_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal("making a random value", error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

async fn issue(
    app: &App,
    name: String,
    kind: TokenKind,
    role: Role,
    expires_in: Option<Duration>,
) -> Result<(Token, Secret<String>)> {
    let value = format!("slw_{}", random_value()?);
    let now = now();
    let token = Token {
        id: TokenId::generate(),
        name,
        kind,
        role,
        created_at: now,
        expires_at: expires_in.map(|lifetime| now.plus(lifetime)),
        last_used_at: None,
    };
    store::tokens::insert(&app.store, &token, &hash(&value)).await?;
    Ok((token, Secret::new(value)))
}

fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}
