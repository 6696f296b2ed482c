//! Identities: UUIDv7 strings with a type each, so that one cannot be given for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares an id: its Rust type here, its TypeScript brand and its JSON Schema in `rpc::kit`.
macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new id, later in order than those made before it.
            pub fn generate() -> Self {
                Self(Uuid::now_v7().to_string())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(|id| Self(id.hyphenated().to_string()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Identifies a pipeline, for ever.
    PipelineId
);
id!(
    /// Identifies a run.
    RunId
);
id!(
    /// Identifies an access token or a signed-in session.
    TokenId
);
id!(
    /// Identifies a machine, by its data directory: workers that share the directory share the host.
    HostId
);
id!(
    /// Identifies a worker process, anew at each start.
    WorkerId
);
