//! Worker processes and their last signs of life.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0004_workers", up };

fn up(types: &Types) -> String {
    let Types { text, often_updated, .. } = types;
    format!(
        "
        CREATE TABLE workers (
            id {text} NOT NULL PRIMARY KEY,
            host {text} NOT NULL,
            name {text} NOT NULL,
            started_at BIGINT NOT NULL,
            seen_at BIGINT NOT NULL,
            fetched_at BIGINT
        ) {often_updated};
        CREATE INDEX workers_seen ON workers (seen_at, id);
        "
    )
}
