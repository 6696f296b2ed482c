//! A procedure as plain HTTP sees it: which field of its input stands where in a request, and how its text is read.

use http::Method;
use serde_json::{Map, Value};

use crate::rpc::kit::{self, Declared};
use crate::rpc::schema;
use crate::rpc::wire::Kind;

/// The header that stands for the field `idempotencyKey`.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that stands for the field `lastEventId`.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

/// Where a field of the input stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Body,
    /// In a header alone.
    Header,
}

/// What the text of a parameter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reads {
    Text,
    Integer,
    Number,
    Boolean,
    /// A parameter that is repeated.
    List(Box<Reads>),
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub name: String,
    pub place: Place,
    pub reads: Reads,
    pub required: bool,
    /// Also given by this header. In the body, the field is then left to those who know it from tRPC: the published
    /// document has the header alone, since both at once would have to agree.
    pub header: Option<&'static str>,
}

/// A form in which an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// A value a line.
    Lines,
    Text,
    Events,
}

impl Form {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Text => "text/plain",
            Self::Events => "text/event-stream",
        }
    }
}

/// A procedure at its place.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub declared: Declared,
    pub method: Method,
    pub fields: Vec<Field>,
}

impl Endpoint {
    /// # Panics
    ///
    /// If a declared method is none; a test makes all endpoints.
    pub(crate) fn of(declared: &Declared) -> Self {
        let mut generator = schema::of_inputs();
        let root = Value::from((declared.input_schema)(&mut generator));
        let definitions = generator.take_definitions(true);
        let root = resolved(&root, &definitions);
        let rest = declared.spec.rest;
        let method: Method = rest.method.parse().expect("a declared method is one");
        let has_body = ![Method::GET, Method::DELETE].contains(&method);
        let required = root.get("required").and_then(Value::as_array);
        let properties = root.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().map(|(name, schema)| Field {
            name: name.clone(),
            place: match name {
                name if kit::parameters(rest.path).any(|parameter| parameter == name) => Place::Path,
                _ if has_body => Place::Body,
                name if name == "lastEventId" => Place::Header,
                _ => Place::Query,
            },
            reads: reads(schema, &definitions),
            required: required.is_some_and(|names| names.iter().any(|required| required == name)),
            header: match name.as_str() {
                "idempotencyKey" => Some(IDEMPOTENCY_KEY),
                "lastEventId" => Some(LAST_EVENT_ID),
                _ => None,
            },
        });
        Self { declared: *declared, method, fields: fields.collect() }
    }

    /// The forms of its answer; the first is the one for whoever has no wish.
    pub(crate) fn forms(&self) -> &'static [Form] {
        match (self.declared.kind, self.declared.spec.path) {
            (Kind::Subscription, _) => &[Form::Events, Form::Lines],
            (_, "runs.logs") => &[Form::Json, Form::Lines, Form::Text],
            (_, "audit.list") => &[Form::Json, Form::Lines],
            _ => &[Form::Json],
        }
    }

    pub(crate) fn has_body(&self) -> bool {
        self.fields.iter().any(|field| field.place == Place::Body)
    }

    /// Whether the body may be left out.
    pub(crate) fn body_is_optional(&self) -> bool {
        !self.fields.iter().any(|field| field.place == Place::Body && field.required)
    }
}

/// The schema itself, behind references.
pub(crate) fn resolved<'a>(schema: &'a Value, definitions: &'a Map<String, Value>) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
    match name.and_then(|name| definitions.get(name)) {
        Some(definition) => resolved(definition, definitions),
        None => schema,
    }
}

fn reads(schema: &Value, definitions: &Map<String, Value>) -> Reads {
    let schema = resolved(schema, definitions);
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(choice) = choices.into_iter().flatten().find(|choice| choice["type"] != "null") {
        return reads(choice, definitions);
    }
    let name = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().find(|name| *name != "null"),
        name => name,
    };
    match name.and_then(Value::as_str) {
        Some("integer") => Reads::Integer,
        Some("number") => Reads::Number,
        Some("boolean") => Reads::Boolean,
        Some("array") => Reads::List(Box::new(reads(&schema["items"], definitions))),
        _ => Reads::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(path: &str) -> Vec<(String, Place, Reads)> {
        let registry = crate::rpc::router().registry;
        let declared = registry.iter().find(|declared| declared.spec.path == path).unwrap();
        let fields = Endpoint::of(declared).fields.into_iter();
        fields.map(|field| (field.name, field.place, field.reads)).collect()
    }

    #[test]
    fn a_field_stands_in_the_path_the_query_or_the_body() {
        let list = fields("runs.list");
        assert!(list.contains(&("limit".to_owned(), Place::Query, Reads::Integer)));
        assert!(list.contains(&("status".to_owned(), Place::Query, Reads::Text)));
        let trigger = fields("pipelines.trigger");
        assert!(trigger.contains(&("pipelineId".to_owned(), Place::Path, Reads::Text)));
        assert!(trigger.contains(&("branch".to_owned(), Place::Body, Reads::Text)));
    }
}
