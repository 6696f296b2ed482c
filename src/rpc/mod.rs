//! What Slipway offers to programs: typed procedures, served over tRPC's protocol.
//!
//! A procedure is declared once (`procedures!`), a few lines that call a service. Everything else follows from
//! the declaration: the rspc router, the registry, the input's validation, the TypeScript package.

mod audit;
mod auth;
pub mod bindings;
mod bulk;
#[cfg(test)]
mod drift;
mod error;
pub mod foreign;
mod input;
mod kit;
pub mod openapi;
mod people;
mod pipelines;
pub mod rest;
mod runs;
#[cfg(test)]
mod samples;
pub mod schema;
mod secrets;
mod system;
mod times;
mod tokens;
mod trail;
pub mod wire;

use std::net::IpAddr;

use crate::app::App;
use crate::domain::token::Actor;
use crate::error::{Error, Result};

pub use error::{ApiError, ApiErrorCode, ApiErrorData};
pub use input::InputProblem;
pub use kit::{Access, Declared, Rest, Rpc, Spec};

/// What every procedure is given beside its input.
#[derive(Debug, Clone)]
pub struct Ctx {
    pub app: App,
    /// Who asks; none if nobody has signed in.
    pub actor: Option<Actor>,
    /// Where they ask from; none: not known.
    pub ip: Option<IpAddr>,
    /// Stands in the log and in the answer to an internal error.
    pub request_id: String,
}

impl Ctx {
    /// Who asks. `Unauthenticated` only in a public procedure: the others are not reached without.
    fn actor(&self) -> Result<&Actor> {
        self.actor.as_ref().ok_or(Error::Unauthenticated(kit::SIGN_IN))
    }
}

/// What a caller is told who could not be recognised. `request_id` is what to look for in the log.
///
/// It is one answer for all calls of a request, subscriptions too. Those are opened again by their clients after an
/// internal error, which is right here: unlike one of a procedure's, it is over as soon as callers can be recognised,
/// and a page that gave up would have to be loaded again. Who is definitely refused is not asked again.
pub fn refuse(error: &Error, request_id: &str) -> wire::CallError {
    error::refusal(error, wire::Kind::Query, "authentication", request_id)
}

/// What a caller is told whose calls of this kind were not admitted.
pub fn refuse_as(error: &Error, kind: wire::Kind, request_id: &str) -> wire::CallError {
    error::refusal(error, kind, "admission", request_id)
}

/// Whether somebody may, for what is no procedure.
///
/// # Errors
///
/// `Unauthenticated` or `Forbidden`.
pub fn require(access: Access, actor: Option<&Actor>) -> Result<()> {
    kit::authorize(access, actor)
}

/// Every procedure. Made once, when the server starts.
///
/// # Panics
///
/// If a declaration contradicts itself; a test makes the router.
pub fn router() -> Rpc {
    let mut api = kit::Api::default();
    audit::declare(&mut api);
    auth::declare(&mut api);
    people::declare(&mut api);
    pipelines::declare(&mut api);
    runs::declare(&mut api);
    bulk::declare(&mut api);
    secrets::declare(&mut api);
    system::declare(&mut api);
    tokens::declare(&mut api);
    api.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number by which clients of a subscription decide whether to open it again.
    const COME_BACK: i32 = -32603;

    #[test]
    fn who_could_not_be_recognised_for_now_comes_back_and_who_was_refused_does_not() {
        let number = |error: Error| refuse(&error, "request-1").code.number();
        assert_eq!(number(Error::internal("reading a token", "corrupt")), COME_BACK);
        assert_eq!(number(Error::unavailable("the database", "refused")), COME_BACK);
        assert_ne!(number(Error::Unauthenticated("the token is unknown")), COME_BACK);
        assert_ne!(number(Error::Forbidden("another site's page".to_owned())), COME_BACK);
    }
}
