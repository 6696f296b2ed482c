//! Identities: UUIDv7 strings with a type each, so that one cannot be given for another.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::brand::branded;
use crate::domain::time::Timestamp;

/// Of the 48 bits of milliseconds that a UUIDv7 begins with (RFC 9562).
const MILLIS_MAX: u64 = (1 << 48) - 1;
const MILLIS_SHIFT: u32 = 80;

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

            /// The least id that can be made at that time or later: ids begin with their milliseconds.
            pub fn first_at(at: Timestamp) -> Self {
                let millis = u64::try_from(at.as_millis()).unwrap_or_default().min(MILLIS_MAX);
                Self(Uuid::from_u128(u128::from(millis) << MILLIS_SHIFT).to_string())
            }

            /// When it was made, in the milliseconds that it begins with.
            pub fn made_at(&self) -> Timestamp {
                let millis = Uuid::parse_str(&self.0).map_or(0, |id| id.as_u128() >> MILLIS_SHIFT);
                Timestamp::from_millis(i64::try_from(millis).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::now;

    #[test]
    fn ids_lie_between_the_instants_around_them() {
        let before = now();
        let id = RunId::generate();
        let after = Timestamp::from_millis(now().as_millis() + 1);
        assert!(RunId::first_at(before) <= id && id < RunId::first_at(after), "{id}");
        assert!(before <= id.made_at() && id.made_at() < after, "{id}");
        assert_eq!(RunId::first_at(before).made_at(), before);
    }
}
