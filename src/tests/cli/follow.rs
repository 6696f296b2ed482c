//! Following a run over the wire: nothing lost, nothing twice, the outcome as the exit code.

use serde_json::json;

use super::server::{RETURN, RUN, Reply, Server, details, events, line, run, state};
use super::slipway;

fn lines(numbers: std::ops::RangeInclusive<u64>, end: &str) -> Reply {
    let ids: Vec<String> = numbers.clone().map(|n| format!("3-{n}")).collect();
    let items: Vec<_> =
        ids.iter().zip(numbers).map(|(id, n)| (id.as_str(), line(n, &format!("line {n}")))).collect();
    events(&items, end)
}

fn states(outcome: &str) -> Reply {
    let step = if outcome == "succeeded" { "succeeded" } else { "failed" };
    events(&[("1", state(1, "running", "running")), ("2", state(2, outcome, step))], RETURN)
}

#[tokio::test]
async fn a_followed_run_exits_with_its_outcome_and_says_it_after_the_last_line() {
    for (outcome, code) in [("succeeded", 0), ("failed", 1), ("canceled", 3), ("timed_out", 4)] {
        let server = Server::start().await;
        server
            .on("pipelines.trigger", [Reply::Data(run())])
            .on("pipelines.streamLogs", [lines(1..=3, RETURN)])
            .on("pipelines.watchRun", [states(outcome)]);
        let told = slipway(&["trigger", "nightly", "--follow", "--url", &server.url]).told().await;

        assert_eq!(told.code, code, "{outcome}: {}", told.stderr);
        let log: Vec<_> = told.lines().into_iter().filter(|line| line.starts_with("[build]")).collect();
        assert_eq!(log, ["[build] line 1", "[build] line 2", "[build] line 3"]);
        assert_eq!(told.lines().last(), Some(&format!("nightly #12 {}", outcome.replace('_', " ")).as_str()));
        assert!(told.stderr.contains(&format!("Triggered nightly #12 ({RUN})")));
        assert!(!told.stdout.contains('\u{1b}'), "no colours into a pipe");
    }
}

/// The stream is cut twice, once by a server that cannot at the moment, and each time begins a line too early.
#[tokio::test]
async fn a_stream_that_is_cut_goes_on_behind_the_last_line() {
    let server = Server::start().await;
    let later = "event: serialized-error\ndata: {\"message\":\"draining\",\"code\":-32603}\n\n";
    server
        .on("runs.get", [Reply::Data(details())])
        .on(
            "pipelines.streamLogs",
            [
                lines(1..=2, ""),
                Reply::Error("SERVICE_UNAVAILABLE", "busy"),
                lines(2..=4, later),
                lines(4..=5, RETURN),
            ],
        )
        .on("pipelines.watchRun", [states("succeeded")]);
    let told = slipway(&["logs", RUN, "--follow", "--url", &server.url]).told().await;

    assert_eq!(told.code, 0, "{}", told.stderr);
    let expected: Vec<_> = (1..=5).map(|n| format!("[build] line {n}")).collect();
    assert_eq!(told.lines(), expected);
    let ids: Vec<_> =
        server.calls("pipelines.streamLogs").into_iter().map(|call| call.last_event_id).collect();
    let id = |n: u64| Some(format!("3-{n}"));
    assert_eq!(ids, [None, id(2), id(2), id(4)]);
    let notices: Vec<_> = told.stderr.lines().collect();
    assert_eq!(notices.len(), 2, "once for each loss: {notices:?}");
    assert!(notices.iter().all(|notice| notice.contains("reconnecting")));
}

#[tokio::test]
async fn a_stream_that_is_refused_ends_the_command() {
    let server = Server::start().await;
    let refusal = "event: serialized-error\ndata: {\"message\":\"run x not found\",\"code\":-32004,\
                   \"data\":{\"code\":\"NOT_FOUND\",\"httpStatus\":404}}\n\n";
    server
        .on("runs.get", [Reply::Data(details())])
        .on("pipelines.streamLogs", [events(&[], refusal)])
        .on("pipelines.watchRun", [events(&[("1", state(1, "running", "running"))], refusal)]);
    let told = slipway(&["logs", RUN, "--follow", "--url", &server.url]).told().await;
    assert_eq!((told.code, told.stderr.as_str()), (1, "slipway: run x not found\n"));
}

#[tokio::test]
async fn for_machines_every_event_is_a_line_of_json() {
    let server = Server::start().await;
    server
        .on("pipelines.trigger", [Reply::Data(run())])
        .on("runs.get", [Reply::Data(details())])
        .on("pipelines.streamLogs", [lines(1..=2, RETURN)])
        .on("pipelines.watchRun", [states("failed")]);

    let told = slipway(&["trigger", "nightly", "--follow", "--json", "--url", &server.url]).told().await;
    assert_eq!(told.code, 1);
    let events = told.json();
    assert_eq!(events[0]["run"]["id"], RUN);
    let kind = |name: &str| events.iter().filter(|event| event.get(name).is_some()).count();
    assert_eq!((kind("log"), kind("state")), (2, 2));
    assert_eq!(told.stderr, "");

    let told = slipway(&["watch", RUN, "--json", "--url", &server.url]).told().await;
    assert_eq!(told.json().last().unwrap()["status"], "failed");
    let told = slipway(&["logs", RUN, "--follow", "--json", "--url", &server.url]).told().await;
    assert_eq!(told.json(), [line(1, "line 1"), line(2, "line 2")]);
}

#[tokio::test]
async fn a_watched_run_is_told_in_plain_lines_where_there_is_no_terminal() {
    let server = Server::start().await;
    server.on("runs.get", [Reply::Data(details())]).on("pipelines.watchRun", [states("failed")]);
    let told = slipway(&["watch", RUN, "--url", &server.url]).told().await;
    assert_eq!(told.code, 1);
    let expected =
        ["-- nightly #12 running, 0%", "-- build: running", "-- build: failed", "nightly #12 failed"];
    assert_eq!(told.lines(), expected);
}

#[tokio::test]
async fn a_log_is_followed_from_any_line_and_of_one_step() {
    let server = Server::start().await;
    let mut other = line(8, "of another step");
    other["step"] = json!("lint");
    server
        .on("runs.get", [Reply::Data(details())])
        .on("runs.logs", [Reply::Data(json!({ "items": [line(7, "x")], "total": 8, "nextFrom": 8 }))])
        .on("pipelines.streamLogs", [events(&[("3-7", line(7, "seven")), ("3-8", other)], RETURN)])
        .on("pipelines.watchRun", [states("succeeded")]);
    let arguments = ["logs", RUN, "--follow", "--from", "-2", "--step", "build", "--url", &server.url];
    let told = slipway(&arguments).told().await;
    assert_eq!(told.lines(), ["[build] seven"]);
    assert_eq!(server.calls("pipelines.streamLogs")[0].input["after"], 6);
}
