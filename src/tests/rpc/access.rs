//! Who may call what.

use serde_json::json;
use slipway::domain::token::Role;
use slipway::rpc::Access;
use slipway::rpc::wire::Kind;

use super::server::Server;

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_and_learns_nothing_of_the_input() {
    let server = Server::start().await;
    for input in [json!({ "runId": "x" }), json!({ "nonsense": true })] {
        let error = server.query_as(None, "runs.get", &input).await.unwrap_err();
        assert_eq!(error["data"]["code"], "UNAUTHORIZED");
        assert_eq!(error["message"], "sign in, or send an access token");
    }
    server.query_as(None, "system.health", &json!(null)).await.unwrap();
}

#[tokio::test]
async fn a_role_may_do_its_own_and_what_lesser_roles_may() {
    let server = Server::start().await;
    let pipeline = json!({ "name": "build", "definition": "steps:\n  - name: a\n    run: 'true'\n" });
    server.mutate("pipelines.create", &pipeline).await.unwrap();
    let viewer = server.token("viewer").await;
    let operator = server.token("operator").await;

    let trigger = json!({ "pipelineId": "build" });
    let refused = server.mutate_as(Some(&viewer), "pipelines.trigger", &trigger).await.unwrap_err();
    assert_eq!(refused["data"]["code"], "FORBIDDEN");
    assert_eq!(refused["message"], "this needs the role operator; viewer has the role viewer");

    server.mutate_as(Some(&operator), "pipelines.trigger", &trigger).await.unwrap();
    let refused = server.mutate_as(Some(&operator), "pipelines.delete", &trigger).await.unwrap_err();
    assert_eq!(refused["data"]["code"], "FORBIDDEN");
    for token in [viewer, operator] {
        let list = server.query_as(Some(&token), "runs.list", &json!({})).await.unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let server = Server::start().await;
    let value = server.token("viewer").await;
    server.query_as(Some(&value), "runs.list", &json!({})).await.unwrap();
    let revoked = server.mutate("tokens.revoke", &json!({ "token": "viewer" })).await.unwrap();
    assert_eq!(revoked, json!({ "revoked": true }));
    let error = server.query_as(Some(&value), "runs.list", &json!({})).await.unwrap_err();
    assert_eq!(error["data"]["code"], "UNAUTHORIZED");
}

/// Where a query is asked.
fn asked(path: &str, input: &serde_json::Value) -> String {
    let input = form_urlencoded::byte_serialize(input.to_string().as_bytes()).collect::<String>();
    format!("/trpc/{path}?input={input}")
}

/// A declaration says who may call; this says of each caller whether they may.
fn may(access: Access, caller: &str) -> bool {
    let role = match caller {
        "viewer" => Some(Role::Viewer),
        "operator" => Some(Role::Operator),
        "admin" => Some(Role::Admin),
        _ => None,
    };
    let granted = (caller == "granted").then_some(Role::Operator);
    match access {
        Access::Public => true,
        Access::SignedIn => role.is_some() || granted.is_some(),
        Access::Role(needed) => Some(needed) <= role,
        Access::InPipeline(needed) => Some(needed) <= role.max(granted),
    }
}

#[tokio::test]
async fn every_procedure_admits_whom_its_declaration_says_and_nobody_else() {
    let server = Server::start().await;
    let pipeline = server.mutate("pipelines.create", &json!({ "name": "mine" })).await.unwrap();
    let revoked = server.token("viewer").await;
    server.mutate("tokens.revoke", &json!({ "token": "viewer" })).await.unwrap();
    let grants = json!([{ "pipelineId": pipeline["id"], "role": "operator" }]);
    let granted =
        server.mutate("tokens.create", &json!({ "name": "granted", "grants": grants })).await.unwrap();
    let callers = [
        ("nobody", None),
        ("revoked", Some(revoked)),
        ("viewer", Some(server.token("viewer").await)),
        ("operator", Some(server.token("operator").await)),
        ("admin", Some(server.token("admin").await)),
        ("granted", Some(granted["value"].as_str().unwrap().to_owned())),
    ];
    for declared in slipway::rpc::router().registry {
        let path = declared.spec.path;
        for (caller, token) in &callers {
            // Nothing takes this input, so nothing is done; who may not call does not get so far as to be told.
            let input = json!({ "nonsense": true });
            let method = match declared.kind {
                Kind::Mutation => reqwest::Method::POST,
                Kind::Query | Kind::Subscription => reqwest::Method::GET,
            };
            let request = match method == reqwest::Method::POST {
                true => server
                    .request(token.as_deref(), method, &format!("/trpc/{path}"))
                    .header("content-type", "application/json")
                    .body(input.to_string()),
                false => server.request(token.as_deref(), method, &asked(path, &input)),
            };
            let answer = request.send().await.unwrap().text().await.unwrap();
            let is_refused = answer.contains("\"UNAUTHORIZED\"") || answer.contains("\"FORBIDDEN\"");
            // A token that is no more is refused wherever it is shown.
            let expected = *caller != "revoked" && may(declared.spec.access, caller);
            assert_eq!(!is_refused, expected, "{path} called by {caller}: {answer}");
        }
    }
    for route in slipway::http::routes() {
        let admits: &[&str] = match route.access {
            // What each of these tells to whom is for tests of their own; `http::tests` has the list of them.
            slipway::http::Access::Public | slipway::http::Access::Procedures => continue,
            slipway::http::Access::Viewer => &["viewer", "operator", "admin", "granted"],
            slipway::http::Access::ViewerOfAll => &["viewer", "operator", "admin"],
        };
        for (caller, token) in &callers {
            let answer = server.site(token.as_deref(), route.path).send().await.unwrap();
            let status = answer.status();
            // A page sends whoever is not signed in to where they can.
            let is_refused = status == 401 || status == 403 || answer.url().path() == "/";
            assert_eq!(!is_refused, admits.contains(caller), "{} for {caller}: {status}", route.path);
        }
    }
}

#[tokio::test]
async fn who_has_a_grant_alone_sees_that_pipeline_and_nothing_else() {
    let server = Server::start().await;
    let definition = "steps:\n  - name: a\n    run: 'true'\n";
    let mut ids = Vec::new();
    for name in ["mine", "other"] {
        let pipeline = json!({ "name": name, "definition": definition });
        let pipeline = server.mutate("pipelines.create", &pipeline).await.unwrap();
        let run = server.mutate("pipelines.trigger", &json!({ "pipelineId": name })).await.unwrap();
        ids.push((pipeline["id"].clone(), run["id"].clone()));
    }
    let [(mine, my_run), (other, other_run)] = <[_; 2]>::try_from(ids).unwrap();
    let grants = json!([{ "pipelineId": mine, "role": "operator" }]);
    let granted =
        server.mutate("tokens.create", &json!({ "name": "granted", "grants": grants })).await.unwrap();
    let token = granted["value"].as_str();

    for (list, id) in [("runs.list", &my_run), ("pipelines.list", &mine)] {
        let items = server.query_as(token, list, &json!({})).await.unwrap()["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 1, "{list}: {items}");
        assert_eq!(items[0]["id"], *id);
    }
    let theirs = json!({ "runId": other_run });
    for query in ["runs.get", "runs.logs", "pipelines.watchRun", "pipelines.streamLogs"] {
        let request = server.request(token, reqwest::Method::GET, &asked(query, &theirs));
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert!(answer.contains("NOT_FOUND"), "{query}: {answer}");
    }
    for (mutation, input) in [
        ("runs.cancel", theirs.clone()),
        ("runs.retry", theirs),
        ("pipelines.trigger", json!({ "pipelineId": other })),
    ] {
        let error = server.mutate_as(token, mutation, &input).await.unwrap_err();
        assert_eq!(error["data"]["code"], "NOT_FOUND", "{mutation}");
    }
    let runs = server.query_as(token, "runs.list", &json!({ "pipelineId": "other" })).await.unwrap_err();
    assert_eq!(runs["data"]["code"], "NOT_FOUND");
    for mutation in ["pipelines.update", "pipelines.delete"] {
        let error = server.mutate_as(token, mutation, &json!({ "pipelineId": mine })).await.unwrap_err();
        assert_eq!(error["data"]["code"], "FORBIDDEN", "{mutation}");
    }
    server.mutate_as(token, "runs.cancel", &json!({ "runId": my_run })).await.unwrap();
}

#[tokio::test]
async fn a_person_signs_in_by_password_and_is_out_as_soon_as_they_are_disabled() {
    let server = Server::start().await;
    let person = json!({ "login": "Ann", "password": "correct horse", "role": "operator" });
    server.mutate("people.create", &person).await.unwrap();
    let sign_in = async |origin: Option<String>, name: &str, password: &str| {
        let request = server.request(None, reqwest::Method::POST, "/sign-in");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let body = json!({ "name": name, "password": password }).to_string();
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    };
    let own = || Some(server.origin());
    for foreign in [None, Some("https://evil.example".to_owned())] {
        assert_eq!(sign_in(foreign, "ann", "correct horse").await.status(), 403);
    }
    let wrong = sign_in(own(), "ann", "wrong password").await;
    let unknown = sign_in(own(), "nobody", "wrong password").await;
    assert_eq!((wrong.status(), unknown.status()), (401.try_into().unwrap(), 401.try_into().unwrap()));
    assert_eq!(wrong.text().await.unwrap(), unknown.text().await.unwrap());

    let done = sign_in(own(), "ann", "correct horse").await;
    assert_eq!(done.status(), 204);
    let set = done.headers()["set-cookie"].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let me = async || {
        let request = server.site(None, "/trpc/auth.me").header("cookie", &cookie);
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(me().await.contains(r#""name":"ann","role":"operator""#));
    server.mutate("people.update", &json!({ "person": "ann", "role": "viewer" })).await.unwrap();
    assert!(me().await.contains(r#""role":"viewer""#));
    server.mutate("people.update", &json!({ "person": "ann", "disabled": true })).await.unwrap();
    assert!(me().await.contains("UNAUTHORIZED"));
    assert_eq!(sign_in(own(), "ann", "correct horse").await.status(), 401);

    // Without Redis a server counts by itself, and allows half.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(sign_in(own(), "guessed", "wrong password").await.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
}

#[tokio::test]
async fn an_admin_shuts_others_out_and_never_themselves() {
    let server = Server::start().await;
    for login in ["ann", "bob"] {
        let person = json!({ "login": login, "password": "correct horse", "role": "admin" });
        server.mutate("people.create", &person).await.unwrap();
    }
    let body = json!({ "name": "ann", "password": "correct horse" }).to_string();
    let request = server.request(None, reqwest::Method::POST, "/sign-in").header("origin", server.origin());
    let signed_in = request.header("content-type", "application/json").body(body).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let change = async |method: reqwest::Method, person: &str, body: serde_json::Value| {
        let request = server.request(None, method, &format!("/api/v1/people/{person}"));
        let request = request.header("cookie", &cookie).header("origin", server.origin());
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    let patch = reqwest::Method::PATCH;
    for body in [json!({ "disabled": true }), json!({ "role": "operator" }), json!({ "role": null })] {
        assert_eq!(change(patch.clone(), "ann", body.clone()).await, 409, "{body}");
        assert_eq!(change(patch.clone(), "bob", body).await, 200);
    }
    assert_eq!(change(patch, "ann", json!({ "role": "admin", "disabled": false, "name": "Ann" })).await, 200);
    assert_eq!(change(reqwest::Method::DELETE, "ann", json!({})).await, 409);
    assert_eq!(change(reqwest::Method::DELETE, "bob", json!({})).await, 200);
}

#[tokio::test]
async fn people_are_found_by_a_part_of_their_login() {
    let server = Server::start().await;
    for login in ["ann", "joanna", "bob_1", "bobx1"] {
        server.mutate("people.create", &json!({ "login": login })).await.unwrap();
    }
    let found = async |search: &str| {
        let list = server.query("people.list", &json!({ "search": search })).await.unwrap();
        list["items"].as_array().unwrap().iter().map(|person| person["login"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("ANN").await, ["ann", "joanna"]);
    assert_eq!(found("b_1").await, ["bob_1"]);
    assert!(found("%").await.is_empty());
}
