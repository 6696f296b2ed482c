//! `auth.*`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::services;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Makes a ticket that opens one subscription, for a client that can send neither header nor cookie with it:
        /// as `{ ticket }` in tRPC's `connectionParams`. It must be used within a minute; then it serves that
        /// subscription, and its reconnects, until a minute after its last close.
        mutation auth.streamTicket = POST "/auth/stream-tickets" -> 201, Viewer in pipeline, stream_ticket;
    }
}

/// What a ticket is to open.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StreamTicketInput {
    /// The subscription, such as `pipelines.streamLogs`.
    path: Subscription,
    /// Its input, which the ticket is good for and no other. `lastEventId` does not count.
    #[serde(default)]
    #[specta(type = Option<Unknown>)]
    input: Option<Value>,
}

/// The name of a subscription.
#[derive(Debug, Clone, Copy, Deserialize, Type, JsonSchema)]
pub(super) enum Subscription {
    #[serde(rename = "pipelines.streamLogs")]
    StreamLogs,
    #[serde(rename = "pipelines.watchRun")]
    WatchRun,
}

impl Subscription {
    fn path(self) -> &'static str {
        match self {
            Self::StreamLogs => "pipelines.streamLogs",
            Self::WatchRun => "pipelines.watchRun",
        }
    }
}

/// A ticket that opens one subscription.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamTicket {
    /// Sent as `{ ticket }` in tRPC's `connectionParams`.
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
    let (ticket, expires_at) =
        services::tickets::issue(&ctx.app, ctx.actor()?, path.path(), input.as_ref()).await?;
    Ok(StreamTicket { ticket: ticket.reveal().clone(), expires_at })
}

#[cfg(test)]
impl StreamTicket {
    pub(super) fn of(ticket: String, expires_at: Timestamp) -> Self {
        Self { ticket, expires_at }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rpc::wire::Kind;

    #[test]
    fn a_ticket_can_be_had_for_every_subscription_and_nothing_else() {
        let registry = crate::rpc::router().registry.into_iter();
        let mut names: Vec<&str> = registry
            .filter(|declared| declared.kind == Kind::Subscription)
            .map(|declared| declared.spec.path)
            .collect();
        names.sort_unstable();
        let schema = crate::rpc::schema::of_inputs().into_root_schema_for::<Subscription>();
        assert_eq!(schema.get("enum"), Some(&json!(names)));
        for name in names {
            assert_eq!(serde_json::from_value::<Subscription>(json!(name)).unwrap().path(), name);
        }
    }
}
