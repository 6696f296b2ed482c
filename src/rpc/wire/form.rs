//! Forms with files (`multipart/form-data`), field by field as they arrive.

use bytes::{Bytes, BytesMut};
use futures::stream::{Stream, unfold};
use multer::Multipart;

use super::byte_stream::ByteStream;
use super::codes::ErrorCode;
use super::error::CallError;

/// What the reference answers to a form that is none.
const UNREADABLE: &str = "Failed to parse body as FormData.";
/// How much is handed to the parser at a time. It looks through all that it holds whenever it is given more, so that
/// a client that sends byte by byte would cost the square of what it sends.
const PARSED_BYTES_MIN: usize = 64 * 1024;

/// How large the parts of a form may be, beside `Options::body_bytes_max` for all of it.
#[derive(Clone, Copy, Debug)]
pub struct FormOptions {
    /// How many fields a form may have.
    pub fields_max: usize,
    /// How many bytes the headers of one field may have, names and values together.
    pub field_header_bytes_max: usize,
}

impl Default for FormOptions {
    fn default() -> Self {
        Self { fields_max: 100, field_header_bytes_max: 4 * 1024 }
    }
}

/// The fields of a form, in the order in which the client sends them. Nothing is read before a field is asked for.
#[derive(Debug)]
pub struct Form {
    fields: Multipart<'static>,
    options: FormOptions,
    fields_read: usize,
}

/// One field: its headers have been read, its value comes in pieces.
#[derive(Debug)]
pub struct FormField<'a> {
    field: multer::Field<'static>,
    /// The parser refuses to go on while a field is held; this way the compiler does.
    _form: &'a mut Form,
}

impl Form {
    pub(super) fn new(body: ByteStream, boundary: &str, options: FormOptions) -> Self {
        Self { fields: Multipart::new(in_larger_pieces(body), boundary), options, fields_read: 0 }
    }

    /// The next field, `None` after the last. What was not read of the field before is passed over.
    ///
    /// # Errors
    /// `BAD_REQUEST` for what is not a form, or one with too many fields or too long headers; what
    /// [`ByteStream::chunk`] says about the body.
    pub async fn next(&mut self) -> Result<Option<FormField<'_>>, CallError> {
        let Some(field) = self.fields.next_field().await.map_err(translate)? else { return Ok(None) };
        self.fields_read += 1;
        if self.fields_read > self.options.fields_max {
            let message = format!("A form may have at most {} fields", self.options.fields_max);
            return Err(CallError::bad_request(message));
        }
        let header_bytes: usize =
            field.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header_bytes > self.options.field_header_bytes_max {
            return Err(CallError::bad_request("The headers of a field are too long"));
        }
        Ok(Some(FormField { field, _form: self }))
    }
}

impl FormField<'_> {
    /// The field's name, `None` if the client left it out.
    pub fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// The name of the file that was chosen, as the client says it: it may hold anything, also a path.
    pub fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// What the client says about the value's type.
    pub fn content_type(&self) -> Option<&str> {
        self.field.content_type().map(AsRef::as_ref)
    }

    /// The next piece of the value, `None` at its end.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        self.field.chunk().await.map_err(translate)
    }

    /// The whole value, in memory.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn whole(mut self) -> Result<Bytes, CallError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The whole value as text.
    ///
    /// # Errors
    /// As [`Form::next`]; `BAD_REQUEST` if it is not UTF-8.
    pub async fn text(self) -> Result<String, CallError> {
        let bytes = self.whole().await?;
        String::from_utf8(bytes.into())
            .map_err(|_| CallError::bad_request("A field of the form is not UTF-8 text"))
    }
}

/// A request that calls itself a form and does not say how its fields are told apart.
pub(super) fn unreadable() -> CallError {
    CallError::new(ErrorCode::BadRequest, UNREADABLE)
}

fn in_larger_pieces(body: ByteStream) -> impl Stream<Item = Result<Bytes, CallError>> + Send {
    unfold(Some(body), |body| async {
        let mut body = body?;
        let mut gathered = BytesMut::new();
        while gathered.len() < PARSED_BYTES_MIN {
            match body.chunk().await {
                Ok(Some(piece)) => gathered.extend_from_slice(&piece),
                Ok(None) => return (!gathered.is_empty()).then(|| (Ok(gathered.freeze()), None)),
                Err(error) => return Some((Err(error), None)),
            }
        }
        Some((Ok(gathered.freeze()), Some(body)))
    })
}

/// What went wrong with the body comes through the parser as it was.
fn translate(error: multer::Error) -> CallError {
    match error {
        multer::Error::StreamReadFailed(cause) => {
            cause.downcast::<CallError>().map_or_else(|_| unreadable(), |error| *error)
        }
        _ => unreadable(),
    }
}
