//! That what is published is what is so: arbitrary values of every output against the published schemas, and
//! arbitrary inputs, right and spoilt, against serde. A procedure whose output has no strategy here fails.

mod stats;
mod values;

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schemars::SchemaGenerator;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::ids::RunId;
use crate::domain::log::{LineId, LogLine, LogStream};
use crate::domain::pipeline::{Pipeline, PlannedStep, Problem, When};
use crate::domain::run::{
    Percent, Run, RunDetails, RunState, RunStatus, RunTrigger, Step, StepStatus, TriggerKind,
};
use crate::domain::secret::SecretInfo;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::token::{Grant, Role};
use crate::rpc::rest::Problem as ProblemDetails;
use crate::rpc::wire::{CallError, ErrorCode};
use crate::rpc::{auth, openapi, people, pipelines, schema, secrets, tokens};
use crate::services::lists::ListChange;
use crate::services::logs::LogPage;
use crate::store::page::Page;

const CASES: u32 = 64;
const INPUT_CASES: u32 = 200;
const INTEGER_MAX: u64 = schema::INTEGER_MAX as u64;

fn any_text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..=5_u64, Just(INTEGER_MAX), 0..=INTEGER_MAX]
}

/// An id of whatever kind.
fn id<T: std::str::FromStr<Err: Debug> + Debug>() -> impl Strategy<Value = T> {
    any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string().parse().unwrap())
}

/// To the end of the year 9999.
fn at() -> impl Strategy<Value = Timestamp> {
    (0..253_402_300_800_000_i64).prop_map(Timestamp::from_millis)
}

fn step() -> impl Strategy<Value = Step> {
    let status = proptest::sample::select(StepStatus::ALL.to_vec());
    let said = (any_text(), status, of(any::<i32>()), of(any_text()), any::<u32>(), vec(any_text(), 0..3));
    (said, of(at()), of(at()), of(count()), of(count()), of(count())).prop_map(
        |(
            (name, status, exit_code, reason, attempt, needs),
            started_at,
            finished_at,
            first_line,
            last_line,
            first_error_line,
        )| Step {
            name,
            status,
            exit_code,
            reason,
            attempt,
            needs,
            started_at,
            finished_at,
            first_line,
            last_line,
            first_error_line,
        },
    )
}

fn status() -> impl Strategy<Value = RunStatus> {
    proptest::sample::select(RunStatus::ALL.to_vec())
}

fn percent() -> impl Strategy<Value = Percent> {
    any::<u8>().prop_map(Percent::new)
}

fn run() -> impl Strategy<Value = Run> {
    let kind = prop_oneof![Just(TriggerKind::Api), Just(TriggerKind::Queue)];
    let trigger = (kind, any_text()).prop_map(|(kind, by)| RunTrigger { kind, by, untrusted: false });
    let named = (id(), any::<u32>(), id(), any_text(), status(), percent(), any::<u32>(), any::<u32>());
    let inputs = btree_map(any_text(), any_text(), 0..3);
    let said =
        (of(any_text()), of(any_text()), inputs, trigger, of(any_text()), of(any_text()), count(), count());
    let purged = (of(at()), of(any_text()));
    (named, said, of(at()), of(at()), at(), of(at()), of(at()), purged).prop_map(
        |(named, said, last_line_at, next_attempt_at, created_at, started_at, finished_at, purged)| {
            let (log_purged_at, log_purged_by) = purged;
            let (id, number, pipeline_id, pipeline_name, status, progress, attempt, attempts_max) = named;
            let (branch, commit, inputs, trigger, reason, error, version, lines) = said;
            Run {
                id,
                number,
                pipeline_id,
                pipeline_name,
                status,
                progress,
                attempt,
                attempts_max,
                branch,
                commit,
                inputs,
                trigger,
                reason,
                error,
                version,
                lines,
                last_line_at,
                next_attempt_at,
                created_at,
                started_at,
                finished_at,
                log_purged_at,
                log_purged_by,
            }
        },
    )
}

fn details() -> impl Strategy<Value = RunDetails> {
    (run(), vec(step(), 0..3), vec(step(), 0..3)).prop_map(|(run, steps, earlier_steps)| RunDetails {
        run,
        steps,
        earlier_steps,
    })
}

/// What a watcher is told is part of what there is to know of a run.
fn state() -> impl Strategy<Value = RunState> {
    (run(), vec(step(), 0..3)).prop_map(|(run, steps)| RunState {
        run_id: run.id,
        number: run.number,
        status: run.status,
        progress: run.progress,
        attempt: run.attempt,
        version: run.version,
        lines: run.lines,
        last_line_at: run.last_line_at,
        next_attempt_at: run.next_attempt_at,
        commit: run.commit,
        reason: run.reason,
        error: run.error,
        started_at: run.started_at,
        finished_at: run.finished_at,
        steps,
    })
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let said = (of(any_text()), of(any_text()), of(any_text()), of(any_text()));
    let kept = of(values::retention());
    (id(), any_text(), said, kept, at(), at()).prop_map(
        |(id, name, said, retention, created_at, updated_at)| {
            let (description, repository, default_branch, definition) = said;
            Pipeline {
                id,
                name,
                description,
                repository,
                default_branch,
                definition,
                retention,
                created_at,
                updated_at,
            }
        },
    )
}

fn line() -> impl Strategy<Value = LogLine> {
    let stream = prop_oneof![Just(LogStream::Stdout), Just(LogStream::Stderr), Just(LogStream::System)];
    let id = (count(), count()).prop_map(|(epoch, n)| LineId { epoch, n });
    let flags = (any::<bool>(), any::<bool>());
    (id, count(), at(), of(any_text()), any::<u32>(), stream, any_text(), flags).prop_map(
        |(id, n, timestamp, step, attempt, stream, message, (partial, continued))| LogLine {
            id,
            n,
            timestamp,
            step,
            attempt,
            stream,
            message,
            partial,
            continued,
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL.to_vec())
}

fn grant() -> impl Strategy<Value = Grant> {
    (id(), role()).prop_map(|(pipeline_id, role)| Grant { pipeline_id, role })
}

fn secret() -> impl Strategy<Value = SecretInfo> {
    let named = (any_text(), of(id()), of(any_text()), vec(any_text(), 0..3), any::<bool>(), count());
    (named, at(), any_text(), at(), any_text(), of(at())).prop_map(
        |(named, created_at, created_by, updated_at, updated_by, last_used_at)| {
            let (name, pipeline_id, description, branches, allow_untrusted, version) = named;
            SecretInfo {
                name,
                pipeline_id,
                description,
                branches,
                allow_untrusted,
                version,
                created_at,
                created_by,
                updated_at,
                updated_by,
                last_used_at,
            }
        },
    )
}

fn page<T: Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Page<T>> {
    (vec(item, 0..3), of(any_text())).prop_map(|(items, next_cursor)| Page { items, next_cursor })
}

fn validation() -> impl Strategy<Value = Result<Vec<PlannedStep>, Vec<Problem>>> {
    let when = prop_oneof![Just(When::Success), Just(When::Failure), Just(When::Always)];
    let step = (any_text(), vec(any_text(), 0..3), when, any::<u32>())
        .prop_map(|(name, needs, when, line)| PlannedStep { name, needs, when, line });
    let problem = (any::<u32>(), any::<u32>(), any_text(), any_text(), any_text()).prop_map(
        |(line, column, path, message, expected)| Problem { line, column, path, message, expected },
    );
    prop_oneof![vec(step, 0..3).prop_map(Ok), vec(problem, 0..3).prop_map(Err)]
}

/// The published document, and which of its schemas were held against values.
struct Published {
    document: Value,
    checked: Vec<&'static str>,
}

impl Published {
    fn holds<T: Serialize + Debug>(&mut self, name: &'static str, values: impl Strategy<Value = T>) {
        assert!(self.document["components"]["schemas"][name].is_object(), "{name} is not published");
        let root = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": self.document["components"],
        });
        let validator = jsonschema::options().should_validate_formats(true).build(&root).unwrap();
        let mut runner = TestRunner::new(Config { cases: CASES, ..Config::default() });
        let outcome = runner.run(&values, |value| {
            // As the server writes it, and not by way of a value, which would even out what serde did.
            let written: Value = serde_json::from_slice(&serde_json::to_vec(&value).unwrap()).unwrap();
            let complaints: Vec<String> =
                validator.iter_errors(&written).map(|error| error.to_string()).collect();
            prop_assert!(complaints.is_empty(), "{name}: {written}: {complaints:?}");
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        self.checked.push(name);
    }
}

#[test]
fn every_output_is_what_its_published_schema_says() {
    let mut published = Published { document: openapi::document(), checked: Vec::new() };
    published.holds("Run", run());
    published.holds("RunDetails", details());
    published.holds("RunState", state());
    published.holds("RunPage", page(run()));
    published.holds("Pipeline", pipeline());
    published.holds("PipelinePage", page(pipeline()));
    published.holds("LogLine", line());
    let log = (vec(line(), 0..3), count(), of(count()));
    published.holds("LogPage", log.prop_map(|(items, total, next_from)| LogPage { items, total, next_from }));
    published.holds("BulkWork", values::bulk_work());
    published.holds("BulkPreview", values::bulk_preview());
    let deleted = any::<bool>().prop_map(|deleted| crate::rpc::runs::DeletedRun { deleted });
    published.holds("DeletedRun", deleted);
    published.holds("LogSearch", values::log_search());
    published.holds("ListChange", at().prop_map(|at| ListChange { at }));
    published.holds("TokenPage", page(values::token()));
    published.holds("AuditEntryPage", page(values::audit_entry()));
    published.holds("Health", stats::health());
    published.holds("Validation", validation().prop_map(pipelines::Validation::of));
    published.holds("DeletedPipeline", any::<bool>().prop_map(pipelines::DeletedPipeline::of));
    published.holds(
        "CreatedToken",
        (values::token(), any_text()).prop_map(|(token, value)| tokens::CreatedToken::of(token, value)),
    );
    let ticket = (any_text(), at()).prop_map(|(ticket, at)| auth::StreamTicket::of(ticket, at));
    published.holds("StreamTicket", ticket);
    published.holds("Person", values::person());
    published.holds("PersonPage", page(values::person()));
    published.holds("Done", any::<bool>().prop_map(|done| people::Done { done }));
    published.holds("Sessions", vec(values::session(), 0..3).prop_map(|items| auth::Sessions { items }));
    let me = (any_text(), of(role()), vec(grant(), 0..3), of(id()), any::<bool>());
    let me = me.prop_map(|(name, role, grants, person_id, has_password)| auth::Me {
        name,
        role,
        grants,
        person_id,
        has_password,
    });
    published.holds("Me", me);
    let oidc = (any_text(), any_text(), of(any_text()));
    let oidc = oidc.prop_map(|(name, link, sign_out_link)| auth::SingleSignOn { name, link, sign_out_link });
    let ways = (any::<bool>(), of(oidc)).prop_map(|(password, oidc)| auth::SignInWays { password, oidc });
    published.holds("SignInWays", ways);
    published.holds(
        "PipelinesStats",
        vec(stats::pipeline(), 0..3).prop_map(|items| pipelines::PipelinesStats { items }),
    );
    published.holds("QueueHistory", stats::history());
    published.holds("QueueState", stats::queue());
    published.holds("RetentionDefaults", values::retention_defaults());
    published.holds("RevokedToken", any::<bool>().prop_map(tokens::RevokedToken::of));
    published.holds("DeletedSecret", any::<bool>().prop_map(secrets::DeletedSecret::of));
    published.holds("SecretInfo", secret());
    published.holds("SecretInfoPage", page(secret()));
    let error = (any_text(), any_text())
        .prop_map(|(message, id)| ProblemDetails::of(CallError::new(ErrorCode::Conflict, message), &id));
    published.holds("ProblemDetails", error);

    let mut generator = schema::of_outputs();
    for declared in crate::rpc::router().registry {
        let output = (declared.output_schema)(&mut generator);
        let name = output.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
        let name = name.expect("an output is a named type");
        assert!(published.checked.contains(&name), "{}: no strategy for {name}", declared.spec.path);
    }
}

/// Any JSON, with what is likely to lie at an edge.
fn junk() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::sample::select(vec![0.0, 1.0, -1.0, 1.5, 1e300, 4_294_967_296.0, 9_007_199_254_740_993.0])
            .prop_map(Value::from),
        any_text().prop_map(Value::from),
        proptest::sample::select(vec!["", "1", "null", "viewer", "failed", "\0", "1-1"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(any_text(), inner, 0..3).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
    .boxed()
}

/// A pattern and the rule in words must agree on what fits the pattern, on what nearly does and on anything.
#[test]
fn a_rule_and_its_pattern_take_the_same_texts() {
    for pattern in [text::NAME_PATTERN, text::BRANCH_PATTERN, text::REPOSITORY_PATTERN] {
        let rule = text::rule_of(pattern).unwrap();
        let check = jsonschema::validator_for(&json!({ "pattern": pattern })).unwrap();
        let bare = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).unwrap();
        let fits = proptest::string::string_regex(bare).unwrap().boxed();
        let near = "(https|ssh|file|git|x)?(://)?[a/:@?#. -]{0,8}";
        let edges =
            "[a-c /.:@~^?*\\[\u{80}-\u{c0}\u{61a}-\u{61e}\u{2000}-\u{2071}\u{feff}\u{fff0}\u{e0001}-]{1,6}";
        let texts = prop_oneof![
            fits.clone(),
            (fits, any::<char>()).prop_map(|(t, c)| t + &c.to_string()),
            near,
            edges,
            any::<String>()
        ];
        let mut runner = TestRunner::new(Config { cases: 4_000, ..Config::default() });
        let outcome = runner.run(&texts, |value| {
            // The lengths stand beside the pattern.
            let value: String = value.chars().take(text::NAME_CHARS_MAX).collect();
            prop_assert_eq!(check.is_valid(&json!(value)), rule(&value).is_ok(), "{:?}", value);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{pattern}: {failure}"));
    }
}

/// Values that the schema is likely to accept.
fn fitting(schema: &Value, definitions: &Map<String, Value>) -> BoxedStrategy<Value> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()) {
        return fitting(&definitions[name], definitions);
    }
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        let choices: Vec<_> = choices.iter().map(|choice| fitting(choice, definitions)).collect();
        return proptest::strategy::Union::new(choices).boxed();
    }
    if let Some(constant) = schema.get("const") {
        return Just(constant.clone()).boxed();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return proptest::sample::select(values.clone()).boxed();
    }
    if schema.get("type").is_none() {
        return junk();
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let bound = |name: &str, default: i64| schema.get(name).and_then(Value::as_i64).unwrap_or(default);
    let kinds = kinds.into_iter().map(|kind| match kind {
        "integer" => {
            let range = bound("minimum", -schema::INTEGER_MAX)..=bound("maximum", schema::INTEGER_MAX);
            let edges = vec![*range.start(), *range.end()];
            prop_oneof![
                range.prop_map(Value::from),
                proptest::sample::select(edges.clone()).prop_map(Value::from),
                // The same number, as JSON may write it too.
                proptest::sample::select(edges).prop_map(|edge| Value::from(edge as f64)),
            ]
            .boxed()
        }
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "array" => vec(fitting(&schema["items"], definitions), 0..3).prop_map(Value::from).boxed(),
        "null" => Just(Value::Null).boxed(),
        "object" => btree_map("[A-Za-z_][A-Za-z0-9_]{0,8}", any_text(), 0..3)
            .prop_map(|members: BTreeMap<String, String>| json!(members))
            .boxed(),
        _ if schema["pattern"] == schema::ID => id::<RunId>().prop_map(|id| json!(id)).boxed(),
        _ if schema["pattern"] == text::SECRET_NAME_PATTERN => "[A-Z_]{1,20}".prop_map(Value::from).boxed(),
        _ if schema["pattern"] == text::SECRET_VALUE_PATTERN => {
            "[a-z0-9]{6,20}".prop_map(Value::from).boxed()
        }
        _ => prop_oneof!["[a-z0-9-]{1,40}", "[0-9]{1,16}-[0-9]{1,16}", "[0-9]{1,16}"]
            .prop_map(Value::from)
            .boxed(),
    });
    proptest::strategy::Union::new(kinds).boxed()
}

/// Objects with some of the input's fields, some of them spoilt.
fn inputs(input: fn(&mut SchemaGenerator) -> schemars::Schema) -> BoxedStrategy<Value> {
    let mut generator = schema::of_inputs();
    let root = Value::from(input(&mut generator));
    let definitions = generator.take_definitions(true);
    let name = root["$ref"].as_str().and_then(|at| at.rsplit('/').next()).expect("an input is a named type");
    let root = &definitions[name];
    let none = Map::new();
    let properties = root.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let members = properties.iter().fold(Just(Map::new()).boxed(), |members, (name, schema)| {
        let name = name.clone();
        let is_required =
            root["required"].as_array().is_some_and(|names| names.iter().any(|one| *one == *name));
        let value = prop_oneof![
            8 => fitting(schema, &definitions).prop_map(Some),
            1 => junk().prop_map(Some),
            if is_required { 1 } else { 6 } => Just(None),
        ];
        let member = move |(mut members, value): (Map<String, Value>, Option<Value>)| {
            if let Some(value) = value {
                members.insert(name.clone(), value);
            }
            members
        };
        (members, value).prop_map(member).boxed()
    });
    prop_oneof![9 => members.prop_map(Value::Object), 1 => junk()].boxed()
}

#[test]
fn serde_takes_every_input_that_the_schema_takes() {
    for declared in crate::rpc::router().registry {
        let mut accepted = 0;
        let mut runner = TestRunner::new(Config { cases: INPUT_CASES, ..Config::default() });
        let read = (declared.reads)();
        let values = inputs(declared.input_schema);
        for _ in 0..INPUT_CASES {
            let value = values.new_tree(&mut runner).unwrap().current();
            let (schema_takes, serde_takes) = read(&value);
            assert!(!schema_takes || serde_takes, "{}: serde refuses {value}", declared.spec.path);
            accepted += u32::from(schema_takes);
        }
        // Otherwise nothing was tried.
        assert!(INPUT_CASES / 20 < accepted, "{}: {accepted} of {INPUT_CASES}", declared.spec.path);
    }
}
