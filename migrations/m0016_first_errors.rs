//! Where in a log each attempt of a step first complains.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0016_first_errors", up };

fn up(_: &Types) -> String {
    "ALTER TABLE steps ADD COLUMN first_error_line BIGINT;".to_owned()
}
