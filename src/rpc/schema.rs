//! JSON Schemas of inputs and outputs: what is published is what is enforced.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

/// An instant in UTC, to the days that each month has; February has 29 in any year.
pub const TIME: &str = concat!(
    "^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)",
    r"|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$",
);

/// The largest whole number that every JSON reader keeps exact: 2^53 - 1.
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// A pattern for free text: anything but NUL, which PostgreSQL refuses.
pub const FREE_TEXT: &str = r"^[^\u0000]*$";

/// Text of several lines: no control characters but line breaks and tabs.
pub const PROSE: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

/// Visible ASCII characters, without spaces.
pub const VISIBLE_ASCII: &str = "^[!-~]+$";

/// The `id` of a log line, or its number alone, which is what counts.
pub const LINE_ID: &str = "^([0-9]{1,16}-)?[0-9]{1,16}$";

/// The `version` of a run, as text.
pub const VERSION: &str = "^[0-9]{1,16}$";

/// An id, and so the cursor of a list that is in the order of ids.
pub const ID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// The cursor of a list that is in the order of names: base64 for addresses, without padding.
pub const NAME_CURSOR: &str = r"^([A-Za-z0-9_\-]{4})*([A-Za-z0-9_\-]{2,3})?$";

/// For what a caller sends.
pub fn of_inputs() -> SchemaGenerator {
    settings().for_deserialize().into_generator()
}

/// For what a caller is given.
pub fn of_outputs() -> SchemaGenerator {
    settings().for_serialize().into_generator()
}

/// With references into the OpenAPI document.
pub(super) fn in_document(generator: SchemaGenerator) -> SchemaGenerator {
    let mut settings = generator.settings().clone();
    settings.definitions_path = "/components/schemas".into();
    settings.into_generator()
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with_transform(RecursiveTransform(bound_integers))
}

/// schemars states the width of an integer only as its `format`, which validators ignore.
fn bound_integers(schema: &mut Schema) {
    let bounds = match schema.get("format").and_then(Value::as_str) {
        Some("uint32") => (0, i64::from(u32::MAX)),
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("uint64" | "uint") => (0, INTEGER_MAX),
        Some("int64" | "int") => (-INTEGER_MAX, INTEGER_MAX),
        _ => return,
    };
    for (keyword, bound) in [("minimum", bounds.0), ("maximum", bounds.1)] {
        if schema.get(keyword).is_none() {
            schema.insert(keyword.to_owned(), json!(bound));
        }
    }
}
