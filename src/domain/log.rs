//! Log lines and their numbers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::brand::branded;
use crate::domain::time::Timestamp;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    Stdout,
    Stderr,
    /// Slipway's own words: what it did to the run, and why.
    System,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// `<epoch>-<n>`: what a client resumes by. Only `n` counts; the epoch may differ after a restart.
    pub id: LineId,
    /// The line's number in its run, from 1, rising by one from line to line. Below 2^53.
    #[specta(type = f64)]
    pub n: u64,
    /// When it was read from the step, by the clock of the machine that ran it.
    pub timestamp: Timestamp,
    /// The step that printed it, or that it is about; null for the run as a whole.
    pub step: Option<String>,
    /// The step's attempt, from 1; 0 for lines about the run.
    pub attempt: u32,
    /// Where it comes from.
    pub stream: LogStream,
    /// Its text, without the line's end.
    pub message: String,
    /// The line was not finished when it was stored: the next entry of the same stream goes on with it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub partial: bool,
    /// Goes on with the entry before it of the same stream.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub continued: bool,
}

/// The number up to which lines may have been seen of a log that is on record with so many: what is printed is recorded
/// before it comes near this.
pub const fn reserved_n(lines: u64) -> u64 {
    lines + 100 + lines / 8
}

/// `<epoch>-<n>`, as Redis streams order their entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineId {
    pub epoch: u64,
    pub n: u64,
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.n)
    }
}

branded!(
    /// `<epoch>-<n>`: what a client resumes by. Only `n` counts.
    LineId = "LineId"
);

impl JsonSchema for LineId {
    fn schema_name() -> Cow<'static, str> {
        "LineId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`<epoch>-<n>`: what a client resumes by. Only `n` counts.",
            "type": "string",
            "pattern": "^[0-9]{1,16}-[0-9]{1,16}$",
        })
    }
}

/// The text is not `<epoch>-<n>`.
#[derive(Debug, thiserror::Error)]
#[error("expected <epoch>-<n>, two whole numbers")]
pub struct LineIdError;

impl FromStr for LineId {
    type Err = LineIdError;

    fn from_str(text: &str) -> Result<Self, LineIdError> {
        let (epoch, n) = text.split_once('-').ok_or(LineIdError)?;
        let number = |digits: &str| match digits.len() {
            1..=16 if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        };
        Ok(Self { epoch: number(epoch).ok_or(LineIdError)?, n: number(n).ok_or(LineIdError)? })
    }
}

impl Serialize for LineId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_id_is_two_numbers_and_nothing_else() {
        assert_eq!("3-17".parse::<LineId>().unwrap(), LineId { epoch: 3, n: 17 });
        for text in ["", "-", "3", "3-", "-3", "3-1-1", "+3-1", "3- 1", "99999999999999999-1", "a-b"] {
            assert!(text.parse::<LineId>().is_err(), "{text:?}");
        }
    }
}
