//! Logs that have had their time are found by the rules of each pipeline since `m0015_retention`, which has indexes for it:
//! the one of all pipelines together has no use any more, and every run was written to it.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0018_runs_logs", up };

fn up(_: &Types) -> String {
    "DROP INDEX runs_logs;".to_owned()
}
