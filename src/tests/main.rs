//! Slipway from outside: its parts with the real things that they work with.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod checkout;
mod definition;
mod private_redis;
