//! `auth.*`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::domain::ids::PersonId;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::token::{Grant, Role, Session};
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::people::Done;
use crate::rpc::schema::FREE_TEXT;
use crate::rpc::system::NoInput;
use crate::services;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Makes a ticket that opens one subscription, for a client that can send neither header nor cookie with it:
        /// as `{ ticket }` in tRPC's `connectionParams`. It must be used within a minute; then it serves that
        /// subscription, and its reconnects, until a minute after its last close.
        mutation auth.streamTicket = POST "/auth/stream-tickets" -> 201, Viewer in pipeline, stream_ticket;
        /// Tells which ways to sign in a browser there are.
        query auth.ways = GET "/auth/ways", Public, ways;
        /// Tells who asks, and what they may do.
        query auth.me = GET "/auth/me", SignedIn, me;
        /// Ends the session, or the token, that asks.
        mutation auth.signOut = POST "/auth/sign-out", SignedIn, sign_out;
        /// Gives the caller a new password, and ends their other sessions.
        mutation auth.changePassword = PUT "/auth/password", SignedIn, change_password;
        /// Lists the caller's signed-in browsers, newest first; a hundred at most.
        query auth.sessions = GET "/auth/sessions", SignedIn, sessions;
        /// Ends one of the caller's sessions.
        mutation auth.revokeSession = DELETE "/auth/sessions/{session}", SignedIn, revoke_session;
        /// Ends all sessions of the caller but the one that asks.
        mutation auth.revokeOtherSessions = DELETE "/auth/sessions", SignedIn, revoke_other_sessions;
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
    #[serde(rename = "runs.searchLogs")]
    SearchLogs,
    #[serde(rename = "runs.watchBulk")]
    WatchBulk,
    #[serde(rename = "runs.watchList")]
    WatchList,
    #[serde(rename = "system.watchQueue")]
    WatchQueue,
}

impl Subscription {
    fn path(self) -> &'static str {
        match self {
            Self::StreamLogs => "pipelines.streamLogs",
            Self::WatchRun => "pipelines.watchRun",
            Self::SearchLogs => "runs.searchLogs",
            Self::WatchBulk => "runs.watchBulk",
            Self::WatchList => "runs.watchList",
            Self::WatchQueue => "system.watchQueue",
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

/// How a browser can be signed in.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignInWays {
    /// By `POST /sign-in`.
    pub(super) password: bool,
    /// By single sign-on; null: none is set up.
    pub(super) oidc: Option<SingleSignOn>,
}

/// A provider of single sign-on.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SingleSignOn {
    /// As people call it.
    pub(super) name: String,
    /// Where it begins: a path, to which `?next=` and a path may be added, where to go afterwards.
    pub(super) link: String,
    /// Where a browser goes after `auth.signOut`, a path: who came in by the provider is signed out there too, and all end
    /// at the sign-in page. Null: to sign out here is all.
    pub(super) sign_out_link: Option<String>,
}

async fn ways(ctx: Ctx, _: NoInput) -> Result<SignInWays> {
    let oidc = ctx.app.config.oidc.as_ref();
    let oidc = oidc.map(|config| SingleSignOn {
        name: config.name.clone(),
        link: services::single_sign_on::START.to_owned(),
        sign_out_link: config.sign_out.then(|| services::single_sign_on::LEAVE.to_owned()),
    });
    Ok(SignInWays { password: true, oidc })
}

/// Who asks.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    /// Stands as the author of what they do.
    pub(super) name: String,
    /// What they may do to everything; null: nothing but what `grants` say.
    pub(super) role: Option<Role>,
    /// What they may do to single pipelines beyond that.
    pub(super) grants: Vec<Grant>,
    /// Their account; null: none is behind this access.
    pub(super) person_id: Option<PersonId>,
    /// Whether they can sign in with a password, and so change it.
    pub(super) has_password: bool,
}

async fn me(ctx: Ctx, _: NoInput) -> Result<Me> {
    let actor = ctx.actor()?.clone();
    let has_password = services::people::has_password(&ctx.app, &actor).await?;
    let grant = |(pipeline_id, role)| Grant { pipeline_id, role };
    let grants = actor.grants.into_iter().map(grant).collect();
    Ok(Me { name: actor.name, role: actor.role, grants, person_id: actor.person, has_password })
}

async fn sign_out(ctx: Ctx, _: NoInput) -> Result<Done> {
    services::tokens::sign_out(&ctx.app, ctx.actor()?).await?;
    Ok(Done { done: true })
}

/// The present password and the next.
#[derive(Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangePasswordInput {
    /// The present one.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    present: String,
    /// The new one.
    #[schemars(length(min = 10, max = 200), regex(pattern = FREE_TEXT))]
    new: String,
}

async fn change_password(ctx: Ctx, input: ChangePasswordInput) -> Result<Done> {
    let (present, new) = (Secret::new(input.present), Secret::new(input.new));
    services::people::change_password(&ctx.app, ctx.actor()?, present, new).await?;
    Ok(Done { done: true })
}

/// The browsers in which somebody is signed in.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct Sessions {
    /// Newest first.
    pub(super) items: Vec<Session>,
}

async fn sessions(ctx: Ctx, _: NoInput) -> Result<Sessions> {
    Ok(Sessions { items: services::people::sessions(&ctx.app, ctx.actor()?).await? })
}

/// Which session.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RevokeSessionInput {
    /// Its id.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    session: String,
}

async fn revoke_session(ctx: Ctx, input: RevokeSessionInput) -> Result<Done> {
    services::people::end_sessions(&ctx.app, ctx.actor()?, Some(&input.session)).await?;
    Ok(Done { done: true })
}

async fn revoke_other_sessions(ctx: Ctx, _: NoInput) -> Result<Done> {
    services::people::end_sessions(&ctx.app, ctx.actor()?, None).await?;
    Ok(Done { done: true })
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
