//! Times that inputs name.

use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// What a field says whose schema has the pattern `TIME`.
pub(super) fn time(field: &str, text: Option<String>) -> Result<Option<Timestamp>> {
    let wrong = || Error::invalid(field, "expected a time such as 2026-11-25T12:00:00Z");
    // The day after 28 February, in a year that has no 29th.
    let parse = |text: &str| {
        Timestamp::parse(text).or_else(|| Timestamp::parse(&text.replacen("-02-29T", "-03-01T", 1)))
    };
    text.map(|text| parse(&text).ok_or_else(wrong)).transpose()
}
