//! People with accounts, and what a token belongs to and is good for beside its role.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0008_people", up };

fn up(types: &Types) -> String {
    let Types { text, .. } = types;
    format!(
        "
        CREATE TABLE people (
            id {text} NOT NULL PRIMARY KEY,
            login {text} NOT NULL,
            name {text} NOT NULL,
            email {text},
            password_hash {text},
            role {text} NOT NULL,
            grants {text} NOT NULL,
            disabled BOOLEAN NOT NULL,
            issuer {text},
            subject {text},
            created_at BIGINT NOT NULL,
            signed_in_at BIGINT
        );
        CREATE UNIQUE INDEX people_login ON people (login);
        CREATE UNIQUE INDEX people_identity ON people (issuer, subject);
        ALTER TABLE tokens ADD COLUMN person_id {text};
        ALTER TABLE tokens ADD COLUMN grants {text};
        ALTER TABLE tokens ADD COLUMN created_by {text};
        ALTER TABLE tokens ADD COLUMN device {text};
        ALTER TABLE tokens ADD COLUMN ip {text};
        CREATE INDEX tokens_person ON tokens (person_id, kind, id);
        "
    )
}
