//! Runs by when they ended, for what is told of each minute.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0013_run_ends", up };

fn up(_: &Types) -> String {
    "CREATE INDEX runs_finished ON runs (finished_at, status) WHERE finished_at IS NOT NULL;".to_owned()
}
