//! Identities: UUIDv7 strings with a type each, so that one cannot be given for another.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::brand::branded;
use crate::domain::time::Timestamp;

/// Declares an id once: its Rust type, its TypeScript brand and its JSON Schema.
macro_rules! id {
    ($(#[doc = $doc:literal])* $name:ident = $text:literal) => {
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

        branded!($(#[doc = $doc])* $name = $text);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $text.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($($doc),*).trim_start(),
                    "type": "string",
                    "format": "uuid",
                    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
                })
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
    PipelineId = "PipelineId"
);
id!(
    /// Identifies a run.
    RunId = "RunId"
);
id!(
    /// Identifies something that is done to many runs.
    BulkWorkId = "BulkWorkId"
);
id!(
    /// Identifies an access token or a signed-in session.
    TokenId = "TokenId"
);
id!(
    /// Identifies a person who has an account.
    PersonId = "PersonId"
);
id!(
    /// Identifies a machine, by its data directory: workers that share the directory share the host.
    HostId = "HostId"
);
id!(
    /// Identifies a worker process, anew at each start.
    WorkerId = "WorkerId"
);
id!(
    /// Identifies an entry of the audit trail.
    AuditId = "AuditId"
);

impl AuditId {
    /// When it was made, in the milliseconds that it begins with.
    pub fn made_at(&self) -> Timestamp {
        let millis = Uuid::parse_str(&self.0).map_or(0, |id| id.as_u128() >> 80);
        Timestamp::from_millis(i64::try_from(millis).unwrap_or_default())
    }
}
