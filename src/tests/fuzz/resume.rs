//! Coming back to a log: whatever a client says that it had last, it gets exactly what follows, or is refused.

use http::Method;
use proptest::prelude::*;
use slipway::store::Engine;

use super::mutate::{holds, mutated};
use super::site::{RUN, Sent, Site};
use crate::logs::append;
use crate::support::redis::ADMIN_TOKEN;

const LINES: u64 = 40;
const ARCHIVED: u64 = 20;

const IDS: [&str; 8] = ["1-17", "17", "0", "1-0", "2-40", "39", "9999999999999999-3", "1-9999999999999999"];

/// How the id arrives.
#[derive(Debug, Clone, Copy)]
enum Way {
    Header,
    Query,
    Input,
    Live,
    Rest,
}

fn request(way: Way, id: &[u8]) -> Option<Sent> {
    let text = std::str::from_utf8(id).ok();
    let urlencoded = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
    let input = serde_json::json!({ "runId": RUN });
    let mut sent = Sent {
        method: Method::GET,
        path: b"/trpc/pipelines.streamLogs".to_vec(),
        query: format!("input={}", urlencoded(input.to_string().as_bytes())).into_bytes(),
        headers: vec![("authorization", format!("Bearer {ADMIN_TOKEN}").into_bytes())],
        body: Vec::new(),
    };
    match way {
        Way::Header | Way::Rest => {
            http::HeaderValue::from_bytes(id).ok()?;
            sent.headers.push(("last-event-id", id.to_vec()));
            if matches!(way, Way::Rest) {
                sent.path = format!("/api/v1/runs/{RUN}/logs/stream").into_bytes();
                sent.query.clear();
                sent.headers.push(("accept", b"text/event-stream".to_vec()));
            }
        }
        Way::Query => sent.query.extend(format!("&lastEventId={}", urlencoded(id)).into_bytes()),
        Way::Input => {
            let input = serde_json::json!({ "runId": RUN, "lastEventId": text? }).to_string();
            sent.query = format!("input={}", urlencoded(input.as_bytes())).into_bytes();
        }
        Way::Live => {
            let path = "pipelines.streamLogs";
            let wanted =
                serde_json::json!([{ "key": "a", "path": path, "input": input, "lastEventId": text? }]);
            sent.method = Method::POST;
            sent.path = b"/trpc-live".to_vec();
            sent.query.clear();
            sent.headers.push(("content-type", b"application/json".to_vec()));
            sent.body = wanted.to_string().into_bytes();
        }
    }
    Some(sent)
}

/// The line that an id names, as its documentation says; none where it is no id.
fn line_of(id: &str) -> Option<u64> {
    let is_number =
        |digits: &str| (1..=16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (epoch, number) = id.split_once('-').unwrap_or(("0", id));
    if is_number(epoch) && is_number(number) { number.parse().ok() } else { None }
}

fn numbers(events: &str) -> Vec<u64> {
    let ids = events.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.split_once('-').unwrap().1.parse().unwrap()).collect()
}

#[test]
fn whoever_comes_back_gets_exactly_what_follows_or_is_refused() {
    let site = Site::start(Engine::Sqlite);
    site.runtime.block_on(async {
        let (app, run) = (&site.parts.app, &site.run.id);
        app.logs.open(run, 1, 0).await.unwrap();
        append(app, run, 1, 1..=ARCHIVED).await;
        app.logs.archive(run, ARCHIVED).await.unwrap();
        app.logs.open(run, 2, ARCHIVED).await.unwrap();
        append(app, run, 2, ARCHIVED + 1..=LINES).await;
    });
    site.end_run(LINES);
    let ways = prop::sample::select(vec![Way::Header, Way::Query, Way::Input, Way::Live, Way::Rest]);
    let numbered = (0..LINES + 3).prop_map(|n| format!("1-{n}").into_bytes());
    let ids = prop_oneof![mutated(&IDS), numbered];
    holds(200, (ways, ids), |(way, id)| {
        let Some(sent) = request(way, &id) else { return Ok(()) };
        let Some((status, events)) = site.events(&sent) else { return Ok(()) };
        let said = String::from_utf8_lossy(&id);
        let whole = || (1..=LINES).collect::<Vec<u64>>();
        // An empty id is none, but in the input, where it is a value like others.
        let had = match (said.is_empty(), way) {
            (true, Way::Header | Way::Query | Way::Live) => Some(0),
            _ => line_of(&said),
        };
        match had {
            Some(n) => {
                let following: Vec<u64> = whole().into_iter().filter(|number| n < *number).collect();
                prop_assert_eq!(numbers(&events), following, "{} {}", status, events);
                prop_assert!(!events.contains("error"), "{events}");
            }
            None => {
                prop_assert_eq!(numbers(&events), Vec::<u64>::new(), "{}", events);
                prop_assert!(
                    events.contains("BAD_REQUEST") && events.contains("lastEventId"),
                    "{status} {events}"
                );
            }
        }
        Ok(())
    });
}
