//! Runs by who triggered them, with each combination of the other filters: `m0002_runs` says why each has an index. Those of
//! any status are found status by status, which saves half of the indexes that every run is written to.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0017_runs_by", up };

fn up(_: &Types) -> String {
    "
    CREATE INDEX runs_status_by ON runs (status, trigger_by, id);
    CREATE INDEX runs_pipeline_status_by ON runs (pipeline_id, status, trigger_by, id);
    CREATE INDEX runs_status_branch_by ON runs (status, branch, trigger_by, id);
    CREATE INDEX runs_pipeline_status_branch_by ON runs (pipeline_id, status, branch, trigger_by, id);
    "
    .to_owned()
}
