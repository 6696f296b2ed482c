//! The procedures against which the vectors were recorded.

use futures::stream;
use rspc_procedure::{Procedure, ProcedureStream};
use serde_json::{Value, json};
use slipway::rpc::wire::{CallError, Entry, ErrorCode, EventId, Input, Kind, Output, Sent, Tracked, Yields};
use std::time::Duration;

use super::server::{Ctx, Declared};

type Item = Result<Output, CallError>;

pub(super) fn declare() -> Declared {
    subscriptions(mutations(queries(Declared::default())))
}

fn queries(declared: Declared) -> Declared {
    let hello = Procedure::new(|_, _| ProcedureStream::from_future(async { Ok("hello world") }));
    let null = Procedure::new(|_, _| ProcedureStream::from_future(async { Ok(()) }));
    let iter = Procedure::new(|_, _| ProcedureStream::from_stream(stream::iter([Ok(1), Ok(2)])));
    let serde = Entry { kind: Kind::Query, reads_input: false, yields: Yields::Serde };
    declared
        .add("hello", serde, hello)
        .add("nullQuery", serde, null)
        .add("iter", serde, iter)
        .with_input(Kind::Query, "echo", |input| async { echo(input) })
        .with_input(Kind::Query, "add", |input| async {
            let input = parse(input)?;
            let (Some(a), Some(b)) = (input["a"].as_i64(), input["b"].as_i64()) else {
                return Err(invalid());
            };
            Output::json(&json!({ "sum": a + b }))
        })
        .plain(Kind::Query, "voidQuery", |_| async { Ok(Output::nothing()) })
        .plain(Kind::Query, "nested.deep.get", |_| async { Output::json("deep") })
        .with_input(Kind::Query, "fail", |input| async { Err(requested_error(input)) })
        .plain(Kind::Query, "failPlain", |_| async { Err(plain_error()) })
        .plain(Kind::Query, "failNoMessage", |_| async { Err(CallError::of(ErrorCode::Conflict)) })
        .with_input(Kind::Query, "slow", |input| async {
            let input = parse(input)?;
            tokio::time::sleep(Duration::from_millis(input["ms"].as_u64().ok_or_else(invalid)?)).await;
            Output::json(&input["value"])
        })
        .plain(Kind::Query, "secret", |ctx| async move {
            authorize(&ctx)?;
            Output::json("secret")
        })
        .plain(Kind::Query, "who", |ctx| async move { who(&ctx) })
}

fn mutations(declared: Declared) -> Declared {
    declared
        .with_input(Kind::Mutation, "createPost", |input| async {
            let input = parse(input)?;
            let title = input["title"].as_str().filter(|title| !title.is_empty()).ok_or_else(invalid)?;
            Output::json(&json!({ "id": 1, "title": title }))
        })
        .plain(Kind::Mutation, "voidMutation", |_| async { Ok(Output::nothing()) })
        .with_input(Kind::Mutation, "echoMutation", |input| async { echo(input) })
        .with_input(Kind::Mutation, "failMutation", |input| async { Err(requested_error(input)) })
        .with_input(Kind::Mutation, "upload", |input| async {
            let Sent::Form(mut form) = input.sent()? else { return Err(invalid()) };
            let (mut name, mut file_name, mut size) = (None, None, None);
            while let Some(field) = form.next().await? {
                match field.name() {
                    Some("name") => name = Some(field.text().await?),
                    Some("file") => {
                        file_name = field.file_name().map(str::to_owned);
                        size = Some(field.whole().await?.len());
                    }
                    _ => {}
                }
            }
            Output::json(&json!({ "name": name, "fileName": file_name, "size": size }))
        })
        .with_input(Kind::Mutation, "uploadBin", |input| async {
            let (mut bytes, mut size) = (input.bytes()?, 0);
            while let Some(piece) = bytes.chunk().await? {
                size += piece.len();
            }
            Output::json(&json!({ "size": size }))
        })
}

fn subscriptions(declared: Declared) -> Declared {
    declared
        .subscription("ticks", false, |_, _| {
            stream::iter([Output::json(&json!({ "n": 1 })), Output::json(&json!({ "n": 2 }))])
        })
        .subscription("tracked", true, |_, input| match resume_after(input) {
            Ok(after) => {
                stream::iter((after + 1..=3).map(|n| item(n, json!({ "n": n }))).collect::<Vec<_>>())
            }
            Err(error) => stream::iter(vec![Err(error)]),
        })
        .subscription("mixed", false, |_, _| {
            let tracked = |id: &str, value: &'static str| {
                Output::tracked(&Tracked { id: EventId::new(id).unwrap(), value })
            };
            stream::iter([Output::json("u0"), tracked("a", "one"), Output::json("u1"), tracked("b", "two")])
        })
        .subscription("subEcho", true, |_, input| {
            stream::iter([input.read().and_then(|input| match input {
                Some(input) => Output::json(&json!({ "input": input })),
                None => Output::json(&json!({ "input": "undefined" })),
            })])
        })
        .subscription("subFail", true, |_, input| {
            let error = requested_error(input);
            let first = (error.message != "Invalid input").then(|| Output::json(&1));
            stream::iter(first.into_iter().chain([Err(error)]))
        })
        .subscription("subPlainFail", false, |_, _| stream::iter([Err(plain_error())]))
        .subscription("subVoid", false, |_, _| stream::iter([Ok(Output::nothing())]))
        .subscription("subNull", false, |_, _| stream::iter([Output::json(&())]))
        .subscription("subSecret", false, |ctx, _| {
            stream::iter([authorize(&ctx).and_then(|()| Output::json("secret"))])
        })
        .subscription("subSlow", false, |_, _| {
            stream::unfold(1, |n| async move {
                match n {
                    1 => Some((Output::json(&1), 2)),
                    2 => {
                        tokio::time::sleep(Duration::from_millis(250)).await;
                        Some((Output::json(&2), 3))
                    }
                    _ => None,
                }
            })
        })
        .subscription("subForever", true, |_, input| {
            stream::unfold(resume_after(input).map_err(Some), |state| async move {
                let after = match state {
                    Ok(after) => after,
                    Err(error) => return error.map(|error| (Err(error), Err(None))),
                };
                if after > 0 {
                    // The recording waited 100 ms. Its three events must come within 250 ms on a busy machine, too.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Some((item(after + 1, json!(after + 1)), Ok(after + 1)))
            })
        })
        .subscription("subWho", false, |ctx, _| stream::iter([who(&ctx)]))
}

fn item(n: u64, value: Value) -> Item {
    Output::tracked(&Tracked { id: EventId::new(&n.to_string()).unwrap(), value })
}

/// The input as a value, `Null` if it is absent.
fn parse(input: Input) -> Result<Value, CallError> {
    match input.sent()? {
        Sent::Nothing => Ok(Value::Null),
        Sent::Json(raw) => Ok(serde_json::from_str(raw.get()).unwrap()),
        Sent::Form(_) | Sent::Bytes(_) => Err(invalid()),
    }
}

fn echo(input: Input) -> Item {
    input.read()?.map_or(Ok(Output::nothing()), |raw| Output::json(&raw))
}

fn resume_after(input: Input) -> Result<u64, CallError> {
    let Some(raw) = input.read()? else { return Ok(0) };
    let input: Value = serde_json::from_str(raw.get()).unwrap();
    match input.as_object().ok_or_else(invalid)?.get("lastEventId") {
        None | Some(Value::Null) => Ok(0),
        Some(Value::String(id)) => id.parse().map_err(|_| invalid()),
        Some(_) => Err(invalid()),
    }
}

fn requested_error(input: Input) -> CallError {
    let input = match parse(input) {
        Ok(input) => input,
        Err(error) => return error,
    };
    match serde_json::from_value::<ErrorCode>(input["code"].clone()) {
        Ok(code) => CallError::new(code, format!("boom {}", code.key())),
        Err(_) => invalid(),
    }
}

fn authorize(ctx: &Ctx) -> Result<(), CallError> {
    match ctx.authorization.as_deref() {
        Some("Bearer good") => Ok(()),
        _ => Err(CallError::new(ErrorCode::Unauthorized, "Not logged in")),
    }
}

fn who(ctx: &Ctx) -> Item {
    Output::json(&json!({ "connectionParams": ctx.connection_params }))
}

fn invalid() -> CallError {
    CallError::new(ErrorCode::BadRequest, "Invalid input")
}

fn plain_error() -> CallError {
    CallError::new(ErrorCode::InternalServerError, "plain error")
}
