//! Access tokens and signed-in sessions, by their hashes.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0003_tokens", up };

fn up(types: &Types) -> String {
    let Types { text, bytes, .. } = types;
    format!(
        "
        CREATE TABLE tokens (
            id {text} NOT NULL PRIMARY KEY,
            hash {bytes} NOT NULL,
            name {text} NOT NULL,
            kind {text} NOT NULL,
            role {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT,
            last_used_at BIGINT
        );
        CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
        CREATE UNIQUE INDEX tokens_api_name ON tokens (name) WHERE kind = 'api';
        CREATE INDEX tokens_kind ON tokens (kind, id);
        CREATE INDEX tokens_session_expiry ON tokens (expires_at) WHERE kind = 'session';
        "
    )
}
