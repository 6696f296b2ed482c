//! Foreign bytes of every kind against what reads them: `make fuzz` has these go on for longer.

mod definition;
mod masking;
pub(crate) mod mutate;
mod rest;
mod resume;
mod site;
mod stored;
mod trpc;
