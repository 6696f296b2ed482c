//! `DbErr` becomes `Error`, here and nowhere else.

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Error, Result};

/// What callers know the database as.
pub const DEPENDENCY: &str = "database";

pub(super) trait DbResult<T> {
    /// Says what was being done, for the log.
    fn doing(self, doing: &'static str) -> Result<T>;

    /// As `doing`, where a row that exists already is the caller's affair and `conflict` is what they are told.
    fn doing_unless(self, doing: &'static str, conflict: impl FnOnce() -> String) -> Result<T>;
}

impl<T> DbResult<T> for Result<T, DbErr> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.doing_unless(doing, || "it exists already".to_owned())
    }

    fn doing_unless(self, doing: &'static str, conflict: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| match class_of(&error) {
            Class::Exists => Error::Conflict(conflict()),
            Class::Away => Error::unavailable(DEPENDENCY, error),
            Class::Other => Error::internal(doing, error),
        })
    }
}

/// A row that this program cannot have written: `doing` says which table was read, `what` what is wrong.
pub(super) fn unreadable(doing: &'static str, what: impl Into<String>) -> Error {
    Error::internal(doing, what.into())
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Exists,
    /// The same may succeed later.
    Away,
    Other,
}

fn class_of(error: &DbErr) -> Class {
    match error {
        DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => Class::Away,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            class_of_sqlx(error)
        }
        _ => Class::Other,
    }
}

fn class_of_sqlx(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Class::Away,
        sqlx::Error::Database(error) if error.is_unique_violation() => Class::Exists,
        sqlx::Error::Database(error) => match error.code() {
            Some(code) if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() => {
                class_of_sqlstate(&code)
            }
            Some(code) => class_of_sqlite(&code),
            None => Class::Other,
        },
        _ => Class::Other,
    }
}

fn class_of_sqlstate(code: &str) -> Class {
    // Lost connection, out of resources, operator intervention (a server that stops), failure of its system; then
    // a standby that only reads, a conflict that the server broke up, and a lock that was not free in time.
    let passing = ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || ["25006", "40001", "40P01", "55P03"].contains(&code);
    if passing { Class::Away } else { Class::Other }
}

fn class_of_sqlite(code: &str) -> Class {
    // The low byte is the primary code: BUSY, LOCKED, IOERR, FULL, CANTOPEN.
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6 | 10 | 13 | 14) => Class::Away,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_or_is_full_may_be_asked_again_and_a_wrong_statement_may_not() {
        for code in ["08006", "53300", "57P01", "40001", "55P03"] {
            assert_eq!(class_of_sqlstate(code), Class::Away, "{code}");
        }
        for code in ["42601", "22021", "23503"] {
            assert_eq!(class_of_sqlstate(code), Class::Other, "{code}");
        }
        for code in ["5", "517", "6", "13", "10", "266"] {
            assert_eq!(class_of_sqlite(code), Class::Away, "{code}");
        }
        for code in ["1", "787", "26", "x"] {
            assert_eq!(class_of_sqlite(code), Class::Other, "{code}");
        }
    }
}
