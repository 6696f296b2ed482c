//! Slipway from outside: its parts with the real things that they work with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod backup;
mod bindings;
mod bulk;
mod checkout;
mod cli;
mod config;
mod definition;
mod executor;
mod faults;
mod forgotten;
mod fuzz;
mod history;
mod http;
mod limits;
mod logs;
mod private_redis;
mod retention;
mod rpc;
mod runs;
mod secrets;
mod serve;
mod store;
mod support;
mod tidy;
mod wire;
