//! Runs and logs that are removed, one by one, by rule, or many at a time.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0014_removals", up };

fn up(types: &Types) -> String {
    let Types { text, often_updated, .. } = types;
    format!(
        "
        ALTER TABLE runs ADD COLUMN log_purged_at BIGINT;
        ALTER TABLE runs ADD COLUMN log_purged_by {text};
        CREATE INDEX runs_logs ON runs (finished_at)
            WHERE finished_at IS NOT NULL AND log_purged_at IS NULL;
        CREATE TABLE removals (
            run_id {text} NOT NULL PRIMARY KEY,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE bulk_works (
            id {text} NOT NULL PRIMARY KEY,
            action {text} NOT NULL,
            state {text} NOT NULL,
            filter {text} NOT NULL,
            until_id {text} NOT NULL,
            from_id {text} NOT NULL,
            after_id {text},
            started_by {text} NOT NULL,
            total BIGINT NOT NULL,
            done BIGINT NOT NULL,
            skipped BIGINT NOT NULL,
            leased_until BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            finished_at BIGINT
        ) {often_updated};
        CREATE INDEX bulk_works_going ON bulk_works (id) WHERE finished_at IS NULL;
        "
    )
}
