//! Which part of a run's log lies in which object of the object store.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0003_segments", up };

fn up(types: &Types) -> String {
    let Types { text, bytes, .. } = types;
    format!(
        "
        CREATE TABLE segments (
            run_id {text} NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            first_n BIGINT NOT NULL,
            last_n BIGINT NOT NULL,
            object {text} NOT NULL,
            frames {bytes} NOT NULL,
            PRIMARY KEY (run_id, first_n)
        );
        "
    )
}
