//! The audit trail: who did what, from where, to which thing, with what outcome.

use std::net::IpAddr;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::token::Actor;

/// Records what somebody did, or tried.
pub async fn record(app: &App, actor: &Actor, deed: Deed) {
    write(app, Some(&actor.name), actor.ip, deed).await;
}

/// Records what somebody tried whom nobody knows, or who only says to be `name`.
pub async fn record_stranger(app: &App, name: Option<&str>, ip: Option<IpAddr>, deed: Deed) {
    write(app, name, ip, deed).await;
}

async fn write(_app: &App, name: Option<&str>, ip: Option<IpAddr>, deed: Deed) {
    tracing::info!(actor = name, client.ip = ?ip, ?deed, "Audited");
}
