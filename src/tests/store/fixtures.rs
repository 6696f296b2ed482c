//! Rows as a server of each migration's time would have written them. They are raw SQL, since what wrote them may be
//! long gone. A table's rows are never changed here; a later migration must cope with them.

/// Ids of the rows, so that the store can be asked for them at the end.
pub(crate) const PIPELINE: &str = "01890a5d-ac96-774b-bcce-b302099a8001";
pub(crate) const RUN: &str = "01890a5d-ac96-774b-bcce-b302099a8002";
pub(crate) const TOKEN: &str = "01890a5d-ac96-774b-bcce-b302099a8003";
pub(crate) const WORKER: &str = "01890a5d-ac96-774b-bcce-b302099a8004";
pub(crate) const AUDIT: &str = "01890a5d-ac96-774b-bcce-b302099a8007";
pub(crate) const HOST: &str = "01890a5d-ac96-774b-bcce-b302099a8005";

pub(crate) const PERSON: &str = "01890a5d-ac96-774b-bcce-b302099a8006";

/// The table that a migration made, and rows for it.
pub(crate) struct Fixture {
    pub(crate) migration: &'static str,
    pub(crate) table: &'static str,
    pub(crate) rows: Vec<String>,
}

/// In the order of the migrations; `bytes` writes a literal of bytes from hexadecimal digits.
pub(crate) fn all(bytes: fn(&str) -> String) -> Vec<Fixture> {
    let fixture = |migration, table, rows| Fixture { migration, table, rows };
    vec![
        fixture(
            "m0001_pipelines",
            "pipelines",
            vec![format!(
                "INSERT INTO pipelines (id, name, name_folded, description, next_run_number, created_at, updated_at) \
                 VALUES ('{PIPELINE}', 'Bau', 'bau', 'größe', 2, 5, 6)"
            )],
        ),
        fixture(
            "m0002_runs",
            "runs",
            vec![format!(
                "INSERT INTO runs (id, number, pipeline_id, pipeline_name, status, progress, attempt, attempts_max, \
                 branch, trigger_kind, trigger_by, version, epoch, lines, created_at, finished_at, cancel_requested, \
                 losses, settled, archived, restart, inputs) VALUES ('{RUN}', 1, '{PIPELINE}', 'Bau', 'succeeded', 100, 1, 3, \
                 'main', 'api', 'admin', 4, 1, 2, 7, 8, FALSE, 0, TRUE, TRUE, FALSE, '{{\"a\":\"b\"}}')"
            )],
        ),
        fixture(
            "m0002_runs",
            "steps",
            vec![format!(
                "INSERT INTO steps (run_id, position, attempt, name, status, exit_code, needs) \
                 VALUES ('{RUN}', 0, 1, 'test', 'succeeded', 0, '[\"x\"]')"
            )],
        ),
        fixture(
            "m0003_tokens",
            "tokens",
            vec![format!(
                "INSERT INTO tokens (id, hash, name, kind, role, created_at) \
                 VALUES ('{TOKEN}', {}, 'ci', 'api', 'admin', 9)",
                bytes(&"07".repeat(32))
            )],
        ),
        fixture(
            "m0004_workers",
            "workers",
            vec![format!(
                "INSERT INTO workers (id, host, name, started_at, seen_at) VALUES ('{WORKER}', '{HOST}', 'w', 1, 2)"
            )],
        ),
        fixture(
            "m0007_audit",
            "audit",
            vec![format!(
                "INSERT INTO audit (id, at, actor, action, target_kind, target_id, outcome) \
                 VALUES ('{AUDIT}', 3, 'ci', 'runs.cancel', 'run', '{RUN}', 'done')"
            )],
        ),
        fixture(
            "m0008_people",
            "people",
            vec![format!(
                "INSERT INTO people (id, login, name, role, grants, disabled, created_at) VALUES \
                 ('{PERSON}', 'ann', 'Ann', 'none', '[{{\"pipelineId\":\"{PIPELINE}\",\"role\":\"operator\"}}]', FALSE, 3)"
            )],
        ),
        fixture(
            "m0009_secrets",
            "secrets",
            vec![format!(
                "INSERT INTO secrets (pipeline_id, name, branches, allow_untrusted, key_id, nonce, ciphertext, \
                 version, created_at, created_by, updated_at, updated_by) \
                 VALUES ('{PIPELINE}', 'TOKEN', '[\"main\"]', FALSE, 'k', {}, {}, 1, 3, 'admin', 3, 'admin')",
                bytes(&"01".repeat(24)),
                bytes(&"02".repeat(22))
            )],
        ),
        fixture(
            "m0014_removals",
            "removals",
            vec![format!("INSERT INTO removals (run_id, created_at) VALUES ('{AUDIT}', 5)")],
        ),
        fixture(
            "m0014_removals",
            "bulk_works",
            vec![format!(
                "INSERT INTO bulk_works (id, action, state, filter, until_id, from_id, started_by, total, done, skipped, \
                 leased_until, created_at) VALUES ('{AUDIT}', 'delete', 'running', '{{}}', '{RUN}', '{RUN}', 'ann', 3, 1, 1, 0, 5)"
            )],
        ),
    ]
}
