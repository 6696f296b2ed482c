//! The audit trail: who did what, from where, to which thing, with what outcome.

use std::net::IpAddr;

use crate::app::App;
use crate::domain::audit::{Deed, Entry, clean};
use crate::domain::ids::{AuditId, TokenId};
use crate::domain::time::now;
use crate::domain::token::Actor;
use crate::store;

/// Records what somebody did, or tried.
pub async fn record(app: &App, actor: &Actor, deed: Deed) {
    record_call(app, actor, None, deed).await;
}

/// As `record`, of what a request asked for.
pub async fn record_call(app: &App, actor: &Actor, request_id: Option<&str>, deed: Deed) {
    write(app, Some(&actor.name), actor.token.clone(), actor.ip, request_id, deed).await;
}

/// Records what somebody tried whom nobody knows, or who only says to be `name`.
pub async fn record_stranger(app: &App, name: Option<&str>, ip: Option<IpAddr>, deed: Deed) {
    write(app, name, None, ip, None, deed).await;
}

/// The deed is done already, so a database that refuses its entry undoes nothing: the program's log has it then.
async fn write(
    app: &App,
    name: Option<&str>,
    token: Option<TokenId>,
    ip: Option<IpAddr>,
    request_id: Option<&str>,
    mut deed: Deed,
) {
    deed.detail = deed.detail.as_deref().map(clean);
    if let Some(target) = &mut deed.target {
        target.id = clean(&target.id);
    }
    let entry = Entry {
        id: AuditId::generate(),
        at: now(),
        actor: name.map(clean),
        token,
        ip,
        request_id: request_id.map(clean),
        deed,
    };
    if let Err(error) = store::audit::insert(&app.store, std::slice::from_ref(&entry)).await {
        tracing::error!(?entry, error = error.chain(), "The audit trail lacks an entry");
    }
}
