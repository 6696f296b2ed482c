//! Single commands: what they send, what they print, how they exit.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::server::{RUN, Reply, Server, details, line, pipeline, run};
use super::slipway;

#[tokio::test]
async fn wrong_usage_exits_with_2_and_says_what_was_expected() {
    let uses: [(&[&str], &str); 6] = [
        (&["fly"], "unrecognized subcommand"),
        (&["watch", "12"], "expected the id of a run"),
        (&["trigger", "nightly", "--input", "novalue"], "expected NAME=VALUE"),
        (&["logs", RUN, "--follow", "--limit", "3"], "cannot be used with"),
        // A flag's value can be read by everybody on the machine.
        (&["trigger", "nightly", "--token", "hunter2"], "unexpected argument"),
        (&["exec", "no-such-file.yml"], "cannot read no-such-file.yml"),
    ];
    for (arguments, expected) in uses {
        let told = slipway(arguments).told().await;
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.stderr);
        assert!(told.stderr.contains(expected), "{arguments:?}: {}", told.stderr);
        assert_eq!(told.stdout, "");
    }
    let told = slipway(&["config"]).env("SLIPWAY_LISTN", "x").told().await;
    assert_eq!(told.code, 2);
    assert!(
        told.stderr.starts_with("slipway: SLIPWAY_LISTN: no such setting; the nearest is SLIPWAY_LISTEN")
    );
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_exits_with_5_and_says_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let uses: [&[&str]; 5] = [
        &["trigger", "nightly", "--follow"],
        &["logs", RUN, "--follow"],
        &["watch", RUN],
        &["pipeline", "list"],
        &["token", "list"],
    ];
    for arguments in uses {
        let told = slipway(arguments).env("SLIPWAY_URL", &url).told().await;
        assert_eq!(told.code, 5, "{arguments:?}: {}", told.stderr);
        assert!(told.stderr.contains(&format!("cannot reach the server at {url}")), "{}", told.stderr);
        assert!(told.stderr.contains("slipway serve"));
    }

    let server = Server::start().await;
    server.on("pipelines.list", [Reply::Page(StatusCode::BAD_GATEWAY, "<h1>Bad gateway</h1>")]);
    let told = slipway(&["pipeline", "list", "--url", &server.url]).told().await;
    assert_eq!(told.code, 5, "a proxy without a server behind it");
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_its_words() {
    let server = Server::start().await;
    server
        .on("pipelines.get", [Reply::Error("NOT_FOUND", "pipeline nightly not found")])
        .on("pipelines.list", [Reply::Error("UNAUTHORIZED", "a token is needed")])
        .on("tokens.list", [Reply::Page(StatusCode::OK, "<h1>Welcome</h1>")]);
    let told = slipway(&["pipeline", "get", "nightly", "--url", &server.url]).told().await;
    assert_eq!((told.code, told.stderr.as_str()), (1, "slipway: pipeline nightly not found\n"));
    let told = slipway(&["pipeline", "list", "--url", &server.url]).told().await;
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("SLIPWAY_TOKEN"), "{}", told.stderr);
    let told = slipway(&["token", "list", "--url", &server.url]).told().await;
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("does not answer as a Slipway server does"), "{}", told.stderr);
}

#[tokio::test]
async fn a_trigger_sends_what_it_was_given_and_nothing_else() {
    let server = Server::start().await;
    server.on("pipelines.trigger", [Reply::Data(run())]);
    let arguments = ["trigger", "nightly", "--branch", "main", "--input", "a=b=c", "--idempotency-key", "k"];
    let told = slipway(&arguments).env("SLIPWAY_URL", &server.url).env("SLIPWAY_TOKEN", "t0ken").told().await;
    assert_eq!(told.stdout, format!("Triggered nightly #12 ({RUN})\n"));
    let told = slipway(&["trigger", "nightly", "--json"]).env("SLIPWAY_URL", &server.url).told().await;
    assert_eq!(told.json(), [run()]);

    let calls = server.calls("pipelines.trigger");
    assert_eq!(calls[0].method, Method::POST);
    let input =
        json!({ "pipelineId": "nightly", "branch": "main", "inputs": { "a": "b=c" }, "idempotencyKey": "k" });
    assert_eq!(calls[0].input, input);
    assert_eq!(calls[0].authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(calls[1].input, json!({ "pipelineId": "nightly" }));
    assert_eq!(calls[1].authorization, None);
}

#[tokio::test]
async fn a_log_is_read_page_by_page_until_there_is_no_more() {
    let page = |from: u64, next: Option<u64>| {
        let items = [line(from, &format!("line {from}")), line(from + 1, &format!("line {}", from + 1))];
        Reply::Data(json!({ "items": items, "total": 4, "nextFrom": next }))
    };
    let server = Server::start().await;
    server.on("runs.logs", [page(1, Some(3)), page(3, None)]);
    let told = slipway(&["logs", RUN, "--url", &server.url]).told().await;
    assert_eq!(told.lines(), ["[build] line 1", "[build] line 2", "[build] line 3", "[build] line 4"]);
    assert_eq!(told.code, 0);
    let calls = server.calls("runs.logs");
    assert_eq!(calls[0].method, Method::GET);
    assert_eq!(calls[0].input, json!({ "runId": RUN, "limit": 1000 }));
    assert_eq!(calls[1].input["from"], 3);

    server.on("runs.logs", [page(1, Some(3))]);
    let told = slipway(&["logs", RUN, "--limit", "2", "--json", "--url", &server.url]).told().await;
    assert_eq!(told.json(), [line(1, "line 1"), line(2, "line 2")]);
}

#[tokio::test]
async fn runs_are_canceled_and_retried_by_their_ids() {
    let server = Server::start().await;
    let mut canceling = run();
    canceling["status"] = json!("canceling");
    server
        .on("runs.cancel", [Reply::Data(canceling)])
        .on("runs.retry", [Reply::Data(run())])
        .on("runs.get", [Reply::Data(details())]);
    let told = slipway(&["cancel", RUN, "--url", &server.url]).told().await;
    assert_eq!(told.stdout, "nightly #12 is canceling\n");
    slipway(&["retry", RUN, "--from", "start", "--url", &server.url]).told().await;
    assert_eq!(server.calls("runs.retry")[0].input, json!({ "runId": RUN, "from": "start" }));
}

/// Without a terminal nobody can be asked, so that a script has to say it.
#[tokio::test]
async fn what_cannot_be_undone_is_done_with_a_yes_alone() {
    let server = Server::start().await;
    server
        .on("runs.get", [Reply::Data(details())])
        .on(
            "runs.delete",
            [Reply::Data(json!({ "deleted": true })), Reply::Error("CONFLICT", "the run is running")],
        )
        .on("runs.purgeLog", [Reply::Data(run())]);
    for (command, procedure) in [("delete", "runs.delete"), ("purge", "runs.purgeLog")] {
        let told = slipway(&["run", command, RUN, "--url", &server.url]).told_with_input("y\n").await;
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{}", told.stderr);
        assert!(told.stderr.contains("cannot be undone") && told.stderr.contains("--yes"), "{}", told.stderr);
        assert!(server.calls(procedure).is_empty());
    }
    let told = slipway(&["run", "delete", RUN, "--yes", "--url", &server.url]).told().await;
    assert_eq!((told.code, told.stdout.as_str()), (0, "Deleted nightly #12\n"), "{}", told.stderr);
    assert_eq!(server.calls("runs.delete")[0].input, json!({ "runId": RUN }));
    let told = slipway(&["run", "purge", RUN, "-y", "--url", &server.url]).told().await;
    assert_eq!(told.stdout, "Removed the log of nightly #12\n");
    assert_eq!(server.calls("runs.purgeLog")[0].input, json!({ "runId": RUN }));
    let told = slipway(&["run", "delete", RUN, "--yes", "--url", &server.url]).told().await;
    assert_eq!(told.code, 1);
    assert!(told.stderr.contains("the run is running"), "{}", told.stderr);
}

#[tokio::test]
async fn a_pipeline_is_made_from_a_definition_on_stdin() {
    let server = Server::start().await;
    server.on("pipelines.create", [Reply::Data(pipeline())]);
    let arguments =
        ["pipeline", "create", "nightly", "--file", "-", "--default-branch", "main", "--url", &server.url];
    let told = slipway(&arguments).told_with_input("steps: []\n").await;
    assert!(told.stdout.starts_with("Created nightly ("), "{}", told.stderr);
    let input = json!({ "name": "nightly", "defaultBranch": "main", "definition": "steps: []\n" });
    assert_eq!(server.calls("pipelines.create")[0].input, input);

    let large = "#".repeat(256 * 1024 + 1);
    let told = slipway(&arguments).told_with_input(&large).await;
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("larger than 256 KiB"));
}

/// The API takes the rules whole, so that those which are not named are sent again.
#[tokio::test]
async fn a_pipeline_is_given_rules_of_retention_one_by_one() {
    let server = Server::start().await;
    let keeps = |rules: serde_json::Value| {
        let mut pipeline = pipeline();
        pipeline["retention"] = rules;
        pipeline
    };
    let ruled = || keeps(json!({ "runs": "90d", "logs": "forever", "keepRuns": 500 }));
    server
        .on("pipelines.create", [Reply::Data(ruled())])
        .on("pipelines.get", [Reply::Data(ruled())])
        .on("pipelines.update", [Reply::Data(ruled())])
        .on("pipelines.list", [Reply::Data(json!({ "items": [ruled()], "nextCursor": null }))]);
    let create = [
        ["pipeline", "create", "nightly", "--keep-runs-for", "90d"].as_slice(),
        &["--keep-logs-for", "forever", "--keep-runs", "500", "--url", &server.url],
    ];
    let told = slipway(&create.concat()).told().await;
    assert_eq!(told.code, 0, "{}", told.stderr);
    let input =
        json!({ "name": "nightly", "retention": { "runs": "90d", "logs": "forever", "keepRuns": 500 } });
    assert_eq!(server.calls("pipelines.create")[0].input, input);

    let update = async |flags: &[&str]| {
        let told =
            slipway(&[&["pipeline", "update", "nightly", "--url", &server.url], flags].concat()).told().await;
        assert_eq!(told.code, 0, "{}", told.stderr);
        server.calls("pipelines.update").pop().unwrap().input
    };
    let one = update(&["--keep-logs-for", "30d"]).await;
    assert_eq!(one["retention"], json!({ "runs": "90d", "logs": "30d", "keepRuns": 500 }));
    let none =
        update(&["--keep-runs-for", "default", "--keep-logs-for", "default", "--keep-runs", "default"]).await;
    assert_eq!(none, json!({ "pipelineId": "nightly", "retention": null }));
    assert_eq!(update(&["--description", "d"]).await, json!({ "pipelineId": "nightly", "description": "d" }));

    let said = "runs 90d, logs forever, the newest 500 runs";
    let told = slipway(&["pipeline", "get", "nightly", "--url", &server.url]).told().await;
    assert!(told.lines().contains(&format!("keeps: {said}").as_str()), "{}", told.stdout);
    let told = slipway(&["pipeline", "list", "--url", &server.url]).told().await;
    assert!(told.lines()[0].ends_with("KEEPS") && told.lines()[1].ends_with(said), "{}", told.stdout);

    let wrong = [
        ("--keep-runs-for", "soon"),
        ("--keep-logs-for", "0d"),
        ("--keep-runs", "0"),
        ("--keep-runs", "many"),
    ];
    for (flag, value) in wrong {
        let told =
            slipway(&["pipeline", "create", "nightly", flag, value, "--url", &server.url]).told().await;
        assert_eq!(told.code, 2);
        let said = format!("slipway: {flag}: expected ");
        assert!(told.stderr.starts_with(&said) && told.stderr.contains("or default"), "{}", told.stderr);
    }
    assert_eq!(server.calls("pipelines.create").len(), 1);
}

#[tokio::test]
async fn the_value_of_a_new_token_is_all_that_stdout_gets() {
    let server = Server::start().await;
    let token = json!({
        "id": RUN, "name": "ci", "kind": "api", "role": "operator", "grants": [], "personId": null,
        "createdBy": "admin", "createdAt": "2026-11-24T00:00:00.000Z", "expiresAt": null, "lastUsedAt": null,
    });
    server
        .on("tokens.create", [Reply::Data(json!({ "token": token, "value": "slw_secret" }))])
        .on("tokens.list", [Reply::Data(json!({ "items": [token], "nextCursor": null }))]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "admin-secret\n").unwrap();
    let path = file.path().to_str().unwrap();
    let arguments =
        ["token", "create", "ci", "--role", "operator", "--token-file", path, "--url", &server.url];
    let told = slipway(&arguments).told().await;
    assert_eq!(told.stdout, "slw_secret\n");
    let call = &server.calls("tokens.create")[0];
    assert_eq!(call.input, json!({ "name": "ci", "role": "operator" }));
    assert_eq!(call.authorization.as_deref(), Some("Bearer admin-secret"));

    let told = slipway(&["token", "list", "--url", &server.url]).told().await;
    assert!(told.lines()[0].starts_with("NAME") && told.lines()[1].starts_with("ci"));
    assert!(!told.stdout.contains("slw_secret"));
}

#[tokio::test]
async fn the_audit_trail_is_read_to_its_end_and_moves_no_cursor() {
    let entry = |n: u64| {
        json!({
            "id": format!("01890a5d-ac96-774b-bcce-b302099a800{n}"), "at": "2026-11-24T00:00:00.000Z",
            "actor": "ann\u{1b}[2J", "tokenId": null, "ip": "192.0.2.1", "requestId": null, "action": "runs.cancel",
            "targetKind": "run", "targetId": RUN, "outcome": "refused", "detail": "two\nlines",
        })
    };
    let page = |n: u64, next: Option<&str>| Reply::Data(json!({ "items": [entry(n)], "nextCursor": next }));
    let server = Server::start().await;
    server.on("audit.list", [page(2, Some("c")), page(1, None)]);
    let arguments =
        ["audit", "--outcome", "refused", "--since", "2026-11-01T00:00:00Z", "--url", &server.url];
    let told = slipway(&arguments).told().await;
    let line = format!(
        "2026-11-24T00:00:00.000Z  ann\\u{{1b}}[2J from 192.0.2.1  runs.cancel run {RUN}  refused: two lines"
    );
    assert_eq!(told.lines(), [line.as_str(), line.as_str()]);
    let filter = json!({ "outcome": "refused", "since": "2026-11-01T00:00:00.000Z", "limit": 100 });
    let calls = server.calls("audit.list");
    assert_eq!(calls[0].input, filter);
    assert_eq!(calls[1].input["cursor"], "c");

    server.on("audit.list", [page(2, Some("c")), page(1, Some("d"))]);
    let told = slipway(&["audit", "--limit", "2", "--json", "--url", &server.url]).told().await;
    assert_eq!(told.json(), [entry(2), entry(1)]);
    assert_eq!(server.calls("audit.list").last().unwrap().input["limit"], 1);
    let told = slipway(&["audit", "--since", "yesterday", "--url", &server.url]).told().await;
    assert_eq!(told.code, 2);
}

#[tokio::test]
async fn settings_are_shown_with_their_sources_and_without_secrets() {
    let secrets = |arguments: &[&str]| {
        slipway(arguments)
            .env("DATABASE_URL", "postgres://me:hunter2@db/ci")
            .env("SLIPWAY_ADMIN_TOKEN", "hunter2-hunter2-hunter2")
            .env("SLIPWAY_GRACE", "3s")
    };
    let told = secrets(&["config", "--set", "worker.concurrency=9"]).told().await;
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(!told.stdout.contains("hunter2"));
    let line =
        |start: &str| told.lines().into_iter().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("grace").contains("\"3s\"") && line("grace").contains("# SLIPWAY_GRACE"));
    assert!(line("concurrency").contains("--set worker.concurrency"));
    assert!(line("streams_max").contains("# default"));

    let told = secrets(&["config", "--json"]).told().await;
    assert!(!told.stdout.contains("hunter2"));
    let settings = &told.json()[0];
    assert_eq!(settings["database.url"]["value"], "postgres://me:***@db/ci");
    assert_eq!(settings["worker.grace"]["source"], "SLIPWAY_GRACE");
}

#[tokio::test]
async fn the_doctor_fails_where_something_is_wrong_and_says_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let arguments = ["doctor", "--json", "--data-dir", path, "--url", &url];
    let told = slipway(&arguments).env("SLIPWAY_PATH", "/nowhere").told().await;
    assert_eq!(told.code, 1, "{}", told.stderr);
    let report = &told.json()[0];
    assert_eq!(report["ok"], false);
    let checks = report["checks"].as_array().unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    for name in ["data directory", "git", "sh", "redis"] {
        assert_eq!(check(name)["verdict"], "fail", "{name}");
        assert!(!check(name)["advice"].as_str().unwrap().is_empty());
    }
    assert_eq!(check("server")["verdict"], "warn", "a server need not run");
    assert_eq!(check("clock")["verdict"], "ok");
}

/// `slipway logs … | head` is no error.
#[tokio::test]
async fn a_reader_that_has_gone_is_no_failure() {
    let server = Server::start().await;
    let long = "x".repeat(1 << 20);
    let page =
        |n: u64, next: u64| Reply::Data(json!({ "items": [line(n, &long)], "total": 9, "nextFrom": next }));
    server.on("runs.logs", [page(1, 2), page(2, 3), page(3, 4), Reply::Error("CONFLICT", "read too far")]);
    let script = "\"$0\" logs \"$1\" --url \"$2\" | head -c 1 > /dev/null; echo done";
    let program = env!("CARGO_BIN_EXE_slipway");
    let told: super::Told = tokio::process::Command::new("sh")
        .args(["-c", script, program, RUN, &server.url])
        .output()
        .await
        .unwrap()
        .into();
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("done\n", ""));
}
