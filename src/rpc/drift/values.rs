//! Any values of outputs, where they take more than a line.

use super::*;
use crate::domain::audit::{AuditEntry, Outcome};
use crate::domain::bulk::{BulkAction, BulkState, BulkWork, LeftOut};
use crate::domain::person::{Identity, Person};
use crate::domain::retention::{KEEP_RUNS_MAX, Retention};
use crate::domain::token::{Session, Token, TokenKind};
use crate::services::bulk::{BulkPreview, LeftOutCount};
use crate::services::retention::RetentionDefaults;
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

pub(super) fn person() -> impl Strategy<Value = Person> {
    let named = (id(), any_text(), any_text(), of(any_text()));
    let identity = (any_text(), any_text()).prop_map(|(issuer, subject)| Identity { issuer, subject });
    let may = (of(role()), vec(grant(), 0..3), any::<bool>(), any::<bool>());
    (named, may, of(identity), at(), of(at())).prop_map(
        |(
            (id, login, name, email),
            (role, grants, disabled, has_password),
            identity,
            created_at,
            signed_in_at,
        )| {
            Person {
                id,
                login,
                name,
                email,
                role,
                grants,
                disabled,
                has_password,
                identity,
                created_at,
                signed_in_at,
            }
        },
    )
}

pub(super) fn session() -> impl Strategy<Value = Session> {
    let seen = (of(any_text()), of(any_text()));
    (id(), seen, at(), of(at()), of(at()), any::<bool>()).prop_map(
        |(id, (device, ip), created_at, expires_at, last_used_at, current)| Session {
            id,
            device,
            ip,
            created_at,
            expires_at,
            last_used_at,
            current,
        },
    )
}

pub(super) fn token() -> impl Strategy<Value = Token> {
    let kind = prop_oneof![Just(TokenKind::Api), Just(TokenKind::Session)];
    let made = (of(id()), of(any_text()), vec(grant(), 0..3));
    (id(), any_text(), kind, of(role()), made, at(), of(at()), of(at())).prop_map(
        |(id, name, kind, role, (person_id, created_by, grants), created_at, expires_at, last_used_at)| {
            Token {
                id,
                name,
                kind,
                role,
                grants,
                person_id,
                created_by,
                created_at,
                expires_at,
                last_used_at,
            }
        },
    )
}

pub(super) fn bulk_work() -> impl Strategy<Value = BulkWork> {
    let kind = (sample(&BulkAction::ALL), sample(&BulkState::ALL));
    let said = (any_text(), of(any_text()));
    (id(), kind, (any::<u32>(), any::<u32>(), any::<u32>()), said, at(), of(at())).prop_map(
        |(id, (action, state), (total, done, skipped), (started_by, reason), created_at, finished_at)| {
            BulkWork { id, action, state, total, done, skipped, started_by, created_at, finished_at, reason }
        },
    )
}

pub(super) fn bulk_preview() -> impl Strategy<Value = BulkPreview> {
    let reason = (sample(&LeftOut::ALL), any::<u32>());
    let reasons = vec(reason.prop_map(|(reason, count)| LeftOutCount { reason, count }), 0..3);
    let counts = (any::<u32>(), any::<bool>(), any::<u32>(), any::<u32>());
    (counts, reasons, vec(run(), 0..2), id()).prop_map(
        |((total, more, skipped, no_right), reasons, sample, until)| BulkPreview {
            total,
            more,
            skipped,
            reasons,
            no_right,
            sample,
            until,
        },
    )
}

pub(super) fn retention() -> impl Strategy<Value = Retention> {
    let age = || of("[1-9][0-9]{0,3}[dhms]|forever");
    (age(), age(), of(1..=KEEP_RUNS_MAX)).prop_map(|(runs, logs, keep_runs)| Retention {
        runs,
        logs,
        keep_runs,
    })
}

pub(super) fn retention_defaults() -> impl Strategy<Value = RetentionDefaults> {
    (of(any_text()), of(any_text()), of(any::<u32>()), any::<u32>())
        .prop_map(|(runs, logs, keep_runs, runs_min)| RetentionDefaults { runs, logs, keep_runs, runs_min })
}

fn sample<T: Copy + Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}
