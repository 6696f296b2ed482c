//! How the engines carry out the store's queries: by an index, and in its order. What this checks is why a page
//! costs the same in a large table as in a small one.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::sea_query::SelectStatement;
use sea_orm::sqlx::{self, Row as _};
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait, Select, Statement};

use super::{
    Store, audit, bulk, people, pipelines, removals, retention, run_filter, run_stats, runs, secrets, steps,
    tokens, workers,
};
use crate::config::DatabaseConfig;
use crate::domain::ids::{AuditId, PersonId, PipelineId, RunId, TokenId};
use crate::domain::person::Identity;
use crate::domain::run::RunStatus;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::token::TokenKind;
use crate::store::audit::AuditFilter;
use crate::store::runs::{RunFilter, Towards};

#[path = "../tests/support/postgres.rs"]
mod postgres;

/// A query, the index that it must use, and whether the engine may sort what it found there: only where that is
/// bounded by something other than the table's size.
struct Case {
    what: String,
    index: String,
    may_sort: bool,
    query: Box<dyn Build>,
}

trait Build {
    fn build(&self, backend: DbBackend) -> Statement;
}

impl<E: EntityTrait> Build for Select<E> {
    fn build(&self, backend: DbBackend) -> Statement {
        sea_orm::QueryTrait::build(self, backend)
    }
}

impl Build for SelectStatement {
    fn build(&self, backend: DbBackend) -> Statement {
        backend.build(self)
    }
}

fn case<E: EntityTrait>(what: impl Into<String>, index: impl Into<String>, query: Select<E>) -> Case {
    Case { what: what.into(), index: index.into(), may_sort: false, query: Box::new(query) }
}

fn cases() -> Vec<Case> {
    let pipeline_id = PipelineId::generate();
    let run_id = RunId::generate();
    let of_actor = AuditFilter { actor: Some("a7".to_owned()), ..AuditFilter::default() };
    let of_target = AuditFilter { target: Some("t7".to_owned()), ..AuditFilter::default() };
    let identity = Identity { issuer: "i".to_owned(), subject: "s7".to_owned() };
    let mut cases = run_lists(&pipeline_id, &run_id);
    cases.extend(retained(&pipeline_id, &run_id));
    cases.extend([
        case("queued runs", "runs_status", runs::queued_query(Towards::Newest, None, 100)),
        case("queued runs after one", "runs_status", runs::queued_query(Towards::Newest, Some(&run_id), 100)),
        case("newest queued runs", "runs_status", runs::queued_query(Towards::Oldest, None, 100)),
        case(
            "unfinished business",
            "runs_unfinished",
            runs::unfinished_query(Timestamp::from_millis(9), None, 100),
        ),
        case(
            "unfinished business after one",
            "runs_unfinished",
            runs::unfinished_query(
                Timestamp::from_millis(9),
                Some(&(Timestamp::from_millis(3), RunId::generate())),
                100,
            ),
        ),
        case("a run by number", "runs_number", runs::by_number(&pipeline_id, 7)),
        case("what is to be removed", "removals_pkey", removals::pending_query(Some(&run_id), 100)),
        case("a run by key", "runs_idempotency_key", runs::by_key(&pipeline_id, "k")),
        case("a run's steps", "steps_pkey", steps::of_runs_query(&[run_id.as_str()])),
        case("a pipeline by name", "pipelines_name", pipelines::by_name("n")),
        case("pipelines", "pipelines_name", pipelines::list_query(None, None, None, 21)),
        case(
            "pipelines after one",
            "pipelines_name",
            pipelines::list_query(None, None, Some("n".to_owned()), 21),
        ),
        case("a token by hash", "tokens_hash", tokens::by_hash(&[0; 32])),
        case("tokens", "tokens_kind", tokens::list_query(TokenKind::Session, None, 21)),
        case(
            "tokens after one",
            "tokens_kind",
            tokens::list_query(TokenKind::Session, Some(&TokenId::generate()), 21),
        ),
        case("a person by login", "people_login", people::by_login("ann")),
        case("a person by identity", "people_identity", people::by_identity(&identity)),
        case("people", "people_login", people::list_query(None, Some("ann".to_owned()), 21)),
        case("a person's sessions", "tokens_person", tokens::sessions_query(&PersonId::generate())),
        case("the audit trail", "audit_pkey", audit::list_query(&AuditFilter::default(), None, 21)),
        case(
            "audit of an actor",
            "audit_actor",
            audit::list_query(&of_actor, Some(&AuditId::generate()), 21),
        ),
        case(
            "the oldest of the audit trail",
            "audit_pkey",
            audit::oldest_query(Timestamp::from_millis(7), 1_000),
        ),
        case("audit of a target", "audit_target", audit::list_query(&of_target, None, 21)),
        case("a secret", "secrets_pkey", secrets::one_query(Some(&pipeline_id), "N")),
        case("a step's secrets", "secrets_pkey", secrets::names_query(&pipeline_id, &["N", "O"])),
        case("secrets", "secrets_pkey", secrets::list_query(None, None, 21)),
        case("secrets after one", "secrets_pkey", secrets::list_query(None, Some("N".to_owned()), 21)),
        case("keys of secrets", "secrets_key", secrets::key_after_query("k")),
        case("workers", "workers_seen", workers::list_query(100)),
    ]);
    let at = Timestamp::from_millis;
    let some = [pipeline_id.clone(), PipelineId::generate()];
    let of_some = RunFilter { pipelines: Some(some.to_vec()), ..RunFilter::default() };
    let bounded = [
        // As many as one key has, and sorted a slice at a time.
        case("secrets under a key", "secrets_key", secrets::under_key_query("k1", 100)),
        case("newest runs of some pipelines", "runs_pipeline", run_stats::newest_query(&some, 50)),
        case("runs of a minute", "runs_pkey", run_stats::triggered_query(at(0), at(9))),
        case("ends of a minute", "runs_finished", run_stats::ended_query(at(3), at(9))),
        // So few go on that all of them are read.
        case("bulk works that go on", "bulk_works_going", bulk::going_query(10)),
        case("held runs", "runs_held", runs::held_query(None, 100)),
        case("held runs after one", "runs_held", runs::held_query(Some(&run_id), 100)),
        case("which runs there are", "runs_pkey", runs::known_query(&[run_id.clone(), RunId::generate()])),
        case("live runs of a pipeline", "runs_pipeline_status_branch_by", pipelines::live_runs(&pipeline_id)),
        case("runs of some pipelines", "runs_pipeline", run_filter::list_query(&of_some, Some(&run_id), 21)),
        case(
            "runs of some pipelines and one status",
            "runs_pipeline_status",
            run_filter::list_query(
                &RunFilter { status: Some(RunStatus::TimedOut), ..of_some.clone() },
                None,
                21,
            ),
        ),
        case(
            "runs of some pipelines by somebody",
            "runs_pipeline_status_by",
            run_filter::list_query(
                &RunFilter { by: Some("ci".to_owned()), ..of_some.clone() },
                Some(&run_id),
                21,
            ),
        ),
        case("some pipelines", "pipelines_pkey", pipelines::list_query(Some(&some), None, None, 21)),
        case("the steps of runs", "steps_pkey", steps::of_runs_query(&[run_id.as_str(), "x"])),
    ];
    let all = RunFilter { pipeline_id: Some(pipeline_id.clone()), ..RunFilter::default() };
    let counts = [
        ("how runs stand", "runs_pipeline", runs::standings_query(&all, &run_id, 400)),
        ("how runs of some pipelines stand", "runs_pipeline", runs::standings_query(&of_some, &run_id, 400)),
        ("runs elsewhere", "runs_pipeline", runs::count_elsewhere_query(&all, &some, &run_id, 400)),
    ];
    cases.extend(bounded.map(|case| Case { may_sort: true, ..case }));
    // Grouped, and no more rows than are counted.
    cases.extend(counts.map(|(what, index, query)| Case {
        what: what.to_owned(),
        index: index.to_owned(),
        may_sort: true,
        query: Box::new(query),
    }));
    cases
}

/// What the rules of retention ask, and bulk works.
fn retained(pipeline_id: &PipelineId, run_id: &RunId) -> Vec<Case> {
    let old = retention::Limit {
        before: Timestamp::from_millis(9),
        before_id: None,
        below: Some(90),
        with_log: false,
    };
    let too_many = retention::Limit { before_id: Some(run_id.clone()), below: None, ..old.clone() };
    let logs = retention::Limit { with_log: true, ..old.clone() };
    vec![
        case(
            "what pipelines keep",
            "pipelines_pkey",
            retention::pipelines_query(false, Some(pipeline_id), 100),
        ),
        case(
            "pipelines with rules of their own",
            "pipelines_retention",
            retention::pipelines_query(true, Some(pipeline_id), 100),
        ),
        case("old runs", "runs_pipeline_ended", retention::expired_query(pipeline_id, &old, 100)),
        case(
            "runs beyond a number",
            "runs_pipeline_ended",
            retention::expired_query(pipeline_id, &too_many, 100),
        ),
        case("old logs", "runs_pipeline_logs", retention::expired_query(pipeline_id, &logs, 100)),
        case("the oldest to keep", "runs_pipeline_ended", retention::oldest_to_keep_query(pipeline_id, 20)),
        case("a bulk work that goes on", "bulk_works_owner", bulk::of_owner_query("o7")),
        case("ended bulk works", "bulk_works_ended", bulk::ended_query(Timestamp::from_millis(9), 100)),
    ]
}

/// Each combination of filters, from the beginning and after a run, of what is common and of what is rare.
fn run_lists(pipeline_id: &PipelineId, run_id: &RunId) -> Vec<Case> {
    let mut filters = Vec::new();
    for status in [None, Some(RunStatus::Succeeded), Some(RunStatus::TimedOut), Some(RunStatus::Running)] {
        for pipeline_id in [None, Some(pipeline_id.clone())] {
            for branch in [None, Some("main".to_owned())] {
                for by in [None, Some("ci".to_owned()), Some("u7".to_owned())] {
                    let (pipeline_id, branch) = (pipeline_id.clone(), branch.clone());
                    let all = RunFilter { pipeline_id, status, branch, by, ..RunFilter::default() };
                    let until = DAY.plus(Duration::from_hours(24));
                    let of_a_day = RunFilter { since: Some(DAY), until: Some(until), ..all.clone() };
                    filters.extend([all, of_a_day]);
                }
            }
        }
    }
    let mut cases = Vec::new();
    for filter in filters {
        for before in [None, Some(run_id)] {
            let what = format!("runs, {filter:?}, before {before:?}");
            let one = case(what, index_of(&filter), run_filter::list_query(&filter, before, 21));
            // Of each status a page, and the newest of these.
            cases.push(Case { may_sort: filter.by.is_some() && filter.status.is_none(), ..one });
        }
    }
    cases
}

/// It is named after the columns that it finds rows by.
fn index_of(filter: &RunFilter) -> String {
    let has_status = filter.status.is_some() || filter.by.is_some();
    let columns = [
        ("_pipeline", filter.pipeline_id.is_some()),
        ("_status", has_status),
        ("_branch", filter.branch.is_some()),
        ("_by", filter.by.is_some()),
    ];
    let given: String = columns.iter().filter(|(_, is_given)| *is_given).map(|(column, _)| *column).collect();
    if given.is_empty() { "runs_pkey".to_owned() } else { format!("runs{given}") }
}

async fn store(url: Option<String>, data_dir: &std::path::Path) -> Store {
    let config = DatabaseConfig { url: url.map(Secret::new), connections_max: 2, migrate_at_start: true };
    Store::connect(&config, data_dir).await.unwrap()
}

#[tokio::test]
async fn sqlite_answers_each_query_from_an_index() {
    let data_dir = tempfile::tempdir().unwrap();
    let store = store(None, data_dir.path()).await;
    // What SQLite calls the indexes of primary keys.
    let names = ["audit", "removals", "runs", "secrets", "steps", "pipelines"]
        .map(|table| (format!("{table}_pkey"), format!("sqlite_autoindex_{table}_1")));
    let names = BTreeMap::from(names);
    for case in cases() {
        let mut statement = case.query.build(DbBackend::Sqlite);
        statement.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = store.reader.query_all_raw(statement).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        let index = names.get(&case.index).unwrap_or(&case.index);
        let is_by_index = |line: &String| {
            line.ends_with(&format!("INDEX {index}")) || line.contains(&format!("INDEX {index} "))
        };
        assert!(plan.iter().any(is_by_index), "{}: {plan:?}", case.what);
        // Of a list that is put together of parts, neither a part nor the whole may read the table.
        let is_whole = |line: &String| line.starts_with("SCAN runs") && !line.contains("INDEX");
        assert!(!plan.iter().any(is_whole), "{}: {plan:?}", case.what);
        assert!(
            case.may_sort || !plan.iter().any(|line| line.contains("TEMP B-TREE")),
            "{}: {plan:?}",
            case.what
        );
    }
    store.close().await;
}

/// In tables of some size with statistics, as they are in use; small ones PostgreSQL prefers to read whole.
#[tokio::test]
async fn postgresql_answers_each_query_from_an_index() {
    let database = postgres::PostgresDatabase::create().await;
    let store = store(Some(database.url.clone()), std::path::Path::new("unused")).await;
    store.writer.execute_unprepared(ROWS).await.unwrap();
    store.writer.execute_unprepared("ANALYZE").await.unwrap();
    let pool = store.reader.get_postgres_connection_pool();
    for case in cases() {
        let statement = case.query.build(DbBackend::Postgres);
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE) {statement}"));
        let rows = sqlx::raw_sql(explain).fetch_all(pool).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        // The workers beside held runs are few, and may be read whole.
        let scan = plan.iter().find(|line| line.contains("Seq Scan") && !line.contains(" on workers"));
        assert_eq!(scan, None, "{}: {plan:#?}", case.what);
        assert!(case.may_sort || !plan.iter().any(|line| line.contains("Sort")), "{}: {plan:#?}", case.what);
        // Of several indexes in the right order PostgreSQL may well take one that leaves a little to be filtered,
        // where it knows from its statistics that it will be little.
        let removed = plan.iter().filter_map(|line| line.split_once("Rows Removed by Filter: "));
        let removed: u64 = removed.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
        assert!(removed <= REMOVED_MAX, "{}: {plan:#?}", case.what);
    }
    store.close().await;
    database.remove().await;
}

/// How many rows a query may look at in vain, of the 10,000 that there are.
const REMOVED_MAX: u64 = 500;

/// When the runs of [`ROWS`] were made.
const DAY: Timestamp = Timestamp::from_millis(1_688_096_058_518);

/// Twenty pipelines, ten branches, ten names, 10,000 runs of which most have succeeded, in the order of their ids.
const ROWS: &str = "
    INSERT INTO pipelines (id, name, name_folded, next_run_number, created_at, updated_at, retention)
    SELECT 'p' || n, 'name ' || n, 'name ' || n, 1, 0, 0, CASE WHEN n % 2 = 0 THEN '{}' END FROM generate_series(0, 2000) n;
    INSERT INTO runs (id, number, pipeline_id, pipeline_name, status, progress, attempt, attempts_max, branch,
        trigger_kind, trigger_by, version, epoch, lines, created_at, finished_at, cancel_requested, losses, settled,
        archived, restart, idempotency_key, inputs)
    SELECT '01890a5d-ac96-774b-bcce-' || lpad(n::text, 12, '0'), n, 'p' || n % 20, 'name',
        CASE WHEN n % 100 = 0 THEN 'running' WHEN n % 100 = 1 THEN 'timed_out' WHEN n % 100 = 2 THEN 'queued'
            ELSE 'succeeded' END,
        0, 1, 1, CASE WHEN n % 10 < 5 THEN 'main' ELSE 'b' || n % 10 END, 'api',
        CASE WHEN n % 7 < 5 THEN 'ci' ELSE 'u' || n % 70 END, 1, 1, 0, 0,
        CASE WHEN n % 100 IN (0, 2) THEN NULL ELSE n END, FALSE, 0, n % 200 <> 7, n % 200 <> 7, FALSE, 'k' || n, '{}'
    FROM generate_series(1, 10000) n;
    INSERT INTO steps (run_id, position, attempt, name, status, needs)
    SELECT id, position, 1, 'step', 'succeeded', '[]' FROM runs, generate_series(0, 1) position;
    INSERT INTO tokens (id, hash, name, kind, role, created_at)
    SELECT 't' || n, sha256(n::text::bytea), 'n' || n, CASE WHEN n % 2 = 0 THEN 'api' ELSE 'session' END, 'admin', 0
    FROM generate_series(1, 3000) n;
    UPDATE tokens SET person_id = 'p' || id;
    INSERT INTO people (id, login, name, role, grants, disabled, issuer, subject, created_at)
    SELECT 'p' || n, 'l' || n, 'n', 'none', '[]', FALSE, 'i', 's' || n, 0 FROM generate_series(1, 3000) n;
    INSERT INTO secrets (pipeline_id, name, branches, allow_untrusted, key_id, nonce, ciphertext, version, created_at,
        created_by, updated_at, updated_by)
    SELECT CASE WHEN n % 10 = 0 THEN '' ELSE 'p' || n END, 'N' || n, '[]', FALSE, 'k' || n % 50, '', '', 1, 0, 'a', 0, 'a'
    FROM generate_series(1, 3000) n;
    INSERT INTO audit (id, at, actor, action, target_kind, target_id, outcome)
    SELECT 'e' || n, n, 'a' || n % 50, 'runs.cancel', 'run', 't' || n % 10, 'done' FROM generate_series(1, 3000) n;
    INSERT INTO removals (run_id, created_at) SELECT 'r' || n, n FROM generate_series(1, 3000) n;
    INSERT INTO bulk_works (id, action, state, filter, until_id, from_id, started_by, owner, total, done, skipped,
        leased_until, created_at, finished_at)
    SELECT 'b' || n, 'delete', 'done', '{}', 'r', 'r', 'a', 'o' || n, 1, 1, 0, 0, 0,
        CASE WHEN n % 500 = 0 THEN NULL ELSE n END
    FROM generate_series(1, 3000) n;
    INSERT INTO workers (id, host, name, started_at, seen_at)
    SELECT 'w' || n, 'h', 'n', 0, n FROM generate_series(1, 3000) n;
";
