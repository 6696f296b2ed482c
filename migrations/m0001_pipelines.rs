//! Pipelines. A deleted one stays as a row, since its runs refer to it; only its name is free again.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0001_pipelines", up };

fn up(types: &Types) -> String {
    let Types { text, often_updated, .. } = types;
    format!(
        "
        CREATE TABLE pipelines (
            id {text} NOT NULL PRIMARY KEY,
            name {text} NOT NULL,
            name_folded {text} NOT NULL,
            description {text},
            repository {text},
            default_branch {text},
            next_run_number BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            deleted_at BIGINT,
            definition {text}
        ) {often_updated};
        CREATE UNIQUE INDEX pipelines_name ON pipelines (name) WHERE deleted_at IS NULL;
        "
    )
}
