//! The schemas of the document: those of inputs and of outputs, merged where they are the same.

use std::collections::{BTreeMap, BTreeSet};

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::rpc::kit::Declared;
use crate::rpc::rest::problem::Problem;
use crate::rpc::schema;

const PLACE: &str = "#/components/schemas/";

/// A reference to a schema of the document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PLACE}{name}") })
}

pub(super) struct Schemas {
    /// By the name in the document.
    all: BTreeMap<String, Value>,
    /// The inputs of procedures, by procedure: name and schema. They are spread over parameters and bodies, so they
    /// are not in the document themselves.
    inputs: BTreeMap<&'static str, (String, Value)>,
    outputs: BTreeMap<&'static str, Value>,
    problem: Value,
}

impl Schemas {
    pub(super) fn of(registry: &[Declared]) -> Self {
        let mut taken = schema::in_document(schema::of_inputs());
        let mut given = schema::in_document(schema::of_outputs());
        let roots: Vec<_> =
            registry.iter().map(|one| (one.spec.path, (one.input_schema)(&mut taken))).collect();
        let outputs = registry.iter().map(|one| (one.spec.path, (one.output_schema)(&mut given).into()));
        let outputs: BTreeMap<&'static str, Value> = outputs.collect();
        let problem = given.subschema_for::<Problem>().into();
        let mut all: BTreeMap<String, Value> = definitions(&mut given);
        let mut taken = definitions(&mut taken);
        // A type whose schema differs between the two directions is there twice.
        let differing: BTreeSet<String> = taken
            .iter()
            .filter(|(name, schema)| all.get(*name).is_some_and(|given| given != *schema))
            .map(|(name, _)| name.clone())
            .collect();
        taken.values_mut().for_each(|schema| rename(schema, &differing));
        let mut inputs = BTreeMap::new();
        for (path, root) in roots {
            let root = Value::from(root);
            let name = name_of(&root).expect("an input is a named type").to_owned();
            let schema = taken.get(&name).expect("the generator defines what it refers to").clone();
            inputs.insert(path, (name, schema));
        }
        for (name, schema) in taken {
            let name = if differing.contains(&name) { format!("{name}Input") } else { name };
            all.insert(name, schema);
        }
        Self { all, inputs, outputs, problem }
    }

    pub(super) fn problem(&self) -> Value {
        self.problem.clone()
    }

    pub(super) fn output(&self, declared: &Declared) -> Value {
        self.outputs[declared.spec.path].clone()
    }

    /// The fields of the input.
    pub(super) fn input(&self, declared: &Declared) -> Map<String, Value> {
        let (_, schema) = &self.inputs[declared.spec.path];
        schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The part of the input that stands in the body, as a schema of the document.
    pub(super) fn body(&mut self, declared: &Declared, is_in_body: impl Fn(&str) -> bool) -> Value {
        let (name, schema) = &self.inputs[declared.spec.path];
        let mut body = schema.clone();
        if let Some(properties) = body["properties"].as_object_mut() {
            properties.retain(|name, _| is_in_body(name));
        }
        if let Some(required) = body.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name.as_str().is_some_and(&is_in_body));
            if required.is_empty() {
                body.as_object_mut().map(|body| body.remove("required"));
            }
        }
        self.all.insert(name.clone(), body);
        reference(name)
    }

    /// One event of a stream of such items.
    pub(super) fn event(&mut self, item: &Value) -> Value {
        let item_name = name_of(item).expect("an item is a named type");
        let name = format!("{item_name}Event");
        let event = |kind: Value, description: &str, data: Value| {
            let mut event = json!({
                "description": description,
                "type": "object",
                "properties": {
                    "id": { "type": "string", "description": "Give it as `Last-Event-ID`." },
                    "event": kind,
                    "data": data,
                    "retry": { "type": "integer", "description": "Milliseconds to wait before coming back." },
                },
                "required": ["event", "data"],
            });
            if event["properties"]["event"]["const"] == "message" {
                // What an event is called that has no name.
                event["required"] = json!(["data"]);
            }
            event
        };
        let json_of = |schema: Value| json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": schema });
        let problem = json_of(self.problem.clone());
        self.all.insert(
            name.clone(),
            json!({
                "description": "A server-sent event.",
                "anyOf": [
                    event(json!({ "const": "message" }), "An item.", json_of(item.clone())),
                    event(json!({ "const": "end" }), "Nothing follows.", json!({ "const": "{}" })),
                    event(json!({ "const": "problem" }), "The stream failed.", problem),
                ],
            }),
        );
        reference(&name)
    }

    /// Those that the document refers to, directly or through others.
    pub(super) fn used_by(self, document: &Value) -> Value {
        let mut used = BTreeSet::new();
        let mut wanted = references(document);
        while let Some(name) = wanted.pop() {
            if let Some(schema) = self.all.get(&name)
                && used.insert(name)
            {
                wanted.extend(references(schema));
            }
        }
        let schemas = self.all.into_iter().filter(|(name, _)| used.contains(name));
        Value::Object(schemas.collect())
    }
}

fn definitions(generator: &mut SchemaGenerator) -> BTreeMap<String, Value> {
    generator.take_definitions(true).into_iter().collect()
}

fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(PLACE)
}

fn rename(schema: &mut Value, names: &BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(at)) = members.get_mut("$ref")
                && at.strip_prefix(PLACE).is_some_and(|name| names.contains(name))
            {
                at.push_str("Input");
            }
            members.values_mut().for_each(|member| rename(member, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = name_of(value).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// As a parameter: it is there or it is not, but never null.
pub(super) fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(members) = schema.as_object_mut() else { return schema };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_never_null() {
        let number = json!({ "type": ["integer", "null"], "default": null, "minimum": 1 });
        assert_eq!(without_null(&number), json!({ "type": "integer", "minimum": 1 }));
        let choice = json!({ "anyOf": [{ "$ref": "#/x" }, { "type": "null" }], "description": "d" });
        assert_eq!(without_null(&choice), json!({ "description": "d", "$ref": "#/x" }));
    }
}
