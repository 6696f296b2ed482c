//! The input of a call on its way to the procedure.
//!
//! It is handed over as a value, never as a deserializer: rspc unwraps the result of `ResolverInput::from_input`, so
//! an implementation must not fail, and a value can carry the failure along. The procedure raises it when it reads its
//! input, which is after its guards: who may not call learns nothing about the input.

use rspc_procedure::DynInput;
use serde_json::value::RawValue;

use super::error::CallError;

/// What the caller sent: JSON that is syntactically valid, nothing at all, or something that could not be read.
///
/// Absent and `null` are different. Nesting is not bounded here; serde_json stops at 128 levels when it is read into a
/// type.
#[derive(Debug)]
pub struct Input(Result<Option<Box<RawValue>>, CallError>);

impl Input {
    pub fn absent() -> Self {
        Self(Ok(None))
    }

    pub fn json(value: Box<RawValue>) -> Self {
        Self(Ok(Some(value)))
    }

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

    /// The JSON text, `None` if the caller sent no input.
    ///
    /// # Errors
    /// `BAD_REQUEST` for malformed JSON, `PAYLOAD_TOO_LARGE`, `TIMEOUT` or `UNSUPPORTED_MEDIA_TYPE` for its body.
    pub fn read(self) -> Result<Option<Box<RawValue>>, CallError> {
        self.0
    }
}

impl From<Result<Option<Box<RawValue>>, CallError>> for Input {
    fn from(result: Result<Option<Box<RawValue>>, CallError>) -> Self {
        Self(result)
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
}
