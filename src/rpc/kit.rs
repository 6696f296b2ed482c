//! What makes procedures out of declarations: the types that carry inputs and outputs through rspc, the one
//! place where roles are enforced, and the registry.
//!
//! rspc unwraps the result of `ResolverInput::from_input`, prints inputs and outputs inline and knows nothing of
//! errors or documentation. So `In`, `Out` and `Item` never fail on the way in, and keep types by reference.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use rspc::{DynInput, Procedure, ProcedureError, ProcedureStream, ResolverInput, ResolverOutput};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::domain::audit::Deed;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::metrics;
use crate::rpc::error::{ApiError, bad_input, refusal};
use crate::rpc::input::{InputCheck, InputProblem};
use crate::rpc::wire::{self, CallError, Events, Input, Kind, Output, Yields};
use crate::rpc::{Ctx, trail};
use crate::services::standing::{self, Watched};

pub(super) const SIGN_IN: &str = "sign in, or send an access token";
const OVER: &str = "your access has ended or changed: sign in, or open the stream again";

/// Who may call a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    /// Whoever has signed in, for what is their own.
    SignedIn,
    /// Whoever has this role or one that includes it.
    Role(Role),
    /// Whoever has it in the pipeline that this is about, which the service finds out; nobody gets so far who has it in
    /// none.
    InPipeline(Role),
}

/// Where a procedure is found by plain HTTP, below `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    pub method: &'static str,
    /// `{name}` stands for the input's field of that name.
    pub path: &'static str,
    /// Of a success.
    pub status: u16,
    /// Where that which was made is found: a path in which `{id}` stands for the output's member of that name, and
    /// `{token.id}` for a member of a member.
    pub location: Option<&'static str>,
}

/// A procedure as it was declared.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// `namespace.verb`.
    pub path: &'static str,
    /// In Markdown, one line an element.
    pub docs: &'static [&'static str],
    pub deprecated: Option<&'static str>,
    pub access: Access,
    pub rest: Rest,
}

/// Says of a value whether the input's schema takes it, and whether serde does.
#[cfg(test)]
pub(super) type Verdicts = Box<dyn Fn(&serde_json::Value) -> (bool, bool)>;

/// A procedure in the registry.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    pub spec: Spec,
    pub kind: Kind,
    /// Its input and output for TypeScript; what they refer to is added to the collection.
    pub types: fn(&mut TypeCollection) -> (DataType, DataType),
    pub input_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Of a subscription: of one item.
    pub output_schema: fn(&mut SchemaGenerator) -> Schema,
    #[cfg(test)]
    pub(super) reads: fn() -> Verdicts,
}

/// All procedures: what serves them, and what is known about them, in the order of declaration.
pub struct Rpc {
    pub router: wire::Router<Ctx>,
    pub registry: Vec<Declared>,
}

/// An input on its way through rspc: whatever was sent, to be read once the caller may call.
pub(super) struct In<T> {
    sent: Input,
    read_as: PhantomData<fn() -> T>,
}

impl<T: Type + 'static> ResolverInput for In<T> {
    fn data_type(types: &mut TypeCollection) -> DataType {
        T::reference(types, &[]).inner
    }

    fn from_input(input: DynInput<'_, '_>) -> Result<Self, ProcedureError> {
        Ok(Self { sent: Input::from_dyn(input), read_as: PhantomData })
    }
}

impl<T> In<T> {
    fn value(self) -> Result<Value, CallError> {
        match self.sent.read()? {
            None => Ok(Value::Null),
            Some(json) => serde_json::from_str(json.get())
                .map_err(|error| bad_input(&[InputProblem::at("", error.to_string())])),
        }
    }
}

/// The result of a query or mutation.
pub(super) struct Out<T>(T);

impl<T: Serialize + Type + Send + 'static> ResolverOutput<Refusal> for Out<T> {
    type T = Output;

    fn data_type(types: &mut TypeCollection) -> DataType {
        T::reference(types, &[]).inner
    }

    fn into_stream(self) -> impl futures::Stream<Item = Result<Output, ProcedureError>> + Send + 'static {
        let output = Output::json(&self.0).map_err(ProcedureError::from);
        futures::stream::once(async move { output })
    }

    fn into_procedure_stream(
        stream: impl futures::Stream<Item = Result<Output, ProcedureError>> + Send + 'static,
    ) -> ProcedureStream {
        ProcedureStream::from_stream_value(stream)
    }
}

/// Several items of a subscription as finished server-sent events: they pass rspc as bytes, typed as `T`.
pub(super) struct Item<T> {
    output: Output,
    typed_as: PhantomData<fn() -> T>,
}

impl<T> Item<T> {
    fn new(output: Output) -> Self {
        Self { output, typed_as: PhantomData }
    }
}

impl<T: Type + 'static> ResolverOutput<Refusal> for Item<T> {
    type T = Output;

    fn data_type(types: &mut TypeCollection) -> DataType {
        T::reference(types, &[]).inner
    }

    fn into_stream(self) -> impl futures::Stream<Item = Result<Output, ProcedureError>> + Send + 'static {
        futures::stream::once(async move { Ok(self.output) })
    }

    fn into_procedure_stream(
        stream: impl futures::Stream<Item = Result<Output, ProcedureError>> + Send + 'static,
    ) -> ProcedureStream {
        ProcedureStream::from_stream_value(stream)
    }
}

/// What a subscription's handler returns: finished events, each the JSON of a `T`.
pub(super) struct Live<T> {
    events: BoxStream<'static, Result<Bytes>>,
    typed_as: PhantomData<fn() -> T>,
}

impl<T> Live<T> {
    pub(super) fn new(events: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { events, typed_as: PhantomData }
    }
}

/// A `CallError` as rspc's error type.
pub(super) struct Refusal(CallError);

impl Type for Refusal {
    fn inline(types: &mut TypeCollection, generics: Generics<'_>) -> DataType {
        ApiError::inline(types, generics)
    }
}

impl rspc::Error for Refusal {
    fn into_procedure_error(self) -> ProcedureError {
        self.0.into()
    }
}

/// Gathers declarations.
#[derive(Default)]
pub(super) struct Api {
    namespaces: BTreeMap<&'static str, rspc::Router<Ctx>>,
    registry: Vec<Declared>,
}

impl Api {
    pub(super) fn query<I, O, F>(&mut self, spec: Spec, handler: fn(Ctx, I) -> F)
    where
        I: DeserializeOwned + Type + JsonSchema + Send + 'static,
        O: Serialize + Type + JsonSchema + Send + 'static,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        let check = self.declare::<I, O>(spec, Kind::Query);
        let procedure = Procedure::builder::<Refusal>().query(move |ctx: Ctx, input: In<I>| {
            let check = Arc::clone(&check);
            async move { answer(spec, Kind::Query, &check, (handler, |_, _| None), ctx, input).await.map(Out) }
        });
        self.add(spec.path, procedure);
    }

    pub(super) fn mutation<I, O, F>(&mut self, spec: Spec, handler: fn(Ctx, I) -> F)
    where
        I: DeserializeOwned + Type + JsonSchema + Send + 'static,
        O: Serialize + Type + JsonSchema + Send + 'static,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        let check = self.declare::<I, O>(spec, Kind::Mutation);
        let procedure =
            Procedure::builder::<Refusal>().mutation(move |ctx: Ctx, input: In<I>| {
                let check = Arc::clone(&check);
                async move {
                    answer(spec, Kind::Mutation, &check, (handler, trail::made), ctx, input).await.map(Out)
                }
            });
        self.add(spec.path, procedure);
    }

    pub(super) fn subscription<I, O, F>(&mut self, spec: Spec, handler: fn(Ctx, I) -> F)
    where
        I: DeserializeOwned + Type + JsonSchema + Send + 'static,
        O: Type + JsonSchema + Send + 'static,
        F: Future<Output = Result<Live<O>>> + Send + 'static,
    {
        let check = self.declare::<I, O>(spec, Kind::Subscription);
        let procedure = Procedure::builder::<Refusal>().subscription(move |ctx: Ctx, input: In<I>| {
            let check = Arc::clone(&check);
            async move {
                let request_id = ctx.request_id.clone();
                let watched = ctx.actor.as_ref().and_then(|actor| standing::watch(&ctx.app, actor));
                let live =
                    answer(spec, Kind::Subscription, &check, (handler, |_, _| None), ctx, input).await?;
                let events = while_standing(live.events, watched);
                let begun = futures::stream::once(async { Ok(Item::<O>::new(Output::begun())) });
                Ok(begun.chain(events.map(move |events| match events {
                    // The ids are in the bytes, and every event of a subscription has one.
                    Ok(bytes) => Ok(Item::new(Output::events(Events::new(bytes, None)))),
                    Err(error) => Err(Refusal(refusal(&error, Kind::Subscription, spec.path, &request_id))),
                })))
            }
        });
        self.add(spec.path, procedure);
    }

    /// # Panics
    ///
    /// If a parameter of the REST path is not a field of the input; a test makes the router.
    fn declare<I: DeserializeOwned + Type + JsonSchema, O: Type + JsonSchema>(
        &mut self,
        spec: Spec,
        kind: Kind,
    ) -> Arc<InputCheck> {
        self.registry.push(Declared {
            spec,
            kind,
            types: |types| (I::reference(types, &[]).inner, O::reference(types, &[]).inner),
            input_schema: SchemaGenerator::subschema_for::<I>,
            output_schema: SchemaGenerator::subschema_for::<O>,
            #[cfg(test)]
            reads: || {
                let check = InputCheck::of::<I>();
                Box::new(move |value| check.verdicts::<I>(value))
            },
        });
        let check = InputCheck::of::<I>();
        for parameter in parameters(spec.rest.path) {
            assert!(check.has(parameter), "{}: {parameter} is not a field of the input", spec.path);
        }
        Arc::new(check)
    }

    fn add(&mut self, path: &'static str, procedure: impl Into<rspc::ErasedProcedure<Ctx>>) {
        let (namespace, name) = path.split_once('.').expect("`procedures!` joins two names with a dot");
        let router = self.namespaces.remove(namespace).unwrap_or_default();
        self.namespaces.insert(namespace, router.procedure(name, procedure));
    }

    /// # Panics
    ///
    /// If two procedures have one name; a test makes the router.
    pub(super) fn build(self) -> Rpc {
        let mut root = rspc::Router::new();
        for (namespace, router) in self.namespaces {
            root = root.nest(namespace, router);
        }
        let (procedures, _) = root.build().expect("every procedure has a name of its own");
        let entry = |declared: &Declared| {
            let entry = wire::Entry { kind: declared.kind, reads_input: true, yields: Yields::Output };
            (Cow::Borrowed(declared.spec.path), entry)
        };
        let entries: HashMap<_, _> = self.registry.iter().map(entry).collect();
        let router =
            wire::Router::new(procedures, entries).expect("both are made from the same declarations");
        Rpc { router, registry: self.registry }
    }
}

/// The events, until who opened them may not have them any more.
fn while_standing(
    mut events: BoxStream<'static, Result<Bytes>>,
    watched: Option<Arc<Watched>>,
) -> BoxStream<'static, Result<Bytes>> {
    let Some(watched) = watched else { return events };
    let events = async_stream::stream! {
        loop {
            tokio::select! {
                () = watched.over() => {
                    yield Err(Error::Unauthenticated(OVER));
                    return;
                }
                next = events.next() => match next {
                    Some(events) => yield events,
                    None => return,
                },
            }
        }
    };
    events.boxed()
}

/// Says what an output is that was made, for the audit trail.
type Made<O> = fn(&Rest, &O) -> Option<trail::Thing>;

/// One call: may the caller, is the input right, then the handler. In this order, so that who may not call
/// learns nothing about the input.
async fn answer<I, O, F>(
    spec: Spec,
    kind: Kind,
    check: &InputCheck,
    (handler, made): (fn(Ctx, I) -> F, Made<O>),
    ctx: Ctx,
    input: In<I>,
) -> Result<O, Refusal>
where
    I: DeserializeOwned,
    F: Future<Output = Result<O>>,
{
    let (app, begun) = (ctx.app.clone(), Instant::now());
    let outcome = answer_uncounted(spec, kind, check, (handler, made), ctx, input).await;
    let procedure = spec.path;
    let code = outcome.as_ref().map_or_else(|Refusal(error)| error.code.key(), |_| "OK");
    app.metrics.calls.get_or_create(&metrics::Call { procedure, code }).inc();
    let durations = &app.metrics.call_durations;
    durations.get_or_create(&metrics::Procedure { procedure }).observe(begun.elapsed());
    outcome
}

async fn answer_uncounted<I, O, F>(
    spec: Spec,
    kind: Kind,
    check: &InputCheck,
    (handler, made): (fn(Ctx, I) -> F, Made<O>),
    ctx: Ctx,
    input: In<I>,
) -> Result<O, Refusal>
where
    I: DeserializeOwned,
    F: Future<Output = Result<O>>,
{
    let request_id = ctx.request_id.clone();
    let refused = |error: Error| Refusal(refusal(&error, kind, spec.path, &request_id));
    let caller = (kind == Kind::Mutation).then(|| trail::Caller::of(&ctx));
    let mut target = None;
    let (deed, outcome) = match authorize(spec.access, ctx.actor.as_ref()) {
        Err(error) => (Deed::refused(spec.path, error.to_string()), Err(refused(error))),
        Ok(()) => match input.value() {
            Err(error) => (Deed::refused(spec.path, "the input cannot be read"), Err(Refusal(error))),
            Ok(value) => {
                target = trail::target_of(spec.rest.path, &value);
                let named = trail::named(&spec.rest, &value);
                match check.read(value) {
                    // What is wrong with it may repeat it.
                    Err(problems) => {
                        (Deed::refused(spec.path, "the input is wrong"), Err(Refusal(bad_input(&problems))))
                    }
                    Ok(input) => {
                        target = target.or(named);
                        match handler(ctx, input).await {
                            Ok(output) => {
                                target = made(&spec.rest, &output).or(target);
                                (Deed::done(spec.path), Ok(output))
                            }
                            Err(error) => (trail::deed_of(spec.path, &error), Err(refused(error))),
                        }
                    }
                }
            }
        },
    };
    if let Some(caller) = caller {
        let deed = match target {
            Some((noun, id)) => deed.to(noun, id),
            None => deed,
        };
        trail::record(caller, &request_id, deed).await;
    }
    outcome
}

/// `runId` of `/runs/{runId}/cancel`.
pub(super) fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

pub(super) fn authorize(access: Access, actor: Option<&Actor>) -> Result<()> {
    match (access, actor) {
        (Access::Public, _) => Ok(()),
        (_, None) => Err(Error::Unauthenticated(SIGN_IN)),
        (Access::SignedIn, Some(_)) => Ok(()),
        (Access::Role(needed), Some(actor)) if actor.may(needed) => Ok(()),
        (Access::InPipeline(needed), Some(actor)) if actor.may_somewhere(needed) => Ok(()),
        (Access::Role(needed) | Access::InPipeline(needed), Some(actor)) => {
            let has = match actor.role {
                Some(role) => format!("the role {}", role.as_str()),
                None => "no role in everything".to_owned(),
            };
            let (name, needed) = (&actor.name, needed.as_str());
            Err(Error::Forbidden(format!("this needs the role {needed}; {name} has {has}")))
        }
    }
}

/// Declares procedures: documentation, kind, name, where plain HTTP finds them, who may call them, the handler.
///
/// ```text
/// procedures! { api;
///     /// Cancels a run.
///     mutation runs.cancel = POST "/runs/{runId}/cancel", Operator, cancel;
/// }
/// ```
///
/// Types are not repeated here: they are those of the handler.
macro_rules! procedures {
    ($api:ident; $(
        $(#[doc = $doc:literal])*
        $(#[deprecated = $note:literal])?
        $kind:ident $namespace:ident . $name:ident =
            $method:ident $path:literal $(-> $status:literal $(at $location:literal)?)?, $access:ident $(in $scope:ident)?, $handler:path;
    )*) => {$(
        $api.$kind(
            $crate::rpc::kit::Spec {
                path: concat!(stringify!($namespace), ".", stringify!($name)),
                docs: &[$($doc),*],
                deprecated: $crate::rpc::kit::procedures!(@last None $(, Some($note))?),
                access: $crate::rpc::kit::procedures!(@access $access $($scope)?),
                rest: $crate::rpc::kit::Rest {
                    method: stringify!($method),
                    path: $path,
                    status: $crate::rpc::kit::procedures!(@last 200 $(, $status)?),
                    location: $crate::rpc::kit::procedures!(@last None $($(, Some($location))?)?),
                },
            },
            $handler,
        );
    )*};
    (@last $default:expr) => { $default };
    (@last $default:expr, $given:expr) => { $given };
    (@access Public) => { $crate::rpc::kit::Access::Public };
    (@access SignedIn) => { $crate::rpc::kit::Access::SignedIn };
    (@access $role:ident pipeline) => {
        $crate::rpc::kit::Access::InPipeline($crate::domain::token::Role::$role)
    };
    (@access $role:ident) => { $crate::rpc::kit::Access::Role($crate::domain::token::Role::$role) };
}

pub(super) use procedures;

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(role: Role) -> Actor {
        Actor::new("ci", role)
    }

    #[test]
    fn a_role_may_do_what_lesser_roles_may() {
        for needed in Role::ALL {
            for has in Role::ALL {
                for access in [Access::Role(needed), Access::InPipeline(needed)] {
                    let allowed = authorize(access, Some(&actor(has))).is_ok();
                    assert_eq!(allowed, needed <= has, "{has:?} where {access:?} is needed");
                }
            }
        }
    }

    #[test]
    fn who_is_unknown_is_asked_to_sign_in_and_who_may_not_is_told_why() {
        let unknown = authorize(Access::Role(Role::Viewer), None).unwrap_err();
        assert!(matches!(unknown, Error::Unauthenticated(_)));
        let lesser = authorize(Access::Role(Role::Admin), Some(&actor(Role::Viewer))).unwrap_err();
        assert_eq!(lesser.to_string(), "this needs the role admin; ci has the role viewer");
        assert!(authorize(Access::Public, None).is_ok());
    }

    #[test]
    fn every_procedure_is_declared_once_and_few_are_public() {
        let registry = crate::rpc::router().registry;
        let mut paths: Vec<&str> = registry.iter().map(|declared| declared.spec.path).collect();
        const PUBLIC: [&str; 2] = ["auth.ways", "system.health"];
        let public: Vec<&str> = registry
            .iter()
            .filter(|declared| declared.spec.access == Access::Public)
            .map(|declared| declared.spec.path)
            .collect();
        assert_eq!(public, PUBLIC);
        paths.sort_unstable();
        let declared = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), declared);
        assert!(registry.iter().all(|declared| !declared.spec.docs.is_empty()));
    }

    #[test]
    fn plain_http_has_one_place_for_each_procedure() {
        let registry = crate::rpc::router().registry;
        let mut places: Vec<_> =
            registry.iter().map(|one| (one.spec.rest.path, one.spec.rest.method)).collect();
        places.sort_unstable();
        let declared = places.len();
        places.dedup();
        assert_eq!(places.len(), declared);
    }
}
