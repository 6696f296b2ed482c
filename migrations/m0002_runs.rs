//! Runs and the attempts of their steps.
//!
//! Ids are UUIDv7, so the order of ids is the order of creation: lists go by id, and each combination of filters has
//! an index that ends in it. Fewer indexes would make a trigger a little cheaper, and some list as long as the table:
//! a rare status on a busy branch is found by no other means.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0002_runs", up };

fn up(types: &Types) -> String {
    format!("{}{}", runs(types), steps(types))
}

/// The long texts come last: SQLite reads a row from its beginning, and lists leave them out.
fn runs(types: &Types) -> String {
    let Types { text, often_updated, .. } = types;
    format!(
        "
        CREATE TABLE runs (
            id {text} NOT NULL PRIMARY KEY,
            number BIGINT NOT NULL,
            pipeline_id {text} NOT NULL REFERENCES pipelines (id),
            pipeline_name {text} NOT NULL,
            status {text} NOT NULL,
            progress BIGINT NOT NULL,
            attempt BIGINT NOT NULL,
            attempts_max BIGINT NOT NULL,
            branch {text},
            commit_id {text},
            trigger_kind {text} NOT NULL,
            trigger_by {text} NOT NULL,
            version BIGINT NOT NULL,
            epoch BIGINT NOT NULL,
            worker_id {text},
            lines BIGINT NOT NULL,
            last_line_at BIGINT,
            next_attempt_at BIGINT,
            created_at BIGINT NOT NULL,
            started_at BIGINT,
            finished_at BIGINT,
            deadline BIGINT,
            cancel_requested BOOLEAN NOT NULL,
            losses BIGINT NOT NULL,
            settled BOOLEAN NOT NULL,
            archived BOOLEAN NOT NULL,
            restart BOOLEAN NOT NULL,
            idempotency_key {text},
            repository {text},
            reason {text},
            error {text},
            inputs {text} NOT NULL,
            definition {text}
        ) {often_updated};
        CREATE UNIQUE INDEX runs_number ON runs (pipeline_id, number);
        CREATE UNIQUE INDEX runs_idempotency_key ON runs (pipeline_id, idempotency_key)
            WHERE idempotency_key IS NOT NULL;
        CREATE INDEX runs_pipeline ON runs (pipeline_id, id);
        CREATE INDEX runs_status ON runs (status, id);
        CREATE INDEX runs_branch ON runs (branch, id);
        CREATE INDEX runs_pipeline_status ON runs (pipeline_id, status, id);
        CREATE INDEX runs_pipeline_branch ON runs (pipeline_id, branch, id);
        CREATE INDEX runs_status_branch ON runs (status, branch, id);
        CREATE INDEX runs_pipeline_status_branch ON runs (pipeline_id, status, branch, id);
        CREATE INDEX runs_held ON runs (id) WHERE (status IN ('running', 'canceling')) IS TRUE;
        CREATE INDEX runs_unfinished ON runs (finished_at, id)
            WHERE finished_at IS NOT NULL AND (NOT archived OR NOT settled);
        "
    )
}

fn steps(types: &Types) -> String {
    let Types { text, often_updated, .. } = types;
    format!(
        "
        CREATE TABLE steps (
            run_id {text} NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            position BIGINT NOT NULL,
            attempt BIGINT NOT NULL,
            name {text} NOT NULL,
            status {text} NOT NULL,
            exit_code BIGINT,
            reason {text},
            needs {text} NOT NULL,
            started_at BIGINT,
            finished_at BIGINT,
            first_line BIGINT,
            last_line BIGINT,
            PRIMARY KEY (run_id, position, attempt)
        ) {often_updated};
        "
    )
}
