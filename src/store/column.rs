//! How the domain's values stand in columns: numbers and instants as BIGINT, names as their own text.

use std::fmt::Display;
use std::str::FromStr;

use sea_orm::sea_query::LikeExpr;

use crate::domain::time::Timestamp;
use crate::domain::token::Role;
use crate::error::{Error, Result};
use crate::store::error::unreadable;

/// A count as a column has it. Counts stay below 2^53; one beyond the column's range is stored as its end, since
/// nothing that is counted here comes near it.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal("writing a column", error))
}

/// What stands where somebody has no role in everything.
const NO_ROLE: &str = "none";

pub(super) fn role_text(role: Option<Role>) -> &'static str {
    role.map_or(NO_ROLE, Role::as_str)
}

/// The pattern of a text that has `search` somewhere in it, whose characters stand for themselves.
pub(super) fn containing(search: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for character in search.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}

/// Reads columns of one table; every failure is `Error::Internal`, naming the column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader(pub(super) &'static str);

impl Reader {
    pub(super) fn number<T: TryFrom<i64>>(self, column: &str, value: i64) -> Result<T> {
        T::try_from(value).map_err(|_| unreadable(self.0, format!("{column} is {value}")))
    }

    pub(super) fn optional_number<T: TryFrom<i64>>(
        self,
        column: &str,
        value: Option<i64>,
    ) -> Result<Option<T>> {
        value.map(|value| self.number(column, value)).transpose()
    }

    pub(super) fn id<T: FromStr<Err: Display>>(self, column: &str, text: &str) -> Result<T> {
        text.parse().map_err(|error| unreadable(self.0, format!("{column} is {text:?}: {error}")))
    }

    pub(super) fn role(self, text: &str) -> Result<Option<Role>> {
        if text == NO_ROLE { Ok(None) } else { self.word("role", text, Role::parse(text)).map(Some) }
    }

    /// A name out of a closed set: what `parse` made of `text`.
    pub(super) fn word<T>(self, column: &str, text: &str, parsed: Option<T>) -> Result<T> {
        parsed.ok_or_else(|| unreadable(self.0, format!("{column} is {text:?}")))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(self, column: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| unreadable(self.0, format!("{column}: {error}")))
    }

    pub(super) fn at(millis: Option<i64>) -> Option<Timestamp> {
        millis.map(Timestamp::from_millis)
    }
}
