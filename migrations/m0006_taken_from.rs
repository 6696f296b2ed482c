//! From whom a run was taken over, until its log says so.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0006_taken_from", up };

fn up(types: &Types) -> String {
    let Types { text, .. } = types;
    format!("ALTER TABLE runs ADD COLUMN taken_from {text};")
}
