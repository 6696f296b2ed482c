//! The input of a call on its way to the procedure.
//!
//! It is handed over as a value, never as a deserializer: rspc unwraps the result of `ResolverInput::from_input`, so
//! an implementation must not fail, and a value can carry the failure along. The procedure raises it when it reads its
//! input, which is after its guards: who may not call learns nothing about the input.

use rspc_procedure::DynInput;
use serde_json::value::RawValue;

use super::byte_stream::ByteStream;
use super::error::CallError;
use super::form::Form;

/// What the caller sent, or why it could not be read.
///
/// A procedure says what it takes by how it reads: [`Input::read`] for JSON, [`Input::form`], [`Input::bytes`], or
/// [`Input::sent`] for one that takes several. Anything else is the caller's error.
#[derive(Debug)]
pub struct Input(Result<Sent, CallError>);

/// What a caller can send.
#[derive(Debug)]
pub enum Sent {
    /// No input, which is something else than `null`.
    Nothing,
    /// JSON that is syntactically valid. Its nesting is not bounded; serde_json stops at 128 levels when it is read
    /// into a type.
    Json(Box<RawValue>),
    /// A form, to be read field by field. Mutations only.
    Form(Form),
    /// A body of `application/octet-stream`. Mutations only.
    Bytes(ByteStream),
}

impl Input {
    /// No input.
    pub fn absent() -> Self {
        Self(Ok(Sent::Nothing))
    }

    /// Syntactically valid JSON.
    pub fn json(value: Box<RawValue>) -> Self {
        Self(Ok(Sent::Json(value)))
    }

    /// An input that could not be read. The procedure learns of it when it reads.
    pub fn failed(error: CallError) -> Self {
        Self(Err(error))
    }

    /// Takes the input out of what rspc hands to `ResolverInput::from_input`. It cannot fail: a transport that passes
    /// anything else makes the call fail with an internal error once the input is read.
    pub fn from_dyn(mut input: DynInput<'_, '_>) -> Self {
        match input.value::<Self>() {
            Ok(input) => std::mem::replace(input, Self::absent()),
            Err(error) => {
                tracing::error!(%error, "a transport does not pass its input as `wire::Input`");
                Self::failed(CallError::internal())
            }
        }
    }

    /// Whatever was sent.
    ///
    /// # Errors
    /// `BAD_REQUEST` for malformed JSON or an early end, `PAYLOAD_TOO_LARGE` or `TIMEOUT` for the body that holds it.
    pub fn sent(self) -> Result<Sent, CallError> {
        self.0
    }

    /// The JSON text, `None` if the caller sent no input.
    ///
    /// # Errors
    /// As [`Input::sent`]; `BAD_REQUEST` if something else was sent.
    pub fn read(self) -> Result<Option<Box<RawValue>>, CallError> {
        match self.0? {
            Sent::Nothing => Ok(None),
            Sent::Json(json) => Ok(Some(json)),
            Sent::Form(_) => Err(CallError::bad_request("This procedure takes JSON and no form")),
            Sent::Bytes(_) => Err(CallError::bad_request("This procedure takes JSON and no bytes")),
        }
    }

    /// The form.
    ///
    /// # Errors
    /// As [`Input::sent`]; `BAD_REQUEST` if something else was sent.
    pub fn form(self) -> Result<Form, CallError> {
        match self.0? {
            Sent::Form(form) => Ok(form),
            other => Err(expected("FormData", &other)),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// As [`Input::sent`]; `BAD_REQUEST` if something else was sent.
    pub fn bytes(self) -> Result<ByteStream, CallError> {
        match self.0? {
            Sent::Bytes(bytes) => Ok(bytes),
            other => Err(expected("ReadableStream", &other)),
        }
    }
}

/// In tRPC's words, which name the types of JavaScript.
fn expected(name: &str, sent: &Sent) -> CallError {
    let was = match sent {
        Sent::Nothing => "undefined",
        Sent::Json(json) => match json.get().as_bytes().first() {
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'-' | b'0'..=b'9') => "number",
            _ => "object",
        },
        Sent::Form(_) | Sent::Bytes(_) => "object",
    };
    CallError::bad_request(format!("Parsed input was expected to be a {name} but was: {was}"))
}

impl From<Result<Option<Box<RawValue>>, CallError>> for Input {
    fn from(result: Result<Option<Box<RawValue>>, CallError>) -> Self {
        Self(result.map(|json| json.map_or(Sent::Nothing, Sent::Json)))
    }
}

impl From<Sent> for Input {
    fn from(sent: Sent) -> Self {
        Self(Ok(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_value_is_an_error_that_waits_until_the_input_is_read() {
        let mut foreign = 5_u8;
        assert_eq!(
            Input::from_dyn(DynInput::new_value(&mut foreign)).read().unwrap_err(),
            CallError::internal()
        );
    }

    #[test]
    fn json_where_something_else_is_wanted_is_named_as_javascript_names_it() {
        let named = [("{}", "object"), ("null", "object"), ("\"a\"", "string"), ("-1", "number")];
        for (json, name) in named {
            let input = Input::json(RawValue::from_string(json.into()).unwrap());
            assert!(input.form().unwrap_err().message.ends_with(&format!("but was: {name}")), "{json}");
        }
        assert!(Input::absent().bytes().unwrap_err().message.ends_with("but was: undefined"));
    }
}
