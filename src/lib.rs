//! Slipway: trigger a run of a pipeline, stream its log, watch it to the end.

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod executor;
pub mod jobs;
pub mod services;
pub mod store;
