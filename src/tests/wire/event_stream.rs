//! Reads event streams as an `EventSource` does.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub kind: String,
    /// The data as JSON, or as a text where it is not JSON.
    pub data: Value,
    pub id: Option<String>,
}

/// The events of a stream; those without a data line are dropped, as the standard demands.
pub(super) fn parse(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut kind, mut data, mut id) = (None, None::<String>, None);
    for line in text.lines() {
        if line.is_empty() {
            if let Some(data) = data.take() {
                let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
                events.push(Event { kind: kind.take().unwrap_or("message".to_owned()), data, id: id.take() });
            }
            (kind, data, id) = (None, None, None);
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = Some(value.to_owned()),
            "id" => id = Some(value.to_owned()),
            "data" => {
                data = Some(data.map_or_else(|| value.to_owned(), |data: String| format!("{data}\n{value}")));
            }
            _ => {}
        }
    }
    events
}
