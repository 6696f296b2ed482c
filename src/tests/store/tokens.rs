//! Access tokens and sessions in the store.

use slipway::domain::ids::TokenId;
use slipway::domain::token::{Role, Token, TokenKind};
use slipway::error::Error;
use slipway::store::Store;
use slipway::store::page::PageRequest;
use slipway::store::tokens::{Browser, delete, delete_expired, find_by_hash, insert, list, touch};

use super::factory::at;

on_both_engines!(
    a_token_is_found_by_its_hash_and_notes_its_use,
    names_and_hashes_are_taken_once,
    a_token_is_deleted_by_id_or_by_name,
    only_sessions_that_have_expired_are_removed,
    tokens_are_listed_by_kind_newest_first,
);

fn token(name: &str, kind: TokenKind) -> Token {
    Token {
        id: TokenId::generate(),
        name: name.to_owned(),
        kind,
        role: Some(Role::Operator),
        grants: Vec::new(),
        person_id: None,
        created_by: None,
        created_at: at(1),
        expires_at: None,
        last_used_at: None,
    }
}

async fn a_token_is_found_by_its_hash_and_notes_its_use(store: Store) {
    let token = Token { expires_at: Some(at(9)), ..token("ci ✓", TokenKind::Api) };
    insert(&store, &token, &[7; 32], &Browser::default()).await.unwrap();
    assert_eq!(find_by_hash(&store, &[7; 32]).await.unwrap().as_ref(), Some(&token));
    assert_eq!(find_by_hash(&store, &[8; 32]).await.unwrap(), None);
    touch(&store, &token.id, at(5)).await.unwrap();
    let used = Token { last_used_at: Some(at(5)), ..token };
    assert_eq!(find_by_hash(&store, &[7; 32]).await.unwrap(), Some(used));
    touch(&store, &TokenId::generate(), at(5)).await.unwrap();
}

async fn names_and_hashes_are_taken_once(store: Store) {
    insert(&store, &token("ci", TokenKind::Api), &[1; 32], &Browser::default()).await.unwrap();
    let refused =
        insert(&store, &token("ci", TokenKind::Api), &[2; 32], &Browser::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(text) if text.contains("ci")));
    assert!(matches!(
        insert(&store, &token("x", TokenKind::Api), &[1; 32], &Browser::default()).await,
        Err(Error::Conflict(_))
    ));
    for n in 3..5 {
        insert(&store, &token("ci", TokenKind::Session), &[n; 32], &Browser::default()).await.unwrap();
    }
}

async fn a_token_is_deleted_by_id_or_by_name(store: Store) {
    let api = token("ci", TokenKind::Api);
    let session = token("ci", TokenKind::Session);
    insert(&store, &api, &[1; 32], &Browser::default()).await.unwrap();
    insert(&store, &session, &[2; 32], &Browser::default()).await.unwrap();
    assert!(!delete(&store, "absent").await.unwrap());
    assert!(!delete(&store, TokenId::generate().as_str()).await.unwrap());
    assert!(delete(&store, "ci").await.unwrap());
    assert!(!delete(&store, "ci").await.unwrap(), "a session has no name of its own");
    assert!(delete(&store, session.id.as_str()).await.unwrap());
    assert_eq!(find_by_hash(&store, &[2; 32]).await.unwrap(), None);
}

async fn only_sessions_that_have_expired_are_removed(store: Store) {
    let cases = [
        (TokenKind::Session, Some(5), true),
        (TokenKind::Session, Some(10), false),
        (TokenKind::Session, None, false),
        (TokenKind::Api, Some(5), false),
    ];
    for (n, (kind, expires_at, _)) in cases.iter().enumerate() {
        let token = Token { expires_at: expires_at.map(at), ..token(&n.to_string(), *kind) };
        insert(&store, &token, &[n as u8; 32], &Browser::default()).await.unwrap();
    }
    assert_eq!(delete_expired(&store, at(10)).await.unwrap(), 1);
    assert_eq!(delete_expired(&store, at(10)).await.unwrap(), 0);
    for (n, (.., removed)) in cases.iter().enumerate() {
        assert_eq!(find_by_hash(&store, &[n as u8; 32]).await.unwrap().is_none(), *removed, "{n}");
    }
}

async fn tokens_are_listed_by_kind_newest_first(store: Store) {
    let mut expected = Vec::new();
    for n in 0..6_u8 {
        let kind = if n % 3 == 0 { TokenKind::Session } else { TokenKind::Api };
        let token = token(&n.to_string(), kind);
        insert(&store, &token, &[n; 32], &Browser::default()).await.unwrap();
        if kind == TokenKind::Api {
            expected.insert(0, token);
        }
    }
    let first = list(&store, TokenKind::Api, PageRequest { limit: 3, cursor: None }).await.unwrap();
    let cursor = first.next_cursor.clone();
    assert!(cursor.is_some());
    let second = list(&store, TokenKind::Api, PageRequest { limit: 3, cursor }).await.unwrap();
    assert_eq!(second.next_cursor, None);
    assert_eq!([first.items, second.items].concat(), expected);
}
