//! The wire of tRPC, from outside: over TCP, with what real clients send and with what they must not be able to do.

#![allow(
    clippy::unwrap_used,
    reason = "clippy counts only functions marked as tests as such, not what they call"
)]

mod bounds;
mod calls;
mod client;
mod conformance;
mod event_stream;
mod example;
mod live;
mod live_changes;
mod pitfalls;
mod reference_router;
mod server;
mod subscriptions;
mod uploads;
