//! What Slipway offers to programs: typed procedures, served over tRPC's protocol.
//!
//! A procedure is declared once (`procedures!`), a few lines that call a service. Everything else follows from
//! the declaration: the rspc router, the registry, the input's validation, the TypeScript package.

pub mod bindings;
#[cfg(test)]
mod drift;
mod error;
mod input;
mod kit;
pub mod openapi;
mod pipelines;
pub mod rest;
mod runs;
#[cfg(test)]
mod samples;
pub mod schema;
mod system;
mod tokens;
pub mod wire;

use crate::app::App;
use crate::domain::token::{Actor, Role};
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
pub fn refuse(error: &Error, request_id: &str) -> wire::CallError {
    error::refusal(error, wire::Kind::Query, "authentication", request_id)
}

/// Whether somebody with this role or a higher one asks, for what is no procedure.
///
/// # Errors
///
/// `Unauthenticated` or `Forbidden`.
pub fn require(role: Role, actor: Option<&Actor>) -> Result<()> {
    kit::authorize(Access::Role(role), actor)
}

/// Every procedure. Made once, when the server starts.
///
/// # Panics
///
/// If a declaration contradicts itself; a test makes the router.
pub fn router() -> Rpc {
    let mut api = kit::Api::default();
    pipelines::declare(&mut api);
    runs::declare(&mut api);
    system::declare(&mut api);
    tokens::declare(&mut api);
    api.build()
}
