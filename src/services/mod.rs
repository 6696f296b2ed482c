//! What Slipway does: one noun a file, one verb a function. Knows nothing of HTTP, rspc, SQL or Redis.

pub mod audit;
pub mod executions;
pub mod logs;
pub mod pipelines;
pub mod presence;
pub mod runs;
pub mod secrets;
pub mod states;
pub mod system;
pub mod tickets;
pub mod tokens;
pub mod waiting;
