//! The integration tests, in one binary.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod store;
mod support;
