//! Event ids: how an item of a subscription gets one, and how a client that comes back hands it in.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::error::CallError;

/// The member of a subscription's input in which the procedure finds the id to resume after.
const LAST_EVENT_ID: &str = "lastEventId";

/// An id that an event stream can carry: not empty, without NUL, CR and LF. Cheap to clone.
///
/// Ids come back in a header, so ids of ASCII characters only are the safe choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId(Arc<str>);

impl EventId {
    /// `None` if the text is empty or has a character that would break the stream's framing.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && !text.contains(['\0', '\r', '\n']);
        fits.then(|| Self(text.into()))
    }

    /// The id as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An item of a subscription with the id by which a client resumes after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked<T> {
    /// By which a client resumes after the item.
    pub id: EventId,
    /// The item.
    pub value: T,
}

/// The id after which the client wants to resume.
///
/// The first source that is present wins, even if it is empty and so means none: an event source that reconnects by
/// itself repeats its old URL, and the header that it adds is newer than what the URL says.
pub(super) fn last_event_id(headers: &HeaderMap, query: [Option<&str>; 2]) -> Option<String> {
    let header =
        headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let [first, second] = query;
    header.or_else(|| first.or(second).map(str::to_owned)).filter(|id| !id.is_empty())
}

/// Puts the id into the raw input, where the input is an object, absent or null; other inputs cannot hold it.
pub(super) fn merge_last_event_id(
    input: Option<Box<RawValue>>,
    id: &str,
) -> Result<Option<Box<RawValue>>, CallError> {
    let mut members: Map<String, Value> = match input.as_deref().map(RawValue::get) {
        None | Some("null") => Map::new(),
        Some(text) if text.starts_with('{') => {
            serde_json::from_str(text).map_err(|error| CallError::bad_request(error.to_string()))?
        }
        Some(_) => return Ok(input),
    };
    members.insert(LAST_EVENT_ID.into(), id.into());
    to_raw_value(&members).map(Some).map_err(|error| CallError::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(text.into()).unwrap())
    }

    #[test]
    fn an_id_that_breaks_the_framing_is_refused() {
        for text in ["", "a\nb", "a\rb", "a\0b"] {
            assert_eq!(EventId::new(text), None);
        }
        assert_eq!(EventId::new("1-0").unwrap().as_str(), "1-0");
    }

    #[test]
    fn an_empty_header_hides_the_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(last_event_id(&headers, [None, Some("q")]).as_deref(), Some("q"));
        headers.insert("last-event-id", "".parse().unwrap());
        assert_eq!(last_event_id(&headers, [Some("q"), None]), None);
    }

    #[test]
    fn the_id_replaces_a_member_of_an_object_and_leaves_other_inputs_alone() {
        let merged = |input| merge_last_event_id(input, "7").unwrap().unwrap().get().to_owned();
        assert_eq!(merged(None), r#"{"lastEventId":"7"}"#);
        assert_eq!(merged(raw("null")), r#"{"lastEventId":"7"}"#);
        assert_eq!(merged(raw(r#"{"lastEventId":5,"k":1}"#)), r#"{"lastEventId":"7","k":1}"#);
        assert_eq!(merged(raw("[1]")), "[1]");
    }
}
