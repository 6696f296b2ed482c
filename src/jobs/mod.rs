//! The queue of runs, in BullMQ's layout on Redis.

pub mod server;
