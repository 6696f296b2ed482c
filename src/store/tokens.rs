//! Queries on access tokens. Only their hashes are kept.

use std::net::IpAddr;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::ids::{PersonId, TokenId};
use crate::domain::time::Timestamp;
use crate::domain::token::{Session, Token, TokenKind};
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, json, millis, role_text};
use crate::store::entities::token;
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};

/// What is known of the browser of a session.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    pub device: Option<String>,
    pub ip: Option<IpAddr>,
}

/// Adds a token. `Conflict` if an API token of this name exists.
pub async fn insert(store: &Store, token: &Token, hash: &[u8; 32], browser: &Browser) -> Result<()> {
    let row = token::ActiveModel {
        id: Set(token.id.to_string()),
        hash: Set(hash.to_vec()),
        name: Set(token.name.clone()),
        kind: Set(token.kind.as_str().to_owned()),
        role: Set(role_text(token.role).to_owned()),
        created_at: Set(token.created_at.as_millis()),
        expires_at: Set(millis(token.expires_at)),
        last_used_at: Set(millis(token.last_used_at)),
        person_id: Set(token.person_id.as_ref().map(ToString::to_string)),
        grants: Set(Some(json(&token.grants)?)),
        created_by: Set(token.created_by.clone()),
        device: Set(browser.device.clone()),
        ip: Set(browser.ip.map(|ip| ip.to_string())),
    };
    token::Entity::insert(row)
        .exec_without_returning(&store.writer)
        .await
        .doing_unless("adding a token", || format!("there is a token named {} already", token.name))?;
    Ok(())
}

pub async fn find_by_hash(store: &Store, hash: &[u8; 32]) -> Result<Option<Token>> {
    let row = by_hash(hash).one(&store.reader).await.doing("looking up a token")?;
    row.map(read).transpose()
}

pub async fn find(store: &Store, id: &TokenId) -> Result<Option<Token>> {
    let row = token::Entity::find_by_id(id.as_str()).one(&store.reader).await.doing("looking up a token")?;
    row.map(read).transpose()
}

pub(super) fn by_hash(hash: &[u8; 32]) -> Select<token::Entity> {
    token::Entity::find().filter(token::Column::Hash.eq(hash.to_vec()))
}

/// Newest first.
pub async fn list(store: &Store, kind: TokenKind, page: PageRequest) -> Result<Page<Token>> {
    let query = list_query(kind, page.after_id()?.as_ref(), page.rows());
    let rows = query.all(&store.reader).await.doing("listing tokens")?;
    let tokens = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.page_of_ids(tokens, |token| token.id.as_str()))
}

pub(super) fn list_query(kind: TokenKind, before: Option<&TokenId>, rows: u64) -> Select<token::Entity> {
    let query = token::Entity::find()
        .filter(token::Column::Kind.eq(kind.as_str()))
        .order_by_desc(token::Column::Id)
        .limit(rows);
    match before {
        Some(id) => query.filter(token::Column::Id.lt(id.as_str())),
        None => query,
    }
}

/// Whether there was one of this id or name. Only API tokens have names of their own.
pub async fn delete(store: &Store, id_or_name: &str) -> Result<bool> {
    const DOING: &str = "deleting a token";
    let delete = |which: SimpleExpr| token::Entity::delete_many().filter(which).exec(&store.writer);
    if let Ok(id) = id_or_name.parse::<TokenId>() {
        let deleted = delete(token::Column::Id.eq(id.as_str())).await.doing(DOING)?;
        if 0 < deleted.rows_affected {
            return Ok(true);
        }
    }
    let named = token::Column::Name.eq(id_or_name).and(is_kind(TokenKind::Api));
    Ok(0 < delete(named).await.doing(DOING)?.rows_affected)
}

/// How many sessions of a person are listed.
const SESSIONS_MAX: u64 = 100;

/// A person's sessions, newest first.
pub async fn sessions(store: &Store, person: &PersonId, current: Option<&TokenId>) -> Result<Vec<Session>> {
    const READER: Reader = Reader("listing sessions");
    let rows = sessions_query(person).all(&store.reader).await.doing(READER.0)?;
    rows.into_iter()
        .map(|row| {
            let id: TokenId = READER.id("id", &row.id)?;
            Ok(Session {
                current: current == Some(&id),
                id,
                device: row.device,
                ip: row.ip,
                created_at: Timestamp::from_millis(row.created_at),
                expires_at: Reader::at(row.expires_at),
                last_used_at: Reader::at(row.last_used_at),
            })
        })
        .collect()
}

pub(super) fn sessions_query(person: &PersonId) -> Select<token::Entity> {
    token::Entity::find()
        .filter(token::Column::PersonId.eq(person.as_str()))
        .filter(token::Column::Kind.eq(TokenKind::Session.as_str()))
        .order_by_desc(token::Column::Id)
        .limit(SESSIONS_MAX)
}

/// Which sessions of a person end.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    One(&'a TokenId),
    AllBut(Option<&'a TokenId>),
}

/// Ends sessions of a person; how many there were.
pub async fn end_sessions(store: &Store, person: &PersonId, which: End<'_>) -> Result<u64> {
    let sessions = token::Entity::delete_many()
        .filter(token::Column::PersonId.eq(person.as_str()))
        .filter(token::Column::Kind.eq(TokenKind::Session.as_str()));
    let sessions = match which {
        End::One(id) => sessions.filter(token::Column::Id.eq(id.as_str())),
        End::AllBut(Some(id)) => sessions.filter(token::Column::Id.ne(id.as_str())),
        End::AllBut(None) => sessions,
    };
    Ok(sessions.exec(&store.writer).await.doing("ending sessions")?.rows_affected)
}

/// Notes when a token was last used.
pub async fn touch(store: &Store, id: &TokenId, now: Timestamp) -> Result<()> {
    token::Entity::update_many()
        .col_expr(token::Column::LastUsedAt, Expr::value(now.as_millis()))
        .filter(token::Column::Id.eq(id.as_str()))
        .exec(&store.writer)
        .await
        .doing("noting the use of a token")?;
    Ok(())
}

/// Removes sessions that expired before `now`; how many.
pub async fn delete_expired(store: &Store, now: Timestamp) -> Result<u64> {
    let deleted = token::Entity::delete_many()
        .filter(is_kind(TokenKind::Session))
        .filter(token::Column::ExpiresAt.lt(now.as_millis()))
        .exec(&store.writer)
        .await
        .doing("removing expired sessions")?;
    Ok(deleted.rows_affected)
}

/// The kind as a literal rather than a parameter, so that partial indexes can be used.
fn is_kind(kind: TokenKind) -> SimpleExpr {
    Expr::col(token::Column::Kind).eq(Expr::cust(format!("'{}'", kind.as_str())))
}

fn read(row: token::Model) -> Result<Token> {
    const READER: Reader = Reader("reading a row of tokens");
    Ok(Token {
        id: READER.id("id", &row.id)?,
        name: row.name,
        kind: READER.word("kind", &row.kind, TokenKind::parse(&row.kind))?,
        role: READER.role(&row.role)?,
        grants: READER.json("grants", row.grants.as_deref().unwrap_or("[]"))?,
        person_id: row.person_id.map(|id| READER.id("person_id", &id)).transpose()?,
        created_by: row.created_by,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Reader::at(row.expires_at),
        last_used_at: Reader::at(row.last_used_at),
    })
}
