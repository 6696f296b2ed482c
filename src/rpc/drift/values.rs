//! Any values of outputs, where they take more than a line.

use super::*;
use crate::domain::audit::{AuditEntry, Outcome};
use crate::services::search::LogSearch;

pub(super) fn audit_entry() -> impl Strategy<Value = AuditEntry> {
    let texts = (of(any_text()), of(any_text()), of(any_text()), any_text());
    let target = (of(any_text()), of(any_text()), of(any_text()));
    (id(), at(), of(id()), texts, target, proptest::sample::select(Outcome::ALL.to_vec())).prop_map(
        |(id, at, token_id, (actor, ip, request_id, action), (target_kind, target_id, detail), outcome)| {
            AuditEntry {
                id,
                at,
                actor,
                token_id,
                ip,
                request_id,
                action,
                target_kind,
                target_id,
                outcome,
                detail,
            }
        },
    )
}

pub(super) fn log_search() -> impl Strategy<Value = LogSearch> {
    (count(), vec(count(), 0..3), vec(any::<u32>(), 0..3), (count(), count()), any::<bool>()).prop_map(
        |(count, hits, marks, (searched, total), done)| LogSearch {
            count,
            hits,
            marks,
            searched,
            total,
            done,
        },
    )
}
