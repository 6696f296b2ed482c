//! Stream tickets: what a client shows that can send neither a header nor a cookie when it opens a subscription.
//!
//! A ticket stands in an address, and addresses end in the logs of proxies. So it opens one subscription with one
//! input, for whom it was made for, and only for a while: it is there as long as its entry in Redis is, which goes
//! after a minute without an open stream. Redis knows its hash; any process can take it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::App;
use crate::domain::ids::TokenId;
use crate::domain::secret::Secret;
use crate::domain::time::{Timestamp, now};
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::tokens;

/// From its making to its first use, and from the close of its last stream to its next use.
const LIFETIME: Duration = Duration::from_secs(60);
/// How often the entry of a ticket is renewed while its stream is open: some renewals may fail before it goes.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// A longer text is no ticket.
const LENGTH_MAX: usize = 128;
/// The member that resuming changes, so that tickets are not bound to it.
const LAST_EVENT_ID: &str = "lastEventId";

const GONE: Error = Error::Unauthenticated(
    "the stream ticket is unknown, used up or revoked: get a new one from auth.streamTicket",
);
const FOREIGN: Error = Error::Unauthenticated(
    "the stream ticket is for another subscription or input: get one for this from auth.streamTicket",
);

/// What Redis keeps of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bound {
    holder: Holder,
    path: String,
    /// The hash of the canonical input: inputs may be long.
    input: String,
}

/// On whose behalf a ticket is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Holder {
    /// An access token or a session.
    Token(TokenId),
    /// Who has the admin token that hashes to this.
    Admin(String),
}

/// Renews its ticket until it is dropped; from then on the ticket is good for one more minute.
#[derive(Debug)]
pub struct OpenTicket {
    _closed: DropGuard,
}

/// A ticket for the caller, and until when it must first be used. `Unavailable` without Redis.
pub async fn issue(
    app: &App,
    actor: &Actor,
    path: &str,
    input: Option<&Value>,
) -> Result<(Secret<String>, Timestamp)> {
    let holder = match &actor.token {
        Some(token) => Holder::Token(token.clone()),
        None => Holder::Admin(admin_hash(app)),
    };
    let bound = Bound { holder, path: path.to_owned(), input: hash(canonical(input).as_bytes()) };
    let ticket = format!("slt_{}", tokens::random_value()?);
    // Before the entry, so that the ticket is never good for less than is said.
    let expires_at = now().plus(LIFETIME);
    app.redis.set_for(&name(&ticket), &encode(&bound)?, LIFETIME).await?;
    Ok((Secret::new(ticket), expires_at))
}

/// Takes a ticket for the subscription `path` with `input`, a JSON text, and keeps it good while what is returned
/// lives.
///
/// # Errors
///
/// - `Unauthenticated`, if it is none, or none for that, or if whom it was made for is not known any more.
/// - `Unavailable` without Redis.
pub async fn open(app: &App, ticket: &str, path: &str, input: Option<&str>) -> Result<(Actor, OpenTicket)> {
    if LENGTH_MAX < ticket.len() {
        return Err(GONE);
    }
    // Found by its hash, which tells nothing of how much of a guess was right.
    let name = name(ticket);
    let Some(entry) = app.redis.get(&name).await? else { return Err(GONE) };
    let bound: Bound =
        serde_json::from_slice(&entry).map_err(|error| Error::internal("reading a stream ticket", error))?;
    let input = input.map(serde_json::from_str::<Value>).transpose().map_err(|_| FOREIGN)?;
    if bound.path != path || bound.input != hash(canonical(input.as_ref()).as_bytes()) {
        return Err(FOREIGN);
    }
    let actor = match &bound.holder {
        Holder::Token(token) => tokens::holder(app, token).await?.ok_or(GONE)?,
        Holder::Admin(hash) if bool::from(hash.as_bytes().ct_eq(admin_hash(app).as_bytes())) => {
            Actor::new("admin", Role::Admin)
        }
        Holder::Admin(_) => return Err(GONE),
    };
    app.redis.set_for(&name, &entry, LIFETIME).await?;
    let closed = CancellationToken::new();
    app.tasks.spawn(renew(app.clone(), name, entry, closed.clone()));
    Ok((actor, OpenTicket { _closed: closed.drop_guard() }))
}

async fn renew(app: App, name: String, entry: Vec<u8>, closed: CancellationToken) {
    let mut is_closed = false;
    while !is_closed {
        is_closed = tokio::time::timeout(RENEW_INTERVAL, closed.cancelled()).await.is_ok();
        // Written whole, so that a Redis that has lost it gets it back.
        if let Err(error) = app.redis.set_for(&name, &entry, LIFETIME).await {
            tracing::debug!(error = error.chain(), "A stream ticket could not be renewed");
        }
    }
}

fn encode(bound: &Bound) -> Result<Vec<u8>> {
    serde_json::to_vec(bound).map_err(|error| Error::internal("writing a stream ticket", error))
}

/// Where Redis has what is known of a ticket.
fn name(ticket: &str) -> String {
    format!("ticket:{}", hash(ticket.as_bytes()))
}

/// A hash of a hash: Redis is not to hold one that a stolen token could be told by.
fn admin_hash(app: &App) -> String {
    hash(hash(app.admin_token.reveal().as_bytes()).as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One text for all ways to write an input: members in order, and no input, `null` and an empty object as one, since
/// resuming makes an object of what was nothing.
fn canonical(input: Option<&Value>) -> String {
    let mut text = String::new();
    match input {
        None | Some(Value::Null) => text.push_str("{}"),
        Some(Value::Object(members)) => {
            write_members(members.iter().filter(|(name, _)| *name != LAST_EVENT_ID), &mut text);
        }
        Some(value) => write_canonical(value, &mut text),
    }
    text
}

/// As deep as the parser lets a value be.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => write_members(members.iter(), text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_members<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, text: &mut String) {
    let mut members: Vec<_> = members.collect();
    members.sort_by_key(|(name, _)| *name);
    text.push('{');
    for (name, value) in members {
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        write_canonical(value, text);
        text.push(',');
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        canonical(Some(&serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn an_input_is_the_same_however_it_is_written_and_wherever_it_resumes() {
        assert_eq!(
            text(r#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
            text(r#"{ "b":{"y":null,"x":[1,2]}, "a":1 }"#)
        );
        assert_eq!(text(r#"{"runId":"r","lastEventId":"1-7"}"#), text(r#"{"runId":"r"}"#));
        for nothing in ["null", "{}", r#"{"lastEventId":"1-7"}"#] {
            assert_eq!(text(nothing), canonical(None), "{nothing}");
        }
    }

    #[test]
    fn different_inputs_are_different() {
        let inputs = [
            "{}",
            r#"{"runId":"r"}"#,
            r#"{"runId":"s"}"#,
            r#"{"runId":["r"]}"#,
            r#"{"runId":"r","after":1}"#,
            r#"{"runId":{"lastEventId":"r"}}"#,
            r#"{"runId":{}}"#,
            "[]",
            "[[]]",
            "\"{}\"",
        ];
        let mut texts: Vec<String> = inputs.iter().map(|input| text(input)).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), inputs.len());
    }
}
