//! What the audit trail says of calls: found out from their declarations, so that no procedure has to think of it.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::token::Actor;
use crate::error::Error;
use crate::rpc::Ctx;
use crate::rpc::kit::{self, Declared, Rest};
use crate::rpc::wire::Kind;
use crate::services::audit;

/// A noun, and which one.
pub(super) type Thing = (&'static str, String);

/// The member that tells apart what has no id.
const NAME: &str = "name";

/// Who asked for something.
pub(super) struct Caller {
    app: App,
    actor: Option<Actor>,
    ip: Option<IpAddr>,
}

impl Caller {
    pub(super) fn of(ctx: &Ctx) -> Self {
        Self { app: ctx.app.clone(), actor: ctx.actor.clone(), ip: ctx.ip }
    }
}

pub(super) async fn record(caller: Caller, request_id: &str, deed: Deed) {
    let Caller { app, actor, ip } = caller;
    match &actor {
        Some(actor) => audit::record_call(&app, actor, Some(request_id), deed).await,
        None => audit::record_stranger(&app, None, ip, deed).await,
    }
}

/// Records that somebody may not call a mutation, for whoever finds that out before it is called.
pub(super) async fn record_refusal(ctx: &Ctx, declared: &Declared, error: &Error) {
    if declared.kind != Kind::Mutation {
        return;
    }
    record(Caller::of(ctx), &ctx.request_id, Deed::refused(declared.spec.path, error.to_string())).await;
}

/// `token` and its id, of an output that is found at `/tokens/{token.id}`; `secret` and its name, of one of `/secrets`.
pub(super) fn made<O: Serialize>(rest: &Rest, output: &O) -> Option<Thing> {
    let location = rest.location.unwrap_or(rest.path);
    let member = kit::parameters(location).next().unwrap_or(NAME);
    thing(location, member, &serde_json::to_value(output).ok()?)
}

fn noun_of(path: &'static str) -> Option<&'static str> {
    match path.split('/').nth(1)? {
        "people" => Some("person"),
        nouns => Some(nouns.strip_suffix('s').unwrap_or(nouns)),
    }
}

/// What the trail says of an error: never the input, which may hold secrets.
pub(super) fn deed_of(path: &'static str, error: &Error) -> Deed {
    match error {
        Error::Invalid { field, .. } => Deed::refused(path, format!("{field} is wrong")),
        Error::Unavailable { .. } | Error::Internal { .. } => Deed::failed(path, error.to_string()),
        _ => Deed::refused(path, error.to_string()),
    }
}

/// `run` and its id, of an input for `/runs/{runId}/cancel`.
pub(super) fn target_of(path: &'static str, input: &Value) -> Option<Thing> {
    thing(path, kit::parameters(path).next()?, input)
}

/// `secret` and its name, of an input for `/secrets` that is right: a wrong one may have anything in its name's place.
pub(super) fn named(rest: &Rest, input: &Value) -> Option<Thing> {
    let has_place = rest.location.is_some() || kit::parameters(rest.path).next().is_some();
    if has_place { None } else { thing(rest.path, NAME, input) }
}

/// What `member` says which one it is. A name says so together with its pipeline, where it is of one: `build/TOKEN`.
fn thing(path: &'static str, member: &str, value: &Value) -> Option<Thing> {
    let id = member.split('.').try_fold(value, |value, name| value.get(name))?.as_str()?;
    let pipeline = value.get("pipelineId").and_then(Value::as_str).filter(|_| member == NAME);
    let id = pipeline.map_or_else(|| id.to_owned(), |pipeline| format!("{pipeline}/{id}"));
    Some((noun_of(path)?, id))
}
