//! What Slipway does: one noun a file, one verb a function. Knows nothing of HTTP, rspc, SQL or Redis.

pub mod access;
pub mod audit;
pub mod executions;
pub mod history;
pub mod limits;
pub mod lists;
pub mod logs;
pub mod measures;
pub mod passwords;
pub mod people;
pub mod pipelines;
pub mod presence;
pub mod queues;
pub mod runs;
pub mod search;
pub mod secret_keys;
pub mod secrets;
pub mod single_sign_on;
pub mod standing;
pub mod states;
pub mod stats;
pub mod system;
pub mod throttle;
pub mod tickets;
pub mod tokens;
pub mod waiting;
