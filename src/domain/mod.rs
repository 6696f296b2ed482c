//! What Slipway is about: runs, pipelines, steps, log lines. Pure: no async, no input or output, no SQL,
//! no Redis, no HTTP.

pub mod attempt;
pub mod audit;
pub mod branches;
pub mod brand;
pub mod bulk;
pub mod complaint;
pub mod definition;
pub mod duration;
pub mod ids;
pub mod keyring;
pub mod limit;
pub mod log;
pub mod mask;
pub mod person;
pub mod pipeline;
pub mod repository;
pub mod run;
pub mod secret;
pub mod stats;
pub mod step_limits;
pub mod terminal;
pub mod text;
pub mod time;
pub mod token;
pub mod waiting;
