//! Queries on access tokens. Only their hashes are kept.

use crate::domain::ids::TokenId;
use crate::domain::time::Timestamp;
use crate::domain::token::{Token, TokenKind};
use crate::error::Result;
use crate::store::Store;
use crate::store::page::{Page, PageRequest};

/// Adds a token. `Conflict` if an API token of this name exists.
pub async fn insert(store: &Store, token: &Token, hash: &[u8; 32]) -> Result<()> {
    let _ = (store, token, hash);
    unimplemented!()
}

pub async fn find_by_hash(store: &Store, hash: &[u8; 32]) -> Result<Option<Token>> {
    let _ = (store, hash);
    unimplemented!()
}

/// Newest first.
pub async fn list(store: &Store, kind: TokenKind, page: PageRequest) -> Result<Page<Token>> {
    let _ = (store, kind, page);
    unimplemented!()
}

/// Whether there was one of this id or name.
pub async fn delete(store: &Store, id_or_name: &str) -> Result<bool> {
    let _ = (store, id_or_name);
    unimplemented!()
}

/// Notes when a token was last used.
pub async fn touch(store: &Store, id: &TokenId, now: Timestamp) -> Result<()> {
    let _ = (store, id, now);
    unimplemented!()
}

/// Removes sessions that expired before `now`; how many.
pub async fn delete_expired(store: &Store, now: Timestamp) -> Result<u64> {
    let _ = (store, now);
    unimplemented!()
}
