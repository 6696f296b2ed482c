//! A server of the wire on a port of its own, ended with the test.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use futures::{Stream, StreamExt};
use rspc_procedure::{Procedure, ProcedureError, ProcedureStream, Procedures};
use slipway::rpc::wire::{
    self, CallError, Entry, ErrorCode, Incoming, Input, Kind, Options, Output, Router, Service, Yields,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the procedures of the tests know about their request.
#[derive(Clone, Debug)]
pub(super) struct Ctx {
    pub authorization: Option<String>,
    pub connection_params: Option<BTreeMap<String, String>>,
}

#[derive(Default)]
pub(super) struct Declared {
    procedures: HashMap<Cow<'static, str>, Procedure<Ctx>>,
    entries: HashMap<Cow<'static, str>, Entry>,
}

impl Declared {
    pub(super) fn add(mut self, path: &'static str, entry: Entry, procedure: Procedure<Ctx>) -> Self {
        self.procedures.insert(path.into(), procedure);
        self.entries.insert(path.into(), entry);
        self
    }

    /// A query or mutation that does not look at its input.
    pub(super) fn plain<F>(
        self,
        kind: Kind,
        path: &'static str,
        run: impl Fn(Ctx) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Output, CallError>> + Send + 'static,
    {
        let procedure = Procedure::new(move |ctx, _| {
            let running = run(ctx);
            ProcedureStream::from_future_value(async move { running.await.map_err(ProcedureError::from) })
        });
        self.add(path, Entry { kind, reads_input: false, yields: Yields::Output }, procedure)
    }

    /// A query or mutation with input.
    pub(super) fn with_input<F>(
        self,
        kind: Kind,
        path: &'static str,
        run: impl Fn(Input) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Output, CallError>> + Send + 'static,
    {
        let procedure = Procedure::new(move |_, input| {
            let running = run(Input::from_dyn(input));
            ProcedureStream::from_future_value(async move { running.await.map_err(ProcedureError::from) })
        });
        self.add(path, Entry { kind, reads_input: true, yields: Yields::Output }, procedure)
    }

    /// A subscription; it is told its input only if it reads it.
    pub(super) fn subscription<S>(
        self,
        path: &'static str,
        reads_input: bool,
        open: impl Fn(Ctx, Input) -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: Stream<Item = Result<Output, CallError>> + Send + 'static,
    {
        let procedure = Procedure::new(move |ctx, input| {
            let stream = open(ctx, Input::from_dyn(input));
            ProcedureStream::from_stream_value(stream.map(|item| item.map_err(ProcedureError::from)))
        });
        self.add(path, Entry { kind: Kind::Subscription, reads_input, yields: Yields::Output }, procedure)
    }

    pub(super) fn router(self) -> Router<Ctx> {
        Router::new(Procedures::new(self.procedures, Arc::default()), self.entries).unwrap()
    }
}

/// A running server.
pub(super) struct Server {
    pub address: SocketAddr,
    pub service: Service<Ctx>,
    /// Begins the end of the service: its streams end.
    pub shutdown: CancellationToken,
    _listening: DropGuard,
}

impl Server {
    pub(super) async fn start(declared: Declared, options: Options) -> Self {
        let shutdown = CancellationToken::new();
        let service = Service::new(declared.router(), options, shutdown.clone()).unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(serve).with_state(service.clone());
        let listening = CancellationToken::new();
        let ended = listening.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, app) => served.unwrap(),
                () = ended.cancelled() => {}
            }
        });
        Self { address, service, shutdown, _listening: listening.drop_guard() }
    }
}

async fn serve(State(service): State<Service<Ctx>>, request: Request) -> http::Response<Body> {
    if request.uri().path() == "/trpc-live" {
        return wire::handle_live(&service, request, context).await;
    }
    wire::handle(&service, request, context).await
}

pub(super) async fn context(incoming: Incoming) -> Result<Ctx, CallError> {
    let headers = &incoming.parts.headers;
    if let Some(code) = headers.get("x-fail-context") {
        let code = serde_json::from_slice(format!("\"{}\"", code.to_str().unwrap()).as_bytes());
        return Err(CallError::new(code.unwrap_or(ErrorCode::Unauthorized), "context failed"));
    }
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    Ok(Ctx { authorization, connection_params: incoming.connection_params })
}
