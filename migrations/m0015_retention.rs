//! Whose a bulk work is and why it was stopped; what pipelines keep of their runs.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0015_retention", up };

fn up(types: &Types) -> String {
    let Types { text, .. } = types;
    format!(
        "
        ALTER TABLE bulk_works ADD COLUMN owner {text};
        ALTER TABLE bulk_works ADD COLUMN token_id {text};
        ALTER TABLE bulk_works ADD COLUMN person_id {text};
        ALTER TABLE bulk_works ADD COLUMN reason {text};
        CREATE UNIQUE INDEX bulk_works_owner ON bulk_works (owner) WHERE finished_at IS NULL;
        CREATE INDEX bulk_works_ended ON bulk_works (finished_at) WHERE finished_at IS NOT NULL;
        ALTER TABLE pipelines ADD COLUMN retention {text};
        CREATE INDEX pipelines_retention ON pipelines (id) WHERE retention IS NOT NULL;
        CREATE INDEX runs_pipeline_ended ON runs (pipeline_id, finished_at, id)
            WHERE finished_at IS NOT NULL AND settled AND archived;
        CREATE INDEX runs_pipeline_logs ON runs (pipeline_id, finished_at, id)
            WHERE finished_at IS NOT NULL AND settled AND archived AND log_purged_at IS NULL;
        "
    )
}
