//! Who did what. Rows are only added, and ids are in the order of time.

use super::{Step, Types};

pub(super) const STEP: Step = Step { name: "m0007_audit", up };

fn up(types: &Types) -> String {
    let Types { text, .. } = types;
    format!(
        "
        CREATE TABLE audit (
            id {text} NOT NULL PRIMARY KEY,
            at BIGINT NOT NULL,
            actor {text},
            token_id {text},
            ip {text},
            request_id {text},
            action {text} NOT NULL,
            target_kind {text},
            target_id {text},
            outcome {text} NOT NULL,
            detail {text}
        );
        CREATE INDEX audit_actor ON audit (actor, id);
        CREATE INDEX audit_action ON audit (action, id);
        CREATE INDEX audit_target ON audit (target_id, id);
        CREATE INDEX audit_outcome ON audit (outcome, id);
        "
    )
}
