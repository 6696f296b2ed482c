//! Access: the admin token, tokens with roles, sign-in of browsers.

use std::time::Duration;

use crate::app::App;
use crate::domain::secret::Secret;
use crate::domain::token::{Actor, Role, Token};
use crate::error::Result;
use crate::store::page::{Page, PageRequest};

#[derive(Debug, Clone)]
pub struct CreateToken {
    pub name: String,
    pub role: Role,
    pub expires_in: Option<Duration>,
}

/// Makes a token; its value is given this once. `Conflict` if the name is taken.
pub async fn create(app: &App, actor: &Actor, request: CreateToken) -> Result<(Token, Secret<String>)> {
    let _ = (app, actor, request);
    unimplemented!()
}

pub async fn list(app: &App, page: PageRequest) -> Result<Page<Token>> {
    let _ = (app, page);
    unimplemented!()
}

/// By id or name. `NotFound`.
pub async fn revoke(app: &App, actor: &Actor, id_or_name: &str) -> Result<()> {
    let _ = (app, actor, id_or_name);
    unimplemented!()
}

/// Whom a token or session value belongs to. `Unauthenticated`.
pub async fn authenticate(app: &App, value: &str) -> Result<Actor> {
    let _ = (app, value);
    unimplemented!()
}
