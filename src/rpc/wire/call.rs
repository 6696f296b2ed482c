//! One call of a procedure, from its input to its outcome.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use rspc_procedure::{DynInput, Procedure, ProcedureStream};
use tracing::Instrument;

use super::codes::ErrorCode;
use super::envelope::Outcome;
use super::error::CallError;
use super::input::Input;
use super::output::{Form, Output, poll_output};
use super::router::{Entry, Kind};
use super::service::Shared;

/// A procedure with everything that it needs to run.
pub(super) struct Prepared<TCtx> {
    pub(super) path: String,
    pub(super) entry: Entry,
    pub(super) procedure: Procedure<TCtx>,
    pub(super) context: TCtx,
    pub(super) input: Input,
}

impl<TCtx: Send + 'static> Prepared<TCtx> {
    /// Begins the call.
    ///
    /// # Errors
    /// An internal error if the procedure panics before it returns anything.
    pub(super) fn start(self) -> Result<ProcedureStream, CallError> {
        let Self { path, procedure, context, mut input, .. } = self;
        catch_unwind(AssertUnwindSafe(|| procedure.exec(context, DynInput::new_value(&mut input))))
            .map_err(|payload| CallError::from_panic(payload.as_ref(), &path))
    }

    /// Runs a query or mutation to its end.
    ///
    /// A query ends with whoever awaits it. A mutation must not stop half-way because its client has left, so it is a
    /// task of its own that whoever shuts the server down can wait for.
    pub(super) async fn run(self, shared: &Shared) -> Outcome {
        let place = shared.admit_call()?;
        if self.entry.kind != Kind::Mutation {
            return self.finish().await;
        }
        let path = self.path.clone();
        let finishing = async move {
            let _place = place;
            self.finish().await
        };
        let task = shared.mutations.spawn(finishing.in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(%path, %error, "a mutation's task ended early");
            Err(CallError::internal())
        })
    }

    async fn finish(self) -> Outcome {
        let (path, yields) = (self.path.clone(), self.entry.yields);
        let mut stream = self.start()?;
        let output = poll_fn(|cx| poll_output(&mut stream, yields, &path, cx)).await;
        let data = match output.transpose()? {
            None | Some(Output(Form::Nothing)) => None,
            Some(Output(Form::Json(json))) => Some(json),
            Some(Output(Form::Begun | Form::Tracked(..) | Form::Events(_))) => return Err(stream_like()),
        };
        // A procedure with one value is over after it. One that is not yields a stream, which has no place here.
        let next = poll_fn(|cx| Poll::Ready(poll_output(&mut stream, yields, &path, cx))).await;
        match next {
            Poll::Ready(None) => Ok(data),
            Poll::Ready(Some(Err(error))) => Err(error),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => Err(stream_like()),
        }
    }
}

fn stream_like() -> CallError {
    let message = "Cannot use stream-like response in non-streaming request - use httpBatchStreamLink";
    CallError::new(ErrorCode::UnsupportedMediaType, message)
}
