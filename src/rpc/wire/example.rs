//! A server of three procedures, written with rspc and called with tRPC's own client.
//!
//! `cargo run --example transport` serves it on 127.0.0.1:4000:
//!
//! ```text
//! curl 'http://127.0.0.1:4000/trpc/greet?input="you"'
//! curl -H 'content-type: application/json' -d '5' http://127.0.0.1:4000/trpc/counter.add
//! curl -N 'http://127.0.0.1:4000/trpc/counter.watch'
//! curl -N -H 'content-type: application/json' -d '[{"key":"a","path":"counter.watch"}]' http://127.0.0.1:4000/trpc-live
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;

use axum::extract::{Request, State};
use axum::routing::any;
use futures::{Stream, StreamExt};
use rspc::{DynInput, Procedure, ProcedureError, ProcedureStream, ResolverInput, ResolverOutput};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway::rpc::wire::{
    self, CallError, Entry, EventId, Input, Kind, Options, Output, Service, Tracked, Yields,
};
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

/// What the procedures share. One is made for each request; here all are the same.
#[derive(Clone)]
struct Ctx {
    counter: watch::Sender<u64>,
}

/// Input as rspc's typed procedures take it: it cannot fail here, so it is read in the procedure.
struct In<T>(Input, PhantomData<fn() -> T>);

impl<T: Type + 'static> ResolverInput for In<T> {
    fn data_type(types: &mut TypeCollection) -> DataType {
        T::inline(types, Generics::Definition)
    }

    fn from_input(input: DynInput<'_, '_>) -> Result<Self, ProcedureError> {
        Ok(Self(Input::from_dyn(input), PhantomData))
    }
}

impl<T: DeserializeOwned> In<T> {
    fn read(self) -> Result<T, Failed> {
        let json = self.0.read().map_err(Failed)?;
        let json = json.as_deref().map_or("null", |json| json.get());
        serde_json::from_str(json)
            .map_err(|error| Failed(CallError::new(wire::ErrorCode::BadRequest, error.to_string())))
    }
}

/// What a procedure yields, encoded for the wire and typed for rspc.
struct Out<T>(Output, PhantomData<fn() -> T>);

impl<T: Serialize> Out<T> {
    fn new(value: &T) -> Result<Self, Failed> {
        Output::json(value).map(|output| Self(output, PhantomData)).map_err(Failed)
    }

    /// A value with the id by which a client that was cut off goes on after it.
    fn tracked(id: u64, value: T) -> Result<Self, Failed> {
        let id = EventId::new(&id.to_string()).expect("a number is not empty and has no line breaks");
        let output = Output::tracked(&Tracked { id, value }).map_err(Failed)?;
        Ok(Self(output, PhantomData))
    }
}

impl<T: Type + 'static> ResolverOutput<Failed> for Out<T> {
    type T = Output;

    fn data_type(types: &mut TypeCollection) -> DataType {
        T::inline(types, Generics::Definition)
    }

    fn into_stream(self) -> impl Stream<Item = Result<Output, ProcedureError>> + Send + 'static {
        futures::stream::once(async move { Ok(self.0) })
    }

    fn into_procedure_stream(
        stream: impl Stream<Item = Result<Output, ProcedureError>> + Send + 'static,
    ) -> ProcedureStream {
        ProcedureStream::from_stream_value(stream)
    }
}

/// `CallError` as rspc wants errors.
struct Failed(CallError);

impl Type for Failed {
    fn inline(_: &mut TypeCollection, _: Generics<'_>) -> DataType {
        DataType::Any
    }
}

impl rspc::Error for Failed {
    fn into_procedure_error(self) -> ProcedureError {
        self.0.into()
    }
}

async fn greet(_: Ctx, name: In<String>) -> Result<Out<String>, Failed> {
    Out::new(&format!("Hello, {}!", name.read()?))
}

async fn add(ctx: Ctx, amount: In<u32>) -> Result<Out<u64>, Failed> {
    let amount = amount.read()?;
    ctx.counter.send_modify(|counter| *counter = counter.saturating_add(amount.into()));
    let counter = *ctx.counter.borrow();
    Out::new(&counter)
}

fn service(shutdown: CancellationToken) -> Result<Service<Ctx>, Box<dyn std::error::Error>> {
    let counter =
        rspc::Router::new().procedure("add", Procedure::builder::<Failed>().mutation(add)).procedure(
            "watch",
            Procedure::builder::<Failed>().subscription(|ctx: Ctx, _: In<()>| async move {
                let values = WatchStream::new(ctx.counter.subscribe());
                Ok(values.map(|value| Out::tracked(value, value)))
            }),
        );
    let (procedures, _types) = rspc::Router::new()
        .procedure("greet", Procedure::builder::<Failed>().query(greet))
        .nest("counter", counter)
        .build()
        .map_err(|errors| format!("{errors:?}"))?;
    let entry = |kind| Entry { kind, reads_input: true, yields: Yields::Output };
    let entries: HashMap<Cow<'static, str>, Entry> = HashMap::from([
        ("greet".into(), entry(Kind::Query)),
        ("counter.add".into(), entry(Kind::Mutation)),
        ("counter.watch".into(), entry(Kind::Subscription)),
    ]);
    let options = Options { base_path: "/trpc".to_owned(), ..Options::default() };
    Ok(Service::new(wire::Router::new(procedures, entries)?, options, shutdown)?)
}

#[derive(Clone)]
struct App {
    service: Service<Ctx>,
    ctx: Ctx,
}

async fn call(State(app): State<App>, request: Request) -> axum::response::Response {
    wire::handle(&app.service, request, |_| async { Ok(app.ctx) }).await
}

async fn call_live(State(app): State<App>, request: Request) -> axum::response::Response {
    wire::handle_live(&app.service, request, |_| async { Ok(app.ctx) }).await
}

/// Serves until `shutdown`. The routes take every method: what is wrong about one is answered in tRPC's form.
pub(crate) async fn serve(
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error>> {
    let ctx = Ctx { counter: watch::Sender::new(0) };
    let app = App { service: service(shutdown.clone())?, ctx };
    let service = app.service.clone();
    let router = axum::Router::new()
        .route("/trpc/{*path}", any(call))
        .route("/trpc-live", any(call_live))
        .with_state(app);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    service.mutations_ended().await;
    Ok(())
}

#[tokio::main]
#[allow(dead_code, reason = "a test takes this file as a module and serves by itself")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = CancellationToken::new();
    let on_interrupt = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 4000)).await.map_err(io::Error::other)?;
    serve(listener, shutdown).await
}
