//! What integration tests share: real components, one of each per test.

pub(crate) mod database;
pub(crate) mod http;
pub(crate) mod postgres;
pub(crate) mod redis;
