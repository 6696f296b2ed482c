//! The procedures, and what the wire has to know about each that rspc does not tell.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use rspc_procedure::{Procedure, Procedures};

/// What a procedure does, which decides how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads. Called by GET, ended when its client leaves.
    Query,
    /// Changes. Called by POST, goes on when its client leaves.
    Mutation,
    /// Yields values until it or its client ends it. Called by GET.
    Subscription,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        })
    }
}

/// How a procedure's values are taken from rspc, which cannot be asked: trying the wrong way loses the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// Anything serialisable, as rspc's own `ResolverOutput` yields it.
    Serde,
    /// [`super::Output`], through `ProcedureStream::from_stream_value` or `from_future_value`.
    Output,
}

/// What the wire knows about a procedure.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it does.
    pub kind: Kind,
    /// Whether it looks at its input. If not, query and body are never parsed for it.
    pub reads_input: bool,
    /// How its values are taken.
    pub yields: Yields,
}

/// All procedures by their dotted path.
pub struct Router<TCtx> {
    procedures: HashMap<Cow<'static, str>, (Entry, Procedure<TCtx>)>,
}

/// Procedures and entries that do not belong to each other.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RouterError {
    /// The procedure of this path.
    #[error("procedure {0} has no entry")]
    WithoutEntry(String),
    /// The entry of this path.
    #[error("entry {0} has no procedure")]
    WithoutProcedure(String),
}

impl<TCtx> Router<TCtx> {
    /// Joins procedures and entries.
    ///
    /// # Errors
    /// Both sides must have the same paths.
    pub fn new(
        procedures: Procedures<TCtx>,
        mut entries: HashMap<Cow<'static, str>, Entry>,
    ) -> Result<Self, RouterError> {
        let mut joined = HashMap::with_capacity(entries.len());
        for (path, procedure) in procedures {
            let Some(entry) = entries.remove(&path) else {
                return Err(RouterError::WithoutEntry(path.into_owned()));
            };
            joined.insert(path, (entry, procedure));
        }
        match entries.into_keys().next() {
            Some(path) => Err(RouterError::WithoutProcedure(path.into_owned())),
            None => Ok(Self { procedures: joined }),
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&(Entry, Procedure<TCtx>)> {
        self.procedures.get(path)
    }
}
