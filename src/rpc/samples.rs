//! Samples of every exported type as TypeScript literals: where serde and specta disagree, `tsc` finds it.
//!
//! The file is written beside the package's tests, which check it. Outputs are what serde writes and must be what
//! the published schema says; inputs must be what the server takes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::audit::{AuditEntry, Outcome};
use crate::domain::bulk::{BulkAction, BulkState, BulkWork, LeftOut};
use crate::domain::log::LogLine;
use crate::domain::person::Person;
use crate::domain::pipeline::Pipeline;
use crate::domain::run::{Run, RunDetails, RunState, RunStatus, Step, StepStatus};
use crate::domain::secret::SecretInfo;
use crate::domain::token::{Role, Token, TokenKind};
use crate::rpc::error::{ApiError, ApiErrorCode, ApiErrorData};
use crate::rpc::input::{InputCheck, InputProblem};
use crate::rpc::{audit, auth, bindings, bulk, people, pipelines, runs, schema, secrets, system, tokens};
use crate::services::bulk::BulkPreview;
use crate::services::history::QueueHistory;
use crate::services::lists::ListChange;
use crate::services::logs::LogPage;
use crate::services::queues::live::QueueState;
use crate::services::retention::RetentionDefaults;
use crate::services::search::LogSearch;
use crate::services::system::Health;
use crate::store::page::Page;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const AT: &str = "2026-11-23T23:20:00.123Z";

/// Types that are checked as parts of others only, since a sample of them alone would say nothing more.
const PARTS: [&str; 39] = [
    "BulkLeftOut",
    "BulkLeftOutCount",
    "Retention",
    "BulkAction",
    "BulkState",
    "BulkWorkId",
    "PipelineStats",
    "QueuePoint",
    "RunSummary",
    "AuditId",
    "AuditOutcome",
    "Session",
    "PersonId",
    "Grant",
    "Identity",
    "SingleSignOn",
    "SecretValue",
    "ApiErrorCode",
    "ComponentHealth",
    "HealthStatus",
    "LineId",
    "LogStream",
    "Percent",
    "PipelineId",
    "PlannedStep",
    "Problem",
    "QueueHealth",
    "RetryFrom",
    "Role",
    "RunId",
    "RunTrigger",
    "StreamsHealth",
    "Subscription",
    "Timestamp",
    "When",
    "TokenId",
    "TokenKind",
    "TriggerKind",
    "ApiErrorData",
];

struct Samples {
    text: String,
    types: BTreeSet<&'static str>,
    count: usize,
}

impl Samples {
    /// A value that procedures answer with.
    #[track_caller]
    fn output<T: Serialize + JsonSchema>(&mut self, name: &'static str, value: &T) {
        let written = serde_json::to_value(value).unwrap();
        let schema = schema::of_outputs().into_root_schema_for::<T>();
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let complaints: Vec<String> =
            validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(complaints.is_empty(), "{name}: {written} is not what its schema says: {complaints:?}");
        self.add(name, &written);
    }

    /// As `output`, of a value that is easier to write as JSON.
    #[track_caller]
    fn parsed<T: Serialize + DeserializeOwned + JsonSchema>(&mut self, name: &'static str, value: Value) {
        self.output(name, &serde_json::from_value::<T>(value).unwrap());
    }

    /// A value that a procedure takes.
    #[track_caller]
    fn input<T: DeserializeOwned + JsonSchema>(&mut self, name: &'static str, value: Value) {
        let problems = InputCheck::of::<T>().read::<T>(value.clone()).err();
        assert!(problems.is_none(), "{name}: {value} is refused: {problems:?}");
        self.add(name, &value);
    }

    fn add(&mut self, name: &'static str, value: &Value) {
        self.types.insert(name.split('<').next().unwrap());
        self.count += 1;
        let name = name.replace('<', "<T.");
        writeln!(self.text, "export const sample{}: T.{name} = {value};", self.count).unwrap();
    }
}

fn step(status: StepStatus, begun: bool) -> Value {
    let at = begun.then_some(AT);
    json!({
        "name": "build", "status": status, "exitCode": begun.then_some(137), "reason": null, "attempt": 1,
        "needs": ["checkout"], "startedAt": at, "finishedAt": at,
        "logPurgedAt": at, "logPurgedBy": null,
        "firstLine": begun.then_some(1), "lastLine": begun.then_some(9_007_199_254_740_991_u64),
        "firstErrorLine": begun.then_some(2),
    })
}

fn run(status: RunStatus, progress: u8, full: bool) -> Value {
    let at = full.then_some(AT);
    json!({
        "id": ID, "number": u32::MAX, "pipelineId": ID, "pipelineName": "build", "status": status,
        "progress": progress, "attempt": 1, "attemptsMax": 3, "branch": full.then_some("main"),
        "commit": full.then_some("0".repeat(40)), "inputs": if full { json!({ "target": "prod" }) } else { json!({}) },
        "trigger": { "kind": if full { "api" } else { "queue" }, "by": "ci", "untrusted": false }, "reason": full.then_some("canceled by ci"),
        "error": full.then_some("step build failed"), "version": 7, "lines": 9_007_199_254_740_991_u64,
        "lastLineAt": at, "nextAttemptAt": at, "createdAt": AT, "startedAt": at, "finishedAt": at,
    })
}

fn with(mut value: Value, members: Value) -> Value {
    let (Value::Object(into), Value::Object(members)) = (&mut value, members) else { unreachable!() };
    into.extend(members);
    value
}

fn state(status: RunStatus) -> Value {
    json!({
        "runId": ID, "number": 1, "status": status, "progress": 100, "attempt": 1, "version": 7, "lines": 3,
        "lastLineAt": AT, "nextAttemptAt": null, "commit": null, "reason": null, "error": null,
        "startedAt": AT, "finishedAt": null, "steps": [step(StepStatus::Running, true)],
    })
}

fn pipeline(full: bool) -> Value {
    let text = |text: &str| full.then(|| text.to_owned());
    let retention = json!({ "runs": "90d", "logs": "forever", "keepRuns": 7 });
    json!({
        "retention": full.then_some(retention),
        "id": ID, "name": "build", "description": text("builds it"), "repository": text("https://example.com/a.git"),
        "defaultBranch": text("main"), "definition": text("steps: []"), "createdAt": AT, "updatedAt": AT,
    })
}

fn line(stream: &str) -> Value {
    json!({
        "id": "3-17", "n": 17, "timestamp": AT, "step": "build", "attempt": 1, "stream": stream, "message": "say \"hi\"",
    })
}

fn health(status: &str) -> Value {
    let component = json!({ "status": status, "kind": "sqlite", "error": null });
    json!({
        "status": status, "version": "0.1.0", "uptimeSeconds": 5, "database": component, "redis": component,
        "queue": { "waiting": 0, "active": 1, "delayed": 2, "failed": 3, "workers": 4 },
        "streams": { "open": 3, "logs": 1, "runs": 2 }, "lastFetchAt": null,
    })
}

fn token(role: Role, kind: TokenKind) -> Value {
    json!({
        "id": ID, "name": "ci", "kind": kind, "role": role, "grants": [],
        "personId": null, "createdBy": "admin", "createdAt": AT, "expiresAt": AT, "lastUsedAt": null,
    })
}

fn outputs(samples: &mut Samples) {
    for status in RunStatus::ALL {
        samples.parsed::<Run>("Run", run(status, 0, false));
        samples.output("RunStatus", &status);
        let details = json!({ "steps": [step(StepStatus::Pending, false)], "earlierSteps": [] });
        samples.parsed::<RunDetails>("RunDetails", with(run(status, 100, true), details));
        samples.parsed::<RunState>("RunState", state(status));
    }
    for status in StepStatus::ALL {
        samples.parsed::<Step>("Step", step(status, true));
        samples.output("StepStatus", &status);
    }
    let page = |item: Value| json!({ "items": [item], "nextCursor": "next" });
    samples.parsed::<Page<Run>>("Page<Run>", page(run(RunStatus::Queued, 0, false)));
    samples.parsed::<Page<Pipeline>>("Page<Pipeline>", page(pipeline(true)));
    samples.parsed::<Page<Token>>("Page<Token>", json!({ "items": [], "nextCursor": null }));
    for full in [true, false] {
        samples.parsed::<Pipeline>("Pipeline", pipeline(full));
    }
    for stream in ["stdout", "stderr", "system"] {
        samples.parsed::<LogLine>("LogLine", line(stream));
    }
    samples.parsed::<LogLine>(
        "LogLine",
        with(line("stdout"), json!({ "partial": true, "continued": true, "step": null })),
    );
    samples.parsed::<LogPage>("LogPage", json!({ "items": [line("stdout")], "total": 1, "nextFrom": 2 }));
    samples.parsed::<LogPage>("LogPage", json!({ "items": [], "total": 0, "nextFrom": null }));
    let found = json!({ "count": 1, "hits": [4], "marks": [1], "searched": 9, "total": 9, "done": true });
    samples.parsed::<LogSearch>("LogSearch", found);
    samples.output("DeletedRun", &runs::DeletedRun { deleted: true });
    let preview = json!({ "total": 1, "more": false, "skipped": 0, "until": ID, "sample": [run(RunStatus::Failed, 100, true)], "reasons": [], "noRight": 0 });
    let reasons = LeftOut::ALL.map(|reason| json!({ "reason": reason, "count": 1 }));
    samples.parsed::<BulkPreview>(
        "BulkPreview",
        with(preview.clone(), json!({ "skipped": 4, "reasons": reasons })),
    );
    samples.parsed::<BulkPreview>("BulkPreview", preview);
    for action in BulkAction::ALL {
        for state in BulkState::ALL {
            let work = json!({
                "id": ID, "action": action, "state": state, "total": 3, "done": 2, "skipped": 1, "startedBy": "ann",
                "createdAt": AT, "finishedAt": if state == BulkState::Done { json!(AT) } else { Value::Null },
                "reason": (state == BulkState::Stopped).then_some("stopped by bob"),
            });
            samples.parsed::<BulkWork>("BulkWork", work);
        }
    }
    samples.parsed::<ListChange>("ListChange", json!({ "at": "2026-11-21T12:00:00.000Z" }));
    for status in ["ok", "degraded", "down"] {
        samples.parsed::<Health>("Health", health(status));
    }
    for role in Role::ALL {
        samples.parsed::<Token>("Token", token(role, TokenKind::Session));
    }
    for outcome in Outcome::ALL {
        let entry = json!({ "id": ID, "at": AT, "actor": "ci", "tokenId": ID, "ip": "127.0.0.1", "requestId": "r",
            "action": "runs.cancel", "targetKind": "run", "targetId": ID, "outcome": outcome, "detail": null });
        samples.parsed::<AuditEntry>("AuditEntry", entry);
    }
    let created = json!({ "token": token(Role::Admin, TokenKind::Api), "value": "secret" });
    samples.parsed::<tokens::CreatedToken>("CreatedToken", created);
    let ticket = json!({ "ticket": "slt_secret", "expiresAt": AT });
    samples.parsed::<auth::StreamTicket>("StreamTicket", ticket);
    let grant = json!({ "pipelineId": ID, "role": "viewer" });
    let oidc = |out: Value| json!({ "name": "Company", "link": "/auth/oidc/start", "signOutLink": out });
    for oidc in [json!(null), oidc(json!(null)), oidc(json!("/auth/oidc/sign-out"))] {
        samples.parsed::<auth::SignInWays>("SignInWays", json!({ "password": true, "oidc": oidc }));
    }
    for role in [json!(null), json!("admin")] {
        let identity =
            role.as_str().map(|_| json!({ "issuer": "https://login.example.com", "subject": "7" }));
        let person = json!({ "id": ID, "login": "ann", "name": "Ann", "email": role, "role": role, "grants": [grant],
            "disabled": false, "hasPassword": true, "identity": identity, "createdAt": AT, "signedInAt": null });
        samples.parsed::<Person>("Person", person);
        let me =
            json!({ "name": "ann", "role": role, "grants": [grant], "personId": ID, "hasPassword": true });
        samples.parsed::<auth::Me>("Me", me);
    }
    let session = json!({ "id": ID, "device": "Firefox", "ip": "::1", "createdAt": AT, "expiresAt": AT,
        "lastUsedAt": null, "current": true });
    samples.parsed::<auth::Sessions>("Sessions", json!({ "items": [session] }));
    samples.parsed::<people::Done>("Done", json!({ "done": true }));
    samples.parsed::<tokens::RevokedToken>("RevokedToken", json!({ "revoked": true }));
    samples.parsed::<pipelines::DeletedPipeline>("DeletedPipeline", json!({ "deleted": true }));
    let problem =
        json!({ "line": 1, "column": 2, "path": "steps[0]", "message": "is no step", "expected": "a map" });
    let planned = json!({ "name": "test", "needs": ["build"], "when": "success", "line": 4 });
    samples
        .parsed::<pipelines::Validation>("Validation", json!({ "problems": [problem], "steps": [planned] }));
    let secret = json!({
        "name": "TOKEN", "pipelineId": ID, "description": null, "branches": ["main"], "allowUntrusted": false, "version": 1,
        "createdAt": AT, "createdBy": "admin", "updatedAt": AT, "updatedBy": "admin", "lastUsedAt": null,
    });
    samples.parsed::<SecretInfo>("SecretInfo", secret);
    samples.parsed::<secrets::DeletedSecret>("DeletedSecret", json!({ "deleted": true }));
    for known in [json!(null), json!(1)] {
        let run = json!({ "id": ID, "number": 1, "status": "succeeded", "branch": null, "triggeredBy": "ci",
            "createdAt": AT, "startedAt": AT, "finishedAt": null, "durationMs": known });
        let stats =
            json!({ "pipelineId": ID, "runs": [run], "successRate": known, "medianDurationMs": known });
        samples.parsed::<pipelines::PipelinesStats>("PipelinesStats", json!({ "items": [stats] }));
        let point = json!({ "at": AT, "waiting": 1, "active": 1, "delayed": 1, "added": 1, "completed": 1, "failed": 1,
            "canceled": 1, "durationP50Ms": known, "durationP95Ms": known });
        samples.parsed::<QueueHistory>("QueueHistory", json!({ "points": [point] }));
        let at = known.is_null().then_some(AT);
        let queue = json!({ "waiting": 1, "active": 1, "delayed": 1, "completed": 1, "failed": 1, "workers": 1,
            "oldestWaitingAt": at, "isPaused": false, "historyUntil": at });
        samples.parsed::<QueueState>("QueueState", queue);
    }
    let defaults = json!({ "runs": "90d", "logs": null, "keepRuns": null, "runsMin": 10 });
    samples.parsed::<RetentionDefaults>("RetentionDefaults", defaults);
    errors(samples);
}

fn errors(samples: &mut Samples) {
    let problem = InputProblem::at("limit", "is too large");
    samples.output("InputProblem", &problem);
    let bare = ApiErrorData {
        code: ApiErrorCode::NotFound,
        http_status: 404,
        path: None,
        field: None,
        problems: None,
        request_id: None,
    };
    let full = ApiErrorData {
        path: Some("runs.list".to_owned()),
        field: Some("limit".to_owned()),
        problems: Some(vec![problem]),
        request_id: Some("request-1".to_owned()),
        ..bare.clone()
    };
    for data in [bare, full] {
        samples.output("ApiError", &ApiError { message: "no".to_owned(), code: -32004, data });
    }
}

fn inputs(samples: &mut Samples) {
    let run = json!({ "runId": ID });
    let pipeline = json!({ "pipelineId": "build" });
    samples.input::<runs::RunInput>("RunInput", run.clone());
    samples.input::<pipelines::PipelineInput>("PipelineInput", pipeline.clone());

    samples.input::<runs::ListRunsInput>("ListRunsInput", json!({}));
    let all = json!({ "pipelineId": "build", "status": "timed_out", "branch": "main", "by": "ann", "since": AT, "until": AT, "cursor": "01890000-0000-7000-8000-000000000000", "limit": 100 });
    samples.input::<runs::ListRunsInput>("ListRunsInput", all);
    samples.input::<runs::ListRunsInput>("ListRunsInput", json!({ "status": null, "limit": null }));

    samples.input::<runs::RetryRunInput>("RetryRunInput", run.clone());
    for from in ["start", "failed"] {
        samples.input::<runs::RetryRunInput>("RetryRunInput", with(run.clone(), json!({ "from": from })));
    }
    samples.input::<runs::RunLogsInput>("RunLogsInput", run.clone());
    let all = json!({ "from": -1, "limit": 1000, "step": "build" });
    samples.input::<runs::RunLogsInput>("RunLogsInput", with(run.clone(), all));
    samples.input::<runs::SearchLogsInput>("SearchLogsInput", with(run.clone(), json!({ "text": "error" })));
    let all = json!({ "text": "^e", "regex": true, "matchCase": true, "step": "build", "after": 7 });
    samples.input::<runs::SearchLogsInput>("SearchLogsInput", with(run.clone(), all));
    samples.input::<runs::RunNumberInput>("RunNumberInput", with(pipeline.clone(), json!({ "number": 1 })));
    let bulk = json!({ "action": "delete", "pipelineId": "build", "status": "failed", "branch": "main", "by": "ann", "since": AT });
    let preview = with(bulk.clone(), json!({ "until": AT }));
    samples.input::<bulk::PreviewBulkInput>("PreviewBulkInput", preview);
    samples.input::<bulk::StartBulkInput>("StartBulkInput", with(bulk, json!({ "until": ID })));
    samples.input::<bulk::BulkInput>("BulkInput", json!({ "bulkId": ID }));
    samples.input::<runs::WatchListInput>("WatchListInput", json!({}));
    samples.input::<pipelines::StreamLogsInput>("StreamLogsInput", run.clone());
    let all = json!({ "after": -1, "lastEventId": "3-17" });
    samples.input::<pipelines::StreamLogsInput>("StreamLogsInput", with(run.clone(), all));
    samples.input::<pipelines::WatchRunInput>("WatchRunInput", with(run, json!({ "lastEventId": "7" })));

    samples.input::<pipelines::TriggerInput>("TriggerInput", pipeline.clone());
    let all = json!({ "branch": "main", "inputs": { "target": "prod" }, "idempotencyKey": "k" });
    samples.input::<pipelines::TriggerInput>("TriggerInput", with(pipeline.clone(), all));
    samples
        .input::<pipelines::TriggerInput>("TriggerInput", with(pipeline.clone(), json!({ "inputs": null })));

    let fields = json!({ "repository": "/srv/r.git", "defaultBranch": "main", "definition": "steps: []", "description": "d", "retention": { "runs": "90d" } });
    let cleared = json!({ "repository": null, "defaultBranch": null, "definition": null, "description": null, "retention": null });
    for fields in [json!({}), fields, cleared] {
        let update = with(pipeline.clone(), fields.clone());
        samples.input::<pipelines::UpdatePipelineInput>("UpdatePipelineInput", update);
        let create = with(json!({ "name": "build" }), fields);
        samples.input::<pipelines::CreatePipelineInput>("CreatePipelineInput", create);
    }
    samples
        .input::<pipelines::ListPipelinesInput>("ListPipelinesInput", json!({ "search": "b", "limit": 1 }));
    let stats = json!({ "pipelineIds": [ID], "runs": 50 });
    samples.input::<pipelines::PipelineStatsInput>("PipelineStatsInput", stats);
    samples.input::<system::QueueHistoryInput>("QueueHistoryInput", json!({ "minutes": 60 }));
    samples.input::<pipelines::ValidateInput>("ValidateInput", json!({ "definition": "steps: []" }));

    let set = json!({ "name": "TOKEN", "value": "hunter22", "branches": ["main"], "allowUntrusted": true });
    samples.input::<secrets::SetSecretInput>("SetSecretInput", set);
    samples.input::<secrets::ListSecretsInput>("ListSecretsInput", json!({ "pipelineId": "build" }));
    samples.input::<secrets::DeleteSecretInput>("DeleteSecretInput", json!({ "name": "TOKEN" }));
    for role in Role::ALL {
        let create = json!({ "name": "ci", "role": role, "expiresInDays": 30 });
        samples.input::<tokens::CreateTokenInput>("CreateTokenInput", create);
    }
    let grants = json!([{ "pipelineId": ID, "role": "viewer" }]);
    samples.input::<tokens::CreateTokenInput>("CreateTokenInput", json!({ "name": "ci", "grants": grants }));
    let create = json!({ "login": "ann", "name": "Ann", "email": "ann@example.com", "password": "a long password",
        "role": "viewer", "grants": grants });
    samples.input::<people::CreatePersonInput>("CreatePersonInput", create);
    samples.input::<people::PersonInput>("PersonInput", json!({ "person": "ann" }));
    samples.input::<people::ListPeopleInput>(
        "ListPeopleInput",
        json!({ "cursor": null, "limit": 1, "search": "an" }),
    );
    let update = json!({ "person": "ann", "email": null, "role": null, "grants": grants, "disabled": true,
        "subject": null });
    samples.input::<people::UpdatePersonInput>("UpdatePersonInput", update);
    let password = json!({ "person": "ann", "password": "a long password" });
    samples.input::<people::SetPasswordInput>("SetPasswordInput", password);
    let password = json!({ "present": "a long password", "new": "another password" });
    samples.input::<auth::ChangePasswordInput>("ChangePasswordInput", password);
    samples.input::<auth::RevokeSessionInput>("RevokeSessionInput", json!({ "session": ID }));
    for input in [json!(null), json!({ "runId": ID }), json!([1])] {
        let ticket = json!({ "path": "pipelines.streamLogs", "input": input });
        samples.input::<auth::StreamTicketInput>("StreamTicketInput", ticket);
    }
    samples.input::<audit::ListAuditInput>("ListAuditInput", json!({}));
    let all = json!({ "actor": "ci", "action": "runs.cancel", "target": ID, "outcome": "done", "since": AT, "until": AT });
    samples.input::<audit::ListAuditInput>("ListAuditInput", all);
    samples.input::<tokens::ListTokensInput>("ListTokensInput", json!({ "cursor": null }));
    samples.input::<tokens::RevokeTokenInput>("RevokeTokenInput", json!({ "token": "ci" }));
}

fn samples() -> Samples {
    let text = "\
// Generated from Rust values by the test `samples` of the server. Changes made here are lost.

import type * as T from '@slipway/client';

"
    .to_owned();
    let mut samples = Samples { text, types: BTreeSet::new(), count: 0 };
    outputs(&mut samples);
    inputs(&mut samples);
    samples
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings/test/samples.ts")
}

#[test]
fn the_samples_that_tsc_checks_are_those_of_the_types() {
    let present = std::fs::read_to_string(file()).unwrap();
    assert!(present == samples().text, "run `cargo test --lib write_the_samples -- --ignored`");
}

#[test]
fn every_exported_type_has_a_sample() {
    let exported = bindings::export().unwrap();
    let sampled = samples().types;
    for line in exported.lines() {
        let Some(name) = line.strip_prefix("export type ") else { continue };
        let name = name.split([' ', '<']).next().unwrap();
        assert!(
            name == "Procedures" || PARTS.contains(&name) || sampled.contains(name),
            "{name} has no sample"
        );
    }
}

/// Not a check: writes the file.
#[test]
#[ignore = "writes the samples"]
fn write_the_samples() {
    std::fs::write(file(), samples().text).unwrap();
}
