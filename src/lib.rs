//! Slipway: trigger a run of a pipeline, stream its log, watch it to the end.

pub mod app;
pub mod backup;
pub mod cli;
pub mod config;
pub mod domain;
pub mod error;
pub mod executor;
pub mod http;
pub mod jobs;
pub mod logs;
pub mod metrics;
pub mod oidc;
pub mod redis;
pub mod rpc;
pub mod serve;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod worker;

/// For the fuzzed properties of what cannot be reached from outside.
#[cfg(test)]
#[path = "tests/fuzz/mutate.rs"]
mod mutate;
