//! What a worker tells of itself: how many runs it takes at a time, and which version it is.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0005_worker_places", up };

fn up(types: &Types) -> String {
    let Types { text, .. } = types;
    format!(
        "
        ALTER TABLE workers ADD COLUMN concurrency BIGINT;
        ALTER TABLE workers ADD COLUMN version {text};
        "
    )
}
