//! Secrets, encrypted; and whether somebody vouches for the code that a run runs.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0009_secrets", up };

/// `pipeline_id` is empty for a global secret: in a primary key nothing may be null.
fn up(types: &Types) -> String {
    let Types { text, bytes, .. } = types;
    format!(
        "
        CREATE TABLE secrets (
            pipeline_id {text} NOT NULL,
            name {text} NOT NULL,
            description {text},
            branches {text} NOT NULL,
            allow_untrusted BOOLEAN NOT NULL,
            key_id {text} NOT NULL,
            nonce {bytes} NOT NULL,
            ciphertext {bytes} NOT NULL,
            version BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            created_by {text} NOT NULL,
            updated_at BIGINT NOT NULL,
            updated_by {text} NOT NULL,
            last_used_at BIGINT,
            PRIMARY KEY (pipeline_id, name)
        );
        CREATE INDEX secrets_key ON secrets (key_id, pipeline_id, name);
        ALTER TABLE runs ADD COLUMN untrusted BOOLEAN NOT NULL DEFAULT FALSE;
        "
    )
}
