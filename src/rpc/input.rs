//! Inputs: checked against the published schema, then read by serde. Bounds in a schema are therefore law, and
//! every complaint names the field.

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::text;
use crate::rpc::schema;

/// How many complaints one answer has at most.
const PROBLEMS_MAX: usize = 20;

/// A value that prints longer than this is not repeated in a complaint.
const SHOWN_BYTES_MAX: usize = 64;

/// What tRPC's own clients add to an input, whether the procedure knows it or not.
const ADDED_BY_CLIENTS: [&str; 3] = ["direction", "cursor", "lastEventId"];

/// What is wrong with one field of an input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, specta::Type, JsonSchema)]
pub struct InputProblem {
    /// Where: a path such as `steps[2].name`; empty for the input as a whole.
    pub field: String,
    /// The same as a JSON pointer, such as `/steps/2/name`.
    pub pointer: String,
    /// What is wrong there, as the rest of a sentence about the field.
    pub message: String,
}

impl InputProblem {
    /// Of a field that is named by its path.
    pub(super) fn at(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), pointer: pointer_of(field), message: message.into() }
    }
}

/// The compiled schema of an input.
#[derive(Debug)]
pub(super) struct InputCheck {
    validator: Validator,
    fields: Vec<String>,
}

impl InputCheck {
    /// # Panics
    ///
    /// If the schema that is derived for `T` is not a schema; a test makes them all.
    pub(super) fn of<T: JsonSchema>() -> Self {
        let schema = schema::of_inputs().into_root_schema_for::<T>();
        let validator = jsonschema::validator_for(schema.as_value()).expect("a derived schema is a schema");
        let fields = match schema.get("properties").and_then(Value::as_object) {
            Some(properties) => properties.keys().cloned().collect(),
            None => Vec::new(),
        };
        Self { validator, fields }
    }

    /// Whether the input has a field of this name.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|name| name == field)
    }

    /// Whether the schema takes a value, and whether serde does.
    #[cfg(test)]
    pub(super) fn verdicts<T: DeserializeOwned>(&self, value: &Value) -> (bool, bool) {
        let mut read = value.clone();
        whole_numbers(&mut read);
        (self.validator.is_valid(value), serde_json::from_value::<T>(read).is_ok())
    }

    /// Reads an input, or says all that is wrong with it. Nothing at all counts as no fields.
    pub(super) fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, Vec<InputProblem>> {
        let mut value = match value {
            Value::Null => Value::Object(Map::new()),
            value => value,
        };
        whole_numbers(&mut value);
        if let Value::Object(members) = &mut value {
            members
                .retain(|name, _| !ADDED_BY_CLIENTS.contains(&name.as_str()) || self.fields.contains(name));
        }

        let mut problems = Vec::new();
        for error in self.validator.iter_errors(&value) {
            self.explain(&error, &mut problems);
            if PROBLEMS_MAX <= problems.len() {
                problems.truncate(PROBLEMS_MAX);
                break;
            }
        }

        match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(input) if problems.is_empty() => Ok(input),
            Ok(_) => Err(problems),
            Err(error) => {
                let field = match error.path().to_string() {
                    whole if whole == "." => String::new(),
                    path => path,
                };
                let said = InputProblem::at(&field, error.inner().to_string());
                if problems.is_empty() {
                    problems.push(said);
                } else if let Some(vague) = problems
                    .iter_mut()
                    .find(|problem| problem.message.is_empty() && problem.field == said.field)
                {
                    *vague = said;
                }
                for vague in problems.iter_mut().filter(|problem| problem.message.is_empty()) {
                    vague.message.push_str("has a value that is not allowed");
                }
                Err(problems)
            }
        }
    }

    /// Leaves the message empty where the schema can only say that no alternative fits: serde knows better. Where one fits
    /// but for its parts, those are told.
    fn explain(&self, error: &ValidationError<'_>, problems: &mut Vec<InputProblem>) {
        let at = path_of(error);
        let pointer = pointer_to(error);
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = if at.is_empty() && !self.fields.is_empty() {
                    format!("is not a field of this input, which has {}", self.fields.join(", "))
                } else {
                    "is not a field of this input".to_owned()
                };
                problems.extend(unexpected.iter().take(PROBLEMS_MAX).map(|name| {
                    let name = shortened(name);
                    InputProblem {
                        field: joined(&at, &name),
                        pointer: format!("{pointer}/{}", escaped(&name)),
                        message: known.clone(),
                    }
                }));
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                problems.push(InputProblem {
                    field: joined(&at, name),
                    pointer: format!("{pointer}/{}", escaped(name)),
                    message: "is required".to_owned(),
                });
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                match context.iter().find(|alternative| is_of_parts(alternative, error)) {
                    Some(alternative) => alternative.iter().for_each(|part| self.explain(part, problems)),
                    None => problems.push(InputProblem { field: at, pointer, message: String::new() }),
                }
            }
            // The length and the pattern of a text are one rule for people: it is told once.
            ValidationErrorKind::Pattern { .. }
            | ValidationErrorKind::MinLength { .. }
            | ValidationErrorKind::MaxLength { .. }
                if problems.iter().any(|told| told.pointer == pointer) => {}
            kind => {
                let message = match kind {
                    ValidationErrorKind::Pattern { pattern } if pattern == schema::FREE_TEXT => {
                        "must not contain NUL".to_owned()
                    }
                    ValidationErrorKind::Pattern { pattern } if in_words(pattern, error).is_some() => {
                        in_words(pattern, error).unwrap_or_default()
                    }
                    ValidationErrorKind::Pattern { pattern } if is_cursor(pattern) => {
                        "is not one that an earlier page gave as `nextCursor`".to_owned()
                    }
                    _ => {
                        if error.instance().to_string().len() <= SHOWN_BYTES_MAX {
                            error.to_string()
                        } else {
                            error.masked_with("the value").to_string()
                        }
                    }
                };
                problems.push(InputProblem { field: at, pointer, message });
            }
        }
    }
}

/// Whether all that keeps an alternative from fitting is wrong further inside of what `whole` is about.
fn is_of_parts(alternative: &[ValidationError<'_>], whole: &ValidationError<'_>) -> bool {
    let depth = |error: &ValidationError<'_>| error.instance_path().segments().count();
    !alternative.is_empty() && alternative.iter().all(|error| depth(whole) < depth(error))
}

/// What the domain's own rule says of a text that does not fit its pattern.
fn in_words(pattern: &str, error: &ValidationError<'_>) -> Option<String> {
    let instance = error.instance();
    text::rule_of(pattern)?(instance.as_str()?).err()
}

fn is_cursor(pattern: &str) -> bool {
    [schema::ID, schema::NAME_CURSOR].contains(&pattern)
}

fn pointer_to(error: &ValidationError<'_>) -> String {
    error.instance_path().segments().fold(String::new(), |pointer, segment| match segment {
        LocationSegment::Property(name) => pointer + "/" + &escaped(&shortened(&name)),
        LocationSegment::Index(index) => format!("{pointer}/{index}"),
    })
}

/// JSON Schema takes `1.0` for a whole number, serde does not.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(float) = float.filter(|float| float.abs() <= schema::INTEGER_MAX as f64) {
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// `/steps/2/name` for `steps[2].name`.
fn pointer_of(path: &str) -> String {
    let segments = path.split(['.', '[']).map(|segment| segment.strip_suffix(']').unwrap_or(segment));
    segments
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |pointer, segment| pointer + "/" + &escaped(segment))
}

/// A name as a segment of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// `steps[2].name` for `/steps/2/name`.
fn path_of(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path().segments() {
        match segment {
            LocationSegment::Property(name) => path = joined(&path, &shortened(&name)),
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A name from outside, short enough to be repeated.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(SHOWN_BYTES_MAX) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Query {
        #[serde(default)]
        #[schemars(range(min = 1, max = 100))]
        limit: Option<u32>,
        #[serde(default)]
        #[schemars(length(max = 5), regex(pattern = schema::FREE_TEXT))]
        search: Option<String>,
        #[serde(default)]
        order: Option<Order>,
        #[serde(default)]
        steps: Vec<Step>,
        #[serde(default)]
        first: Option<Step>,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        /// With a comment, the schema is a choice of constants.
        Up,
        Down,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Step {
        name: String,
        #[schemars(range(min = 0, max = 9))]
        tries: u32,
    }

    fn read(value: Value) -> Result<Query, Vec<(String, String)>> {
        let plain =
            |problems: Vec<InputProblem>| problems.into_iter().map(|p| (p.field, p.message)).collect();
        InputCheck::of::<Query>().read(value).map_err(plain)
    }

    #[track_caller]
    fn refused(value: Value, expected: &[(&str, &str)]) {
        let problems = read(value).unwrap_err();
        let problems: Vec<_> =
            problems.iter().map(|(field, message)| (field.as_str(), message.as_str())).collect();
        assert_eq!(problems, expected);
    }

    #[test]
    fn nothing_counts_as_no_fields() {
        for nothing in [Value::Null, json!({}), json!({ "limit": null, "search": null, "order": null })] {
            assert_eq!(read(nothing).unwrap(), Query::default());
        }
    }

    #[test]
    fn a_bound_is_named_with_its_field() {
        refused(json!({ "limit": 500 }), &[("limit", "500 is greater than the maximum of 100")]);
        refused(json!({ "limit": 0 }), &[("limit", "0 is less than the minimum of 1")]);
        refused(json!({ "search": "a\0b" }), &[("search", "must not contain NUL")]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(json!({ "limit": 500, "steps": [{ "name": "a" }, { "name": 1, "tries": -1 }] }));
        let fields: Vec<String> = problems.unwrap_err().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["limit", "steps[0].tries", "steps[1].name", "steps[1].tries"]);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name_except_what_clients_add() {
        refused(
            json!({ "limits": 5 }),
            &[("limits", "is not a field of this input, which has limit, search, order, steps, first")],
        );
        refused(
            json!({ "steps": [{ "name": "a", "tries": 1, "try": 1 }] }),
            &[("steps[0].try", "is not a field of this input")],
        );
        let added = json!({ "limit": 5, "direction": "forward", "cursor": null, "lastEventId": "1" });
        assert_eq!(read(added).unwrap().limit, Some(5));
    }

    #[test]
    fn a_choice_is_explained_by_what_there_is_to_choose_from() {
        refused(
            json!({ "order": "sideways" }),
            &[("order", "unknown variant `sideways`, expected `up` or `down`")],
        );
    }

    #[test]
    fn what_is_wrong_inside_of_something_optional_is_told_at_its_place() {
        refused(
            json!({ "first": { "name": "a", "tries": 10 } }),
            &[("first.tries", "10 is greater than the maximum of 9")],
        );
        assert_eq!(read(json!({ "first": 5 })).unwrap_err()[0].0, "first");
        assert!(read(json!({ "first": null })).is_ok());
    }

    #[test]
    fn a_long_value_is_not_repeated() {
        let problems = read(json!({ "search": "x".repeat(10_000) })).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].1.len() < 100, "{}", problems[0].1);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for wrong in [json!([]), json!("a"), json!(5), json!(true)] {
            assert_eq!(read(wrong).unwrap_err()[0].0, "");
        }
    }

    #[test]
    fn complaints_have_a_bound() {
        let steps: Vec<Value> = (0..1_000).map(|_| json!({})).collect();
        assert_eq!(read(json!({ "steps": steps })).unwrap_err().len(), PROBLEMS_MAX);
    }
}
