#![allow(clippy::unwrap_used, reason = "helpers of tests are not tests to clippy")]

mod executor;
