//! `auth.*`

use std::collections::HashSet;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::domain::time::Timestamp;
use crate::error::{Error, Result};
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::schema::FREE_TEXT;
use crate::rpc::wire::Kind;
use crate::services;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Makes a ticket that opens one subscription, for a client that can send neither header nor cookie with it:
        /// as `{ ticket }` in tRPC's `connectionParams`. It must be used within a minute; then it serves that
        /// subscription, and its reconnects, until a minute after its last close.
        mutation auth.streamTicket = POST "/auth/stream-tickets" -> 201, Viewer, stream_ticket;
    }
}

/// What a ticket is to open.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StreamTicketInput {
    /// The subscription, such as `pipelines.streamLogs`.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    path: String,
    /// Its input, which the ticket is good for and no other. `lastEventId` does not count.
    #[serde(default)]
    #[specta(type = Option<Unknown>)]
    input: Option<Value>,
}

/// A ticket that opens one subscription.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamTicket {
    ticket: String,
    /// Until when it must first be used.
    expires_at: Timestamp,
}

/// Any JSON. specta's own description of it would refuse the brands of our ids.
struct Unknown;

impl Type for Unknown {
    fn inline(_: &mut TypeCollection, _: Generics<'_>) -> DataType {
        DataType::Unknown
    }
}

async fn stream_ticket(ctx: Ctx, input: StreamTicketInput) -> Result<StreamTicket> {
    let StreamTicketInput { path, input } = input;
    if !subscriptions().contains(path.as_str()) {
        return Err(Error::invalid("path", "is not the name of a subscription"));
    }
    let (ticket, expires_at) =
        services::tickets::issue(&ctx.app, ctx.actor()?, &path, input.as_ref()).await?;
    Ok(StreamTicket { ticket: ticket.reveal().clone(), expires_at })
}

fn subscriptions() -> &'static HashSet<&'static str> {
    static NAMES: OnceLock<HashSet<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let registry = super::router().registry.into_iter();
        let subscriptions = registry.filter(|declared| declared.kind == Kind::Subscription);
        subscriptions.map(|declared| declared.spec.path).collect()
    })
}
