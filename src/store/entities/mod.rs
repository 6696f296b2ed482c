//! The tables as SeaORM sees them, one file each. Nothing outside `store` knows them.
#![allow(unreachable_pub, reason = "SeaORM's derive macros make everything that they generate `pub`")]

pub(in crate::store) mod audit;
pub(in crate::store) mod bulk_work;
pub(in crate::store) mod person;
pub(in crate::store) mod pipeline;
pub(in crate::store) mod removal;
pub(in crate::store) mod run;
pub(in crate::store) mod secret;
pub(in crate::store) mod step;
pub(in crate::store) mod token;
pub(in crate::store) mod worker;
